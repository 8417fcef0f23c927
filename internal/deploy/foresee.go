package deploy

import (
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// asItExists corrects what a change does by what exists, where the declarations
// alone mislead: what is not there is neither destroyed nor switched off, and
// what cannot be had in place (a disk that is too large for another type) is
// shown as the replacement that it will be. Pending is what leads from what
// exists to the base, ahead to the head.
func asItExists(change, pending, ahead []plans.Resource) (corrected, stillPending []plans.Resource) {
	replaced := false
	for _, r := range change {
		missing := find(pending, r) != nil && find(pending, r).Action == plans.Create
		becomes := find(ahead, r)
		switch {
		case missing && r.Action == plans.Destroy:
			continue
		case missing && r.Action != plans.Create && becomes != nil && becomes.Action == plans.Create:
			pending = slices.DeleteFunc(slices.Clone(pending), func(p plans.Resource) bool { return p.Kind == r.Kind && p.Name == r.Name })
			r = *becomes
		case r.Action == plans.Update && provision.Changes(r) && becomes != nil && becomes.Action == plans.Replace &&
			(find(pending, r) == nil || find(pending, r).Action != plans.Replace):
			r, replaced = *becomes, true
		}
		corrected = append(corrected, r)
	}
	for _, a := range ahead { // volumes and targets that follow what is replaced
		if replaced && provision.Changes(a) && find(corrected, a) == nil && find(pending, a) == nil {
			corrected = append(corrected, a)
		}
	}
	return corrected, pending
}

func find(all []plans.Resource, r plans.Resource) *plans.Resource {
	i := slices.IndexFunc(all, func(o plans.Resource) bool { return o.Kind == r.Kind && o.Name == r.Name })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// wouldRefuse warns of what a deploy of the head would refuse whatever it is
// allowed. Names that others have are told apart from it.
func wouldRefuse(head fleet.Fleet, account fleet.Account, leave provision.Options, ahead []plans.Resource) []plans.Gap {
	if nameClashes(head, account) != nil {
		return nil
	}
	leave.AllowDestroy = namesOf(ahead)
	var gaps []plans.Gap
	for _, p := range problem.All(provision.Check(head, account, leave)) {
		text := "A deploy of this refuses it: " + oneLine(p) + "."
		if len(p.Hints) > 0 {
			text += " " + strings.Join(p.Hints, " ")
		}
		gaps = append(gaps, plans.Gap{Subject: "refused", Text: text})
	}
	return gaps
}
