package generation

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// touched is what a switch did to units, as its output says.
type touched struct {
	stopped map[string]bool
	started map[string]bool // also restarted and reloaded: they have to be up
	failed  map[string]bool
	begun   bool // it changed something
}

// heads are the lines of switch-to-configuration that name units, comma
// separated.
var heads = []struct {
	text    string
	stopped bool
	failed  bool
}{
	{text: "stopping the following units: ", stopped: true},
	{text: "reloading the following units: "},
	{text: "restarting the following units: "},
	{text: "starting the following units: "},
	{text: "the following new units were started: "},
	{text: "warning: the following units failed: ", failed: true},
}

// began are lines which say that something was changed.
var began = []string{"activating the configuration", "restarting systemd", "stopping swap device", "Failed to "}

func (t *touched) read(line string) {
	for _, b := range began {
		t.begun = t.begun || strings.HasPrefix(line, b)
	}
	for _, h := range heads {
		list, ok := strings.CutPrefix(line, h.text)
		if !ok {
			continue
		}
		t.begun = true
		for unit := range strings.SplitSeq(list, ",") {
			unit = strings.TrimSpace(unit)
			if !unitForm.MatchString(unit) {
				continue
			}
			switch {
			case h.stopped:
				t.add(&t.stopped, unit)
			case h.failed:
				t.add(&t.failed, unit)
			default:
				t.add(&t.started, unit)
			}
		}
	}
}

func (t *touched) add(set *map[string]bool, unit string) {
	if *set == nil {
		*set = map[string]bool{}
	}
	(*set)[unit] = true
}

// has tells whether the switch did anything to a unit.
func (t *touched) has(unit string) bool { return t.stopped[unit] || t.started[unit] || t.failed[unit] }

// up are the units that have to be up now, sorted.
func (t *touched) up() []string { return slices.Sorted(maps.Keys(t.started)) }

// access matches units on which the next login depends.
var access = regexp.MustCompile(`^(sshd?([.@-].*)?|network.*|systemd-(networkd|resolved|logind)\..*|firewall.*|nftables\..*|ip6?tables\..*|dhcpcd.*|NetworkManager.*|wpa_supplicant.*|wireguard.*|tailscaled.*)$`)

// reachesIn tells whether the way to the host was touched.
func (t *touched) reachesIn() bool {
	for _, set := range []map[string]bool{t.stopped, t.started} {
		for unit := range set {
			if access.MatchString(unit) {
				return true
			}
		}
	}
	return false
}

// unitState is what systemd says of a unit.
type unitState struct {
	load, active, sub, kind, result, restarts string
}

// fate tells what is to be thought of a unit that has to be up.
type fate int

const (
	settled fate = iota
	moving       // wait
	lost
)

func (u unitState) fate() fate {
	switch u.active {
	case "active":
		return settled
	case "failed":
		return lost
	case "inactive":
		// A one-shot that ended, or a condition that kept the unit from starting.
		if u.result == "success" || u.result == "" {
			if u.kind == "oneshot" || u.kind == "" || u.result == "" {
				return settled
			}
			return lost
		}
		return lost
	default:
		return moving // activating, reloading, deactivating
	}
}

func (u unitState) String() string {
	s := u.active + " (" + u.sub
	if u.result != "" && u.result != "success" {
		s += ", " + u.result
	}
	return s + ")"
}

// unitsSeen is the answer to units.
type unitsSeen struct {
	units  map[string]unitState
	failed map[string]bool // since the deployment began; true: the new system brings or changes it
	down   []string        // were active, are not
}

func parseUnits(out string) (unitsSeen, error) {
	seen := unitsSeen{units: map[string]unitState{}, failed: map[string]bool{}}
	current, complete := "", false
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		key, value, property := strings.Cut(line, "=")
		if property && current != "" && !strings.Contains(key, " ") {
			u := seen.units[current]
			switch key {
			case "LoadState":
				u.load = value
			case "ActiveState":
				u.active = value
			case "SubState":
				u.sub = value
			case "Type":
				u.kind = value
			case "NRestarts":
				u.restarts = value
			case "Result":
				u.result = value
			}
			seen.units[current] = u
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		switch word {
		case "unit":
			current = rest
			seen.units[current] = unitState{}
		case "failed":
			changed, unit, _ := strings.Cut(rest, " ")
			seen.failed[unit] = changed == "yes"
		case "down":
			seen.down = append(seen.down, rest)
		case "end":
			complete = true
		}
	}
	if !complete {
		return unitsSeen{}, fmt.Errorf("the answer is not complete (%d bytes)", len(out))
	}
	return seen, nil
}

// judge says which units are bad, whether to wait for others, and what is only
// worth a warning.
func (u unitsSeen) judge(t *touched) (bad []string, wait bool, warnings []string) {
	for _, name := range slices.Sorted(maps.Keys(u.failed)) {
		if u.failed[name] || t.has(name) {
			bad = append(bad, name+" has failed")
		} else {
			warnings = append(warnings, name+" has failed meanwhile; the switch did not touch it")
		}
	}
	for _, name := range t.up() {
		state := u.units[name]
		if _, known := u.failed[name]; known || state.load == "not-found" {
			continue
		}
		switch state.fate() {
		case settled:
		case moving:
			wait = true
		case lost:
			bad = append(bad, name+" is "+state.String())
		}
	}
	for _, name := range u.down {
		if t.stopped[name] && !t.started[name] {
			continue // stopped on purpose
		}
		if !t.has(name) {
			warnings = append(warnings, name+" was active before and is not now; the switch did not touch it")
		}
	}
	return bad, wait, warnings
}

// restarted names units that systemd started again by itself between two looks.
func (u unitsSeen) restarted(before unitsSeen) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(u.units)) {
		if b, ok := before.units[name]; ok && b.restarts != u.units[name].restarts {
			names = append(names, name)
		}
	}
	return names
}

// window is how long units have to stay as they are: three times as long when
// systemd had to start one of them again.
func (u unitsSeen) window(stable time.Duration) time.Duration {
	for _, state := range u.units {
		if state.restarts != "" && state.restarts != "0" {
			return 3 * stable
		}
	}
	return stable
}

// moving names the units that are neither well nor lost yet.
func (u unitsSeen) moving() []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(u.units)) {
		if u.units[name].fate() == moving {
			names = append(names, name)
		}
	}
	return names
}
