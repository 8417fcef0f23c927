package planner

import (
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// packages compares lists of installed packages by name; several versions of
// one name stand side by side.
func packages(old, new []plans.InstalledPackage) []plans.Package {
	before, after := versions(old), versions(new)
	var list []plans.Package
	for _, name := range keysOfBoth(before, after) {
		if a, b := before[name], after[name]; !slices.Equal(a, b) {
			list = append(list, plans.Package{Name: name, Old: strings.Join(a, ", "), New: strings.Join(b, ", ")})
		}
	}
	return list
}

// unversioned stands for a version that a package does not tell, since "" is absence.
const unversioned = "installed"

func versions(list []plans.InstalledPackage) map[string][]string {
	byName := map[string][]string{}
	for _, p := range list {
		v := p.Version
		if v == "" {
			v = unversioned
		}
		if !slices.Contains(byName[p.Name], v) {
			byName[p.Name] = append(byName[p.Name], v)
		}
	}
	for _, v := range byName {
		slices.Sort(v)
	}
	return byName
}
