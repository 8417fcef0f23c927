package cloud_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func (f *fixture) network(name, ipRange string, subnets ...string) *hcloud.Network {
	f.t.Helper()
	n, _, err := f.Network.Create(f.ctx, hcloud.NetworkCreateOpts{Name: name, IPRange: cidr(f.t, ipRange)})
	f.must(err)
	for _, s := range subnets {
		f.subnet(n, s)
	}
	return n
}

func (f *fixture) subnet(n *hcloud.Network, ipRange string) {
	f.t.Helper()
	action, _, err := f.Network.AddSubnet(f.ctx, n, hcloud.NetworkAddSubnetOpts{Subnet: f.cloudSubnet(ipRange)})
	f.must(err)
	f.wait(action)
}

func (f *fixture) cloudSubnet(ipRange string) hcloud.NetworkSubnet {
	return hcloud.NetworkSubnet{Type: hcloud.NetworkSubnetTypeCloud, NetworkZone: hcloud.NetworkZoneEUCentral, IPRange: cidr(f.t, ipRange)}
}

func TestNetworkRanges(t *testing.T) {
	f := start(t, cloud.Options{})
	for _, body := range []string{"10.0.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.5.0/24"} {
		if answer, text := f.raw("POST", "/v1/networks", `{"name":"n`+strings.Map(letters, body)+`","ip_range":"`+body+`"}`); answer.StatusCode != 201 {
			t.Errorf("%s: %s", body, text)
		}
	}
	for _, body := range []string{"10.0.0.1/16", "10.0.0.0/25", "8.8.8.0/24", "10.0.0.0", "fd00::/16", "192.0.0.0/8", ""} {
		if answer, text := f.raw("POST", "/v1/networks", `{"name":"bad","ip_range":"`+body+`"}`); answer.StatusCode != 422 || !strings.Contains(text, `"name":"ip_range"`) {
			t.Errorf("%s: %s %s", body, answer.Status, text)
		}
	}
}

func letters(r rune) rune {
	if r >= '0' && r <= '9' {
		return r - '0' + 'a'
	}
	return -1
}

func TestSubnets(t *testing.T) {
	f := start(t, cloud.Options{ActionLatency: 20 * time.Millisecond})
	n := f.network("private", "10.0.0.0/16")
	action, _, err := f.Network.AddSubnet(f.ctx, n, hcloud.NetworkAddSubnetOpts{Subnet: f.cloudSubnet("10.0.1.0/24")})
	f.must(err)
	// The library repeats what conflicts, so look at the wire.
	if answer, text := f.raw("POST", pathOf(n)+"/actions/add_subnet", `{"type":"cloud","network_zone":"eu-central","ip_range":"10.0.2.0/24"}`); answer.StatusCode != 409 ||
		!strings.Contains(text, `"conflict"`) {
		t.Errorf("a second change meanwhile: %s %s", answer.Status, text)
	}
	f.wait(action)
	f.subnet(n, "10.0.2.0/24")
	for _, bad := range []string{"10.0.1.0/25", "10.0.0.0/16", "10.1.0.0/24", "10.0.3.1/24", "10.0.3.0/31"} {
		if answer, text := f.raw("POST", pathOf(n)+"/actions/add_subnet", `{"type":"cloud","network_zone":"eu-central","ip_range":"`+bad+`"}`); answer.StatusCode != 422 {
			t.Errorf("%s: %s %s", bad, answer.Status, text)
		}
	}
	for _, bad := range []string{`{"type":"sky","network_zone":"eu-central"}`, `{"type":"cloud","network_zone":"mars"}`} {
		if answer, text := f.raw("POST", pathOf(n)+"/actions/add_subnet", bad); answer.StatusCode != 422 {
			t.Errorf("%s: %s %s", bad, answer.Status, text)
		}
	}
	// Without a range the first free /24 is taken.
	added, _, err := f.Network.AddSubnet(f.ctx, n, hcloud.NetworkAddSubnetOpts{Subnet: hcloud.NetworkSubnet{Type: hcloud.NetworkSubnetTypeCloud, NetworkZone: hcloud.NetworkZoneEUCentral}})
	f.must(err)
	f.wait(added)
	now, _, err := f.Network.GetByID(f.ctx, n.ID)
	f.must(err)
	var ranges []string
	for _, s := range now.Subnets {
		ranges = append(ranges, s.IPRange.String())
		if s.Gateway.String() != "10.0.0.1" {
			t.Errorf("gateway of %s is %s", s.IPRange, s.Gateway)
		}
	}
	if want := []string{"10.0.1.0/24", "10.0.2.0/24", "10.0.0.0/24"}; !slices.Equal(ranges, want) {
		t.Errorf("subnets are %v, want %v", ranges, want)
	}
	deleted, _, err := f.Network.DeleteSubnet(f.ctx, n, hcloud.NetworkDeleteSubnetOpts{Subnet: f.cloudSubnet("10.0.2.0/24")})
	f.must(err)
	f.wait(deleted)
	_, _, err = f.Network.DeleteSubnet(f.ctx, n, hcloud.NetworkDeleteSubnetOpts{Subnet: f.cloudSubnet("10.0.2.0/24")})
	f.wantCode(err, hcloud.ErrorCodeNotFound)
}

func TestAttachments(t *testing.T) {
	m := &broken{}
	f := start(t, cloud.Options{Machines: m})
	n := f.network("private", "10.0.0.0/16")
	s := f.server("web")
	attach := func(opts hcloud.ServerAttachToNetworkOpts) error {
		opts.Network = n
		action, _, err := f.Server.AttachToNetwork(f.ctx, s, opts)
		if err == nil {
			f.wait(action)
		}
		return err
	}
	f.wantCode(attach(hcloud.ServerAttachToNetworkOpts{}), hcloud.ErrorCodeNoSubnetAvailable)
	f.subnet(n, "10.0.1.0/24")
	f.subnet(n, "10.0.9.0/24")
	f.wantCode(attach(hcloud.ServerAttachToNetworkOpts{IP: net.ParseIP("10.0.5.1")}), hcloud.ErrorCodeInvalidInput)
	f.wantCode(attach(hcloud.ServerAttachToNetworkOpts{IP: net.ParseIP("10.0.1.255")}), hcloud.ErrorCodeIPNotAvailable)
	f.wantCode(attach(hcloud.ServerAttachToNetworkOpts{IP: net.ParseIP("10.0.1.3"), IPRange: cidr(t, "10.0.9.0/24")}), hcloud.ErrorCodeInvalidInput)
	f.must(attach(hcloud.ServerAttachToNetworkOpts{IP: net.ParseIP("10.0.1.3")}))
	f.wantCode(attach(hcloud.ServerAttachToNetworkOpts{}), hcloud.ErrorCodeServerAlreadyAttached)
	now := f.status(s, hcloud.ServerStatusRunning)
	if len(now.PrivateNet) != 1 || now.PrivateNet[0].IP.String() != "10.0.1.3" || now.PrivateNet[0].Network.ID != n.ID || now.PrivateNet[0].MACAddress == "" {
		t.Errorf("private networks: %+v", now.PrivateNet)
	}
	network, _, err := f.Network.GetByID(f.ctx, n.ID)
	if f.must(err); len(network.Servers) != 1 || network.Servers[0].ID != s.ID {
		t.Errorf("servers of the network: %+v", network.Servers)
	}

	other := f.server("db")
	action, _, err := f.Server.AttachToNetwork(f.ctx, other, hcloud.ServerAttachToNetworkOpts{Network: n, IP: net.ParseIP("10.0.1.3")})
	f.wantCode(err, hcloud.ErrorCodeIPNotAvailable)
	if action != nil {
		t.Errorf("an action came along: %+v", action)
	}
	action, _, err = f.Server.AttachToNetwork(f.ctx, other, hcloud.ServerAttachToNetworkOpts{Network: n}) // the last subnet, its first address
	f.must(err)
	f.wait(action)
	if ip := f.status(other, hcloud.ServerStatusRunning).PrivateNet[0].IP.String(); ip != "10.0.9.1" {
		t.Errorf("chosen address is %s", ip)
	}
	_, _, err = f.Network.DeleteSubnet(f.ctx, n, hcloud.NetworkDeleteSubnetOpts{Subnet: f.cloudSubnet("10.0.1.0/24")})
	f.wantCode(err, hcloud.ErrorCodeServiceError)

	action, _, err = f.Server.DetachFromNetwork(f.ctx, s, hcloud.ServerDetachFromNetworkOpts{Network: n})
	f.must(err)
	f.wait(action)
	_, _, err = f.Server.DetachFromNetwork(f.ctx, s, hcloud.ServerDetachFromNetworkOpts{Network: n})
	f.wantCode(err, hcloud.ErrorCodeNotFound)

	// A network takes its attachments with it.
	_, err = f.Network.Delete(f.ctx, n)
	f.must(err)
	for begun := time.Now(); len(f.status(other, hcloud.ServerStatusRunning).PrivateNet) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the server is still attached to a network that is gone")
		}
	}
	f.http.Close()
	f.api.Close()
	var seen []string
	for _, call := range m.calls {
		if strings.HasPrefix(call, "private") {
			seen = append(seen, call)
		}
	}
	if want := []string{"private 10.0.1.3/16", "private 10.0.9.1/16", "private ", "private "}; !slices.Equal(seen, want) {
		t.Errorf("the machines were told %q, want %q", seen, want)
	}
}

func TestServersInOtherZonesStayOut(t *testing.T) {
	f := start(t, cloud.Options{})
	n := f.network("private", "10.0.0.0/16", "10.0.1.0/24")
	opts := createOpts("web")
	opts.Location, opts.Networks = &hcloud.Location{Name: "ash"}, []*hcloud.Network{n}
	_, _, err := f.Server.Create(f.ctx, opts)
	f.wantCode(err, hcloud.ErrorCodeInvalidInput)
	opts.Location.Name = "hel1"
	result, _, err := f.Server.Create(f.ctx, opts)
	f.must(err)
	f.wait(append(result.NextActions, result.Action)...)
	if ip := f.status(result.Server, hcloud.ServerStatusRunning).PrivateNet[0].IP.String(); ip != "10.0.1.1" {
		t.Errorf("address from the create request is %s", ip)
	}
}

func TestNetworkUpdateAndProtection(t *testing.T) {
	f := start(t, cloud.Options{})
	n := f.network("private", "10.0.0.0/16")
	changed, _, err := f.Network.Update(f.ctx, n, hcloud.NetworkUpdateOpts{Name: "internal", Labels: map[string]string{"a": "b"}, ExposeRoutesToVSwitch: hcloud.Ptr(true)})
	f.must(err)
	if changed.Name != "internal" || changed.Labels["a"] != "b" || !changed.ExposeRoutesToVSwitch {
		t.Errorf("changed network: %+v", changed)
	}
	action, _, err := f.Network.ChangeProtection(f.ctx, n, hcloud.NetworkChangeProtectionOpts{Delete: hcloud.Ptr(true)})
	f.must(err)
	f.wait(action)
	_, err = f.Network.Delete(f.ctx, n)
	f.wantCode(err, hcloud.ErrorCodeProtected)
}

func pathOf(n *hcloud.Network) string {
	return fmt.Sprintf("/v1/networks/%d", n.ID)
}
