package provision

import (
	"context"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// targetText names a target, whatever way its traffic takes.
func targetText(t fleet.LoadBalancerTarget) string {
	switch {
	case t.Server != "":
		return t.Server
	case t.LabelSelector != "":
		return "label_selector " + t.LabelSelector
	default:
		return t.IP
	}
}

func sameTarget(a, b fleet.LoadBalancerTarget) bool {
	return a.Server == b.Server && a.LabelSelector == b.LabelSelector && sameAddress(a.IP, b.IP)
}

func way(t fleet.LoadBalancerTarget) string {
	if t.UsePrivateIP {
		return "private"
	}
	return "public"
}

// retarget takes targets off, before anything else is done to the load
// balancer, whose server or network is taken away in this run: those that are
// still wanted come back.
func (d *comparison) retarget(c *change, name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) {
	for _, h := range have.Targets {
		if !d.targetReturns(name, want.Targets, h, have) || d.leftOut(h.Server) {
			continue
		}
		s := d.removeTarget(name, h, expand)
		if h.Server != "" && !d.waitedFor(name, have) {
			s.after = append(s.after, orderable(h.Server))
		}
		for n := range have.Networks {
			s.gives = append(s.gives, unreached(n))
		}
		if c.Action == plans.Update && d.serverReplaced(h.Server) {
			c.note("%s gets no traffic until it is made anew", h.Server)
		}
		if c.Action != plans.Destroy && !slices.ContainsFunc(want.Targets, func(w fleet.LoadBalancerTarget) bool { return sameTarget(w, h) }) {
			c.set(known("targets."+targetText(h), way(h), ""), s)
			continue
		}
		c.step(s)
	}
}

// targetReturns tells whether a target is taken off before the hosts are
// touched: it is reached another way, or what it is reached by goes.
func (d *comparison) targetReturns(name string, want []fleet.LoadBalancerTarget, have fleet.LoadBalancerTarget, lb fleet.AccountLoadBalancer) bool {
	otherWay := func(w fleet.LoadBalancerTarget) bool {
		return sameTarget(w, have) && w.UsePrivateIP != have.UsePrivateIP
	}
	return slices.ContainsFunc(want, otherWay) || have.Server != "" && d.serverReplaced(have.Server) ||
		have.UsePrivateIP && d.rejoins(name, have.Server, lb)
}

// waitedFor tells whether what a new server needs first may wait for a load
// balancer's targets to be taken off: its network, or an address in it.
func (d *comparison) waitedFor(name string, lb fleet.AccountLoadBalancer) bool {
	for n := range lb.Networks {
		if d.networkReplaced(n) || slices.ContainsFunc(d.memberships(n), func(m membership) bool {
			return m.moves && m.who == ref{plans.KindLoadBalancer, name}
		}) {
			return true
		}
	}
	return false
}

// rejoins tells whether a load balancer, or one of its servers, leaves and
// joins the network through which the two know each other.
func (d *comparison) rejoins(name, server string, lb fleet.AccountLoadBalancer) bool {
	for n := range lb.Networks {
		if d.networkReplaced(n) {
			return true
		}
		for _, m := range d.memberships(n) {
			if m.moves && (m.who == ref{plans.KindLoadBalancer, name} || server != "" && m.who == ref{plans.KindServer, server}) {
				return true
			}
		}
	}
	return false
}

func (d *comparison) targets(c *change, name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) {
	for _, w := range want.Targets {
		i := slices.IndexFunc(have.Targets, func(h fleet.LoadBalancerTarget) bool { return sameTarget(w, h) })
		if d.leftOut(w.Server) || i >= 0 && !d.targetReturns(name, want.Targets, have.Targets[i], have) {
			continue
		}
		old := ""
		if i >= 0 {
			old = way(have.Targets[i])
		}
		c.set(known("targets."+targetText(w), old, way(w)), d.addTarget(name, w, want))
	}
	for _, h := range have.Targets {
		gone := !slices.ContainsFunc(want.Targets, func(w fleet.LoadBalancerTarget) bool { return sameTarget(w, h) })
		if gone && !d.leftOut(h.Server) && !d.targetReturns(name, want.Targets, h, have) {
			c.set(known("targets."+targetText(h), way(h), ""), d.removeTarget(name, h, contract))
		}
	}
}

// addTarget comes after both ends are in the network that they share.
func (d *comparison) addTarget(name string, t fleet.LoadBalancerTarget, want fleet.LoadBalancer) step {
	s := step{do: func(ctx context.Context, r *run) error {
		return r.provider.AddTarget(ctx, r.id(plans.KindLoadBalancer, name), t, r.target(t))
	}}
	if t.Server != "" {
		s.after = append(s.after, made(plans.KindServer, t.Server))
	}
	for _, n := range sorted(want.Networks) {
		if t.Server != "" {
			s.after = append(s.after, memberJoined(ref{plans.KindServer, t.Server}, n))
		} else if t.UsePrivateIP {
			s.after = append(s.after, joined(n))
		}
	}
	return s
}

func (d *comparison) removeTarget(name string, t fleet.LoadBalancerTarget, ph phase) step {
	s := step{phase: ph, do: func(ctx context.Context, r *run) error {
		return r.provider.RemoveTarget(ctx, r.id(plans.KindLoadBalancer, name), t, r.target(t))
	}}
	if t.Server != "" {
		s.gives = []string{untargeted(t.Server)}
	}
	return s
}

// target is the ID of the server that a target names, 0 if it names none.
func (r *run) target(t fleet.LoadBalancerTarget) int64 {
	if t.Server == "" {
		return 0
	}
	return r.id(plans.KindServer, t.Server)
}

// services compares by the port that is listened on.
func (d *comparison) services(c *change, name string, want fleet.LoadBalancer, have fleet.AccountLoadBalancer) {
	lb := func(r *run) int64 { return r.id(plans.KindLoadBalancer, name) }
	for _, w := range want.Services {
		attribute := "services." + port(w.ListenPort)
		onPort := func(s fleet.LoadBalancerService) bool { return s.ListenPort == w.ListenPort }
		i := slices.IndexFunc(have.Services, onPort)
		if i < 0 {
			if slices.ContainsFunc(have.ForeignServices, onPort) {
				c.refuse("it has a service on port "+port(w.ListenPort)+" that is not the fleet's",
					"Listen on another port, or take the load balancer over: "+"flotilla adopt "+name)
			}
			c.set(known(attribute, "", serviceText(w)), step{do: func(ctx context.Context, r *run) error { return r.provider.AddService(ctx, lb(r), w) }})
			continue
		}
		if changes := serviceChanges(attribute, have.Services[i], w); len(changes) > 0 {
			c.setAll(changes, step{do: func(ctx context.Context, r *run) error { return r.provider.UpdateService(ctx, lb(r), w) }})
		}
	}
	for _, h := range have.Services {
		if !slices.ContainsFunc(want.Services, func(w fleet.LoadBalancerService) bool { return w.ListenPort == h.ListenPort }) {
			c.risk(plans.RiskAccess)
			c.set(known("services."+port(h.ListenPort), serviceText(h), ""), step{phase: contract, do: func(ctx context.Context, r *run) error {
				return r.provider.DeleteService(ctx, lb(r), h.ListenPort)
			}})
		}
	}
}
