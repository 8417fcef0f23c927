// Package actions is the GitHub runner: which command an event asks for, the
// inputs, and where a job's outputs, summary and annotations go. It does not
// talk to GitHub itself.
package actions

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/sethvargo/go-githubactions"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Runner is the job's surroundings.
type Runner struct {
	gh     *githubactions.Action
	getenv func(string) string
	out    io.Writer
	masked sync.Map // digests of what is masked already
}

// New gives the Runner of a job with this environment, whose commands go to out.
func New(getenv func(string) string, out io.Writer) *Runner {
	return &Runner{gh: githubactions.New(githubactions.WithGetenv(getenv), githubactions.WithWriter(out)), getenv: getenv, out: out}
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
		return Job{}, &problem.Problem{
			Summary: "cannot read the job's context", Cause: err, Code: problem.Usage,
			Hints: []string{"The event is read from the file that GITHUB_EVENT_PATH names: it must exist inside the container."},
		}
	}
	if event != "schedule" && ctx.Event == nil {
		return Job{}, usage("the event's payload is missing", "GITHUB_EVENT_PATH names a file that must exist inside the container.")
	}
	job := Job{Event: event, Head: ctx.SHA, GitHub: gitHubOf(ctx)}
	if err := r.inputs(&job); err != nil {
		return Job{}, err
	}
	if err := job.fromEvent(ctx); err != nil {
		return Job{}, err
	}
	if !slices.Contains(commands(), job.Command) {
		return Job{}, usage(fmt.Sprintf("input command is %q", job.Command), "Write one of: "+strings.Join(commands(), ", ")+".")
	}
	if strings.HasPrefix(event, "pull_request") && job.Command != "plan" {
		return Job{}, usage(fmt.Sprintf("command %s in a %s job: a pull request is planned, never deployed", job.Command, event),
			"Deploy on push to the default branch.")
	}
	return job, nil
}

// commands are those that an input may name.
func commands() []string {
	return []string{"plan", "deploy", "rollback", "release", "drift", "unlock"}
}

func usage(summary, hint string) error {
	return &problem.Problem{Summary: summary, Hints: []string{hint}, Code: problem.Usage}
}
