package hetzner_test

import (
	"context"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// What a fleet refers to is in its account, not owned, with all of its parts
// somebody else's; and the fleet's servers may use it.
func TestExisting(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	api.byHand(t)
	c := api.client(t, "acme")
	f := fleet.Fleet{
		SSHKeys: map[string]fleet.SSHKey{"hand": {Existing: true}}, Networks: map[string]fleet.Network{"hand": {Existing: true}},
		Firewalls: map[string]fleet.Firewall{"hand": {Existing: true}}, PlacementGroups: map[string]fleet.PlacementGroup{"hand": {Existing: true}},
		Volumes: map[string]fleet.Volume{"hand": {Existing: true}}, PrimaryIPs: map[string]fleet.PrimaryIP{"hand": {Existing: true}},
	}
	a := must[fleet.Account](t)(c.Account(ctx, f))
	if len(a.Unmanaged) != 2 { // the server and the load balancer
		t.Errorf("unmanaged: %+v", a.Unmanaged)
	}
	if a.SSHKeys["hand"].Owned || a.Networks["hand"].Owned || a.Firewalls["hand"].Owned || a.PlacementGroups["hand"].Owned || a.Volumes["hand"].Owned || a.PrimaryIPs["hand"].Owned {
		t.Errorf("owned: %+v", a)
	}
	if n := a.Networks["hand"]; len(n.Subnets) != 0 || len(n.ForeignSubnets) != 1 {
		t.Errorf("network: %+v", n)
	}
	o := order("web-1")
	o.SSHKeys, o.Networks, o.Firewalls = []int64{a.SSHKeys["hand"].ID}, []int64{a.Networks["hand"].ID}, []int64{a.Firewalls["hand"].ID}
	o.Volumes, o.PlacementGroup, o.IPv4 = []int64{a.Volumes["hand"].ID}, a.PlacementGroups["hand"].ID, a.PrimaryIPs["hand"].ID
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	theirServer := int64(0)
	for _, u := range a.Unmanaged {
		if u.Section == "servers" {
			theirServer = u.ID
		}
	}
	api.post(t, "servers/"+id(theirServer)+"/actions/attach_to_network", `{"network":`+id(a.Networks["hand"].ID)+`}`)
	api.post(t, "firewalls/"+id(a.Firewalls["hand"].ID)+"/actions/apply_to_resources", `{"apply_to":[{"type":"server","server":{"id":`+id(theirServer)+`}}]}`)

	a = must[fleet.Account](t)(c.Account(ctx, f))
	s := a.Servers["web-1"]
	if s.Networks["hand"] == "" || s.PlacementGroup != "hand" || strings.Join(s.Firewalls, " ")+strings.Join(s.Volumes, " ") != "handhand" || s.PublicNet.IPv4Name != "hand" {
		t.Errorf("server: %+v", s)
	}
	if a.Volumes["hand"].Server != "web-1" || a.PrimaryIPs["hand"].Server != "web-1" {
		t.Errorf("%+v, %+v", a.Volumes["hand"], a.PrimaryIPs["hand"])
	}
	if n, w := a.Networks["hand"], a.Firewalls["hand"]; strings.Join(n.ForeignMembers, "") != "hand" || strings.Join(w.ForeignServers, "") != "hand" {
		t.Errorf("foreign members %v, servers %v", n.ForeignMembers, w.ForeignServers)
	}
	// To one who does not refer to them they are numbers, and a volume's name.
	s = read(t, c).Servers["web-1"]
	if !strings.HasPrefix(s.PublicNet.IPv4Name, "#") || !strings.HasPrefix(s.PlacementGroup, "#") || len(s.Firewalls) != 0 || len(s.Volumes) != 1 {
		t.Errorf("server: %+v", s)
	}
	for name := range s.Networks {
		if !strings.HasPrefix(name, "#") {
			t.Errorf("network %s", name)
		}
	}
	if err := c.Delete(ctx, plans.KindServer, made.ID); err != nil {
		t.Error(err)
	}
}

func TestCertificates(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	block := `-----BEGIN X-----\nAAAA\n-----END X-----\n` // the lab takes any
	api.post(t, "certificates", `{"name":"www","type":"uploaded","certificate":"`+block+`","private_key":"`+block+`"}`)
	c := api.client(t, "acme")
	balancer := must[int64](t)(c.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: "l", LoadBalancer: fleet.LoadBalancer{
		Type: "lb11", NetworkZone: "eu-central", Algorithm: "round_robin", PublicInterface: true,
	}}))
	https := service(443)
	https.Protocol, https.HTTP.Certificates, https.HTTP.RedirectHTTP = "https", []string{"www"}, true
	check(t, c.AddService(ctx, balancer, https))
	l := read(t, c).LoadBalancers["l"]
	if len(l.Services) != 1 || strings.Join(l.Services[0].HTTP.Certificates, "") != "www" || !l.Services[0].HTTP.RedirectHTTP {
		t.Errorf("%+v", l)
	}
}

func TestNameOfAnother(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	api.byHand(t)
	c := api.client(t, "acme")
	network := must[int64](t)(c.CreateNetwork(ctx, "private", network()))
	says(t, c.Rename(ctx, plans.KindNetwork, network, "hand"), `the name "hand" is taken`, "network", "leaves it alone")
	firewall := must[int64](t)(c.CreateFirewall(ctx, "web", fleet.Firewall{Rules: []fleet.FirewallRule{rule("443")}}))
	must[int64](t)(c.CreateFirewall(ctx, "other", fleet.Firewall{}))
	says(t, c.Rename(ctx, plans.KindFirewall, firewall, "hand"), `the name "hand" is taken`, "firewall")
	says(t, c.Rename(ctx, plans.KindFirewall, firewall, "other"), "uniqueness_error", "unique in a project")
	check(t, c.Rename(ctx, plans.KindFirewall, firewall, "web")) // it has that name
	api.post(t, "placement_groups", `{"name":"flotilla-lock-acme","type":"spread"}`)
	_, err := c.TakeLock(ctx, run(1), ttl)
	says(t, err, `"flotilla-lock-acme"`, "not this fleet's lock", "rename or delete")
	_, _, err = c.ReadLock(ctx)
	says(t, err, "not this fleet's lock")
	for what, err := range map[string]error{
		"type": c.CheckOrder(ctx, fleet.Server{ServerType: "cx9", Image: "debian-13"}), "image": c.CheckOrder(ctx, fleet.Server{ServerType: "cx22", Image: "plan9"}),
		"location": c.CheckOrder(ctx, fleet.Server{ServerType: "cx22", Image: "debian-13", Locations: []string{"mars"}}),
	} {
		says(t, err, map[string]string{"type": "cx9", "image": "plan9", "location": "mars"}[what])
	}
	check(t, c.CheckOrder(ctx, order("web-1").Server))
}
