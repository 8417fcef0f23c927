package terraform

import (
	"fmt"
	"strings"

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
		if it.name = name; !ok || name == "" {
			b.leave(i, "name", "its name is not known", "Give it a name, or import with --state terraform.tfstate.")
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
