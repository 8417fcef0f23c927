package config

import (
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

const publicKeyText = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJJo/9MFMdX/dxEVEqu2Ee8s8/Wp08jb0AB+x9I9l1SY deploy@example"

// full reads testdata/full.yaml, which shows every key.
func full(t *testing.T) (text []byte, f fleet.Fleet) {
	t.Helper()
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err = parse("full.yaml", text, inside("testdata", "testdata"))
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	return text, f
}

func TestFull(t *testing.T) {
	_, got := full(t)
	want := fleet.Fleet{
		Name:    "acme",
		Hive:    fleet.Hive{File: "nix/hive.nix"},
		Hetzner: &fleet.Hetzner{Token: fleet.EnvRef{Env: "HCLOUD_TOKEN"}, Endpoint: "http://127.0.0.1:8080/v1", PollInterval: 100 * time.Millisecond},
		SSH:     fleet.SSH{User: "deploy", Port: 2222, Key: fleet.EnvRef{Env: "FLOTILLA_SSH_KEY"}, Address: "private.internal"},
		Networks: map[string]fleet.Network{
			"internal": {
				IPRange: "10.0.0.0/16", Labels: map[string]string{"env": "prod"}, ExposeRoutesToVSwitch: true, DeleteProtection: true,
				Subnets: []fleet.Subnet{
					{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.1.0/24"}, {Type: "cloud", NetworkZone: "us-east", IPRange: "10.0.2.0/24"},
					{Type: "vswitch", NetworkZone: "eu-central", IPRange: "10.0.3.0/24", VSwitchID: 4711},
				},
				Routes: []fleet.Route{{Destination: "0.0.0.0/0", Gateway: "10.0.1.2"}, {Destination: "192.168.0.0/16", Gateway: "10.0.1.2"}},
			},
			"office": {Existing: true},
		},
		SSHKeys: map[string]fleet.SSHKey{
			"deploy":    {PublicKey: publicKeyText, Labels: map[string]string{"who": "robot"}},
			"me@laptop": {Existing: true},
		},
		Firewalls: map[string]fleet.Firewall{
			"web": {
				Rules: []fleet.FirewallRule{
					{Direction: "in", Protocol: "tcp", Port: "443", SourceIPs: []string{"0.0.0.0/0", "::/0"}, Description: "all the world"},
					{Direction: "in", Protocol: "udp", Port: "1024-5000", SourceIPs: []string{"203.0.113.0/24"}},
					{Direction: "in", Protocol: "icmp", SourceIPs: []string{"0.0.0.0/0"}},
					{Direction: "out", Protocol: "tcp", Port: "any", DestinationIPs: []string{"2001:db8::/32"}},
				},
				ApplyTo: []string{"role in (web, api), !internal"}, Labels: map[string]string{"env": "prod"},
			},
			"closed": {},
			"theirs": {Existing: true},
		},
		PlacementGroups: map[string]fleet.PlacementGroup{
			"apart": {Type: "spread", Labels: map[string]string{"env": "prod"}}, "plain": {Type: "spread"}, "theirs": {Existing: true},
		},
		PrimaryIPs: map[string]fleet.PrimaryIP{
			"front":  {Type: "ipv4", Location: "nbg1", DeleteProtection: true, DNSPtr: map[string]string{"ipv4": "front.example.com"}, Labels: map[string]string{"env": "prod"}},
			"front6": {Type: "ipv6", Location: "nbg1", AutoDelete: true, DNSPtr: map[string]string{"2001:db8::1": "mail.example.com"}},
			"theirs": {Existing: true},
		},
		Volumes: map[string]fleet.Volume{
			"pgdata": {Size: 50, Server: "db.eu", Format: "ext4", Automount: true, DeleteProtection: true, Labels: map[string]string{"env": "prod"}},
			"spare":  {Size: 10, Location: "hel1", Format: "xfs"},
			"theirs": {Existing: true},
		},
		Servers: map[string]fleet.Server{
			"web-1": {
				ServerType: "cx22", FallbackTypes: []string{"cpx11"}, Image: "debian-12", Locations: []string{"nbg1", "fsn1"},
				UserData: "#cloud-config\npackages: [htop]\n", PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true},
				Networks: map[string]fleet.Attachment{"internal": {IP: "10.0.1.3", AliasIPs: []string{"10.0.1.9", "10.0.9.9"}}, "office": {IP: "192.168.7.7"}},
				SSHKeys:  []string{"deploy", "me@laptop"}, Firewalls: []string{"web", "theirs"}, PlacementGroup: "apart", Backups: true,
				Labels:           map[string]string{"acme.example/role": "web", "empty": ""},
				DNSPtr:           map[string]string{"ipv4": "www.example.com", "2001:db8::2": "mail.example.com"},
				DeleteProtection: true, KeepDisk: true, ShutdownBeforeDeletion: true, SnapshotBeforeDestroy: true,
			},
			"db.eu": {
				ServerType: "cax11", Image: "os=nixos", Locations: []string{"hel1"}, SSHKeys: []string{"deploy"}, UserData: "#cloud-config\n",
				PublicNet: fleet.PublicNet{EnableIPv6: true}, Networks: map[string]fleet.Attachment{"internal": {}},
				DNSPtr:           map[string]string{"ipv6": "db.example.com"},
				DeleteProtection: true, // of the volume pgdata
			},
			"front": {
				ServerType: "cx22", Image: "debian-12", Locations: []string{"nbg1"},
				PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true, IPv4: "front", IPv6: "front6"},
			},
		},
		LoadBalancers: fullLoadBalancers(),
		Moved: []fleet.Move{
			{Section: "servers", From: "web", To: "web-1"}, {Section: "servers", From: "database.eu", To: "db.eu"}, {Section: "primary_ips", From: "ip", To: "front6"},
		},
		Hosts: []fleet.HostSettings{
			{Selector: sel(t, "web-1"), Address: "web-1.example.com", HostKey: publicKeyText},
			{Selector: sel(t, "@web,!web-9"), Health: []fleet.Check{
				{HTTP: &fleet.HTTPCheck{URL: "https://www.example.com/healthz", Status: 204, Body: "ok", Via: "dns"}, Within: 90 * time.Second},
				{HTTP: &fleet.HTTPCheck{URL: "http://www.example.com", Status: 200, Via: "host"}, Within: time.Minute},
				{Units: &fleet.UnitsCheck{Active: []string{"nginx.service", "getty@tty1.service"}}, Within: 2 * time.Minute},
				{TCP: &fleet.TCPCheck{Port: 5432}, Within: 5 * time.Second},
				{Command: &fleet.CommandCheck{Argv: []string{"pg_isready", "--quiet"}}, Within: 30 * time.Second},
			}},
			{Selector: sel(t, "*")},
		},
		Rollout: fleet.Rollout{
			Waves: []fleet.Selector{sel(t, "@canary"), sel(t, "web-*,db.eu")}, MaxParallel: 4, MaxUnavailable: 2,
			OnFailure: fleet.Continue, ActivationTimeout: 90 * time.Second, ConfirmTimeout: 2 * time.Minute, KeepGenerations: 0,
		},
		Review:     fleet.Review{DirectPush: fleet.DirectRefuse},
		Evaluation: fleet.Evaluation{Workers: 3, Memory: 2 << 30, Timeout: 20 * time.Minute},
	}
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func fullLoadBalancers() map[string]fleet.LoadBalancer {
	check := func(port int) fleet.HealthCheck {
		return fleet.HealthCheck{Protocol: "http", Port: port, Interval: 15, Timeout: 10, Retries: 3, Path: "/", StatusCodes: []string{"2??", "3??"}}
	}
	return map[string]fleet.LoadBalancer{
		"public": {
			Type: "lb11", Location: "nbg1", Algorithm: "least_connections", PublicInterface: true, DeleteProtection: true,
			Networks: map[string]fleet.Attachment{"internal": {IP: "10.0.1.5"}},
			Services: []fleet.LoadBalancerService{
				{Protocol: "http", ListenPort: 80, DestinationPort: 80, HealthCheck: check(80)},
				{
					Protocol: "https", ListenPort: 443, DestinationPort: 8080, ProxyProtocol: true,
					HTTP: fleet.ServiceHTTP{Certificates: []string{"www"}, StickySessions: true, CookieName: "STICKY", CookieLifetime: 600},
					HealthCheck: fleet.HealthCheck{
						Protocol: "http", Port: 8081, Interval: 30, Timeout: 20, Retries: 5,
						Domain: "www.example.com", Path: "/healthz", Response: "ok", StatusCodes: []string{"200", "3??"}, TLS: true,
					},
				},
				{Protocol: "tcp", ListenPort: 5432, DestinationPort: 5433, HealthCheck: fleet.HealthCheck{Protocol: "tcp", Port: 5433, Interval: 15, Timeout: 10, Retries: 3}},
				{
					Protocol: "https", ListenPort: 8443, DestinationPort: 80,
					HTTP:        fleet.ServiceHTTP{Certificates: []string{"www"}, StickySessions: true, CookieName: "HCLBSTICKY", CookieLifetime: 300},
					HealthCheck: fleet.HealthCheck{Protocol: "tcp", Port: 80, Interval: 15, Timeout: 10, Retries: 3},
				},
			},
			Targets: []fleet.LoadBalancerTarget{{Server: "web-1", UsePrivateIP: true}, {LabelSelector: "role=web"}, {IP: "203.0.113.1"}},
			DNSPtr:  map[string]string{"ipv4": "lb.example.com"}, Labels: map[string]string{"env": "prod"},
		},
		"inside": {
			Type: "lb21", NetworkZone: "eu-central", Algorithm: "round_robin", Networks: map[string]fleet.Attachment{"internal": {}},
			Services: []fleet.LoadBalancerService{{
				Protocol: "https", ListenPort: 443, DestinationPort: 80, HTTP: fleet.ServiceHTTP{Certificates: []string{"www"}, RedirectHTTP: true}, HealthCheck: check(80),
			}},
		},
		"bare": {
			Type: "lb11", Location: "ash", Algorithm: "round_robin", PublicInterface: true,
			DNSPtr: map[string]string{"ipv4": "bare.example.com", "ipv6": "bare.example.com"},
		},
	}
}

// A key that full.yaml does not show is tested by nobody.
func TestFullShowsEveryKey(t *testing.T) {
	text, _ := full(t)
	src, plain := newSource("full.yaml", text)
	shown := map[string]bool{"/flake": true} // excludes hive
	mark(src.parse(plain), reflect.TypeFor[fleetFile](), "", shown)
	all := allKeys(reflect.TypeFor[fleetFile](), "")
	if len(all) < 120 {
		t.Errorf("found %d keys", len(all))
	}
	for _, key := range all {
		if !shown[key] {
			t.Errorf("full.yaml does not show %s", key)
		}
	}
}

// mark notes the keys that a file shows, as allKeys has them.
func mark(n *node, t reflect.Type, path string, shown map[string]bool) {
	switch {
	case n == nil:
	case t.Kind() == reflect.Pointer:
		mark(n, t.Elem(), path, shown)
	case t.Kind() == reflect.Map:
		for _, f := range n.fields {
			mark(f.value, t.Elem(), path, shown)
		}
	case t.Kind() == reflect.Slice:
		for _, item := range n.items {
			mark(item, t.Elem(), path, shown)
		}
	case t.Kind() == reflect.Struct:
		for _, f := range n.fields {
			if i := fieldOf(t, f.name); i >= 0 {
				shown[path+"/"+f.name] = true
				mark(f.value, t.Field(i).Type, path+"/"+f.name, shown)
			}
		}
	}
}

// allKeys gives the keys of a type and of those within, with the path to each.
func allKeys(t reflect.Type, path string) []string {
	var all []string
	k := t.Kind()
	if k == reflect.Pointer || k == reflect.Slice || k == reflect.Map {
		return allKeys(t.Elem(), path)
	}
	if k == reflect.Struct {
		for f := range t.Fields() {
			if key := f.Tag.Get("yaml"); key != "" {
				all = append(all, path+"/"+key)
				all = append(all, allKeys(f.Type, path+"/"+key)...)
			}
		}
	}
	return all
}
