package planner

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// liveState is what somebody saw running on the host.
type liveState struct {
	looked bool
	active []string
}

// certainty of an effect that only a running unit has.
func (l liveState) certainty(unit string) plans.Certainty {
	if l.looked && slices.Contains(l.active, unit) {
		return plans.Will
	}
	return plans.IfRunning
}

// idle tells whether a unit is known not to run.
func (l liveState) idle(unit string) bool { return l.looked && !slices.Contains(l.active, unit) }

// forecast collects effects by unit.
type forecast struct {
	old, new map[string]plans.UnitText
	live     liveState
	effects  map[string]plans.Unit
}

// units predicts what a switch from old to new does to units, by NixOS's
// rules. Every unit whose definition changed is in the result, also if
// nothing happens to it.
func units(old, new plans.System, live liveState) []plans.Unit {
	f := &forecast{old: old.Units, new: new.Units, live: live, effects: map[string]plans.Unit{}}
	for _, name := range keysOfBoth(old.Units, new.Units) {
		f.unit(name)
	}
	f.mounts(old.Etc["fstab"], new.Etc["fstab"])
	f.secretUnits(old.Services, new.Services)
	f.dependents()

	list := make([]plans.Unit, 0, len(f.effects))
	for _, u := range f.effects {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b plans.Unit) int {
		return cmp.Or(cmp.Compare(severity(a.Effect), severity(b.Effect)), cmp.Compare(a.Name, b.Name))
	})
	return list
}

// severity orders effects, the most disturbing first.
func severity(e plans.Effect) int {
	return slices.Index([]plans.Effect{
		plans.EffectStop, plans.EffectRestart, plans.EffectReload, plans.EffectStart, plans.EffectSkip, plans.EffectNothing,
	}, e)
}

func (f *forecast) put(name string, e plans.Effect, c plans.Certainty, why string) {
	if f.live.idle(name) && (e == plans.EffectStop || e == plans.EffectRestart || e == plans.EffectReload || e == plans.EffectSkip) && c != plans.Unsure {
		e, c, why = plans.EffectNothing, plans.Will, why+"; not running"
	}
	if have, ok := f.effects[name]; ok && severity(have.Effect) <= severity(e) {
		return
	}
	f.effects[name] = plans.Unit{Name: name, Effect: e, Certainty: c, Why: why}
}

// there tells whether a unit can run: it exists and is not masked.
func there(set map[string]plans.UnitText, name string) (plans.UnitText, bool) {
	u, ok := set[name]
	return u, ok && u.Enabled
}

func (f *forecast) unit(name string) {
	before, inOld := there(f.old, name)
	after, inNew := there(f.new, name)
	switch {
	case !inOld && !inNew:
	case before.DropIn != after.DropIn || !inOld && after.DropIn || !inNew && before.DropIn:
		f.dropIn(name, inOld, inNew)
	case !inOld:
		f.added(name, after)
	case !inNew:
		f.gone(name)
	default:
		f.changed(name, before, after)
	}
}

// dropIn is a unit whose main file is a package's on one side at least: what
// that file says is not known.
func (f *forecast) dropIn(name string, inOld, inNew bool) {
	if template := templateOf(name); template != "" && inOld && !inNew && f.old[name].DropIn {
		if parseUnit(f.old[template].Text, f.old[name].Text).truth("Unit", "X-StopOnRemoval", true) {
			f.put(name, plans.EffectStop, f.live.certainty(name), "the instance is removed")
		} else {
			f.put(name, plans.EffectNothing, plans.Will, "removed, keeps running")
		}
		return
	}
	why := "settings added to a unit of a package"
	switch {
	case inOld && !inNew:
		why = "settings removed from a unit of a package"
	case inOld && inNew:
		why = "defined in another way"
	}
	f.put(name, plans.EffectRestart, plans.Unsure, why)
}

// alwaysActive are the targets that every running NixOS has reached.
func alwaysActive(target string) bool {
	switch target {
	case "multi-user.target", "basic.target", "sysinit.target", "sockets.target", "timers.target", "paths.target", "slices.target",
		"local-fs.target", "swap.target", "getty.target", "default.target", "network.target":
		return true
	}
	return false
}

// started gives the best target that starts a unit, and how sure that is.
func (f *forecast) started(wantedBy []string) (target string, c plans.Certainty, ok bool) {
	for _, t := range wantedBy {
		if !strings.HasSuffix(t, ".target") || f.live.idle(t) {
			continue
		}
		if alwaysActive(t) || f.live.looked {
			return t, plans.Will, true
		}
		target, c, ok = t, plans.IfRunning, true
	}
	return target, c, ok
}

// added is a unit that did not exist. Active targets are started again, and
// take along what they want.
func (f *forecast) added(name string, u plans.UnitText) {
	if isTemplate(name) {
		f.put(name, plans.EffectNothing, plans.Will, "new template")
		return
	}
	if target, c, ok := f.started(u.WantedBy); ok {
		f.put(name, plans.EffectStart, c, "new, wanted by "+target)
		return
	}
	stem, kind := split(name)
	for _, activator := range []string{"timer", "socket", "path"} {
		if _, ok := there(f.new, stem+"."+activator); ok && kind == "service" {
			f.put(name, plans.EffectNothing, plans.Will, "new, started by "+stem+"."+activator)
			return
		}
	}
	if len(u.WantedBy) > 0 {
		f.put(name, plans.EffectStart, plans.Unsure, "new, wanted by "+strings.Join(u.WantedBy, ", "))
		return
	}
	f.put(name, plans.EffectNothing, plans.Will, "new, wanted by no target")
}

// gone is a unit that is removed or masked.
func (f *forecast) gone(name string) {
	why := "removed"
	if _, still := f.new[name]; still {
		why = "masked"
	}
	if isTemplate(name) {
		f.instances(name, plans.EffectStop, why)
		return
	}
	if !load(f.old, name).truth("Unit", "X-StopOnRemoval", true) {
		f.put(name, plans.EffectNothing, plans.Will, why+", keeps running")
		return
	}
	f.put(name, plans.EffectStop, f.live.certainty(name), why)
}

// changed compares a unit that exists on both sides.
func (f *forecast) changed(name string, before, after plans.UnitText) {
	old, new := load(f.old, name), load(f.new, name)
	if (before.Text == "") != (after.Text == "") {
		f.put(name, plans.EffectRestart, plans.Unsure, "its text is known on one side only")
		return
	}
	v, keys := compareUnits(old, new)
	if v == same {
		f.unchangedToRun(name, before, after)
		return
	}
	why := words(keys) + " changed"
	if strings.HasSuffix(name, ".target") {
		f.target(name, new, why)
		return
	}
	effect := plans.EffectReload
	if v == restart {
		effect = modified(name, new)
	}
	if isTemplate(name) {
		f.instances(name, effect, why)
		return
	}
	f.apply(name, effect, new, why)
}

// unchangedToRun is a unit that the switch takes for equal, although its
// definition may differ.
func (f *forecast) unchangedToRun(name string, before, after plans.UnitText) {
	if fresh := added(before.WantedBy, after.WantedBy); len(fresh) > 0 && !isTemplate(name) {
		if target, _, ok := f.started(fresh); ok {
			c := plans.Unsure
			if f.live.looked {
				c = plans.Will
			}
			if f.live.looked && !f.live.idle(name) {
				f.put(name, plans.EffectNothing, plans.Will, "now wanted by "+target+"; runs already")
			} else {
				f.put(name, plans.EffectStart, c, "now wanted by "+target)
			}
			return
		}
	}
	if lost := added(after.WantedBy, before.WantedBy); len(lost) > 0 {
		f.put(name, plans.EffectNothing, plans.Will, "no longer wanted by "+strings.Join(lost, ", ")+"; keeps running until a reboot")
		return
	}
	if before.Text != after.Text || !slices.Equal(before.WantedBy, after.WantedBy) {
		f.put(name, plans.EffectNothing, plans.Will, "changed in what needs no restart")
	}
}

// target is a changed target: active ones are only started again, except
// those that ask to be stopped first.
func (f *forecast) target(name string, new unitFile, why string) {
	if new.truth("Unit", "X-StopOnReconfiguration", false) {
		f.put(name, plans.EffectRestart, f.live.certainty(name), why)
		return
	}
	f.put(name, plans.EffectNothing, plans.Will, why)
}

// modified is what a switch does to a running unit that differs in more than
// a reload would apply; the first rule that fits counts.
func modified(name string, new unitFile) plans.Effect {
	_, kind := split(name)
	switch {
	case kind == "path", kind == "slice", kind == "socket":
		return plans.EffectNothing
	case name == "-.mount", name == "nix.mount":
		return plans.EffectReload
	case kind == "mount":
		return plans.EffectRestart
	case new.truth("Service", "X-ReloadIfChanged", false):
		return plans.EffectReload
	case !new.truth("Service", "X-RestartIfChanged", true), new.truth("Unit", "RefuseManualStop", false), new.truth("Unit", "X-OnlyManualStart", false):
		return plans.EffectSkip
	}
	return plans.EffectRestart
}

// apply records an effect, and what it means for a service's sockets.
func (f *forecast) apply(name string, e plans.Effect, new unitFile, why string) {
	stem, kind := split(name)
	if e == plans.EffectNothing {
		if kind == "socket" {
			why += "; listens as before until its service restarts, or a reboot"
		}
		f.put(name, e, plans.Will, why)
		return
	}
	if e == plans.EffectRestart && kind == "service" && new.truth("Service", "X-StopIfChanged", true) {
		sockets := new.words("Service", "Sockets")
		if len(sockets) == 0 {
			prefix, _, _ := strings.Cut(stem, "@")
			sockets = []string{prefix + ".socket"}
		}
		for _, socket := range sockets {
			if _, ok := there(f.new, socket); ok && !f.live.idle(name) {
				f.put(socket, plans.EffectRestart, f.live.certainty(socket), name+" restarts")
				if !new.truth("Service", "X-NotSocketActivated", false) {
					why += "; " + socket + " starts it again"
				}
			}
		}
	}
	f.put(name, e, f.live.certainty(name), why)
}

// instances records the effect of a changed template on its instances: those
// that run, where that is known, else all of them under the template's name.
func (f *forecast) instances(template string, e plans.Effect, why string) {
	if !f.live.looked || e == plans.EffectNothing {
		c := plans.IfRunning
		if e == plans.EffectNothing {
			c = plans.Will
		}
		f.template(template, e, c, why+" (all instances)")
		return
	}
	f.template(template, plans.EffectNothing, plans.Will, why+" (template)")
	for _, name := range f.live.active {
		if _, own := f.new[name]; !own && templateOf(name) == template {
			f.put(name, e, plans.Will, why)
		}
	}
}

// template records what is said under a template's own name; it never runs itself.
func (f *forecast) template(name string, e plans.Effect, c plans.Certainty, why string) {
	f.effects[name] = plans.Unit{Name: name, Effect: e, Certainty: c, Why: why}
}

// words lists a few names and counts the rest.
func words(list []string) string {
	const most = 3
	slices.Sort(list)
	if len(list) > most {
		return strings.Join(list[:most], ", ") + ", …"
	}
	return strings.Join(list, ", ")
}
