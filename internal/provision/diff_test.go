package provision_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// short is a plan with one line per resource: kind name action [attributes] {risks} "note".
func short(resources []plans.Resource) []string {
	var lines []string
	for _, r := range resources {
		line := fmt.Sprintf("%s %s %s", r.Kind, r.Name, r.Action)
		for _, a := range r.Attributes {
			after := a.New
			if !a.Known {
				after = "?"
			}
			line += fmt.Sprintf(" %s:%s→%s", a.Name, a.Old, after)
			if a.Forces {
				line += "!"
			}
		}
		for _, risk := range r.Risks {
			line += " <" + string(risk) + ">"
		}
		if r.Note != "" {
			note, _, _ := strings.Cut(r.Note, ":")
			line += " # " + note
		}
		lines = append(lines, line)
	}
	return lines
}

func edit(change func(*fleet.Fleet)) fleet.Fleet {
	f := three()
	change(&f)
	return f
}

func editServer(name string, change func(*fleet.Server)) fleet.Fleet {
	return edit(func(f *fleet.Fleet) {
		s := f.Servers[name]
		s.Labels, s.Networks = maps.Clone(s.Labels), maps.Clone(s.Networks)
		change(&s)
		f.Servers[name] = s
	})
}

func TestDiff(t *testing.T) {
	for _, c := range []struct {
		name string
		head fleet.Fleet
		want []string
	}{
		{"nothing", three(), nil},
		{"server type", editServer("db", func(s *fleet.Server) { s.ServerType = "cx32" }), []string{
			"server db replace server_type:cx22→cx32! networks.backup:(chosen by the provider)→? ipv4:→? ipv6:→? <replace> <data> # delete_protection is on",
		}},
		{"server type, not protected", editServer("web-1", func(s *fleet.Server) { s.ServerType = "cx32" }), []string{
			"server web-1 replace server_type:cx22→cx32! networks.backup:(chosen by the provider)→? ipv4:→? ipv6:→? <replace> <data> # the server and its disk are destroyed before the new one is made",
		}},
		{"image", editServer("db", func(s *fleet.Server) { s.Image = "debian-13" }), []string{
			"server db update # image counts at creation only",
		}},
		{"location", editServer("db", func(s *fleet.Server) { s.Locations = []string{"hel1"} }), []string{
			"server db update # location counts at creation only",
		}},
		{"location order", editServer("db", func(s *fleet.Server) { s.Locations = []string{"fsn1", "nbg1"} }), nil},
		{"ssh keys", editServer("db", func(s *fleet.Server) { s.SSHKeys = nil }), []string{
			"server db update # ssh_keys count at creation only",
		}},
		{"labels", editServer("db", func(s *fleet.Server) { s.Labels = map[string]string{"env": "live", "role": "db"} }), []string{
			"server db update labels.env:test→live labels.role:→db",
		}},
		{"label gone", editServer("db", func(s *fleet.Server) { s.Labels = nil }), []string{"server db update labels.env:test→"}},
		{"protection", editServer("db", func(s *fleet.Server) { s.DeleteProtection = false }), []string{
			"server db update delete_protection:true→false",
		}},
		{"private address", editServer("db", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{IP: "10.0.1.9"} }), []string{
			"server db update networks.private:10.0.1.3→10.0.1.9 <access>",
		}},
		{"private address no longer fixed", editServer("db", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{} }), nil},
		{"detach", editServer("db", func(s *fleet.Server) { delete(s.Networks, "private") }), []string{
			"server db update networks.private:10.0.1.3→ <access>",
		}},
		{"attach", edit(func(f *fleet.Fleet) {
			f.Networks["new"] = fleet.Network{IPRange: "10.9.0.0/16"}
			s := f.Servers["db"]
			s.Networks = maps.Clone(s.Networks)
			s.Networks["new"] = fleet.Attachment{}
			f.Servers["db"] = s
		}), []string{"network new create ip_range:→10.9.0.0/16", "server db update networks.new:→?"}},
		{"new server", edit(func(f *fleet.Fleet) {
			f.Servers["new"] = fleet.Server{
				ServerType: "cx22", Image: "debian-13", Locations: []string{"nbg1", "fsn1"}, SSHKeys: []string{"deploy"},
				Networks: map[string]fleet.Attachment{"private": {IP: "10.0.1.7"}, "backup": {}}, DeleteProtection: true,
			}
		}), []string{
			"server new create server_type:→cx22 image:→debian-13 location:→nbg1, fsn1 ipv4:→? ipv6:→? networks.backup:→? networks.private:→10.0.1.7 ssh_keys:→deploy delete_protection:→true",
		}},
		{"server gone", edit(func(f *fleet.Fleet) { delete(f.Servers, "db"); delete(f.Servers, "web-1") }), []string{
			"server db destroy server_type:cx22→ <destroy> <data> # delete_protection is on",
			"server web-1 destroy server_type:cx22→ <destroy> <data>",
		}},
		{"network widened", edit(func(f *fleet.Fleet) {
			f.Networks["backup"] = fleet.Network{IPRange: "10.8.0.0/15", Subnets: f.Networks["backup"].Subnets}
		}), []string{
			"network backup update ip_range:10.8.0.0/16→10.8.0.0/15",
		}},
		{"network moved", edit(func(f *fleet.Fleet) {
			f.Networks["backup"] = fleet.Network{IPRange: "10.7.0.0/16", Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.7.1.0/24"}}}
		}), []string{
			"network backup replace ip_range:10.8.0.0/16→10.7.0.0/16! <replace> <access> # only a larger range with the same first address can be had in place; all servers leave the network and join the new one",
			"subnet backup/10.7.1.0/24 create ip_range:→10.7.1.0/24 type:→cloud network_zone:→eu-central",
			"server db update networks.backup:(chosen by the provider)→? <access>",
			"server web-1 update networks.backup:(chosen by the provider)→? <access>",
			"server web-2 update networks.backup:(chosen by the provider)→? <access>",
		}},
		{"network labels", edit(func(f *fleet.Fleet) {
			n := f.Networks["backup"]
			n.Labels = map[string]string{"a": "b"}
			f.Networks["backup"] = n
		}), []string{"network backup update labels.a:→b"}},
		{"host bits", edit(func(f *fleet.Fleet) {
			f.Networks["backup"] = fleet.Network{IPRange: "10.8.0.1/16", Subnets: f.Networks["backup"].Subnets}
		}), nil},
		{"network gone", edit(func(f *fleet.Fleet) {
			delete(f.Networks, "backup")
			for name, s := range f.Servers {
				s.Networks = maps.Clone(s.Networks)
				delete(s.Networks, "backup")
				f.Servers[name] = s
			}
			delete(f.Servers, "web-1")
			delete(f.Servers, "web-2")
		}), []string{
			"server db update networks.backup:(chosen by the provider)→ <access>",
			"server web-1 destroy server_type:cx22→ <destroy> <data>",
			"server web-2 destroy server_type:cx22→ <destroy> <data>",
			"network backup destroy ip_range:10.8.0.0/16→ <destroy>",
		}},
		{"subnets", edit(func(f *fleet.Fleet) {
			n := f.Networks["private"]
			n.Subnets = []fleet.Subnet{n.Subnets[0], {Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.3.0/24"}}
			f.Networks["private"] = n
		}), []string{
			"subnet private/10.0.3.0/24 create ip_range:→10.0.3.0/24 type:→cloud network_zone:→eu-central",
			"subnet private/10.0.2.0/24 destroy ip_range:10.0.2.0/24→ <destroy>",
		}},
		{"subnet grows over the old ones", edit(func(f *fleet.Fleet) {
			n := f.Networks["private"]
			n.Subnets = []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.0.0/22"}}
			f.Networks["private"] = n
		}), []string{
			"subnet private/10.0.0.0/22 replace ip_range:10.0.1.0/24, 10.0.2.0/24→10.0.0.0/22! type:→cloud network_zone:→eu-central <replace> # the provider refuses while a server is in the old one",
		}},
		{"zone of a subnet", edit(func(f *fleet.Fleet) {
			f.Networks["backup"] = fleet.Network{IPRange: "10.8.0.0/16", Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "us-east", IPRange: "10.8.1.0/24"}}}
		}), []string{
			"subnet backup/10.8.1.0/24 replace network_zone:eu-central→us-east! <replace> # the provider refuses while a server is in the old one",
		}},
		{"key", edit(func(f *fleet.Fleet) { f.SSHKeys["deploy"] = fleet.SSHKey{PublicKey: keyTwo} }), []string{
			"ssh_key deploy replace public_key:ssh-ed25519 …QtzqTHIlyWmc one@example.com→ssh-ed25519 …QtzqTHIlyWmc two@example.com! # servers keep the keys they were created with",
		}},
		{"key renamed", edit(func(f *fleet.Fleet) {
			f.SSHKeys = map[string]fleet.SSHKey{"new-name": {PublicKey: keyOne}}
			f.Servers = nil
		}), []string{
			"ssh_key new-name replace name:deploy→new-name!",
			"server db destroy server_type:cx22→ <destroy> <data> # delete_protection is on",
			"server web-1 destroy server_type:cx22→ <destroy> <data>",
			"server web-2 destroy server_type:cx22→ <destroy> <data>",
		}},
		{"server renamed, with its address", edit(func(f *fleet.Fleet) {
			f.Servers["www"] = fleet.Server{ServerType: "cx22", Image: "os=nixos", Networks: map[string]fleet.Attachment{"private": {IP: "10.0.1.4"}}}
			delete(f.Servers, "web-1")
		}), []string{
			`server www create server_type:→cx22 image:→os=nixos ipv4:→? ipv6:→? networks.private:→10.0.1.4 # server "web-1" has the address 10.0.1.4 in the network "private", and gives it up only after this`,
			"server web-1 destroy server_type:cx22→ <destroy> <data>",
		}},
		{"key comment", edit(func(f *fleet.Fleet) {
			f.SSHKeys["deploy"] = fleet.SSHKey{PublicKey: strings.Replace(keyOne, "one@", "me@", 1)}
		}), nil},
		{"key labels", edit(func(f *fleet.Fleet) {
			f.SSHKeys["deploy"] = fleet.SSHKey{PublicKey: keyOne, Labels: map[string]string{"a": "b"}}
		}), []string{"ssh_key deploy update labels.a:→b"}},
		{"keys come and go", edit(func(f *fleet.Fleet) {
			f.SSHKeys = map[string]fleet.SSHKey{"deploy": f.SSHKeys["deploy"], "new": {PublicKey: keyTwo}, "theirs": {Existing: true}}
		}), []string{"ssh_key new create public_key:→ssh-ed25519 …QtzqTHIlyWmc two@example.com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, short(provision.Diff(c.head, provision.Applied(three()), provision.Options{}))); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
		})
	}
}

// What other tools and other people have is not the fleet's to change.
func TestDiffLeavesOthersAlone(t *testing.T) {
	actual := provision.Applied(three())
	actual.SSHKeys["theirs"] = fleet.AccountSSHKey{ID: 7, PublicKey: keyTwo}
	db := actual.Servers["db"]
	db.Networks = maps.Clone(db.Networks)
	db.Networks["#4711"] = "10.99.0.2"
	db.Labels = map[string]string{"env": "test", "other.tool/uid": "7"}
	db.KeysDigest, db.Image, db.Location = "", "", "" // not known: no drift
	actual.Servers["db"] = db
	if got := provision.Diff(three(), actual, provision.Options{}); len(got) > 0 {
		t.Errorf("got %v", short(got))
	}
}

func TestOrderOfCreation(t *testing.T) {
	got := provision.Diff(three(), fleet.Account{}, provision.Options{})
	var kinds []string
	for _, r := range got {
		if r.Action != plans.Create {
			t.Errorf("%s %s: %s", r.Kind, r.Name, r.Action)
		}
		kinds = append(kinds, string(r.Kind))
	}
	if want := []string{"ssh_key", "network", "subnet", "server"}; !slices.Equal(slices.Compact(kinds), want) {
		t.Errorf("order %v, want %v", kinds, want)
	}
	if len(got) != 1+2+3+3 {
		t.Errorf("%d changes", len(got))
	}
}
