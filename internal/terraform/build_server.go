package terraform

import (
	"regexp"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// hostName is what a server may be called: its name becomes a host name.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$`)

func (b *builder) server(i *instance) {
	it := b.items[i]
	if !hostName.MatchString(it.name) || len(it.name) > 63 {
		b.leave(i, "name", short(it.name)+" cannot be the name of a server", "The name becomes the host name: letters, digits, dashes and dots. Rename it first.")
		return
	}
	kind, ok := b.text(&i.record, "server_type")
	if !ok || kind == "" {
		b.leave(i, "server_type", "its server_type is not known", "Write it, or import with --state terraform.tfstate.")
		return
	}
	location := b.location(i)
	if location == "" {
		b.leave(i, "location", "its location is not known: the provider chose it", "Import with --state terraform.tfstate, or write location = \"…\" as the console shows it.")
		return
	}
	image := b.image(i)
	if image == "" {
		b.leave(i, "image", "its image is not known", "Write it, or import with --state terraform.tfstate.")
		return
	}
	keys, ok := b.keys(i)
	if !ok {
		return
	}
	r := &i.record
	s := fleet.Server{
		ServerType: kind, Image: image, Locations: []string{location}, SSHKeys: keys,
		Labels: b.labels(r), Networks: map[string]fleet.Attachment{}, PublicNet: b.publicNet(i),
		Backups: b.flag(r, "backups"), KeepDisk: b.flag(r, "keep_disk"), ShutdownBeforeDeletion: b.flag(r, "shutdown_before_deletion"),
		DeleteProtection: b.protected(i),
	}
	s.UserData, _ = b.text(r, "user_data")
	for _, w := range b.refs(r, "firewall_ids", sectionFirewalls) {
		s.Firewalls = append(s.Firewalls, w.name)
	}
	if g := b.ref(r, "placement_group_id", sectionGroups); g != nil {
		s.PlacementGroup = g.name
	}
	for _, n := range i.blocks["network"] {
		if network := b.joined(n); network != nil {
			s.Networks[network.name] = b.attachment(n, network, b.storedAddress(i, network))
		}
	}
	b.withoutCounterpart(i)
	b.fleet.Servers[it.name] = s
}

// withoutCounterpart notes what a fleet's servers do not have.
func (b *builder) withoutCounterpart(i *instance) {
	for attr, instead := range map[string]string{
		"iso":    "Attach it by hand where it is needed.",
		"rescue": "Start the rescue system by hand where it is needed.",
	} {
		if text, ok := b.text(&i.record, attr); ok && text != "" {
			b.gap(&i.record, attr, attr+" is not carried over", instead)
		}
	}
	if b.flag(&i.record, "rebuild_protection") != b.flag(&i.record, "delete_protection") {
		b.gap(&i.record, "rebuild_protection", "rebuild_protection differs from delete_protection, which the provider does not take", "In the fleet delete_protection is both.")
	}
}

// location is where an instance is, "" if that is not known.
func (b *builder) location(i *instance) string {
	if text, ok := textOf(i.attrs["location"]); ok && text != "" {
		return text
	}
	if text, ok := textOf(i.attrs["datacenter"]); ok && text != "" {
		location, _, _ := strings.Cut(text, "-")
		return location
	}
	if i.known != nil {
		for _, attr := range []string{"location", "datacenter"} {
			if text, ok := textOf(i.known.attrs[attr]); ok && text != "" {
				location, _, _ := strings.Cut(text, "-dc")
				return location
			}
		}
	}
	return ""
}

// image is the name of a server's image, or the selector that finds it.
func (b *builder) image(i *instance) string {
	v, _ := i.attrs["image"].Unmark()
	text, ok := textOf(v)
	if !ok {
		b.value(&i.record, "image")
		return ""
	}
	of, made := b.in.values.ids[text]
	if it := b.byID[sectionImages][text]; !made && it != nil && it.of != nil {
		of, made = it.of, true
	}
	if !made {
		if number(text) {
			b.gap(&i.record, "image", "the image is named by its ID, with which no new server can be made", "Give the snapshot a label and write that: image: os=nixos.")
		}
		return text
	}
	for _, attr := range []string{"name", "with_selector", "selector"} {
		if text, ok := textOf(of.attrs[attr]); ok && text != "" {
			return text
		}
	}
	return ""
}

// keys are the names of a server's SSH keys.
func (b *builder) keys(i *instance) ([]string, bool) {
	var names []string
	for _, k := range b.refs(&i.record, "ssh_keys", sectionSSHKeys) {
		names = append(names, k.name)
	}
	if len(names) > 0 {
		return names, true
	}
	// Keys count at creation only, and a fleet's server needs one.
	names = append(names, keysOf(b.fleet.SSHKeys)...)
	if len(names) == 0 {
		b.leave(i, "ssh_keys", "it has no ssh_keys, so nobody could log in to a new one", "Give it ssh_keys: they count at creation only, so nothing happens to the running server.")
		return nil, false
	}
	b.gap(&i.record, "ssh_keys", "it has no SSH keys that are known; the fleet gives it "+strings.Join(names, ", "), "Write those that a new server is to have; nothing happens to the running one.")
	return names, true
}

func (b *builder) publicNet(i *instance) fleet.PublicNet {
	net := fleet.PublicNet{EnableIPv4: true, EnableIPv6: true}
	for _, r := range i.blocks["public_net"] {
		net.EnableIPv4, net.EnableIPv6 = b.flag(r, "ipv4_enabled"), b.flag(r, "ipv6_enabled")
		if ip := b.ref(r, "ipv4", sectionPrimaryIPs); ip != nil {
			net.IPv4 = ip.name
		}
		if ip := b.ref(r, "ipv6", sectionPrimaryIPs); ip != nil {
			net.IPv6 = ip.name
		}
	}
	return net
}

// storedAddress is the address that the state knows a server to have in a
// network, "" if none.
func (b *builder) storedAddress(i *instance, network *item) string {
	if i.known == nil {
		return ""
	}
	list, ok := i.known.attrs["network"]
	if !ok || list.IsMarked() || list.IsNull() || !list.CanIterateElements() {
		return ""
	}
	for it := list.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || !e.Type().IsObjectType() || !e.Type().HasAttribute("network_id") || !e.Type().HasAttribute("ip") {
			continue
		}
		if id, ok := textOf(e.GetAttr("network_id")); ok && b.byID[sectionNetworks][id] == network {
			ip, _ := textOf(e.GetAttr("ip"))
			return ip
		}
	}
	return ""
}

func (b *builder) serverNetwork(i *instance) {
	s := b.ref(&i.record, "server_id", sectionServers)
	network := b.joined(&i.record)
	if s == nil || network == nil {
		b.incomplete(i)
		return
	}
	server, ok := b.declaredServer(s, &i.record, "server_id")
	if !ok {
		return
	}
	stored := ""
	if i.known != nil {
		stored, _ = textOf(i.known.attrs["ip"])
	}
	server.Networks[network.name] = b.attachment(&i.record, network, stored)
	b.fleet.Servers[s.name] = server
}

func (b *builder) primaryIP(i *instance) {
	kind, ok := b.text(&i.record, "type")
	if !ok || kind == "" {
		b.leave(i, "type", "its type is not known", "Write ipv4 or ipv6.")
		return
	}
	location := b.location(i)
	if location == "" {
		location = b.assigneeLocation(i)
	}
	if location == "" {
		b.leave(i, "location", "its location is not known: the provider chose it", "Import with --state terraform.tfstate, or write location = \"…\" as the console shows it.")
		return
	}
	b.fleet.PrimaryIPs[b.items[i].name] = fleet.PrimaryIP{
		Type: kind, Location: location, AutoDelete: b.flag(&i.record, "auto_delete"),
		DeleteProtection: b.protected(i), Labels: b.labels(&i.record),
	}
}

// assigneeLocation is where the server is that an address belongs to.
func (b *builder) assigneeLocation(i *instance) string {
	for _, s := range b.all {
		if s.resource.kind != "hcloud_server" || s.resource.data {
			continue
		}
		uses := same(i.attrs["assignee_id"], s.attrs["id"])
		for _, r := range s.blocks["public_net"] {
			uses = uses || same(r.attrs["ipv4"], i.attrs["id"]) || same(r.attrs["ipv6"], i.attrs["id"])
		}
		if uses {
			return b.location(s)
		}
	}
	return ""
}

func same(a, b cty.Value) bool {
	x, ok1 := textOf(a)
	y, ok2 := textOf(b)
	return ok1 && ok2 && x == y && x != ""
}

// assign gives a server the address that names it.
func (b *builder) assign(i *instance) {
	kind, _ := textOf(i.attrs["assignee_type"])
	if kind != "" && kind != "server" && kind != "unassigned" {
		b.gap(&i.record, "assignee_type", "it belongs to a "+kind+", which a fleet cannot say", "Leave it assigned by hand; the fleet keeps the address itself.")
		return
	}
	s := b.ref(&i.record, "assignee_id", sectionServers)
	if s == nil {
		return
	}
	server, ok := b.declaredServer(s, &i.record, "assignee_id")
	if !ok {
		return
	}
	name := b.items[i].name
	switch b.fleet.PrimaryIPs[name].Type {
	case "ipv6":
		server.PublicNet.EnableIPv6, server.PublicNet.IPv6 = true, name
	default:
		server.PublicNet.EnableIPv4, server.PublicNet.IPv4 = true, name
	}
	b.fleet.Servers[s.name] = server
}

// referred puts into the fleet what servers refer to and the fleet does not
// own.
func (b *builder) referred() {
	for _, section := range []string{sectionNetworks, sectionSSHKeys, sectionFirewalls, sectionGroups, sectionVolumes, sectionPrimaryIPs} {
		for _, name := range keysOf(b.named[section]) {
			if it := b.named[section][name]; it.existing && !it.left {
				b.exists(section, name)
			}
		}
		for _, it := range b.byID[section] {
			if it.existing && it.of == nil && b.used(section, it.name) {
				b.exists(section, it.name)
			}
		}
	}
}

func (b *builder) exists(section, name string) {
	switch section {
	case sectionNetworks:
		put(b.fleet.Networks, name, fleet.Network{Existing: true})
	case sectionSSHKeys:
		put(b.fleet.SSHKeys, name, fleet.SSHKey{Existing: true})
	case sectionFirewalls:
		put(b.fleet.Firewalls, name, fleet.Firewall{Existing: true})
	case sectionGroups:
		put(b.fleet.PlacementGroups, name, fleet.PlacementGroup{Existing: true})
	case sectionVolumes:
		put(b.fleet.Volumes, name, fleet.Volume{Existing: true})
	case sectionPrimaryIPs:
		put(b.fleet.PrimaryIPs, name, fleet.PrimaryIP{Existing: true})
	}
}

// put adds what is not there.
func put[V any](m map[string]V, name string, v V) {
	if _, ok := m[name]; !ok {
		m[name] = v
	}
}

// used tells whether a server names something.
func (b *builder) used(section, name string) bool {
	for _, s := range b.fleet.Servers {
		_, joined := s.Networks[name]
		switch {
		case section == sectionNetworks && joined,
			section == sectionSSHKeys && slices.Contains(s.SSHKeys, name),
			section == sectionFirewalls && slices.Contains(s.Firewalls, name),
			section == sectionGroups && s.PlacementGroup == name,
			section == sectionPrimaryIPs && (s.PublicNet.IPv4 == name || s.PublicNet.IPv6 == name):
			return true
		}
	}
	return false
}
