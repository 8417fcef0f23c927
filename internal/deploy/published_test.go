package deploy

import (
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// What a plan is told of a host follows what was done to it: a success ends
// what failed before, a failure changes nothing of what runs.
func TestPublishedFollowsTheHost(t *testing.T) {
	wanted, err := storepath.Parse("/nix/store/" + strings.Repeat("a", 32) + "-nixos-system-web")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 11, 20, 14, 3, 5, 999, time.FixedZone("CET", 3600))
	second := time.Date(2026, 11, 20, 13, 3, 5, 0, time.UTC)
	p := fleet.Published{HostKey: "key"}
	step := func(what string, want fleet.Published) {
		t.Helper()
		if want.HostKey = "key"; p != want {
			t.Errorf("%s: %+v, want %+v", what, p, want)
		}
	}
	nowRuns(&p, "one", "first")
	nowFailed(&p, plans.HostResult{Wanted: wanted, Reason: "nginx failed"}, "second", at)
	step("put back", fleet.Published{SystemHash: "one", Commit: "first", FailedSystem: strings.Repeat("a", 32), FailedCommit: "second", FailedAt: second, FailedWhy: "nginx failed"})
	nowHeld(&p, &fleet.Hold{By: "ada", At: at, Reason: "why"})
	nowRuns(&p, "zero", "older")
	step("rolled back by hand", fleet.Published{SystemHash: "zero", Commit: "older", Held: true, HeldSince: second, HeldBy: "ada"})
	nowHeld(&p, nil)
	step("released", fleet.Published{SystemHash: "zero", Commit: "older"})

	for outcome, want := range map[fleet.Outcome]bool{
		fleet.RolledBack: true, fleet.Degraded: true, fleet.NotBootable: true, fleet.Unknown: true,
		fleet.Deployed: false, fleet.Unchanged: false, fleet.Failed: false, fleet.HeldBack: false, fleet.Skipped: false, fleet.Staged: false,
	} {
		if putBack(outcome) != want {
			t.Errorf("%s: %v", outcome, !want)
		}
	}
}
