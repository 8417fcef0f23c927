package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/render"
)

type deployOptions struct {
	head, on                     string
	allowDestroy                 []string
	yes, retryBad, acceptRunning bool
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
	f.StringArrayVar(&o.allowDestroy, "allow-destroy", nil, "server that may be destroyed or replaced (repeatable)")
	f.BoolVar(&o.retryBad, "retry-bad", false, "try a system again that was put back before")
	f.BoolVar(&o.acceptRunning, "accept-running", false, "deploy to hosts that run something else than their boot default")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	return cmd
}

func runDeploy(cmd *cobra.Command, s *shell, o deployOptions) error {
	sink, done := s.sink()
	flow, on, err := s.open(o.on, sink)
	if err != nil {
		return err
	}
	result, err := flow.Deploy(cmd.Context(), deploy.Options{
		Head: o.head, On: on, AllowDestroy: o.allowDestroy, RetryBad: o.retryBad, AcceptRunning: o.acceptRunning,
		Draining: s.draining,
		Approve: func(i deploy.Intent) error {
			if !o.yes {
				_, _ = fmt.Fprint(s.err, intentText(i))
			}
			return s.ask(o.yes, "Deploy?")
		},
	})
	done()
	return s.showResult(result, err)
}

// intentText tells what a deploy is about to do.
func intentText(i deploy.Intent) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Commit %.12s\n", i.Revision.Commit)
	for _, r := range i.Resources {
		fmt.Fprintf(&b, "  %-8s %s %s\n", r.Action, r.Kind, r.Name)
	}
	fmt.Fprintf(&b, "  hosts    %s\n", strings.Join(i.Hosts, ", "))
	return b.String()
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
		return &reportedError{err: err}
	}
	return showErr
}
