package hetzner

import (
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func TestPartLabels(t *testing.T) {
	for got, want := range map[string]string{
		subnetLabel("10.0.1.0/24"):                    "flotilla/subnet.10.0.1.0_24",
		subnetLabel("10.0.1.7/24"):                    "flotilla/subnet.10.0.1.0_24",
		routeLabel("0.0.0.0/0"):                       "flotilla/route.0.0.0.0_0",
		serviceLabel(443):                             "flotilla/service.443",
		rdnsLabel("ipv4"):                             "flotilla/rdns.ipv4",
		rdnsLabel("2001:DB8:0:0::1"):                  "flotilla/rdns.2001_db8__1",
		declaredPart("rdns.ipv6"):                     "flotilla/rdns.ipv6",
		declaredPart("service.80"):                    "flotilla/service.80",
		declaredPart("route.10.1.0.0/16"):             routeLabel("10.1.0.0/16"),
		declaredPart("selector.env=web"):              selectorLabel("env=web"),
		declaredPart("target.ip=2001:db8:0::1"):       targetLabel(fleet.LoadBalancerTarget{IP: "2001:db8::1"}),
		declaredPart("target.label_selector=env=web"): targetLabel(fleet.LoadBalancerTarget{LabelSelector: "env=web"}),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if label := rdnsLabel("2001:db8::"); !strings.HasPrefix(label, "flotilla/rdns.") || strings.HasSuffix(label, "_") {
		t.Errorf("an address that ends in colons: %q", label)
	}
	if selectorLabel("a/b") == selectorLabel("a_b") {
		t.Error("two selectors, one label")
	}
}

func FuzzDeclaredPart(f *testing.F) {
	for _, seed := range []string{"subnet.10.0.1.0/24", "selector.a=b", "target.ip=::1", "rdns.::", "service.", "", ".", "route.x", "rdns." + strings.Repeat("a", 90), "ü.ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, part string) {
		what, _, _ := strings.Cut(part, ".")
		label := declaredPart(part)
		known := map[string]bool{partSubnet: true, partRoute: true, partRDNS: true, partService: true, partTarget: true, partSelector: true}
		if ok, err := hcloud.ValidateResourceLabels(map[string]any{label: ""}); known[what] && !ok {
			t.Fatalf("declaredPart(%q) = %q: %v", part, label, err)
		}
	})
}
