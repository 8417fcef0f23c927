package render

import (
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// keysPut names the deployment keys that were put on each host.
func keysPut(hosts []plans.HostResult) []plans.Gap {
	var out []plans.Gap
	for _, h := range hosts {
		if len(h.Keys) > 0 {
			out = append(out, plans.Gap{Subject: h.Host, Text: strings.Join(h.Keys, ", ")})
		}
	}
	return out
}
