package planner

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// dependents adds units that systemd stops together with one that stops,
// because they require it, are bound to it or are part of it. Targets are
// started again, and start again what they want.
func (f *forecast) dependents() {
	relations := map[string][]relation{} // unit → those that go down with it
	for name := range f.old {
		if _, ok := there(f.old, name); !ok || isTemplate(name) {
			continue
		}
		file := load(f.old, name)
		for _, key := range []string{"PartOf", "BindsTo", "Requires"} {
			for _, other := range file.words("Unit", key) {
				relations[other] = append(relations[other], relation{name, key})
			}
		}
	}
	queue := slices.Sorted(maps.Keys(f.effects))
	for len(queue) > 0 {
		cause := f.effects[queue[0]]
		queue = queue[1:]
		if cause.Effect != plans.EffectStop && cause.Effect != plans.EffectRestart {
			continue
		}
		slices.SortFunc(relations[cause.Name], func(a, b relation) int { return cmp.Compare(a.unit, b.unit) })
		for _, r := range relations[cause.Name] {
			if f.drag(r, cause) {
				queue = append(queue, r.unit)
			}
		}
	}
}

type relation struct{ unit, key string }

// drag records that a unit goes down with another one; false if it is known
// already that it does.
func (f *forecast) drag(r relation, cause plans.Unit) bool {
	if have, ok := f.effects[r.unit]; ok && (have.Effect == plans.EffectStop || have.Effect == plans.EffectRestart) {
		return false
	}
	if f.live.idle(r.unit) {
		return false
	}
	effect := plans.EffectStop
	if u, ok := there(f.new, r.unit); ok {
		if _, _, again := f.started(u.WantedBy); again || f.inPlace(cause) {
			effect = plans.EffectRestart
		}
	}
	certainty := cause.Certainty
	if certainty == plans.Will {
		certainty = f.live.certainty(r.unit)
	}
	f.effects[r.unit] = plans.Unit{
		Name: r.unit, Effect: effect, Certainty: certainty,
		Why: fmt.Sprintf("%s %s, which goes down", phrase(r.key), cause.Name),
	}
	return true
}

// inPlace tells a restart from a stop that is followed by a start: only the
// former restarts what depends on the unit.
func (f *forecast) inPlace(u plans.Unit) bool {
	if u.Effect != plans.EffectRestart {
		return false
	}
	switch _, kind := split(u.Name); kind {
	case "service":
		return !load(f.new, u.Name).truth("Service", "X-StopIfChanged", true)
	case "socket":
		return false
	}
	return true
}

func phrase(key string) string {
	switch key {
	case "PartOf":
		return "part of"
	case "BindsTo":
		return "bound to"
	}
	return "requires"
}
