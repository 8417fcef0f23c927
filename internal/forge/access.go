package forge

import (
	"context"
	"fmt"
	"net/http"

	"github.com/google/go-github/v66/github"
)

// Access is what a person may do with the repository.
type Access string

// The kinds of access; maintain counts as Write, triage as Read.
const (
	Admin    Access = "admin"
	Write    Access = "write"
	Read     Access = "read"
	NoAccess Access = "none"
)

// CanWrite tells whether a person with this access may push.
func (a Access) CanWrite() bool { return a == Admin || a == Write }

// AccessOf tells what a person may do.
func (c *Client) AccessOf(ctx context.Context, login string) (Access, error) {
	access := NoAccess
	op := operation{what: "ask what " + fmt.Sprintf("%q", login) + " may do", needs: "contents: read", repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		got, resp, err := rest.Repositories.GetPermissionLevel(ctx, c.owner, c.name, login)
		if err == nil {
			access = Access(got.GetPermission())
		}
		return resp, err
	})
	if IsMissing(err) { // GitHub's answer for who is nobody to the repository
		return NoAccess, nil
	}
	return access, err
}

// React puts a reaction on a comment, "eyes" or "rocket", once.
func (c *Client) React(ctx context.Context, comment int64, content string) error {
	op := operation{what: "react to a comment", needs: canComment, repeats: true}
	return c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		_, resp, err := rest.Reactions.CreateIssueCommentReaction(ctx, c.owner, c.name, comment, content)
		return resp, err
	})
}

// BranchHead gives the commit that a branch is at.
func (c *Client) BranchHead(ctx context.Context, branch string) (string, error) {
	var sha string
	op := operation{what: "look where branch " + fmt.Sprintf("%q", branch) + " is", needs: "contents: read", repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		ref, resp, err := rest.Git.GetRef(ctx, c.owner, c.name, "heads/"+branch)
		sha = ref.GetObject().GetSHA()
		return resp, err
	})
	return sha, err
}

// Run is one attempt of a workflow run.
type Run struct {
	ID         int64
	Attempt    int
	Status     string // queued, in_progress, completed, waiting, …
	Conclusion string // success, failure, cancelled, …; "" while it is not over
	URL        string
}

// Over tells whether nothing of the run works any more.
func (r Run) Over() bool { return r.Status == "completed" }

// RunAttempt gives one attempt of a run; attempt 0: the last one. IsMissing of
// the error: it was deleted, is of another repository, or the token may not see it.
func (c *Client) RunAttempt(ctx context.Context, id int64, attempt int) (Run, error) {
	var run Run
	op := operation{what: fmt.Sprintf("look whether run %d is over", id), needs: "actions: read", repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		var got *github.WorkflowRun
		var resp *github.Response
		var err error
		if attempt > 0 {
			got, resp, err = rest.Actions.GetWorkflowRunAttempt(ctx, c.owner, c.name, id, attempt, nil)
		} else {
			got, resp, err = rest.Actions.GetWorkflowRunByID(ctx, c.owner, c.name, id)
		}
		run = runOf(got)
		return resp, err
	})
	if err == nil && run.ID != id {
		return Run{}, op.fail(&Error{Status: http.StatusOK, Message: "the answer is about another run"})
	}
	return run, err
}
