package provision

import (
	"context"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// comparison holds a fleet against an account and collects the changes.
type comparison struct {
	desired fleet.Fleet
	actual  fleet.Account // what is moved stands under its new name
	options Options
	renamed map[ref]string // the old names of what is moved
	changes []*change
	refused []error // what concerns no single change
}

// Diff gives what would change to make actual what desired says, in the order
// in which it will happen; what is destroyed stands last. An Update without
// attributes changes nothing: its Note says why an edit has no effect.
func Diff(desired fleet.Fleet, actual fleet.Account, o Options) []plans.Resource {
	var all []plans.Resource
	for _, c := range compare(desired, actual, o).changes {
		all = append(all, c.resource())
	}
	return all
}

func compare(desired fleet.Fleet, actual fleet.Account, o Options) *comparison {
	d := &comparison{desired: desired, options: o}
	d.actual, d.renamed, d.refused = moved(desired, actual)
	each(d.desired.SSHKeys, d.sshKey)
	each(d.desired.Networks, d.network)
	each(d.desired.PlacementGroups, d.placementGroup)
	each(d.desired.Firewalls, d.firewall)
	each(d.desired.PrimaryIPs, d.primaryIP)
	each(d.desired.Servers, d.server)
	each(d.desired.Networks, d.routes)
	each(d.desired.Volumes, d.volume)
	each(d.desired.LoadBalancers, d.loadBalancer)

	undeclared(d.actual.LoadBalancers, d.desired.LoadBalancers, d.destroyLoadBalancer)
	undeclared(d.actual.Servers, d.desired.Servers, d.destroyServer)
	undeclared(d.actual.Volumes, d.desired.Volumes, d.destroyVolume)
	undeclared(d.actual.PrimaryIPs, d.desired.PrimaryIPs, d.destroyPrimaryIP)
	each(d.desired.Networks, d.destroyRoutes)
	each(d.desired.Networks, d.destroySubnets)
	undeclared(d.actual.Networks, d.desired.Networks, d.destroyNetwork)
	undeclared(d.actual.Firewalls, d.desired.Firewalls, d.destroyFirewall)
	undeclared(d.actual.PlacementGroups, d.desired.PlacementGroups, d.destroyPlacementGroup)
	undeclared(d.actual.SSHKeys, d.desired.SSHKeys, d.destroySSHKey)
	d.guard()
	return d
}

// each calls f for all of a section, by name.
func each[T any](section map[string]T, f func(string, T)) {
	for _, name := range sorted(section) {
		f(name, section[name])
	}
}

// undeclared calls f for what exists and is not in flotilla.yaml.
func undeclared[A, D any](actual map[string]A, desired map[string]D, f func(string, A)) {
	for _, name := range sorted(actual) {
		if _, declared := desired[name]; !declared {
			f(name, actual[name])
		}
	}
}

// add takes a change into the plan, unless it is none.
func (d *comparison) add(c *change) {
	if !c.empty() {
		d.changes = append(d.changes, c)
	}
}

// begin starts the change of a resource that exists: with its new name, if it
// was moved.
func (d *comparison) begin(k plans.ResourceKind, name string) *change {
	c := &change{Resource: plans.Resource{Kind: k, Name: name, Action: plans.Update}}
	if old := d.renamed[c.ref()]; old != "" {
		c.set(known("name", old, name), step{
			after: []string{nameFree(k, name)}, gives: []string{nameFree(k, old)},
			do: func(ctx context.Context, r *run) error { return r.provider.Rename(ctx, k, r.id(k, name), name) },
		})
	}
	return c
}

// labels compares the user's labels. Labels with a prefix that the fleet does
// not declare are other tools' and no change. What selects by a label must not
// lose the resource before the hosts are well, so labels go only then.
func (d *comparison) labels(c *change, have, want map[string]string) {
	all := maps.Clone(want)
	if all == nil {
		all = map[string]string{}
	}
	var gained, lost []plans.Attribute
	for _, key := range sorted(want) {
		if old, ok := have[key]; !ok || old != want[key] {
			gained = append(gained, known("labels."+key, old, want[key]))
		}
	}
	for _, key := range sorted(have) {
		if _, ok := want[key]; !ok && !foreignLabel(key) {
			lost = append(lost, known("labels."+key, have[key], ""))
			all[key] = have[key]
		}
	}
	set := func(ph phase, labels map[string]string) step {
		return step{phase: ph, do: func(ctx context.Context, r *run) error {
			return r.provider.SetLabels(ctx, c.Kind, r.id(c.Kind, c.Name), labels)
		}}
	}
	if len(gained) > 0 {
		c.setAll(gained, set(expand, all))
	}
	if len(lost) > 0 {
		c.setAll(lost, set(contract, want))
	}
}

// newLabels shows the labels of what is created with them.
func newLabels(want map[string]string) []plans.Attribute {
	var all []plans.Attribute
	for _, key := range sorted(want) {
		all = append(all, known("labels."+key, "", want[key]))
	}
	return all
}

// dnsNames compares the names of addresses. fresh tells of an address (by
// family) that is new, so that it has no name yet whatever the old one had.
func (d *comparison) dnsNames(c *change, have, want map[string]string, fresh func(address string) bool) {
	set := func(ph phase, address, name string) step {
		return step{phase: ph, do: func(ctx context.Context, r *run) error {
			return r.provider.SetDNSPtr(ctx, c.Kind, r.id(c.Kind, c.Name), address, name)
		}}
	}
	for _, address := range sorted(want) {
		if old := have[address]; old != want[address] || fresh(address) {
			if fresh(address) {
				old = ""
			}
			c.set(known("dns_ptr."+address, old, want[address]), set(expand, address, want[address]))
		}
	}
	for _, address := range sorted(have) {
		if _, ok := want[address]; !ok && !fresh(address) {
			c.set(known("dns_ptr."+address, have[address], ""), set(contract, address, ""))
		}
	}
}

func never(string) bool { return false }

// protection keeps delete_protection in step. It comes last: nothing that is
// still to be done is kept from being done by it.
func (d *comparison) protection(c *change, have, want bool) {
	if have != want {
		c.set(known("delete_protection", yes(have), yes(want)), protect(c.Kind, c.Name, want))
	}
}

func protect(k plans.ResourceKind, name string, on bool) step {
	return step{do: func(ctx context.Context, r *run) error { return r.provider.SetProtection(ctx, k, r.id(k, name), on) }}
}

// remove deletes a resource; lift says that it is protected, which an allowed
// replacement ends.
func remove(k plans.ResourceKind, name string, ph phase, lift bool) step {
	return step{
		phase: ph, gives: []string{gone(k, name), nameFree(k, name)},
		do: func(ctx context.Context, r *run) error {
			if lift {
				if err := r.provider.SetProtection(ctx, k, r.id(k, name), false); err != nil {
					return err
				}
			}
			return r.provider.Delete(ctx, k, r.id(k, name))
		},
	}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func yes(b bool) string {
	if b {
		return "true"
	}
	return "false"
}
