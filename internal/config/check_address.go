package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// publicNet checks a server's public side.
func (c *checker) publicNet(n *node, name string, s serverEntry) {
	where := join("servers", name)
	section := n.good("public_net")
	c.primaryIPOf(section, name, s, addressIPv4, s.PublicNet.EnableIPv4, s.PublicNet.IPv4)
	c.primaryIPOf(section, name, s, addressIPv6, s.PublicNet.EnableIPv6, s.PublicNet.IPv6)
	if section != nil && len(s.PublicNet.families()) == 0 && len(s.Networks) == 0 && !bad(n.get("networks")) {
		c.report(section.key, where+" has neither a public address nor a network", "Nobody could reach it: add networks: {NAME: {}}, or remove enable_ipv4: false.")
	}
}

// primaryIPOf checks the primary IP that a server names.
func (c *checker) primaryIPOf(section *node, server string, s serverEntry, family string, enabled bool, name string) {
	n := section.good(family)
	if n == nil {
		return
	}
	where := join("servers", server)
	if !c.refer(n.value, where, "primary IP", "primary_ips", name) {
		return
	}
	if !enabled {
		c.report(n.value, fmt.Sprintf("%s names a primary IP and has enable_%s: false", where, family), fmt.Sprintf("Remove the one or the other: with %s: %s it has a public address.", family, name))
	}
	p := c.file.PrimaryIPs[name]
	if other, ok := c.assigned[name]; ok {
		c.report(n.value, fmt.Sprintf("primary IP %s is already that of server %s", quote(name), quote(other)), "A primary IP belongs to one server: declare another one.")
	} else {
		c.assigned[name] = server
	}
	if p.Existing {
		return
	}
	if p.Type != "" && string(p.Type) != family {
		c.report(n.value, fmt.Sprintf("primary IP %s is of type %s", quote(name), p.Type), fmt.Sprintf("Write it as %s: in public_net, or name one of type %s here.", p.Type, family))
	}
	c.sameLocation(n, fmt.Sprintf("primary IP %s", quote(name)), p.Location, server, s)
}

// sameLocation checks that a server can only come to be where something is.
func (c *checker) sameLocation(n *node, what, location, server string, s serverEntry) {
	if location == "" {
		return
	}
	for _, l := range s.Location {
		if l != location {
			c.report(n.value, fmt.Sprintf("%s is in location %s, but server %s may be in %s", what, location, quote(server), l),
				fmt.Sprintf("Both must be in one location: write location: %s in %s alone.", location, join("servers", server)))
			return
		}
	}
}

// serverNames checks a server's names in reverse DNS.
func (c *checker) serverNames(n *node, where string, s serverEntry) {
	if n == nil {
		return
	}
	c.dnsNames(n, where, s.DNSPtr, s.PublicNet.families())
	for family, name := range map[string]string{addressIPv4: s.PublicNet.IPv4, addressIPv6: s.PublicNet.IPv6} {
		p, ok := c.file.PrimaryIPs[name]
		at := n
		if by := n.get(family); by != nil {
			at = by
		}
		if _, named := s.DNSPtr.names(s.PublicNet.families()...)[family]; ok && named && p.DNSPtr.named() {
			c.report(at.value, fmt.Sprintf("%s.dns_ptr names the %s address, and so does %s", where, family, join("primary_ips", name)), "Keep the one of the primary IP.")
		}
	}
}

func (d dnsNames) named() bool { return d.All != "" || len(d.By) > 0 }

const maxDNSName = 253

// dnsNames checks names for addresses of these families.
func (c *checker) dnsNames(n *node, where string, d dnsNames, families []string) {
	if n.kind == kindText {
		c.dnsName(n, where, d.All)
		if len(families) == 0 {
			c.report(n.key, where+" has a name in reverse DNS, but no public address", "Remove dns_ptr.")
		}
		return
	}
	for _, f := range n.fields {
		if f.value.bad {
			continue
		}
		c.dnsName(f.value, where, d.By[f.name])
		family := f.name
		if ip, err := netip.ParseAddr(f.name); err == nil {
			family = addressIPv6
			if ip.Is4() {
				family = addressIPv4
			}
			if ip.String() != f.name || ip.Zone() != "" {
				c.report(f.value.key, fmt.Sprintf("%s.dns_ptr: %s is not the plain form of the address", where, quote(f.name)), fmt.Sprintf("Write %q.", ip.WithZone("").Unmap().String()))
				continue
			}
		} else if family != addressIPv4 && family != addressIPv6 {
			c.report(f.value.key, fmt.Sprintf("%s.dns_ptr: %s is not an address", where, quote(f.name)), `Write ipv4, ipv6 or an address before the colon, for example "2001:db8::1".`)
			continue
		}
		if !slices.Contains(families, family) {
			c.report(f.value.key, fmt.Sprintf("%s.dns_ptr names an %s address, which it does not have", where, family), "Remove the line.")
		}
	}
}

func (c *checker) dnsName(n *node, where, name string) {
	plain := strings.TrimSuffix(name, ".")
	if hostPattern.MatchString(name) && len(name) <= maxDNSName {
		return
	}
	hint := "Write for example www.example.com."
	if plain != name && hostPattern.MatchString(plain) {
		hint = fmt.Sprintf("Did you mean %q?", plain)
	}
	c.report(n.value, fmt.Sprintf("%s.dns_ptr: %s is not a name", where, quote(name)), hint)
}

func (c *checker) primaryIPs(section *node) {
	if section == nil {
		return
	}
	for _, f := range section.fields {
		if f.value.bad {
			c.name(f.value.key, "a primary IP", f.name)
			continue
		}
		p, where := c.file.PrimaryIPs[f.name], join("primary_ips", f.name)
		if c.existing(f, where, "a primary IP", p.Existing) {
			continue
		}
		c.name(f.value.key, "a primary IP", f.name)
		c.labels(f.value.good("labels"), p.Labels)
		c.need(f.value, "type", where, "Add type: ipv4 or type: ipv6")
		if v := c.need(f.value, "location", where, "Add for example location: nbg1, where its server is"); v != nil {
			c.location(v, p.Location)
		}
		if v := f.value.good("auto_delete"); v != nil && p.AutoDelete && p.DeleteProtection {
			c.report(v.value, where+" has both auto_delete and delete_protection", "The provider takes only one: auto_delete lets it go with its server, delete_protection keeps it.")
		}
		if v := f.value.good("dns_ptr"); v != nil {
			families := []string{addressIPv4, addressIPv6}
			if p.Type != "" {
				families = []string{string(p.Type)}
			}
			c.dnsNames(v, where, p.DNSPtr, families)
		}
	}
}
