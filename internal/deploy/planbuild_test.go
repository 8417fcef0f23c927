package deploy

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Nothing of an unmerged change is built, whoever asks.
func TestUntrustedPlanIsNotBuilt(t *testing.T) {
	f := &Flow{Dir: t.TempDir(), Getenv: func(string) string { return "" }}
	for _, opts := range []PlanOptions{{Build: true, Untrusted: true}, {Build: true, Fork: true}} {
		if _, err := f.Plan(t.Context(), opts); problem.CodeOf(err) != problem.Refused {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if err := checkBuild(PlanOptions{Build: true}); err != nil {
		t.Error(err)
	}
}
