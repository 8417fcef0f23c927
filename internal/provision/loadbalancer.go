package provision

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func (d *comparison) loadBalancer(name string, want fleet.LoadBalancer) {
	have, there := d.actual.LoadBalancers[name]
	var c *change
	switch {
	case !there:
		c = &change{Resource: plans.Resource{Kind: plans.KindLoadBalancer, Name: name, Action: plans.Create}}
		c.setAll(append(newLoadBalancer(want), newLabels(want.Labels)...), createLoadBalancer(name, want))
		d.fillLoadBalancer(c, name, want, fleet.AccountLoadBalancer{})
	case d.loadBalancerReplaced(name):
		c = d.replaceLoadBalancer(name, want, have)
	default:
		c = d.updateLoadBalancer(name, want, have)
	}
	d.add(c)
}

// loadBalancerReplaced tells whether a load balancer is destroyed and made
// anew: it cannot move.
func (d *comparison) loadBalancerReplaced(name string) bool {
	have, there := d.actual.LoadBalancers[name]
	want, declared := d.desired.LoadBalancers[name]
	if !there || !declared {
		return false
	}
	return want.Location != "" && have.Location != "" && want.Location != have.Location ||
		want.Location == "" && want.NetworkZone != "" && have.NetworkZone != "" && want.NetworkZone != have.NetworkZone
}

func newLoadBalancer(want fleet.LoadBalancer) []plans.Attribute {
	all := []plans.Attribute{known("load_balancer_type", "", want.Type)}
	for _, a := range []plans.Attribute{
		known("location", "", want.Location), known("network_zone", "", want.NetworkZone), known("algorithm", "", want.Algorithm),
	} {
		if a.New != "" {
			all = append(all, a)
		}
	}
	if want.PublicInterface {
		return append(all, plans.Attribute{Name: "ipv4"}, plans.Attribute{Name: "ipv6"})
	}
	return append(all, known("public_interface", "", "false"))
}

func createLoadBalancer(name string, want fleet.LoadBalancer) step {
	return step{
		after: []string{nameFree(plans.KindLoadBalancer, name)}, gives: []string{made(plans.KindLoadBalancer, name)},
		do: func(ctx context.Context, r *run) error {
			id, err := r.provider.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: name, LoadBalancer: want})
			return r.made(plans.KindLoadBalancer, name, id, err)
		},
	}
}

// fillLoadBalancer adds to a new load balancer what its order cannot hold.
func (d *comparison) fillLoadBalancer(c *change, name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) {
	d.loadBalancerNetworks(c, name, want, have)
	d.targets(c, name, want, have)
	if len(want.Networks) == 0 { // after the targets that are reached through it
		d.leaveNetworks(c, name, want, have, contract)
	}
	d.services(c, name, want, have)
	d.dnsNames(c, have.DNSPtr, want.DNSPtr, never)
	d.protection(c, have.DeleteProtection, want.DeleteProtection)
}

func (d *comparison) replaceLoadBalancer(name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) *change {
	c := d.begin(plans.KindLoadBalancer, name)
	c.Action = plans.Replace
	c.risk(plans.RiskReplace, plans.RiskAccess)
	loadBalancerLost(c, have)
	attribute := forced("network_zone", have.NetworkZone, want.NetworkZone)
	if want.Location != "" {
		attribute = forced("location", have.Location, want.Location)
	}
	attributes := append([]plans.Attribute{attribute, {Name: "ipv4", Old: have.IPv4}, {Name: "ipv6", Old: have.IPv6}}, labelChanges(have.Labels, want.Labels)...)
	c.setAll(attributes, d.endLoadBalancer(name, have, expand, have.DeleteProtection), createLoadBalancer(name, want))
	d.fillLoadBalancer(c, name, want, fleet.AccountLoadBalancer{})
	return c
}

func (d *comparison) updateLoadBalancer(name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) *change {
	c := d.begin(plans.KindLoadBalancer, name)
	lb := func(r *run) int64 { return r.id(plans.KindLoadBalancer, name) }
	d.retarget(c, name, want, have)
	if want.Type != have.Type {
		c.set(known("load_balancer_type", have.Type, want.Type), step{do: func(ctx context.Context, r *run) error {
			return r.provider.ChangeLoadBalancerType(ctx, lb(r), want.Type)
		}})
	}
	if want.Algorithm != "" && want.Algorithm != have.Algorithm {
		c.set(known("algorithm", have.Algorithm, want.Algorithm), step{do: func(ctx context.Context, r *run) error {
			return r.provider.SetAlgorithm(ctx, lb(r), want.Algorithm)
		}})
	}
	d.labels(c, have.Labels, want.Labels)
	if want.PublicInterface != have.PublicInterface {
		set := step{do: func(ctx context.Context, r *run) error {
			return r.provider.SetPublicInterface(ctx, lb(r), want.PublicInterface)
		}}
		if !want.PublicInterface {
			set.phase = contract
			c.risk(plans.RiskAccess)
		} else {
			c.risk(plans.RiskPort)
		}
		c.set(known("public_interface", yes(have.PublicInterface), yes(want.PublicInterface)), set)
	}
	d.fillLoadBalancer(c, name, want, have)
	return c
}

// loadBalancerNetworks compares the network that a load balancer is in. There
// is only one, so it leaves the old one before it joins another.
func (d *comparison) loadBalancerNetworks(c *change, name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) {
	me := ref{plans.KindLoadBalancer, name}
	if len(want.Networks) > 0 {
		d.leaveNetworks(c, name, want, have, expand)
	}
	for _, n := range sorted(want.Networks) {
		at := want.Networks[n]
		switch old, in := have.Networks[n]; {
		case in && d.networkReplaced(n):
			c.risk(plans.RiskAccess)
			c.set(attachment(n, orChosen(old), at), d.attach(c, me, n, at))
		case in && movesTo(at, old):
			c.risk(plans.RiskAccess)
			c.set(attachment(n, orChosen(old), at), d.detach(me, n, old, expand), d.attach(c, me, n, at))
		case !in:
			c.set(attachment(n, "", at), d.attach(c, me, n, at))
		}
	}
}

func (d *comparison) leaveNetworks(c *change, name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer, ph phase) {
	for _, n := range sorted(have.Networks) {
		if _, wanted := want.Networks[n]; !wanted && !foreign(n) {
			c.risk(plans.RiskAccess)
			c.set(known("networks."+n, orChosen(have.Networks[n]), ""), d.detach(ref{plans.KindLoadBalancer, name}, n, have.Networks[n], ph))
		}
	}
}

func (d *comparison) destroyLoadBalancer(name string, have fleet.AccountLoadBalancer) {
	c := &change{Resource: plans.Resource{Kind: plans.KindLoadBalancer, Name: name, Action: plans.Destroy}}
	c.risk(plans.RiskDestroy, plans.RiskAccess)
	loadBalancerLost(c, have)
	attributes := []plans.Attribute{known("load_balancer_type", have.Type, "")}
	for _, a := range []plans.Attribute{known("ipv4", have.IPv4, ""), known("ipv6", have.IPv6, "")} {
		if a.Old != "" {
			attributes = append(attributes, a)
		}
	}
	d.retarget(c, name, fleet.LoadBalancer{}, have)
	c.setAll(attributes, d.endLoadBalancer(name, have, contract, false))
	d.add(c)
}

func (d *comparison) endLoadBalancer(name string, have fleet.AccountLoadBalancer, ph phase, lift bool) step {
	del := remove(plans.KindLoadBalancer, name, ph, lift)
	for _, n := range sorted(have.Networks) {
		del.gives = append(del.gives, left(n), unreached(n), addressFree(n, have.Networks[n]))
	}
	for _, t := range have.Targets {
		if t.Server != "" {
			del.gives = append(del.gives, untargeted(t.Server))
		}
	}
	return del
}

func loadBalancerLost(c *change, have fleet.AccountLoadBalancer) {
	if have.IPv4 != "" {
		c.lose("IPv4 " + have.IPv4)
	}
	if have.IPv6 != "" {
		c.lose("IPv6 " + have.IPv6)
	}
	for _, n := range sorted(have.Networks) {
		c.lose("private address " + orChosen(have.Networks[n]) + " in " + n)
	}
	for _, s := range have.ForeignServices {
		c.lose("the service on port " + port(s.ListenPort) + ", which is not the fleet's")
	}
	for _, t := range have.ForeignTargets {
		c.lose("the target " + targetText(t) + ", which is not the fleet's")
	}
}
