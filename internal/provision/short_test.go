package provision_test

import (
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// short is a plan with one line per resource: kind name action, attributes
// (! forces a replacement, ^ takes the server off), <risks>, # note.
func short(resources []plans.Resource) []string {
	var lines []string
	for _, r := range resources {
		line := fmt.Sprintf("%s %s %s", r.Kind, r.Name, r.Action)
		for _, a := range r.Attributes {
			after := a.New
			if !a.Known {
				after = "?"
			}
			line += fmt.Sprintf(" %s:%s→%s", a.Name, a.Old, after)
			if a.Forces {
				line += "!"
			}
			if a.Powers {
				line += "^"
			}
		}
		for _, risk := range r.Risks {
			line += " <" + string(risk) + ">"
		}
		if r.Note != "" {
			note, _, _ := strings.Cut(r.Note, ":")
			line += " # " + note
		}
		lines = append(lines, line)
	}
	return lines
}
