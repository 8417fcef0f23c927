package deploy

import (
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// declares tells whether a fleet wants to own a resource of this name.
func declares(f fleet.Fleet, section, name string) bool {
	switch section {
	case "servers":
		_, ok := f.Servers[name]
		return ok
	case "load_balancers":
		_, ok := f.LoadBalancers[name]
		return ok
	case "networks":
		n, ok := f.Networks[name]
		return ok && !n.Existing
	case "ssh_keys":
		k, ok := f.SSHKeys[name]
		return ok && !k.Existing
	case "firewalls":
		w, ok := f.Firewalls[name]
		return ok && !w.Existing
	case "placement_groups":
		g, ok := f.PlacementGroups[name]
		return ok && !g.Existing
	case "volumes":
		v, ok := f.Volumes[name]
		return ok && !v.Existing
	case "primary_ips":
		p, ok := f.PrimaryIPs[name]
		return ok && !p.Existing
	default:
		return false
	}
}

// nameClashes refuses to make what has the name of something that is not the
// fleet's: names are unique in a project.
func nameClashes(f fleet.Fleet, account fleet.Account) error {
	var clashes []error
	for _, u := range account.Unmanaged {
		if !declares(f, u.Section, u.Name) {
			continue
		}
		what := noun(u.Section)
		p := &problem.Problem{Summary: fmt.Sprintf("the project has %s %q that is not this fleet's", what, u.Name), Code: problem.Refused}
		if u.Fleet != "" {
			p.Summary = fmt.Sprintf("the project has %s %q that belongs to the fleet %q", what, u.Name, u.Fleet)
			p.Hints = []string{fmt.Sprintf("Give one of the two another name in its %s, or use a project of its own.", configFile)}
		} else {
			p.Hints = []string{fmt.Sprintf("Take it over: flotilla adopt %s. Or give yours another name in %s.", u.Name, configFile)}
			if u.Section != "servers" && u.Section != "load_balancers" {
				p.Hints = append(p.Hints, "Or refer to it without owning it: existing: true.")
			}
		}
		clashes = append(clashes, p)
	}
	return joinProblems(clashes)
}

// noun is one resource of a section in words, with its article.
func noun(section string) string {
	one := strings.TrimSuffix(nouns(section), "s")
	if section == "ssh_keys" {
		return "an " + one
	}
	return "a " + one
}

// nouns are the resources of a section in words.
func nouns(section string) string {
	return strings.NewReplacer("_", " ", "ssh", "SSH", "ips", "IPs").Replace(section)
}

// gapsOf gives one gap per problem.
func gapsOf(subject string, err error) []plans.Gap {
	var gaps []plans.Gap
	for _, p := range problem.All(err) {
		gaps = append(gaps, gap(subject, p))
	}
	return gaps
}
