package planner

import (
	"slices"

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
		hosts[i].Notes = notNil(slices.Concat(standingOf(now, h.Action), h.Notes))
	}
	return hosts
}

func standingOf(now fleet.Published, action plans.Action) []string {
	var notes []string
	if now.Held {
		notes = append(notes, "held: a deploy does not touch it until it is released (flotilla release)")
	}
	switch {
	case action == plans.Create:
	case now.SystemHash == "":
		notes = append(notes, "no deploy of it has been confirmed yet: what it runs is not known")
	case now.Commit == "":
		notes = append(notes, "it runs a system that no commit is recorded for")
	}
	return notes
}
