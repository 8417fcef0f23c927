package provision_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

func TestCost(t *testing.T) {
	f := fleet.Fleet{
		Servers: map[string]fleet.Server{
			"a": {ServerType: "cx22", Locations: []string{"nbg1"}, Backups: true, PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true}}, // 4 + 0.8 + 0.5
			"b": {ServerType: "cx32", FallbackTypes: []string{"cx22"}, Locations: []string{"nbg1"}},                                               // stands in fsn1: 5
		},
		Volumes:       map[string]fleet.Volume{"v": {Size: 10}, "theirs": {Existing: true}},                                  // 0.44
		PrimaryIPs:    map[string]fleet.PrimaryIP{"ip": {Type: "ipv4", Location: "fsn1"}, "six": {Type: "ipv6"}},             // 0.6
		LoadBalancers: map[string]fleet.LoadBalancer{"lb": {Type: "lb11", NetworkZone: "eu-central", PublicInterface: true}}, // 5, the first place
	}
	actual := fleet.Account{Servers: map[string]fleet.AccountServer{"b": {ServerType: "cx22", Location: "fsn1"}}}
	got, missing := provision.Cost(f, actual, catalog())
	if want := fleet.Money(4_000_000 + 800_000 + 500_000 + 5_000_000 + 440_000 + 600_000 + 5_000_000); got != want || len(missing) > 0 {
		t.Errorf("got %d, want %d; no price for %q", got, want, missing)
	}
	_, missing = provision.Cost(f, fleet.Account{}, fleet.Catalog{})
	want := []string{"server a (cx22 in nbg1)", "IPv4 of server a", "server b (cx32 in nbg1)", "primary IP ip", "volume v", "load balancer lb (lb11)"}
	if diff := cmp.Diff(want, missing); diff != "" {
		t.Error(diff)
	}
}

func TestWarnings(t *testing.T) {
	c := catalog()
	c.ServerTypes["old"] = fleet.CatalogType{At: map[string]fleet.CatalogAt{
		"nbg1": {Deprecated: true, UnavailableAfter: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC)}, "fsn1": {Available: true},
	}}
	server := func(serverType string, at ...string) fleet.Server {
		return fleet.Server{ServerType: serverType, Locations: at}
	}
	f := fleet.Fleet{
		Servers: map[string]fleet.Server{
			"runs": server("old"), "new": server("old", "nbg1"), "lucky": server("old", "nbg1", "fsn1"), "lost": server("cx99"), "far": server("cx22", "ash"),
		},
		Volumes: map[string]fleet.Volume{"v": {Server: "runs"}},
	}
	actual := fleet.Account{
		Servers: map[string]fleet.AccountServer{"runs": {
			ServerType: "old", Location: "nbg1", Status: "off", Networks: map[string]string{"#7": "10.0.0.1"}, PublicNet: fleet.AccountPublicNet{IPv4Name: "#9"},
		}},
		Volumes:   map[string]fleet.AccountVolume{"v": {Server: "#8"}},
		Networks:  map[string]fleet.AccountNetwork{"n": {Owned: true, ForeignSubnets: []fleet.Subnet{{IPRange: "10.1.0.0/24"}}}},
		Unmanaged: []fleet.Unmanaged{{Section: "servers", Name: "x"}, {Section: "servers", Name: "hers", Fleet: "other"}, {Section: "primary_ips", Name: "y"}},
	}
	var got []string
	for _, w := range provision.Warnings(f, actual, c) {
		got = append(got, w.Subject+": "+w.Text)
	}
	want := []string{
		"far: the server type cx22 is not sold in ash",
		"far: there is no room for it now: no type and location that it may have is free",
		"lost: the provider sells no server type cx99",
		"lucky: the server type old is sold out in nbg1 now",
		"lucky: the server type old is deprecated in nbg1 and not sold after 2027-01-02",
		"new: the server type old is sold out in nbg1 now",
		"new: the server type old is deprecated in nbg1 and not sold after 2027-01-02",
		"new: there is no room for it now: no type and location that it may have is free",
		"runs: the server type old is deprecated in nbg1 and not sold after 2027-01-02: it runs on, but could not be made again there",
		"runs: the server is off: somebody switched it off, and a deploy leaves it so",
		"runs: it is in the network #7, which flotilla.yaml does not name",
		"runs: it has the primary IP #9, which flotilla.yaml does not name",
		"volume v: it is attached to the server #8, which is not the fleet's",
		"network n: it has what flotilla.yaml does not name, and keeps it: subnet 10.1.0.0/24",
		"account: the project has primary ips that no fleet declares: y",
		"account: the project has servers that no fleet declares: x",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRestarted(t *testing.T) {
	got := provision.Restarted([]plans.Resource{
		{Kind: plans.KindServer, Name: "typed", Action: plans.Update, Attributes: []plans.Attribute{{Powers: true}}},
		{Kind: plans.KindServer, Name: "labelled", Action: plans.Update, Attributes: []plans.Attribute{{Name: "labels.a"}}},
		{Kind: plans.KindServer, Name: "lit", Action: plans.Update, Attributes: []plans.Attribute{{Name: "status"}}},
		{Kind: plans.KindServer, Name: "built", Action: plans.Rebuild}, {Kind: plans.KindServer, Name: "anew", Action: plans.Replace},
		{Kind: plans.KindServer, Name: "fresh", Action: plans.Create}, {Kind: plans.KindVolume, Name: "disk", Action: plans.Replace},
	})
	if diff := cmp.Diff([]string{"anew", "built", "lit", "typed"}, got); diff != "" {
		t.Error(diff)
	}
}

// adopter notes what it is asked to take over.
type adopter struct {
	got  []string
	fail error
}

func (a *adopter) Adopt(_ context.Context, kind plans.ResourceKind, _ int64, parts []string) error {
	a.got = append(a.got, strings.Join(append([]string{string(kind)}, parts...), " "))
	return a.fail
}

func (a *adopter) SetDeletionLabels(_ context.Context, server int64, shutdown, snapshot bool) error {
	a.got = append(a.got, fmt.Sprint("labels of ", server, ": ", shutdown, " ", snapshot))
	return nil
}

func TestAdopt(t *testing.T) {
	f := five()
	gate := f.Servers["gate"]
	gate.ShutdownBeforeDeletion, gate.SnapshotBeforeDestroy = true, false
	f.Servers["gate"] = gate
	actual := fleet.Account{
		Servers: map[string]fleet.AccountServer{"db": {}},
		Unmanaged: []fleet.Unmanaged{
			{Section: "networks", Name: "private", ID: 1}, {Section: "load_balancers", Name: "front", ID: 2}, {Section: "servers", Name: "gate", ID: 3},
			{Section: "primary_ips", Name: "gate", ID: 4}, {Section: "servers", Name: "web-1", ID: 5, Fleet: "other"},
		},
	}
	adopt := func(p *adopter, names ...string) ([]plans.ResourceResult, error) {
		return provision.Adopt(context.Background(), p, f, actual, names, progress.Discard)
	}
	p := &adopter{}
	results, err := adopt(p, "private", "front", "gate", "db")
	want := []string{
		"network subnet.10.0.1.0/24 subnet.10.0.2.0/24 route.10.100.0.0/16", "load_balancer service.443 rdns.ipv4",
		"primary_ip rdns.ipv4", "server rdns.ipv6", "labels of 3: true false",
	}
	if diff := cmp.Diff(want, p.got); diff != "" || err != nil || len(results) != 4 || !results[3].Done {
		t.Errorf("%v, %+v %s", err, results, diff)
	}
	p = &adopter{}
	if _, err := adopt(p, "servers/gate"); err != nil || len(p.got) != 2 {
		t.Errorf("by section: %v, %q", err, p.got)
	}
	p = &adopter{}
	_, err = adopt(p, "private", "web-1", "nothing", "web-2")
	refusal(t, err, `"web-1" cannot be adopted: it belongs to the fleet "other"`, `"nothing" cannot be adopted: flotilla.yaml does not declare it`,
		`"web-2" cannot be adopted: the project has nothing of that name`)
	if len(p.got) > 0 {
		t.Errorf("adopted all the same: %q", p.got)
	}
	p = &adopter{fail: errors.New("boom")}
	results, err = adopt(p, "private", "front")
	if !errors.Is(err, p.fail) || len(p.got) != 1 || results[0].Error == "" || results[1].Done {
		t.Errorf("%v after %q: %+v", err, p.got, results)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := provision.Adopt(ctx, &adopter{}, f, actual, []string{"private"}, nil); problem.CodeOf(err) != problem.Cancelled {
		t.Errorf("cancelled: %v", err)
	}
}
