package provision

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// replaceServer destroys a server and makes it anew: it keeps its name, and
// often its addresses, so the old one has to go first.
func (d *comparison) replaceServer(name string, want fleet.Server, have fleet.AccountServer) *change {
	c := d.begin(plans.KindServer, name)
	c.Action = plans.Replace
	c.risk(plans.RiskReplace, plans.RiskData)
	c.note("the server and its disk are destroyed before the new one is made: it keeps its name")
	d.serverLost(c, have)
	var attributes []plans.Attribute
	if !sameType(want, have) {
		a := known("server_type", have.ServerType, want.ServerType)
		if why := d.typeForces(want, have); why != "" {
			a.Forces = true
			c.note("%s", why)
		}
		attributes = append(attributes, a)
	}
	for _, e := range creationOnly(want, have) {
		e.attribute.Forces = true
		attributes = append(attributes, e.attribute)
	}
	attributes = append(attributes, addresses(want.PublicNet)...)
	for _, n := range sorted(want.Networks) {
		if at := want.Networks[n]; at.IP == "" || movesTo(at, have.Networks[n]) {
			attributes = append(attributes, attachment(n, have.Networks[n], at))
		}
	}
	attributes = append(attributes, labelChanges(have.Labels, want.Labels)...)
	flags := have
	flags.ShutdownBeforeDeletion = have.ShutdownBeforeDeletion || want.ShutdownBeforeDeletion
	flags.SnapshotBeforeDestroy = have.SnapshotBeforeDestroy || want.SnapshotBeforeDestroy
	end := d.endServer(name, flags, expand, have.DeleteProtection)
	if !d.roomFor(name, want) {
		c.refuse("there is no room for the new one now: no type and location that it may have is free, and the old one would be destroyed first",
			"Wait, or allow more: location and server_type both take a list, the first that is free counts.")
	}
	again := d.makeServer(c, name, want)
	// The old server is lost before the new one is ordered: what can be known
	// to keep it from being made is found out first.
	check := step{gives: []string{orderable(name)}, after: d.neededFirst(name, again[0]), do: func(ctx context.Context, r *run) error {
		order := want
		order.Locations = d.places(&change{}, name)
		return r.provider.CheckOrder(ctx, order)
	}}
	c.setAll(attributes, append(append([]step{check}, end...), again...)...)
	return c
}

// roomFor tells whether the catalog knows a place for a server, or knows
// nothing of its types.
func (d *comparison) roomFor(name string, want fleet.Server) bool {
	quiet := &change{}
	places := d.places(quiet, name)
	known := false
	for _, t := range append([]string{want.ServerType}, want.FallbackTypes...) {
		at := d.options.Catalog.ServerTypes[t].At
		for place, sold := range at {
			if sold.Available && (len(places) == 0 || slices.Contains(places, place)) {
				return true
			}
		}
		known = known || len(at) > 0
	}
	return !known
}

// neededFirst is what has to be there before the old server goes: all that the
// new one needs, but for an address that is replaced once the old one is gone.
func (d *comparison) neededFirst(name string, create step) []string {
	return slices.DeleteFunc(slices.Clone(create.after), func(word string) bool {
		for ip, have := range d.actual.PrimaryIPs {
			if have.Server == name && d.primaryIPReplaced(ip) && word == made(plans.KindPrimaryIP, ip) {
				return true
			}
		}
		return false
	})
}

func (d *comparison) destroyServer(name string, have fleet.AccountServer) {
	c := &change{Resource: plans.Resource{Kind: plans.KindServer, Name: name, Action: plans.Destroy}}
	c.risk(plans.RiskDestroy, plans.RiskData)
	d.serverLost(c, have)
	if have.SnapshotBeforeDestroy {
		c.note("a snapshot of its disk is made before, and stays until somebody deletes it")
	}
	attributes := []plans.Attribute{known("server_type", have.ServerType, "")}
	for _, a := range []plans.Attribute{known("ipv4", have.IPv4, ""), known("ipv6", have.IPv6, "")} {
		if a.Old != "" {
			attributes = append(attributes, a)
		}
	}
	for _, n := range sorted(have.Networks) {
		attributes = append(attributes, known("networks."+n, orChosen(have.Networks[n]), ""))
	}
	c.setAll(attributes, d.endServer(name, have, contract, false)...)
	d.add(c)
}

// endServer gives the steps that end a server. Addresses that stay are taken
// off before, where they would go with it. An interruption between snapshot
// and deletion leaves a snapshot more than needed, never one less.
func (d *comparison) endServer(name string, have fleet.AccountServer, ph phase, lift bool) []step {
	del := remove(plans.KindServer, name, ph, lift)
	del.after = []string{untargeted(name)}
	if ph == expand {
		del.down = name
	}
	for _, n := range sorted(have.Networks) {
		del.gives = append(del.gives, left(n), addressFree(n, have.Networks[n]))
	}
	for _, f := range have.Firewalls {
		del.gives = append(del.gives, unapplied(f))
	}
	if have.PlacementGroup != "" {
		del.gives = append(del.gives, ungrouped(have.PlacementGroup))
	}
	var stays []string
	for _, ip := range []string{have.PublicNet.IPv4Name, have.PublicNet.IPv6Name} {
		if ip == "" || foreign(ip) {
			continue
		}
		del.gives = append(del.gives, unassigned(ip))
		del.holds = append(del.holds, ref{plans.KindPrimaryIP, ip})
		if want, declared := d.desired.PrimaryIPs[ip]; declared && (want.AutoDelete || d.actual.PrimaryIPs[ip].AutoDelete) {
			stays = append(stays, ip)
		}
	}
	server := func(r *run) int64 { return r.id(plans.KindServer, name) }
	var steps []step
	if have.ShutdownBeforeDeletion || len(stays) > 0 {
		steps = append(steps, step{phase: ph, after: del.after, down: del.down, do: func(ctx context.Context, r *run) error {
			return r.provider.PowerOff(ctx, server(r))
		}})
	}
	if have.SnapshotBeforeDestroy {
		steps = append(steps, snapshot(name, ph))
	}
	for _, ip := range stays {
		steps = append(steps, step{phase: ph, holds: []ref{{plans.KindPrimaryIP, ip}}, do: func(ctx context.Context, r *run) error {
			return r.provider.UnassignPrimaryIP(ctx, r.id(plans.KindPrimaryIP, ip))
		}})
	}
	return append(steps, del)
}

func snapshot(name string, ph phase) step {
	return step{phase: ph, do: func(ctx context.Context, r *run) error {
		return r.provider.Snapshot(ctx, r.id(plans.KindServer, name), name+", before its disk is destroyed")
	}}
}

// rebuild makes the disk of a server anew from its image, when it was named
// for that. Addresses, attachments and place stay.
func (d *comparison) rebuild(c *change, name string, want fleet.Server, have fleet.AccountServer) {
	if !d.serverRebuilt(name) {
		return
	}
	c.Action = plans.Rebuild
	c.risk(plans.RiskData)
	c.lose(diskText(have))
	var attributes []plans.Attribute
	for _, e := range creationOnly(want, have) {
		if e.rebuilds {
			attributes = append(attributes, e.attribute)
		} else {
			c.note("%s", e.note)
		}
	}
	var steps []step
	if want.SnapshotBeforeDestroy || have.SnapshotBeforeDestroy {
		steps = append(steps, snapshot(name, expand))
	}
	after := []string{}
	for _, k := range want.SSHKeys {
		after = append(after, made(plans.KindSSHKey, k))
	}
	steps = append(steps, step{down: name, up: name, after: after, do: func(ctx context.Context, r *run) error {
		id := r.id(plans.KindServer, name)
		if have.DeleteProtection {
			if err := r.provider.SetProtection(ctx, plans.KindServer, id, false); err != nil {
				return err
			}
		}
		key, err := newHostKey()
		if err != nil {
			return err
		}
		return r.provider.Rebuild(ctx, id, r.order(name, want, key), key.userData(want.UserData))
	}})
	c.setAll(attributes, steps...)
}

func diskText(have fleet.AccountServer) string {
	if have.Disk > 0 {
		return "all data on the disk, " + gb(have.Disk)
	}
	return "all data on the disk"
}

// serverLost says what goes with a server.
func (d *comparison) serverLost(c *change, have fleet.AccountServer) {
	c.lose(diskText(have))
	if have.PublicNet.IPv4Name == "" && have.IPv4 != "" {
		c.lose("IPv4 " + have.IPv4)
	}
	if have.PublicNet.IPv6Name == "" && have.IPv6 != "" {
		c.lose("IPv6 " + have.IPv6)
	}
	for _, n := range sorted(have.Networks) {
		at, again := d.desired.Servers[c.Name].Networks[n]
		if again && at.IP != "" && sameAddress(at.IP, have.Networks[n]) {
			continue // it gets the same one again
		}
		c.lose(fmt.Sprintf("private address %s in %s", orChosen(have.Networks[n]), n))
	}
	if have.Backups {
		c.lose("all backups of the server")
	}
	for _, v := range have.Volumes {
		if _, stays := d.desired.Volumes[v]; !stays && d.actual.Volumes[v].Owned {
			continue // it is destroyed, too
		}
		c.note("the volume %s is detached, and its data stays", cmp.Or(v, "without a name"))
	}
}
