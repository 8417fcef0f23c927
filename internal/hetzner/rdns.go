package hetzner

import (
	"context"
	"fmt"
	"net"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// SetDNSPtr sets the reverse DNS name of one of a resource's addresses: "ipv4",
// "ipv6" (its first address) or an address. The name "" brings the provider's
// default back. The resource's labels remember that the fleet set it.
func (c *Client) SetDNSPtr(ctx context.Context, of plans.ResourceKind, id int64, address, name string) error {
	k, err := c.kind(of)
	if err != nil {
		return err
	}
	if k.rdns == nil {
		return &problem.Problem{Summary: fmt.Sprintf("a %s has no reverse DNS", k.noun)}
	}
	what := fmt.Sprintf("setting the reverse DNS of %s of %s %d", address, k.noun, id)
	label := rdnsLabel(address)
	if name == "" {
		return c.resetDNSPtr(ctx, k, what, id, address, label)
	}
	owner, err := c.mark(ctx, k, what, id, label)
	if err != nil {
		return err
	}
	ip, err := owner.address(k, address)
	if err != nil {
		return err
	}
	return c.act(ctx, request{what: what}, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(c.api.RDNS.ChangeDNSPtr(ctx, k.rdns(id), ip, &name))
	})
}

// resetDNSPtr brings the default back. An address that is gone took its name
// with it.
func (c *Client) resetDNSPtr(ctx context.Context, k kind, what string, id int64, address, label string) error {
	owner, err := c.look(ctx, k, what, id)
	if err != nil || owner == nil {
		return err
	}
	if !c.owns(owner.labels) {
		return c.notOurs(what)
	}
	if ip, err := owner.address(k, address); err == nil {
		err := c.act(ctx, request{what: what, gone: true}, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(c.api.RDNS.ChangeDNSPtr(ctx, k.rdns(id), ip, nil))
		})
		if err != nil {
			return err
		}
	}
	return c.unmark(ctx, k, what, id, label)
}

// address finds one of a resource's addresses by how flotilla.yaml names it.
func (m *meta) address(k kind, text string) (net.IP, error) {
	ip := net.ParseIP(text)
	switch text {
	case familyIPv4:
		ip = m.ipv4
	case familyIPv6:
		ip = m.ipv6
	}
	if ip == nil {
		return nil, &problem.Problem{
			Summary: fmt.Sprintf("the %s %q has no address %s that could have reverse DNS", k.noun, m.name, text),
			Hints:   []string{"Take it out of its dns_ptr in flotilla.yaml, or give it such an address."},
		}
	}
	return ip, nil
}

// pointers gives the reverse DNS that the fleet set, by how flotilla.yaml names
// the address. names are by address.
func pointers(labels map[string]string, ipv4, ipv6 net.IP, names map[string]string) map[string]string {
	set := map[string]string{}
	for family, ip := range map[string]net.IP{familyIPv4: ipv4, familyIPv6: ipv6} {
		if name := names[ip.String()]; ip != nil && name != "" && has(labels, rdnsLabel(family)) {
			set[family] = name
		}
	}
	for ip, name := range names {
		if name != "" && has(labels, rdnsLabel(ip)) {
			set[canonical(ip)] = name
		}
	}
	return set
}
