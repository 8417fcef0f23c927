package provision_test

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// Of a volume that is destroyed, too, nobody is told that its data stays.
func TestVolumesOfADestroyedServer(t *testing.T) {
	w := applied(t, base())
	for _, c := range []struct {
		head fleet.Fleet
		want bool
	}{{fleet.Fleet{Name: "acme"}, false}, {without(base(), "db"), true}} {
		if !c.want {
			c.head.Volumes = nil
		}
		found := false
		for _, line := range provision.Diff(c.head, account(t, w, c.head), provision.Options{}) {
			if line.Kind == plans.KindServer && line.Name == "db" && line.Action == plans.Destroy {
				found = true
				if strings.Contains(line.Note, "its data stays") != c.want {
					t.Errorf("note: %q", line.Note)
				}
			}
		}
		if !found {
			t.Error("db is not destroyed")
		}
	}
}
