package job

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// notePlan and noteDeploy are the kinds of our comments.
const (
	notePlan   = "plan"
	noteDeploy = "deploy"
)

const (
	// headerVersion is that of the data in a plan comment's header.
	headerVersion = 1
	// digestBytes bounds the digests in it before they are compressed.
	digestBytes = 60_000
)

// plan plans a pull request or a merge group: nothing of it is trusted.
func (j *job) plan(ctx context.Context) (problem.Code, error) {
	if j.Pull.Closed {
		j.runner.Notice("the pull request is closed: there is nothing to plan")
		return problem.OK, nil
	}
	merged := j.Branch != "" && j.GitHub.Ref == "refs/heads/"+j.Branch
	base := j.Base
	if base == "" && !merged && j.Event != "pull_request" {
		base = j.Branch // a branch that somebody planned by hand: its own parents are its author's choice
	}
	plan, err := j.flow.Plan(ctx, deploy.PlanOptions{
		Base: base, Head: j.Head, On: j.on, Only: deploy.Only(j.Only), Rebuild: j.Rebuild, Replace: j.Replace,
		Untrusted: !merged, Fork: j.Pull.Fork,
	})
	if err != nil {
		j.status(ctx, notePlan, forge.Errored, "no plan: "+problem.All(err)[0].Summary)
		told := j.runner.Summary(render.NoPlanMarkdown(j.fleet, err, j.budget(actions.SummaryBytes)))
		if ctx.Err() == nil { // a job that was cancelled made way for a newer one, whose comment it is
			told = errors.Join(told, j.noPlan(ctx, err))
		}
		return problem.OK, errors.Join(err, told)
	}
	code, state := problem.OK, forge.Success
	if !plan.Complete {
		code, state = problem.Failed, forge.Failure
	}
	err = j.tellPlan(plan)
	j.status(ctx, notePlan, state, render.Headline(plan))
	j.annotatePlan(plan)
	return code, errors.Join(err, j.planNote(ctx, plan))
}

// planNote keeps the plan's comment.
func (j *job) planNote(ctx context.Context, plan plans.Plan) error {
	if j.Pull.Number == 0 || j.forge == nil || !j.Comment {
		return nil
	}
	if j.Pull.Fork {
		j.runner.Notice("a fork's job may not comment: the plan is in this job's summary")
		return nil
	}
	header := j.header(notePlan)
	header.Data = plans.PackDigests(plans.Digests(plan.This, plan.Pending), digestBytes)
	posted, err := j.forge.PutNote(ctx, j.Pull.Number, forge.Note{
		Header:     header,
		Body:       func(bytes int) string { return render.PlanMarkdown(plan, j.budget(bytes)) },
		OnlyUpdate: render.NothingChanges(plan) && plan.Pending.Empty(),
	})
	if err == nil {
		// A fleet that was renamed leaves a comment behind that nobody keeps.
		_, err = j.forge.Retire(ctx, j.Pull.Number, notePlan, func(h forge.Header) bool { return h.Dir != header.Dir || h.Fleet == header.Fleet })
	}
	if denied(err) && j.readOnly() {
		j.runner.Notice("the token of this job may not comment: the plan is in the summary")
		return nil
	}
	if err == nil && posted.URL != "" {
		err = j.runner.Output("comment-url", posted.URL)
	}
	return err
}

// noPlan tells in the comment that is there that its plan is not the head's.
func (j *job) noPlan(ctx context.Context, why error) error {
	if j.Pull.Number == 0 || j.forge == nil || !j.Comment || j.Pull.Fork {
		return nil
	}
	_, err := j.forge.PutNote(ctx, j.Pull.Number, forge.Note{
		Header:     j.header(notePlan),
		Body:       func(bytes int) string { return render.NoPlanMarkdown(j.fleet, why, j.budget(bytes)) },
		OnlyUpdate: true,
	})
	if denied(err) {
		return nil
	}
	return err
}

// header identifies a comment of this fleet and environment.
func (j *job) header(kind string) forge.Header {
	return forge.Header{Kind: kind, Version: headerVersion, Fleet: j.fleet, Environment: j.Environment, Dir: filepath.ToSlash(filepath.Clean(j.FleetDir)), Commit: j.Pull.HeadSHA}
}

func (j *job) budget(bytes int) render.Budget {
	return render.Budget{Bytes: bytes, Full: j.GitHub.RunURL(), Commit: j.Pull.HeadSHA}
}

// readOnly tells whether the job was started by somebody whose jobs may write
// nothing, whoever runs it again.
func (j *job) readOnly() bool { return j.GitHub.Owner == "dependabot[bot]" }

// denied tells whether GitHub says that the token may not.
func denied(err error) bool { return err != nil && (forge.IsDenied(err) || forge.IsMissing(err)) }

// status puts the headline beside the commit that people look at.
func (j *job) status(ctx context.Context, kind string, state forge.State, headline string) {
	sha := j.Head
	if j.Pull.HeadSHA != "" {
		sha = j.Pull.HeadSHA
	}
	if j.forge == nil || j.Pull.Fork || sha == "" {
		return
	}
	s := forge.Status{State: state, Context: fmt.Sprintf("flotilla/%s %s", kind, j.Environment), Headline: headline, URL: j.GitHub.RunURL()}
	j.queue.Add(forge.Report{
		Lane: "status", Key: s.Context, What: "set the status of the commit", Text: headline,
		Send: func(ctx context.Context) error {
			err := j.forge.SetStatus(ctx, sha, s)
			if denied(err) && j.readOnly() {
				return nil
			}
			return err
		},
	})
	_ = ctx
}

// annotatePlan shows what is missing as errors and warnings as such.
func (j *job) annotatePlan(p plans.Plan) {
	var missing []error
	for _, g := range p.Missing {
		missing = append(missing, gapProblem(g))
	}
	if len(missing) > 0 {
		j.runner.Annotate(errors.Join(missing...))
	}
	var warnings []*problem.Problem
	for _, g := range p.Warnings {
		warnings = append(warnings, gapProblem(g))
	}
	j.runner.Warn(warnings)
}

func gapProblem(g plans.Gap) *problem.Problem {
	first, rest, _ := strings.Cut(strings.TrimSpace(g.Text), "\n")
	return &problem.Problem{Summary: g.Subject + ": " + first, Detail: rest, At: g.At}
}
