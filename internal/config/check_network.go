package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// zoneOf maps the locations that Hetzner had when this was written to their
// network zones. Others are not checked.
func zoneOf(location string) string {
	switch location {
	case "fsn1", "nbg1", "hel1":
		return zoneEurope
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

func private(p netip.Prefix) bool {
	return slices.ContainsFunc(privateRanges(), func(r netip.Prefix) bool { return r.Bits() <= p.Bits() && r.Contains(p.Addr()) })
}

func (c *checker) networks(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		network, where := c.file.Networks[f.name], join("networks", f.name)
		if !f.value.bad && c.existing(f, where, "a network", network.Existing) {
			continue
		}
		c.name(f.value.key, "a network", f.name)
		if f.value.bad {
			continue
		}
		c.labels(f.value.good("labels"), network.Labels)
		var whole netip.Prefix
		if n := c.need(f.value, "ip_range", where, "Add for example ip_range: 10.0.0.0/16"); n != nil {
			whole = c.networkRange(n, network.IPRange)
		}
		subnets := c.subnets(f.value.good("subnets"), where, network, whole)
		c.routes(f.value.good("routes"), where, network, whole, subnets)
	}
}

func (c *checker) networkRange(n *node, text string) netip.Prefix {
	p, ok := c.cidr(n, "10.0.0.0/16", text)
	if !ok {
		return netip.Prefix{}
	}
	if !private(p) {
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
	return p, c.masked(n, p)
}

func (c *checker) masked(n *node, p netip.Prefix) bool {
	if p.Masked() != p {
		c.report(n.value, fmt.Sprintf("%s is an address in a range, not a range", p), fmt.Sprintf("Did you mean %q?", p.Masked()))
		return false
	}
	return true
}

// placed is a range in the file.
type placed struct {
	prefix  netip.Prefix
	line    int
	vswitch bool
}

// subnets gives the ranges that are good.
func (c *checker) subnets(section *node, where string, network networkEntry, whole netip.Prefix) []placed {
	if section == nil {
		return nil
	}
	var before []placed
	for i, n := range section.items {
		if n.bad || i >= len(network.Subnets) {
			continue
		}
		s := network.Subnets[i]
		of := fmt.Sprintf("subnet %d of %s", i+1, where)
		c.need(n, "network_zone", of, "Add for example network_zone: eu-central")
		c.vswitch(n, of, s)
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
		before = append(before, placed{p, v.value.line, s.Type == subnetVSwitch})
	}
	return before
}

func (c *checker) vswitch(n *node, of string, s subnetEntry) {
	id := n.get("vswitch_id")
	switch {
	case bad(n.get("type")) || bad(id):
	case s.Type == subnetVSwitch && id == nil:
		c.report(n.key, of+" has no vswitch_id", "Add vswitch_id: with the vSwitch's number in the Robot console.")
	case s.Type == subnetVSwitch && s.VSwitchID == 0:
		c.report(id.value, "0 is not the number of a vSwitch", "Write the vSwitch's number in the Robot console.")
	case s.Type != subnetVSwitch && id != nil:
		c.report(id.key, of+" has a vswitch_id, but is not of type vswitch", "Write type: vswitch, or remove vswitch_id.")
	}
	if zone := n.good("network_zone"); zone != nil && s.Type == subnetVSwitch && s.NetworkZone != zoneEurope {
		c.report(zone.value, fmt.Sprintf("zone %s has no vSwitches", s.NetworkZone), "Write network_zone: "+zoneEurope)
	}
}

func (c *checker) routes(section *node, where string, network networkEntry, whole netip.Prefix, subnets []placed) {
	if section == nil {
		return
	}
	before := subnets
	for i, n := range section.items {
		if n.bad || i >= len(network.Routes) {
			continue
		}
		r, of := network.Routes[i], fmt.Sprintf("route %d of %s", i+1, where)
		if v := c.need(n, "destination", of, "Add for example destination: 0.0.0.0/0"); v != nil {
			if p, ok := c.destination(v, r.Destination, before); ok {
				before = append(slices.Clip(before), placed{prefix: p, line: v.value.line})
			}
		}
		if v := c.need(n, "gateway", of, "Add gateway: with the private address of the server that takes it."); v != nil {
			c.gateway(v, r.Gateway, whole, subnets)
		}
	}
}

func (c *checker) destination(n *node, text string, before []placed) (netip.Prefix, bool) {
	p, ok := c.cidr(n, "192.168.2.0/24", text)
	if !ok {
		return p, false
	}
	everything := p.Bits() == 0
	if !everything && !private(p) {
		c.report(n.value, fmt.Sprintf("%s is not a private range", p), "A route leads to a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, or to everything: 0.0.0.0/0.")
	}
	for _, b := range before {
		// Everything may have a route beside those for parts of it.
		if b.prefix == p || b.prefix.Overlaps(p) && !everything && b.prefix.Bits() > 0 {
			c.report(n.value, fmt.Sprintf("destination %s overlaps %s in line %d", p, b.prefix, b.line), "Routes lead to ranges that share no address with subnets and other routes.")
		}
	}
	return p, true
}

func (c *checker) gateway(n *node, text string, whole netip.Prefix, subnets []placed) {
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil || !ip.Is4():
		c.report(n.value, fmt.Sprintf("gateway %s is not an IPv4 address", quote(text)), "Write the private address of the server that takes the traffic, for example 10.0.1.2.")
	case !whole.IsValid():
	case !whole.Contains(ip):
		c.report(n.value, fmt.Sprintf("gateway %s lies outside its network %s", ip, whole), "Write the private address of a server in the network.")
	case ip == whole.Addr().Next() || ip == metadataGateway():
		c.report(n.value, fmt.Sprintf("gateway %s is the provider's own", ip), "Write the private address of a server in the network.")
	case slices.ContainsFunc(subnets, func(s placed) bool { return s.vswitch && s.prefix.Contains(ip) }):
		c.report(n.value, fmt.Sprintf("gateway %s lies in a vSwitch", ip), "Write the private address of a server in a subnet of type cloud.")
	}
}

// metadataGateway is reserved in every network.
func metadataGateway() netip.Addr { return netip.AddrFrom4([4]byte{172, 31, 1, 1}) }
