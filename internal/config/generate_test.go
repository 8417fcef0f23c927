package config

import (
	"fmt"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func (g generator) fleet(t *testing.T) fleet.Fleet {
	t.Helper()
	f := fleet.Fleet{
		Name: pick(g, "acme", "7", "true", "a.b-c"), Hetzner: &fleet.Hetzner{Token: fleet.EnvRef{Env: "TOKEN"}, PollInterval: pick(g, 500*time.Millisecond, time.Second, 1500*time.Millisecond)},
		Hive: pick(g, fleet.Hive{}, fleet.Hive{File: "hive.nix"}, fleet.Hive{Flake: "."}, fleet.Hive{Flake: "nix dir"}),
		SSH:  fleet.SSH{User: pick(g, "root", "deploy"), Port: pick(g, 22, 2222), Address: pick(g, "ipv4", "ipv6"), Key: pick(g, fleet.EnvRef{}, fleet.EnvRef{Env: "KEY"})},
		Rollout: fleet.Rollout{
			MaxParallel: 1 + g.IntN(20), MaxUnavailable: 1 + g.IntN(3), OnFailure: pick(g, fleet.Continue, fleet.RollbackHost), KeepGenerations: g.IntN(20),
			ActivationTimeout: pick(g, 10*time.Minute, 90*time.Second), ConfirmTimeout: pick(g, time.Minute, time.Hour),
		},
		Review:     fleet.Review{DirectPush: pick(g, fleet.DirectAllow, fleet.DirectStopOnRisk, fleet.DirectRefuse)},
		Evaluation: pick(g, fleet.Evaluation{}, fleet.Evaluation{Workers: 2}, fleet.Evaluation{Memory: 1536 << 20, Timeout: time.Hour}),
	}
	for _, wave := range some(g, "@web", "*", "a,!b", "web-[0-9]") {
		f.Rollout.Waves = append(f.Rollout.Waves, sel(t, wave))
	}
	for _, name := range some(g, "@web", "*", "a,!b", "yes", "10", "-x") {
		f.Hosts = append(f.Hosts, fleet.HostSettings{Selector: sel(t, name), Address: pick(g, "", "10.0.0.1", "h.example.com"), HostKey: pick(g, "", publicKeyText), Health: g.checks()})
	}
	g.resources(&f)
	g.servers(&f)
	g.balancers(&f)
	g.moved(&f)
	return f
}

func (g generator) checks() []fleet.Check {
	within := pick(g, time.Minute, 90*time.Second, 100*time.Millisecond)
	return some(g,
		fleet.Check{HTTP: &fleet.HTTPCheck{URL: "https://www.example.com/a?b=c#d", Status: pick(g, 200, 404), Via: pick(g, "host", "dns"), Body: g.text(20)}, Within: within},
		fleet.Check{TCP: &fleet.TCPCheck{Port: 1 + g.IntN(65535)}, Within: within},
		fleet.Check{Command: &fleet.CommandCheck{Argv: []string{"prog", g.text(20), ""}}, Within: within},
		fleet.Check{Units: &fleet.UnitsCheck{Active: []string{"a.service", "b@c.timer"}}, Within: within},
	)
}

func (g generator) resources(f *fleet.Fleet) {
	f.Networks = random(g, "net", func(i int) fleet.Network {
		if g.IntN(4) == 0 {
			return fleet.Network{Existing: true}
		}
		n := fleet.Network{
			IPRange: fmt.Sprintf("10.%d.0.0/16", i), Labels: g.labels(), DeleteProtection: g.yes(), ExposeRoutesToVSwitch: g.yes(),
			Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: fmt.Sprintf("10.%d.1.0/24", i)}},
		}
		if g.yes() {
			n.Subnets = append(n.Subnets, fleet.Subnet{Type: "vswitch", NetworkZone: "eu-central", IPRange: fmt.Sprintf("10.%d.2.0/24", i), VSwitchID: 1 + g.Int64N(1<<50)})
		}
		for _, to := range some(g, "0.0.0.0/0", "192.168.0.0/16") {
			n.Routes = append(n.Routes, fleet.Route{Destination: to, Gateway: fmt.Sprintf("10.%d.1.9", i)})
		}
		return n
	})
	f.SSHKeys = random(g, "key", func(i int) fleet.SSHKey {
		if i > 0 {
			return fleet.SSHKey{Existing: true}
		}
		return fleet.SSHKey{PublicKey: publicKeyText, Labels: g.labels()}
	})
	f.Firewalls = random(g, "wall", func(int) fleet.Firewall {
		if g.IntN(4) == 0 {
			return fleet.Firewall{Existing: true}
		}
		return fleet.Firewall{Labels: g.labels(), Rules: g.rules(), ApplyTo: some(g, "env=prod", "!x", "a in (b, c),d")}
	})
	f.PlacementGroups = random(g, "group", func(int) fleet.PlacementGroup {
		if g.yes() {
			return fleet.PlacementGroup{Existing: true}
		}
		return fleet.PlacementGroup{Type: "spread", Labels: g.labels()}
	})
	f.PrimaryIPs = random(g, "ip", func(int) fleet.PrimaryIP {
		if g.IntN(4) == 0 {
			return fleet.PrimaryIP{Existing: true}
		}
		p := fleet.PrimaryIP{Type: pick(g, "ipv4", "ipv6"), Location: "nbg1", AutoDelete: g.yes(), Labels: g.labels()}
		p.DeleteProtection = !p.AutoDelete && g.yes()
		p.DNSPtr = pick(g, nil, map[string]string{p.Type: "a.example.com"})
		return p
	})
}

func (g generator) rules() []fleet.FirewallRule {
	var out []fleet.FirewallRule
	for i := range g.IntN(4) {
		r := fleet.FirewallRule{Direction: pick(g, "in", "out"), Protocol: pick(g, "tcp", "udp", "icmp", "esp", "gre"), Description: g.text(30)}
		if r.Protocol == "tcp" || r.Protocol == "udp" {
			r.Port = pick(g, "any", "443", "1-2", "1024-65535")
		}
		ranges := append(some(g, "0.0.0.0/0", "::/0"), fmt.Sprintf("10.%d.0.0/16", i))
		if r.Direction == "in" {
			r.SourceIPs = ranges
		} else {
			r.DestinationIPs = ranges
		}
		out = append(out, r)
	}
	return out
}

func (g generator) servers(f *fleet.Fleet) {
	free := map[string][]string{}
	for name, p := range f.PrimaryIPs {
		if !p.Existing {
			free[p.Type] = append(free[p.Type], name)
		}
	}
	take := func(family string) string {
		if len(free[family]) == 0 || g.yes() {
			return ""
		}
		name := free[family][0]
		free[family] = free[family][1:]
		return name
	}
	f.Servers = random(g, "host", func(i int) fleet.Server {
		s := fleet.Server{
			ServerType: "cx22", FallbackTypes: some(g, "cpx11", "cx32"), Image: pick(g, "debian-12", "os=nixos,!old", "123"), Locations: []string{"nbg1"}, UserData: g.text(60),
			PublicNet: fleet.PublicNet{EnableIPv4: g.yes(), EnableIPv6: true}, Labels: g.labels(), SSHKeys: some(g, names(f.SSHKeys)...), Backups: g.yes(),
			DeleteProtection: g.yes(), KeepDisk: g.yes(), ShutdownBeforeDeletion: g.yes(), SnapshotBeforeDestroy: g.yes(),
			Firewalls: some(g, names(f.Firewalls)...), Networks: map[string]fleet.Attachment{},
		}
		if s.PublicNet.EnableIPv4 {
			s.PublicNet.IPv4 = take("ipv4")
		}
		s.PublicNet.IPv6 = take("ipv6")
		if s.PublicNet.IPv4 == "" && s.PublicNet.IPv6 == "" {
			s.DNSPtr = pick(g, nil, map[string]string{"ipv6": "x.example.com"}, map[string]string{"2001:db8::1": "x.example.com"})
		}
		if len(f.PlacementGroups) > 0 && g.yes() {
			s.PlacementGroup = names(f.PlacementGroups)[0]
		}
		for n, name := range names(f.Networks) {
			a := fleet.Attachment{}
			if g.yes() && !f.Networks[name].Existing {
				a = fleet.Attachment{IP: fmt.Sprintf("%s.1.%d", f.Networks[name].IPRange[:4], 10+i), AliasIPs: some(g, fmt.Sprintf("%s.7.%d", f.Networks[name].IPRange[:4], 10+i))}
			}
			if n == 0 || g.yes() {
				s.Networks[name] = a
			}
		}
		return s
	})
	f.Volumes = random(g, "vol", func(int) fleet.Volume {
		if g.IntN(4) == 0 {
			return fleet.Volume{Existing: true}
		}
		v := fleet.Volume{Size: 10 + g.IntN(10231), Location: "nbg1", Format: pick(g, "", "ext4", "xfs"), DeleteProtection: g.yes(), Labels: g.labels()}
		if len(f.Servers) > 0 && g.yes() {
			v.Server, v.Location = pick(g, names(f.Servers)...), pick(g, "", "nbg1")
			v.Automount = v.Format != "" && g.yes()
		}
		return v
	})
}

func (g generator) balancers(f *fleet.Fleet) {
	f.LoadBalancers = random(g, "lb", func(i int) fleet.LoadBalancer {
		l := fleet.LoadBalancer{
			Type: "lb11", Location: "nbg1", Algorithm: pick(g, "round_robin", "least_connections"), PublicInterface: true, Labels: g.labels(), DeleteProtection: g.yes(),
			DNSPtr: pick(g, nil, map[string]string{"ipv4": "a.example.com"}, map[string]string{"ipv4": "a.example.com", "ipv6": "a.example.com"}, map[string]string{"ipv4": "a.example.com", "ipv6": "b.example.com"}),
		}
		if g.yes() {
			l.Location, l.NetworkZone = "", "eu-central"
		}
		if all := names(f.Networks); len(all) > 0 && g.yes() {
			l.Networks = map[string]fleet.Attachment{all[0]: {}}
			l.PublicInterface = g.yes()
			if n := f.Networks[all[0]]; !n.Existing && g.yes() {
				l.Networks[all[0]] = fleet.Attachment{IP: fmt.Sprintf("%s.1.%d", n.IPRange[:4], 200+i)}
			}
		}
		l.Targets = some(g, fleet.LoadBalancerTarget{LabelSelector: "a=b", UsePrivateIP: len(l.Networks) > 0}, fleet.LoadBalancerTarget{IP: "203.0.113.7"})
		for _, port := range some(g, 80, 443, 8080) {
			l.Services = append(l.Services, g.service(port))
		}
		return l
	})
}

func (g generator) service(port int) fleet.LoadBalancerService {
	s := fleet.LoadBalancerService{
		Protocol: pick(g, "tcp", "http", "https"), ListenPort: port, DestinationPort: pick(g, 80, 443, 8080), ProxyProtocol: g.yes(),
		HealthCheck: fleet.HealthCheck{Protocol: pick(g, "tcp", "http"), Port: pick(g, 80, 8080), Interval: pick(g, 15, 60), Timeout: pick(g, 10, 15), Retries: 1 + g.IntN(5)},
	}
	if s.Protocol != "tcp" {
		s.HTTP.StickySessions = g.yes()
		if s.HTTP.StickySessions {
			s.HTTP.CookieName, s.HTTP.CookieLifetime = pick(g, "HCLBSTICKY", "x"), pick(g, 300, 7)
		}
	}
	if s.Protocol == "https" {
		s.HTTP.Certificates = []string{"www", "a b"}
	}
	if h := &s.HealthCheck; h.Protocol == "http" {
		h.Path, h.StatusCodes, h.Domain, h.Response, h.TLS = pick(g, "/", "/x"), pick(g, []string{"2??", "3??"}, []string{"200"}, []string{"2??"}), pick(g, "", "a.example.com"), g.text(9), g.yes()
	}
	return s
}

func (g generator) moved(f *fleet.Fleet) {
	for section, all := range map[string][]string{"servers": names(f.Servers), "volumes": names(f.Volumes), "load_balancers": names(f.LoadBalancers)} {
		for i, name := range some(g, all...) {
			f.Moved = append(f.Moved, fleet.Move{Section: section, From: fmt.Sprint(pick(g, "old", "servers.old", "null"), i), To: name})
			if section == "volumes" && f.Volumes[name].Existing {
				f.Moved = f.Moved[:len(f.Moved)-1]
			}
		}
	}
}
