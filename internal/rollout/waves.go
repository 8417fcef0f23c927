// Package rollout decides which host goes when: waves, how many hosts may be
// between activation and commit, and what one host's failure does to the rest.
// How a host is switched is not its business.
package rollout

import (
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// Waves sorts hosts (by name, with their tags) into waves. A host goes with
// the first selector that matches; those that none matches come last. Empty
// waves are left out, names are sorted.
func Waves(order []fleet.Selector, tags map[string][]string) [][]string {
	waves := make([][]string, len(order)+1)
	for host, t := range tags {
		i := slices.IndexFunc(order, func(s fleet.Selector) bool { return s.Match(host, t) })
		if i < 0 {
			i = len(order)
		}
		waves[i] = append(waves[i], host)
	}
	for _, w := range waves {
		slices.Sort(w)
	}
	return slices.DeleteFunc(waves, func(w []string) bool { return len(w) == 0 })
}
