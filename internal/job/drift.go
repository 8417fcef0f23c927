package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// noteDrift is the kind of the issue about drift.
const noteDrift = "drift"

// drift looks for what is not as deployed, and keeps one issue about it. Drift
// is no failure of the job: the issue tells it.
func (j *job) drift(ctx context.Context) (problem.Code, error) {
	deployed, err := j.lastDeployed(ctx)
	if err != nil {
		j.runner.Warn(problem.All(err)) // the servers' labels tell, too
	}
	drift, err := j.flow.Drift(ctx, deploy.DriftOptions{
		On: j.on, Only: deploy.Only(j.Only), Deployed: deployed, LockTimeout: j.LockTimeout,
	})
	if err != nil {
		return problem.OK, err
	}
	err = errors.Join(
		j.runner.Relay(func(w io.Writer) error { return render.DriftText(w, drift, render.Options{Width: logWidth}) }),
		j.runner.Summary(render.DriftMarkdown(drift, render.Budget{Bytes: actions.SummaryBytes})),
		j.runner.Output("drift", fmt.Sprint(drift.Found())),
		j.driftIssue(ctx, drift),
	)
	for _, g := range drift.Missing {
		j.runner.Annotate(gapProblem(g))
	}
	code := drift.ExitCode()
	if code == problem.Changes {
		code = problem.OK
	}
	return code, err
}

// driftIssue opens, changes or closes the issue. What could not be looked at
// closes nothing.
func (j *job) driftIssue(ctx context.Context, drift plans.Drift) error {
	if j.forge == nil {
		return nil
	}
	header := j.header(noteDrift)
	header.Commit = ""
	issue := forge.Issue{
		Header: header,
		Title:  fmt.Sprintf("Drift in fleet %s", j.fleet),
		Body:   func(bytes int) string { return render.DriftMarkdown(drift, j.budget(bytes)) },
	}
	switch {
	case drift.Found():
		_, err := j.forge.PutIssue(ctx, issue)
		return err
	case drift.Clear():
		_, err := j.forge.CloseIssue(ctx, issue)
		return err
	default:
		return nil
	}
}

// lastDeployed is the newest revision that a deployment at GitHub names as
// deployed; "" when there is none.
func (j *job) lastDeployed(ctx context.Context) (string, error) {
	if j.forge == nil {
		return "", nil
	}
	last, _, err := j.forge.LastDeployment(ctx, j.Environment, "deploy")
	return last.SHA, err
}
