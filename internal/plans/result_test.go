package plans

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestCodeOf(t *testing.T) {
	for _, c := range []struct {
		outcomes []fleet.Outcome
		want     problem.Code
	}{
		{nil, problem.OK},
		{[]fleet.Outcome{fleet.Deployed, fleet.Unchanged}, problem.OK},
		{[]fleet.Outcome{fleet.Deployed, fleet.RolledBack}, problem.NotDeployed},
		{[]fleet.Outcome{fleet.HeldBack, fleet.Deployed}, problem.Refused},
		{[]fleet.Outcome{fleet.HeldBack, fleet.Failed}, problem.NotDeployed},
		{[]fleet.Outcome{fleet.RolledBack, fleet.Unknown, fleet.HeldBack}, problem.Unknown},
		{[]fleet.Outcome{fleet.Degraded}, problem.Unknown},
	} {
		if got := CodeOf(c.outcomes); got != c.want {
			t.Errorf("CodeOf(%v) = %d, want %d", c.outcomes, got, c.want)
		}
	}
}
