package planner

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// A deployment key that changes shows, whatever changes of it, but not what it is.
func TestDeploymentKeysChange(t *testing.T) {
	text := plans.KeyFacts{Path: "/run/keys/k", User: "root", Group: "root", Permissions: "0600", UploadAt: "pre-activation", Source: "text", Digest: "one"}
	with := func(k plans.KeyFacts, edit func(*plans.KeyFacts)) plans.KeyFacts { edit(&k); return k }
	command := with(text, func(k *plans.KeyFacts) { k.Source, k.From = "keyCommand", `["pass","k"]` })
	outside := with(text, func(k *plans.KeyFacts) { k.Path = "/etc/sudoers.d/k" })
	attribute := func(name, old, new string) []plans.Attribute {
		return []plans.Attribute{{Name: name, Old: old, New: new, Known: true}}
	}
	for name, trial := range map[string]struct {
		old, new plans.KeyFacts // zero: none
		want     *plans.Item    // nil: nothing changes
		access   bool
	}{
		"the same":         {text, text, nil, false},
		"the text":         {text, with(text, func(k *plans.KeyFacts) { k.Digest = "two" }), &plans.Item{Action: plans.Update, Note: "what it holds changes"}, false},
		"the text outside": {outside, with(outside, func(k *plans.KeyFacts) { k.Digest = "two" }), &plans.Item{Action: plans.Update, Note: "what it holds changes"}, true},
		"the command": {command, with(command, func(k *plans.KeyFacts) { k.From, k.Digest = `["env"]`, "two" }),
			&plans.Item{Action: plans.Update, Changes: attribute("from", `["pass","k"]`, `["env"]`)}, true},
		"the end of a long command": {command, with(command, func(k *plans.KeyFacts) { k.Digest = "two" }), &plans.Item{Action: plans.Update, Note: "what it holds changes"}, true},
		"the mode":                  {text, with(text, func(k *plans.KeyFacts) { k.Permissions = "0644" }), &plans.Item{Action: plans.Update, Changes: attribute("permissions", "0600", "0644")}, false},
		"the mode of a command's":   {command, with(command, func(k *plans.KeyFacts) { k.User = "web" }), &plans.Item{Action: plans.Update, Changes: attribute("user", "root", "web")}, true},
		"a place above /run":        {text, with(text, func(k *plans.KeyFacts) { k.Path = "/run/../etc/k" }), &plans.Item{Action: plans.Update, Changes: attribute("path", "/run/keys/k", "/run/../etc/k")}, true},
		"a file of the machine": {text, with(text, func(k *plans.KeyFacts) { k.Source, k.From = "keyFile", "/proc/self/environ" }),
			&plans.Item{Action: plans.Update, Changes: append(attribute("source", "text", "keyFile"), attribute("from", "", "/proc/self/environ")...)}, true},
		"gone": {command, plans.KeyFacts{}, &plans.Item{Action: plans.Destroy, Note: "its file /run/keys/k stays on the host"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			system := func(k plans.KeyFacts) plans.System {
				s := plans.System{Host: "web", Keys: map[string]plans.KeyFacts{}}
				if k != (plans.KeyFacts{}) {
					s.Keys["k"] = k
				}
				return s
			}
			h, differs := changed(system(trial.old), system(trial.new), Known{})
			if differs != (trial.want != nil) || slices.Contains(h.Risks, plans.RiskAccess) != trial.access {
				t.Errorf("differs %t, risks %v, access wanted: %t", differs, h.Risks, trial.access)
			}
			var want []plans.Item
			if trial.want != nil {
				trial.want.Kind, trial.want.Name = plans.ItemKey, "k"
				want = []plans.Item{*trial.want}
			}
			got := h.Items
			for i := range got {
				got[i].UsedBy = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	h := created(plans.System{Host: "web", Keys: map[string]plans.KeyFacts{"k": command}}, Known{})
	if !slices.Contains(h.Risks, plans.RiskAccess) {
		t.Errorf("a new host with a command: %v", h.Risks)
	}
}
