package cli

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/render"
)

func newStatusCommand(s *shell) *cobra.Command {
	var on string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what each host runs now",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flow, sel, err := s.open(on, progress.Discard)
			if err != nil {
				return err
			}
			status, err := flow.Status(cmd.Context(), sel)
			if err != nil {
				return err
			}
			for _, h := range status {
				if !h.Reachable {
					s.code = problem.Failed
				}
			}
			if s.format == "json" {
				return render.StatusJSON(s.out, status)
			}
			return render.StatusText(s.out, status, time.Now(), s.textOptions())
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "hosts: name, glob or @tag, separated by commas")
	return cmd
}

func newHistoryCommand(s *shell) *cobra.Command {
	var on string
	var n int
	cmd := &cobra.Command{
		Use:   "history",
		Short: "Show the hosts' deployments, newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flow, sel, err := s.open(on, progress.Discard)
			if err != nil {
				return err
			}
			history, err := flow.History(cmd.Context(), sel, n)
			if err != nil {
				return err
			}
			for _, h := range history {
				if h.Problem != "" {
					s.code = problem.Failed
				}
			}
			if s.format == "json" {
				return render.HistoryJSON(s.out, history)
			}
			return render.HistoryText(s.out, history, time.Now(), s.textOptions())
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "hosts: name, glob or @tag, separated by commas")
	cmd.Flags().IntVarP(&n, "lines", "n", 10, "records per host")
	return cmd
}
