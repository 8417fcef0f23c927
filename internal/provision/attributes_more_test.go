package provision_test

import (
	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func otherRows() []row {
	rule := func(port string) fleet.FirewallRule {
		return fleet.FirewallRule{Direction: "in", Protocol: "tcp", Port: port, SourceIPs: []string{"0.0.0.0/0", "::/0"}}
	}
	out := fleet.FirewallRule{Direction: "out", Protocol: "udp", Port: "53", DestinationIPs: []string{"0.0.0.0/0"}}
	return []row{
		{name: "rule added", edit: firewall("ssh", func(f *fleet.Firewall) { f.Rules = []fleet.FirewallRule{rule("22"), rule("80")} }), want: []string{
			"firewall ssh update rules:→in tcp 80 from 0.0.0.0/0, ::/0 <port opened>",
		}},
		{name: "rule gone", edit: firewall("ssh", func(f *fleet.Firewall) { f.Rules = nil }), want: []string{
			"firewall ssh update rules:in tcp 22 from 0.0.0.0/0, ::/0→ <access>",
		}, late: []string{"rules"}},
		{name: "rule changed", edit: firewall("ssh", func(f *fleet.Firewall) { f.Rules = []fleet.FirewallRule{rule("2222")} }), want: []string{
			"firewall ssh update rules:→in tcp 2222 from 0.0.0.0/0, ::/0 rules:in tcp 22 from 0.0.0.0/0, ::/0→ <port opened> <access>",
		}, late: []string{"rules"}},
		{name: "rules in another order and form", edit: firewall("ssh", func(f *fleet.Firewall) {
			f.Rules = []fleet.FirewallRule{{Direction: "in", Protocol: "TCP", Port: "22-22", SourceIPs: []string{"::1/0", "1.2.3.4/0"}}}
		})},
		{name: "first rule out", edit: firewall("ssh", func(f *fleet.Firewall) { f.Rules = append([]fleet.FirewallRule{out}, f.Rules...) }), want: []string{
			"firewall ssh update rules:→out udp 53 to 0.0.0.0/0 <access>",
		}, late: []string{"rules"}},
		{name: "apply_to", edit: firewall("ssh", func(f *fleet.Firewall) { f.ApplyTo = []string{"role=y"} }), want: []string{
			"firewall ssh update apply_to:→role=y apply_to:role=x→ <access> <port opened>",
		}, late: []string{"apply_to"}},
		{name: "firewall labels", edit: firewall("ssh", func(f *fleet.Firewall) { f.Labels = map[string]string{"env": "live"} }), want: []string{
			"firewall ssh update labels.env:test→live",
		}},
		{name: "firewall moved", edit: func(f *fleet.Fleet) {
			f.Firewalls["www"] = f.Firewalls["web"]
			delete(f.Firewalls, "web")
			f.Moved = []fleet.Move{{Section: "firewalls", From: "web", To: "www"}}
		}, want: []string{"firewall www update name:web→www"}},
		{name: "firewall gone", edit: func(f *fleet.Fleet) { delete(f.Firewalls, "web") }, want: []string{
			"firewall web destroy rules:in tcp 443 from 0.0.0.0/0→ <destroy> <port opened>",
		}, late: []string{"rules", "destroy web"}},

		{name: "volume size", edit: volume("pgdata", func(v *fleet.Volume) { v.Size = 40 }), want: []string{"volume pgdata update size:20 GB→40 GB"}},
		{name: "volume location", edit: volume("spare", func(v *fleet.Volume) { v.Location = "fsn1" }), want: []string{
			"volume spare replace location:nbg1→fsn1! <replace> <data>",
		}},
		{name: "volume to another server", edit: volume("wal", func(v *fleet.Volume) { v.Server = "gate" }), want: []string{"volume wal update server:db→gate <data> # it leaves db before the hosts are switched"}},
		{name: "volume attached", edit: volume("spare", func(v *fleet.Volume) { v.Server = "gate" }), want: []string{"volume spare update server:→gate"}},
		{
			name: "volume detached", edit: volume("wal", func(v *fleet.Volume) { v.Server, v.Location = "", "nbg1" }),
			want: []string{"volume wal update server:db→ <access>"}, late: []string{"server"},
		},
		{name: "volume format", edit: volume("pgdata", func(v *fleet.Volume) { v.Format = "xfs" }), want: []string{"volume pgdata update # format counts at creation only"}},
		{name: "volume automount", edit: volume("pgdata", func(v *fleet.Volume) { v.Automount = true })},
		{name: "volume labels", edit: volume("pgdata", func(v *fleet.Volume) { v.Labels = map[string]string{"a": "b"} }), want: []string{"volume pgdata update labels.a:→b"}},
		{name: "volume delete_protection", edit: volume("pgdata", func(v *fleet.Volume) { v.DeleteProtection = false }), want: []string{"volume pgdata update delete_protection:true→false"}},
		{name: "volume new", edit: func(f *fleet.Fleet) {
			f.Volumes["new"] = fleet.Volume{Size: 10, Server: "gate", Format: "ext4", DeleteProtection: true}
		}, want: []string{
			"volume new create size:→10 GB server:→gate format:→ext4 delete_protection:false→true",
		}},
		{name: "volume gone", edit: func(f *fleet.Fleet) { delete(f.Volumes, "wal") }, want: []string{
			"volume wal destroy size:10 GB→ server:db→ <destroy> <data>",
		}, late: []string{"size", "server", "destroy wal"}},

		{name: "primary IP type", edit: func(f *fleet.Fleet) {
			primaryIP("gate", func(p *fleet.PrimaryIP) { p.Type, p.DNSPtr, p.DeleteProtection = "ipv6", nil, false })(f)
			server("gate", func(s *fleet.Server) { s.PublicNet.IPv4, s.PublicNet.IPv6 = "", "gate" })(f)
		}, want: []string{
			"primary_ip gate replace type:ipv4→ipv6! ip:*→? <replace> <access>",
			"server gate update public_net.ipv4:gate→^ public_net.ipv6:→gate^ dns_ptr.ipv6:→gate.example.com <power-off> <access>",
		}},
		{name: "primary IP auto_delete and delete_protection", edit: primaryIP("gate", func(p *fleet.PrimaryIP) { p.AutoDelete, p.DeleteProtection = true, false }), want: []string{
			"primary_ip gate update delete_protection:true→false auto_delete:false→true",
		}},
		{name: "primary IP dns_ptr", edit: primaryIP("gate", func(p *fleet.PrimaryIP) { p.DNSPtr = map[string]string{"ipv4": "x.example.com"} }), want: []string{
			"primary_ip gate update dns_ptr.ipv4:gate.example.com→x.example.com",
		}},
		{name: "primary IP labels", edit: primaryIP("gate", func(p *fleet.PrimaryIP) { p.Labels = map[string]string{"a": "b"} }), want: []string{"primary_ip gate update labels.a:→b"}},
		{name: "primary IP new", edit: func(f *fleet.Fleet) {
			f.PrimaryIPs["new"] = fleet.PrimaryIP{Type: "ipv6", Location: "fsn1", AutoDelete: true}
		}, want: []string{
			"primary_ip new create type:→ipv6 location:→fsn1 ip:→? auto_delete:→true",
		}},

		{name: "group labels", edit: func(f *fleet.Fleet) {
			f.PlacementGroups["spread"] = fleet.PlacementGroup{Type: "spread", Labels: map[string]string{"a": "b"}}
		}, want: []string{"placement_group spread update labels.a:→b"}},
		{name: "group gone", edit: func(f *fleet.Fleet) {
			delete(f.PlacementGroups, "spread")
			server("gate", func(s *fleet.Server) { s.PlacementGroup = "" })(f)
		}, want: []string{
			"server gate update placement_group:spread→^ <power-off>", "placement_group spread destroy type:spread→",
		}, late: []string{"type", "destroy spread"}},

		{name: "key", edit: func(f *fleet.Fleet) { f.SSHKeys["deploy"] = fleet.SSHKey{PublicKey: keyTwo} }, want: []string{
			"ssh_key deploy replace public_key:ssh-ed25519 …QtzqTHIlyWmc one@example.com→ssh-ed25519 …QtzqTHIlyWmc two@example.com! <replace> # servers keep the keys they were created with",
		}},
		{name: "key comment", edit: func(f *fleet.Fleet) { f.SSHKeys["deploy"] = fleet.SSHKey{PublicKey: keyOne + "2"} }},
		{name: "key labels", edit: func(f *fleet.Fleet) {
			f.SSHKeys["deploy"] = fleet.SSHKey{PublicKey: keyOne, Labels: map[string]string{"a": "b"}}
		}, want: []string{"ssh_key deploy update labels.a:→b"}},
		{name: "keys come", edit: func(f *fleet.Fleet) { f.SSHKeys["new"] = fleet.SSHKey{PublicKey: keyTwo} }, want: []string{
			"ssh_key new create public_key:→ssh-ed25519 …QtzqTHIlyWmc two@example.com",
		}},
	}
}

func balancerRows() []row {
	service := func(change func(*fleet.LoadBalancerService)) func(*fleet.Fleet) {
		return balancer(func(l *fleet.LoadBalancer) {
			s := l.Services[0]
			change(&s)
			l.Services = []fleet.LoadBalancerService{s}
		})
	}
	return []row{
		{name: "load_balancer_type", edit: balancer(func(l *fleet.LoadBalancer) { l.Type = "lb21" }), want: []string{"load_balancer front update load_balancer_type:lb11→lb21"}},
		{name: "load balancer's location", edit: balancer(func(l *fleet.LoadBalancer) { l.Location = "fsn1" }), want: []string{
			"load_balancer front replace location:nbg1→fsn1! ipv4:88.1.1.1→? ipv6:*→? networks.private:→10.0.1.9 targets.web-1:→private targets.web-2:→private " +
				"services.443:→tcp → 443 dns_ptr.ipv4:→www.example.com <replace> <access>",
		}},
		{name: "load balancer's zone", edit: balancer(func(l *fleet.LoadBalancer) { l.Location, l.NetworkZone = "", "eu-central" })},
		{name: "algorithm", edit: balancer(func(l *fleet.LoadBalancer) { l.Algorithm = "least_connections" }), want: []string{
			"load_balancer front update algorithm:round_robin→least_connections",
		}},
		{name: "public_interface", edit: balancer(func(l *fleet.LoadBalancer) { l.PublicInterface = false }), want: []string{
			"load_balancer front update public_interface:true→false <access>",
		}, late: []string{"public_interface"}},
		{name: "load balancer's address", edit: balancer(func(l *fleet.LoadBalancer) { l.Networks = map[string]fleet.Attachment{"private": {IP: "10.0.1.10"}} }), want: []string{
			"load_balancer front update networks.private:10.0.1.9→10.0.1.10 targets.web-1:private→private targets.web-2:private→private <access>",
		}},
		{name: "load balancer's network", edit: balancer(func(l *fleet.LoadBalancer) { l.Networks = map[string]fleet.Attachment{"backup": {}} }), want: []string{
			"load_balancer front update networks.private:10.0.1.9→ networks.backup:→? targets.web-1:private→private targets.web-2:private→private <access>",
		}},
		{name: "load balancer without network", edit: balancer(func(l *fleet.LoadBalancer) {
			l.Networks, l.Targets = nil, []fleet.LoadBalancerTarget{{Server: "web-1"}}
		}), want: []string{
			"load_balancer front update targets.web-1:private→public targets.web-2:private→ networks.private:10.0.1.9→ <access>",
		}, late: []string{"targets.web-2", "networks.private"}},
		{name: "target added", edit: balancer(func(l *fleet.LoadBalancer) {
			l.Targets = append(l.Targets, fleet.LoadBalancerTarget{LabelSelector: "env=test"}, fleet.LoadBalancerTarget{IP: "203.0.113.9"})
		}), want: []string{"load_balancer front update targets.label_selector env=test:→public targets.203.0.113.9:→public"}},
		{name: "use_private_ip", edit: balancer(func(l *fleet.LoadBalancer) { l.Targets = []fleet.LoadBalancerTarget{{Server: "web-1"}, l.Targets[1]} }), want: []string{
			"load_balancer front update targets.web-1:private→public",
		}},
		{
			name: "target gone", edit: balancer(func(l *fleet.LoadBalancer) { l.Targets = l.Targets[:1] }),
			want: []string{"load_balancer front update targets.web-2:private→"}, late: []string{"targets.web-2"},
		},
		{name: "service added and gone", edit: service(func(s *fleet.LoadBalancerService) { s.ListenPort = 80 }), want: []string{
			"load_balancer front update services.80:→tcp → 443 services.443:tcp → 443→ <access>",
		}, late: []string{"services.443"}},
		{name: "service changed", edit: service(func(s *fleet.LoadBalancerService) {
			s.DestinationPort, s.ProxyProtocol, s.Protocol = 8443, true, "http"
			s.HTTP = fleet.ServiceHTTP{RedirectHTTP: true, StickySessions: true, CookieName: "c", CookieLifetime: 60, Certificates: []string{"b", "a"}}
			s.HealthCheck = fleet.HealthCheck{Protocol: "http", Port: 81, Interval: 5, Timeout: 4, Retries: 2, Domain: "d", Path: "/x", Response: "ok", StatusCodes: []string{"2??"}, TLS: true}
		}), want: []string{
			"load_balancer front update services.443.protocol:tcp→http services.443.destination_port:443→8443 services.443.proxyprotocol:false→true " +
				"services.443.health_check.protocol:→http services.443.health_check.port:0→81 services.443.health_check.interval:0→5 services.443.health_check.timeout:0→4 " +
				"services.443.health_check.retries:0→2 services.443.http.certificates:→a, b services.443.http.redirect_http:→true services.443.http.sticky_sessions:→true " +
				"services.443.http.cookie_name:→c services.443.http.cookie_lifetime:→60 services.443.health_check.domain:→d services.443.health_check.path:→/x " +
				"services.443.health_check.response:→ok services.443.health_check.status_codes:→2?? services.443.health_check.tls:→true",
		}},
		{name: "load balancer's labels, dns_ptr, protection", edit: balancer(func(l *fleet.LoadBalancer) {
			l.Labels, l.DNSPtr, l.DeleteProtection = map[string]string{"a": "b"}, map[string]string{"ipv4": "x.example.com"}, true
		}), want: []string{"load_balancer front update labels.a:→b dns_ptr.ipv4:www.example.com→x.example.com delete_protection:false→true"}},
		{name: "load balancer gone", edit: func(f *fleet.Fleet) { f.LoadBalancers = nil }, want: []string{
			"load_balancer front destroy load_balancer_type:lb11→ ipv4:88.1.1.1→ ipv6:*→ <destroy> <access>",
		}, late: []string{"load_balancer_type", "ipv4", "ipv6", "destroy front"}},
	}
}
