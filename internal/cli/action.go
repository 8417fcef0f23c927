package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/sethvargo/go-githubactions"
	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// planFile is where the action leaves the plan for later steps.
const planFile = "flotilla-plan.json"

func newActionCommand(s *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "action",
		Short: "Run as a GitHub action: the event or the input command says what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			runner := actions.New(githubactions.WithGetenv(s.getenv), githubactions.WithWriter(s.out))
			err := s.action(cmd.Context(), runner)
			if err != nil {
				runner.Annotate(err)
			}
			return err
		},
	}
}

func (s *shell) action(ctx context.Context, runner *actions.Runner) error {
	job, err := runner.Job(s.getenv)
	if err != nil {
		return err
	}
	on, err := selector(job.On)
	if err != nil {
		return err
	}
	if !filepath.IsLocal(job.FleetDir) {
		return usage(fmt.Sprintf("input fleet-dir is %q", job.FleetDir), "Name a folder below the workspace.")
	}
	workspace := s.getenv("GITHUB_WORKSPACE")
	if workspace == "" {
		return usage("GITHUB_WORKSPACE is not set", "Check the repository out before this step.")
	}
	s.config = filepath.Join(workspace, job.FleetDir)
	sink, done := s.sink()
	defer done()
	flow, err := s.flow(sink)
	if err != nil {
		return err
	}
	flow.By, flow.Secret = job.By, runner.Mask

	var result plans.Result
	switch job.Command {
	case "plan":
		return s.actionPlan(ctx, runner, flow, job, on)
	case "deploy":
		result, err = flow.Deploy(ctx, deploy.Options{
			Head: job.Head, On: on, Only: deploy.Only(job.Only), RetryBad: job.RetryBad,
			AllowDestroy: job.AllowDestroy, Rebuild: job.Rebuild, Replace: job.Replace,
			LockTimeout: job.LockTimeout, Draining: s.draining,
		})
	case "rollback", "release":
		if job.On == "" {
			return usage("input on is empty", `Name the hosts, or write "*" for all.`)
		}
		if job.Command == "release" {
			result, err = flow.Release(ctx, on, job.LockTimeout)
			break
		}
		result, err = flow.Rollback(ctx, deploy.RollbackOptions{On: on, To: job.To, Reason: job.Reason, LockTimeout: job.LockTimeout, Draining: s.draining})
	}
	s.code = result.ExitCode
	runner.Summary(render.ResultMarkdown(result, render.Budget{Bytes: actions.SummaryBytes}))
	var text strings.Builder
	if jsonErr := render.ResultJSON(&text, result); jsonErr != nil {
		return jsonErr
	}
	runner.Output("result", text.String())
	runner.Output("changed-hosts", hostList(result.Hosts, fleet.Deployed))
	runner.Output("rolled-back-hosts", hostList(result.Hosts, fleet.RolledBack))
	return joinErrors(render.ResultText(s.out, result, render.Options{Width: 120}), err)
}

func (s *shell) actionPlan(ctx context.Context, runner *actions.Runner, flow *deploy.Flow, job actions.Job, on fleet.Selector) error {
	plan, err := flow.Plan(ctx, deploy.PlanOptions{Base: job.Base, Head: job.Head, On: on, Only: deploy.Only(job.Only)})
	if err != nil {
		return err
	}
	path := filepath.Join(s.getenv("GITHUB_WORKSPACE"), planFile)
	if err := writeFile(path, func(w io.Writer) error { return render.PlanJSON(w, plan) }); err != nil {
		return err
	}
	runner.Output("plan", planFile)
	var changed []string
	for _, h := range plan.This.Hosts {
		changed = append(changed, h.Name)
	}
	runner.Output("changed-hosts", jsonList(changed))
	runner.Summary(render.PlanMarkdown(plan, render.Budget{Bytes: actions.SummaryBytes}))
	if !plan.Complete {
		s.code = problem.Failed
	}
	return render.PlanText(s.out, plan, render.Options{Width: 120})
}

func hostList(hosts []plans.HostResult, outcome fleet.Outcome) string {
	var names []string
	for _, h := range hosts {
		if h.Outcome == outcome {
			names = append(names, h.Host)
		}
	}
	return jsonList(names)
}

func jsonList(names []string) string {
	if names == nil {
		names = []string{}
	}
	b, err := json.Marshal(names)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(b)
}
