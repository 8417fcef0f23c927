// Package job is one run of the action in a GitHub job: inputs and event
// become a command, the flow carries it out, and what came of it is told where
// people look: comment, status, deployment, summary, annotations, outputs.
//
// Rules: a deploy that has begun never fails because GitHub is down (its
// reports go through a queue, and what was not told is in the log); nothing a
// pull request wrote is obeyed. Non-goals: what is deployed and how (package
// deploy), what texts look like (package render), the wire (package forge).
package job

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/render"
	"github.com/flotilla-nix/flotilla/internal/repo"
)

// Surroundings are what a job gives its step.
type Surroundings struct {
	Getenv   func(string) string
	Out      io.Writer // the job's log
	Draining <-chan struct{}
	Cache    nix.Cache // results of evaluations
	// Flow replaces what carries commands out; nil: deploy.Flow over the workspace.
	Flow func(dir, by string, sink progress.Sink) Flow
	// Wait waits between tries at GitHub; nil: a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// Grace is how long the end of a run waits at most until GitHub was told
	// everything; 0: forge.DefaultGrace.
	Grace time.Duration
}

// Flow carries out commands on a fleet.
type Flow interface {
	Plan(ctx context.Context, opts deploy.PlanOptions) (plans.Plan, error)
	Deploy(ctx context.Context, opts deploy.Options) (plans.Result, error)
	Rollback(ctx context.Context, opts deploy.RollbackOptions) (plans.Result, error)
	Release(ctx context.Context, on fleet.Selector, lockTimeout time.Duration) (plans.Result, error)
	Drift(ctx context.Context, opts deploy.DriftOptions) (plans.Drift, error)
	Unlock(ctx context.Context, approve func(deploy.Unlocked) error) (deploy.Unlocked, error)
}

// job is one run, filled in from top to bottom.
type job struct {
	Surroundings
	actions.Job
	runner    *actions.Runner
	on        fleet.Selector
	workspace string
	flow      Flow
	fleet     string // name, of the checkout's flotilla.yaml
	dir       string // of flotilla.yaml
	sink      *render.Grouped
	forge     *forge.Client // nil: there is no token
	queue     *forge.Queue
	answered  bool // the comment that asked has its answer
}

// Run carries out what event and inputs ask for and gives the exit code. The
// error was told already, in the log and as annotations: what it quotes may be
// a stranger's text, which the runner must not read as its commands.
func Run(ctx context.Context, s Surroundings) (problem.Code, error) {
	runner := actions.New(s.Getenv, s.Out)
	code, err := run(ctx, s, runner)
	if err != nil {
		_ = runner.Relay(func(w io.Writer) error { return render.ErrorText(w, err, render.Options{}) }) // the exit code tells it too
		runner.Annotate(err)
	}
	return code, err
}

func run(ctx context.Context, s Surroundings, runner *actions.Runner) (problem.Code, error) {
	asked, err := runner.Job(s.Getenv)
	if err != nil {
		return problem.OK, err
	}
	j := &job{Surroundings: s, Job: asked, runner: runner, workspace: s.Getenv("GITHUB_WORKSPACE")}
	sink := render.NewGrouped(s.Out)
	defer func() { _ = sink.Close() }()
	if err := j.prepare(sink); err != nil {
		return problem.OK, err
	}
	j.trustCache()
	j.queue = forge.NewQueue(ctx, forge.QueueOptions{Grace: s.Grace, Wait: s.Wait})
	code, err := j.carryOut(ctx)
	if j.Cache.Dir != "" {
		j.giveBack(j.Cache.Dir)
	}
	_ = sink.Close()
	j.settle(ctx)
	return code, err
}

func (j *job) carryOut(ctx context.Context) (problem.Code, error) {
	if j.Event == "issue_comment" {
		return j.obey(ctx)
	}
	return j.command(ctx)
}

func (j *job) command(ctx context.Context) (problem.Code, error) {
	j.flow = j.newFlow()
	if j.DryRun && j.Command != "rollback" {
		return problem.OK, usage("input dry-run is true for command "+j.Command, "Only a rollback can be tried without doing it; a plan shows what a deploy would do.")
	}
	switch j.Command {
	case "plan":
		return j.plan(ctx)
	case "deploy":
		return j.deploy(ctx)
	case "rollback", "release":
		return j.rollback(ctx)
	case "drift":
		return j.drift(ctx)
	default:
		return j.unlock(ctx)
	}
}

// prepare finds the fleet and GitHub.
func (j *job) prepare(sink *render.Grouped) error {
	var err error
	if j.on, err = selector(j.On); err != nil {
		return usage(fmt.Sprintf("input on: %v", err), "Write host names, globs or tags (@web), separated by commas.")
	}
	if j.workspace == "" {
		return usage("GITHUB_WORKSPACE is not set", "Check the repository out before this step.")
	}
	if !filepath.IsLocal(j.FleetDir) {
		return usage(fmt.Sprintf("input fleet-dir is %q", j.FleetDir), "Name a folder below the workspace.")
	}
	j.runner.Mask(j.Token)
	dir := filepath.Join(j.workspace, j.FleetDir)
	j.dir, j.sink = dir, sink
	j.nameFleet()
	if j.Token.IsZero() || j.GitHub.Repository == "" {
		j.runner.Notice("no token: nothing is told at GitHub except in this job's summary and log")
		return nil
	}
	j.forge, err = forge.New(forge.Options{
		API: j.GitHub.API, GraphQL: j.GitHub.GraphQL, Repository: j.GitHub.Repository, Token: j.Token, Wait: j.Wait,
	})
	return err
}

// newFlow gives what carries the command out.
func (j *job) newFlow() Flow {
	if j.Flow != nil {
		return j.Flow(j.dir, j.GitHub.By(), j.sink)
	}
	return &deploy.Flow{
		Dir: j.dir, Getenv: j.Getenv, Sink: j.sink, By: j.GitHub.By(), Secret: j.runner.Mask, Cache: j.Cache,
		Fetch: repo.Remote{URL: j.GitHub.Server + "/" + j.GitHub.Repository, Token: j.Token},
		Run:   j.GitHub.Run(), RunURL: j.GitHub.RunURL(), RunOver: j.runOver, CancelGrace: time.Second,
	}
}

// settle waits until GitHub knows everything, or gives up and tells the log.
func (j *job) settle(ctx context.Context) {
	limited, stop := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(j.Grace, forge.DefaultGrace))
	defer stop()
	go func() {
		select {
		case <-j.Draining:
		case <-ctx.Done():
		case <-limited.Done():
			return
		}
		select {
		case <-time.After(cancelGrace):
			stop()
		case <-limited.Done():
		}
	}()
	var untold []*problem.Problem
	for _, u := range j.queue.Close(limited) {
		first, rest, _ := strings.Cut(strings.TrimSpace(u.String()), "\n")
		untold = append(untold, &problem.Problem{Summary: first, Detail: rest})
	}
	j.runner.Warn(untold)
}

// cancelGrace is what is left for reports when the runner has asked us to go:
// it kills the job ten seconds after its first signal.
const cancelGrace = 2 * time.Second

// selector parses which hosts are meant; "" is all.
func selector(text string) (fleet.Selector, error) {
	if text == "" {
		return fleet.Selector{}, nil
	}
	return fleet.ParseSelector(text)
}

func usage(summary, hint string) error {
	return &problem.Problem{Summary: summary, Hints: []string{hint}, Code: problem.Usage}
}
