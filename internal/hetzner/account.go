package hetzner

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// project is all that a project has, of the kinds that a fleet may declare.
type project struct {
	keys      []*hcloud.SSHKey
	networks  []*hcloud.Network
	servers   []*hcloud.Server
	firewalls []*hcloud.Firewall
	groups    []*hcloud.PlacementGroup
	volumes   []*hcloud.Volume
	ips       []*hcloud.PrimaryIP
	balancers []*hcloud.LoadBalancer
}

// Account reads what exists and belongs to the fleet, and what flotilla.yaml
// refers to with existing: true, with one list per kind, side by side. What is
// neither is in Unmanaged. What is referred to and does not exist is an error.
func (c *Client) Account(ctx context.Context, f fleet.Fleet) (fleet.Account, error) {
	p, err := c.project(ctx)
	if err != nil {
		return fleet.Account{}, err
	}
	v := newView(c, f)
	p.networks = pick(v, plans.KindNetwork, "networks", p.networks, describeNetwork, existing(f.Networks, func(n fleet.Network) bool { return n.Existing }))
	p.keys = pick(v, plans.KindSSHKey, "ssh_keys", p.keys, describeKey, existing(f.SSHKeys, func(k fleet.SSHKey) bool { return k.Existing }))
	allServers, allBalancers := p.servers, p.balancers
	p.servers = pick(v, plans.KindServer, "servers", p.servers, describeServer, nil)
	p.firewalls = pick(v, plans.KindFirewall, "firewalls", p.firewalls, describeFirewall, existing(f.Firewalls, func(w fleet.Firewall) bool { return w.Existing }))
	p.groups = pick(v, plans.KindPlacementGroup, "placement_groups", slices.DeleteFunc(p.groups, isLock), describeGroup,
		existing(f.PlacementGroups, func(g fleet.PlacementGroup) bool { return g.Existing }))
	for _, volume := range p.volumes {
		v.volumes[volume.ID] = volume.Name
	}
	p.volumes = pick(v, plans.KindVolume, "volumes", p.volumes, describeVolume, existing(f.Volumes, func(o fleet.Volume) bool { return o.Existing }))
	declaredIPs := existing(f.PrimaryIPs, func(i fleet.PrimaryIP) bool { return i.Existing })
	p.ips = slices.DeleteFunc(p.ips, func(ip *hcloud.PrimaryIP) bool { return goesAlong(ip) && !c.owns(ip.Labels) && !declaredIPs[ip.Name] })
	v.lasting(p.ips)
	p.ips = pick(v, plans.KindPrimaryIP, "primary_ips", p.ips, describePrimaryIP, declaredIPs)
	p.balancers = pick(v, plans.KindLoadBalancer, "load_balancers", p.balancers, describeBalancer, nil)
	if err := v.absent(); err != nil {
		return fleet.Account{}, err
	}
	c.strangers.are(v.strangers)
	v.members(allServers, allBalancers, p.firewalls)
	if err := v.nameCertificates(ctx, p.balancers); err != nil {
		return fleet.Account{}, err
	}
	return v.account(p), nil
}

// project lists everything.
func (c *Client) project(ctx context.Context) (project, error) {
	var p project
	group, ctx := errgroup.WithContext(ctx)
	list(ctx, c, group, "SSH keys", &p.keys, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.SSHKey, *hcloud.Response, error) {
		return c.api.SSHKey.List(ctx, hcloud.SSHKeyListOpts{ListOpts: o})
	})
	list(ctx, c, group, "networks", &p.networks, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Network, *hcloud.Response, error) {
		return c.api.Network.List(ctx, hcloud.NetworkListOpts{ListOpts: o})
	})
	list(ctx, c, group, "servers", &p.servers, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Server, *hcloud.Response, error) {
		return c.api.Server.List(ctx, hcloud.ServerListOpts{ListOpts: o})
	})
	list(ctx, c, group, "firewalls", &p.firewalls, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Firewall, *hcloud.Response, error) {
		return c.api.Firewall.List(ctx, hcloud.FirewallListOpts{ListOpts: o})
	})
	list(ctx, c, group, "placement groups", &p.groups, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.PlacementGroup, *hcloud.Response, error) {
		return c.api.PlacementGroup.List(ctx, hcloud.PlacementGroupListOpts{ListOpts: o})
	})
	list(ctx, c, group, "volumes", &p.volumes, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Volume, *hcloud.Response, error) {
		return c.api.Volume.List(ctx, hcloud.VolumeListOpts{ListOpts: o})
	})
	list(ctx, c, group, "primary IPs", &p.ips, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.PrimaryIP, *hcloud.Response, error) {
		return c.api.PrimaryIP.List(ctx, hcloud.PrimaryIPListOpts{ListOpts: o})
	})
	list(ctx, c, group, "load balancers", &p.balancers, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.LoadBalancer, *hcloud.Response, error) {
		return c.api.LoadBalancer.List(ctx, hcloud.LoadBalancerListOpts{ListOpts: o})
	})
	return p, group.Wait()
}

func list[T any](ctx context.Context, c *Client, group *errgroup.Group, what string, into *[]T,
	page func(context.Context, hcloud.ListOpts) ([]T, *hcloud.Response, error),
) {
	group.Go(func() (err error) {
		*into, err = listed(ctx, c, "listing the "+what, page)
		return err
	})
}

// existing names what flotilla.yaml only refers to.
func existing[D any](declared map[string]D, is func(D) bool) map[string]bool {
	names := map[string]bool{}
	for name, d := range declared {
		if is(d) {
			names[name] = true
		}
	}
	return names
}

// isLock tells a fleet's lock, which is nobody's resource.
func isLock(g *hcloud.PlacementGroup) bool { return has(g.Labels, labelLock) }

// goesAlong tells an address that was made with its server or load balancer and
// goes with it.
func goesAlong(ip *hcloud.PrimaryIP) bool { return ip.AssigneeID != 0 && ip.AutoDelete }

// pick keeps what is the fleet's or referred to, and notes what is neither.
func pick[T any](v *view, of plans.ResourceKind, section string, all []T, describe func(T) meta, refers map[string]bool) []T {
	k, err := v.c.kind(of)
	if err != nil {
		return nil // cannot be: Account names kinds that have IDs
	}
	var kept []T
	found := map[string]bool{}
	v.names[of], v.owned[of] = map[int64]string{}, map[int64]bool{}
	for _, item := range all {
		m := describe(item)
		found[m.name] = true
		if !v.c.owns(m.labels) && !refers[m.name] {
			v.unmanaged = append(v.unmanaged, fleet.Unmanaged{Fleet: m.labels[labelFleet], Section: section, Name: m.name, ID: m.id})
			v.strangers = append(v.strangers, stranger{k.noun, m.id})
			continue
		}
		v.names[of][m.id], v.owned[of][m.id] = m.name, v.c.owns(m.labels)
		kept = append(kept, item)
	}
	for name := range refers {
		if !found[name] {
			v.missing = append(v.missing, missing{of, name})
		}
	}
	return kept
}

// missing is what flotilla.yaml refers to and the project does not have.
type missing struct {
	of   plans.ResourceKind
	name string
}

// absent is the error about all that is missing.
func (v *view) absent() error {
	if len(v.missing) == 0 {
		return nil
	}
	slices.SortFunc(v.missing, func(a, b missing) int { return cmp.Or(cmp.Compare(a.of, b.of), cmp.Compare(a.name, b.name)) })
	var texts []string
	for _, m := range v.missing {
		k, err := v.c.kind(m.of)
		if err != nil {
			return err
		}
		texts = append(texts, fmt.Sprintf("%s named %q", k.noun, m.name))
	}
	return &problem.Problem{
		Summary: "the project has no " + strings.Join(texts, ", no "),
		Detail:  "flotilla.yaml refers to it with existing: true.",
		Hints:   []string{"Check the name in the Cloud Console, or declare it instead of existing: true; then Flotilla makes it."},
	}
}
