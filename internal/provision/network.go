package provision

import (
	"context"
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// network compares a network and adds its subnets. Routes come later: their
// gateways are servers.
func (d *comparison) network(name string, want fleet.Network) {
	if want.Existing {
		return
	}
	have, there := d.actual.Networks[name]
	switch {
	case !there:
		d.add(d.createNetwork(name, want))
	case d.networkReplaced(name):
		d.add(d.replaceNetwork(name, want, have))
	default:
		d.add(d.updateNetwork(name, want, have))
	}
	d.subnets(name, want, have, there && !d.networkReplaced(name))
}

// networkReplaced tells whether all that is in a network leaves it and joins a
// new one: only a larger range with the same first address can be had in place.
func (d *comparison) networkReplaced(name string) bool {
	have, there := d.actual.Networks[name]
	want, declared := d.desired.Networks[name]
	return there && declared && !want.Existing && !samePrefix(want.IPRange, have.IPRange) && !widens(have.IPRange, want.IPRange)
}

func (d *comparison) createNetwork(name string, want fleet.Network) *change {
	c := &change{Resource: plans.Resource{Kind: plans.KindNetwork, Name: name, Action: plans.Create}}
	attributes := []plans.Attribute{known("ip_range", "", want.IPRange)}
	if want.ExposeRoutesToVSwitch {
		attributes = append(attributes, known("expose_routes_to_vswitch", "", "true"))
	}
	c.setAll(append(attributes, newLabels(want.Labels)...), createNetwork(name, want))
	d.protection(c, false, want.DeleteProtection)
	return c
}

func createNetwork(name string, want fleet.Network) step {
	return step{
		after: []string{nameFree(plans.KindNetwork, name)}, gives: []string{made(plans.KindNetwork, name), ranges(name)},
		do: func(ctx context.Context, r *run) error {
			id, err := r.provider.CreateNetwork(ctx, name, want)
			return r.made(plans.KindNetwork, name, id, err)
		},
	}
}

func (d *comparison) replaceNetwork(name string, want fleet.Network, have fleet.AccountNetwork) *change {
	c := d.begin(plans.KindNetwork, name)
	c.Action = plans.Replace
	c.risk(plans.RiskReplace, plans.RiskAccess)
	c.note("only a larger range with the same first address can be had in place; %s and join the new one", leave(d.members(name)))
	d.networkLost(c, name, have)
	del := remove(plans.KindNetwork, name, expand, have.DeleteProtection)
	del.after = []string{unreached(name)}
	c.set(forced("ip_range", have.IPRange, want.IPRange), del, createNetwork(name, want))
	if changes := labelChanges(have.Labels, want.Labels); len(changes) > 0 {
		c.setAll(changes)
	}
	if want.DeleteProtection {
		c.step(protect(plans.KindNetwork, name, true))
	}
	return c
}

func leave(members []string) string {
	if len(members) == 0 {
		return "all servers leave the network"
	}
	return strings.Join(members, ", ") + " leave the network"
}

func (d *comparison) updateNetwork(name string, want fleet.Network, have fleet.AccountNetwork) *change {
	c := d.begin(plans.KindNetwork, name)
	if !samePrefix(want.IPRange, have.IPRange) {
		c.set(known("ip_range", have.IPRange, want.IPRange), step{
			gives: []string{made(plans.KindNetwork, name)},
			do: func(ctx context.Context, r *run) error {
				return r.provider.WidenNetwork(ctx, r.id(plans.KindNetwork, name), want.IPRange)
			},
		})
	}
	if want.ExposeRoutesToVSwitch != have.ExposeRoutesToVSwitch {
		expose := step{do: func(ctx context.Context, r *run) error {
			return r.provider.ExposeRoutes(ctx, r.id(plans.KindNetwork, name), want.ExposeRoutesToVSwitch)
		}}
		if !want.ExposeRoutesToVSwitch {
			expose.phase = contract
		}
		c.set(known("expose_routes_to_vswitch", yes(have.ExposeRoutesToVSwitch), yes(want.ExposeRoutesToVSwitch)), expose)
	}
	d.labels(c, have.Labels, want.Labels)
	d.protection(c, have.DeleteProtection, want.DeleteProtection)
	return c
}

func (d *comparison) destroyNetwork(name string, have fleet.AccountNetwork) {
	if !have.Owned {
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindNetwork, Name: name, Action: plans.Destroy}}
	c.risk(plans.RiskDestroy)
	d.networkLost(c, name, have)
	del := remove(plans.KindNetwork, name, contract, false)
	del.after = []string{left(name)}
	c.set(known("ip_range", have.IPRange, ""), del)
	d.add(c)
}

// networkLost says what goes with a network, and refuses to take it from others.
func (d *comparison) networkLost(c *change, name string, have fleet.AccountNetwork) {
	for _, server := range sorted(d.actual.Servers) {
		if ip, in := d.actual.Servers[server].Networks[name]; in {
			c.lose(fmt.Sprintf("private address %s of %s", orChosen(ip), server))
		}
	}
	for _, lb := range sorted(d.actual.LoadBalancers) {
		if ip, in := d.actual.LoadBalancers[lb].Networks[name]; in {
			c.lose(fmt.Sprintf("private address %s of the load balancer %s", orChosen(ip), lb))
		}
	}
	for _, s := range have.ForeignSubnets {
		c.lose(fmt.Sprintf("subnet %s, which is not the fleet's", s.IPRange))
	}
	for _, r := range have.ForeignRoutes {
		c.lose(fmt.Sprintf("route to %s, which is not the fleet's", r.Destination))
	}
	if len(have.ForeignMembers) > 0 {
		c.refuse(fmt.Sprintf("%s are in it, which are not the fleet's, and would lose their private addresses", strings.Join(have.ForeignMembers, ", ")),
			"Take them out of the network first, or keep it.")
	}
}

// members names the servers and load balancers in a network.
func (d *comparison) members(network string) []string {
	var all []string
	for _, name := range sorted(d.actual.Servers) {
		if _, in := d.actual.Servers[name].Networks[network]; in {
			all = append(all, name)
		}
	}
	for _, name := range sorted(d.actual.LoadBalancers) {
		if _, in := d.actual.LoadBalancers[name].Networks[network]; in {
			all = append(all, name)
		}
	}
	return all
}

// orChosen is an address, also one that is not known.
func orChosen(ip string) string {
	if ip == "" {
		return "(chosen by the provider)"
	}
	return ip
}
