package cli

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// ask asks for approval on the terminal. Without a terminal only --yes counts:
// a command that waits for an answer nobody gives must not hang, and one that
// was not approved must not run.
func (s *shell) ask(yes bool, question string) error {
	if yes {
		return nil
	}
	return s.askFor("yes", question+" Only yes goes on: ")
}

// askFor wants one word typed out.
func (s *shell) askFor(word, prompt string) error {
	if !s.interactive() {
		return &problem.Problem{Summary: "nobody to ask: not a terminal", Hints: []string{"Add --yes to go on without a question."}, Code: problem.Refused}
	}
	_, _ = fmt.Fprint(s.err, prompt)
	answer, err := bufio.NewReader(s.in).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != word {
		return &problem.Problem{Summary: "not approved, nothing was changed", Code: problem.Refused}
	}
	return nil
}

// dir gives the folder of flotilla.yaml.
func (s *shell) dir() (string, error) {
	path := s.config
	info, err := os.Stat(path)
	if err != nil {
		return "", usage(fmt.Sprintf("--config %s: %v", s.config, err))
	}
	if !info.IsDir() {
		if filepath.Base(path) != "flotilla.yaml" {
			return "", usage(fmt.Sprintf("--config %s: the file is named flotilla.yaml", s.config))
		}
		path = filepath.Dir(path)
	}
	return filepath.Abs(path)
}

// namesHosts refuses --on "" of every command: a variable that is empty by
// mistake must not mean all hosts.
func namesHosts(cmd *cobra.Command) error {
	if on := cmd.Flags().Lookup("on"); on != nil && on.Changed && on.Value.String() == "" {
		return usage("--on is empty", `Name the hosts (web, web-*, @tag), or leave --on out for all of them.`)
	}
	return nil
}

// selector parses --on.
func selector(text string) (fleet.Selector, error) {
	if text == "" {
		return fleet.Selector{}, nil
	}
	sel, err := fleet.ParseSelector(text)
	if err != nil {
		return sel, usage(err.Error())
	}
	return sel, nil
}
