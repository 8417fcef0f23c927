package deploy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// The way in is flotilla.yaml's, too: where it changes there alone, the plan
// says so of every host that follows it.
func TestMovedLogins(t *testing.T) {
	base := fleet.Fleet{SSH: fleet.SSH{User: "root", Port: 22, Address: "ipv4"}}
	head := fleet.Fleet{
		SSH:   fleet.SSH{User: "deploy", Port: 2222, Address: "ipv6"},
		Hosts: []fleet.HostSettings{{Selector: selector(t, "@far"), Address: "far.example.com"}},
	}
	evaluation := func(ports []int, d plans.Deployment) plans.Evaluation {
		return plans.Evaluation{System: plans.System{SSHD: plans.SSHD{Enabled: true, Ports: ports}, Deployment: d}}
	}
	hosts := map[string]plans.Evaluation{
		"shut":   evaluation([]int{22}, plans.Deployment{}),
		"open":   evaluation([]int{22, 2222}, plans.Deployment{}),
		"far":    evaluation([]int{22, 2222}, plans.Deployment{Tags: []string{"far"}}),
		"own":    evaluation([]int{22}, plans.Deployment{TargetUser: "root", TargetPort: 22, TargetHost: "own.example.com"}),
		"broken": {Err: &problem.Problem{Summary: "no"}},
	}
	both := map[string]plans.Evaluation{"new": evaluation([]int{22}, plans.Deployment{})}
	for name, e := range hosts {
		both[name] = e
	}
	const port, user, v6 = "port 22 → 2222 (ssh.port)", "user root → deploy (ssh.user)", "address ipv4 → ipv6 (ssh.address)"
	got := movedLogins(base, head, hosts, both)
	if len(got["shut"]) != 4 || !strings.HasPrefix(got["shut"][1], "the deploy calls port 2222, where what runs now does not answer") {
		t.Fatalf("shut: %q", got["shut"])
	}
	want := map[string][]string{
		"shut": {port, got["shut"][1], user, v6},
		"open": {port, user, v6},
		"far":  {port, user, "address ssh.address → far.example.com (hosts)"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if same := movedLogins(base, base, hosts, both); len(same) != 0 {
		t.Errorf("nothing moves, but %v", same)
	}

	// Of hosts that change, their changes tell.
	got["twin"] = got["open"]
	gaps := tellMoves([]plans.Host{{Name: "shut"}}, got)
	if len(gaps) != 2 || gaps[0].Subject != "far" || gaps[1].Subject != "ssh" || !strings.Contains(gaps[1].Text, "(open, twin): "+port+"; "+user) {
		t.Errorf("%+v", gaps)
	}
	if text := listed([]string{"a", "b", "c"}, 2); text != "a, b and 1 more" {
		t.Error(text)
	}
}
