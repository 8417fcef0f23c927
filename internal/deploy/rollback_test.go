package deploy

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// A host that is down must not keep a rollback from the others.
func TestLeftOut(t *testing.T) {
	down := &problem.Problem{Summary: "cannot log in to db"}
	refused := &problem.Problem{Summary: "web cannot go back to 9", Code: problem.Refused}
	for name, test := range map[string]struct {
		failed    map[string]error
		reachable int
		left      int
		code      problem.Code
	}{
		"all answer":                    {nil, 2, 0, problem.OK},
		"one is down":                   {map[string]error{"db": down}, 1, 1, problem.OK},
		"the only one is down":          {map[string]error{"db": down}, 0, 0, problem.Failed},
		"one has nothing to go back to": {map[string]error{"db": down, "web": refused}, 1, 1, problem.Refused},
	} {
		left, err := leftOut(test.failed, test.reachable)
		if len(left) != test.left || problem.CodeOf(err) != test.code {
			t.Errorf("%s: got %+v, %v", name, left, err)
		}
		for _, host := range left {
			if host.Host != "db" || host.Outcome != fleet.Failed || host.Reason != "cannot log in to db" {
				t.Errorf("%s: got %+v", name, host)
			}
		}
	}
}

// --all does not take a host to the bare image that it had before its first
// deployment; who names the host may.
func TestBeforeFirst(t *testing.T) {
	initial, earlier := fleet.Record{Outcome: fleet.Unchanged}, fleet.Record{Outcome: fleet.Deployed}
	for _, c := range []struct {
		target fleet.Record
		on, to string
		want   bool
	}{
		{initial, "*", "previous", true},
		{initial, "@web", "", true},
		{initial, "web", "previous", false},
		{initial, "*", "1", false},
		{earlier, "*", "previous", false},
	} {
		if got := beforeFirst(c.target, RollbackOptions{On: selector(t, c.on), To: c.to}); got != c.want {
			t.Errorf("%s --on %s --to %s: %v", c.target.Outcome, c.on, c.to, got)
		}
	}
}
