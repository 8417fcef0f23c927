//go:build integration

package lab

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// TestPredictedChanges makes every change of TestChanges on a host, and holds
// what the plans said of units against what the dry run says and the switch
// does: once as a plan that nobody looked at the host for, once as one made
// with a look.
func TestPredictedChanges(t *testing.T) {
	b := newBuilder(t)
	for line := range strings.SplitSeq(strings.TrimSpace(nixConfig), "\n") {
		if value, ok := strings.CutPrefix(line, "NIX_CONFIG="); ok {
			t.Setenv("NIX_CONFIG", strings.Replace(nixConfig, line, value, 1))
		}
	}
	all := changes()
	e, systems := evaluateChanges(t, b.tree, all, true)
	for _, err := range e.Build(t.Context(), slices.Collect(maps.Values(systems)), nil) {
		t.Fatal(problem.Text(err))
	}
	var paths []string
	for _, s := range systems {
		paths = append(paths, s.OutPath.String())
	}
	h := bootHost(t, "changes")
	h.push(b, paths...)
	base := systems["base"]
	h.sh("mkdir -p /var/lib/data")

	var blind, seen score
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			h := h
			h.t = t
			h.switchTo(base.OutPath.String(), "test")
			// What a switch leaves to people, or to the next boot.
			h.sh("systemctl stop socketed.service; systemctl restart socketed.socket watched.path; systemctl start socketed.service worker@a.service worker@b.service kept.service")
			before := h.runs()
			active := slices.Sorted(maps.Keys(before))

			new := systems[c.name].OutPath.String()
			dry, _ := h.switchTo(new, "dry-activate")
			out, _ := h.switchTo(new, "test")
			happened := effectsIn(out)
			announced := effectsIn(strings.NewReplacer(
				"would stop the", "stopping the", "would NOT restart the", "NOT restarting the", "would reload the", "reloading the",
				"would restart the", "restarting the", "would start the", "starting the").Replace(dry))
			for unit, effect := range announced {
				if happened[unit] != effect {
					t.Errorf("%s: the dry run says %s, the switch says %q", unit, effect, happened[unit])
				}
			}
			observe(happened, before, h.runs())
			for _, looked := range []bool{false, true} {
				running, sum := active, &seen
				if !looked {
					running, sum = nil, &blind
				}
				hosts, _ := planOf(base, systems[c.name], running)
				var units []plans.Unit
				if len(hosts) > 0 {
					units = hosts[0].Units
				}
				sum.add(judgePredictions(t, units, happened, looked, active))
			}
		})
	}
	t.Logf("%d changes; plans that nobody looked at the host for: %s; with a look: %s", len(all), blind, seen)
	// Whether the secret itself changed in its file is known to the host alone.
	if blind.unknown != 1 || seen.unknown != 1 {
		t.Error("only what a changed file of secrets restarts may be unknown")
	}
	if blind.effects < 30 {
		t.Errorf("the switches had only %d effects: the test shows little", blind.effects)
	}
}
