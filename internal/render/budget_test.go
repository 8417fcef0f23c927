package render

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// manyHosts is a plan of hosts with a large diff each, and the fleet they are in.
func manyHosts(hosts int) plans.Plan {
	p := large()
	p.This.Hosts, p.This.Resources = p.This.Hosts[:hosts], p.This.Resources[:hosts]
	p.Topology = &plans.Topology{Waves: []string{"@canary", "@web"}, Networks: []plans.TopologyNetwork{{Name: "private", IPRange: "10.0.0.0/16"}}}
	for i, h := range p.This.Hosts {
		p.Topology.Machines = append(p.Topology.Machines, plans.TopologyMachine{
			Name: h.Name, Server: true, Host: true, ServerType: "cx22", Location: "nbg1", Networks: []string{"private"}, Wave: 1 + i%3,
		})
	}
	for i := range min(hosts, 20) {
		p.This.Hosts[i].Files[0].Diff = strings.Repeat(p.This.Hosts[i].Files[0].Diff, 5) // 1,000 lines
	}
	return p
}

// manyResults is a result in which every second host is not well.
func manyResults(hosts int) plans.Result {
	r := plans.Result{Command: "deploy", Fleet: "acme", ExitCode: problem.Unknown, Reviewed: &plans.Reviewed{}, Failure: strings.Repeat("error: something\n", 50)}
	for i := range hosts {
		h := plans.HostResult{Host: fmt.Sprintf("host-%03d", i), Outcome: outcomes()[i%len(outcomes())], Reason: "a reason", Warnings: []string{"a warning"}}
		h.Settled, h.Keys = "an earlier run had begun", []string{"token"}
		for range 5 {
			h.Checks = append(h.Checks, plans.CheckResult{Name: "http", Detail: "no answer"})
		}
		r.Unreviewed = append(r.Unreviewed, plans.Digest{Subject: "host/" + h.Host, Action: plans.Update, What: []string{"open tcp 443", "restart x"}, Risks: []plans.Risk{plans.RiskPort}})
		r.Reviewed.Direct = append(r.Reviewed.Direct, plans.DirectPush{Commit: "4929fca", Subject: "a subject", Author: "somebody"})
		r.Reviewed.Unplanned = append(r.Reviewed.Unplanned, plans.Unplanned{Number: i, Why: "no plan"})
		h.Log = strings.Split(strings.Repeat("a log line\n", 40), "\n")
		r.Hosts = append(r.Hosts, h)
		r.Resources = append(r.Resources, plans.ResourceResult{Resource: plans.Resource{Kind: plans.KindServer, Name: h.Host, Action: plans.Create}, Error: "no room"})
	}
	return r
}

// TestAlwaysFits renders what is large and hostile: whatever the budget, the
// bytes are no more, and what is there is whole Markdown.
func TestAlwaysFits(t *testing.T) {
	budgets := []int{SummaryBytes, CommentBytes, 10_000, 4_000}
	widest := strings.Repeat("𝔉", 250)
	texts := append(seeds(t), widest, strings.Repeat("`", 250), strings.Repeat("\u202e", 250))
	random := rand.New(rand.NewPCG(1, 2))
	hostile := func() string { return texts[random.IntN(len(texts))] }
	for _, hosts := range []int{0, 1, 60, 300} {
		for _, text := range []string{"", widest, hostile()} {
			if hosts == 300 && text != widest {
				continue // TestLadder has it
			}
			p, r := manyHosts(hosts), manyResults(min(hosts, 60))
			if text != "" {
				poison(reflect.ValueOf(&p).Elem(), text, false)
				poison(reflect.ValueOf(&r).Elem(), text, false)
				for i := range r.Hosts {
					r.Hosts[i].Outcome = outcomes()[i%len(outcomes())]
				}
				r.ExitCode = []problem.Code{problem.Unknown, problem.Refused}[hosts%7%2]
			}
			for _, bytes := range budgets {
				b := Budget{Bytes: bytes, Full: text, Commit: text}
				all := map[string]string{"plan": PlanMarkdown(p, b)}
				if hosts <= len(r.Hosts) {
					all["result"], all["comment"] = ResultMarkdown(r, b), ResultComment(r, b)
					all["no plan"] = NoPlanMarkdown(text, errors.New(strings.Repeat(text+"\n", 500)), b)
				}
				for what, md := range all {
					if len(md) > bytes || !utf8.ValidString(md) {
						t.Errorf("%s of %d hosts, text %.20q: %d bytes, budget %d", what, hosts, text, len(md), bytes)
					}
					if len(md) < 12_000 || text == "" && hosts == 1 { // parsing all is slow
						checkMarkdown(t, md)
					}
				}
			}
		}
	}
}

// TestWhatIsNeverDropped looks for totals, failures and warnings in the
// shortest forms.
func TestWhatIsNeverDropped(t *testing.T) {
	p := manyHosts(60)
	p.This.Hosts[3].Lockout = []string{"the key is gone"}
	for _, bytes := range []int{4_000, 1} {
		md := PlanMarkdown(p, Budget{Bytes: bytes, Link: "https://github.com/acme/fleet/actions/runs/1"})
		for _, want := range []string{"60 to change, 60 hosts to switch", "This plan is incomplete", "broken-host", "1 warning", "warned-host", "**Opens**",
			"would lock the deploy out", "host-003", "(https://github.com/acme/fleet/actions/runs/1)"} {
			if !strings.Contains(md, want) {
				t.Errorf("budget %d: no %q in\n%s", bytes, want, md)
			}
		}
		r := manyResults(100)
		for what, md := range map[string]string{"summary": ResultMarkdown(r, Budget{Bytes: bytes}), "comment": ResultComment(r, Budget{Bytes: bytes})} {
			for _, want := range []string{"10 unknown, 10 not-bootable, 10 degraded, 10 rolled-back", "look at it now", "something", "host-000", "host-001", "warning"} {
				if what == "comment" && want == "warning" && bytes > 1 {
					continue // the summary has them
				}
				if !strings.Contains(strings.ToLower(md), want) {
					t.Errorf("%s, budget %d: no %q in\n%s", what, bytes, want, md)
				}
			}
		}
	}
}

func TestHeadlines(t *testing.T) {
	for want, p := range map[string]plans.Plan{
		"no changes": {Complete: true},
		"incomplete: no change found in the parts that could be planned": {},
		"1 to destroy, 1 host to switch · destroys, stops · more is pending": {Complete: true,
			Pending: plans.Part{Hosts: []plans.Host{{Name: "b"}}},
			This: plans.Part{
				Resources: []plans.Resource{{Kind: plans.KindServer, Name: "x", Action: plans.Destroy, Risks: []plans.Risk{plans.RiskDestroy}}},
				Hosts:     []plans.Host{{Name: "a", Action: plans.Update, Risks: []plans.Risk{plans.RiskStop}}},
			}},
	} {
		if got := Headline(p); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for want, r := range map[string]plans.Result{
		"2 deployed":                         {Hosts: []plans.HostResult{{Outcome: fleet.Deployed}, {Outcome: fleet.Deployed}}},
		"no host touched · the lock is held": {ExitCode: problem.Refused, Failure: "error: the lock is held\nhint: wait"},
		"1 failed · at least one host was not deployed; every host that was touched runs a verified good system": {
			ExitCode: problem.NotDeployed, Hosts: []plans.HostResult{{Outcome: fleet.Failed}}},
	} {
		if got := ResultHeadline(r); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for _, text := range append(seeds(t), strings.Repeat("𝔉", 300)) {
		p, r := manyHosts(60), manyResults(60)
		poison(reflect.ValueOf(&p).Elem(), text, true)
		poison(reflect.ValueOf(&r).Elem(), text, true)
		for _, s := range []string{Headline(p), ResultHeadline(r)} {
			if n := utf8.RuneCountInString(s); n > HeadlineChars || n == 0 {
				t.Errorf("%d characters: %s", n, s)
			}
			checkTerminal(t, s)
		}
	}
}
