package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
)

func newUnlockCommand(s *shell) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "unlock",
		Short: "Show who holds the fleet's lock, and break it",
		Long: `Breaks the lock of a run that died a moment ago. A lock ends by itself when its
run does not renew it, and the next run breaks such a lock and says so.

Exit codes: 0 free now · 1 error · 5 not approved`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runUnlock(cmd, s, yes) },
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return cmd
}

func runUnlock(cmd *cobra.Command, s *shell, yes bool) error {
	sink, done := s.sink()
	defer done()
	flow, err := s.flow(sink)
	if err != nil {
		return err
	}
	unlocked, err := flow.Unlock(cmd.Context(), func(u deploy.Unlocked) error {
		_, _ = fmt.Fprintf(s.err, "The fleet %s is locked by %s\n", u.Fleet, u.Holder)
		return s.ask(yes, "If that run still works, both will change the fleet. Break its lock?")
	})
	if err != nil {
		return err
	}
	if s.format == "json" {
		return writeJSON(s, unlocked)
	}
	text := fmt.Sprintf("The fleet %s is not locked.", unlocked.Fleet)
	if unlocked.Broken {
		text = fmt.Sprintf("Broke the lock of %s.", unlocked.Holder)
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}
