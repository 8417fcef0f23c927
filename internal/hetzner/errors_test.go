package hetzner_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// says fails unless the error, as people see it, has all the parts.
func says(t *testing.T, err error, parts ...string) {
	t.Helper()
	text := problem.Text(asProblem(t, err))
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
}

func TestTokens(t *testing.T) {
	ctx := context.Background()
	_, err := hetzner.New(hetzner.Options{Fleet: "acme"})
	says(t, err, "no API token", "provider.hetzner.token")
	const reader = "rF5x0QmZt7RkJ3uYc9BvLh2NaPs8Dg1EiO6TqXyKzCrVbMnWjHfGdSlAeUoI4p0r"
	api := newAccount(t, cloud.Options{ReadOnlyToken: reader})
	with := func(token string) *hetzner.Client {
		c, err := hetzner.New(hetzner.Options{
			Token: secret.New(token), Endpoint: "http://lab.invalid/v1", Fleet: "acme", PollInterval: time.Millisecond,
			RetryBackoff: time.Millisecond, HTTPClient: &http.Client{Transport: api},
		})
		check(t, err)
		return c
	}
	_, err = with("wrong").Account(ctx, fleet.Fleet{})
	says(t, err, "unauthorized", "token is not valid")
	read(t, with(reader))
	must[fleet.Catalog](t)(with(reader).Catalog(ctx))
	_, err = with(reader).CreateServer(ctx, order("web-1"), secret.New(""))
	says(t, err, "forbidden", "may only read")
	_, err = with(reader).TakeLock(ctx, run(1), ttl)
	says(t, err, "forbidden", "may only read")
	if n := api.count("^POST "); n != 2 {
		t.Errorf("%d writes were tried, want one each", n)
	}
}

func TestNamesThatDoNotExist(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	for name, o := range map[string]fleet.Server{
		"cx23456":    {ServerType: "cx23456", Image: "debian-13"},
		"plan9":      {ServerType: "cx22", Image: "plan9"},
		"os=windows": {ServerType: "cx22", Image: "os=windows"},
		"nbg2":       {ServerType: "cx22", Image: "debian-13", Locations: []string{"nbg1", "nbg2"}},
		"cx9":        {ServerType: "cx22", FallbackTypes: []string{"cx9"}, Image: "debian-13"},
	} {
		_, err := c.CreateServer(ctx, fleet.ServerOrder{Name: "x", Server: o}, secret.New(""))
		want := map[string]string{"cx23456": "cx22", "plan9": "debian-13", "os=windows": "--selector os=windows", "nbg2": "fsn1", "cx9": "cx22"}
		says(t, err, `"`+name+`"`, want[name])
	}
	if n := api.count("^POST "); n != 0 {
		t.Errorf("%d orders were sent", n)
	}
	says(t, second(c.CreateVolume(ctx, "v", fleet.Volume{Size: 10, Location: "mars"}, 0)), `no location "mars"`, "nbg1")
	says(t, second(c.CreatePrimaryIP(ctx, "i", fleet.PrimaryIP{Type: "ipv4", Location: "mars"})), `no location "mars"`, "nbg1")
	balancer := fleet.LoadBalancer{Type: "lb11", Location: "mars", Algorithm: "round_robin"}
	says(t, second(c.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: "l", LoadBalancer: balancer})), `no location "mars"`, "nbg1")
	balancer.Type, balancer.Location = "lb99", "nbg1"
	says(t, second(c.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: "l", LoadBalancer: balancer})), `no load balancer type "lb99"`, "lb11")
	balancer.Type = "lb11"
	id := must[int64](t)(c.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: "l", LoadBalancer: balancer}))
	says(t, c.ChangeLoadBalancerType(ctx, id, "lb99"), `no load balancer type "lb99"`, "lb21")
	https := service(443)
	https.Protocol, https.HTTP.Certificates = "https", []string{"mine"}
	says(t, c.AddService(ctx, id, https), `no certificate named "mine"`, "Cloud Console")
	_, err := c.Account(ctx, fleet.Fleet{
		SSHKeys: map[string]fleet.SSHKey{"nobody": {Existing: true}}, Networks: map[string]fleet.Network{"nowhere": {Existing: true}},
		Volumes: map[string]fleet.Volume{"nothing": {Existing: true}},
	})
	says(t, err, `SSH key named "nobody"`, `network named "nowhere"`, `volume named "nothing"`, "existing: true")
}

func TestLimitsAndRefusals(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{RateLimit: 1000000})
	c := api.client(t, "acme")
	api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 403, Code: "resource_limit_exceeded", Message: "server limit exceeded"})
	says(t, second(c.CreateServer(ctx, order("web-1"), secret.New(""))), "server limit exceeded", "Limits")
	for i := range 51 {
		_, err := c.CreatePlacementGroup(ctx, id(int64(i)), fleet.PlacementGroup{Type: "spread"})
		if i < 50 {
			check(t, err)
			continue
		}
		says(t, err, "resource_limit_exceeded", "Limits")
		says(t, second(c.TakeLock(ctx, run(1), ttl)), "taking the lock", "Limits")
	}
	network := must[int64](t)(c.CreateNetwork(ctx, "private", network()))
	says(t, second(c.CreateNetwork(ctx, "public", fleet.Network{IPRange: "8.8.0.0/16"})), "ip_range", "invalid_input")
	says(t, c.AddSubnet(ctx, network, subnet("10.0.1.128/25")), "overlaps", "invalid_input")
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, order("web-2"), secret.New("")))
	says(t, c.AttachNetwork(ctx, made.ID, network, fleet.Attachment{IP: "10.0.9.9"}), "no subnet of the network")
	check(t, c.AttachNetwork(ctx, made.ID, network, fleet.Attachment{IP: "10.0.1.5"}))
	says(t, c.AttachNetwork(ctx, made.ID, network, fleet.Attachment{IP: "10.0.1.6"}), "server_already_attached")
	says(t, c.DeleteSubnet(ctx, network, subnet("10.0.1.0/24")), "service_error", "still uses")
	check(t, c.SetProtection(ctx, plans.KindServer, made.ID, true))
	says(t, c.Delete(ctx, plans.KindServer, made.ID), "protected", "delete_protection: false")
	says(t, c.SetProtection(ctx, plans.KindFirewall, 1, true), "no protection")
	says(t, c.SetDNSPtr(ctx, plans.KindNetwork, network, "ipv4", "x"), "no reverse DNS")
	says(t, c.SetDNSPtr(ctx, plans.KindServer, made.ID, "192.0.2.1", "x.example.com"), "192.0.2.1")
	says(t, c.EnablePublicNet(ctx, made.ID, "ipv5"), "ipv5")
	says(t, c.Delete(ctx, plans.KindSubnet, 1), "subnet")
	says(t, second(c.CreateVolume(ctx, "Bad Name", fleet.Volume{Size: 10, Location: "nbg1"}, 0)), "name", "invalid_input")
}

// A service that somebody else made on the port is not taken over.
func TestForeignServiceIsLeftAlone(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	balancer := must[int64](t)(c.CreateLoadBalancer(ctx, fleet.LoadBalancerOrder{Name: "l", LoadBalancer: fleet.LoadBalancer{
		Type: "lb11", Location: "nbg1", Algorithm: "round_robin", PublicInterface: true,
	}}))
	api.post(t, "load_balancers/"+id(balancer)+"/actions/add_service", `{"protocol":"http"}`)
	for len(read(t, c).LoadBalancers["l"].ForeignServices) == 0 {
		time.Sleep(time.Millisecond)
	}
	api.post(t, "load_balancers/"+id(balancer)+"/actions/add_target", `{"type":"ip","ip":{"ip":"203.0.113.9"}}`)
	for len(read(t, c).LoadBalancers["l"].ForeignTargets) == 0 {
		time.Sleep(time.Millisecond)
	}
	says(t, c.AddService(ctx, balancer, service(80)), "did not make", "adopt")
	check(t, c.AddTarget(ctx, balancer, fleet.LoadBalancerTarget{IP: "203.0.113.10"}, 0))
	l := read(t, c).LoadBalancers["l"]
	if len(l.Services) != 0 || len(l.ForeignServices) != 1 || len(l.Targets) != 1 || len(l.ForeignTargets) != 1 {
		t.Errorf("%+v", l)
	}
	check(t, c.Adopt(ctx, plans.KindLoadBalancer, balancer, []string{"service.80", "target.ip=203.0.113.9"}))
	l = read(t, c).LoadBalancers["l"]
	if len(l.Services) != 1 || len(l.Targets) != 2 {
		t.Errorf("adopted %+v", l)
	}
}
