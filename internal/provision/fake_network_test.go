package provision_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text).Masked() }

func (w *fake) CreateNetwork(ctx context.Context, name string, n fleet.Network) (int64, error) {
	return w.create(ctx, plans.KindNetwork, name, n.Labels, func(t *thing) error {
		t.Range, t.Expose, t.Subnets = n.IPRange, n.ExposeRoutesToVSwitch, slices.Clone(n.Subnets)
		return nil
	})
}

func (w *fake) WidenNetwork(ctx context.Context, id int64, ipRange string) error {
	return w.change(ctx, "widen", plans.KindNetwork, id, func(t *thing) error {
		if prefix(ipRange).Bits() > prefix(t.Range).Bits() || !prefix(ipRange).Contains(prefix(t.Range).Addr()) {
			return refusedf("%s does not hold %s", ipRange, t.Range)
		}
		t.Range = ipRange
		return nil
	})
}

func (w *fake) ExposeRoutes(ctx context.Context, id int64, on bool) error {
	return w.change(ctx, "expose", plans.KindNetwork, id, func(t *thing) error {
		t.Expose = on
		return nil
	})
}

func (w *fake) AddSubnet(ctx context.Context, id int64, s fleet.Subnet) error {
	return w.change(ctx, "add subnet "+s.IPRange, plans.KindNetwork, id, func(t *thing) error {
		if slices.Contains(t.Subnets, s) {
			return nil
		}
		if !prefix(t.Range).Overlaps(prefix(s.IPRange)) || prefix(t.Range).Bits() > prefix(s.IPRange).Bits() {
			return refusedf("subnet %s is not in %s", s.IPRange, t.Range)
		}
		for _, o := range t.Subnets {
			if prefix(o.IPRange).Overlaps(prefix(s.IPRange)) {
				return refusedf("subnet %s overlaps %s", s.IPRange, o.IPRange)
			}
		}
		t.Subnets = append(t.Subnets, s)
		return nil
	})
}

func (w *fake) DeleteSubnet(ctx context.Context, id int64, s fleet.Subnet) error {
	return w.change(ctx, "delete subnet "+s.IPRange, plans.KindNetwork, id, func(t *thing) error {
		if !slices.Contains(t.Subnets, s) {
			return nil
		}
		if slices.Contains(t.Foreign, s.IPRange) {
			w.violate("deletes the subnet %s, which is not the fleet's", s.IPRange)
		}
		for _, o := range w.all {
			if at, in := o.Nets[id]; in && prefix(s.IPRange).Contains(netip.MustParseAddr(at.IP)) {
				return refusedf("%s is in the subnet %s: servers are attached", o.Name, s.IPRange)
			}
		}
		for _, r := range t.Routes {
			if prefix(s.IPRange).Contains(netip.MustParseAddr(r.Gateway)) {
				return refusedf("the gateway of %s is in the subnet %s", r.Destination, s.IPRange)
			}
		}
		t.Subnets = slices.DeleteFunc(t.Subnets, func(o fleet.Subnet) bool { return o == s })
		return nil
	})
}

func (w *fake) AddRoute(ctx context.Context, id int64, r fleet.Route) error {
	return w.change(ctx, "add route "+r.Destination, plans.KindNetwork, id, func(t *thing) error {
		if slices.Contains(t.Routes, r) {
			return nil
		}
		for _, o := range t.Routes {
			if prefix(o.Destination).Overlaps(prefix(r.Destination)) {
				return refusedf("route to %s overlaps %s", r.Destination, o.Destination)
			}
		}
		member := false
		for _, o := range w.all {
			member = member || o.Nets[id].IP == r.Gateway
		}
		if !member {
			return refusedf("nobody in the network has the gateway's address %s", r.Gateway)
		}
		t.Routes = append(t.Routes, r)
		return nil
	})
}

func (w *fake) DeleteRoute(ctx context.Context, id int64, r fleet.Route) error {
	return w.change(ctx, "delete route "+r.Destination, plans.KindNetwork, id, func(t *thing) error {
		t.Routes = slices.DeleteFunc(t.Routes, func(o fleet.Route) bool { return o == r })
		return nil
	})
}

// join puts a server or load balancer into a network.
func (w *fake) join(t *thing, network int64, at fleet.Attachment) error {
	n, err := w.refer(plans.KindNetwork, network)
	if err != nil {
		return err
	}
	if old, in := t.Nets[network]; in {
		if at.IP == "" || at.IP == old.IP {
			return nil
		}
		return refusedf("%s is in the network already: server_already_attached", t.Name)
	}
	if len(n.Subnets) == 0 {
		return refusedf("no_subnet_available")
	}
	taken := map[string]bool{}
	for _, o := range w.all {
		if other, in := o.Nets[network]; in {
			taken[other.IP] = true
		}
	}
	if at.IP == "" {
		a := prefix(n.Subnets[0].IPRange).Addr().Next().Next()
		for ; taken[a.String()] || fixed(a); a = a.Next() {
		}
		at.IP = a.String()
	}
	inside := slices.ContainsFunc(n.Subnets, func(s fleet.Subnet) bool { return prefix(s.IPRange).Contains(netip.MustParseAddr(at.IP)) })
	if taken[at.IP] || !inside {
		return refusedf("ip_not_available: %s", at.IP)
	}
	t.Nets[network] = at
	return nil
}

// fixed keeps addresses that tests declare from being handed out.
func fixed(a netip.Addr) bool { return a.As4()[3] < 200 }

func (w *fake) AttachNetwork(ctx context.Context, server, network int64, at fleet.Attachment) error {
	return w.change(ctx, fmt.Sprintf("attach %d to network %d", server, network), plans.KindServer, server, func(t *thing) error {
		return w.join(t, network, at)
	})
}

func (w *fake) ChangeAliasIPs(ctx context.Context, server, network int64, ips []string) error {
	return w.change(ctx, "alias", plans.KindServer, server, func(t *thing) error {
		at, in := t.Nets[network]
		if !in {
			return refusedf("not attached")
		}
		at.AliasIPs = slices.Clone(ips)
		t.Nets[network] = at
		return nil
	})
}

func (w *fake) DetachNetwork(ctx context.Context, server, network int64) error {
	return w.change(ctx, "detach", plans.KindServer, server, func(t *thing) error {
		for _, o := range w.all {
			_, shared := o.Nets[network]
			if shared && slices.ContainsFunc(o.Targets, func(x fakeTarget) bool { return x.ID == server && x.UsePrivateIP }) {
				w.violate("%s leaves the network through which %s reaches it", t.Name, o.Name)
			}
		}
		delete(t.Nets, network)
		return nil
	})
}

func (w *fake) CreateFirewall(ctx context.Context, name string, f fleet.Firewall) (int64, error) {
	return w.create(ctx, plans.KindFirewall, name, f.Labels, func(t *thing) error {
		t.Rules, t.Apply = slices.Clone(f.Rules), slices.Clone(f.ApplyTo)
		return nil
	})
}

func (w *fake) SetRules(ctx context.Context, id int64, rules []fleet.FirewallRule) error {
	return w.change(ctx, "rules", plans.KindFirewall, id, func(t *thing) error {
		t.Rules = slices.Clone(rules)
		return nil
	})
}

func (w *fake) ApplyFirewall(ctx context.Context, id int64, to fleet.FirewallTarget) error {
	return w.call(ctx, "apply firewall", firewallHolds(id, to), func() error {
		f, err := w.refer(plans.KindFirewall, id)
		if err != nil {
			return err
		}
		if to.LabelSelector != "" {
			f.Apply = append(f.Apply, to.LabelSelector)
			return nil
		}
		s, err := w.get(plans.KindServer, to.Server)
		if err == nil && !slices.Contains(s.Firewalls, id) {
			s.Firewalls = append(s.Firewalls, id)
		}
		return err
	})
}

func (w *fake) RemoveFirewall(ctx context.Context, id int64, from fleet.FirewallTarget) error {
	return w.call(ctx, "remove firewall", firewallHolds(id, from), func() error {
		f, err := w.refer(plans.KindFirewall, id)
		if err != nil {
			return err
		}
		if slices.Contains(f.Foreign, from.LabelSelector) && from.LabelSelector != "" {
			w.violate("takes firewall %s off %s, which is not the fleet's", f.Name, from.LabelSelector)
		}
		f.Apply = slices.DeleteFunc(f.Apply, func(s string) bool { return s == from.LabelSelector })
		if s := w.all[from.Server]; s != nil {
			s.Firewalls = slices.DeleteFunc(s.Firewalls, func(x int64) bool { return x == id })
		}
		return nil
	})
}

func firewallHolds(id int64, t fleet.FirewallTarget) []string {
	if t.Server == 0 {
		return []string{hold(plans.KindFirewall, id)}
	}
	return []string{hold(plans.KindFirewall, id), hold(plans.KindServer, t.Server)}
}
