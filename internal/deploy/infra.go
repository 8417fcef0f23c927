package deploy

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// provisions tells whether resources at the provider are this run's business.
func (d *deployment) provisions() bool { return d.client != nil && d.opts.Only != OnlyHosts }

// approve refuses what must not be, and asks for the rest.
func (d *deployment) approve(ctx context.Context) error {
	desired, actual := d.infrastructure()
	selected := func(server string) bool { return d.opts.On.All() || d.opts.On.Match(server, d.tags[server]) }
	if err := checkRemade(d.tree.Fleet, selected, d.opts.Only, d.opts.Rebuild, d.opts.Replace); err != nil {
		return err
	}
	intent := Intent{Fleet: d.tree.Fleet.Name, Revision: d.tree.Revision, Hosts: slices.Sorted(maps.Keys(d.hosts))}
	if d.provisions() {
		intent.Resources = provision.Diff(desired, actual, d.leave())
		refused := []error{provision.Check(desired, actual, d.leave())}
		if d.opts.Plan != nil {
			refused = append(refused, notShown(intent.Resources, *d.opts.Plan)...)
		}
		if err := errors.Join(refused...); err != nil {
			return err
		}
	}
	if d.opts.Approve == nil || len(intent.Hosts) == 0 && !slices.ContainsFunc(intent.Resources, provision.Changes) {
		return nil // nobody to ask, or nothing to ask about
	}
	if d.provisions() {
		intent.Cost, intent.Warnings = d.flow.price(ctx, d.client, desired, actual)
	}
	return d.opts.Approve(intent)
}

// expand makes what is missing at the provider.
func (d *deployment) expand(ctx context.Context) error {
	if !d.provisions() {
		return nil
	}
	desired, actual := d.infrastructure()
	if err := d.lock.confirm(ctx); err != nil {
		return err
	}
	early, stop := d.lock.until(ctx, d.opts.Draining)
	defer stop()
	changes, leave := provision.Diff(desired, actual, d.leave()), d.leave()
	d.restarted = provision.Restarted(changes)
	now := slices.DeleteFunc(changes, func(c plans.Resource) bool { return c.Action == plans.Destroy })
	made := d.flow.providing(ctx, now, func() (p provided) {
		p.account, p.resources, p.err = provision.Expand(early, d.client, desired, actual, leave, d.flow.Sink)
		return p
	})
	d.result.Resources = append(d.result.Resources, made.resources...)
	if made.err != nil || len(made.resources) == 0 {
		return made.err
	}
	d.account = made.account
	d.opts.Rebuild, d.opts.Replace = nil, nil // done, and not to be done again
	var err error
	if !d.opts.On.All() { // Expand read back what it was told of
		d.account, err = d.client.Account(early, d.tree.Fleet)
	}
	return interrupted(early, err)
}

// contract removes what is no longer declared, only after a healthy rollout.
func (d *deployment) contract(ctx context.Context) error {
	if !d.provisions() {
		return nil
	}
	if err := d.lock.confirm(ctx); err != nil {
		return err
	}
	early, stop := d.lock.until(ctx, d.opts.Draining)
	defer stop()
	desired, actual := d.infrastructure()
	leave := d.leave()
	gone := d.flow.providing(ctx, provision.Diff(desired, actual, leave), func() (p provided) {
		p.resources, p.err = provision.Contract(early, d.client, desired, actual, leave, d.flow.Sink)
		return p
	})
	d.result.Resources = append(d.result.Resources, gone.resources...)
	return gone.err
}

// leaveInPlace tells what a rollout that is not healthy keeps from being removed.
func (d *deployment) leaveInPlace() {
	if !d.provisions() {
		return
	}
	desired, actual := d.infrastructure()
	for _, r := range provision.Diff(desired, actual, d.leave()) {
		if r.Action == plans.Destroy {
			d.result.Resources = append(d.result.Resources, plans.ResourceResult{Resource: r, Error: "left in place: not every host was deployed"})
		}
	}
}

// infrastructure gives what is declared and what exists, as far as --on means it.
func (d *deployment) infrastructure() (fleet.Fleet, fleet.Account) {
	return limit(d.opts.On, d.tags, d.tree.Fleet, d.account)
}

// leave says what may be done to resources.
func (d *deployment) leave() provision.Options {
	o := provision.Options{
		AllowDestroy: slices.Concat(d.opts.AllowDestroy, servers(d.opts.Rebuild), servers(d.opts.Replace)),
		Rebuild:      d.opts.Rebuild, Replace: d.opts.Replace,
		Catalog:        d.catalog,
		MaxUnavailable: d.tree.Fleet.Rollout.MaxUnavailable,
	}
	if d.reviewed != nil && d.reviewed.resources != nil {
		o.Shown = d.reviewed.resources // what was not there when reviews were looked at has none
	}
	if d.opts.Plan != nil {
		o.Shown = shownResources(*d.opts.Plan)
	}
	return o
}

// servers gives names that mean a server and nothing else of its name.
func servers(names []string) []string {
	var exact []string
	for _, name := range names {
		exact = append(exact, "servers/"+name)
	}
	return exact
}

// limit leaves out the servers that --on does not name, and what is theirs
// alone. What several servers share (networks, keys, firewalls) is made and
// changed, but not destroyed: others may use it.
func limit(on fleet.Selector, tags map[string][]string, desired fleet.Fleet, actual fleet.Account) (fleet.Fleet, fleet.Account) {
	if on.All() {
		return desired, actual
	}
	out := func(server string) bool { return server != "" && !on.Match(server, tags[server]) }
	elsewhere := addressesOf(desired, out)
	now, before := names(desired.Moved)
	desired.Servers = without(desired.Servers, func(name string, _ fleet.Server) bool { return out(name) })
	actual.Servers = without(actual.Servers, func(name string, _ fleet.AccountServer) bool { return out(now("servers", name)) })

	desired.Volumes = without(desired.Volumes, func(name string, v fleet.Volume) bool {
		return out(v.Server) || out(now("servers", had(actual.Volumes, name, before("volumes", name)).Server))
	})
	desired.PrimaryIPs = without(desired.PrimaryIPs, func(name string, _ fleet.PrimaryIP) bool {
		return elsewhere[name] || out(now("servers", had(actual.PrimaryIPs, name, before("primary_ips", name)).Server))
	})
	desired.LoadBalancers = without(desired.LoadBalancers, func(_ string, b fleet.LoadBalancer) bool {
		return slices.ContainsFunc(b.Targets, func(t fleet.LoadBalancerTarget) bool { return out(t.Server) })
	})

	in := func(section string) func(string) string {
		return func(name string) string { return now(section, name) }
	}
	actual.Volumes = declaredOnly(actual.Volumes, desired.Volumes, in("volumes"))
	actual.PrimaryIPs = declaredOnly(actual.PrimaryIPs, desired.PrimaryIPs, in("primary_ips"))
	actual.LoadBalancers = declaredOnly(actual.LoadBalancers, desired.LoadBalancers, in("load_balancers"))
	actual.Networks = declaredOnly(actual.Networks, desired.Networks, in("networks"))
	actual.SSHKeys = declaredOnly(actual.SSHKeys, desired.SSHKeys, in("ssh_keys"))
	actual.Firewalls = declaredOnly(actual.Firewalls, desired.Firewalls, in("firewalls"))
	actual.PlacementGroups = declaredOnly(actual.PlacementGroups, desired.PlacementGroups, in("placement_groups"))
	return desired, actual
}

// names follows moved: in both directions. What is to be renamed stands in the
// account under its old name, and must not be taken for something else.
func names(moves []fleet.Move) (now, before func(section, name string) string) {
	forth, back := map[[2]string]string{}, map[[2]string]string{}
	for _, m := range moves {
		forth[[2]string{m.Section, m.From}], back[[2]string{m.Section, m.To}] = m.To, m.From
	}
	look := func(in map[[2]string]string) func(section, name string) string {
		return func(section, name string) string { return cmp.Or(in[[2]string{section, name}], name) }
	}
	return look(forth), look(back)
}

// had looks a resource up under its name, else under its old one.
func had[V any](all map[string]V, name, old string) V {
	if v, ok := all[name]; ok {
		return v
	}
	return all[old]
}

// addressesOf names the primary IPs of the servers that out tells.
func addressesOf(f fleet.Fleet, out func(string) bool) map[string]bool {
	names := map[string]bool{}
	for name, s := range f.Servers {
		if out(name) {
			names[s.PublicNet.IPv4], names[s.PublicNet.IPv6] = true, true
		}
	}
	return names
}

func without[V any](all map[string]V, drop func(string, V) bool) map[string]V {
	all = maps.Clone(all)
	maps.DeleteFunc(all, drop)
	return all
}

// declaredOnly gives what is also declared, maybe under another name now.
func declaredOnly[V, D any](all map[string]V, declared map[string]D, now func(string) string) map[string]V {
	return without(all, func(name string, _ V) bool {
		_, ok := declared[now(name)]
		return !ok
	})
}
