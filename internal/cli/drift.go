package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/render"
)

func newDriftCommand(s *shell) *cobra.Command {
	var o deploy.DriftOptions
	var on, only string
	cmd := &cobra.Command{
		Use:   "drift",
		Short: "Find what was changed by hand, at the provider and on hosts",
		Long: `Compares what exists at the provider with what the deployed revision declares, and
what hosts run and boot with their records. What is merged and not deployed yet,
and what is held, is told and is no drift. Nothing is changed; a token that may
only read is enough. While another run changes the fleet it does not look.

Exit codes: 0 no drift · 1 error, or something could not be looked at · 2 drift ·
5 another run changes the fleet · 64 usage`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sink, done := s.sink()
			flow, sel, err := s.open(on, sink)
			if err != nil {
				return err
			}
			if o.Only, err = onlyHalf(only); err != nil {
				return err
			}
			o.On = sel
			found, err := flow.Drift(cmd.Context(), o)
			done()
			if err != nil {
				return err
			}
			s.code = found.ExitCode()
			switch s.format {
			case "json":
				return render.DriftJSON(s.out, found)
			case "markdown":
				_, err = io.WriteString(s.out, render.DriftMarkdown(found, render.Budget{}))
				return err
			default:
				return render.DriftText(s.out, found, s.textOptions())
			}
		},
	}
	f := cmd.Flags()
	f.StringVar(&on, "on", "", "hosts: name, glob or @tag, separated by commas")
	f.StringVar(&only, "only", "", "infra or hosts: half of it")
	lockTimeout(f, &o.LockTimeout)
	return cmd
}
