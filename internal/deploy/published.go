package deploy

import (
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// What labels say of a host (fleet.Published) is what plans know of it. These
// change the part of it that one end of a host's way decides.

// nowRuns is the end of a confirmed deployment: what failed before is over.
func nowRuns(p *fleet.Published, system, commit string) {
	p.SystemHash, p.Commit = system, commit
	p.FailedSystem, p.FailedCommit, p.FailedAt, p.FailedWhy = "", "", time.Time{}, ""
}

// nowHeld is who keeps the host where it is, nil for nobody.
func nowHeld(p *fleet.Published, hold *fleet.Hold) {
	p.Held, p.HeldSince, p.HeldBy = false, time.Time{}, ""
	if hold != nil {
		p.Held, p.HeldSince, p.HeldBy = true, seconds(hold.At), hold.By
	}
}

// nowFailed is a system that was tried and did not stay.
func nowFailed(p *fleet.Published, tried plans.HostResult, commit string, at time.Time) {
	p.FailedSystem, p.FailedCommit, p.FailedAt, p.FailedWhy = tried.Wanted.Hash(), commit, seconds(at), tried.Reason
}

// putBack tells whether a system was tried and did not stay.
func putBack(outcome fleet.Outcome) bool {
	switch outcome {
	case fleet.RolledBack, fleet.Degraded, fleet.NotBootable, fleet.Unknown:
		return true
	default:
		return false
	}
}

// seconds is a time as a label can hold it.
func seconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Second)
}
