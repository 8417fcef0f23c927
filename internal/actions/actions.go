// Package actions is the GitHub runner: which command an event asks for, the
// inputs, and where a job's outputs, summary and annotations go. It does not
// talk to GitHub itself.
package actions

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/sethvargo/go-githubactions"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Job is what a workflow asks for.
type Job struct {
	Command  string // plan, deploy, rollback, release
	Event    string // pull_request, push, …
	Base     string // revision to compare with; "": the first parent of the head
	Head     string // revision to plan or deploy
	FleetDir string // relative to the workspace
	On       string // selector, "" for all
	To       string // rollback target
	Reason   string
	RetryBad bool
	Only     string // "", infra or hosts
	By       string // who and which run, for locks and records

	AllowDestroy, Rebuild, Replace []string      // names of resources and servers
	LockTimeout                    time.Duration // how long to wait for the fleet's lock
}

// Commands that an input may name.
func commands() []string { return []string{"plan", "deploy", "rollback", "release"} }

// Runner is the job's surroundings.
type Runner struct {
	gh *githubactions.Action
}

// New gives the Runner of a job. getenv and out replace the process's
// environment and standard output.
func New(opts ...githubactions.Option) *Runner {
	return &Runner{gh: githubactions.New(opts...)}
}

// Job reads inputs and event. What it cannot make sense of is a problem with
// exit code 64.
func (r *Runner) Job(getenv func(string) string) (Job, error) {
	event := getenv("GITHUB_EVENT_NAME")
	if event == "" {
		return Job{}, usage("not inside a GitHub job: GITHUB_EVENT_NAME is not set",
			"On a laptop run the commands themselves: flotilla plan, flotilla deploy.")
	}
	ctx, err := r.gh.Context()
	if err != nil {
		return Job{}, &problem.Problem{Summary: "cannot read the job's context", Cause: err, Code: problem.Usage}
	}
	job := Job{
		Command:  r.gh.GetInput("command"),
		Event:    event,
		Head:     ctx.SHA,
		FleetDir: r.gh.GetInput("fleet-dir"),
		On:       r.gh.GetInput("on"),
		To:       r.gh.GetInput("to"),
		Reason:   r.gh.GetInput("reason"),
		By:       fmt.Sprintf("%s (%s run %d attempt %d)", ctx.Actor, ctx.Repository, ctx.RunID, ctx.RunAttempt),
	}
	if job.FleetDir == "" {
		job.FleetDir = "."
	}
	switch retry := r.gh.GetInput("retry-bad"); retry {
	case "", "false":
	case "true":
		job.RetryBad = true
	default:
		return Job{}, usage(fmt.Sprintf("input retry-bad is %q", retry), "Write true or false.")
	}
	if err := r.infrastructure(&job); err != nil {
		return Job{}, err
	}
	if err := job.fromEvent(ctx); err != nil {
		return Job{}, err
	}
	if !slices.Contains(commands(), job.Command) {
		return Job{}, usage(fmt.Sprintf("input command is %q", job.Command), "Write one of: "+strings.Join(commands(), ", ")+".")
	}
	if job.Command != "plan" && strings.HasPrefix(event, "pull_request") {
		return Job{}, usage(fmt.Sprintf("command %s in a %s job: a pull request is planned, never deployed", job.Command, event),
			"Deploy on push to the default branch.")
	}
	return job, nil
}

// infrastructure reads the inputs about resources at the provider.
func (r *Runner) infrastructure(job *Job) error {
	job.Only = r.gh.GetInput("only")
	if !slices.Contains([]string{"", "infra", "hosts"}, job.Only) {
		return usage(fmt.Sprintf("input only is %q", job.Only), "Write infra or hosts, or leave it out for both.")
	}
	job.AllowDestroy = names(r.gh.GetInput("allow-destroy"))
	job.Rebuild, job.Replace = names(r.gh.GetInput("rebuild")), names(r.gh.GetInput("replace"))
	if wait := r.gh.GetInput("lock-timeout"); wait != "" {
		var err error
		if job.LockTimeout, err = time.ParseDuration(wait); err != nil || job.LockTimeout < 0 {
			return usage(fmt.Sprintf("input lock-timeout is %q", wait), "Write a time such as 90s or 15m.")
		}
	}
	return nil
}

// names splits a list at commas and blanks.
func names(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// payload is the part of the event that is read.
type payload struct {
	Repository struct {
		DefaultBranch string `json:"default_branch"`
	} `json:"repository"`
	MergeGroup struct {
		BaseSHA string `json:"base_sha"`
		HeadSHA string `json:"head_sha"`
	} `json:"merge_group"`
	Deleted bool `json:"deleted"`
}

func (j *Job) fromEvent(ctx *githubactions.GitHubContext) error {
	raw, err := json.Marshal(ctx.Event)
	if err != nil {
		return &problem.Problem{Summary: "cannot read the event payload", Cause: err, Code: problem.Usage}
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return &problem.Problem{Summary: "the event payload has an unexpected form", Cause: err, Code: problem.Usage}
	}
	switch j.Event {
	case "pull_request_target":
		return &problem.Problem{
			Summary: "pull_request_target is refused: it would give the code of a pull request the rights of the default branch",
			Hints:   []string{"Use `on: pull_request`; a plan needs no secrets."},
			Code:    problem.Refused,
		}
	case "pull_request":
		// The checkout is the test merge commit: its first parent is the base
		// that it would be merged into, fresher than the payload's base.sha.
		j.setDefault("plan")
	case "merge_group":
		j.setDefault("plan")
		j.Base, j.Head = p.MergeGroup.BaseSHA, p.MergeGroup.HeadSHA
	case "push":
		if p.Deleted {
			return usage("the pushed branch was deleted: there is nothing to deploy", "Leave deleted branches out of the workflow's trigger.")
		}
		if branch := p.Repository.DefaultBranch; j.Command == "" && (branch == "" || ctx.Ref != "refs/heads/"+branch) {
			return usage(fmt.Sprintf("push to %s is not a push to the default branch %q", ctx.Ref, branch),
				"Limit the trigger to the default branch, or name the input command.")
		}
		j.setDefault("deploy")
	default:
		if j.Command == "" {
			return usage(fmt.Sprintf("event %s does not say what to do", j.Event), "Name the input command: "+strings.Join(commands(), ", ")+".")
		}
	}
	return nil
}

func (j *Job) setDefault(command string) {
	if j.Command == "" {
		j.Command = command
	}
}

func usage(summary, hint string) error {
	return &problem.Problem{Summary: summary, Hints: []string{hint}, Code: problem.Usage}
}
