package hetzner_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// scenario makes, changes and deletes everything that the client can.
type scenario struct {
	*testing.T
	ctx context.Context
	c   *hetzner.Client

	key, network, group, firewall, second, ip, volume, extra, server, balancer int64
}

func newScenario(t *testing.T, c *hetzner.Client) *scenario {
	t.Helper()
	return &scenario{T: t, ctx: context.Background(), c: c}
}

func (s *scenario) ok(err error) {
	s.Helper()
	check(s.T, err)
}

func (s *scenario) id(id int64, err error) int64 {
	s.Helper()
	check(s.T, err)
	if id == 0 {
		s.Fatal("no ID")
	}
	return id
}

func subnet(ipRange string) fleet.Subnet {
	return fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: ipRange}
}

func rule(port string) fleet.FirewallRule {
	return fleet.FirewallRule{Direction: "in", Protocol: "tcp", Port: port, SourceIPs: []string{"0.0.0.0/0", "::/0"}, Description: "port " + port}
}

func service(port int) fleet.LoadBalancerService {
	return fleet.LoadBalancerService{
		Protocol: "http", ListenPort: port, DestinationPort: 8080,
		HTTP: fleet.ServiceHTTP{StickySessions: true, CookieName: "STICKY", CookieLifetime: 300},
		HealthCheck: fleet.HealthCheck{
			Protocol: "http", Port: 8080, Interval: 15, Timeout: 10, Retries: 3, Domain: "example.com", Path: "/healthz", StatusCodes: []string{"2??", "301"},
		},
	}
}

// parts makes what servers need.
func (s *scenario) parts() {
	s.Helper()
	c, ctx := s.c, s.ctx
	s.key = s.id(c.CreateSSHKey(ctx, "deploy", fleet.SSHKey{PublicKey: publicKey}))
	s.network = s.id(c.CreateNetwork(ctx, "private", network()))
	s.ok(c.AddSubnet(ctx, s.network, subnet("10.0.2.0/24")))
	s.ok(c.WidenNetwork(ctx, s.network, "10.0.0.0/15"))
	s.ok(c.ExposeRoutes(ctx, s.network, true))
	s.ok(c.SetProtection(ctx, plans.KindNetwork, s.network, true))
	s.group = s.id(c.CreatePlacementGroup(ctx, "spread", fleet.PlacementGroup{Type: "spread", Labels: map[string]string{"a": "b"}}))
	s.firewall = s.id(c.CreateFirewall(ctx, "web", fleet.Firewall{Rules: []fleet.FirewallRule{rule("443")}, ApplyTo: []string{"env=nowhere"}}))
	s.ok(c.SetRules(ctx, s.firewall, []fleet.FirewallRule{rule("443"), rule("8000-8010")}))
	s.second = s.id(c.CreateFirewall(ctx, "empty", fleet.Firewall{}))
	s.ip = s.id(c.CreatePrimaryIP(ctx, "front", fleet.PrimaryIP{Type: "ipv4", Location: "nbg1", AutoDelete: true}))
	s.ok(c.SetAutoDelete(ctx, s.ip, false))
	s.ok(c.SetProtection(ctx, plans.KindPrimaryIP, s.ip, true))
	s.volume = s.id(c.CreateVolume(ctx, "data", fleet.Volume{Size: 10, Location: "nbg1", Format: "ext4"}, 0))
}

func (s *scenario) order() fleet.ServerOrder {
	o := order("web-1")
	o.SSHKeys, o.Firewalls, o.Volumes = []int64{s.key}, []int64{s.firewall}, []int64{s.volume}
	o.PlacementGroup, o.IPv4, o.Stopped, o.UserDataDigest = s.group, s.ip, true, "userdata"
	o.Server.ShutdownBeforeDeletion = true
	return o
}

// machine makes a server with all its attributes.
func (s *scenario) machine() {
	s.Helper()
	c, ctx := s.c, s.ctx
	made := must[fleet.AccountServer](s.T)(c.CreateServer(ctx, s.order(), secret.New("#cloud-config\n")))
	s.server = made.ID
	s.ok(c.AttachNetwork(ctx, s.server, s.network, fleet.Attachment{IP: "10.0.1.3", AliasIPs: []string{"10.0.1.30"}}))
	s.ok(c.PowerOn(ctx, s.server))
	s.ok(c.ChangeAliasIPs(ctx, s.server, s.network, []string{"10.0.1.31", "10.0.1.32"}))
	s.ok(c.AddRoute(ctx, s.network, fleet.Route{Destination: "192.168.7.0/24", Gateway: "10.0.1.3"}))
	s.extra = s.id(c.CreateVolume(ctx, "extra", fleet.Volume{Size: 10, Format: "xfs", Automount: true}, s.server))
	s.ok(c.DetachVolume(ctx, s.extra))
	s.ok(c.ResizeVolume(ctx, s.extra, 20))
	s.ok(c.AttachVolume(ctx, s.extra, s.server, false))
	s.ok(c.SetProtection(ctx, plans.KindVolume, s.extra, true))
	s.ok(c.SetBackups(ctx, s.server, true))
	s.ok(c.SetDeletionLabels(ctx, s.server, true, true))
	s.ok(c.SetDNSPtr(ctx, plans.KindServer, s.server, "ipv6", "six.example.com"))
	s.ok(c.SetDNSPtr(ctx, plans.KindPrimaryIP, s.ip, "ipv4", "four.example.com"))
	s.ok(c.ApplyFirewall(ctx, s.second, fleet.FirewallTarget{Server: s.server}))
	s.ok(c.ApplyFirewall(ctx, s.second, fleet.FirewallTarget{LabelSelector: "role=none"}))
	s.ok(c.Publish(ctx, s.server, fleet.Published{HostKey: order("").HostKey, Commit: "abc", SystemHash: "def"}))
	s.ok(c.SetLabels(ctx, plans.KindServer, s.server, map[string]string{"env": "live"}))
	s.ok(c.Reset(ctx, s.server))
	s.ok(c.Snapshot(ctx, s.server, "before the change"))
	s.power()
	s.ok(c.SetProtection(ctx, plans.KindServer, s.server, true))
}

// power changes what needs a server that is off.
func (s *scenario) power() {
	s.Helper()
	c, ctx := s.c, s.ctx
	s.ok(c.PowerOff(ctx, s.server))
	s.ok(c.ChangeType(ctx, s.server, "cx32", true))
	s.ok(c.PowerOff(ctx, s.server))
	s.ok(c.LeavePlacementGroup(ctx, s.server))
	s.ok(c.JoinPlacementGroup(ctx, s.server, s.group))
	s.ok(c.UnassignPrimaryIP(ctx, s.ip))
	s.ok(c.EnablePublicNet(ctx, s.server, "ipv4"))
	a := read(s.T, s.c).Servers["web-1"]
	if a.PublicNet.IPv4ID == 0 || a.PublicNet.IPv4Name != "" || !a.SwitchedOff {
		s.Fatalf("automatic address, server off: %+v", a)
	}
	s.ok(c.UnassignPrimaryIP(ctx, a.PublicNet.IPv4ID))
	s.ok(c.Delete(ctx, plans.KindPrimaryIP, a.PublicNet.IPv4ID))
	s.ok(c.AssignPrimaryIP(ctx, s.ip, s.server))
	s.ok(c.PowerOn(ctx, s.server))
	o := s.order()
	o.Server.Image, o.HostKey, o.KeysDigest, o.UserDataDigest = "os=nixos", o.HostKey[:51]+"b", "otherkeys", ""
	s.ok(c.Rebuild(ctx, s.server, o, secret.New("#cloud-config\n")))
}

// balance makes a load balancer with all its parts.
func (s *scenario) balance() {
	s.Helper()
	c, ctx := s.c, s.ctx
	s.balancer = s.id(c.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: "front", LoadBalancer: fleet.LoadBalancer{
		Type: "lb11", Location: "nbg1", Algorithm: "round_robin", PublicInterface: true, Labels: map[string]string{"env": "test"},
	}}))
	s.ok(c.AttachLoadBalancer(ctx, s.balancer, s.network, "10.0.1.9"))
	s.ok(c.AddService(ctx, s.balancer, service(80)))
	s.ok(c.AddService(ctx, s.balancer, fleet.LoadBalancerService{
		Protocol: "tcp", ListenPort: 5432, DestinationPort: 5432, ProxyProtocol: true,
		HealthCheck: fleet.HealthCheck{Protocol: "tcp", Port: 5432, Interval: 15, Timeout: 10, Retries: 3},
	}))
	changed := service(80)
	changed.DestinationPort, changed.HTTP.StickySessions = 8081, false
	s.ok(c.UpdateService(ctx, s.balancer, changed))
	s.ok(c.AddTarget(ctx, s.balancer, fleet.LoadBalancerTarget{Server: "web-1", UsePrivateIP: true}, s.server))
	s.ok(c.AddTarget(ctx, s.balancer, fleet.LoadBalancerTarget{LabelSelector: "env=live", UsePrivateIP: true}, 0))
	s.ok(c.AddTarget(ctx, s.balancer, fleet.LoadBalancerTarget{IP: "203.0.113.7"}, 0))
	s.ok(c.SetPublicInterface(ctx, s.balancer, false))
	s.ok(c.SetPublicInterface(ctx, s.balancer, true))
	s.ok(c.SetAlgorithm(ctx, s.balancer, "least_connections"))
	s.ok(c.ChangeLoadBalancerType(ctx, s.balancer, "lb21"))
	s.ok(c.SetDNSPtr(ctx, plans.KindLoadBalancer, s.balancer, "ipv4", "lb.example.com"))
	s.ok(c.SetProtection(ctx, plans.KindLoadBalancer, s.balancer, true))
}

func (s *scenario) kinds() map[plans.ResourceKind]int64 {
	return map[plans.ResourceKind]int64{
		plans.KindSSHKey: s.key, plans.KindNetwork: s.network, plans.KindPlacementGroup: s.group, plans.KindFirewall: s.firewall,
		plans.KindPrimaryIP: s.ip, plans.KindVolume: s.volume, plans.KindServer: s.server, plans.KindLoadBalancer: s.balancer,
	}
}

// everywhere changes what all kinds have.
func (s *scenario) everywhere() {
	s.Helper()
	for kind, id := range s.kinds() {
		s.ok(s.c.SetLabels(s.ctx, kind, id, map[string]string{"env": "live", "kind": string(kind)}))
		s.ok(s.c.Rename(s.ctx, kind, id, fmt.Sprintf("renamed-%d", id)))
	}
}

func (s *scenario) build() {
	s.Helper()
	s.parts()
	s.machine()
	s.balance()
}

// unbuild deletes it all, each part on its own; twice, as what is gone is fine.
func (s *scenario) unbuild() {
	s.Helper()
	c, ctx := s.c, s.ctx
	for kind, id := range map[plans.ResourceKind]int64{
		plans.KindNetwork: s.network, plans.KindPrimaryIP: s.ip, plans.KindVolume: s.extra, plans.KindServer: s.server, plans.KindLoadBalancer: s.balancer,
	} {
		s.ok(c.SetProtection(ctx, kind, id, false))
	}
	for range 2 {
		s.ok(c.SetDNSPtr(ctx, plans.KindLoadBalancer, s.balancer, "ipv4", ""))
		for _, t := range []fleet.LoadBalancerTarget{{Server: "web-1"}, {LabelSelector: "env=live"}, {IP: "203.0.113.7"}} {
			s.ok(c.RemoveTarget(ctx, s.balancer, t, s.server))
		}
		s.ok(c.DeleteService(ctx, s.balancer, 5432))
		s.ok(c.DetachLoadBalancer(ctx, s.balancer, s.network))
		s.ok(c.Delete(ctx, plans.KindLoadBalancer, s.balancer))
		s.ok(c.RemoveFirewall(ctx, s.second, fleet.FirewallTarget{Server: s.server}))
		s.ok(c.RemoveFirewall(ctx, s.second, fleet.FirewallTarget{LabelSelector: "role=none"}))
		s.ok(c.RemoveFirewall(ctx, s.firewall, fleet.FirewallTarget{LabelSelector: "env=nowhere"}))
		s.ok(c.SetDNSPtr(ctx, plans.KindServer, s.server, "ipv6", ""))
		s.ok(c.DeleteRoute(ctx, s.network, fleet.Route{Destination: "192.168.7.0/24", Gateway: "10.0.1.3"}))
		s.ok(c.DetachVolume(ctx, s.extra))
		s.ok(c.DetachNetwork(ctx, s.server, s.network))
		s.ok(c.DeleteSubnet(ctx, s.network, subnet("10.0.2.0/24")))
		s.ok(c.Delete(ctx, plans.KindServer, s.server))
		s.ok(c.UnassignPrimaryIP(ctx, s.ip))
		s.ok(c.Delete(ctx, plans.KindVolume, s.extra))
		s.ok(c.Delete(ctx, plans.KindFirewall, s.second))
		for kind, id := range s.kinds() {
			s.ok(c.Delete(ctx, kind, id))
		}
	}
}
