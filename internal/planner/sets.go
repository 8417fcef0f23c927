package planner

import (
	"maps"
	"slices"
)

// added gives the elements of new that old lacks, in their order, each once.
func added(old, new []string) []string {
	var list []string
	for _, s := range new {
		if !slices.Contains(old, s) && !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}

// keysOfBoth gives the keys of either map, sorted.
func keysOfBoth[V any](a, b map[string]V) []string {
	both := map[string]bool{}
	for k := range a {
		both[k] = true
	}
	for k := range b {
		both[k] = true
	}
	return slices.Sorted(maps.Keys(both))
}
