package cli

import (
	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/job"
)

func newActionCommand(s *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "action",
		Short: "Run as a GitHub action: the event or the input command says what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			code, err := job.Run(cmd.Context(), job.Surroundings{Getenv: s.getenv, Out: s.out, Draining: s.draining, Cache: s.cache()})
			s.code = code
			if err != nil {
				return &reportedError{err: err}
			}
			return nil
		},
	}
}
