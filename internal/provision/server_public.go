package provision

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// family is one half of a server's public side, as declared and as it is.
type family struct {
	family string // "ipv4", "ipv6"
	on     bool   // it is to have an address
	want   string // primary IP; "": one that comes and goes with the server
	id     int64  // of the address it has; 0: none
	have   string // primary IP; "": came with the server; "#<id>": not the fleet's
}

func families(want fleet.PublicNet, have fleet.AccountPublicNet) []family {
	return []family{
		{"ipv4", want.EnableIPv4, want.IPv4, have.IPv4ID, have.IPv4Name},
		{"ipv6", want.EnableIPv6, want.IPv6, have.IPv6ID, have.IPv6Name},
	}
}

// publicNet compares a server's public addresses; changing one takes the
// server off. The answer tells whose addresses are new.
func (d *comparison) publicNet(c *change, name string, want fleet.PublicNet, have fleet.AccountPublicNet) func(string) bool {
	fresh := map[string]bool{}
	for _, f := range families(want, have) {
		replaced := f.on && f.want != "" && d.primaryIPReplaced(f.want)
		if f.on == (f.id != 0) && (!f.on || f.want == f.have && !replaced) {
			continue
		}
		fresh[f.family] = true
		c.risk(plans.RiskPowerOff, plans.RiskAccess)
		var attributes []plans.Attribute
		if f.on != (f.id != 0) {
			attributes = append(attributes, powered("public_net.enable_"+f.family, yes(f.id != 0), yes(f.on)))
		}
		a := powered("public_net."+f.family, f.have, "")
		if f.on {
			a.New = f.want
		}
		if a.Old != a.New || replaced {
			attributes = append(attributes, a)
		}
		var steps []step
		if f.id != 0 {
			steps = append(steps, d.release(c, name, f))
		}
		if f.on {
			steps = append(steps, d.acquire(c, name, f))
		}
		c.setAll(attributes, steps...)
	}
	return func(address string) bool {
		if ip, err := netip.ParseAddr(address); err == nil {
			return ip.Is4() && fresh["ipv4"] || ip.Is6() && fresh["ipv6"]
		}
		return fresh[address]
	}
}

// release takes an address from a server. One that came with it would stay
// behind without an owner if this run died in between: so it is made the
// fleet's first.
func (d *comparison) release(c *change, name string, f family) step {
	switch {
	case foreign(f.have):
		c.refuse(fmt.Sprintf("its %s is a primary IP that is not the fleet's (%s)", familyName(f.family), f.have),
			"Declare it under primary_ips with existing: true, or take it off the server by hand.")
		return step{off: name, do: func(context.Context, *run) error { return nil }}
	case f.have != "":
		return step{off: name, gives: []string{unassigned(f.have)}, holds: []ref{{plans.KindPrimaryIP, f.have}}, do: func(ctx context.Context, r *run) error {
			return r.provider.UnassignPrimaryIP(ctx, r.id(plans.KindPrimaryIP, f.have))
		}}
	}
	c.lose(fmt.Sprintf("%s %s", familyName(f.family), d.publicAddress(name, f.family)))
	return step{off: name, do: func(ctx context.Context, r *run) error {
		if err := r.provider.Adopt(ctx, plans.KindPrimaryIP, f.id, nil); err != nil {
			return err
		}
		if err := r.provider.UnassignPrimaryIP(ctx, f.id); err != nil {
			return err
		}
		return r.provider.Delete(ctx, plans.KindPrimaryIP, f.id)
	}}
}

func (d *comparison) publicAddress(server, family string) string {
	if family == "ipv6" {
		return d.actual.Servers[server].IPv6
	}
	return d.actual.Servers[server].IPv4
}

// acquire gives a server an address.
func (d *comparison) acquire(c *change, name string, f family) step {
	if f.want == "" {
		return step{off: name, do: func(ctx context.Context, r *run) error {
			return r.provider.EnablePublicNet(ctx, r.id(plans.KindServer, name), f.family)
		}}
	}
	d.primaryIPHeld(c, f.want, name)
	if at, here := d.primaryIPLocation(f.want), d.actual.Servers[name].Location; at != "" && here != "" && at != here {
		c.refuse(fmt.Sprintf("the primary IP %s is in %s and the server in %s", f.want, at, here),
			"Make a primary IP in the server's location, or replace the server.")
	}
	return step{
		off: name, after: []string{made(plans.KindPrimaryIP, f.want), unassigned(f.want)}, holds: []ref{{plans.KindPrimaryIP, f.want}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.AssignPrimaryIP(ctx, r.id(plans.KindPrimaryIP, f.want), r.id(plans.KindServer, name))
		},
	}
}

// primaryIPHeld refuses an address whose server does not give it up before the
// hosts are touched.
func (d *comparison) primaryIPHeld(c *change, primaryIP, server string) {
	holder := d.actual.PrimaryIPs[primaryIP].Server
	if holder == "" || holder == server {
		return
	}
	_, stays := d.desired.Servers[holder]
	if stays && !foreign(holder) {
		return // it gives it up in a power cycle, or with its replacement
	}
	c.refuse(fmt.Sprintf("the server %s has the primary IP %s, and gives it up only after this", holder, primaryIP),
		fmt.Sprintf("Take two deploys: first one that frees the address (%s, with --allow-destroy if %q goes), then this one.", d.options.command(), holder))
}
