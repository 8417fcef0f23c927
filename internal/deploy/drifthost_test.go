package deploy

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

func system(t *testing.T, digit string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse("/nix/store/" + strings.Repeat(digit, 32) + "-nixos-system-web")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDriftOfAHost(t *testing.T) {
	ours, before, odd := system(t, "1"), system(t, "2"), system(t, "3")
	records := []fleet.Record{{System: ours, Outcome: fleet.Deployed}, {System: before, Outcome: fleet.Unchanged}}
	state := func(running, boots storepath.Path) fleet.HostState {
		return fleet.HostState{Running: running, Profile: boots, BootDefault: boots}
	}
	unfinished := state(ours, ours)
	unfinished.Unfinished = &fleet.Unfinished{ID: "one", State: "armed"}
	inHand := unfinished
	inHand.LockedBy = "ada"
	staged := state(ours, odd)
	staged.Last = &fleet.Record{System: odd, Outcome: fleet.Staged}
	for _, c := range []struct {
		name      string
		state     fleet.HostState
		confirmed []fleet.Record
		label     string
		want      string // start of the findings
	}{
		{"as deployed", state(ours, ours), records, ours.Hash(), ""},
		{"put back by a reboot to what ran before", state(before, before), records, ours.Hash(), ""},
		{"its records are gone, the label knows it", state(ours, ours), nil, ours.Hash(), ""},
		{"nothing was deployed", state(odd, odd), nil, "", ""},
		{"nixos-rebuild switch by hand", state(odd, odd), records, ours.Hash(), "It runs a system that no record names: " + odd.String() + "."},
		{"records gone, and something else runs", state(odd, odd), nil, ours.Hash(), "It runs a system that no record names"},
		{"nixos-rebuild test by hand", state(odd, ours), records, "", "It runs a system that no record names: " + odd.String() + ".|It runs another system than it would boot."},
		{"nixos-rebuild boot by hand", state(ours, odd), records, "", "It would boot a system that no record names"},
		{"booted an older one", state(before, ours), records, "", "It runs another system than it would boot."},
		{"staged by us", staged, records, "", ""},
		{"unfinished", unfinished, records, "", "Deployment one was not ended (armed)"},
		{"in somebody's hand", inHand, records, "", ""},
	} {
		got := strings.Join(driftOf(c.state, c.confirmed, fleet.Published{SystemHash: c.label}), "|")
		if !strings.HasPrefix(got, c.want) || (got == "") != (c.want == "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestJudge(t *testing.T) {
	hold := &fleet.Hold{By: "ada", At: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Reason: "bad kernel"}
	for _, c := range []struct {
		name   string
		status plans.HostStatus
		want   string
	}{
		{"well", plans.HostStatus{Reachable: true, Commit: "c"}, "looked 1"},
		{"drifted", plans.HostStatus{Reachable: true, Commit: "c", Drift: []string{"It runs something."}}, "drift It runs something., looked 1"},
		{"held", plans.HostStatus{Reachable: true, Hold: hold, Pending: true, Commit: "c"}, "note Held by ada since 2026-03-01 12:00 UTC: bad kernel, looked 1"},
		{"pending", plans.HostStatus{Reachable: true, Pending: true, Commit: "0123456789abcdef"}, "note Runs commit 0123456789ab; what was merged since is not deployed to it., looked 1"},
		{"new", plans.HostStatus{Reachable: true, Pending: true}, "note Nothing was deployed to it yet., looked 1"},
		{"down", plans.HostStatus{Problem: "no answer"}, "missing no answer, looked 0"},
		{"failed units", plans.HostStatus{Reachable: true, Commit: "c", FailedUnits: []string{"a.service"}}, "note Failed units: a.service, looked 1"},
	} {
		var d plans.Drift
		(&view{}).judge("web", c.status, &d)
		var got []string
		for _, h := range d.Hosts {
			got = append(got, "drift "+strings.Join(h.Findings, " "))
		}
		for _, m := range d.Missing {
			got = append(got, "missing "+m.Text)
		}
		for _, n := range d.Notes {
			got = append(got, "note "+n.Text)
		}
		got = append(got, fmt.Sprintf("looked %d", d.Looked.Hosts))
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
	}
}

// The same failure has the same text each time.
func TestLasting(t *testing.T) {
	var texts []string
	for _, port := range []int{50001, 50002} {
		source := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: port}
		peer := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 22}
		cause := &net.OpError{Op: "read", Net: "tcp", Source: source, Addr: peer, Err: io.ErrUnexpectedEOF}
		texts = append(texts, lasting(&problem.Problem{Summary: "cannot look at web", Cause: fmt.Errorf("handshake: %w", cause)}))
	}
	if texts[0] != texts[1] || !strings.Contains(texts[0], "10.0.0.2:22: unexpected EOF") {
		t.Errorf("%q", texts)
	}
}
