package job

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// deploy brings the fleet to the job's commit, as far as its pull requests
// showed what that means.
func (j *job) deploy(ctx context.Context) (problem.Code, error) {
	if j.forge == nil && !j.Confirm {
		return problem.OK, &problem.Problem{
			Summary: "without a token nobody can tell what the pull requests have shown",
			Hints:   []string{"Leave the input token out: it is the job's own then.", "With the input confirm: true everything that was merged is deployed."},
			Code:    problem.Refused,
		}
	}
	if err := j.checkRerun(ctx); err != nil {
		return problem.OK, err
	}
	tell := j.announce("deploy")
	r := &reviews{job: j, shown: map[int]shown{}}
	result, err := j.flow.Deploy(ctx, deploy.Options{
		Head: j.Head, On: j.on, Only: deploy.Only(j.Only), RetryBad: j.RetryBad,
		AllowDestroy: j.AllowDestroy, AllowLockout: j.AllowLockout, Rebuild: j.Rebuild, Replace: j.Replace,
		LockTimeout: j.LockTimeout, Draining: j.Draining, AcceptRunning: j.AcceptRunning,
		Reviews: r.read(), Confirm: j.Confirm, Superseded: j.superseded(),
	})
	tell(result)
	state := forge.Success
	if result.ExitCode != problem.OK {
		state = forge.Failure
	}
	j.status(ctx, noteDeploy, state, render.ResultHeadline(result))
	for _, pull := range r.pulls {
		j.resultNote(pull.Number, result)
	}
	j.answer(result)
	j.tellResult(result)
	return result.ExitCode, err
}

// checkRerun refuses to run an old deploy again after a newer one: a re-run
// keeps its commit, and would take the fleet back to it.
func (j *job) checkRerun(ctx context.Context) error {
	if j.GitHub.Attempt <= 1 || j.Confirm || j.forge == nil {
		return nil
	}
	newest, found, err := j.forge.LastDeployment(ctx, j.Environment, "")
	if err != nil {
		return fmt.Errorf("cannot tell whether this re-run is older than what is deployed: %w", err)
	}
	if !found || strings.HasPrefix(newest.Run, fmt.Sprintf("%d/", j.GitHub.RunID)) {
		return nil
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("this re-run would deploy commit %.12s after a newer %s of commit %.12s", j.Head, newest.Task, newest.SHA),
		Hints:   []string{"Start the workflow anew to deploy the branch as it is now, or roll back: flotilla's rollback goes to a confirmed system.", "With the input confirm: true the old commit is deployed all the same."},
		Code:    problem.Refused,
	}
}

// superseded gives what tells a deploy that its branch has moved on. The newer
// commit's own run takes all that this one would have.
func (j *job) superseded() func(context.Context) (string, error) {
	if j.forge == nil || j.Branch == "" || j.Event != "push" || j.Confirm {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		now, err := j.forge.BranchHead(ctx, j.Branch)
		if err != nil || now == j.Head {
			return "", err
		}
		return now, nil
	}
}

// announce records a deployment at GitHub and gives what tells its end.
func (j *job) announce(task string) func(plans.Result) {
	if j.forge == nil {
		return func(plans.Result) {}
	}
	data, err := json.Marshal(map[string]string{"on": j.On, "reason": j.Reason, "by": j.GitHub.Actor})
	if err != nil {
		data = nil // strings always marshal
	}
	send := j.forge.Announce(j.queue, forge.Deployment{
		SHA: j.Head, Task: task, Environment: j.Environment, Production: true, Run: j.GitHub.Run(), Data: data,
		Description: fmt.Sprintf("%s by %s", task, j.GitHub.Actor),
	})
	update := func(state forge.Progress, text string) {
		send(forge.Update{State: state, Description: text, LogURL: j.GitHub.RunURL(), EnvironmentURL: j.EnvironmentURL}, text)
	}
	update(forge.InProgress, fmt.Sprintf("%s is running", task))
	return func(r plans.Result) {
		update(progressOf(r), render.ResultHeadline(r))
	}
}

// progressOf gives the state that a result leaves its deployment in.
func progressOf(r plans.Result) forge.Progress {
	switch {
	case r.Superseded != "":
		return forge.Inactive
	case r.ExitCode == problem.OK:
		return forge.Succeeded
	case r.ExitCode == problem.NotDeployed || r.ExitCode == problem.Unknown:
		return forge.HostFailed
	default:
		return forge.ToolFailed
	}
}

// resultNote tells the result on a pull request.
func (j *job) resultNote(number int, r plans.Result) {
	if j.forge == nil || !j.Comment || number == 0 || r.Superseded != "" {
		return
	}
	header := j.header(noteDeploy)
	header.Commit = r.Revision.Commit
	note := forge.Note{Header: header, Body: func(bytes int) string { return render.ResultComment(r, j.budget(bytes)) }}
	j.queue.Add(forge.Report{
		Lane: fmt.Sprintf("note %d", number), Key: noteDeploy,
		What: fmt.Sprintf("comment on pull request #%d", number), Text: render.ResultHeadline(r),
		Send: func(ctx context.Context) error { return j.putNote(ctx, number, note) },
	})
}
