package job_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// What others record in the fleet's environment, that deploys fail again and
// again, and that a rollback took the place of what went well: none of it makes a
// fleet one that was never deployed, of which a first deployment may do more.
func TestLastDeploymentIsFound(t *testing.T) {
	r := start(t)
	good := r.api.AddCommit("main", "Good")
	ends := func(outcome fleet.Outcome) func(context.Context, deploy.Options) (plans.Result, error) {
		return func(_ context.Context, o deploy.Options) (plans.Result, error) {
			return result(t, o.Head, map[string]fleet.Outcome{"web-1": outcome}), nil
		}
	}
	r.flow.onDeploy = ends(fleet.Deployed)
	first := r.onPush(good)
	first.run = 7
	r.run(first).want(problem.OK)
	r.flow.onBack = func(o deploy.RollbackOptions) (plans.Result, error) { return back(t, o), nil }
	r.run(r.onDispatch("rollback", good, "command", "rollback", "on", "web-1")).want(problem.OK)
	r.flow.onDeploy = ends(fleet.RolledBack)
	for i := range 3 {
		r.run(r.onPush(r.api.AddCommit("main", fmt.Sprint("Bad ", i)))).want(problem.NotDeployed)
	}
	others := forgeOf(r, "deploy")
	for i := range 140 {
		if _, err := others.StartDeployment(t.Context(), forge.Deployment{SHA: good, Task: []string{"deploy", "deploy:app"}[i%2], Environment: "acme"}); err != nil {
			t.Fatal(err)
		}
	}
	head := r.api.AddCommit("main", "Head")
	since := ""
	r.flow.onDeploy = func(ctx context.Context, o deploy.Options) (plans.Result, error) {
		seen, err := o.Reviews(ctx, nil, o.Head)
		if err != nil {
			t.Error(err)
		}
		since = seen.Since
		return result(t, head, map[string]fleet.Outcome{"web-1": fleet.Unchanged}), nil
	}
	again := first
	again.attempt = 2
	r.run(again).want(problem.Refused, "re-run")
	r.run(r.onPush(head)).want(problem.OK)
	if since != good {
		t.Errorf("counted since %q, want %s", since, good)
	}
}
