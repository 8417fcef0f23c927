package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/render"
)

func newAdoptCommand(s *shell) *cobra.Command {
	var o deploy.AdoptOptions
	var keys []string
	var yes bool
	cmd := &cobra.Command{
		Use:   "adopt (NAME… | --all)",
		Short: "Take over what exists at the provider and is declared",
		Long: `Makes servers, networks, volumes and so on that were made by Terraform or by
hand the fleet's own, by their names. Nothing but their labels is touched; what
differs from flotilla.yaml afterwards is shown, and changed by the next deploy.

Exit codes: as deploy`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, names []string) error {
			if (len(names) == 0) == !o.All {
				return usage("name what to adopt: either NAME… or --all")
			}
			var err error
			if o.HostKeys, err = hostKeys(keys); err != nil {
				return err
			}
			o.Names = names
			o.Approve = func(names []string) error {
				_, _ = fmt.Fprintf(s.err, "Taken over, by writing labels: %s\n", strings.Join(names, ", "))
				return s.ask(yes, "Adopt?")
			}
			return runAdopt(cmd, s, o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.All, "all", false, "all that is declared, exists and belongs to no fleet")
	f.StringArrayVar(&keys, "host-key", nil, "NAME='ssh-ed25519 AAAA…': SSH host key of a server (repeatable)")
	f.BoolVar(&yes, "yes", false, "do not ask")
	lockTimeout(f, &o.LockTimeout)
	return cmd
}

// hostKeys parses --host-key.
func hostKeys(values []string) (map[string]string, error) {
	keys := map[string]string{}
	for _, v := range values {
		name, key, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usage(fmt.Sprintf("--host-key %s", v), "Write NAME=KEY, for example --host-key 'web=ssh-ed25519 AAAA…'.")
		}
		keys[name] = key
	}
	return keys, nil
}

func runAdopt(cmd *cobra.Command, s *shell, o deploy.AdoptOptions) error {
	sink, done := s.sink()
	flow, err := s.flow(sink)
	if err != nil {
		return err
	}
	adopted, err := flow.Adopt(cmd.Context(), o)
	done()
	return s.showAdopted(adopted, err)
}

// showAdopted prints what was taken over, and what the next deploy would do.
func (s *shell) showAdopted(a deploy.Adopted, err error) error {
	if s.format == "json" {
		s.code = a.Result.ExitCode
		return joinErrors(render.AdoptedJSON(s.out, a.Result, a.Differs, a.Cost), reported(err))
	}
	if showErr := s.showResult(a.Result, err); showErr != nil {
		return showErr
	}
	if s.format == "markdown" {
		_, showErr := io.WriteString(s.out, render.DiffersMarkdown(a.Differs, a.Cost))
		return showErr
	}
	return render.DiffersText(s.out, a.Differs, a.Cost, s.textOptions())
}
