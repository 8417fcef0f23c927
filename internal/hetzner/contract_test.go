package hetzner_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// live is the scenario's account when all is made.
func live() fleet.Account {
	changed := service(80)
	changed.DestinationPort, changed.HTTP.StickySessions = 8081, false
	return fleet.Account{
		SSHKeys: map[string]fleet.AccountSSHKey{"deploy": {PublicKey: publicKey, Owned: true}},
		Networks: map[string]fleet.AccountNetwork{"private": {
			Owned: true, IPRange: "10.0.0.0/15", Subnets: []fleet.Subnet{subnet("10.0.1.0/24"), subnet("10.0.2.0/24")},
			Routes: []fleet.Route{{Destination: "192.168.7.0/24", Gateway: "10.0.1.3"}}, ExposeRoutesToVSwitch: true, DeleteProtection: true,
		}},
		PlacementGroups: map[string]fleet.AccountPlacementGroup{"spread": {Owned: true, Type: "spread", Labels: map[string]string{"a": "b"}}},
		Firewalls: map[string]fleet.AccountFirewall{
			"web":   {Owned: true, Rules: []fleet.FirewallRule{rule("443"), rule("8000-8010")}, ApplyTo: []string{"env=nowhere"}},
			"empty": {Owned: true, ApplyTo: []string{"role=none"}},
		},
		PrimaryIPs: map[string]fleet.AccountPrimaryIP{"front": {
			Owned: true, Type: "ipv4", Location: "nbg1", Server: "web-1", DeleteProtection: true, DNSPtr: map[string]string{"ipv4": "four.example.com"},
		}},
		Volumes: map[string]fleet.AccountVolume{
			"data":  {Owned: true, Size: 10, Location: "nbg1", Server: "web-1", Format: "ext4"},
			"extra": {Owned: true, Size: 20, Location: "nbg1", Server: "web-1", Format: "xfs", DeleteProtection: true},
		},
		Servers: map[string]fleet.AccountServer{"web-1": {
			ServerType: "cx32", Image: "os=nixos", Location: "nbg1", Status: "running", Disk: 40,
			PublicNet: fleet.AccountPublicNet{IPv4Name: "front"}, Networks: map[string]string{"private": "10.0.1.3"},
			AliasIPs: map[string][]string{"private": {"10.0.1.31", "10.0.1.32"}}, Firewalls: []string{"empty", "web"}, PlacementGroup: "spread",
			Volumes: []string{"data", "extra"}, Backups: true, DNSPtr: map[string]string{"ipv6": "six.example.com"}, DeleteProtection: true,
			Labels: map[string]string{"env": "live"}, KeysDigest: "otherkeys", Published: fleet.Published{HostKey: strings.Repeat("a", 51) + "b"},
			ShutdownBeforeDeletion: true, SnapshotBeforeDestroy: true,
		}},
		LoadBalancers: map[string]fleet.AccountLoadBalancer{"front": {
			Type: "lb21", Location: "nbg1", NetworkZone: "eu-central", Algorithm: "least_connections", Networks: map[string]string{"private": "10.0.1.9"},
			PublicInterface: true,
			Services: []fleet.LoadBalancerService{changed, {
				Protocol: "tcp", ListenPort: 5432, DestinationPort: 5432, ProxyProtocol: true,
				HealthCheck: fleet.HealthCheck{Protocol: "tcp", Port: 5432, Interval: 15, Timeout: 10, Retries: 3},
			}},
			Targets: []fleet.LoadBalancerTarget{
				{Server: "web-1", UsePrivateIP: true}, {LabelSelector: "env=live", UsePrivateIP: true}, {IP: "203.0.113.7"},
			},
			DeleteProtection: true, DNSPtr: map[string]string{"ipv4": "lb.example.com"}, Labels: map[string]string{"env": "test"},
		}},
	}
}

// ignoreChance leaves out what the provider chooses.
func ignoreChance() cmp.Options {
	return cmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(fleet.AccountServer{}, "ID", "IPv4", "IPv6", "Created", "PublicNet.IPv4ID", "PublicNet.IPv6ID"),
		cmpopts.IgnoreFields(fleet.AccountNetwork{}, "ID"), cmpopts.IgnoreFields(fleet.AccountSSHKey{}, "ID"),
		cmpopts.IgnoreFields(fleet.AccountFirewall{}, "ID"), cmpopts.IgnoreFields(fleet.AccountPlacementGroup{}, "ID"),
		cmpopts.IgnoreFields(fleet.AccountVolume{}, "ID", "LinuxDevice"), cmpopts.IgnoreFields(fleet.AccountPrimaryIP{}, "ID", "IP"),
		cmpopts.IgnoreFields(fleet.AccountLoadBalancer{}, "ID", "IPv4", "IPv6"),
	}
}

// dump is all that a project has, as the API tells it, by kind.
func (a *account) dump(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, kind := range []string{
		"ssh_keys", "networks", "servers", "firewalls", "placement_groups", "volumes", "primary_ips", "load_balancers", "certificates", "images?type=snapshot",
	} {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://lab.invalid/v1/"+kind, http.NoBody)
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		a.mu.Lock()
		a.trouble = nil
		a.mu.Unlock()
		resp, err := a.RoundTrip(req)
		check(t, err)
		text, err := io.ReadAll(resp.Body)
		check(t, errors.Join(err, resp.Body.Close()))
		all[kind] = string(text)
	}
	return all
}

func snapshots(t *testing.T, api *account) int {
	t.Helper()
	return strings.Count(api.dump(t)["images?type=snapshot"], `"description":"before the change"`)
}

// Every request of the whole scenario goes wrong once, in each way that passes:
// the end is always the same, and nothing is made twice.
func TestEverything(t *testing.T) {
	for name, wrong := range map[string]*trouble{
		"none":                 nil,
		"locked":               {status: 423, code: "locked"},
		"conflict":             {status: 409, code: "conflict"},
		"rate limit":           {status: 429, code: "rate_limit_exceeded"},
		"maintenance":          {status: 503, code: "maintenance"},
		"unavailable":          {status: 503, code: "unavailable"},
		"timeout":              {status: 504, code: "timeout"},
		"timeout after effect": {status: 504, code: "timeout", after: true},
		"gateway after effect": {status: 502, code: "bad_gateway", after: true},
		"internal":             {status: 500, code: "server_error"},
		"internal after":       {status: 500, code: "unknown_error", after: true},
		"network":              {},
		"network after effect": {after: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newAccount(t, cloud.Options{RateLimit: 1000000})
			api.trouble = wrong
			s := newScenario(t, api.client(t, "acme"))
			s.build()
			if diff := cmp.Diff(live(), read(t, s.c), ignoreChance()); diff != "" {
				t.Errorf("account (-want +got):\n%s", diff)
			}
			s.everywhere()
			renamed := read(t, s.c)
			for kind, id := range s.kinds() {
				if got := fmt.Sprintf("%+v", renamed); !strings.Contains(got, fmt.Sprintf("renamed-%d:", id)) {
					t.Errorf("%s was not renamed: %s", kind, got)
				}
			}
			s.unbuild()
			if left := read(t, s.c); !cmp.Equal(left, fleet.Account{}, cmpopts.EquateEmpty()) {
				t.Errorf("left: %+v", left)
			}
			if wrong != nil && api.troubled < 200 {
				t.Errorf("only %d requests went wrong", api.troubled)
			}
			if n := snapshots(t, api); n != 1 {
				t.Errorf("%d snapshots, want 1", n)
			}
		})
	}
}

// An action that ends with "locked" is asked for again, whichever it is.
func TestActionsThatMetAnother(t *testing.T) {
	api := newAccount(t, cloud.Options{RateLimit: 1000000})
	s := newScenario(t, api.client(t, "acme"))
	s.build()
	a := read(t, s.c)
	calls := map[string]func() error{
		"change_alias_ips$": func() error { return s.c.ChangeAliasIPs(s.ctx, s.server, s.network, []string{"10.0.1.33"}) },
		"disable_backup$":   func() error { return s.c.SetBackups(s.ctx, s.server, false) },
		"reset$":            func() error { return s.c.Reset(s.ctx, s.server) },
		"change_dns_ptr$": func() error {
			return s.c.SetDNSPtr(s.ctx, plans.KindServer, s.server, a.Servers["web-1"].IPv6, "x.example.com")
		},
		"volumes/.*/resize$":     func() error { return s.c.ResizeVolume(s.ctx, s.volume, 30) },
		"networks/.*add_subnet$": func() error { return s.c.AddSubnet(s.ctx, s.network, subnet("10.0.3.0/24")) },
		"set_rules$":             func() error { return s.c.SetRules(s.ctx, s.firewall, nil) },
		"change_algorithm$":      func() error { return s.c.SetAlgorithm(s.ctx, s.balancer, "round_robin") },
	}
	for _, path := range slices.Sorted(maps.Keys(calls)) {
		api.inject(t, cloud.Fault{Method: "POST", Path: path, Action: true, Code: "locked", Times: 2})
		before := api.count(path)
		check(t, calls[path]())
		if n := api.count(path) - before; n != 3 {
			t.Errorf("%s sent %d times, want 3", path, n)
		}
	}
}
