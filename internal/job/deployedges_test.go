package job_test

import (
	"context"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// TestDeployWithoutToken: who cannot read the reviews does not deploy without
// leave.
func TestDeployWithoutToken(t *testing.T) {
	r := start(t)
	head := r.api.AddCommit("main", "Pushed")
	r.flow.onDeploy = func(context.Context, deploy.Options) (plans.Result, error) {
		return result(t, head, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil
	}
	job := r.onDispatch("deploy", head, "command", "deploy")
	job.token = ""
	done := r.run(job)
	done.want(problem.Refused)
	wantIn(t, "the errors", done.said("error"), "without a token")
	job = job.with("confirm", "true")
	job.token = ""
	r.run(job).want(problem.OK)
}

// TestResultFileInTheWay: a deploy that went well is not one that failed for
// want of a file.
func TestResultFileInTheWay(t *testing.T) {
	r := start(t)
	head := r.api.AddCommit("main", "Pushed")
	r.write("flotilla-result.json/there", "a folder of the checkout")
	r.flow.onDeploy = func(context.Context, deploy.Options) (plans.Result, error) {
		return result(t, head, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil
	}
	done := r.run(r.onPush(head))
	done.want(problem.OK)
	wantIn(t, "the warnings", done.said("warning"), "flotilla-result.json")
	wantIn(t, "the outputs", done.outputs["changed-hosts"], "web-1")
}
