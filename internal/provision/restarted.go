package provision

import (
	"slices"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Restarted names the servers that Expand powers off, rebuilds or replaces:
// the deploy waits until they answer again.
func Restarted(changes []plans.Resource) []string {
	var names []string
	for _, r := range changes {
		off := slices.ContainsFunc(r.Attributes, func(a plans.Attribute) bool { return a.Powers || a.Name == "status" })
		if r.Kind == plans.KindServer && (r.Action == plans.Rebuild || r.Action == plans.Replace || r.Action == plans.Update && off) {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}
