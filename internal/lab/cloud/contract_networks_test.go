package cloud_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const cloudSubnet = `{"type":"cloud","ip_range":"10.0.1.0/24","network_zone":"eu-central"}`

func TestNetworkShape(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	o := w.make("networks", "n", `{"name":"n","ip_range":"10.0.0.0/16","labels":{"a":"b"},"subnets":[`+cloudSubnet+`],"routes":[{"destination":"10.1.0.0/24","gateway":"10.0.1.2"}]}`)
	w.shape(o, map[string]string{
		"network.id": "int", "network.name": "string", "network.labels": "object", "network.created": "time", "network.ip_range": "string", "network.servers": "list",
		"network.load_balancers": "list", "network.protection.delete": "bool", "network.expose_routes_to_vswitch": "bool", "network.subnets.0.type": "string",
		"network.subnets.0.ip_range": "string", "network.subnets.0.network_zone": "string", "network.subnets.0.gateway": "string", "network.subnets.0.vswitch_id": "null",
		"network.routes.0.destination": "string", "network.routes.0.gateway": "string",
	})
	empty := w.make("networks", "e", `{"name":"e","ip_range":"10.0.0.0/16"}`)
	w.shape(empty, map[string]string{"network.subnets": "list", "network.routes": "list", "network.labels": "object"})
}

func TestNetworkRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("networks", "n", `{"name":"n","ip_range":"10.0.0.0/16","subnets":[`+cloudSubnet+`],"routes":[{"destination":"10.1.0.0/24","gateway":"10.0.1.2"}]}`)
	w.make("networks", "m", `{"name":"m","ip_range":"10.0.0.0/24","subnets":[{"type":"cloud","ip_range":"10.0.0.0/28","network_zone":"eu-central"}]}`)
	w.make("networks", "safe", `{"name":"safe","ip_range":"10.0.0.0/16"}`)
	w.do(w.at("networks", "safe")+"/actions/change_protection", `{"delete":true}`)
	w.make("servers", "a", serverBody("a", fmt.Sprintf(`,"start_after_create":false,"networks":[%d]`, w.named["n"])))
	w.make("servers", "b", serverBody("b", `,"start_after_create":false`))
	w.make("servers", "far", `{"name":"far","server_type":"cx22","image":"debian-13","location":"ash","start_after_create":false}`)
	act := func(name, call, body string, status int, code, field string) refusal {
		return refusal{name, "POST", w.at("networks", "n") + "/actions/" + call, body, status, code, field}
	}
	route := func(name, destination, gateway, field string) refusal {
		return act(name, "add_route", `{"destination":"`+destination+`","gateway":"`+gateway+`"}`, 422, "invalid_input", field)
	}
	attach := func(name, server, network, more string, status int, code string) refusal {
		return refusal{
			name: name, method: "POST", path: w.at("servers", server) + "/actions/attach_to_network",
			body: fmt.Sprintf(`{"network":%d%s}`, w.named[network], more), status: status, code: code,
		}
	}
	w.refuses([]refusal{
		{"name taken", "POST", "/networks", `{"name":"n","ip_range":"10.0.0.0/16"}`, 409, "uniqueness_error", ""},
		{"range", "POST", "/networks", `{"name":"x","ip_range":"11.0.0.0/16"}`, 422, "invalid_input", "ip_range"},
		{"route at creation", "POST", "/networks", `{"name":"x","ip_range":"10.0.0.0/16","routes":[{"destination":"10.1.0.0/24","gateway":"10.9.9.9"}]}`, 422, "invalid_input", "gateway"},
		{"delete while protected", "DELETE", w.at("networks", "safe"), "", 403, "protected", ""},
		act("subnet overlaps", "add_subnet", `{"type":"cloud","ip_range":"10.0.1.128/25","network_zone":"eu-central"}`, 422, "invalid_input", "ip_range"),
		act("subnet in use", "delete_subnet", `{"ip_range":"10.0.1.0/24"}`, 422, "service_error", ""),
		act("no such subnet", "delete_subnet", `{"ip_range":"10.0.9.0/24"}`, 404, "not_found", ""),
		act("narrower", "change_ip_range", `{"ip_range":"10.0.0.0/17"}`, 422, "invalid_input", "ip_range"),
		act("another base", "change_ip_range", `{"ip_range":"172.16.0.0/12"}`, 422, "invalid_input", "ip_range"),
		route("public destination", "8.8.8.0/24", "10.0.1.2", "destination"),
		route("destination with host bits", "10.2.0.1/24", "10.0.1.2", "destination"),
		route("destination in a subnet", "10.0.1.0/25", "10.0.1.2", "destination"),
		route("destination of another route", "10.1.0.0/16", "10.0.1.2", "destination"),
		route("gateway outside", "10.2.0.0/24", "10.5.0.1", "gateway"),
		route("the network's own gateway", "10.2.0.0/24", "10.0.0.1", "gateway"),
		act("no such route", "delete_route", `{"destination":"10.1.0.0/24","gateway":"10.0.1.9"}`, 404, "not_found", ""),
		attach("no such network", "b", "none", "", 404, "not_found"),
		attach("attached already", "a", "n", "", 422, "server_already_attached"),
		attach("overlapping networks", "a", "m", "", 422, "networks_overlap"),
		attach("another zone", "far", "n", "", 422, "invalid_input"),
		attach("address of another", "b", "n", `,"ip":"10.0.1.1"`, 422, "ip_not_available"),
		attach("address in no subnet", "b", "n", `,"ip":"10.0.7.1"`, 422, "invalid_input"),
		attach("address not in that subnet", "b", "n", `,"ip":"10.0.7.1","ip_range":"10.0.1.0/24"`, 422, "invalid_input"),
		attach("alias of another", "b", "n", `,"ip":"10.0.1.5","alias_ips":["10.0.1.1"]`, 422, "ip_not_available"),
		attach("alias is its own address", "b", "n", `,"ip":"10.0.1.5","alias_ips":["10.0.1.5"]`, 422, "invalid_input"),
		attach("alias elsewhere", "b", "n", `,"alias_ips":["10.5.0.1"]`, 422, "invalid_input"),
	})
	w.settle(w.want(http.StatusOK, "DELETE", w.at("servers", "a"), ""))
	w.refuses([]refusal{act("subnet with a route's gateway", "delete_subnet", `{"ip_range":"10.0.1.0/24"}`, 422, "service_error", "")})
}

func TestNetworkDeeds(t *testing.T) {
	t.Parallel()
	create := func(w *world) {
		w.make("networks", "networks", `{"name":"n","ip_range":"10.0.0.0/16","subnets":[`+cloudSubnet+`],"routes":[{"destination":"10.1.0.0/24","gateway":"10.0.1.2"}]}`)
	}
	body := func(text string) func(*world) string { return func(*world) string { return text } }
	shows := func(field, want string) func(*world) {
		return func(w *world) { w.t.Helper(); w.is(w.path, "network."+field, want) }
	}
	deeds(t, "networks", "conflict", create, []deed{
		{
			call: "add_subnet", command: "add_subnet", body: body(`{"type":"cloud","ip_range":"10.0.2.0/24","network_zone":"eu-central"}`),
			after: shows("subnets.1.ip_range", `"10.0.2.0/24"`),
		},
		{
			call: "delete_subnet", command: "delete_subnet", body: body(`{"ip_range":"10.0.1.0/24"}`), after: shows("subnets", `[]`),
			prepare: func(w *world) {
				w.do(w.at("networks", "networks")+"/actions/delete_route", `{"destination":"10.1.0.0/24","gateway":"10.0.1.2"}`)
			},
		},
		{
			call: "add_route", command: "add_route", body: body(`{"destination":"0.0.0.0/0","gateway":"10.0.1.3"}`),
			after: shows("routes.1", `{"destination":"0.0.0.0/0","gateway":"10.0.1.3"}`),
		},
		{call: "delete_route", command: "delete_route", body: body(`{"destination":"10.1.0.0/24","gateway":"10.0.1.2"}`), after: shows("routes", `[]`)},
		{call: "change_ip_range", command: "change_ip_range", body: body(`{"ip_range":"10.0.0.0/8"}`), after: shows("ip_range", `"10.0.0.0/8"`)},
		{call: "change_protection", command: "change_protection", body: body(`{"delete":true}`), after: shows("protection.delete", "true")},
	})
}

// A network that is being changed takes no server meanwhile.
func TestAttachToABusyNetwork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cloud.Options{ActionLatency: longEnough})
	w.make("networks", "n", `{"name":"n","ip_range":"10.0.0.0/16","subnets":[`+cloudSubnet+`]}`)
	w.make("servers", "web", serverBody("web", `,"start_after_create":false`))
	o := w.want(http.StatusCreated, "POST", w.at("networks", "n")+"/actions/add_subnet", `{"type":"cloud","ip_range":"10.0.2.0/24","network_zone":"eu-central"}`)
	network := fmt.Sprintf(`{"network":%d}`, w.named["n"])
	w.refuses([]refusal{
		{"attach", "POST", w.at("servers", "web") + "/actions/attach_to_network", network, 409, "conflict", ""},
		{"create in it", "POST", "/servers", serverBody("x", fmt.Sprintf(`,"networks":[%d]`, w.named["n"])), 409, "conflict", ""},
		{"rename", "PUT", w.at("networks", "n"), `{"name":"x"}`, 409, "conflict", ""},
		{"delete", "DELETE", w.at("networks", "n"), "", 409, "conflict", ""},
	})
	w.settle(o)
	w.do(w.at("servers", "web")+"/actions/attach_to_network", network)
}

func TestNetworkIsFull(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	privateNetwork(w)
	for i := range 100 {
		w.make("servers", "s", serverBody(fmt.Sprintf("s%d", i), fmt.Sprintf(`,"start_after_create":false,"networks":[%d]`, w.named["n"])))
	}
	w.refuses([]refusal{{
		"the 101st", "POST", "/servers", serverBody("last", fmt.Sprintf(`,"networks":[%d]`, w.named["n"])), 403, "resource_limit_exceeded", "",
	}})
}

func TestRoutesAndAliasesClient(t *testing.T) {
	f := start(t, cloud.Options{})
	n := f.network("n", "10.0.0.0/16", "10.0.1.0/24")
	route := hcloud.NetworkRoute{Destination: cidr(t, "10.1.0.0/16"), Gateway: net.ParseIP("10.0.1.2")}
	action, _, err := f.Network.AddRoute(f.ctx, n, hcloud.NetworkAddRouteOpts{Route: route})
	f.must(err)
	f.wait(action)
	now, _, err := f.Network.GetByID(f.ctx, n.ID)
	f.must(err)
	if len(now.Routes) != 1 || now.Routes[0].Destination.String() != "10.1.0.0/16" || !now.Routes[0].Gateway.Equal(route.Gateway) {
		t.Errorf("routes: %+v", now.Routes)
	}
	s := f.server("web")
	action, _, err = f.Server.AttachToNetwork(f.ctx, s, hcloud.ServerAttachToNetworkOpts{Network: n, IP: net.ParseIP("10.0.1.5"), AliasIPs: []net.IP{net.ParseIP("10.0.1.6")}})
	f.must(err)
	f.wait(action)
	mac := f.status(s, hcloud.ServerStatusRunning).PrivateNet[0].MACAddress
	for _, aliases := range [][]net.IP{{net.ParseIP("10.0.1.6"), net.ParseIP("10.0.1.7")}, {}} {
		action, _, err = f.Server.ChangeAliasIPs(f.ctx, s, hcloud.ServerChangeAliasIPsOpts{Network: n, AliasIPs: aliases})
		f.must(err)
		f.wait(action)
		if at := f.status(s, hcloud.ServerStatusRunning).PrivateNet[0]; len(at.Aliases) != len(aliases) || at.MACAddress != mac || at.IP.String() != "10.0.1.5" {
			t.Errorf("attachment: %+v, want %d aliases", at, len(aliases))
		}
	}
	action, _, err = f.Network.DeleteRoute(f.ctx, n, hcloud.NetworkDeleteRouteOpts{Route: route})
	f.must(err)
	f.wait(action)
}

func TestSSHKeyContract(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	body := func(name string, seed byte) string {
		return `{"name":"` + name + `","public_key":"` + publicKey(t, seed) + `"}`
	}
	o := w.make("ssh_keys", "me", body("me", 1))
	w.shape(o, map[string]string{
		"ssh_key.id": "int", "ssh_key.name": "string", "ssh_key.fingerprint": "string", "ssh_key.public_key": "string", "ssh_key.labels": "object", "ssh_key.created": "time",
	})
	w.refuses([]refusal{
		{"name taken", "POST", "/ssh_keys", body("me", 2), 409, "uniqueness_error", ""},
		{"fingerprint taken", "POST", "/ssh_keys", body("you", 1), 409, "uniqueness_error", ""},
		{"no key", "POST", "/ssh_keys", `{"name":"you","public_key":"x"}`, 422, "invalid_input", "public_key"},
		{"label", "PUT", w.at("ssh_keys", "me"), `{"labels":{"a b":""}}`, 422, "invalid_input", "labels"},
		{"nothing", "DELETE", "/ssh_keys/5", "", 404, "not_found", ""},
	})
	w.is("/ssh_keys?fingerprint="+fmt.Sprint(part(o, "ssh_key.fingerprint")), "meta.pagination.total_entries", "1")
	w.want(http.StatusOK, "PUT", w.at("ssh_keys", "me"), `{"name":"you","labels":{"a":""}}`)
	w.is("/ssh_keys?label_selector=a", "ssh_keys.0.name", `"you"`)
	w.want(http.StatusNoContent, "DELETE", w.at("ssh_keys", "me"), "")
}

func TestCatalogShapes(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.shape(w.get("/locations"), map[string]string{
		"locations.0.id": "int", "locations.0.name": "string", "locations.0.description": "string", "locations.0.country": "string", "locations.0.city": "string",
		"locations.0.latitude": "number", "locations.0.longitude": "number", "locations.0.network_zone": "string",
	})
	w.shape(w.get("/server_types/104"), map[string]string{
		"server_type.id": "int", "server_type.name": "string", "server_type.cores": "int", "server_type.memory": "number", "server_type.disk": "int",
		"server_type.storage_type": "string", "server_type.cpu_type": "string", "server_type.architecture": "string", "server_type.deprecation": "object|null",
		"server_type.prices.0.location": "string", "server_type.prices.0.price_monthly.net": "string", "server_type.prices.0.price_monthly.gross": "string",
		"server_type.prices.0.price_hourly.net": "string", "server_type.locations.0.id": "int", "server_type.locations.0.name": "string",
		"server_type.locations.0.available": "bool", "server_type.locations.0.recommended": "bool", "server_type.locations.0.deprecation": "object|null",
	})
	w.refuses([]refusal{
		{"a type is not made", "POST", "/server_types", `{}`, 404, "not_found", ""},
		{"a location is not deleted", "DELETE", "/locations/1", "", 404, "not_found", ""},
		{"no such type", "GET", "/server_types/1", "", 404, "not_found", ""},
	})
}
