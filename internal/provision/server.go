package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

const running = "running"

func (d *comparison) server(name string, want fleet.Server) {
	have, there := d.actual.Servers[name]
	var c *change
	switch {
	case !there:
		c = &change{Resource: plans.Resource{Kind: plans.KindServer, Name: name, Action: plans.Create}}
		c.setAll(newServerAttributes(want), d.makeServer(c, name, want)...)
	case d.serverReplaced(name):
		c = d.replaceServer(name, want, have)
	default:
		c = d.updateServer(name, want, have)
	}
	d.fitness(c, name, want)
	d.add(c)
}

// serverReplaced tells whether a server is destroyed and made anew.
func (d *comparison) serverReplaced(name string) bool {
	want, declared := d.desired.Servers[name]
	have, there := d.actual.Servers[name]
	return declared && there && (slices.Contains(d.options.Replace, name) || d.typeForces(want, have) != "")
}

func (d *comparison) serverRebuilt(name string) bool {
	_, there := d.actual.Servers[name]
	return there && slices.Contains(d.options.Rebuild, name) && !d.serverReplaced(name)
}

// sameType tells whether a server has the type that is declared, or one that
// was taken because that was sold out.
func sameType(want fleet.Server, have fleet.AccountServer) bool {
	return want.ServerType == have.ServerType || slices.Contains(want.FallbackTypes, have.ServerType)
}

// typeForces says why a server cannot get its new type in place, "" if it can.
func (d *comparison) typeForces(want fleet.Server, have fleet.AccountServer) string {
	next, ok := d.options.Catalog.ServerTypes[want.ServerType]
	if !ok || sameType(want, have) {
		return ""
	}
	now := d.options.Catalog.ServerTypes[have.ServerType]
	switch {
	case now.Architecture != "" && next.Architecture != "" && now.Architecture != next.Architecture:
		return fmt.Sprintf("%s is %s, %s is %s", have.ServerType, now.Architecture, want.ServerType, next.Architecture)
	case have.Disk > 0 && next.Disk > 0 && next.Disk < have.Disk:
		return fmt.Sprintf("its disk has %s, %s has room for %s only: a disk cannot become smaller", gb(have.Disk), want.ServerType, gb(next.Disk))
	}
	return ""
}

// updateServer compares all attributes of a server that stays. Networks come
// before the power cycle: without a public address a server cannot start
// before it is in one.
func (d *comparison) updateServer(name string, want fleet.Server, have fleet.AccountServer) *change {
	c := d.begin(plans.KindServer, name)
	d.labels(c, have.Labels, want.Labels)
	d.attachments(c, name, want, have)
	fresh := d.publicNet(c, name, want.PublicNet, have.PublicNet)
	d.group(c, name, want.PlacementGroup, have.PlacementGroup)
	d.serverType(c, name, want, have)
	d.power(c, name, have)
	d.rebuild(c, name, want, have)
	d.serverFirewalls(c, name, want.Firewalls, have.Firewalls)
	d.backups(c, name, want.Backups, have.Backups)
	d.dnsNames(c, have.DNSPtr, want.DNSPtr, fresh)
	d.deletionFlags(c, name, want, have)
	if c.Action != plans.Rebuild {
		for _, e := range creationOnly(want, have) {
			c.note("%s", e.note)
		}
	}
	d.protection(c, have.DeleteProtection, want.DeleteProtection)
	return c
}

func (d *comparison) serverType(c *change, name string, want fleet.Server, have fleet.AccountServer) {
	if sameType(want, have) {
		return
	}
	c.risk(plans.RiskPowerOff)
	if next := d.options.Catalog.ServerTypes[want.ServerType].Disk; !want.KeepDisk && next > have.Disk && have.Disk > 0 {
		c.note("the disk grows from %s to %s, and the server can never have a smaller type again (keep_disk: true keeps it)", gb(have.Disk), gb(next))
	}
	c.set(powered("server_type", have.ServerType, want.ServerType), step{
		off: name,
		do: func(ctx context.Context, r *run) error {
			if err := r.provider.ChangeType(ctx, r.id(plans.KindServer, name), want.ServerType, want.KeepDisk); err != nil {
				return err
			}
			r.running(name)
			return nil
		},
	})
}

// group compares the placement group; changing it takes the server off.
func (d *comparison) group(c *change, name, want, have string) {
	if want == have || want == "" && foreign(have) {
		return
	}
	var steps []step
	if have != "" {
		steps = append(steps, step{off: name, gives: []string{ungrouped(have)}, do: func(ctx context.Context, r *run) error {
			return r.provider.LeavePlacementGroup(ctx, r.id(plans.KindServer, name))
		}})
	}
	if want != "" {
		steps = append(steps, step{off: name, after: []string{made(plans.KindPlacementGroup, want)}, do: func(ctx context.Context, r *run) error {
			return r.provider.JoinPlacementGroup(ctx, r.id(plans.KindServer, name), r.id(plans.KindPlacementGroup, want))
		}})
	}
	c.risk(plans.RiskPowerOff)
	c.set(powered("placement_group", have, want), steps...)
}

// power switches a server on again that an earlier run switched off and then
// died. One that people switched off stays so.
func (d *comparison) power(c *change, name string, have fleet.AccountServer) {
	cycles := slices.ContainsFunc(c.parts, func(p part) bool {
		return slices.ContainsFunc(p.steps, func(s step) bool { return s.off == name })
	})
	if have.SwitchedOff && have.Status != running && !cycles {
		c.set(known("status", have.Status, running), powerOn(name))
	}
}

func powerOn(name string) step {
	return step{do: func(ctx context.Context, r *run) error { return r.provider.PowerOn(ctx, r.id(plans.KindServer, name)) }}
}

func (d *comparison) serverFirewalls(c *change, name string, want, have []string) {
	target := func(r *run) fleet.FirewallTarget { return fleet.FirewallTarget{Server: r.id(plans.KindServer, name)} }
	for _, f := range want {
		if slices.Contains(have, f) {
			continue
		}
		c.risk(plans.RiskAccess)
		c.set(known("firewalls", "", f), step{
			after: []string{made(plans.KindFirewall, f)}, holds: []ref{{plans.KindFirewall, f}},
			do: func(ctx context.Context, r *run) error {
				return r.provider.ApplyFirewall(ctx, r.id(plans.KindFirewall, f), target(r))
			},
		})
	}
	for _, f := range have {
		if slices.Contains(want, f) {
			continue
		}
		c.risk(plans.RiskPort)
		c.set(known("firewalls", f, ""), step{
			phase: contract, gives: []string{unapplied(f)}, holds: []ref{{plans.KindFirewall, f}},
			do: func(ctx context.Context, r *run) error {
				return r.provider.RemoveFirewall(ctx, r.id(plans.KindFirewall, f), target(r))
			},
		})
	}
}

func (d *comparison) backups(c *change, name string, want, have bool) {
	if want == have {
		return
	}
	set := setBackups(name, want)
	if !want {
		set.phase = contract
		c.risk(plans.RiskData)
		c.lose("all backups of the server")
	}
	c.set(known("backups", yes(have), yes(want)), set)
}

func setBackups(name string, on bool) step {
	return step{do: func(ctx context.Context, r *run) error {
		return r.provider.SetBackups(ctx, r.id(plans.KindServer, name), on)
	}}
}

// deletionFlags keeps on the server itself what its deletion wants, for when
// flotilla.yaml has it no more.
func (d *comparison) deletionFlags(c *change, name string, want fleet.Server, have fleet.AccountServer) {
	var attributes []plans.Attribute
	if want.ShutdownBeforeDeletion != have.ShutdownBeforeDeletion {
		attributes = append(attributes, known("shutdown_before_deletion", yes(have.ShutdownBeforeDeletion), yes(want.ShutdownBeforeDeletion)))
	}
	if want.SnapshotBeforeDestroy != have.SnapshotBeforeDestroy {
		attributes = append(attributes, known("snapshot_before_destroy", yes(have.SnapshotBeforeDestroy), yes(want.SnapshotBeforeDestroy)))
	}
	if len(attributes) > 0 {
		c.setAll(attributes, step{do: func(ctx context.Context, r *run) error {
			return r.provider.SetDeletionLabels(ctx, r.id(plans.KindServer, name), want.ShutdownBeforeDeletion, want.SnapshotBeforeDestroy)
		}})
	}
}

// edit is a difference in what counts at creation only.
type edit struct {
	attribute plans.Attribute
	note      string
	rebuilds  bool // a rebuild makes it so; else only a replacement does
}

// creationOnly lists the differences that no change in place mends. What is
// not known is no difference.
func creationOnly(want fleet.Server, have fleet.AccountServer) []edit {
	var edits []edit
	if have.Image != "" && want.Image != have.Image {
		edits = append(edits, edit{known("image", have.Image, want.Image), fmt.Sprintf(
			"image counts at creation only: made from %q, and stays so (flotilla.yaml has %q)", have.Image, want.Image), true})
	}
	if have.Location != "" && len(want.Locations) > 0 && !slices.Contains(want.Locations, have.Location) {
		places := strings.Join(want.Locations, ", ")
		edits = append(edits, edit{known("location", have.Location, places), fmt.Sprintf(
			"location counts at creation only: the server stays in %s (flotilla.yaml has %s)", have.Location, places), false})
	}
	if digest := userDataDigest(want.UserData); have.UserDataDigest != "" && have.UserDataDigest != digest {
		edits = append(edits, edit{known("user_data", "digest "+have.UserDataDigest, "digest "+digest),
			"user_data counts at creation only: the server has what it was made with", true})
	}
	if digest := keysDigest(want.SSHKeys); have.KeysDigest != "" && have.KeysDigest != digest {
		edits = append(edits, edit{known("ssh_keys", "digest "+have.KeysDigest, strings.Join(want.SSHKeys, ", ")),
			"ssh_keys count at creation only: who may log in is now what the host's NixOS configuration says", true})
	}
	return edits
}

// foreign tells what is not the fleet's: the provider's adapter names it #ID.
func foreign(name string) bool { return strings.HasPrefix(name, "#") }

// leftOut tells a server that this run does not look at (--on).
func (d *comparison) leftOut(server string) bool {
	_, declared := d.desired.Servers[server]
	_, there := d.actual.Servers[server]
	return server != "" && !foreign(server) && !declared && !there
}
