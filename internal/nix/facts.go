package nix

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// writeFacts writes the facts of one server to its own file, so that a host
// reads those of the servers it asks for and no others.
func writeFacts(dir, server string, f fleet.ServerFacts) error {
	if server == "" || strings.HasPrefix(server, ".") || strings.ContainsAny(server, "/\x00") {
		return fmt.Errorf("facts: %q is no name of a server", server)
	}
	if f.Private == nil {
		f.Private = map[string]string{}
	}
	text, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("facts of %s: %w", server, err)
	}
	return os.WriteFile(filepath.Join(dir, server+".json"), text, 0o644) //nolint:gosec // no secret; evaluation may run under another uid
}
