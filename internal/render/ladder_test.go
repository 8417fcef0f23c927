package render

import (
	"fmt"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// large is a plan of 300 hosts that all change in their own way.
func large() plans.Plan {
	p := plans.Plan{Fleet: "acme", Missing: []plans.Gap{{Subject: "broken-host", Text: strings.Repeat("error: a line\n", 200)}},
		Warnings: []plans.Gap{{Subject: "warned-host", Text: "an old option"}}}
	for i := range 300 {
		h := plans.Host{Name: fmt.Sprintf("host-%03d", i), Action: plans.Update, Risks: []plans.Risk{plans.RiskPort},
			Ports: []plans.Port{{Protocol: "tcp", Port: fmt.Sprint(1000 + i), Opened: true}},
			Files: []plans.File{{Path: "x.conf", Action: plans.Update, Diff: strings.Repeat(fmt.Sprintf("-old %d\n+new %d\n", i, i), 100)}}}
		for u := range 5 {
			h.Units = append(h.Units, plans.Unit{Name: fmt.Sprintf("u%d.service", u), Effect: plans.EffectRestart, Certainty: plans.Will,
				Why: strings.Repeat("because ", 10)})
		}
		p.This.Hosts = append(p.This.Hosts, h)
		p.This.Resources = append(p.This.Resources, plans.Resource{Kind: plans.KindServer, Name: h.Name, Action: plans.Update,
			Attributes: []plans.Attribute{{Name: "labels.env", Old: "a", New: "b", Known: true}}})
	}
	return p
}

// TestLadder walks down the rungs: each fits its budget, says what it left
// out, and keeps totals, gaps, warnings and risks.
func TestLadder(t *testing.T) {
	rungs := []struct {
		bytes       int
		has, hasNot string
	}{
		{SummaryBytes, "-old 299", "Left out"},
		{500_000, "more lines", "@@@"},
		{300_000, "-old 299", "@@@"},
		{260_000, "because because", "-old 299"},
		{150_000, "`u0.service`", "because because"},
		{65_000, "host-00", "u0.service"},
		{4_000, "300 to change, 300 hosts to switch", "host-150"},
	}
	for _, r := range rungs {
		md := PlanMarkdown(large(), Budget{Bytes: r.bytes, Full: "https://github.com/acme/fleet/actions/runs/1"})
		if len(md) > r.bytes {
			t.Errorf("budget %d: %d bytes", r.bytes, len(md))
		}
		for _, want := range []string{r.has, "300 to change, 300 hosts to switch", "This plan is incomplete", "broken-host", "error: a line",
			"1 warning", "warned-host", "an old option", "**Opens**"} {
			if !strings.Contains(md, want) {
				t.Errorf("budget %d: lacks %q", r.bytes, want)
			}
		}
		if strings.Contains(md, r.hasNot) {
			t.Errorf("budget %d: still has %q", r.bytes, r.hasNot)
		}
		if r.bytes < SummaryBytes && !strings.Contains(md, "Left out, to fit the size limit") {
			t.Errorf("budget %d: does not say what was left out", r.bytes)
		}
	}
}

func TestResultLadder(t *testing.T) {
	r := plans.Result{Command: "deploy", Fleet: "acme", ExitCode: problem.NotDeployed}
	for i := range 200 {
		h := plans.HostResult{Host: fmt.Sprintf("host-%03d", i), Outcome: fleet.Deployed}
		if i%2 == 0 {
			h.Outcome, h.Reason, h.Log = fleet.RolledBack, "health check failed", strings.Split(strings.Repeat("a log line\n", 90), "\n")
		}
		r.Hosts = append(r.Hosts, h)
	}
	for _, size := range []int{SummaryBytes, CommentBytes, 20_000, 4_000} {
		md := ResultMarkdown(r, Budget{Bytes: size})
		if len(md) > size {
			t.Errorf("budget %d: %d bytes", size, len(md))
		}
		for _, want := range []string{"100 rolled-back, 100 deployed", "health check failed", "exit code 3"} {
			if !strings.Contains(md, want) {
				t.Errorf("budget %d: lacks %q", size, want)
			}
		}
	}
}
