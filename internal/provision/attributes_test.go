package provision_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// base is five with what the table of attributes takes away.
func base() fleet.Fleet {
	f := five()
	for _, name := range []string{"private"} {
		n := f.Networks[name]
		n.Labels = map[string]string{"env": "test"}
		f.Networks[name] = n
	}
	fw := f.Firewalls["ssh"]
	fw.ApplyTo, fw.Labels = []string{"role=x"}, map[string]string{"env": "test"}
	f.Firewalls["ssh"] = fw
	f.Firewalls["web"] = fleet.Firewall{Rules: []fleet.FirewallRule{{Direction: "in", Protocol: "tcp", Port: "443", SourceIPs: []string{"0.0.0.0/0"}}}}
	db := f.Servers["db"]
	db.DeleteProtection = false
	db.Networks["private"] = fleet.Attachment{IP: "10.0.1.4", AliasIPs: []string{"10.0.1.50"}}
	db.DNSPtr = map[string]string{"ipv4": "db.example.com"}
	f.Servers["db"] = db
	return f
}

func server(name string, change func(*fleet.Server)) func(*fleet.Fleet) {
	return func(f *fleet.Fleet) {
		s := f.Servers[name]
		s.Labels, s.Networks, s.DNSPtr = maps.Clone(s.Labels), maps.Clone(s.Networks), maps.Clone(s.DNSPtr)
		change(&s)
		f.Servers[name] = s
	}
}

func entry[T any](section func(*fleet.Fleet) map[string]T, name string, change func(*T)) func(*fleet.Fleet) {
	return func(f *fleet.Fleet) {
		x := section(f)[name]
		change(&x)
		section(f)[name] = x
	}
}

func network(name string, change func(*fleet.Network)) func(*fleet.Fleet) {
	return entry(func(f *fleet.Fleet) map[string]fleet.Network { return f.Networks }, name, change)
}

func firewall(name string, change func(*fleet.Firewall)) func(*fleet.Fleet) {
	return entry(func(f *fleet.Fleet) map[string]fleet.Firewall { return f.Firewalls }, name, change)
}

func volume(name string, change func(*fleet.Volume)) func(*fleet.Fleet) {
	return entry(func(f *fleet.Fleet) map[string]fleet.Volume { return f.Volumes }, name, change)
}

func primaryIP(name string, change func(*fleet.PrimaryIP)) func(*fleet.Fleet) {
	return entry(func(f *fleet.Fleet) map[string]fleet.PrimaryIP { return f.PrimaryIPs }, name, change)
}

func balancer(change func(*fleet.LoadBalancer)) func(*fleet.Fleet) {
	return entry(func(f *fleet.Fleet) map[string]fleet.LoadBalancer { return f.LoadBalancers }, "front", change)
}

// row is an edit of flotilla.yaml: the lines of the plan, and which attributes
// are changed only when the hosts are well.
type row struct {
	name string
	edit func(*fleet.Fleet)
	o    provision.Options
	want []string
	late []string
}

// TestAttributes holds every attribute of every kind to what a change of it
// does, and makes the change.
func TestAttributes(t *testing.T) {
	for _, rows := range [][]row{serverRows(), serverPartRows(), networkRows(), otherRows(), balancerRows()} {
		for _, r := range rows {
			t.Run(r.name, func(t *testing.T) { checkRow(t, r) })
		}
	}
}

func checkRow(t *testing.T, r row) {
	ctx := context.Background()
	w := applied(t, base())
	head := base()
	r.edit(&head)
	r.o.Catalog, r.o.AllowDestroy = catalog(), everything(base(), head)
	got := short(provision.Diff(head, account(t, w, head), r.o))
	for i := range got { // addresses that the fake has chosen
		got[i] = chosen(got[i])
	}
	if diff := cmp.Diff(r.want, got); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	after, _, err := provision.Expand(ctx, w, head, account(t, w, head), r.o, progress.Discard)
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	w.ending = true
	gone, err := provision.Contract(ctx, w, head, after, r.o, progress.Discard)
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	var late []string
	for _, result := range gone {
		for _, a := range result.Attributes {
			late = append(late, a.Name)
		}
		if result.Action == plans.Destroy {
			late = append(late, "destroy "+result.Name)
		}
	}
	if diff := cmp.Diff(r.late, late); diff != "" {
		t.Errorf("after the hosts (-want +got):\n%s", diff)
	}
	settled(t, w, head)
	w.sound(t)
}

// chosen hides addresses that nobody declares.
func chosen(line string) string {
	words := strings.Split(line, " ")
	for i, word := range words {
		name, value, _ := strings.Cut(word, ":")
		old, next, _ := strings.Cut(value, "→")
		for _, prefix := range []string{"10.8.1.2", "88.0.", "88.15.", "2a01:"} {
			if strings.HasPrefix(old, prefix) {
				words[i] = name + ":*→" + next
			}
		}
	}
	return strings.Join(words, " ")
}

func serverRows() []row {
	return []row{
		{name: "nothing", edit: func(*fleet.Fleet) {}},
		{name: "server_type", edit: server("db", func(s *fleet.Server) { s.ServerType = "cx32" }), want: []string{
			"server db update server_type:cx22→cx32^ <power-off> # the disk grows from 40 GB to 80 GB, and the server can never have a smaller type again (keep_disk",
		}},
		{name: "server_type, keep_disk", edit: server("db", func(s *fleet.Server) { s.ServerType, s.KeepDisk = "cx32", true }), want: []string{
			"server db update server_type:cx22→cx32^ <power-off>",
		}},
		{name: "keep_disk", edit: server("db", func(s *fleet.Server) { s.KeepDisk = true })},
		{name: "fallback_types", edit: server("db", func(s *fleet.Server) { s.ServerType, s.FallbackTypes = "cx32", []string{"cx22"} })},
		{name: "server_type, architecture", edit: server("gate", func(s *fleet.Server) { s.ServerType = "cax11" }), want: []string{
			"server gate replace server_type:cx22→cax11! public_net.ipv4:→gate ipv6:→? networks.backup:*→? <replace> <data> # the server and its disk are destroyed before the new one is made",
		}},
		{name: "server_type, smaller disk", edit: server("hidden", func(s *fleet.Server) { s.ServerType = "cx11" }), want: []string{
			"server hidden replace server_type:cx22→cx11! networks.backup:*→? <replace> <data> # the server and its disk are destroyed before the new one is made",
		}},
		{name: "image", edit: server("db", func(s *fleet.Server) { s.Image = "debian-13" }), want: []string{"server db update # image counts at creation only"}},
		{name: "image, rebuild", edit: server("db", func(s *fleet.Server) { s.Image = "debian-13" }), o: provision.Options{Rebuild: []string{"db"}}, want: []string{
			"server db rebuild image:os=nixos→debian-13 <data>",
		}},
		{name: "image, replace", edit: server("db", func(s *fleet.Server) { s.Image = "debian-13" }), o: provision.Options{Replace: []string{"db"}}, want: []string{
			"server db replace image:os=nixos→debian-13! ipv4:→? ipv6:→? networks.backup:*→? <replace> <data> # the server and its disk are destroyed before the new one is made",
			"volume pgdata update server:db→db # it leaves the old server with that one's end and is attached to the new one",
			"volume wal update server:db→db # it leaves the old server with that one's end and is attached to the new one",
		}},
		{name: "location", edit: server("web-1", func(s *fleet.Server) { s.Locations = []string{"fsn1"} }), want: []string{"server web-1 update # location counts at creation only"}},
		{name: "location, replace", edit: server("web-1", func(s *fleet.Server) { s.Locations = []string{"fsn1"} }), o: provision.Options{Replace: []string{"web-1"}}, want: []string{
			"server web-1 replace location:nbg1→fsn1! ipv4:→? ipv6:→? networks.backup:*→? <replace> <data> # the server and its disk are destroyed before the new one is made",
			"load_balancer front update targets.web-1:private→private # web-1 gets no traffic until it is made anew",
		}},
		{name: "location order", edit: server("web-1", func(s *fleet.Server) { s.Locations = []string{"fsn1", "nbg1"} })},
		{name: "user_data", edit: server("db", func(s *fleet.Server) { s.UserData = "" }), want: []string{"server db update # user_data counts at creation only"}},
		{name: "user_data, rebuild", edit: server("db", func(s *fleet.Server) { s.UserData = "" }), o: provision.Options{Rebuild: []string{"db"}}, want: []string{
			"server db rebuild user_data:digest tk4pvpemok72aqle→digest 4oymiquy7qobjgx3 <data>",
		}},
		{name: "ssh_keys", edit: server("db", func(s *fleet.Server) { s.SSHKeys = nil }), want: []string{"server db update # ssh_keys count at creation only"}},
		{name: "labels", edit: server("db", func(s *fleet.Server) { s.Labels = map[string]string{"env": "live", "role": "db"} }), want: []string{
			"server db update labels.env:test→live labels.role:→db",
		}},
		{name: "label gone", edit: server("db", func(s *fleet.Server) { s.Labels = nil }), want: []string{"server db update labels.env:test→"}, late: []string{"labels.env"}},
		{name: "delete_protection", edit: server("db", func(s *fleet.Server) { s.DeleteProtection = true }), want: []string{"server db update delete_protection:false→true"}},
		{name: "backups on", edit: server("web-1", func(s *fleet.Server) { s.Backups = true }), want: []string{"server web-1 update backups:false→true"}},
		{
			name: "backups off", edit: server("db", func(s *fleet.Server) { s.Backups = false }),
			want: []string{"server db update backups:true→false <data>"}, late: []string{"backups"},
		},
		{name: "deletion flags", edit: server("db", func(s *fleet.Server) { s.ShutdownBeforeDeletion, s.SnapshotBeforeDestroy = true, true }), want: []string{
			"server db update shutdown_before_deletion:false→true snapshot_before_destroy:false→true",
		}},
		{name: "new", edit: func(f *fleet.Fleet) {
			f.Servers["new"] = fleet.Server{
				ServerType: "cx22", Image: "debian-13", Locations: []string{"nbg1", "fsn1"}, SSHKeys: []string{"deploy"}, Firewalls: []string{"web"},
				Networks: map[string]fleet.Attachment{"private": {IP: "10.0.1.7"}, "backup": {}}, DeleteProtection: true, Backups: true, PlacementGroup: "spread",
				PublicNet: fleet.PublicNet{EnableIPv6: true}, UserData: "#!/bin/sh\n", Labels: map[string]string{"a": "b"}, DNSPtr: map[string]string{"ipv6": "new.example.com"},
			}
		}, want: []string{
			"server new create server_type:→cx22 image:→debian-13 location:→nbg1, fsn1 ipv6:→? networks.backup:→? networks.private:→10.0.1.7 ssh_keys:→deploy " +
				"user_data:→digest vadw2pji2ipaeajl firewalls:→web placement_group:→spread backups:→true delete_protection:→true labels.a:→b dns_ptr.ipv6:→new.example.com",
		}},
		{name: "gone", edit: func(f *fleet.Fleet) {
			delete(f.Servers, "web-1")
			balancer(func(l *fleet.LoadBalancer) { l.Targets = l.Targets[1:] })(f)
		}, want: []string{
			"load_balancer front update targets.web-1:private→",
			"server web-1 destroy server_type:cx22→ ipv4:*→ ipv6:*→ networks.backup:*→ networks.private:10.0.1.5→ <destroy> <data>",
		}, late: []string{"targets.web-1", "server_type", "ipv4", "ipv6", "networks.backup", "networks.private", "destroy web-1"}},
		{name: "moved", edit: func(f *fleet.Fleet) {
			f.Servers["www"] = f.Servers["web-1"]
			delete(f.Servers, "web-1")
			balancer(func(l *fleet.LoadBalancer) {
				l.Targets = []fleet.LoadBalancerTarget{{Server: "www", UsePrivateIP: true}, l.Targets[1]}
			})(f)
			f.Moved = []fleet.Move{{Section: "servers", From: "web-1", To: "www"}}
		}, want: []string{"server www update name:web-1→www"}},
	}
}

func serverPartRows() []row {
	return []row{
		{name: "address", edit: server("db", func(s *fleet.Server) {
			s.Networks["private"] = fleet.Attachment{IP: "10.0.1.44", AliasIPs: []string{"10.0.1.50"}}
		}), want: []string{"server db update networks.private:10.0.1.4→10.0.1.44 <access>"}},
		{name: "address no longer fixed", edit: server("web-1", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{} })},
		{name: "address passed on", edit: func(f *fleet.Fleet) {
			server("web-2", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{IP: "10.0.1.5"} })(f)
			server("web-1", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{IP: "10.0.1.55"} })(f)
		}, want: []string{
			"server web-1 update networks.private:10.0.1.5→10.0.1.55 <access>",
			"server web-2 update networks.private:10.0.2.6→10.0.1.5 <access>",
			"load_balancer front update targets.web-1:private→private targets.web-2:private→private",
		}},
		{name: "alias_ips", edit: server("db", func(s *fleet.Server) {
			s.Networks["private"] = fleet.Attachment{IP: "10.0.1.4", AliasIPs: []string{"10.0.1.51"}}
		}), want: []string{"server db update networks.private.alias_ips:10.0.1.50→10.0.1.51"}, late: []string{"networks.private.alias_ips"}},
		{
			name: "network left", edit: server("db", func(s *fleet.Server) { delete(s.Networks, "backup") }),
			want: []string{"server db update networks.backup:*→ <access>"}, late: []string{"networks.backup"},
		},
		{name: "network joined", edit: func(f *fleet.Fleet) {
			f.Networks["new"] = fleet.Network{IPRange: "10.20.0.0/16", Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.20.1.0/24"}}}
			server("db", func(s *fleet.Server) { s.Networks["new"] = fleet.Attachment{} })(f)
		}, want: []string{
			"network new create ip_range:→10.20.0.0/16", "subnet new/10.20.1.0/24 create ip_range:→10.20.1.0/24 type:→cloud network_zone:→eu-central",
			"server db update networks.new:→?",
		}},
		{name: "public_net off", edit: server("web-1", func(s *fleet.Server) { s.PublicNet.EnableIPv4 = false }), want: []string{
			"server web-1 update public_net.enable_ipv4:true→false^ <power-off> <access>",
		}},
		{name: "public_net on", edit: server("hidden", func(s *fleet.Server) { s.PublicNet.EnableIPv6 = true }), want: []string{
			"server hidden update public_net.enable_ipv6:false→true^ <power-off> <access>",
		}},
		{name: "primary IP given", edit: func(f *fleet.Fleet) {
			f.PrimaryIPs["db"] = fleet.PrimaryIP{Type: "ipv4", Location: "nbg1"}
			server("db", func(s *fleet.Server) { s.PublicNet.IPv4 = "db" })(f)
		}, want: []string{
			"primary_ip db create type:→ipv4 location:→nbg1 ip:→?",
			"server db update public_net.ipv4:→db^ dns_ptr.ipv4:→db.example.com <power-off> <access>",
		}},
		{name: "primary IP taken away", edit: server("gate", func(s *fleet.Server) { s.PublicNet.IPv4 = "" }), want: []string{
			"server gate update public_net.ipv4:gate→^ <power-off> <access>",
		}},
		{name: "primary IP passed on", edit: func(f *fleet.Fleet) {
			server("gate", func(s *fleet.Server) { s.PublicNet.IPv4 = "" })(f)
			server("db", func(s *fleet.Server) { s.PublicNet.IPv4 = "gate" })(f)
		}, want: []string{
			"server db update public_net.ipv4:→gate^ dns_ptr.ipv4:→db.example.com <power-off> <access>",
			"server gate update public_net.ipv4:gate→^ <power-off> <access>",
		}},
		{name: "firewalls", edit: server("db", func(s *fleet.Server) { s.Firewalls = []string{"web"} }), want: []string{
			"server db update firewalls:→web firewalls:ssh→ <access> <port opened>",
		}, late: []string{"firewalls"}},
		{name: "placement_group left", edit: server("gate", func(s *fleet.Server) { s.PlacementGroup = "" }), want: []string{
			"server gate update placement_group:spread→^ <power-off>",
		}},
		{name: "placement_group joined, type too", edit: server("db", func(s *fleet.Server) { s.PlacementGroup, s.ServerType, s.KeepDisk = "spread", "cx32", true }), want: []string{
			"server db update placement_group:→spread^ server_type:cx22→cx32^ <power-off>",
		}},
		{name: "dns_ptr", edit: server("db", func(s *fleet.Server) {
			s.DNSPtr = map[string]string{"ipv4": "new.example.com", "ipv6": "six.example.com"}
		}), want: []string{
			"server db update dns_ptr.ipv4:db.example.com→new.example.com dns_ptr.ipv6:→six.example.com",
		}},
		{
			name: "dns_ptr gone", edit: server("db", func(s *fleet.Server) { s.DNSPtr = nil }),
			want: []string{"server db update dns_ptr.ipv4:db.example.com→"}, late: []string{"dns_ptr.ipv4"},
		},
	}
}

func subnets(ranges ...string) []fleet.Subnet {
	var all []fleet.Subnet
	for _, r := range ranges {
		all = append(all, fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: r})
	}
	return all
}

func networkRows() []row {
	return []row{
		{name: "ip_range wider", edit: network("backup", func(n *fleet.Network) { n.IPRange = "10.8.0.0/15" }), want: []string{"network backup update ip_range:10.8.0.0/16→10.8.0.0/15"}},
		{name: "ip_range, host bits", edit: network("backup", func(n *fleet.Network) { n.IPRange = "10.8.0.1/16" })},
		{name: "ip_range elsewhere", edit: network("backup", func(n *fleet.Network) { n.IPRange, n.Subnets = "10.7.0.0/16", subnets("10.7.1.0/24") }), want: []string{
			"network backup replace ip_range:10.8.0.0/16→10.7.0.0/16! <replace> <access> # only a larger range with the same first address can be had in place; db, gate, hidden, web-1, web-2 leave the network and join the new one",
			"subnet backup/10.7.1.0/24 create ip_range:→10.7.1.0/24 type:→cloud network_zone:→eu-central",
			"server db update networks.backup:*→? <access>", "server gate update networks.backup:*→? <access>", "server hidden update networks.backup:*→? <access>",
			"server web-1 update networks.backup:*→? <access>", "server web-2 update networks.backup:*→? <access>",
		}},
		{name: "expose_routes on", edit: network("backup", func(n *fleet.Network) { n.ExposeRoutesToVSwitch = true }), want: []string{"network backup update expose_routes_to_vswitch:false→true"}},
		{name: "network labels", edit: network("private", func(n *fleet.Network) { n.Labels = map[string]string{"a": "b"} }), want: []string{
			"network private update labels.a:→b labels.env:test→",
		}, late: []string{"labels.env"}},
		{name: "network delete_protection", edit: network("private", func(n *fleet.Network) { n.DeleteProtection = false }), want: []string{"network private update delete_protection:true→false"}},
		{name: "subnet added", edit: network("backup", func(n *fleet.Network) { n.Subnets = subnets("10.8.1.0/24", "10.8.2.0/24") }), want: []string{
			"subnet backup/10.8.2.0/24 create ip_range:→10.8.2.0/24 type:→cloud network_zone:→eu-central",
		}},
		{name: "subnet gone, and who was in it", edit: func(f *fleet.Fleet) {
			network("private", func(n *fleet.Network) { n.Subnets = n.Subnets[:1] })(f)
			server("web-2", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{IP: "10.0.1.66"} })(f)
		}, want: []string{
			"server web-2 update networks.private:10.0.2.6→10.0.1.66 <access>",
			"load_balancer front update targets.web-2:private→private",
			"subnet private/10.0.2.0/24 destroy ip_range:10.0.2.0/24→ <destroy>",
		}, late: []string{"ip_range", "destroy private/10.0.2.0/24"}},
		{name: "subnet grows", edit: func(f *fleet.Fleet) {
			network("private", func(n *fleet.Network) { n.Subnets = subnets("10.0.1.0/24", "10.0.2.0/23") })(f)
			server("web-2", func(s *fleet.Server) { s.Networks["private"] = fleet.Attachment{IP: "10.0.3.6"} })(f)
		}, want: []string{
			"subnet private/10.0.2.0/23 replace ip_range:10.0.2.0/24→10.0.2.0/23! type:→cloud network_zone:→eu-central <replace>",
			"server web-2 update networks.private:10.0.2.6→10.0.3.6 <access>",
			"load_balancer front update targets.web-2:private→private",
		}},
		{name: "route's gateway", edit: network("private", func(n *fleet.Network) { n.Routes = []fleet.Route{{Destination: "10.100.0.0/16", Gateway: "10.0.1.4"}} }), want: []string{
			"route private/10.100.0.0/16 replace gateway:10.0.1.3→10.0.1.4! <replace> <access>",
		}},
		{name: "route's destination", edit: network("private", func(n *fleet.Network) { n.Routes = []fleet.Route{{Destination: "10.101.0.0/16", Gateway: "10.0.1.3"}} }), want: []string{
			"route private/10.101.0.0/16 create destination:→10.101.0.0/16 gateway:→10.0.1.3",
			"route private/10.100.0.0/16 destroy destination:10.100.0.0/16→ gateway:10.0.1.3→ <destroy>",
		}, late: []string{"destination", "gateway", "destroy private/10.100.0.0/16"}},
		{name: "route narrower", edit: network("private", func(n *fleet.Network) { n.Routes = []fleet.Route{{Destination: "10.100.1.0/24", Gateway: "10.0.1.3"}} }), want: []string{
			"route private/10.100.1.0/24 replace destination:10.100.0.0/16→10.100.1.0/24! gateway:→10.0.1.3 <replace> <access>",
		}},
		{name: "network gone", edit: func(f *fleet.Fleet) {
			delete(f.Networks, "backup")
			for name := range f.Servers {
				server(name, func(s *fleet.Server) { delete(s.Networks, "backup") })(f)
			}
		}, want: []string{
			"server db update networks.backup:*→ <access>", "server gate update networks.backup:*→ <access>", "server hidden update networks.backup:*→ <access>",
			"server web-1 update networks.backup:*→ <access>", "server web-2 update networks.backup:*→ <access>",
			"network backup destroy ip_range:10.8.0.0/16→ <destroy>",
		}, late: slices.Concat(slices.Repeat([]string{"networks.backup"}, 5), []string{"ip_range", "destroy backup"})},
	}
}
