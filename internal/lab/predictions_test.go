//go:build integration

package lab

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// TestPredictions compares what a plan says a switch will do to units with
// what a switch on a host then does.
func TestPredictions(t *testing.T) {
	b := newBuilder(t)
	for line := range strings.SplitSeq(strings.TrimSpace(nixConfig), "\n") {
		if value, ok := strings.CutPrefix(line, "NIX_CONFIG="); ok {
			t.Setenv("NIX_CONFIG", strings.Replace(nixConfig, line, value, 1))
		}
	}
	data, err := filepath.Abs(filepath.Join("nixos", "testdata"))
	if err != nil {
		t.Fatal(err)
	}
	e := nix.New(nix.Options{NixPath: "nixpkgs=" + b.tree})
	evaluate := func(module string) plans.System {
		dir := t.TempDir()
		text := fmt.Sprintf("{ machine = import %s; }", filepath.Join(data, module))
		if err := os.WriteFile(filepath.Join(dir, "hive.nix"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		one := e.Evaluate(t.Context(), nix.Source{Dir: dir, Hive: fleet.Hive{File: "hive.nix"}, Trusted: true}, []string{"machine"}, nil)["machine"]
		if one.Err != nil {
			t.Fatal(problem.Text(one.Err))
		}
		for _, err := range e.Build(t.Context(), []plans.System{one.System}, nil) {
			t.Fatal(problem.Text(err))
		}
		return one.System
	}
	old, new := evaluate("units-old.nix"), evaluate("units-new.nix")

	h := bootHost(t, "predictions")
	h.push(b, old.OutPath.String())
	h.push(b, new.OutPath.String())
	h.switchTo(old.OutPath.String(), "test")
	// What the old system starts by hand only.
	h.sh("systemctl start socketed.service; systemctl is-active socketed.service")
	before := h.runs()
	active := slices.Sorted(maps.Keys(before))

	at := func(s plans.System) map[string]plans.Evaluation {
		return map[string]plans.Evaluation{"machine": {System: s}}
	}
	blind, _, _ := planner.Compare(at(old), at(new), planner.Known{})
	seen, _, _ := planner.Compare(at(old), at(new), planner.Known{Running: map[string][]string{"machine": active}})
	if len(blind) != 1 || len(seen) != 1 {
		t.Fatalf("plans of %d and %d hosts", len(blind), len(seen))
	}

	out, _ := h.switchTo(new.OutPath.String(), "test")
	happened := effectsIn(out)
	observe(happened, before, h.runs())
	if len(happened) < 10 {
		t.Fatalf("the switch did only %v: the test shows little", happened)
	}
	for name, units := range map[string][]plans.Unit{"seen": seen[0].Units, "blind": blind[0].Units} {
		t.Run(name, func(t *testing.T) {
			if s := judgePredictions(t, units, happened, name == "seen", active); s.unknown > 0 {
				t.Error("the plan must know all of these")
			}
		})
	}
}

// effectsIn reads a switch's output.
func effectsIn(out string) map[string]plans.Effect {
	happened := map[string]plans.Effect{}
	started := map[string]bool{}
	for line := range strings.SplitSeq(out, "\n") {
		for prefix, effect := range map[string]plans.Effect{
			"stopping the following units: ":               plans.EffectStop,
			"NOT restarting the following changed units: ": plans.EffectSkip,
			"reloading the following units: ":              plans.EffectReload,
			"restarting the following units: ":             plans.EffectRestart,
			"starting the following units: ":               plans.EffectStart,
			"the following new units were started: ":       plans.EffectStart,
		} {
			list, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
			if !ok {
				continue
			}
			for unit := range strings.SplitSeq(list, ", ") {
				if effect == plans.EffectStart {
					started[unit] = true
				} else {
					happened[unit] = effect
				}
			}
		}
	}
	for unit := range started {
		if happened[unit] == plans.EffectStop {
			happened[unit] = plans.EffectRestart
		} else {
			happened[unit] = plans.EffectStart
		}
	}
	return happened
}

// judgePredictions wants every effect told, and nothing told that was not.
// Where nobody looked, "if running" may be said of what did not run.
func judgePredictions(t *testing.T, units []plans.Unit, happened map[string]plans.Effect, looked bool, active []string) (s score) {
	t.Helper()
	told := map[string]plans.Unit{}
	for _, u := range units {
		told[u.Name] = u
	}
	for _, unit := range slices.Sorted(maps.Keys(happened)) {
		if strings.HasSuffix(unit, ".target") {
			continue
		}
		s.effects++
		effect := happened[unit]
		u, ok := told[unit]
		if !ok {
			// Instances are told under their template where nobody looked.
			if prefix, rest, isInstance := strings.Cut(unit, "@"); isInstance && !looked {
				u, ok = told[prefix+"@"+rest[strings.LastIndexByte(rest, '.'):]]
			}
		}
		// A service that its socket starts again was stopped, for now.
		again := effect == plans.EffectStop && u.Effect == plans.EffectRestart && strings.Contains(u.Why, ".socket starts it again")
		switch {
		case !ok:
			t.Errorf("%s: %s, and the plan does not tell", unit, effect)
		case u.Effect != effect && !again:
			t.Errorf("%s: %s, and the plan says %s (%s)", unit, effect, u.Effect, u.Why)
		case u.Certainty == plans.Unsure:
			s.unknown++
			t.Logf("%s: %s, and the plan does not know", unit, effect)
		default:
			s.hits++
		}
	}
	for _, u := range units {
		_, did := happened[u.Name]
		if did || u.Effect == plans.EffectNothing || !looked && (!slices.Contains(active, u.Name) || strings.Contains(u.Name, "@.")) {
			continue
		}
		s.wrong++
		t.Errorf("%s: the plan says %s (%s, %s), and nothing happened", u.Name, u.Effect, u.Certainty, u.Why)
	}
	t.Log(s)
	return s
}

// score counts what happened to units, what of it was told rightly, and what
// was told and did not happen. What the plan did not know is no hit.
type score struct{ effects, hits, unknown, wrong int }

func (s *score) add(o score) {
	s.effects, s.hits, s.unknown, s.wrong = s.effects+o.effects, s.hits+o.hits, s.unknown+o.unknown, s.wrong+o.wrong
}

func (s score) String() string {
	return fmt.Sprintf("%d of %d effects told rightly, %d unknown, %d told wrongly", s.hits, s.effects, s.unknown, s.wrong)
}

// runs gives the units that run, each with the number of its run.
func (h host) runs() map[string]string {
	h.t.Helper()
	runs := map[string]string{}
	for block := range strings.SplitSeq(h.sh("systemctl show -p Id -p InvocationID -p ActiveState '*'"), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			fields[name] = value
		}
		if state := fields["ActiveState"]; state == "active" || state == "activating" || state == "reloading" {
			runs[fields["Id"]] = fields["InvocationID"]
		}
	}
	return runs
}

// observe adds what a switch did without a word: units that systemd took along,
// and those that targets started.
func observe(happened map[string]plans.Effect, before, after map[string]string) {
	of := func(unit string) bool { // others come and go by themselves
		return slices.Contains([]string{".service", ".socket", ".timer", ".path", ".mount", ".automount", ".swap"}, filepath.Ext(unit))
	}
	for unit, run := range before {
		now, runs := after[unit]
		if _, told := happened[unit]; told || !of(unit) {
			continue
		}
		switch {
		case !runs:
			happened[unit] = plans.EffectStop
		case now != run:
			happened[unit] = plans.EffectRestart
		}
	}
	for unit := range after {
		if _, told := happened[unit]; !told && of(unit) {
			if _, ran := before[unit]; !ran {
				happened[unit] = plans.EffectStart
			}
		}
	}
}
