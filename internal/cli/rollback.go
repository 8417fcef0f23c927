package cli

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
)

type rollbackOptions struct {
	on, to, reason   string
	all, dryRun, yes bool
	lockTimeout      time.Duration
}

func newRollbackCommand(s *shell) *cobra.Command {
	var o rollbackOptions
	cmd := &cobra.Command{
		Use:   "rollback (--on SELECTOR | --all)",
		Short: "Take hosts back to an older confirmed system and hold them there",
		Long: `Takes hosts back by the same way as a deploy: guard, activation, health checks,
commit. It evaluates and builds no system. The hosts are held: deploys leave
them alone until flotilla release.

Exit codes: as deploy`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runRollback(cmd, s, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.on, "on", "", "hosts: name, glob or @tag, separated by commas")
	f.BoolVar(&o.all, "all", false, "all hosts")
	f.StringVar(&o.to, "to", "previous", "previous, a generation number or a commit")
	f.StringVar(&o.reason, "reason", "", "why, kept in the history")
	f.BoolVar(&o.dryRun, "dry-run", false, "only say what it would go back to")
	f.BoolVar(&o.yes, "yes", false, "do not ask")
	lockTimeout(f, &o.lockTimeout)
	return cmd
}

func runRollback(cmd *cobra.Command, s *shell, o rollbackOptions) error {
	on, err := onOrAll(o.on, o.all)
	if err != nil {
		return err
	}
	sink, done := s.sink()
	flow, err := s.flow(sink)
	if err != nil {
		return err
	}
	result, err := flow.Rollback(cmd.Context(), deploy.RollbackOptions{
		On: on, To: o.to, Reason: o.reason, DryRun: o.dryRun, LockTimeout: o.lockTimeout, Draining: s.draining,
		Approve: func(targets map[string]fleet.Record) error {
			for _, host := range slices.Sorted(maps.Keys(targets)) {
				r := targets[host]
				_, _ = fmt.Fprintf(s.err, "%s goes back to commit %.12s, deployed %s (system %.8s)\n",
					host, r.Commit, r.At.Format("2006-01-02 15:04"), r.System.Hash())
			}
			return s.ask(o.yes || o.dryRun, "Roll back and hold?")
		},
	})
	done()
	return s.showResult(result, err)
}

// onOrAll wants exactly one of --on and --all, so that nobody rolls back a
// fleet by leaving out a flag.
func onOrAll(on string, all bool) (fleet.Selector, error) {
	if (on == "") == !all {
		return fleet.Selector{}, usage("name the hosts: either --on SELECTOR or --all")
	}
	return selector(on)
}

func newReleaseCommand(s *shell) *cobra.Command {
	var on string
	var all bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "release (--on SELECTOR | --all)",
		Short: "Let deploys reach held hosts again",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sel, err := onOrAll(on, all)
			if err != nil {
				return err
			}
			sink, done := s.sink()
			flow, err := s.flow(sink)
			if err != nil {
				return err
			}
			result, err := flow.Release(cmd.Context(), sel, timeout)
			done()
			return s.showResult(result, err)
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "hosts: name, glob or @tag, separated by commas")
	cmd.Flags().BoolVar(&all, "all", false, "all hosts")
	lockTimeout(cmd.Flags(), &timeout)
	return cmd
}
