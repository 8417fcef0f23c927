// Package planner compares evaluated systems and puts plans together: which
// units a switch stops, restarts, reloads and starts, and what else of a host
// changes that a reviewer wants to know.
//
// Rules: pure functions, no I/O; the same input gives the same plan, in the
// same order; what is not known is said to be unknown, and a plan with a gap
// is never complete. Texts of systems are untrusted and are passed on as data.
//
// It does not render (render) and decides nothing about order and safety of a
// rollout (rollout).
package planner

import (
	"cmp"
	"path/filepath"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Known is what is known beyond the two evaluations. The zero value is
// useful: nothing more is known.
type Known struct {
	Facts   fleet.Facts         // as handed to the head; servers with placeholders have Known false
	Logins  map[string]Login    // by host: how the deploy logs in
	Running map[string][]string // by host: active units, where somebody looked
	Moves   map[string][]string // by host: how the deploy's way in changes outside of the system, as in plans.Host.SSHMoves
}

// Login is the way in for deploys.
type Login struct {
	User string   // "": root
	Keys []string // public keys in authorized_keys form, of which the deploy has one; none: not known
	Port int      // SSH port that the deploy uses; 0: deployment.targetPort, else 22
}

// Hosts compares the evaluations of two revisions. A host of which one side
// did not evaluate is a gap, not a change. Warnings are those of the head
// which the base did not have.
func Hosts(base, head map[string]plans.Evaluation, facts fleet.Facts) (changes []plans.Host, missing, warnings []plans.Gap) {
	return Compare(base, head, Known{Facts: facts})
}

// Compare is Hosts with all that is known.
func Compare(base, head map[string]plans.Evaluation, known Known) (changes []plans.Host, missing, warnings []plans.Gap) {
	for _, name := range keysOfBoth(base, head) {
		old, inBase := base[name]
		new, inHead := head[name]
		gap := false
		if inHead && new.Err != nil {
			missing = append(missing, plans.Gap{Subject: name, Text: problem.Text(new.Err), At: inFleet(new.Err)})
			gap = true
		}
		if inBase && old.Err != nil {
			if !gap {
				missing = append(missing, plans.Gap{Subject: name, Text: "before this change: " + problem.Text(old.Err)})
			}
			gap = true
		}
		if inHead && new.Err == nil {
			for _, text := range added(old.System.Warnings, new.System.Warnings) {
				warnings = append(warnings, plans.Gap{Subject: name, Text: text})
			}
		}
		if gap {
			continue
		}
		for _, partial := range []string{new.System.Partial, old.System.Partial} {
			if partial != "" {
				missing = append(missing, plans.Gap{Subject: name, Text: "what changes in the system is not known: " + partial})
				break
			}
		}
		switch {
		case !inBase:
			changes = append(changes, created(new.System, known))
		case !inHead:
			changes = append(changes, removed(old.System))
		default:
			if h, differs := changed(old.System, new.System, known); differs {
				changes = append(changes, h)
			}
		}
	}
	sortHosts(changes)
	return changes, missing, warnings
}

// inFleet is where in the fleet's files a problem is; elsewhere is nowhere.
func inFleet(p *problem.Problem) problem.Position {
	if !filepath.IsLocal(p.At.File) {
		return problem.Position{}
	}
	return p.At
}

// sortHosts puts risky hosts first.
func sortHosts(hosts []plans.Host) {
	slices.SortStableFunc(hosts, func(a, b plans.Host) int {
		return cmp.Or(cmp.Compare(worst(a.Risks), worst(b.Risks)), cmp.Compare(a.Name, b.Name))
	})
}

// Input is what a plan is put together from.
type Input struct {
	Fleet            string
	Base, Head       plans.Revision
	Resources        []plans.Resource // of this change
	Hosts            []plans.Host
	PendingResources []plans.Resource
	PendingHosts     []plans.Host
	Missing          []plans.Gap // why the plan is not complete
	Warnings         []plans.Gap
	Current          *plans.Current // nil when it could not be looked up
}

// Assemble puts a plan together. It is complete if nothing is missing.
// Resources that are destroyed come last, the others keep their order.
func Assemble(in Input) plans.Plan {
	return plans.Plan{
		Version: plans.Version, Fleet: in.Fleet, Base: in.Base, Head: in.Head,
		This:     part(in.Resources, standing(in.Hosts, in.Current)),
		Pending:  part(in.PendingResources, standing(in.PendingHosts, in.Current)),
		Complete: len(in.Missing) == 0, Missing: notNil(in.Missing), Warnings: notNil(in.Warnings), Current: in.Current,
	}
}

func part(resources []plans.Resource, hosts []plans.Host) plans.Part {
	resources = slices.Clone(resources)
	slices.SortStableFunc(resources, func(a, b plans.Resource) int {
		return cmp.Compare(turn(a.Action), turn(b.Action))
	})
	return plans.Part{Resources: notNil(resources), Hosts: notNil(hosts)}
}

func turn(a plans.Action) int {
	if a == plans.Destroy {
		return 1
	}
	return 0
}

// notNil makes JSON show [] and not null.
func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
