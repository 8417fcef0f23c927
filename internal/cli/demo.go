package cli

import (
	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/lab"
)

func newDemoCommand(s *shell) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show the product on this machine: a fleet planned, deployed, broken, rolled back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return lab.Demo(cmd.Context(), lab.DemoOptions{Out: out, Stdout: s.out, Stderr: s.err})
		},
	}
	cmd.Flags().StringVar(&out, "out", "demo-out", "folder for the rendered plan")
	return cmd
}
