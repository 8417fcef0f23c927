package terraform

import (
	"net/netip"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func (b *builder) network(i *instance) {
	ipRange, ok := b.text(&i.record, "ip_range")
	if !ok || ipRange == "" {
		b.leave(i, "ip_range", "its ip_range is not known", "Write it, or import with --state terraform.tfstate.")
		return
	}
	b.fleet.Networks[b.items[i].name] = fleet.Network{
		IPRange: ipRange, ExposeRoutesToVSwitch: b.flag(&i.record, "expose_routes_to_vswitch"),
		DeleteProtection: b.protected(i), Labels: b.labels(&i.record),
	}
}

// owned gives the network that a part belongs to, nil when it cannot have it.
func (b *builder) ownedNetwork(i *instance) *item {
	it := b.ref(&i.record, "network_id", sectionNetworks)
	if it != nil && it.existing {
		b.gap(&i.record, "network_id", "it is a part of the network "+short(it.name)+", which the fleet does not own", "Keep it where the network is declared.")
		return nil
	}
	return it
}

func (b *builder) subnet(i *instance) {
	it := b.ownedNetwork(i)
	kind, ok1 := b.text(&i.record, "type")
	zone, ok2 := b.text(&i.record, "network_zone")
	ipRange, ok3 := b.text(&i.record, "ip_range")
	vswitch, ok4 := b.number(&i.record, "vswitch_id")
	if it == nil || !ok1 || !ok2 || !ok3 || !ok4 {
		b.incomplete(i)
		return
	}
	if kind == "server" {
		kind = "cloud" // the old word for the same
	}
	n := b.fleet.Networks[it.name]
	n.Subnets = append(n.Subnets, fleet.Subnet{Type: kind, NetworkZone: zone, IPRange: ipRange, VSwitchID: int64(vswitch)})
	b.fleet.Networks[it.name] = n
}

// incomplete notes that a part is missing in the fleet, unless it was said of
// one of its attributes already.
func (b *builder) incomplete(i *instance) {
	for _, g := range b.in.gaps {
		if g.Address == printable(i.address) {
			return
		}
	}
	b.gap(&i.record, "", "it is left out, because what it needs is not known", "Import with --state terraform.tfstate, or write the values themselves.")
}

func (b *builder) route(i *instance) {
	it := b.ownedNetwork(i)
	destination, ok1 := b.text(&i.record, "destination")
	gateway, ok2 := b.text(&i.record, "gateway")
	if it == nil || !ok1 || !ok2 {
		b.incomplete(i)
		return
	}
	n := b.fleet.Networks[it.name]
	n.Routes = append(n.Routes, fleet.Route{Destination: destination, Gateway: gateway})
	b.fleet.Networks[it.name] = n
}

// joined gives the network that a record puts something into: by network_id,
// or by subnet_id, which is the network's ID, a dash and the range.
func (b *builder) joined(r *record) *item {
	if id, ok := textOf(r.attrs["network_id"]); ok && id != "" && id != "0" {
		return b.ref(r, "network_id", sectionNetworks)
	}
	id, ok := textOf(r.attrs["subnet_id"])
	if !ok || id == "" {
		v, _ := r.attrs["network_id"].Unmark()
		if v.IsKnown() {
			return b.ref(r, "subnet_id", sectionNetworks)
		}
		return b.ref(r, "network_id", sectionNetworks)
	}
	if of, made := b.in.values.ids[id]; made && of.resource.kind == "hcloud_network_subnet" {
		return b.ref(&of.record, "network_id", sectionNetworks)
	}
	network, _, _ := strings.Cut(id, "-")
	if it := b.byID[sectionNetworks][network]; it != nil && !it.left {
		return it
	}
	if of, made := b.in.values.ids[network]; made && b.items[of] != nil && !b.items[of].left {
		return b.items[of]
	}
	return b.ref(r, "subnet_id", sectionNetworks)
}

// attachment reads addresses in a network. stored is what the state knows of
// the same attachment, nil if nothing.
func (b *builder) attachment(r *record, network *item, stored string) fleet.Attachment {
	a := fleet.Attachment{AliasIPs: b.list(r, "alias_ips")}
	a.IP, _ = b.text(r, "ip")
	subnet, _ := r.attrs["subnet_id"].Unmark()
	if a.IP == "" && subnet.IsKnown() && !subnet.IsNull() && len(b.fleet.Networks[network.name].Subnets) > 1 {
		if a.IP = stored; a.IP == "" {
			b.gap(r, "subnet_id", "which subnet it is in cannot be said without an address", "Write its address as ip, or import with --state terraform.tfstate.")
		}
	}
	return a
}

func (b *builder) sshKey(i *instance) {
	key, ok := b.text(&i.record, "public_key")
	if !ok || strings.TrimSpace(key) == "" {
		// The key is at the provider, if Terraform has run: the servers refer to it by its name.
		b.gap(&i.record, "public_key", "the fleet refers to the key as existing, because its text is not known", "Write public_key instead of existing: true, if the fleet is to own it.")
		b.fleet.SSHKeys[b.items[i].name] = fleet.SSHKey{Existing: true}
		return
	}
	b.unprotectable(i)
	b.fleet.SSHKeys[b.items[i].name] = fleet.SSHKey{PublicKey: strings.TrimSpace(key), Labels: b.labels(&i.record)}
}

// keyByName gives the SSH key of a name: servers may refer to keys by it.
func (b *builder) keyByName(r *record, attr, name string) *item {
	if it := b.named[sectionSSHKeys][name]; it != nil {
		return it
	}
	if number(name) {
		b.gap(r, attr, "the SSH key with the ID "+name+" is not known by name", "Write the key's name in ssh_keys, or import with --state terraform.tfstate.")
		return nil
	}
	it := &item{section: sectionSSHKeys, name: name, existing: true}
	if b.named[sectionSSHKeys] == nil {
		b.named[sectionSSHKeys] = map[string]*item{}
	}
	b.named[sectionSSHKeys][name] = it
	return it
}

func number(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

func (b *builder) group(i *instance) {
	kind, _ := b.text(&i.record, "type")
	if kind == "" {
		kind = "spread"
	}
	b.unprotectable(i)
	b.fleet.PlacementGroups[b.items[i].name] = fleet.PlacementGroup{Type: kind, Labels: b.labels(&i.record)}
}

func (b *builder) firewall(i *instance) {
	if _, unknown := i.vague["rule"]; unknown {
		b.leave(i, "", "not all of its rules are known", "Import with --state terraform.tfstate, or write the rules themselves.")
		return
	}
	w := fleet.Firewall{Labels: b.labels(&i.record)}
	for _, r := range i.blocks["rule"] {
		rule, ok := b.rule(r)
		if !ok {
			// Without one of its rules a firewall would be another firewall.
			b.leave(i, "", "one of its rules is not known", "Import with --state terraform.tfstate, or write the values themselves.")
			return
		}
		w.Rules = append(w.Rules, rule)
	}
	b.unprotectable(i)
	b.fleet.Firewalls[b.items[i].name] = w
}

func (b *builder) rule(r *record) (fleet.FirewallRule, bool) {
	var out fleet.FirewallRule
	good := true
	for attr, into := range map[string]*string{"direction": &out.Direction, "protocol": &out.Protocol, "port": &out.Port, "description": &out.Description} {
		text, ok := b.text(r, attr)
		*into = text
		good = good && ok
	}
	for _, attr := range []string{"source_ips", "destination_ips"} {
		v, ok := b.value(r, attr)
		good = good && ok && (v.IsNull() || v.IsWhollyKnown())
	}
	out.SourceIPs, out.DestinationIPs = ranges(b.list(r, "source_ips")), ranges(b.list(r, "destination_ips"))
	if out.Protocol != "tcp" && out.Protocol != "udp" {
		out.Port = ""
	}
	return out, good
}

// ranges writes IP ranges as the provider keeps them: host bits are zero.
func ranges(texts []string) []string {
	for i, text := range texts {
		text = strings.TrimSpace(text)
		if a, err := netip.ParseAddr(text); err == nil {
			texts[i] = netip.PrefixFrom(a, a.BitLen()).String()
		} else if p, err := netip.ParsePrefix(text); err == nil {
			texts[i] = p.Masked().String()
		}
	}
	return texts
}

// applyTo applies a firewall to what its own block names.
func (b *builder) applyTo(i *instance) {
	for _, r := range i.blocks["apply_to"] {
		if selector, ok := b.text(r, "label_selector"); ok && selector != "" {
			b.selects(b.items[i], r, selector)
		}
		if s := b.ref(r, "server", sectionServers); s != nil {
			b.filter(s, b.items[i], r, "server")
		}
	}
}

func (b *builder) firewallAttachment(i *instance) {
	w := b.ref(&i.record, "firewall_id", sectionFirewalls)
	if w == nil {
		b.incomplete(i)
		return
	}
	for _, selector := range b.list(&i.record, "label_selectors") {
		b.selects(w, &i.record, selector)
	}
	for _, s := range b.refs(&i.record, "server_ids", sectionServers) {
		b.filter(s, w, &i.record, "server_ids")
	}
}

func (b *builder) selects(w *item, r *record, selector string) {
	if w.existing {
		b.gap(r, "label_selectors", "the firewall "+short(w.name)+" is not the fleet's, so the fleet cannot apply it by labels", "Name it in firewalls: of the servers.")
		return
	}
	fw := b.fleet.Firewalls[w.name]
	fw.ApplyTo = add(fw.ApplyTo, selector)
	b.fleet.Firewalls[w.name] = fw
}

// filter puts a server behind a firewall.
func (b *builder) filter(s, w *item, r *record, attr string) {
	server, ok := b.declaredServer(s, r, attr)
	if !ok {
		return
	}
	server.Firewalls = add(server.Firewalls, w.name)
	b.fleet.Servers[s.name] = server
}

// declaredServer gives a server of the fleet; what is none is noted.
func (b *builder) declaredServer(s *item, r *record, attr string) (fleet.Server, bool) {
	server, ok := b.fleet.Servers[s.name]
	if !ok || s.existing {
		b.gap(r, attr, "it concerns the server "+short(s.name)+", which is not the fleet's", "Keep it where the server is declared.")
		return fleet.Server{}, false
	}
	return server, true
}

func add(list []string, text string) []string {
	for _, t := range list {
		if t == text {
			return list
		}
	}
	return append(list, text)
}
