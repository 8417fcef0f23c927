package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
)

func newDestroyCommand(s *shell) *cobra.Command {
	var o deploy.DestroyOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "destroy",
		Short: "Take away all that the fleet owns at the provider",
		Long: `Shows all that would go, with the data and addresses that are lost, and asks for
the fleet's name. With --yes nobody is asked, and everything that holds data or
addresses has to be named with --allow-destroy. What is protected is never
destroyed: set delete_protection: false for it and deploy that first.

Exit codes: 0 destroyed · 1 error · 5 refused (not approved, locked, protected) ·
130 cancelled`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sink, done := s.sink()
			flow, err := s.flow(sink)
			if err != nil {
				return err
			}
			if !yes {
				o.Approve = s.approveDestroy
			}
			o.Draining = s.draining
			result, err := flow.Destroy(cmd.Context(), o)
			done()
			return s.showResult(result, err)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.AllowDestroy, "allow-destroy", nil, "with --yes: NAME or SECTION/NAME that may go (repeatable)")
	f.BoolVar(&yes, "yes", false, "do not ask")
	lockTimeout(f, &o.LockTimeout)
	return cmd
}

// approveDestroy asks for the fleet's name: yes is typed too easily.
func (s *shell) approveDestroy(i deploy.Intent) error {
	if len(i.Resources) == 0 {
		return nil
	}
	s.showIntent(i)
	return s.askFor(i.Fleet, fmt.Sprintf("All of this is destroyed for good. Type the fleet's name (%s) to go on: ", i.Fleet))
}
