package hetzner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const theirKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqmZvQ7DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmd them@example.com"

// post sends a request that no fleet has to do with.
func (a *account) post(t *testing.T, path, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://lab.invalid/v1/"+path, bytes.NewReader([]byte(body)))
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := a.RoundTrip(req)
	check(t, err)
	check(t, resp.Body.Close())
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("POST %s: %s", path, resp.Status)
	}
}

// byHand makes one resource of each kind that belongs to nobody.
func (a *account) byHand(t *testing.T) {
	t.Helper()
	for path, body := range map[string]string{
		"ssh_keys":         `{"name":"hand","public_key":"` + theirKey + `"}`,
		"networks":         `{"name":"hand","ip_range":"10.50.0.0/16","subnets":[{"type":"cloud","network_zone":"eu-central","ip_range":"10.50.1.0/24"}]}`,
		"servers":          `{"name":"hand","server_type":"cx22","image":"debian-13","location":"nbg1","labels":{"env":"elsewhere","role":"tool"}}`,
		"firewalls":        `{"name":"hand","rules":[{"direction":"in","protocol":"icmp","source_ips":["0.0.0.0/0"]}],"apply_to":[{"type":"label_selector","label_selector":{"selector":"env=live"}}]}`,
		"placement_groups": `{"name":"hand","type":"spread"}`,
		"volumes":          `{"name":"hand","size":10,"location":"nbg1"}`,
		"primary_ips":      `{"name":"hand","type":"ipv4","location":"nbg1","assignee_type":"server"}`,
		"load_balancers":   `{"name":"hand","load_balancer_type":"lb11","location":"nbg1"}`,
	} {
		a.post(t, path, body)
	}
	for a.settling(t) {
		time.Sleep(time.Millisecond)
	}
}

// settling tells whether something changes by itself: a server that starts, a
// volume that is made.
func (a *account) settling(t *testing.T) bool {
	t.Helper()
	all := a.dump(t)
	return strings.Contains(all["servers"], "initializing") || strings.Contains(all["servers"], `"locked":true`) || strings.Contains(all["volumes"], "creating")
}

// others makes another fleet's resources.
func others(t *testing.T, api *account) {
	t.Helper()
	c, ctx := api.client(t, "other"), context.Background()
	n := network()
	n.IPRange, n.Subnets[0].IPRange = "10.60.0.0/16", "10.60.1.0/24"
	their := must[int64](t)(c.CreateNetwork(ctx, "theirs", n))
	o := order("theirs")
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	check(t, c.AttachNetwork(ctx, made.ID, their, fleet.Attachment{}))
	must[int64](t)(c.CreateVolume(ctx, "theirs", fleet.Volume{Size: 10}, made.ID))
	must[int64](t)(c.CreateFirewall(ctx, "theirs", fleet.Firewall{Rules: []fleet.FirewallRule{rule("22")}, ApplyTo: []string{"env=live"}}))
	must[int64](t)(c.CreatePlacementGroup(ctx, "theirs", fleet.PlacementGroup{Type: "spread"}))
	must[int64](t)(c.CreatePrimaryIP(ctx, "theirs", fleet.PrimaryIP{Type: "ipv6", Location: "nbg1"}))
	must[fleet.Lock](t)(c.TakeLock(ctx, run(1), ttl))
}

// theirs keeps of a dump what is not the scenario's, each resource as it stands
// there, but without what tells of others: which servers a selector finds.
func theirs(t *testing.T, dump map[string]string) map[string]string {
	t.Helper()
	kept := map[string]string{}
	for kind, text := range dump {
		var all map[string]json.RawMessage
		check(t, json.Unmarshal([]byte(text), &all))
		var items []json.RawMessage
		check(t, json.Unmarshal(all[strings.Split(kind, "?")[0]], &items))
		for _, item := range items {
			var r struct {
				ID       int64  `json:"id"`
				Name     string `json:"name"`
				Assignee *int64 `json:"assignee_id"`
			}
			check(t, json.Unmarshal(item, &r))
			if r.Name == "hand" || r.Name == "theirs" || r.Name == "flotilla-lock-other" {
				kept[kind+" "+r.Name] = withoutFound(t, item)
			}
		}
	}
	return kept
}

func withoutFound(t *testing.T, item json.RawMessage) string {
	t.Helper()
	var fields map[string]json.RawMessage
	check(t, json.Unmarshal(item, &fields))
	applied, is := fields["applied_to"]
	if !is {
		return string(item)
	}
	var targets []map[string]json.RawMessage
	check(t, json.Unmarshal(applied, &targets))
	for _, target := range targets {
		delete(target, "applied_to_resources")
	}
	var err error
	fields["applied_to"], err = json.Marshal(targets)
	check(t, err)
	text, err := json.Marshal(fields)
	check(t, err)
	return string(text)
}

// What is not the fleet's stays byte for byte as it is, whatever the fleet does.
func TestStrangersStayAsTheyAre(t *testing.T) {
	api := newAccount(t, cloud.Options{RateLimit: 1000000})
	api.byHand(t)
	others(t, api)
	s := newScenario(t, api.client(t, "acme"))
	a := read(t, s.c) // waits for nothing: all of others has ended
	before := theirs(t, api.dump(t))
	if len(before) != 8+7 {
		t.Fatalf("%d strangers: %v", len(before), before)
	}
	s.build()
	s.everywhere()
	if diff := cmp.Diff(before, theirs(t, api.dump(t))); diff != "" {
		t.Errorf("after the build (-before +after):\n%s", diff)
	}
	s.unbuild()
	if diff := cmp.Diff(before, theirs(t, api.dump(t))); diff != "" {
		t.Errorf("after the end (-before +after):\n%s", diff)
	}
	got := map[string]bool{}
	for _, u := range a.Unmanaged {
		got[u.Section+" "+u.Name+" "+u.Fleet] = true
		if u.ID == 0 {
			t.Errorf("no ID: %+v", u)
		}
	}
	want := map[string]bool{}
	for _, section := range []string{"ssh_keys", "networks", "servers", "firewalls", "placement_groups", "volumes", "primary_ips", "load_balancers"} {
		want[section+" hand "] = true
		if section != "ssh_keys" && section != "load_balancers" {
			want[section+" theirs other"] = true
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unmanaged (-want +got):\n%s", diff)
	}
}

// What belongs to others is refused, for every change that names it.
func TestStrangersAreRefused(t *testing.T) {
	api := newAccount(t, cloud.Options{RateLimit: 1000000})
	api.byHand(t)
	c, ctx := api.client(t, "acme"), context.Background()
	kinds := map[string]plans.ResourceKind{
		"ssh_keys": plans.KindSSHKey, "networks": plans.KindNetwork, "servers": plans.KindServer, "firewalls": plans.KindFirewall,
		"placement_groups": plans.KindPlacementGroup, "volumes": plans.KindVolume, "primary_ips": plans.KindPrimaryIP, "load_balancers": plans.KindLoadBalancer,
	}
	before := theirs(t, api.dump(t))
	unmanaged := read(t, c).Unmanaged
	ids := map[string]int64{}
	for _, u := range unmanaged {
		ids[u.Section] = u.ID
		says(t, c.Delete(ctx, kinds[u.Section], u.ID))
		says(t, c.Rename(ctx, kinds[u.Section], u.ID, "mine"))
		says(t, c.SetLabels(ctx, kinds[u.Section], u.ID, map[string]string{"a": "b"}))
	}
	for what, err := range map[string]error{
		"subnet":    c.AddSubnet(ctx, ids["networks"], subnet("10.50.2.0/24")),
		"no subnet": c.DeleteSubnet(ctx, ids["networks"], subnet("10.50.1.0/24")),
		"widen":     c.WidenNetwork(ctx, ids["networks"], "10.50.0.0/15"),
		"rules":     c.SetRules(ctx, ids["firewalls"], nil),
		"resize":    c.ResizeVolume(ctx, ids["volumes"], 20),
		"backups":   c.SetBackups(ctx, ids["servers"], true),
		"type":      c.ChangeType(ctx, ids["servers"], "cx32", true),
		"rebuild":   c.Rebuild(ctx, ids["servers"], order("hand"), secret.New("")),
		"snapshot":  c.Snapshot(ctx, ids["servers"], "x"),
		"rdns":      c.SetDNSPtr(ctx, plans.KindServer, ids["servers"], "ipv4", "x.example.com"),
		"no rdns":   c.SetDNSPtr(ctx, plans.KindServer, ids["servers"], "ipv4", ""),
		"service":   c.AddService(ctx, ids["load_balancers"], service(80)),
		"algorithm": c.SetAlgorithm(ctx, ids["load_balancers"], "least_connections"),
		"balancer":  c.ChangeLoadBalancerType(ctx, ids["load_balancers"], "lb21"),
		"assign":    c.AssignPrimaryIP(ctx, ids["primary_ips"], ids["servers"]),
		"protect":   c.SetProtection(ctx, plans.KindVolume, ids["volumes"], true),
		"expose":    c.ExposeRoutes(ctx, ids["networks"], true),
		"auto":      c.SetAutoDelete(ctx, ids["primary_ips"], true),
		"off":       c.PowerOff(ctx, ids["servers"]),
	} {
		if err == nil {
			t.Errorf("%s was not refused", what)
		}
	}
	if diff := cmp.Diff(before, theirs(t, api.dump(t))); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}

	// Adopted, it is the fleet's, and nothing but its labels has changed.
	check(t, c.Adopt(ctx, plans.KindNetwork, ids["networks"], []string{"subnet.10.50.1.0/24"}))
	check(t, c.Adopt(ctx, plans.KindServer, ids["servers"], []string{"rdns.ipv4"}))
	check(t, c.Adopt(ctx, plans.KindFirewall, ids["firewalls"], []string{"selector.env=live"}))
	a := read(t, c)
	if n := a.Networks["hand"]; !n.Owned || len(n.Subnets) != 1 || len(n.ForeignSubnets) != 0 {
		t.Errorf("network %+v", n)
	}
	if s := a.Servers["hand"]; s.DNSPtr["ipv4"] == "" || s.Labels["role"] != "tool" || s.Image != "debian-13" || s.KeysDigest != "" {
		t.Errorf("server %+v", s)
	}
	if f := a.Firewalls["hand"]; len(f.ApplyTo) != 1 || len(f.ForeignApplyTo) != 0 {
		t.Errorf("firewall %+v", f)
	}
	check(t, c.SetBackups(ctx, ids["servers"], true))
	if p := asProblem(t, api.client(t, "other").Adopt(ctx, plans.KindServer, ids["servers"], nil)); !strings.Contains(p.Summary, `"acme"`) {
		t.Error(p)
	}
}

// A network that an earlier Flotilla made has no labels for its subnets: a
// declared one is the fleet's as soon as it is added.
func TestSubnetWithoutALabel(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	api.post(t, "networks", `{"name":"private","ip_range":"10.0.0.0/16","labels":{"flotilla/fleet":"acme"},
		"subnets":[{"type":"cloud","network_zone":"eu-central","ip_range":"10.0.1.0/24"},{"type":"cloud","network_zone":"eu-central","ip_range":"10.0.2.0/24"}]}`)
	c := api.client(t, "acme")
	n := read(t, c).Networks["private"]
	if !n.Owned || len(n.Subnets) != 0 || len(n.ForeignSubnets) != 2 {
		t.Errorf("%+v", n)
	}
	check(t, c.AddSubnet(ctx, n.ID, subnet("10.0.1.0/24")))
	if n = read(t, c).Networks["private"]; len(n.Subnets) != 1 || len(n.ForeignSubnets) != 1 {
		t.Errorf("%+v", n)
	}
}
