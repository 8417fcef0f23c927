package provision

import (
	"context"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// routes compares the routes of a network, once its servers are in it.
func (d *comparison) routes(network string, want fleet.Network) {
	if want.Existing {
		return
	}
	have := d.actual.Networks[network]
	if d.networkReplaced(network) {
		have = fleet.AccountNetwork{}
	}
	for _, w := range want.Routes {
		c := &change{Resource: plans.Resource{Kind: plans.KindRoute, Name: network + "/" + w.Destination, Action: plans.Create}}
		i := slices.IndexFunc(have.Routes, func(h fleet.Route) bool { return samePrefix(h.Destination, w.Destination) })
		if i >= 0 {
			if sameAddress(have.Routes[i].Gateway, w.Gateway) {
				continue
			}
			c.Action = plans.Replace
			c.risk(plans.RiskReplace, plans.RiskAccess)
			c.set(forced("gateway", have.Routes[i].Gateway, w.Gateway), deleteRoute(network, have.Routes[i], expand), addRoute(network, w))
			d.add(c)
			continue
		}
		attributes := []plans.Attribute{known("destination", "", w.Destination), known("gateway", "", w.Gateway)}
		var steps []step
		for _, h := range spareRoutes(want.Routes, have.Routes) {
			if overlaps(h.Destination, w.Destination) {
				c.Action = plans.Replace
				c.risk(plans.RiskReplace, plans.RiskAccess)
				attributes[0].Old = strings.TrimPrefix(attributes[0].Old+", "+h.Destination, ", ")
				attributes[0].Forces = true
				steps = append(steps, deleteRoute(network, h, expand))
			}
		}
		for _, h := range have.ForeignRoutes {
			if overlaps(h.Destination, w.Destination) {
				c.refuse("the network has a route to "+h.Destination+", which is not the fleet's",
					"Choose a destination that does not overlap it, or take it over with the network: flotilla adopt "+network)
			}
		}
		c.setAll(attributes, append(steps, addRoute(network, w))...)
		d.add(c)
	}
}

// destroyRoutes adds the routes that are no longer declared and are in no new
// one's way.
func (d *comparison) destroyRoutes(network string, want fleet.Network) {
	if want.Existing || d.networkReplaced(network) {
		return
	}
	for _, h := range spareRoutes(want.Routes, d.actual.Networks[network].Routes) {
		if slices.ContainsFunc(want.Routes, func(w fleet.Route) bool { return overlaps(w.Destination, h.Destination) }) {
			continue
		}
		c := &change{Resource: plans.Resource{Kind: plans.KindRoute, Name: network + "/" + h.Destination, Action: plans.Destroy}}
		c.risk(plans.RiskDestroy)
		c.setAll([]plans.Attribute{known("destination", h.Destination, ""), known("gateway", h.Gateway, "")}, deleteRoute(network, h, contract))
		d.add(c)
	}
}

// spareRoutes are those whose destination nobody declares.
func spareRoutes(want, have []fleet.Route) []fleet.Route {
	return slices.DeleteFunc(slices.Clone(have), func(h fleet.Route) bool {
		return slices.ContainsFunc(want, func(w fleet.Route) bool { return samePrefix(h.Destination, w.Destination) })
	})
}

// addRoute comes after the servers: one of them is the gateway.
func addRoute(network string, route fleet.Route) step {
	return step{
		after: []string{made(plans.KindNetwork, network), ranges(network), joined(network)}, holds: []ref{{plans.KindNetwork, network}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.AddRoute(ctx, r.id(plans.KindNetwork, network), route)
		},
	}
}

func deleteRoute(network string, route fleet.Route, ph phase) step {
	return step{
		phase: ph, gives: []string{unrouted(network)}, holds: []ref{{plans.KindNetwork, network}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.DeleteRoute(ctx, r.id(plans.KindNetwork, network), route)
		},
	}
}
