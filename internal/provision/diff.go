package provision

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Diff gives what would change to make actual what desired says, in the order
// in which it will happen: keys, networks and subnets, servers, then what is
// destroyed. An Update without attributes changes nothing; its Note says why an
// edit has no effect.
func Diff(desired fleet.Fleet, actual fleet.Account, o Options) []plans.Resource {
	var d differ
	renamed := renamedKeys(desired, actual)
	gone := map[string]bool{} // keys that go with a rename
	for _, name := range sorted(desired.SSHKeys) {
		d.sshKey(name, desired.SSHKeys[name], actual.SSHKeys, renamed[name])
		gone[renamed[name]] = true
	}
	replaced := map[string]bool{}
	for _, name := range sorted(desired.Networks) {
		replaced[name] = d.network(name, desired.Networks[name], actual.Networks)
	}
	var destroyed []plans.Resource
	for _, name := range sorted(desired.Networks) {
		n, exists := actual.Networks[name]
		if replaced[name] {
			n.Subnets = nil
		}
		destroyed = append(destroyed, d.subnets(name, desired.Networks[name].Subnets, n.Subnets, exists)...)
	}
	for _, name := range sorted(desired.Servers) {
		d.server(name, desired.Servers[name], actual.Servers, replaced)
		if last := len(d.out) - 1; last >= 0 && d.out[last].Kind == plans.KindServer && d.out[last].Name == name {
			d.out[last].Note = strings.TrimPrefix(d.out[last].Note+"\n"+addressHeld(name, desired, actual, replaced), "\n")
			d.out[last].Note = strings.TrimSuffix(d.out[last].Note, "\n")
		}
	}
	for _, name := range sorted(actual.Servers) {
		if _, ok := desired.Servers[name]; !ok {
			d.destroyServer(name, actual.Servers[name])
		}
	}
	d.out = append(d.out, destroyed...)
	for _, name := range sorted(actual.Networks) {
		if _, ok := desired.Networks[name]; !ok {
			d.add(plans.Resource{
				Kind: plans.KindNetwork, Name: name, Action: plans.Destroy, Risks: []plans.Risk{plans.RiskDestroy},
				Attributes: []plans.Attribute{known("ip_range", actual.Networks[name].IPRange, "")},
			})
		}
	}
	for _, name := range sorted(actual.SSHKeys) {
		if _, ok := desired.SSHKeys[name]; !ok && actual.SSHKeys[name].Owned && !gone[name] {
			d.add(plans.Resource{
				Kind: plans.KindSSHKey, Name: name, Action: plans.Destroy,
				Attributes: []plans.Attribute{known("public_key", shortKey(actual.SSHKeys[name].PublicKey), "")},
				Note:       "servers keep the keys they were created with",
			})
		}
	}
	return d.out
}

type differ struct{ out []plans.Resource }

// add fills in empty lists: in JSON they are [] and not null.
func (d *differ) add(r plans.Resource) {
	if r.Attributes == nil {
		r.Attributes = []plans.Attribute{}
	}
	if r.Risks == nil {
		r.Risks = []plans.Risk{}
	}
	d.out = append(d.out, r)
}

func known(name, before, after string) plans.Attribute {
	return plans.Attribute{Name: name, Old: before, New: after, Known: true}
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// renamedKeys gives, by new name, the old name of keys that stay the same: a
// provider holds each public key once, so the old one has to go first.
func renamedKeys(desired fleet.Fleet, actual fleet.Account) map[string]string {
	renamed := map[string]string{}
	for _, name := range sorted(desired.SSHKeys) {
		want := desired.SSHKeys[name]
		if _, exists := actual.SSHKeys[name]; exists || want.Existing {
			continue
		}
		for _, old := range sorted(actual.SSHKeys) {
			have := actual.SSHKeys[old]
			if _, stays := desired.SSHKeys[old]; !stays && have.Owned && samePublicKey(have.PublicKey, want.PublicKey) {
				renamed[name] = old
			}
		}
	}
	return renamed
}

func (d *differ) sshKey(name string, want fleet.SSHKey, actual map[string]fleet.AccountSSHKey, renamed string) {
	if want.Existing {
		return // not the fleet's to change
	}
	have, exists := actual[name]
	r := plans.Resource{Kind: plans.KindSSHKey, Name: name, Action: plans.Update}
	switch {
	case renamed != "":
		r.Action = plans.Replace
		r.Attributes = append(r.Attributes, plans.Attribute{Name: "name", Old: renamed, New: name, Known: true, Forces: true})
		r.Attributes = append(r.Attributes, labelChanges(actual[renamed].Labels, want.Labels)...)
	case !exists:
		r.Action = plans.Create
		r.Attributes = append(r.Attributes, known("public_key", "", shortKey(want.PublicKey)))
		r.Attributes = append(r.Attributes, labelChanges(nil, want.Labels)...)
	case !samePublicKey(want.PublicKey, have.PublicKey):
		r.Action = plans.Replace
		r.Attributes = append(r.Attributes, plans.Attribute{
			Name: "public_key", Old: shortKey(have.PublicKey), New: shortKey(want.PublicKey), Known: true, Forces: true,
		})
		r.Attributes = append(r.Attributes, labelChanges(have.Labels, want.Labels)...)
		r.Note = "servers keep the keys they were created with"
	default:
		r.Attributes = labelChanges(have.Labels, want.Labels)
	}
	if len(r.Attributes) > 0 {
		d.add(r)
	}
}

// network tells whether the network is replaced.
func (d *differ) network(name string, want fleet.Network, actual map[string]fleet.AccountNetwork) bool {
	have, exists := actual[name]
	r := plans.Resource{Kind: plans.KindNetwork, Name: name, Action: plans.Update}
	if !exists {
		r.Action = plans.Create
		r.Attributes = append(r.Attributes, known("ip_range", "", want.IPRange))
	} else if !samePrefix(want.IPRange, have.IPRange) {
		change := known("ip_range", have.IPRange, want.IPRange)
		if !widens(have.IPRange, want.IPRange) {
			change.Forces = true
			r.Action = plans.Replace
			r.Risks = []plans.Risk{plans.RiskReplace, plans.RiskAccess}
			r.Note = "only a larger range with the same first address can be had in place; all servers leave the network and join the new one"
		}
		r.Attributes = append(r.Attributes, change)
	}
	r.Attributes = append(r.Attributes, labelChanges(have.Labels, want.Labels)...)
	if len(r.Attributes) > 0 {
		d.add(r)
	}
	return r.Action == plans.Replace
}

// subnets adds what is created or replaced and returns what is destroyed.
func (d *differ) subnets(network string, want, have []fleet.Subnet, exists bool) []plans.Resource {
	left := slices.Clone(have)
	var missing []fleet.Subnet
	for _, w := range want {
		i := slices.IndexFunc(left, func(h fleet.Subnet) bool { return samePrefix(h.IPRange, w.IPRange) })
		if i < 0 {
			missing = append(missing, w)
			continue
		}
		h := left[i]
		left = slices.Delete(left, i, i+1)
		if h.Type == w.Type && h.NetworkZone == w.NetworkZone {
			continue
		}
		r := subnet(network, w, plans.Replace)
		r.Attributes = nil
		for _, a := range []plans.Attribute{known("type", h.Type, w.Type), known("network_zone", h.NetworkZone, w.NetworkZone)} {
			if a.Forces = a.Old != a.New; a.Forces {
				r.Attributes = append(r.Attributes, a)
			}
		}
		d.add(r)
	}
	for _, w := range missing {
		// A range that overlaps one that goes cannot be added before that is gone.
		var over []string
		left = slices.DeleteFunc(left, func(h fleet.Subnet) bool {
			if overlaps(h.IPRange, w.IPRange) {
				over = append(over, h.IPRange)
				return true
			}
			return false
		})
		if len(over) == 0 {
			d.add(subnet(network, w, plans.Create))
			continue
		}
		r := subnet(network, w, plans.Replace)
		r.Attributes[0].Old, r.Attributes[0].Forces = strings.Join(over, ", "), true
		d.add(r)
	}
	var destroyed []plans.Resource
	for _, h := range left {
		if exists {
			r := subnet(network, h, plans.Destroy)
			r.Attributes = []plans.Attribute{known("ip_range", h.IPRange, "")}
			r.Risks = []plans.Risk{plans.RiskDestroy}
			destroyed = append(destroyed, r)
		}
	}
	return destroyed
}

func subnet(network string, s fleet.Subnet, action plans.Action) plans.Resource {
	r := plans.Resource{
		Kind: plans.KindSubnet, Name: network + "/" + s.IPRange, Action: action,
		Attributes: []plans.Attribute{known("ip_range", "", s.IPRange), known("type", "", s.Type), known("network_zone", "", s.NetworkZone)},
	}
	if action == plans.Replace {
		r.Risks = []plans.Risk{plans.RiskReplace}
		r.Note = "the provider refuses while a server is in the old one"
	}
	return r
}

func (d *differ) server(name string, want fleet.Server, actual map[string]fleet.AccountServer, replaced map[string]bool) {
	have, exists := actual[name]
	if !exists {
		d.add(createServer(name, want))
		return
	}
	r := plans.Resource{Kind: plans.KindServer, Name: name, Action: plans.Update}
	if want.ServerType != have.ServerType {
		r.Action = plans.Replace
		r.Risks = []plans.Risk{plans.RiskReplace, plans.RiskData}
		change := known("server_type", have.ServerType, want.ServerType)
		change.Forces = true
		r.Attributes = append(r.Attributes, change)
		if want.DeleteProtection {
			r.Note = "delete_protection is on: a deploy refuses this"
		} else {
			r.Note = "the server and its disk are destroyed before the new one is made: it keeps its name"
		}
	}
	attach, access := attachments(want.Networks, have.Networks, replaced, r.Action == plans.Replace)
	r.Attributes = append(r.Attributes, attach...)
	if access {
		r.Risks = append(r.Risks, plans.RiskAccess)
	}
	r.Attributes = append(r.Attributes, labelChanges(have.Labels, want.Labels)...)
	if want.DeleteProtection != have.DeleteProtection {
		r.Attributes = append(r.Attributes, known("delete_protection",
			strconv.FormatBool(have.DeleteProtection), strconv.FormatBool(want.DeleteProtection)))
	}
	if r.Action == plans.Replace {
		r.Attributes = append(r.Attributes, addresses()...)
	} else {
		r.Note = strings.Join(ineffective(want, have), "\n")
	}
	if len(r.Attributes) > 0 || r.Note != "" {
		d.add(r)
	}
}

func createServer(name string, want fleet.Server) plans.Resource {
	r := plans.Resource{Kind: plans.KindServer, Name: name, Action: plans.Create, Attributes: []plans.Attribute{
		known("server_type", "", want.ServerType),
		known("image", "", want.Image),
	}}
	if len(want.Locations) > 0 {
		r.Attributes = append(r.Attributes, known("location", "", strings.Join(want.Locations, ", ")))
	}
	r.Attributes = append(r.Attributes, addresses()...)
	attach, _ := attachments(want.Networks, nil, nil, true)
	r.Attributes = append(r.Attributes, attach...)
	if len(want.SSHKeys) > 0 {
		r.Attributes = append(r.Attributes, known("ssh_keys", "", strings.Join(want.SSHKeys, ", ")))
	}
	r.Attributes = append(r.Attributes, labelChanges(nil, want.Labels)...)
	if want.DeleteProtection {
		r.Attributes = append(r.Attributes, known("delete_protection", "", "true"))
	}
	return r
}

// addresses that a new server gets, known once it exists.
func addresses() []plans.Attribute {
	return []plans.Attribute{{Name: "ipv4"}, {Name: "ipv6"}}
}

// attachments compares a server's networks. fresh: the server is made anew, so
// all of them are joined. access: it loses a private address that it has.
func attachments(want map[string]fleet.Attachment, have map[string]string, replaced map[string]bool, fresh bool) (changes []plans.Attribute, access bool) {
	for _, name := range sorted(want) {
		ip := want[name].IP
		old, attached := have[name]
		moves := attached && ip != "" && !sameAddress(ip, old)
		if attached && !moves && !replaced[name] && !fresh {
			continue
		}
		if attached && !moves && ip != "" && fresh && !replaced[name] {
			continue // it gets the same address again
		}
		if attached && old == "" {
			old = "(chosen by the provider)"
		}
		changes = append(changes, plans.Attribute{Name: "networks." + name, Old: old, New: ip, Known: ip != ""})
		access = access || attached && !fresh
	}
	for _, name := range sorted(have) {
		if _, ok := want[name]; !ok && !foreign(name) {
			changes = append(changes, known("networks."+name, cmp.Or(have[name], "(chosen by the provider)"), ""))
			access = true
		}
	}
	return changes, access
}

// addressHeld says which fixed private address of a server another one still
// has, "" if none. Attaching comes before detaching and destroying, so this
// takes two deploys.
func addressHeld(name string, desired fleet.Fleet, actual fleet.Account, replaced map[string]bool) string {
	for _, network := range sorted(desired.Servers[name].Networks) {
		ip := desired.Servers[name].Networks[network].IP
		if ip == "" || replaced[network] {
			continue
		}
		for _, other := range sorted(actual.Servers) {
			if other != name && actual.Servers[other].Networks[network] != "" && sameAddress(actual.Servers[other].Networks[network], ip) {
				return fmt.Sprintf("server %q has the address %s in the network %q, and gives it up only after this", other, ip, network)
			}
		}
	}
	return ""
}

// foreign tells a network that is not the fleet's: the provider names it #ID.
func foreign(network string) bool { return strings.HasPrefix(network, "#") }

// ineffective lists edits that count only when a server is created.
func ineffective(want fleet.Server, have fleet.AccountServer) []string {
	var notes []string
	if have.Image != "" && want.Image != have.Image {
		notes = append(notes, fmt.Sprintf("image counts at creation only: made from %q, and stays so (flotilla.yaml has %q)", have.Image, want.Image))
	}
	if have.Location != "" && len(want.Locations) > 0 && !slices.Contains(want.Locations, have.Location) {
		notes = append(notes, fmt.Sprintf("location counts at creation only: the server stays in %s (flotilla.yaml has %s)",
			have.Location, strings.Join(want.Locations, ", ")))
	}
	if have.KeysDigest != "" && have.KeysDigest != keysDigest(want.SSHKeys) {
		notes = append(notes, "ssh_keys count at creation only: who may log in is now what the host's NixOS configuration says")
	}
	return notes
}

func (d *differ) destroyServer(name string, have fleet.AccountServer) {
	r := plans.Resource{
		Kind: plans.KindServer, Name: name, Action: plans.Destroy, Risks: []plans.Risk{plans.RiskDestroy, plans.RiskData},
		Attributes: []plans.Attribute{known("server_type", have.ServerType, "")},
	}
	if have.IPv4 != "" {
		r.Attributes = append(r.Attributes, known("ipv4", have.IPv4, ""))
	}
	if have.IPv6 != "" {
		r.Attributes = append(r.Attributes, known("ipv6", have.IPv6, ""))
	}
	if have.DeleteProtection {
		r.Note = "delete_protection is on: a deploy refuses this"
	}
	d.add(r)
}

// labelChanges compares the user's labels. Labels with a prefix that the fleet
// does not declare are other tools' and no change.
func labelChanges(have, want map[string]string) []plans.Attribute {
	var changes []plans.Attribute
	for _, key := range sorted(want) {
		if old, ok := have[key]; !ok || old != want[key] {
			changes = append(changes, known("labels."+key, old, want[key]))
		}
	}
	for _, key := range sorted(have) {
		if _, ok := want[key]; !ok && !strings.Contains(key, "/") {
			changes = append(changes, known("labels."+key, have[key], ""))
		}
	}
	return changes
}
