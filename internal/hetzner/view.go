package hetzner

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// view is how a fleet sees a project: by names, and by what is its own.
type view struct {
	c *Client
	f fleet.Fleet

	names        map[plans.ResourceKind]map[int64]string // of what the account has
	owned        map[plans.ResourceKind]map[int64]bool   // of these, the fleet's
	volumes      map[int64]string                        // names of all volumes
	stays        map[int64]bool                          // primary IPs that do not go with their owner
	applied      map[int64][]string                      // names of the firewalls applied to a server itself
	foreigners   map[int64][]string                      // network → names of those in it that are not the fleet's
	servers      map[int64]string                        // names of all servers
	certificates map[int64]string

	unmanaged []fleet.Unmanaged
	missing   []missing
	strangers []stranger
}

func newView(c *Client, f fleet.Fleet) *view {
	return &view{
		c: c, f: f, names: map[plans.ResourceKind]map[int64]string{}, owned: map[plans.ResourceKind]map[int64]bool{},
		volumes: map[int64]string{}, stays: map[int64]bool{}, applied: map[int64][]string{}, foreigners: map[int64][]string{},
		servers: map[int64]string{}, certificates: map[int64]string{},
	}
}

// name is the name that the account has for a resource; "#<id>" for one that is
// neither the fleet's nor referred to.
func (v *view) name(of plans.ResourceKind, id int64) string {
	if name, ok := v.names[of][id]; ok {
		return name
	}
	return fmt.Sprintf("#%d", id)
}

// lasting notes which addresses stay when their owner goes.
func (v *view) lasting(ips []*hcloud.PrimaryIP) {
	for _, ip := range ips {
		v.stays[ip.ID] = !ip.AutoDelete
	}
}

// addressName is AccountPublicNet's name of an address.
func (v *view) addressName(id int64) string {
	if _, known := v.names[plans.KindPrimaryIP][id]; known || v.stays[id] {
		return v.name(plans.KindPrimaryIP, id)
	}
	return ""
}

// members notes who is in which network, and which firewalls are applied where.
func (v *view) members(servers []*hcloud.Server, balancers []*hcloud.LoadBalancer, firewalls []*hcloud.Firewall) {
	for _, s := range servers {
		v.servers[s.ID] = s.Name
		for _, n := range s.PrivateNet {
			if !v.owned[plans.KindServer][s.ID] {
				v.foreigners[n.Network.ID] = append(v.foreigners[n.Network.ID], s.Name)
			}
		}
	}
	for _, l := range balancers {
		for _, n := range l.PrivateNet {
			if !v.owned[plans.KindLoadBalancer][l.ID] {
				v.foreigners[n.Network.ID] = append(v.foreigners[n.Network.ID], l.Name)
			}
		}
	}
	for _, f := range firewalls {
		for _, r := range f.AppliedTo {
			if r.Type == hcloud.FirewallResourceTypeServer && r.Server != nil {
				v.applied[r.Server.ID] = append(v.applied[r.Server.ID], f.Name)
			}
		}
	}
}

// nameCertificates reads the names of certificates if any of the fleet's load
// balancers has one.
func (v *view) nameCertificates(ctx context.Context, balancers []*hcloud.LoadBalancer) error {
	if !slices.ContainsFunc(balancers, func(l *hcloud.LoadBalancer) bool {
		return slices.ContainsFunc(l.Services, func(s hcloud.LoadBalancerService) bool { return len(s.HTTP.Certificates) > 0 })
	}) {
		return nil
	}
	all, err := listed(ctx, v.c, "listing the certificates", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Certificate, *hcloud.Response, error) {
		return v.c.api.Certificate.List(ctx, hcloud.CertificateListOpts{ListOpts: o})
	})
	for _, certificate := range all {
		v.certificates[certificate.ID] = certificate.Name
	}
	return err
}

func (v *view) account(p project) fleet.Account {
	slices.SortFunc(v.unmanaged, func(a, b fleet.Unmanaged) int {
		return cmp.Or(cmp.Compare(a.Section, b.Section), cmp.Compare(a.Name, b.Name))
	})
	a := fleet.Account{
		Networks: map[string]fleet.AccountNetwork{}, SSHKeys: map[string]fleet.AccountSSHKey{}, Servers: map[string]fleet.AccountServer{},
		Firewalls: map[string]fleet.AccountFirewall{}, PlacementGroups: map[string]fleet.AccountPlacementGroup{},
		Volumes: map[string]fleet.AccountVolume{}, PrimaryIPs: map[string]fleet.AccountPrimaryIP{},
		LoadBalancers: map[string]fleet.AccountLoadBalancer{}, Unmanaged: v.unmanaged,
	}
	for _, n := range p.networks {
		a.Networks[n.Name] = v.network(n)
	}
	for _, k := range p.keys {
		a.SSHKeys[k.Name] = fleet.AccountSSHKey{ID: k.ID, PublicKey: k.PublicKey, Owned: v.c.owns(k.Labels), Labels: userLabels(k.Labels)}
	}
	for _, s := range p.servers {
		a.Servers[s.Name] = v.server(s)
	}
	for _, f := range p.firewalls {
		a.Firewalls[f.Name] = v.firewall(f)
	}
	for _, g := range p.groups {
		a.PlacementGroups[g.Name] = fleet.AccountPlacementGroup{ID: g.ID, Owned: v.c.owns(g.Labels), Type: string(g.Type), Labels: userLabels(g.Labels)}
	}
	for _, o := range p.volumes {
		a.Volumes[o.Name] = v.volume(o)
	}
	for _, ip := range p.ips {
		a.PrimaryIPs[ip.Name] = v.primaryIP(ip)
	}
	for _, l := range p.balancers {
		a.LoadBalancers[l.Name] = v.balancer(l)
	}
	return a
}

// network of somebody else has only foreign parts.
func (v *view) network(n *hcloud.Network) fleet.AccountNetwork {
	owned := v.c.owns(n.Labels)
	a := fleet.AccountNetwork{
		ID: n.ID, Owned: owned, IPRange: n.IPRange.String(), ExposeRoutesToVSwitch: n.ExposeRoutesToVSwitch,
		DeleteProtection: n.Protection.Delete, Labels: userLabels(n.Labels), ForeignMembers: v.foreigners[n.ID],
	}
	for _, s := range n.Subnets {
		kind := string(s.Type)
		if kind == "server" { // the old word for the same
			kind = string(hcloud.NetworkSubnetTypeCloud)
		}
		subnet := fleet.Subnet{Type: kind, NetworkZone: string(s.NetworkZone), IPRange: s.IPRange.String(), VSwitchID: s.VSwitchID}
		if owned && has(n.Labels, subnetLabel(subnet.IPRange)) {
			a.Subnets = append(a.Subnets, subnet)
		} else {
			a.ForeignSubnets = append(a.ForeignSubnets, subnet)
		}
	}
	for _, r := range n.Routes {
		route := fleet.Route{Destination: r.Destination.String(), Gateway: r.Gateway.String()}
		if owned && has(n.Labels, routeLabel(route.Destination)) {
			a.Routes = append(a.Routes, route)
		} else {
			a.ForeignRoutes = append(a.ForeignRoutes, route)
		}
	}
	return a
}

func (v *view) firewall(f *hcloud.Firewall) fleet.AccountFirewall {
	a := fleet.AccountFirewall{ID: f.ID, Owned: v.c.owns(f.Labels), Rules: fleetRules(f.Rules), Labels: userLabels(f.Labels)}
	for _, r := range f.AppliedTo {
		switch {
		case r.LabelSelector != nil && a.Owned && has(f.Labels, selectorLabel(r.LabelSelector.Selector)):
			a.ApplyTo = append(a.ApplyTo, r.LabelSelector.Selector)
		case r.LabelSelector != nil:
			a.ForeignApplyTo = append(a.ForeignApplyTo, r.LabelSelector.Selector)
		case r.Server != nil && !v.owned[plans.KindServer][r.Server.ID]:
			a.ForeignServers = append(a.ForeignServers, cmp.Or(v.servers[r.Server.ID], fmt.Sprintf("#%d", r.Server.ID)))
		}
	}
	return a
}

func (v *view) volume(o *hcloud.Volume) fleet.AccountVolume {
	a := fleet.AccountVolume{
		ID: o.ID, Owned: v.c.owns(o.Labels), Size: o.Size, LinuxDevice: o.LinuxDevice,
		DeleteProtection: o.Protection.Delete, Labels: userLabels(o.Labels),
	}
	if o.Location != nil {
		a.Location = o.Location.Name
	}
	if o.Format != nil {
		a.Format = *o.Format
	}
	if o.Server != nil {
		a.Server = v.name(plans.KindServer, o.Server.ID)
	}
	return a
}

func (v *view) primaryIP(ip *hcloud.PrimaryIP) fleet.AccountPrimaryIP {
	m := describePrimaryIP(ip)
	a := fleet.AccountPrimaryIP{
		ID: ip.ID, Owned: v.c.owns(ip.Labels), Type: string(ip.Type), AutoDelete: ip.AutoDelete,
		DeleteProtection: ip.Protection.Delete, DNSPtr: pointers(ip.Labels, m.ipv4, m.ipv6, ip.DNSPtr), Labels: userLabels(ip.Labels),
	}
	if a.IP = m.ipv4.String(); m.ipv6 != nil {
		a.IP = m.ipv6.String()
	}
	if ip.Location != nil {
		a.Location = ip.Location.Name
	}
	if ip.AssigneeID != 0 {
		a.Server = fmt.Sprintf("#%d", ip.AssigneeID)
		if ip.AssigneeType == assigneeServer {
			a.Server = v.name(plans.KindServer, ip.AssigneeID)
		}
	}
	return a
}
