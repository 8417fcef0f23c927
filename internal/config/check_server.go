package config

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// RFC 1123, and short enough for a label's value.
var hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

const maxServerName = 63

func (c *checker) servers(section *node) {
	if section == nil {
		return
	}
	taken := map[string]string{} // network and address → server
	for _, f := range section.fields {
		if !hostPattern.MatchString(f.name) || len(f.name) > maxServerName {
			hint := "The name becomes the host name: 1 to 63 letters, digits, dashes and dots, with a letter or digit at both ends."
			if better := strings.ReplaceAll(f.name, "_", "-"); better != f.name && hostPattern.MatchString(better) {
				hint = fmt.Sprintf("Host names have no underscores. Did you mean %q?", better)
			}
			c.report(f.value.key, fmt.Sprintf("%s cannot be the name of a server", quote(f.name)), hint)
		}
		if f.value.bad {
			continue
		}
		c.server(f.value, f.name, c.file.Servers[f.name], taken)
	}
}

// word is what names of types, images and locations are made of.
var word = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// imageSelector is a name or a label selector.
var imageSelector = regexp.MustCompile(`^[A-Za-z0-9!][A-Za-z0-9._/=!,() -]*$`)

func (c *checker) server(n *node, name string, s serverEntry, taken map[string]string) {
	where := join("servers", name)
	if v := c.need(n, "server_type", where, "Add for example server_type: cx22"); v != nil && !word.MatchString(s.ServerType[0]) {
		c.report(v.value, fmt.Sprintf("%s is not a server type", quote(s.ServerType[0])), "Write for example cx22.")
	}
	if v := c.need(n, "image", where, "Add for example image: debian-12"); v != nil && !imageSelector.MatchString(s.Image) {
		c.report(v.value, fmt.Sprintf("%s is neither an image's name nor a label selector", quote(s.Image)), "Write for example debian-12, or os=nixos for the newest snapshot with that label.")
	}
	c.locations(n, where, s)
	c.labels(n.good("labels"), s.Labels)
	c.attachments(n.good("networks"), name, s, taken)
	c.loginKeys(n, where, s)
}

func (c *checker) locations(n *node, where string, s serverEntry) {
	v := c.need(n, "location", where, "Add for example location: nbg1, or location: [nbg1, fsn1] for the first with capacity")
	if v == nil {
		return
	}
	if len(s.Location) == 0 {
		c.report(v.value, where+".location names none", "Write for example location: nbg1")
	}
	for i, location := range s.Location {
		at := v
		if i < len(v.items) {
			at = v.items[i]
		}
		if at.bad {
			continue
		}
		if !word.MatchString(location) {
			c.report(at.value, fmt.Sprintf("%s is not a location", quote(location)), "Write for example nbg1.")
		}
		if slices.Contains(s.Location[:i], location) {
			c.report(at.value, fmt.Sprintf("location %s stands here twice", quote(location)), "Remove one.")
		}
	}
}

func (c *checker) attachments(n *node, server string, s serverEntry, taken map[string]string) {
	if n == nil {
		return
	}
	for _, f := range n.fields {
		network, ok := c.file.Networks[f.name]
		if !ok {
			c.report(f.value.key, fmt.Sprintf("%s wants network %s, which is not declared", join("servers", server), quote(f.name)),
				suggest(f.name, slices.Collect(maps.Keys(c.file.Networks)), "networks"))
			continue
		}
		if len(network.Subnets) == 0 {
			c.report(f.value.key, fmt.Sprintf("network %s has no subnet, so no server can be in it", quote(f.name)),
				fmt.Sprintf("Add to %s: subnets: [{type: cloud, network_zone: eu-central, ip_range: …}]", join("networks", f.name)))
		}
		c.zones(f.value.key, f.name, network, s)
		v := f.value.good("ip")
		if v == nil {
			continue
		}
		ip, ok := c.fixedIP(v, s.Networks[f.name].IP, f.name)
		if !ok {
			continue
		}
		key := f.name + " " + ip.String()
		if other, ok := taken[key]; ok {
			c.report(v.value, fmt.Sprintf("%s is already the address of server %s in network %s", ip, quote(other), quote(f.name)), "Give each server an address of its own."+c.freeAddress(f.name))
			continue
		}
		taken[key] = server
	}
}

// zones compares the network's zones with the server's locations, as far as
// they are known.
func (c *checker) zones(at position, name string, network networkEntry, s serverEntry) {
	var zones []string
	for _, subnet := range network.Subnets {
		zones = append(zones, string(subnet.NetworkZone))
	}
	for _, location := range s.Location {
		zone := zoneOf(location)
		if zone != "" && len(zones) > 0 && !slices.Contains(zones, zone) && !slices.Contains(zones, "") {
			c.report(at, fmt.Sprintf("location %s is in zone %s, where network %s has no subnet", quote(location), zone, quote(name)),
				fmt.Sprintf("Its subnets are in %s: choose a location there, or add a subnet.", list(zones)))
		}
	}
}

// freeAddress proposes an address that no server has, as a sentence.
func (c *checker) freeAddress(name string) string {
	network := c.file.Networks[name]
	used := map[netip.Addr]bool{}
	for _, s := range c.file.Servers {
		if ip, err := netip.ParseAddr(s.Networks[name].IP); err == nil {
			used[ip] = true
		}
	}
	whole, err := netip.ParsePrefix(network.IPRange)
	if err != nil {
		return ""
	}
	for _, s := range network.Subnets {
		p, err := netip.ParsePrefix(s.IPRange)
		if err != nil || !p.Addr().Is4() {
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

func (c *checker) loginKeys(n *node, where string, s serverEntry) {
	v := n.get("ssh_keys")
	if v == nil || !v.bad && len(s.SSHKeys) == 0 {
		at := n.key
		if v != nil {
			at = v.value
		}
		hint := "Add ssh_keys: [NAME], with the name of an entry of the section ssh_keys."
		if names := slices.Sorted(maps.Keys(c.file.SSHKeys)); len(names) > 0 {
			hint = fmt.Sprintf("Add for example ssh_keys: [%s]", names[0])
		}
		c.report(at, where+" has no ssh_keys, so nobody could log in", hint)
		return
	}
	if v.bad {
		return
	}
	for i, name := range s.SSHKeys {
		if i >= len(v.items) || v.items[i].bad {
			continue
		}
		if _, ok := c.file.SSHKeys[name]; !ok {
			hint := suggest(name, slices.Collect(maps.Keys(c.file.SSHKeys)), "ssh_keys")
			if len(c.file.SSHKeys) == 0 {
				hint = fmt.Sprintf("Declare it: ssh_keys: {%s: {public_key: ssh-ed25519 AAAA…}}", name)
			}
			c.report(v.items[i].value, fmt.Sprintf("%s wants ssh key %s, which is not declared", where, quote(name)), hint)
		}
		if slices.Contains(s.SSHKeys[:i], name) {
			c.report(v.items[i].value, fmt.Sprintf("ssh key %s stands here twice", quote(name)), "Remove one.")
		}
	}
}

func list(names []string) string {
	return strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")
}
