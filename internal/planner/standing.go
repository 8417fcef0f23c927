package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// standing adds what the last deploys published of the hosts that change: that
// one is held, or that no record names what it runs. Hosts without a server
// publish nothing.
func standing(hosts []plans.Host, current *plans.Current) []plans.Host {
	if current == nil {
		return hosts
	}
	hosts = slices.Clone(hosts)
	for i, h := range hosts {
		now, known := current.Hosts[h.Name]
		if !known || h.Action == plans.Destroy {
			continue
		}
		hosts[i].Notes = notNil(slices.Concat(standingOf(now, h), h.Notes))
	}
	return hosts
}

func standingOf(now fleet.Published, h plans.Host) []string {
	var notes []string
	if now.Held {
		held := "held"
		if !now.HeldSince.IsZero() {
			held += " since " + minute(now.HeldSince)
		}
		if now.HeldBy != "" {
			held += " by " + now.HeldBy
		}
		notes = append(notes, held+": a deploy does not touch it until it is released (flotilla release)")
	}
	if now.FailedSystem != "" {
		parts := []string{fmt.Sprintf("%.8s", now.FailedCommit), now.FailedWhy}
		if !now.FailedAt.IsZero() {
			parts = slices.Insert(parts, 1, minute(now.FailedAt))
		}
		parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
		failed := strings.TrimSuffix("last attempt here failed: "+strings.Join(parts, ", "), ": ")
		if !h.New.IsZero() && h.New.Hash() == now.FailedSystem {
			failed += " (this very system: a deploy refuses it without --retry-bad)"
		}
		notes = append(notes, failed)
	}
	switch {
	case h.Action == plans.Create:
	case now.SystemHash == "":
		notes = append(notes, "no deploy of it has been confirmed yet: what it runs is not known")
	case now.Commit == "":
		notes = append(notes, "it runs a system that no commit is recorded for")
	}
	return notes
}

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
