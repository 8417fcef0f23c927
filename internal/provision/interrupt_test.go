package provision_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// five servers with everything around them: one without a public address, one
// with a primary IP, one as a gateway, two behind a load balancer.
func five() fleet.Fleet {
	server := func(ip string) fleet.Server {
		return fleet.Server{
			ServerType: "cx22", Image: "os=nixos", Locations: []string{"nbg1", "fsn1"}, SSHKeys: []string{"deploy"}, Firewalls: []string{"ssh"},
			Networks: map[string]fleet.Attachment{"private": {IP: ip}, "backup": {}}, Labels: map[string]string{"env": "test"},
			PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true},
		}
	}
	hidden, gate, db := server("10.0.1.2"), server("10.0.1.3"), server("10.0.1.4")
	hidden.PublicNet = fleet.PublicNet{}
	hidden.Firewalls = nil
	gate.PublicNet.IPv4, gate.PlacementGroup = "gate", "spread"
	gate.DNSPtr = map[string]string{"ipv6": "gate.example.com"}
	db.DeleteProtection, db.Backups, db.UserData = true, true, "#!/bin/sh\ntrue\n"
	zone := func(ipRange string) fleet.Subnet {
		return fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: ipRange}
	}
	return fleet.Fleet{
		Name:    "acme",
		SSHKeys: map[string]fleet.SSHKey{"deploy": {PublicKey: keyOne}},
		Networks: map[string]fleet.Network{
			"private": {
				IPRange: "10.0.0.0/16", Subnets: []fleet.Subnet{zone("10.0.1.0/24"), zone("10.0.2.0/24")}, DeleteProtection: true,
				Routes: []fleet.Route{{Destination: "10.100.0.0/16", Gateway: "10.0.1.3"}},
			},
			"backup": {IPRange: "10.8.0.0/16", Subnets: []fleet.Subnet{zone("10.8.1.0/24")}},
		},
		Firewalls: map[string]fleet.Firewall{"ssh": {Rules: []fleet.FirewallRule{
			{Direction: "in", Protocol: "tcp", Port: "22", SourceIPs: []string{"0.0.0.0/0", "::/0"}},
		}}},
		PlacementGroups: map[string]fleet.PlacementGroup{"spread": {Type: "spread"}},
		PrimaryIPs: map[string]fleet.PrimaryIP{
			"gate": {Type: "ipv4", Location: "nbg1", DeleteProtection: true, DNSPtr: map[string]string{"ipv4": "gate.example.com"}},
		},
		Volumes: map[string]fleet.Volume{
			"pgdata": {Size: 20, Server: "db", Format: "ext4", DeleteProtection: true}, "wal": {Size: 10, Server: "db"}, "spare": {Size: 10, Location: "nbg1"},
		},
		Servers: map[string]fleet.Server{"hidden": hidden, "gate": gate, "db": db, "web-1": server("10.0.1.5"), "web-2": server("10.0.2.6")},
		LoadBalancers: map[string]fleet.LoadBalancer{"front": {
			Type: "lb11", Location: "nbg1", Algorithm: "round_robin", PublicInterface: true, Networks: map[string]fleet.Attachment{"private": {IP: "10.0.1.9"}},
			Targets:  []fleet.LoadBalancerTarget{{Server: "web-1", UsePrivateIP: true}, {Server: "web-2", UsePrivateIP: true}},
			Services: []fleet.LoadBalancerService{{Protocol: "tcp", ListenPort: 443, DestinationPort: 443}}, DNSPtr: map[string]string{"ipv4": "www.example.com"},
		}},
	}
}

// changed is five after a busy day: servers that are switched off for their
// changes, one that is replaced, one that goes, one that is renamed.
func changed() fleet.Fleet {
	f := five()
	f.Networks["backup"] = fleet.Network{IPRange: "10.9.0.0/16", Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.9.1.0/24"}}}
	gate, db, web := f.Servers["gate"], f.Servers["db"], f.Servers["web-1"]
	gate.PublicNet = fleet.PublicNet{EnableIPv4: true, EnableIPv6: true} // gives its primary IP to the new one
	gate.PlacementGroup, gate.ServerType = "", "cx32"
	db.ServerType, db.PlacementGroup = "cx32", "spread"
	db.PublicNet.EnableIPv4 = false
	web.ServerType = "cax11" // another architecture: made anew
	web.Labels = map[string]string{"env": "live"}
	next := f.Servers["web-2"]
	next.PublicNet.IPv4 = "gate"
	next.Networks = map[string]fleet.Attachment{"private": {IP: "10.0.1.7"}, "backup": {}}
	f.Servers["gate"], f.Servers["database"], f.Servers["web-1"], f.Servers["web-3"] = gate, db, web, next
	delete(f.Servers, "db")
	delete(f.Servers, "web-2")
	f.Moved = []fleet.Move{{Section: "servers", From: "db", To: "database"}}
	f.Volumes = map[string]fleet.Volume{
		"pgdata": {Size: 30, Server: "database", Format: "ext4", DeleteProtection: true}, "wal": {Size: 10, Server: "gate"}, "new": {Size: 10, Server: "web-1"},
	}
	lb := f.LoadBalancers["front"]
	lb.Targets = []fleet.LoadBalancerTarget{{Server: "web-1", UsePrivateIP: true}, {Server: "web-3", UsePrivateIP: true}}
	lb.Services = []fleet.LoadBalancerService{{Protocol: "tcp", ListenPort: 80, DestinationPort: 80}}
	f.LoadBalancers["front"] = lb
	f.Firewalls["web"] = fleet.Firewall{Rules: []fleet.FirewallRule{{Direction: "in", Protocol: "tcp", Port: "443", SourceIPs: []string{"0.0.0.0/0"}}}}
	return f
}

// An apply meets trouble at every one of its calls, before or after it took
// effect: the process dies, or an answer is lost. Run again, it ends where it
// would have ended, with nothing made twice, nothing left off, nothing tried
// that must never be.
func TestTroubleAtEveryCall(t *testing.T) {
	for _, apply := range []struct {
		name     string
		from, to fleet.Fleet
		least    int
	}{
		{"creation", fleet.Fleet{Name: "acme"}, five(), 35},
		{"change", five(), changed(), 35},
		{"destruction", unprotected(five()), fleet.Fleet{Name: "acme"}, 15},
	} {
		for _, how := range []struct {
			name        string
			dies, after bool
		}{{"dies before", true, false}, {"dies after", true, true}, {"lost before", false, false}, {"lost after", false, true}} {
			t.Run(apply.name+"/"+how.name, func(t *testing.T) {
				n := 1
				for ; trouble(t, apply.from, apply.to, n, how.dies, how.after); n++ {
					if t.Failed() {
						t.Fatalf("trouble at call %d", n)
					}
				}
				if n <= apply.least {
					t.Errorf("only %d calls met trouble", n-1)
				}
				t.Logf("%d calls met trouble", n-1)
			})
		}
	}
}

// trouble tells whether there was an n-th call.
func trouble(t *testing.T, from, to fleet.Fleet, n int, dies, after bool) bool {
	t.Helper()
	w := newFake()
	strangers(w)
	if _, err := apply(context.Background(), w, from, provision.Options{}); err != nil {
		t.Fatal(problem.Text(err))
	}
	others, before := w.others(t), w.heal()
	w.failAt, w.dies, w.after = before+n, dies, after
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := provision.Options{AllowDestroy: everything(from, to), Catalog: catalog()}
	_, err := apply(ctx, w, to, o)
	reached := w.heal() >= before+n
	if reached == (err == nil) {
		t.Fatalf("call %d: reached %v, error %v", n, reached, err)
	}
	for _, x := range w.all { // what an address became that was about to be deleted
		if x.Kind == plans.KindPrimaryIP && x.Fleet == "acme" {
			o.AllowDestroy = append(o.AllowDestroy, "primary_ips/"+x.Name)
		}
	}
	if _, err := apply(context.Background(), w, to, o); err != nil {
		t.Fatalf("call %d (%s), run again: %s", n, w.log[before+n-1], problem.Text(err))
	}
	settled(t, w, to)
	w.sound(t)
	if got := w.others(t); got != others {
		t.Errorf("call %d: what is not the fleet's has changed", n)
	}
	if got, want := w.count(), countOf(to); got != want {
		t.Errorf("call %d (%s): there are %s, want %s", n, w.log[before+n-1], got, want)
	}
	for _, x := range w.all {
		if x.Kind == plans.KindServer && x.Fleet == "acme" && (x.Status != "running" || x.Built != 1) {
			t.Errorf("call %d: %s is %s, built %d times", n, x.Name, x.Status, x.Built)
		}
	}
	return reached
}

// count is how many resources the fleet has, and how many addresses came with
// its servers.
func (w *fake) count() string {
	n := map[plans.ResourceKind]int{}
	automatic := 0
	for _, x := range w.all {
		switch {
		case x.FromServer:
			automatic++
		case x.Fleet == "acme":
			n[x.Kind]++
		}
	}
	return counted(n, automatic)
}

func countOf(f fleet.Fleet) string {
	automatic := 0
	for _, s := range f.Servers {
		if s.PublicNet.EnableIPv4 && s.PublicNet.IPv4 == "" {
			automatic++
		}
		if s.PublicNet.EnableIPv6 && s.PublicNet.IPv6 == "" {
			automatic++
		}
	}
	return counted(map[plans.ResourceKind]int{
		plans.KindServer: len(f.Servers), plans.KindNetwork: len(f.Networks), plans.KindSSHKey: len(f.SSHKeys), plans.KindVolume: len(f.Volumes),
		plans.KindFirewall: len(f.Firewalls), plans.KindPlacementGroup: len(f.PlacementGroups), plans.KindPrimaryIP: len(f.PrimaryIPs),
		plans.KindLoadBalancer: len(f.LoadBalancers),
	}, automatic)
}

func counted(n map[plans.ResourceKind]int, automatic int) string {
	var parts []string
	for _, k := range []plans.ResourceKind{
		plans.KindServer, plans.KindNetwork, plans.KindSSHKey, plans.KindVolume, plans.KindFirewall, plans.KindPlacementGroup, plans.KindPrimaryIP, plans.KindLoadBalancer,
	} {
		parts = append(parts, fmt.Sprintf("%d %ss", n[k], k))
	}
	return strings.Join(append(parts, fmt.Sprintf("%d automatic addresses", automatic)), ", ")
}
