package forge

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/go-github/v66/github"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

const anotherRun = "push a commit, or close the pull request and open it again."

// Rerun runs the newest run of a workflow again that was for this event and
// head commit, and gives the attempt that began. workflow is the file's name,
// "plan.yml". One that is not over yet is given back as it is.
func (c *Client) Rerun(ctx context.Context, workflow, event, sha string) (Run, error) {
	run, err := c.newestRun(ctx, workflow, event, sha)
	if err != nil || !run.Over() {
		return run, err
	}
	begun := func() (Run, bool, error) {
		last, err := c.RunAttempt(ctx, run.ID, 0)
		return last, err == nil && (last.Attempt > run.Attempt || !last.Over()), err
	}
	anew, err := once(ctx, c, func() (Run, error) { return c.runAgain(ctx, run) }, begun)
	if !IsDenied(err) {
		return anew, err
	}
	// GitHub's answer too when somebody else was faster, and for old runs.
	if last, yes, lookup := begun(); lookup == nil && yes {
		return last, nil
	}
	var p *problem.Problem
	if errors.As(err, &p) {
		p.Hints = append(p.Hints, "GitHub runs a run again for 30 days and up to 50 times. After that "+anotherRun)
	}
	return anew, err
}

// newestRun finds the newest run of a workflow for an event and a commit.
func (c *Client) newestRun(ctx context.Context, workflow, event, sha string) (Run, error) {
	var runs []*github.WorkflowRun
	op := operation{what: fmt.Sprintf("list the runs of the workflow %q", workflow), needs: "actions: read", repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		// GitHub lists the newest first.
		got, resp, err := rest.Actions.ListWorkflowRunsByFileName(ctx, c.owner, c.name, workflow, &github.ListWorkflowRunsOptions{
			Event: event, HeadSHA: sha, ListOptions: github.ListOptions{PerPage: 1},
		})
		if err == nil {
			runs = got.WorkflowRuns
		}
		return resp, err
	})
	if err != nil {
		return Run{}, err
	}
	if len(runs) == 0 {
		return Run{}, &problem.Problem{
			Summary: fmt.Sprintf("the workflow %q has no run for %s at commit %.12s that could be run again", workflow, event, sha),
			Hints:   []string{"To start it " + anotherRun},
		}
	}
	return runOf(runs[0]), nil
}

// runAgain begins the next attempt of a run that is over.
func (c *Client) runAgain(ctx context.Context, run Run) (Run, error) {
	op := operation{what: fmt.Sprintf("run %d again", run.ID), needs: "actions: write"}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		return rest.Actions.RerunWorkflowByID(ctx, c.owner, c.name, run.ID)
	})
	return Run{ID: run.ID, Attempt: run.Attempt + 1, Status: "queued", URL: run.URL}, err
}

func runOf(r *github.WorkflowRun) Run {
	return Run{ID: r.GetID(), Attempt: r.GetRunAttempt(), Status: r.GetStatus(), Conclusion: r.GetConclusion(), URL: r.GetHTMLURL()}
}
