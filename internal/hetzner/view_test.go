package hetzner

import (
	"net"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

// Old networks have subnets of type server, which is cloud under its old name:
// they are no change to replace a subnet for.
func TestOldSubnetType(t *testing.T) {
	_, whole, _ := net.ParseCIDR("10.0.0.0/16")
	_, part, _ := net.ParseCIDR("10.0.1.0/24")
	v := &view{c: &Client{fleet: "acme"}}
	got := v.network(&hcloud.Network{
		IPRange: whole, Labels: map[string]string{labelFleet: "acme", subnetLabel("10.0.1.0/24"): ""},
		Subnets: []hcloud.NetworkSubnet{{Type: "server", IPRange: part, NetworkZone: hcloud.NetworkZoneEUCentral}},
	})
	if len(got.Subnets) != 1 || got.Subnets[0].Type != "cloud" {
		t.Errorf("the fleet's subnets: %+v", got.Subnets)
	}
}
