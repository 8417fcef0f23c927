package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// planFits refuses a plan that is not one of this fleet and revision, or does
// not show everything.
func planFits(p *plans.Plan, t tree) error {
	if p == nil {
		return nil
	}
	refuse := func(summary, hint string) error {
		return &problem.Problem{Summary: summary, Hints: []string{hint}, Code: problem.Refused}
	}
	again := "Plan again: flotilla plan --out FILE, look at it, and deploy that."
	switch {
	case p.Version != plans.Version:
		return refuse(fmt.Sprintf("the plan has the form %q, this program reads %q", p.Version, plans.Version), again)
	case p.Fleet != t.Fleet.Name:
		return refuse(fmt.Sprintf("the plan is one of the fleet %q, not of %q", p.Fleet, t.Fleet.Name), "Name the folder of that fleet with --config.")
	case p.Head.Commit != t.Revision.Commit:
		return refuse(fmt.Sprintf("the plan shows commit %.12s, and %.12s would be deployed", p.Head.Commit, t.Revision.Commit), again)
	case !p.Complete:
		return refuse("the plan is not complete: it does not show all that a deploy would do", "Mend what it names as missing, and plan again.")
	default:
		return nil
	}
}

// shownResources gives what a plan says of resources, never nil.
func shownResources(p plans.Plan) []plans.Resource {
	return slices.Concat([]plans.Resource{}, p.Pending.Resources, p.This.Resources)
}

// notShown refuses changes of resources that the plan does not show, or shows
// otherwise. The old values do not count: they may have been known to one side
// only. That nothing is rebuilt, replaced or destroyed unseen is the business of
// provision.Options.Shown, which holds to the end.
func notShown(changes []plans.Resource, p plans.Plan) []error {
	shown := shownResources(p)
	var refused []error
	for _, c := range changes {
		if !provision.Changes(c) {
			continue
		}
		of := slices.DeleteFunc(slices.Clone(shown), func(s plans.Resource) bool { return s.Kind != c.Kind || s.Name != c.Name || !provision.Changes(s) })
		what := unseen(c, of)
		if what == "" {
			continue
		}
		refused = append(refused, &problem.Problem{
			Summary: fmt.Sprintf("the plan does not show that %s %q %s", strings.ReplaceAll(string(c.Kind), "_", " "), c.Name, what),
			Hints:   []string{"What exists has changed since the plan was made, or was not known to it (a plan without a token knows nothing of it). Plan again, look at it, and deploy that."},
			Code:    problem.Refused,
		})
	}
	return refused
}

// unseen says what of a change the shown ones of the same resource do not
// have, "" if they have it all.
func unseen(c plans.Resource, shown []plans.Resource) string {
	if c.Action == plans.Rebuild || c.Action == plans.Replace || c.Action == plans.Destroy {
		return ""
	}
	if c.Action == plans.Create && !slices.ContainsFunc(shown, func(s plans.Resource) bool { return s.Action != plans.Update }) {
		return "would be created"
	}
	if len(shown) == 0 {
		return "would be changed"
	}
	for _, a := range c.Attributes {
		if !slices.ContainsFunc(shown, func(s plans.Resource) bool { return shows(s, a) }) {
			return fmt.Sprintf("would get %s %s", a.Name, a.New)
		}
	}
	return ""
}

func shows(s plans.Resource, a plans.Attribute) bool {
	off := s.Action != plans.Update // then it does not run through either way
	return slices.ContainsFunc(s.Attributes, func(have plans.Attribute) bool {
		return have.Name == a.Name && (have.New == a.New || !have.Known || !a.Known) && (off || have.Powers || !a.Powers)
	})
}

// plannedSystem gives the system that a plan shows for a host. shown is false
// if the plan changes nothing on it; the path is zero where only apply decides.
func plannedSystem(p plans.Plan, host string) (system storepath.Path, shown bool) {
	for _, part := range []plans.Part{p.Pending, p.This} {
		for _, h := range part.Hosts {
			if h.Name != host {
				continue
			}
			if system, shown = h.New, true; h.AfterApply {
				system = storepath.Path{}
			}
		}
	}
	return system, shown
}

func shownHost(p plans.Plan, host string) bool {
	_, shown := plannedSystem(p, host)
	return shown
}

// otherSystems refuses systems that are not those of the plan.
func otherSystems(systems []plans.System, p plans.Plan) []error {
	var refused []error
	for _, s := range systems {
		planned, shown := plannedSystem(p, s.Host)
		if !shown || planned.IsZero() || planned == s.OutPath {
			continue
		}
		refused = append(refused, &problem.Problem{
			Summary: fmt.Sprintf("%s would get another system than the plan shows", s.Host),
			Detail:  fmt.Sprintf("Planned: %s\nNow: %s", planned, s.OutPath),
			Hints:   []string{"Something that its configuration reads has changed: an address, the search path of Nix, or Nix itself. Plan again, look at it, and deploy that."},
			Code:    problem.Refused,
		})
	}
	return refused
}
