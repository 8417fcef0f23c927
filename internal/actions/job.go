package actions

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sethvargo/go-githubactions"

	"github.com/flotilla-nix/flotilla/internal/secret"
)

// Job is what a workflow asks for: inputs and event together.
type Job struct {
	Command  string // plan, deploy, rollback, release, drift, unlock
	Event    string // pull_request, push, …
	Base     string // revision to compare with; "": the first parent of the head
	Head     string // revision to plan or deploy
	FleetDir string // relative to the workspace
	On       string // selector, "" for all
	To       string // rollback target
	Reason   string
	Only     string // "", infra or hosts

	AllowDestroy, AllowLockout, Rebuild, Replace []string      // names of resources, hosts and servers
	LockTimeout                                  time.Duration // how long to wait for the fleet's lock

	RetryBad bool
	// AcceptRunning deploys to hosts that run something else than their boot default.
	AcceptRunning bool
	DryRun        bool // rollback: only say what it would go back to
	Confirm       bool // deploy what no pull request showed
	Comment       bool // keep comments on pull requests
	ChatOps       bool // obey comments

	Environment    string // "": the fleet's name
	EnvironmentURL string
	PlanWorkflow   string // file name of the workflow that plans, for ChatOps
	Branch         string // deploys come from it; "": not known
	Token          secret.String

	Pull Pull // of pull_request and issue_comment
	Said Said // of issue_comment

	GitHub GitHub
}

// Pull is the pull request of an event.
type Pull struct {
	Number  int    // 0: none
	HeadSHA string // of its own branch, not of the test merge
	Fork    bool   // its head is in another repository, or in one that is gone
	Closed  bool
}

// Said is a comment on a pull request or issue.
type Said struct {
	ID     int64
	Body   string // untrusted
	Author string // login
	New    bool   // created by this event, not edited or deleted
}

// GitHub is where the job runs.
type GitHub struct {
	API, GraphQL, Server string // URLs; "": github.com's
	Repository           string // owner/name
	Actor                string // login of who started this attempt
	Owner                string // login of who started the first one: its rights are the token's
	Ref                  string // refs/heads/…
	RunID                int64
	Attempt              int
}

// Run names this run and attempt: "1234/1".
func (g GitHub) Run() string { return fmt.Sprintf("%d/%d", g.RunID, g.Attempt) }

// RunURL is the page of this run and attempt.
func (g GitHub) RunURL() string {
	return fmt.Sprintf("%s/%s/actions/runs/%d/attempts/%d", g.Server, g.Repository, g.RunID, g.Attempt)
}

// By names who runs this, for locks and records.
func (g GitHub) By() string {
	return fmt.Sprintf("%s (%s run %d attempt %d)", g.Actor, g.Repository, g.RunID, g.Attempt)
}

func gitHubOf(ctx *githubactions.GitHubContext) GitHub {
	return GitHub{
		API: ctx.APIURL, GraphQL: ctx.GraphqlURL, Server: cmp.Or(ctx.ServerURL, "https://github.com"),
		Repository: ctx.Repository, Actor: cmp.Or(ctx.TriggeringActor, ctx.Actor), Owner: ctx.Actor, Ref: ctx.Ref,
		RunID: ctx.RunID, Attempt: int(max(ctx.RunAttempt, 1)),
	}
}
