package provision

import (
	"fmt"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// moved gives the account with everything under the name that flotilla.yaml has
// for it now, and the old names of what is still to be renamed. A move that was
// made already, or whose resource is not there, says nothing.
func moved(desired fleet.Fleet, actual fleet.Account) (fleet.Account, map[ref]string, []error) {
	names := map[plans.ResourceKind]map[string]string{plans.KindSSHKey: renamedKeys(desired, actual)}
	for _, m := range desired.Moved {
		for _, k := range kinds() {
			if section(k) != m.Section || !exists(actual, ref{k, m.From}) {
				continue
			}
			if names[k] == nil {
				names[k] = map[string]string{}
			}
			names[k][m.From] = m.To
		}
	}
	var refused []error
	old := map[ref]string{}
	for _, k := range kinds() {
		for _, from := range sorted(names[k]) {
			to := names[k][from]
			if _, away := names[k][to]; exists(actual, ref{k, to}) && !away {
				refused = append(refused, taken(k, from, to))
				delete(names[k], from)
				continue
			}
			old[ref{k, to}] = from
		}
	}
	return renameAll(actual, names), old, refused
}

func taken(k plans.ResourceKind, from, to string) error {
	return &problem.Problem{
		Summary: fmt.Sprintf("%s %q cannot be renamed to %q: the fleet has one of that name", kindName(k), from, to),
		Hints:   []string{"Take the line out of moved:, or give it another name."},
		Code:    problem.Refused,
	}
}

// renamedKeys gives, by old name, the new name of SSH keys that are declared
// under another name than they have: a provider holds each public key once.
func renamedKeys(desired fleet.Fleet, actual fleet.Account) map[string]string {
	renamed := map[string]string{}
	for _, name := range sorted(desired.SSHKeys) {
		want := desired.SSHKeys[name]
		if _, there := actual.SSHKeys[name]; there || want.Existing {
			continue
		}
		for _, old := range sorted(actual.SSHKeys) {
			have := actual.SSHKeys[old]
			if _, stays := desired.SSHKeys[old]; !stays && have.Owned && renamed[old] == "" && samePublicKey(have.PublicKey, want.PublicKey) {
				renamed[old] = name
				break
			}
		}
	}
	return renamed
}

// exists tells whether the fleet has the resource.
func exists(a fleet.Account, r ref) bool {
	_, there := ids(a)[r]
	return there
}

// ids gives the provider's IDs of all that the fleet has or refers to.
func ids(a fleet.Account) map[ref]int64 {
	all := map[ref]int64{}
	for name, x := range a.SSHKeys {
		all[ref{plans.KindSSHKey, name}] = x.ID
	}
	for name, x := range a.Networks {
		all[ref{plans.KindNetwork, name}] = x.ID
	}
	for name, x := range a.Servers {
		all[ref{plans.KindServer, name}] = x.ID
	}
	for name, x := range a.Firewalls {
		all[ref{plans.KindFirewall, name}] = x.ID
	}
	for name, x := range a.PlacementGroups {
		all[ref{plans.KindPlacementGroup, name}] = x.ID
	}
	for name, x := range a.Volumes {
		all[ref{plans.KindVolume, name}] = x.ID
	}
	for name, x := range a.PrimaryIPs {
		all[ref{plans.KindPrimaryIP, name}] = x.ID
	}
	for name, x := range a.LoadBalancers {
		all[ref{plans.KindLoadBalancer, name}] = x.ID
	}
	return all
}

// renameAll puts resources, and what refers to them, under their new names.
func renameAll(a fleet.Account, names map[plans.ResourceKind]map[string]string) fleet.Account {
	to := func(k plans.ResourceKind) func(string) string {
		return func(name string) string {
			if n, ok := names[k][name]; ok {
				return n
			}
			return name
		}
	}
	network, server, ip := to(plans.KindNetwork), to(plans.KindServer), to(plans.KindPrimaryIP)
	a.SSHKeys = rekey(a.SSHKeys, to(plans.KindSSHKey))
	a.Networks = rekey(a.Networks, network)
	a.Servers = rekey(a.Servers, server)
	a.Firewalls = rekey(a.Firewalls, to(plans.KindFirewall))
	a.PlacementGroups = rekey(a.PlacementGroups, to(plans.KindPlacementGroup))
	a.Volumes = rekey(a.Volumes, to(plans.KindVolume))
	a.PrimaryIPs = rekey(a.PrimaryIPs, ip)
	a.LoadBalancers = rekey(a.LoadBalancers, to(plans.KindLoadBalancer))
	for name, s := range a.Servers {
		s.Networks, s.AliasIPs = rekey(s.Networks, network), rekey(s.AliasIPs, network)
		s.Firewalls, s.Volumes = renameList(s.Firewalls, to(plans.KindFirewall)), renameList(s.Volumes, to(plans.KindVolume))
		s.PlacementGroup = to(plans.KindPlacementGroup)(s.PlacementGroup)
		s.PublicNet.IPv4Name, s.PublicNet.IPv6Name = ip(s.PublicNet.IPv4Name), ip(s.PublicNet.IPv6Name)
		a.Servers[name] = s
	}
	for name, v := range a.Volumes {
		v.Server = server(v.Server)
		a.Volumes[name] = v
	}
	for name, p := range a.PrimaryIPs {
		p.Server = server(p.Server)
		a.PrimaryIPs[name] = p
	}
	for name, l := range a.LoadBalancers {
		l.Networks, l.Targets = rekey(l.Networks, network), slices.Clone(l.Targets)
		for i := range l.Targets {
			l.Targets[i].Server = server(l.Targets[i].Server)
		}
		a.LoadBalancers[name] = l
	}
	return a
}

func rekey[V any](m map[string]V, to func(string) string) map[string]V {
	out := make(map[string]V, len(m))
	for name, v := range maps.All(m) {
		out[to(name)] = v
	}
	return out
}

func renameList(names []string, to func(string) string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = to(name)
	}
	return out
}
