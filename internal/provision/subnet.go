package provision

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// subnets compares the subnets of a network. stays is false for a network that
// is made in this run: then they are made with it.
func (d *comparison) subnets(network string, want fleet.Network, have fleet.AccountNetwork, stays bool) {
	if !stays {
		for _, s := range want.Subnets {
			c := subnetChange(network, s, plans.Create)
			c.setAll(subnetAttributes(s), step{after: []string{made(plans.KindNetwork, network)}})
			d.add(c)
		}
		return
	}
	spare := spareSubnets(want.Subnets, have.Subnets)
	for _, w := range want.Subnets {
		i := slices.IndexFunc(have.Subnets, func(h fleet.Subnet) bool { return samePrefix(h.IPRange, w.IPRange) })
		if i >= 0 {
			d.changeSubnet(network, w, have.Subnets[i])
			continue
		}
		c := subnetChange(network, w, plans.Create)
		attributes := subnetAttributes(w)
		var steps []step
		for _, h := range spare { // a range that overlaps one that goes cannot be added before that is gone
			if overlaps(h.IPRange, w.IPRange) {
				c.Action = plans.Replace
				c.risk(plans.RiskReplace)
				attributes[0].Old = strings.TrimPrefix(attributes[0].Old+", "+h.IPRange, ", ")
				attributes[0].Forces = true
				d.inSubnet(c, network, h, true)
				steps = append(steps, deleteSubnet(network, h, expand))
			}
		}
		for _, h := range have.ForeignSubnets {
			if overlaps(h.IPRange, w.IPRange) {
				c.refuse(fmt.Sprintf("the network has the subnet %s, which is not the fleet's", h.IPRange),
					fmt.Sprintf("Choose a range that does not overlap it, or take it over with the network: flotilla adopt %s", network))
			}
		}
		c.setAll(attributes, append(steps, addSubnet(network, w))...)
		d.add(c)
	}
}

// changeSubnet replaces a subnet of which more than the range has changed.
func (d *comparison) changeSubnet(network string, want, have fleet.Subnet) {
	var attributes []plans.Attribute
	for _, a := range []plans.Attribute{
		forced("type", have.Type, want.Type), forced("network_zone", have.NetworkZone, want.NetworkZone),
		forced("vswitch_id", strconv.FormatInt(have.VSwitchID, 10), strconv.FormatInt(want.VSwitchID, 10)),
	} {
		if a.Old != a.New {
			attributes = append(attributes, a)
		}
	}
	if len(attributes) == 0 {
		return
	}
	c := subnetChange(network, want, plans.Replace)
	c.risk(plans.RiskReplace)
	d.inSubnet(c, network, have, true)
	c.setAll(attributes, deleteSubnet(network, have, expand), addSubnet(network, want))
	d.add(c)
}

// destroySubnets adds the subnets that are no longer declared and are in no
// new one's way.
func (d *comparison) destroySubnets(network string, want fleet.Network) {
	have, there := d.actual.Networks[network]
	if !there || want.Existing || d.networkReplaced(network) {
		return
	}
	for _, h := range spareSubnets(want.Subnets, have.Subnets) {
		if slices.ContainsFunc(want.Subnets, func(w fleet.Subnet) bool { return overlaps(w.IPRange, h.IPRange) }) {
			continue
		}
		c := subnetChange(network, h, plans.Destroy)
		c.risk(plans.RiskDestroy)
		d.inSubnet(c, network, h, false)
		c.set(known("ip_range", h.IPRange, ""), deleteSubnet(network, h, contract))
		d.add(c)
	}
}

// spareSubnets are those whose range nobody declares.
func spareSubnets(want, have []fleet.Subnet) []fleet.Subnet {
	return slices.DeleteFunc(slices.Clone(have), func(h fleet.Subnet) bool {
		return slices.ContainsFunc(want, func(w fleet.Subnet) bool { return samePrefix(h.IPRange, w.IPRange) })
	})
}

func subnetChange(network string, s fleet.Subnet, action plans.Action) *change {
	return &change{Resource: plans.Resource{Kind: plans.KindSubnet, Name: network + "/" + s.IPRange, Action: action}}
}

func subnetAttributes(s fleet.Subnet) []plans.Attribute {
	all := []plans.Attribute{known("ip_range", "", s.IPRange), known("type", "", s.Type), known("network_zone", "", s.NetworkZone)}
	if s.VSwitchID != 0 {
		all = append(all, known("vswitch_id", "", strconv.FormatInt(s.VSwitchID, 10)))
	}
	return all
}

func addSubnet(network string, s fleet.Subnet) step {
	return step{
		after: []string{made(plans.KindNetwork, network)}, gives: []string{ranges(network)}, holds: []ref{{plans.KindNetwork, network}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.AddSubnet(ctx, r.id(plans.KindNetwork, network), s)
		},
	}
}

func deleteSubnet(network string, s fleet.Subnet, ph phase) step {
	return step{
		phase: ph, after: []string{left(network), unrouted(network)}, holds: []ref{{plans.KindNetwork, network}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.DeleteSubnet(ctx, r.id(plans.KindNetwork, network), s)
		},
	}
}

// inSubnet refuses to take a subnet from under those who stay in it. soon: it
// goes before the hosts, so who leaves it only after them is still there.
func (d *comparison) inSubnet(c *change, network string, s fleet.Subnet, soon bool) {
	var users []string
	for _, m := range d.memberships(network) {
		stays := !m.moves && (m.wanted || soon)
		if stays && inRange(s.IPRange, m.ip) {
			users = append(users, m.who.name)
		}
	}
	if len(users) > 0 {
		c.refuse(strings.Join(users, ", ")+" is still in it",
			"Take them out of the network, or give them addresses of another subnet, and deploy; then change the subnet.")
	}
}

// membership is a server or load balancer that is in a network now.
type membership struct {
	who    ref
	ip     string
	wanted bool // it is to be in the network
	moves  bool // it leaves its address before the hosts are touched
}

func (d *comparison) memberships(network string) []membership {
	var all []membership
	for _, name := range sorted(d.actual.Servers) {
		if ip, in := d.actual.Servers[name].Networks[network]; in {
			at, wanted := d.desired.Servers[name].Networks[network]
			all = append(all, membership{
				who: ref{plans.KindServer, name}, ip: ip, wanted: wanted,
				moves: wanted && movesTo(at, ip) || d.serverReplaced(name),
			})
		}
	}
	for _, name := range sorted(d.actual.LoadBalancers) {
		if ip, in := d.actual.LoadBalancers[name].Networks[network]; in {
			at, wanted := d.desired.LoadBalancers[name].Networks[network]
			all = append(all, membership{
				who: ref{plans.KindLoadBalancer, name}, ip: ip, wanted: wanted,
				moves: wanted && movesTo(at, ip) || d.loadBalancerReplaced(name) ||
					!wanted && len(d.desired.LoadBalancers[name].Networks) > 0, // it can be in one only
			})
		}
	}
	return all
}

// movesTo tells whether an attachment wants another address than it has.
func movesTo(at fleet.Attachment, ip string) bool { return at.IP != "" && !sameAddress(at.IP, ip) }
