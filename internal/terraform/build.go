package terraform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// Sections of a fleet, by the resource that is in them.
const (
	sectionNetworks      = "networks"
	sectionSSHKeys       = "ssh_keys"
	sectionServers       = "servers"
	sectionFirewalls     = "firewalls"
	sectionGroups        = "placement_groups"
	sectionVolumes       = "volumes"
	sectionPrimaryIPs    = "primary_ips"
	sectionLoadBalancers = "load_balancers"
	sectionCertificates  = "certificates" // not the fleet's, but named in it
	sectionImages        = "images"       // as certificates
)

func sectionOf(kind string) string {
	switch kind {
	case "hcloud_network":
		return sectionNetworks
	case "hcloud_ssh_key":
		return sectionSSHKeys
	case "hcloud_server":
		return sectionServers
	case "hcloud_firewall":
		return sectionFirewalls
	case "hcloud_placement_group":
		return sectionGroups
	case "hcloud_volume":
		return sectionVolumes
	case "hcloud_primary_ip":
		return sectionPrimaryIPs
	case "hcloud_load_balancer":
		return sectionLoadBalancers
	case "hcloud_certificate", "hcloud_managed_certificate", "hcloud_uploaded_certificate":
		return sectionCertificates
	case "hcloud_image":
		return sectionImages
	}
	return ""
}

// item is something that others refer to.
type item struct {
	section  string
	name     string
	of       *instance // nil: known from a list of the state alone
	existing bool
	left     bool // it is not in the fleet, which is noted
}

// builder makes a fleet of instances.
type builder struct {
	in    *importer
	root  *scope
	fleet fleet.Fleet
	all   []*instance
	items map[*instance]*item
	byID  map[string]map[string]*item // section, ID of the state
	named map[string]map[string]*item // section, name
	where map[string]string           // subnet IDs that the state knows → network's
}

func newBuilder(in *importer, root *scope) *builder {
	return &builder{
		in: in, root: root, items: map[*instance]*item{}, byID: map[string]map[string]*item{}, named: map[string]map[string]*item{},
		fleet: fleet.Fleet{
			Networks: map[string]fleet.Network{}, SSHKeys: map[string]fleet.SSHKey{}, Servers: map[string]fleet.Server{},
			Firewalls: map[string]fleet.Firewall{}, PlacementGroups: map[string]fleet.PlacementGroup{}, Volumes: map[string]fleet.Volume{},
			PrimaryIPs: map[string]fleet.PrimaryIP{}, LoadBalancers: map[string]fleet.LoadBalancer{},
		},
	}
}

func (b *builder) build() fleet.Fleet {
	b.collect(b.root)
	if len(b.in.problems) > 0 || b.in.stopped {
		return b.fleet
	}
	b.provider()
	for _, i := range b.all {
		b.register(i)
	}
	b.lists()
	b.each("hcloud_network", b.network)
	b.each("hcloud_network_subnet", b.subnet)
	b.each("hcloud_network_route", b.route)
	b.each("hcloud_ssh_key", b.sshKey)
	b.each("hcloud_placement_group", b.group)
	b.each("hcloud_firewall", b.firewall)
	b.each("hcloud_primary_ip", b.primaryIP)
	b.each("hcloud_server", b.server)
	b.each("hcloud_server_network", b.serverNetwork)
	b.each("hcloud_firewall", b.applyTo)
	b.each("hcloud_firewall_attachment", b.firewallAttachment)
	b.each("hcloud_primary_ip", b.assign)
	b.each("hcloud_volume", b.volume)
	b.each("hcloud_volume_attachment", b.volumeAttachment)
	b.each("hcloud_load_balancer", b.loadBalancer)
	b.each("hcloud_load_balancer_network", b.balancerNetwork)
	b.each("hcloud_load_balancer_service", b.service)
	b.each("hcloud_load_balancer_target", b.target)
	b.each("hcloud_rdns", b.rdns)
	b.referred()
	b.leftInState()
	return b.fleet
}

// collect evaluates every resource of a scope and of the modules in it.
func (b *builder) collect(s *scope) {
	for _, r := range s.folder.order {
		if b.in.stopped || len(b.in.problems) >= maxProblems {
			return
		}
		if s.otherProject(r) {
			continue
		}
		if b.in.schemaOf(r) == nil || !r.data && sectionOf(r.kind) == sectionCertificates {
			s.unsupported(r)
			if b.in.schemaOf(r) == nil {
				s.instances(r) // the state's are accounted for
				continue
			}
		}
		if _, ok := s.resource(r.address(), r.at); !ok {
			continue
		}
		instances, _ := s.instances(r)
		b.all = append(b.all, instances...)
		if !r.data {
			s.extras(r)
		}
	}
	for _, c := range s.folder.callOrder {
		children, _ := s.children(c)
		for _, ch := range children {
			b.collect(ch.scope)
		}
	}
}

// otherProject tells whether a resource belongs to another provider
// configuration than the fleet's, and notes it.
func (s *scope) otherProject(r *resource) bool {
	alien := s.alien
	if attr := r.body.Attributes["provider"]; attr != nil {
		alien = s.alienName(attr.Expr)
	}
	if alien == "" || !strings.HasPrefix(r.kind, "hcloud_") {
		return false
	}
	s.in.gap(r.at, s.address(r.address()), "it belongs to the provider configuration hcloud."+alien+": a fleet has one project",
		"Make a second fleet for that project, with a token of its own.")
	s.instances(r)
	return true
}

// each builds the instances of a kind.
func (b *builder) each(kind string, build func(*instance)) {
	for _, i := range b.all {
		if i.resource.kind == kind && !i.resource.data && !b.leftOut(i) {
			build(i)
		}
	}
}

func (b *builder) leftOut(i *instance) bool {
	it := b.items[i]
	return it != nil && it.left
}

// register gives an instance its name in the fleet.
func (b *builder) register(i *instance) {
	section := sectionOf(i.resource.kind)
	if section == "" {
		return
	}
	it := &item{section: section, of: i, existing: i.resource.data}
	b.items[i] = it
	if i.known != nil {
		if id, ok := textOf(i.known.attrs["id"]); ok {
			b.identify(section, id, it)
		}
	}
	if id, ok := textOf(i.attrs["id"]); ok {
		b.identify(section, id, it)
	}
	switch {
	case section == sectionImages:
		return // images are named by what looks for them
	case i.resource.data:
		b.registerData(it)
	default:
		name, ok := b.text(&i.record, "name")
		it.name = name
		if ok && name == "" {
			b.gap(&i.record, "name", "it has no name that is known, so it is left out", "Give it a name, or import with --state terraform.tfstate.")
		}
		it.left = !ok || name == ""
		if ok && it.left {
			return
		}
		b.claim(it)
	}
}

func (b *builder) identify(section, id string, it *item) {
	if b.byID[section] == nil {
		b.byID[section] = map[string]*item{}
	}
	if _, taken := b.byID[section][id]; !taken || !it.existing {
		b.byID[section][id] = it
	}
}

// claim takes the item's name for it.
func (b *builder) claim(it *item) {
	if it.left {
		return
	}
	if b.named[it.section] == nil {
		b.named[it.section] = map[string]*item{}
	}
	old := b.named[it.section][it.name]
	if old != nil && !old.existing {
		if it.existing {
			return // a data source that looks at what is declared here
		}
		it.left = true
		b.gap(&it.of.record, "name", fmt.Sprintf("%s has the name %s too, so this one is left out", old.of.address, short(it.name)), "Names are unique at the provider: give it another one.")
		return
	}
	b.named[it.section][it.name] = it
}

// registerData finds out which resource a data source means.
func (b *builder) registerData(it *item) {
	r := &it.of.record
	name, ok := textOf(r.attrs["name"])
	it.name = name
	if ok && name != "" {
		b.claim(it)
		return
	}
	it.left = true
	b.gap(r, "name", "which "+strings.ReplaceAll(strings.TrimSuffix(it.section, "s"), "_", " ")+" it finds is not known, so what refers to it is left out",
		"Look it up by its name, or import with --state terraform.tfstate.")
}

// lists registers what the lists of data sources in the state name.
func (b *builder) lists() {
	if b.in.state == nil {
		return
	}
	for _, address := range b.in.state.order {
		known := b.in.state.instances[address]
		section := strings.TrimPrefix(known.kind, "hcloud_")
		list, ok := known.attrs[section]
		if !known.data || !ok || list.IsMarked() || list.IsNull() || !list.CanIterateElements() {
			continue
		}
		for iter := list.ElementIterator(); iter.Next(); {
			_, e := iter.Element()
			if e.IsNull() || !e.Type().IsObjectType() || !e.Type().HasAttribute("id") || !e.Type().HasAttribute("name") {
				continue
			}
			id, ok1 := textOf(e.GetAttr("id"))
			name, ok2 := textOf(e.GetAttr("name"))
			if ok1 && ok2 && name != "" && b.byID[section][id] == nil {
				b.identify(section, id, &item{section: section, name: name, existing: true})
			}
		}
	}
}

// textOf is a known text or number.
func textOf(v cty.Value) (string, bool) {
	if v == cty.NilVal {
		return "", false
	}
	v, marks := v.Unmark()
	if _, secret := marks[sensitiveMark{}]; secret || !v.IsKnown() || v.IsNull() {
		return "", false
	}
	switch {
	case v.Type() == cty.String:
		return v.AsString(), true
	case v.Type() == cty.Number && plain(v):
		return v.AsBigFloat().Text('f', -1), true
	}
	return "", false
}

func (b *builder) gap(r *record, attr, what, instead string) {
	b.in.gap(r.place(attr), r.owner.address, what, instead)
}

// leave notes that an instance is not in the fleet.
func (b *builder) leave(i *instance, attr, what, instead string) {
	b.gap(&i.record, attr, what+", so it is left out", instead)
	if it := b.items[i]; it != nil {
		it.left = true
	}
}

// value gives an attribute that can be written into a file; false when it
// cannot, which is noted.
func (b *builder) value(r *record, attr string) (cty.Value, bool) {
	v := r.attrs[attr]
	what := join(r.path, attr) + " is not carried over: "
	if sensitive(v) {
		b.gap(r, attr, what+"it is made of sensitive values, which do not belong in flotilla.yaml", "Keep secrets in sops files of the hosts.")
		return v, false
	}
	bare, _ := v.UnmarkDeep()
	if !bare.IsWhollyKnown() {
		m := why(v)
		b.gap(r, attr, what+m.why, m.instead)
		return bare, false
	}
	leaked := ""
	_ = cty.Walk(bare, func(_ cty.Path, e cty.Value) (bool, error) {
		if e.Type() == cty.String && e.IsKnown() && !e.IsNull() {
			if of, is := b.in.values.leak(e.AsString()); is {
				leaked = of.address
			}
		}
		return true, nil
	})
	if leaked != "" {
		b.gap(r, attr, what+"it holds an ID or address of "+leaked+", which is known only once that is made", "Import with --state terraform.tfstate, or write the value itself.")
		return bare, false
	}
	return bare, true
}

// text gives an attribute as text, "" for none.
func (b *builder) text(r *record, attr string) (string, bool) {
	v, ok := b.value(r, attr)
	if !ok || v.IsNull() {
		return "", ok
	}
	s, _ := textOf(v)
	return s, true
}

func (b *builder) number(r *record, attr string) (int, bool) {
	v, ok := b.value(r, attr)
	if !ok || v.IsNull() {
		return 0, ok
	}
	n, whole := wholeNumber(v)
	if !whole {
		b.gap(r, attr, join(r.path, attr)+" is not a whole number", "Correct it.")
	}
	return n, whole
}

// flag gives an attribute that is true or false; what is not known is false.
func (b *builder) flag(r *record, attr string) bool {
	v, ok := b.value(r, attr)
	return ok && !v.IsNull() && v.True()
}

func (b *builder) list(r *record, attr string) []string {
	v, ok := b.value(r, attr)
	if !ok || v.IsNull() {
		return nil
	}
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if s, ok := textOf(e); ok {
			out = append(out, s)
		}
	}
	return out
}

func (b *builder) labels(r *record) map[string]string {
	v, ok := b.value(r, "labels")
	if !ok || v.IsNull() || v.LengthInt() == 0 {
		return nil
	}
	out := map[string]string{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		s, _ := textOf(e)
		out[k.AsString()] = s
	}
	return out
}

// protected is delete_protection, which prevent_destroy asks for as well.
func (b *builder) protected(i *instance) bool {
	on := b.flag(&i.record, "delete_protection")
	if at, prevented := prevented(i.resource.body); prevented && !on {
		b.in.gap(at, i.address, "prevent_destroy is delete_protection: true in the fleet, which the first deploy switches on at the provider", "Write delete_protection: false to leave it off.")
		on = true
	}
	return on
}

// unprotectable notes prevent_destroy of kinds without protection.
func (b *builder) unprotectable(i *instance) {
	if at, prevented := prevented(i.resource.body); prevented {
		b.in.gap(at, i.address, "prevent_destroy has no counterpart: the provider has no protection for this kind", "Nothing is destroyed without --allow-destroy NAME.")
	}
}

// refs gives the items that a list of IDs refers to.
func (b *builder) refs(r *record, attr, section string) []*item {
	v, _ := r.attrs[attr].Unmark()
	if !v.IsKnown() || v.IsNull() || !v.CanIterateElements() {
		if !v.IsKnown() {
			b.value(r, attr)
		}
		return nil
	}
	var out []*item
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if found := b.find(r, attr, section, e); found != nil && !slices.Contains(out, found) {
			out = append(out, found)
		}
	}
	return out
}

// ref gives the item that an ID refers to, nil for none or for one that is
// not in the fleet, which is noted.
func (b *builder) ref(r *record, attr, section string) *item {
	return b.find(r, attr, section, r.attrs[attr])
}

func (b *builder) find(r *record, attr, section string, v cty.Value) *item {
	bare, _ := v.Unmark()
	if bare.IsKnown() && bare.IsNull() {
		return nil
	}
	noun := strings.ReplaceAll(strings.TrimSuffix(section, "s"), "_", " ")
	id, ok := textOf(v)
	if !ok {
		m := why(v)
		b.gap(r, attr, join(r.path, attr)+" is not carried over: "+m.why, m.instead)
		return nil
	}
	if id == "" || id == "0" {
		return nil // as good as not written
	}
	it := b.byID[section][id]
	if of, made := b.in.values.ids[id]; made {
		it = b.items[of]
		if it == nil || it.section != section {
			b.gap(r, attr, fmt.Sprintf("%s is the ID of %s, not of a %s", join(r.path, attr), of.address, noun), "Correct it.")
			return nil
		}
	}
	if it == nil && section == sectionSSHKeys {
		it = b.keyByName(r, attr, id)
	}
	switch {
	case it == nil:
		b.gap(r, attr, fmt.Sprintf("%s refers to the %s %s, which neither the configuration nor the state knows", join(r.path, attr), noun, short(id)),
			"Declare it, or look it up with a data source by its name.")
		return nil
	case it.left:
		b.gap(r, attr, fmt.Sprintf("%s refers to %s, which is left out", join(r.path, attr), it.of.address), "")
		return nil
	}
	return it
}

// place is where an instance's block begins.
func (b *builder) place(i *instance) hcl.Range { return i.resource.at }
