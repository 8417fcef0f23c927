package terraform

import (
	"net/netip"
	"strings"
)

// rdns gives an address of a server, primary IP or load balancer its name.
func (b *builder) rdns(i *instance) {
	r := &i.record
	name, ok := b.text(r, "dns_ptr")
	if !ok || name == "" {
		b.incomplete(i)
		return
	}
	if v, _ := r.attrs["floating_ip_id"].Unmark(); !v.IsKnown() || !v.IsNull() {
		b.gap(r, "floating_ip_id", "reverse DNS of floating IPs is not carried over", "A fleet has primary IPs, which outlive servers too.")
		return
	}
	for attr, section := range map[string]string{"server_id": sectionServers, "primary_ip_id": sectionPrimaryIPs, "load_balancer_id": sectionLoadBalancers} {
		if v, _ := r.attrs[attr].Unmark(); v.IsKnown() && v.IsNull() {
			continue
		}
		owner := b.ref(r, attr, section)
		if owner == nil {
			b.incomplete(i)
			return
		}
		if owner.existing || owner.of == nil {
			b.gap(r, attr, "it names an address of "+short(owner.name)+", which the fleet does not own", "Keep it where that is declared.")
			return
		}
		address, ok := b.addressKey(r, owner.of)
		if !ok {
			return
		}
		b.setName(owner, address, name)
		return
	}
	b.incomplete(i)
}

// addressKey is how dns_ptr names the address: its family for the first one,
// the address itself for others.
func (b *builder) addressKey(r *record, owner *instance) (string, bool) {
	v, _ := r.attrs["ip_address"].Unmark()
	text, ok := textOf(v)
	if !ok {
		b.value(r, "ip_address")
		return "", false
	}
	if a, made := b.in.values.addressOf(text); made && family(a.attr, a.of) != "" {
		return family(a.attr, a.of), true
	}
	for _, attr := range []string{"ipv4_address", "ipv6_address", "ip_address", "ipv4", "ipv6"} {
		if owned, ok := textOf(owner.attrs[attr]); ok && owned == text && owned != "" && family(attr, owner) != "" {
			return family(attr, owner), true
		}
	}
	if _, ok := b.value(r, "ip_address"); !ok {
		return "", false // made of an address that is not known
	}
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		b.gap(r, "ip_address", short(text)+" is not an address", "Correct it.")
		return "", false
	case ip.Is4():
		return "ipv4", true // there is but one
	}
	return ip.String(), true
}

// family is how dns_ptr calls the address of an attribute; "" for the
// ip_address of an IPv6 primary IP, which for Terraform is the network's
// address and not the first one in it.
func family(attr string, of *instance) string {
	switch {
	case strings.HasPrefix(attr, "ipv6"):
		return "ipv6"
	case attr == "ip_address" && of.kindOfIP() == "ipv6":
		return ""
	}
	return "ipv4"
}

func (b *builder) setName(owner *item, address, name string) {
	with := func(names map[string]string) map[string]string {
		if names == nil {
			names = map[string]string{}
		}
		names[address] = name
		return names
	}
	switch owner.section {
	case sectionServers:
		if s, ok := b.fleet.Servers[owner.name]; ok {
			s.DNSPtr = with(s.DNSPtr)
			b.fleet.Servers[owner.name] = s
		}
	case sectionPrimaryIPs:
		if p, ok := b.fleet.PrimaryIPs[owner.name]; ok {
			p.DNSPtr = with(p.DNSPtr)
			b.fleet.PrimaryIPs[owner.name] = p
		}
	case sectionLoadBalancers:
		if l, ok := b.fleet.LoadBalancers[owner.name]; ok {
			l.DNSPtr = with(l.DNSPtr)
			b.fleet.LoadBalancers[owner.name] = l
		}
	}
}
