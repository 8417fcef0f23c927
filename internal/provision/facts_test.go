package provision_test

import (
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

func TestFacts(t *testing.T) {
	actual := provision.Applied(three())
	db := actual.Servers["db"]
	db.IPv4, db.IPv6 = "192.0.2.77", "2001:db8:1::1" // a lab's; never handed out twice
	db.Networks = map[string]string{"private": "10.0.1.3", "backup": "10.8.1.1"}
	actual.Servers["db"] = db
	web := actual.Servers["web-1"]
	web.IPv4, web.IPv6 = "198.18.0.11", "2a01::1" // is replaced
	web.Networks = map[string]string{"private": "10.0.1.4", "backup": "10.8.1.2"}
	actual.Servers["web-1"] = web
	delete(actual.Servers, "web-2")

	got := provision.Facts(three(), actual, provision.Options{Replace: []string{"web-1"}})
	want := fleet.ServerFacts{
		IPv4: "192.0.2.77", IPv6: "2001:db8:1::1", Private: map[string]string{"private": "10.0.1.3", "backup": "10.8.1.1"},
		ServerType: "cx22", Location: "nbg1", Known: true,
	}
	if diff := cmp.Diff(want, got["db"]); diff != "" {
		t.Errorf("db, which exists (-want +got):\n%s", diff)
	}
	for name, private := range map[string]string{"web-1": "10.0.1.4", "web-2": "10.0.2.5"} {
		f := got[name]
		if f.Known || !provision.IsPlaceholder(f.IPv4) || !provision.IsPlaceholder(f.IPv6) || !provision.IsPlaceholder(f.Private["backup"]) {
			t.Errorf("%s, which is new: %+v", name, f)
		}
		if f.Private["private"] != private || f.ServerType != "cx22" || f.Location != "nbg1" {
			t.Errorf("declared values of %s: %+v", name, f)
		}
	}
	if diff := cmp.Diff(got, provision.Facts(three(), actual, provision.Options{Replace: []string{"web-1"}})); diff != "" {
		t.Errorf("not the same twice: %s", diff)
	}
	// Another server does not move what a plan shows for this one.
	more := three()
	more.Servers["another"] = more.Servers["db"]
	again := provision.Facts(more, actual, provision.Options{Replace: []string{"web-1"}})
	for name := range got {
		if diff := cmp.Diff(got[name], again[name]); diff != "" {
			t.Errorf("%s after adding a server: %s", name, diff)
		}
	}
}

func TestFactsOfANewAttachment(t *testing.T) {
	actual := provision.Applied(three())
	db := actual.Servers["db"]
	db.IPv4 = "1.2.3.4"
	db.Networks = maps.Clone(db.Networks)
	delete(db.Networks, "backup")
	actual.Servers["db"] = db
	got := provision.Facts(three(), actual, provision.Options{})["db"]
	if got.Known || got.IPv4 != "1.2.3.4" || !provision.IsPlaceholder(got.Private["backup"]) || provision.IsPlaceholder(got.Private["private"]) {
		t.Errorf("%+v", got)
	}
}

func TestPlaceholdersAreUnique(t *testing.T) {
	f := fleet.Fleet{Servers: map[string]fleet.Server{}}
	for i := range 2000 {
		f.Servers[fmt.Sprintf("server-%d", i)] = fleet.Server{Networks: map[string]fleet.Attachment{"private": {}}, PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true}}
	}
	seen := map[string]string{}
	documented := 0
	for name, facts := range provision.Facts(f, fleet.Account{}, provision.Options{}) {
		for _, text := range []string{facts.IPv4, facts.IPv6, facts.Private["private"]} {
			a, err := netip.ParseAddr(text)
			if err != nil || !provision.IsPlaceholder(text) {
				t.Fatalf("%s: %q, %v", name, text, err)
			}
			if other, taken := seen[text]; taken {
				t.Fatalf("%s and %s both have %s", name, other, text)
			}
			seen[text] = name
			if a.Is4() && !netip.MustParsePrefix("198.19.0.0/16").Contains(a) {
				documented++
			}
		}
	}
	if documented != 762 {
		t.Errorf("%d addresses from the documentation ranges, want all 762", documented)
	}
	if provision.IsPlaceholder("10.0.0.1") || provision.IsPlaceholder("") || provision.IsPlaceholder("2a01:4f8::1") {
		t.Error("takes real addresses for placeholders")
	}
}

// Public addresses that are declared by name are known before the server is;
// those that a server gives up or gets anew are not.
func TestFactsOfPublicNet(t *testing.T) {
	server := func(net fleet.PublicNet) fleet.Server { return fleet.Server{PublicNet: net} }
	f := fleet.Fleet{
		Servers: map[string]fleet.Server{
			"named":  server(fleet.PublicNet{EnableIPv4: true, IPv4: "ip"}),
			"hidden": server(fleet.PublicNet{}),
			"loses":  server(fleet.PublicNet{EnableIPv4: true}),
			"stays":  server(fleet.PublicNet{EnableIPv6: true}),
			"moved":  server(fleet.PublicNet{EnableIPv4: true}),
			"anew":   server(fleet.PublicNet{EnableIPv4: true, IPv4: "type"}),
		},
		PrimaryIPs: map[string]fleet.PrimaryIP{"ip": {Type: "ipv4"}, "type": {Type: "ipv4"}},
		Moved:      []fleet.Move{{Section: "servers", From: "old", To: "moved"}},
	}
	actual := fleet.Account{
		Servers: map[string]fleet.AccountServer{
			"loses": {IPv4: "88.0.0.1", PublicNet: fleet.AccountPublicNet{IPv4ID: 1, IPv4Name: "ip"}},
			"stays": {IPv4: "88.0.0.2", IPv6: "2a01::1", PublicNet: fleet.AccountPublicNet{IPv4ID: 2, IPv6ID: 3}},
			"old":   {IPv4: "88.0.0.4", PublicNet: fleet.AccountPublicNet{IPv4ID: 4}},
		},
		PrimaryIPs: map[string]fleet.AccountPrimaryIP{"ip": {Type: "ipv4", IP: "88.0.0.1"}, "type": {Type: "ipv6", IP: "2a01::9"}},
	}
	got := provision.Facts(f, actual, provision.Options{})
	for name, want := range map[string]string{"named": "88.0.0.1  true", "hidden": "  true", "stays": " 2a01::1 true", "moved": "88.0.0.4  true"} {
		if text := fmt.Sprint(got[name].IPv4, " ", got[name].IPv6, " ", got[name].Known); text != want {
			t.Errorf("%s: %q, want %q", name, text, want)
		}
	}
	for _, name := range []string{"loses", "anew"} {
		if f := got[name]; f.Known || !provision.IsPlaceholder(f.IPv4) || f.IPv6 != "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}
