package cli

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/flotilla-nix/flotilla/internal/render"
)

func newVersionCommand(s *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(s.out, version())
			return err
		},
	}
}

// version is that of the release, else the module's version, and the commit as
// Go recorded them at build time.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "flotilla (unknown build)"
	}
	text := "flotilla " + cmp.Or(release, info.Main.Version)
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			text += fmt.Sprintf(" (commit %.12s)", setting.Value)
		}
	}
	return text
}

// textOptions fits text to the terminal that results go to, 80 columns and no
// color elsewhere.
func (s *shell) textOptions() render.Options {
	o := render.Options{Width: 80}
	if file, ok := s.out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 40 {
			o.Width = width
		}
		o.Color = s.getenv("NO_COLOR") == ""
	}
	return o
}

func joinErrors(all ...error) error { return errors.Join(all...) }
