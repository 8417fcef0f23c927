package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
)

// zoneOf maps the locations that Hetzner had when this was written to their
// network zones. Others are not checked.
func zoneOf(location string) string {
	switch location {
	case "fsn1", "nbg1", "hel1":
		return "eu-central"
	case "ash":
		return "us-east"
	case "hil":
		return "us-west"
	case "sin":
		return "ap-southeast"
	}
	return ""
}

// Sizes that the provider accepts, as lengths of the prefix.
const (
	maxNetworkBits = 24
	maxSubnetBits  = 30
)

func privateRanges() []netip.Prefix {
	return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

func (c *checker) name(at position, what, name string) {
	if !namePattern.MatchString(name) {
		c.report(at, fmt.Sprintf("%s cannot be the name of %s", quote(name), what),
			"Use 1 to 63 letters, digits, dots, dashes and underscores, with a letter or digit at both ends.")
	}
}

func (c *checker) networks(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		c.name(f.value.key, "a network", f.name)
		if f.value.bad {
			continue
		}
		network, where := c.file.Networks[f.name], join("networks", f.name)
		c.labels(f.value.good("labels"), network.Labels)
		n := c.need(f.value, "ip_range", where, "Add for example ip_range: 10.0.0.0/16")
		var whole netip.Prefix
		if n != nil {
			whole = c.networkRange(n, network.IPRange)
		}
		c.subnets(f.value.good("subnets"), where, network, whole)
	}
}

func (c *checker) networkRange(n *node, text string) netip.Prefix {
	p, ok := c.cidr(n, "10.0.0.0/16", text)
	if !ok {
		return netip.Prefix{}
	}
	if !slices.ContainsFunc(privateRanges(), func(r netip.Prefix) bool { return r.Bits() <= p.Bits() && r.Contains(p.Addr()) }) {
		c.report(n.value, fmt.Sprintf("%s is not a private range", p), "Use a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16.")
	}
	if p.Bits() > maxNetworkBits {
		c.report(n.value, fmt.Sprintf("%s is too small for a network", p), fmt.Sprintf("Networks are /%d or larger.", maxNetworkBits))
	}
	return p
}

// cidr parses an IPv4 range whose host bits are zero.
func (c *checker) cidr(n *node, example, text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil || !p.Addr().Is4() {
		hint := "Write an IPv4 range, for example " + example + "."
		if a, err := netip.ParseAddr(text); err == nil && a.Is4() {
			hint = fmt.Sprintf("Add the length of the prefix, for example %s/%s.", text, example[len(example)-2:])
		}
		c.report(n.value, fmt.Sprintf("%s is not an IP range", quote(text)), hint)
		return netip.Prefix{}, false
	}
	if p.Masked() != p {
		c.report(n.value, fmt.Sprintf("%s is an address in a range, not a range", p), fmt.Sprintf("Did you mean %q?", p.Masked()))
		return netip.Prefix{}, false
	}
	return p, true
}

func (c *checker) subnets(section *node, where string, network networkEntry, whole netip.Prefix) {
	if section == nil {
		return
	}
	type placed struct {
		prefix netip.Prefix
		line   int
	}
	var before []placed
	for i, n := range section.items {
		if n.bad || i >= len(network.Subnets) {
			continue
		}
		s := network.Subnets[i]
		of := fmt.Sprintf("subnet %d of %s", i+1, where)
		c.need(n, "network_zone", of, "Add for example network_zone: eu-central")
		v := c.need(n, "ip_range", of, "Add for example ip_range: 10.0.1.0/24")
		if v == nil {
			continue
		}
		p, ok := c.cidr(v, "10.0.1.0/24", s.IPRange)
		if !ok {
			continue
		}
		if p.Bits() > maxSubnetBits {
			c.report(v.value, fmt.Sprintf("%s is too small for a subnet", p), fmt.Sprintf("Subnets are /%d or larger.", maxSubnetBits))
		}
		if whole.IsValid() && (p.Bits() < whole.Bits() || !whole.Contains(p.Addr())) {
			c.report(v.value, fmt.Sprintf("subnet %s lies outside its network %s", p, whole), "Choose a part of the network's ip_range, or make that larger.")
			continue
		}
		for _, b := range before {
			if b.prefix.Overlaps(p) {
				c.report(v.value, fmt.Sprintf("subnet %s overlaps %s in line %d", p, b.prefix, b.line), "Choose ranges that share no address.")
			}
		}
		before = append(before, placed{p, v.value.line})
	}
}

// fixedIP checks the address of a server in a network that exists.
func (c *checker) fixedIP(n *node, text, name string) (netip.Addr, bool) {
	network := c.file.Networks[name]
	ip, err := netip.ParseAddr(text)
	if err != nil || !ip.Is4() {
		hint := "Write an IPv4 address, for example 10.0.1.3, or remove the line and the provider chooses one."
		if p, err := netip.ParsePrefix(text); err == nil {
			hint = fmt.Sprintf("Did you mean %q?", p.Addr())
		}
		c.report(n.value, fmt.Sprintf("%s is not an IPv4 address", quote(text)), hint)
		return netip.Addr{}, false
	}
	whole, err := netip.ParsePrefix(network.IPRange)
	if err != nil {
		return ip, true // the network's own problem says enough
	}
	var ranges []string
	for _, s := range network.Subnets {
		p, err := netip.ParsePrefix(s.IPRange)
		if err != nil {
			return ip, true
		}
		ranges = append(ranges, p.String())
		if !p.Contains(ip) {
			continue
		}
		if why := reserved(ip, whole, p); why != "" {
			c.report(n.value, fmt.Sprintf("%s is %s and cannot be given to a server", ip, why), "Choose another address of "+p.String()+".")
		}
		return ip, true
	}
	if len(ranges) > 0 {
		c.report(n.value, fmt.Sprintf("%s lies in no subnet of network %s", ip, quote(name)), fmt.Sprintf("Its subnets: %s.", list(ranges)))
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
	case netip.AddrFrom4([4]byte{172, 31, 1, 1}):
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
