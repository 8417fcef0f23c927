package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/render"
)

type deployOptions struct {
	head, on, only, plan, goal     string
	allowDestroy, rebuild, replace []string
	allowLockout                   []string
	yes, retryBad, acceptRunning   bool
	lockTimeout                    time.Duration
}

func newDeployCommand(s *shell) *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:     "deploy",
		Aliases: []string{"apply"},
		Short:   "Bring the fleet to a revision; put back what does not come up healthy",
		Long: `Creates what is missing at the provider, builds the hosts' systems, pushes and
switches them in waves. Nothing becomes a host's boot default before it has
proved healthy over a new connection.

Exit codes: 0 deployed · 1 error, no host changed · 3 a host was not deployed,
every touched host verified on a good system · 4 a host is unknown or degraded ·
5 refused (not approved, held, locked, protected) · 130 cancelled`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDeploy(cmd, s, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.head, "head", "", "revision to deploy (default: HEAD)")
	f.StringVar(&o.on, "on", "", "hosts: name, glob or @tag, separated by commas")
	f.StringVar(&o.only, "only", "", "infra or hosts: half of the deploy")
	f.StringVar(&o.plan, "plan", "", "do nothing that this plan (from plan --out) does not show")
	f.StringArrayVar(&o.allowDestroy, "allow-destroy", nil, "NAME or SECTION/NAME that may be destroyed or replaced (repeatable)")
	f.StringArrayVar(&o.rebuild, "rebuild", nil, "server whose disk is made anew from its image; keeps its addresses (repeatable)")
	f.StringArrayVar(&o.replace, "replace", nil, "server that is destroyed and made anew (repeatable)")
	f.StringVar(&o.goal, "goal", "switch", "switch, or keys: upload deployment.keys and nothing else")
	f.StringArrayVar(&o.allowLockout, "allow-lockout", nil, "host that is tried although the deploy could not log in to its new system (repeatable)")
	f.BoolVar(&o.retryBad, "retry-bad", false, "try a system again that was put back before")
	f.BoolVar(&o.acceptRunning, "accept-running", false, "deploy to hosts that run something else than their boot default")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	lockTimeout(f, &o.lockTimeout)
	s.evaluationFlags(f)
	return cmd
}

// goalOf reads --goal.
func goalOf(text string) (deploy.Goal, error) {
	switch text {
	case "switch":
		return deploy.GoalSwitch, nil
	case string(deploy.GoalKeys):
		return deploy.GoalKeys, nil
	default:
		return "", usage(fmt.Sprintf("--goal %s is not known", text), "Use switch or keys.")
	}
}

// lockTimeout adds the flag of all commands that change the fleet.
func lockTimeout(f *pflag.FlagSet, timeout *time.Duration) {
	f.DurationVar(timeout, "lock-timeout", 0, "how long to wait while another run works on the fleet (default: refuse at once)")
}

func runDeploy(cmd *cobra.Command, s *shell, o deployOptions) error {
	sink, done := s.sink()
	flow, on, err := s.open(o.on, sink)
	if err != nil {
		return err
	}
	only, err := onlyHalf(o.only)
	if err != nil {
		return err
	}
	goal, err := goalOf(o.goal)
	if err != nil {
		return err
	}
	plan, err := readPlan(o.plan)
	if err != nil {
		return err
	}
	result, err := flow.Deploy(cmd.Context(), deploy.Options{
		Head: o.head, On: on, Only: only, Plan: plan,
		AllowDestroy: o.allowDestroy, Rebuild: o.rebuild, Replace: o.replace,
		Goal: goal, AllowLockout: o.allowLockout, RetryBad: o.retryBad, AcceptRunning: o.acceptRunning,
		LockTimeout: o.lockTimeout, Draining: s.draining,
		Approve: func(i deploy.Intent) error {
			s.showIntent(i)
			return s.ask(o.yes, "Deploy?")
		},
	})
	done()
	return s.showResult(result, err)
}

// showIntent tells on stderr what a command is about to do.
func (s *shell) showIntent(i deploy.Intent) {
	commit := fmt.Sprintf("Commit %.12s", i.Revision.Commit)
	if len(i.Hosts) > 0 {
		commit += "  hosts " + strings.Join(i.Hosts, ", ")
	}
	_, _ = fmt.Fprintf(s.err, "%s\n\n", commit)
	_ = render.ChangesText(s.err, i.Resources, i.Cost, render.Options{Width: 80})
	_ = render.WarningsText(s.err, i.Warnings, render.Options{Width: 80})
}

// showResult prints a result and gives its exit code. An error is part of the
// result's text and not shown twice.
func (s *shell) showResult(result plans.Result, err error) error {
	s.code = result.ExitCode
	var showErr error
	switch s.format {
	case "json":
		showErr = render.ResultJSON(s.out, result)
	case "markdown":
		_, showErr = io.WriteString(s.out, render.ResultMarkdown(result, render.Budget{}))
	default:
		showErr = render.ResultText(s.out, result, s.textOptions())
	}
	if err != nil {
		return reported(err)
	}
	return showErr
}

// reported marks an error whose text was shown.
func reported(err error) error {
	if err == nil {
		return nil
	}
	return &reportedError{err: err}
}
