package provision

import (
	"context"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// makeServer gives the steps that make a server. A provider's order names
// networks but no addresses, so attachments with one come after; a server
// without a public address is started only when it is in its networks.
func (d *comparison) makeServer(c *change, name string, want fleet.Server) []step {
	var first, later []string
	for _, n := range sorted(want.Networks) {
		if at := want.Networks[n]; at.IP == "" && len(at.AliasIPs) == 0 {
			first = append(first, n)
		} else {
			later = append(later, n)
		}
	}
	stopped := len(later) > 0 && !want.PublicNet.EnableIPv4 && !want.PublicNet.EnableIPv6
	order := want
	order.Locations = d.places(c, name)
	create := step{
		after: d.beforeServer(c, name, want, first), gives: []string{made(plans.KindServer, name)}, up: name,
		do: func(ctx context.Context, r *run) error { return r.createServer(ctx, name, order, first, stopped) },
	}
	for _, n := range first {
		create.gives = append(create.gives, joined(n), memberJoined(ref{plans.KindServer, name}, n))
	}
	steps := []step{create}
	for _, n := range later {
		steps = append(steps, d.attach(c, ref{plans.KindServer, name}, n, want.Networks[n]))
	}
	if stopped {
		steps = append(steps, powerOn(name))
	}
	if want.Backups {
		steps = append(steps, setBackups(name, true))
	}
	for _, address := range sorted(want.DNSPtr) {
		steps = append(steps, step{do: func(ctx context.Context, r *run) error {
			return r.provider.SetDNSPtr(ctx, plans.KindServer, r.id(plans.KindServer, name), address, want.DNSPtr[address])
		}})
	}
	if want.DeleteProtection {
		steps = append(steps, protect(plans.KindServer, name, true))
	}
	return steps
}

// beforeServer is what a server's order refers to.
func (d *comparison) beforeServer(c *change, name string, want fleet.Server, networks []string) []string {
	after := []string{nameFree(plans.KindServer, name)}
	for _, k := range want.SSHKeys {
		after = append(after, made(plans.KindSSHKey, k))
	}
	for _, n := range networks {
		after = append(after, made(plans.KindNetwork, n), ranges(n))
	}
	for _, f := range want.Firewalls {
		after = append(after, made(plans.KindFirewall, f))
	}
	if want.PlacementGroup != "" {
		after = append(after, made(plans.KindPlacementGroup, want.PlacementGroup))
	}
	for _, f := range families(want.PublicNet, fleet.AccountPublicNet{}) {
		if f.on && f.want != "" {
			after = append(after, made(plans.KindPrimaryIP, f.want), unassigned(f.want))
			d.primaryIPHeld(c, f.want, name)
		}
	}
	return after
}

func newServerAttributes(want fleet.Server) []plans.Attribute {
	all := []plans.Attribute{known("server_type", "", want.ServerType), known("image", "", want.Image)}
	more := func(attribute, value string) {
		if value != "" {
			all = append(all, known(attribute, "", value))
		}
	}
	more("location", strings.Join(want.Locations, ", "))
	all = append(all, addresses(want.PublicNet)...)
	for _, n := range sorted(want.Networks) {
		all = append(all, attachment(n, "", want.Networks[n]))
		more("networks."+n+".alias_ips", strings.Join(want.Networks[n].AliasIPs, ", "))
	}
	more("ssh_keys", strings.Join(want.SSHKeys, ", "))
	if want.UserData != "" {
		more("user_data", "digest "+userDataDigest(want.UserData))
	}
	more("firewalls", strings.Join(want.Firewalls, ", "))
	more("placement_group", want.PlacementGroup)
	for attribute, on := range map[string]bool{
		"backups": want.Backups, "shutdown_before_deletion": want.ShutdownBeforeDeletion,
		"snapshot_before_destroy": want.SnapshotBeforeDestroy, "delete_protection": want.DeleteProtection,
	} {
		if on {
			more(attribute, "true")
		}
	}
	slices.SortStableFunc(all, func(a, b plans.Attribute) int { return flagOrder(a.Name) - flagOrder(b.Name) })
	all = append(all, newLabels(want.Labels)...)
	for _, address := range sorted(want.DNSPtr) {
		more("dns_ptr."+address, want.DNSPtr[address])
	}
	return all
}

func flagOrder(attribute string) int {
	return 1 + slices.Index([]string{"backups", "shutdown_before_deletion", "snapshot_before_destroy", "delete_protection"}, attribute)
}

// addresses that a new server gets, known once it exists.
func addresses(net fleet.PublicNet) []plans.Attribute {
	var all []plans.Attribute
	for _, f := range families(net, fleet.AccountPublicNet{}) {
		switch {
		case f.on && f.want != "":
			all = append(all, known("public_net."+f.family, "", f.want))
		case f.on:
			all = append(all, plans.Attribute{Name: f.family})
		}
	}
	return all
}

// createServer orders a server with a throw-away host key.
func (r *run) createServer(ctx context.Context, name string, want fleet.Server, networks []string, stopped bool) error {
	key, err := newHostKey()
	if err != nil {
		return err
	}
	order := r.order(name, want, key)
	for _, n := range networks {
		order.Networks = append(order.Networks, r.id(plans.KindNetwork, n))
	}
	order.Stopped = stopped
	server, err := r.provider.CreateServer(ctx, order, key.userData(want.UserData))
	return r.made(plans.KindServer, name, server.ID, err)
}

// order is what a provider needs to know of a server, also for a rebuild.
func (r *run) order(name string, want fleet.Server, key hostKey) fleet.ServerOrder {
	order := fleet.ServerOrder{
		Name: name, Server: want, HostKey: key.fingerprint,
		KeysDigest: keysDigest(want.SSHKeys), UserDataDigest: userDataDigest(want.UserData),
	}
	for _, k := range want.SSHKeys {
		order.SSHKeys = append(order.SSHKeys, r.id(plans.KindSSHKey, k))
	}
	for _, f := range want.Firewalls {
		order.Firewalls = append(order.Firewalls, r.id(plans.KindFirewall, f))
	}
	if want.PlacementGroup != "" {
		order.PlacementGroup = r.id(plans.KindPlacementGroup, want.PlacementGroup)
	}
	if want.PublicNet.EnableIPv4 && want.PublicNet.IPv4 != "" {
		order.IPv4 = r.id(plans.KindPrimaryIP, want.PublicNet.IPv4)
	}
	if want.PublicNet.EnableIPv6 && want.PublicNet.IPv6 != "" {
		order.IPv6 = r.id(plans.KindPrimaryIP, want.PublicNet.IPv6)
	}
	return order
}

// places gives the locations in which a server may be made: its volumes and
// primary IPs cannot follow it elsewhere.
func (d *comparison) places(c *change, name string) []string {
	want := d.desired.Servers[name]
	places, because := want.Locations, ""
	pin := func(k plans.ResourceKind, other, location string) {
		if location == "" {
			return
		}
		if len(places) > 0 && !slices.Contains(places, location) {
			why := "flotilla.yaml has " + strings.Join(places, ", ")
			if because != "" {
				why = because
			}
			c.refuse(ref{k, other}.String()+" is in "+location+", but "+why,
				"What a server has must be in the server's location: change one of the two.")
			return
		}
		places, because = []string{location}, ref{k, other}.String()+" is in "+location
	}
	for _, v := range sorted(d.desired.Volumes) {
		volume := d.desired.Volumes[v]
		if volume.Server != name {
			continue
		}
		if volume.Location == "" {
			volume.Location = d.actual.Volumes[v].Location
		}
		pin(plans.KindVolume, v, volume.Location)
	}
	for _, f := range families(want.PublicNet, fleet.AccountPublicNet{}) {
		if f.on && f.want != "" {
			pin(plans.KindPrimaryIP, f.want, d.primaryIPLocation(f.want))
		}
	}
	return places
}
