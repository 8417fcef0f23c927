package render

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// A change of policy is said, though no server and no host changes.
func TestPolicyIsNoNothing(t *testing.T) {
	plan := plans.Plan{Complete: true, Warnings: []plans.Gap{{Subject: "prices", Text: "not known"}}}
	if !NothingChanges(plan) || Headline(plan) != "no changes" {
		t.Errorf("a warning alone: %v, %q", NothingChanges(plan), Headline(plan))
	}
	plan.Warnings = append(plan.Warnings, plans.Gap{Subject: "rollout", Text: "cannot be previewed", Policy: true})
	if NothingChanges(plan) || Headline(plan) != "no changes of servers and hosts, but of policy or logins" {
		t.Errorf("policy: %v, %q", NothingChanges(plan), Headline(plan))
	}
}
