package provision

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// attachments compares the networks that a server is in.
func (d *comparison) attachments(c *change, name string, want fleet.Server, have fleet.AccountServer) {
	me := ref{plans.KindServer, name}
	for _, n := range sorted(want.Networks) {
		at := want.Networks[n]
		old, in := have.Networks[n]
		switch {
		case in && d.networkReplaced(n):
			c.risk(plans.RiskAccess)
			c.set(attachment(n, orChosen(old), at), d.attach(c, me, n, at))
		case in && movesTo(at, old):
			c.risk(plans.RiskAccess)
			c.set(attachment(n, orChosen(old), at), d.detach(me, n, old, expand), d.attach(c, me, n, at))
		case in:
			d.aliases(c, name, n, at.AliasIPs, have.AliasIPs[n])
		default:
			c.set(attachment(n, "", at), d.attach(c, me, n, at))
		}
	}
	for _, n := range sorted(have.Networks) {
		if _, wanted := want.Networks[n]; !wanted && !foreign(n) {
			c.risk(plans.RiskAccess)
			c.set(known("networks."+n, orChosen(have.Networks[n]), ""), d.detach(me, n, have.Networks[n], contract))
		}
	}
}

func attachment(network, old string, at fleet.Attachment) plans.Attribute {
	return plans.Attribute{Name: "networks." + network, Old: old, New: at.IP, Known: at.IP != ""}
}

// attach puts a server or load balancer into a network.
func (d *comparison) attach(c *change, who ref, network string, at fleet.Attachment) step {
	s := step{
		after: []string{made(plans.KindNetwork, network), ranges(network)},
		gives: []string{joined(network), memberJoined(who, network)},
		do: func(ctx context.Context, r *run) error {
			if who.kind == plans.KindLoadBalancer {
				return r.provider.AttachLoadBalancer(ctx, r.id(who.kind, who.name), r.id(plans.KindNetwork, network), at.IP)
			}
			return r.provider.AttachNetwork(ctx, r.id(who.kind, who.name), r.id(plans.KindNetwork, network), at)
		},
	}
	if at.IP == "" {
		return s
	}
	s.after = append(s.after, addressFree(network, at.IP))
	if !d.networkReplaced(network) {
		d.addressHeld(c, who, network, at.IP)
	}
	return s
}

// addressHeld refuses an address that another one has and does not give up
// before the hosts are touched: it would be noticed only after the server was
// bought.
func (d *comparison) addressHeld(c *change, who ref, network, ip string) {
	for _, m := range d.memberships(network) {
		if m.who != who && sameAddress(m.ip, ip) && !m.moves {
			c.refuse(fmt.Sprintf("%s has the address %s in the network %q, and gives it up only after this", m.who, ip, network),
				fmt.Sprintf("Give %q another address, or take two deploys: first one that frees the address (%s, with --allow-destroy if %q goes), then this one.",
					who.name, d.options.command(), m.who.name))
		}
	}
}

func (d *comparison) detach(who ref, network, ip string, ph phase) step {
	s := step{
		phase: ph, gives: []string{left(network), addressFree(network, ip)},
		do: func(ctx context.Context, r *run) error {
			if who.kind == plans.KindLoadBalancer {
				return r.provider.DetachLoadBalancer(ctx, r.id(who.kind, who.name), r.id(plans.KindNetwork, network))
			}
			return r.provider.DetachNetwork(ctx, r.id(who.kind, who.name), r.id(plans.KindNetwork, network))
		},
	}
	if who.kind == plans.KindServer {
		s.after = []string{untargeted(who.name)}
	}
	return s
}

// aliases compares the further addresses in a network. New ones come before
// old ones go.
func (d *comparison) aliases(c *change, name, network string, want, have []string) {
	want, have = normalAddresses(want), normalAddresses(have)
	if slices.Equal(want, have) {
		return
	}
	set := func(ph phase, ips []string) step {
		return step{phase: ph, do: func(ctx context.Context, r *run) error {
			return r.provider.ChangeAliasIPs(ctx, r.id(plans.KindServer, name), r.id(plans.KindNetwork, network), ips)
		}}
	}
	both := normalAddresses(slices.Concat(want, have))
	var steps []step
	if !slices.Equal(both, have) {
		steps = append(steps, set(expand, both))
	}
	if !slices.Equal(both, want) {
		steps = append(steps, set(contract, want))
	}
	c.set(known("networks."+network+".alias_ips", strings.Join(have, ", "), strings.Join(want, ", ")), steps...)
}
