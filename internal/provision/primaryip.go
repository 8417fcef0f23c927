package provision

import (
	"cmp"
	"context"
	"fmt"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// primaryIP compares an address itself. Which server has it is the server's
// attribute (public_net).
func (d *comparison) primaryIP(name string, want fleet.PrimaryIP) {
	if want.Existing {
		return
	}
	have, there := d.actual.PrimaryIPs[name]
	switch {
	case !there:
		d.add(d.createPrimaryIP(name, want))
	case d.primaryIPReplaced(name):
		d.add(d.replacePrimaryIP(name, want, have))
	default:
		d.add(d.updatePrimaryIP(name, want, have))
	}
}

func (d *comparison) primaryIPReplaced(name string) bool {
	have, there := d.actual.PrimaryIPs[name]
	want, declared := d.desired.PrimaryIPs[name]
	if !there || !declared || want.Existing {
		return false
	}
	return want.Type != have.Type || want.Location != "" && have.Location != "" && want.Location != have.Location
}

func (d *comparison) createPrimaryIP(name string, want fleet.PrimaryIP) *change {
	c := &change{Resource: plans.Resource{Kind: plans.KindPrimaryIP, Name: name, Action: plans.Create}}
	attributes := []plans.Attribute{known("type", "", want.Type), known("location", "", d.primaryIPLocation(name)), {Name: "ip"}}
	if want.AutoDelete {
		attributes = append(attributes, known("auto_delete", "", "true"))
	}
	c.setAll(append(attributes, newLabels(want.Labels)...), d.makePrimaryIP(name, want))
	d.dnsNames(c, nil, want.DNSPtr, never)
	d.protection(c, false, want.DeleteProtection)
	return c
}

func (d *comparison) makePrimaryIP(name string, want fleet.PrimaryIP) step {
	want.Location = d.primaryIPLocation(name)
	return step{
		after: []string{nameFree(plans.KindPrimaryIP, name)}, gives: []string{made(plans.KindPrimaryIP, name)},
		do: func(ctx context.Context, r *run) error {
			id, err := r.provider.CreatePrimaryIP(ctx, name, want)
			return r.made(plans.KindPrimaryIP, name, id, err)
		},
	}
}

// primaryIPLocation is where an address is or will be: as declared, else where
// the server is that names it.
func (d *comparison) primaryIPLocation(name string) string {
	want := d.desired.PrimaryIPs[name]
	if want.Location != "" {
		return want.Location
	}
	if have := d.actual.PrimaryIPs[name]; have.Location != "" {
		return have.Location
	}
	for _, server := range sorted(d.desired.Servers) {
		s := d.desired.Servers[server]
		if s.PublicNet.IPv4 != name && s.PublicNet.IPv6 != name {
			continue
		}
		if at := d.actual.Servers[server].Location; at != "" {
			return at
		}
		if len(s.Locations) > 0 {
			return s.Locations[0]
		}
	}
	return ""
}

// replacePrimaryIP gives up an address and takes another. The server that has
// it, and keeps the name of it, is off meanwhile.
func (d *comparison) replacePrimaryIP(name string, want fleet.PrimaryIP, have fleet.AccountPrimaryIP) *change {
	c := d.begin(plans.KindPrimaryIP, name)
	c.Action = plans.Replace
	c.risk(plans.RiskReplace, plans.RiskAccess)
	d.primaryIPLost(c, have)
	if !foreign(have.Server) && !d.leftOut(have.Server) {
		d.primaryIPHeld(c, name, "")
	}
	var attributes []plans.Attribute
	if want.Type != have.Type {
		attributes = append(attributes, forced("type", have.Type, want.Type))
	}
	if want.Location != "" && want.Location != have.Location {
		attributes = append(attributes, forced("location", have.Location, want.Location))
	}
	attributes = append(attributes, plans.Attribute{Name: "ip", Old: have.IP})
	del, create := remove(plans.KindPrimaryIP, name, expand, have.DeleteProtection), d.makePrimaryIP(name, want)
	del.after = []string{unassigned(name)}
	if server := have.Server; server != "" && d.names(server, name) && !d.serverReplaced(server) {
		del.off, create.off = server, server // it leaves and returns within one power cycle
	}
	c.setAll(append(attributes, labelChanges(have.Labels, want.Labels)...), del, create)
	d.dnsNames(c, nil, want.DNSPtr, never)
	d.protection(c, false, want.DeleteProtection)
	return c
}

// names tells whether a server is to have a primary IP.
func (d *comparison) names(server, primaryIP string) bool {
	net := d.desired.Servers[server].PublicNet
	return net.EnableIPv4 && net.IPv4 == primaryIP || net.EnableIPv6 && net.IPv6 == primaryIP
}

func (d *comparison) updatePrimaryIP(name string, want fleet.PrimaryIP, have fleet.AccountPrimaryIP) *change {
	c := d.begin(plans.KindPrimaryIP, name)
	if want.DeleteProtection { // the two exclude each other: first what makes room
		d.autoDelete(c, have, want)
	}
	d.labels(c, have.Labels, want.Labels)
	d.dnsNames(c, have.DNSPtr, want.DNSPtr, never)
	d.protection(c, have.DeleteProtection, want.DeleteProtection)
	if !want.DeleteProtection {
		d.autoDelete(c, have, want)
	}
	return c
}

func (d *comparison) autoDelete(c *change, have fleet.AccountPrimaryIP, want fleet.PrimaryIP) {
	if have.AutoDelete != want.AutoDelete {
		c.set(known("auto_delete", yes(have.AutoDelete), yes(want.AutoDelete)), step{do: func(ctx context.Context, r *run) error {
			return r.provider.SetAutoDelete(ctx, r.id(plans.KindPrimaryIP, c.Name), want.AutoDelete)
		}})
	}
}

func (d *comparison) destroyPrimaryIP(name string, have fleet.AccountPrimaryIP) {
	if !have.Owned {
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindPrimaryIP, Name: name, Action: plans.Destroy}}
	c.risk(plans.RiskDestroy, plans.RiskAccess)
	d.primaryIPLost(c, have)
	del := remove(plans.KindPrimaryIP, name, contract, false)
	del.after = []string{unassigned(name)}
	c.set(known("ip", have.IP, ""), del)
	d.add(c)
}

func (d *comparison) primaryIPLost(c *change, have fleet.AccountPrimaryIP) {
	c.lose(fmt.Sprintf("%s %s", familyName(have.Type), cmp.Or(have.IP, "address")))
	switch {
	case foreign(have.Server):
		c.refuse("it is assigned to the server "+have.Server+", which is not the fleet's", "Take it off there first.")
	case d.leftOut(have.Server):
		c.refuse("the server "+have.Server+" has it, which this run leaves out", "Run again for all hosts.")
	}
}

func familyName(family string) string {
	if family == "ipv6" {
		return "IPv6"
	}
	return "IPv4"
}
