package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// member is a server or load balancer in a network.
type member struct {
	where     string // servers.web
	what      string // "server"
	name      string
	locations []string
	zone      networkZone // where it has no location
}

// attached checks that a member can be in a network; it gives the network, if
// there is one.
func (c *checker) attached(f field, m member) (networkEntry, bool) {
	if !c.refer(f.value.key, m.where, "network", "networks", f.name) {
		return networkEntry{}, false
	}
	network := c.file.Networks[f.name]
	if network.Existing {
		return network, true
	}
	var zones []string
	known := true
	for _, s := range network.Subnets {
		if s.Type == subnetCloud {
			zones = append(zones, string(s.NetworkZone))
			known = known && s.NetworkZone != ""
		}
	}
	if len(zones) == 0 {
		c.report(f.value.key, fmt.Sprintf("network %s has no subnet, so no server can be in it", quote(f.name)),
			fmt.Sprintf("Add to %s: subnets: [{type: cloud, network_zone: eu-central, ip_range: …}]", join("networks", f.name)))
		return network, true
	}
	if known {
		c.zones(f, m, zones)
	}
	return network, true
}

// zones compares the network's zones with the member's locations, as far as
// they are known.
func (c *checker) zones(f field, m member, zones []string) {
	hint := fmt.Sprintf("Its subnets are in %s: choose a location there, or add a subnet.", list(zones))
	for _, location := range m.locations {
		if zone := zoneOf(location); zone != "" && !slices.Contains(zones, zone) {
			c.report(f.value.key, fmt.Sprintf("location %s is in zone %s, where network %s has no subnet", quote(location), zone, quote(f.name)), hint)
		}
	}
	if m.zone != "" && !slices.Contains(zones, string(m.zone)) {
		c.report(f.value.key, fmt.Sprintf("network %s has no subnet in zone %s", quote(f.name), m.zone), hint)
	}
}

// take checks that an address of a network is the member's alone.
func (c *checker) take(n *node, ip netip.Addr, network string, m member) {
	key := network + " " + ip.String()
	if other, ok := c.taken[key]; ok {
		c.report(n.value, fmt.Sprintf("%s is already the address of %s in network %s", ip, other, quote(network)),
			fmt.Sprintf("Give each %s an address of its own.%s", m.what, c.freeAddress(network)))
		return
	}
	c.taken[key] = m.what + " " + quote(m.name)
}

func (c *checker) attachments(n *node, m member, attachments map[string]attachmentEntry) {
	if n == nil {
		return
	}
	for _, f := range n.fields {
		network, ok := c.attached(f, m)
		if !ok {
			continue
		}
		a := attachments[f.name]
		if v := f.value.good("ip"); v != nil {
			if ip, ok := c.fixedIP(v, a.IP, f.name, network, m); ok {
				c.take(v, ip, f.name, m)
			}
		}
		aliases := f.value.good("alias_ips")
		for i, text := range a.AliasIPs {
			if aliases == nil || i >= len(aliases.items) || aliases.items[i].bad {
				continue
			}
			if ip, ok := c.aliasIP(aliases.items[i], text, f.name, network); ok {
				c.take(aliases.items[i], ip, f.name, m)
			}
		}
	}
}

func (c *checker) parseIPv4(n *node, text, hint string) (netip.Addr, bool) {
	ip, err := netip.ParseAddr(text)
	if err == nil && ip.Is4() {
		return ip, true
	}
	if p, err := netip.ParsePrefix(text); err == nil {
		hint = fmt.Sprintf("Did you mean %q?", p.Addr())
	}
	c.report(n.value, fmt.Sprintf("%s is not an IPv4 address", quote(text)), hint)
	return netip.Addr{}, false
}

// fixedIP checks the address of a member in a network that exists.
func (c *checker) fixedIP(n *node, text, name string, network networkEntry, m member) (netip.Addr, bool) {
	ip, ok := c.parseIPv4(n, text, "Write an IPv4 address, for example 10.0.1.3, or remove the line and the provider chooses one.")
	if !ok {
		return ip, false
	}
	whole, err := netip.ParsePrefix(network.IPRange)
	if err != nil {
		return ip, true // the network is not ours, or its own problem says enough
	}
	var ranges []string
	for _, s := range network.Subnets {
		p, err := netip.ParsePrefix(s.IPRange)
		if err != nil {
			return ip, true
		}
		if s.Type == subnetCloud {
			ranges = append(ranges, p.String())
		}
		if !p.Contains(ip) {
			continue
		}
		if s.Type == subnetVSwitch {
			c.report(n.value, fmt.Sprintf("%s lies in a vSwitch, whose addresses are for dedicated servers", ip), "Choose an address of a subnet of type cloud.")
		} else if why := reserved(ip, whole, p); why != "" {
			c.report(n.value, fmt.Sprintf("%s is %s and cannot be given to a %s", ip, why, m.what), "Choose another address of "+p.String()+".")
		}
		return ip, true
	}
	if len(ranges) > 0 {
		c.report(n.value, fmt.Sprintf("%s lies in no subnet of network %s", ip, quote(name)), fmt.Sprintf("Its subnets: %s.", list(ranges)))
	}
	return ip, true
}

// aliasIP checks a further address: anywhere in the network.
func (c *checker) aliasIP(n *node, text, name string, network networkEntry) (netip.Addr, bool) {
	ip, ok := c.parseIPv4(n, text, "Write an IPv4 address, for example 10.0.1.3.")
	if !ok {
		return ip, false
	}
	whole, err := netip.ParsePrefix(network.IPRange)
	if err != nil {
		return ip, true
	}
	switch {
	case !whole.Contains(ip):
		c.report(n.value, fmt.Sprintf("%s lies outside network %s", ip, quote(name)), fmt.Sprintf("Choose an address of %s.", whole))
	case ip == whole.Addr() || reserved(ip, whole, whole) != "":
		c.report(n.value, fmt.Sprintf("%s is reserved in network %s", ip, quote(name)), fmt.Sprintf("Choose another address of %s.", whole))
	}
	return ip, true
}

// reserved says why an address of a subnet belongs to the provider, or "".
func reserved(ip netip.Addr, network, subnet netip.Prefix) string {
	switch ip {
	case network.Addr().Next():
		return "the gateway of the network"
	case subnet.Addr():
		return "the first address of its subnet"
	case last(subnet):
		return "the broadcast address of its subnet"
	case metadataGateway():
		return "reserved by the provider"
	}
	return ""
}

// last is the highest address of an IPv4 range.
func last(p netip.Prefix) netip.Addr {
	a := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		a[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(a)
}

// freeAddress proposes an address that nobody has, as a sentence.
func (c *checker) freeAddress(name string) string {
	network := c.file.Networks[name]
	used := map[netip.Addr]bool{}
	use := func(texts ...string) {
		for _, text := range texts {
			if ip, err := netip.ParseAddr(text); err == nil {
				used[ip] = true
			}
		}
	}
	for _, s := range c.file.Servers {
		use(s.Networks[name].IP)
		use(s.Networks[name].AliasIPs...)
	}
	for _, l := range c.file.LoadBalancers {
		use(l.Networks[name].IP)
	}
	whole, err := netip.ParsePrefix(network.IPRange)
	if err != nil {
		return ""
	}
	for _, s := range network.Subnets {
		p, err := netip.ParsePrefix(s.IPRange)
		if err != nil || !p.Addr().Is4() || s.Type != subnetCloud {
			continue
		}
		for ip := p.Addr().Next(); p.Contains(ip) && len(used) > 0; ip = ip.Next() {
			if !used[ip] && reserved(ip, whole, p) == "" {
				return fmt.Sprintf(" %s is free.", ip)
			}
		}
	}
	return ""
}
