package cloud_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const (
	fourIP  = `{"name":"four","type":"ipv4","location":"nbg1","labels":{"tier":"front"}}`
	sixIP   = `{"name":"six","type":"ipv6","location":"nbg1"}`
	stopped = `"server_type":"cx22","image":"debian-13","location":"nbg1","start_after_create":false`
)

func TestContractPrimaryIPs(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	o := w.make("primary_ips", "four", fourIP)
	w.shape(o, map[string]string{
		"action": "null", "primary_ip.id": "int", "primary_ip.name": "string", "primary_ip.labels": "object", "primary_ip.created": "time",
		"primary_ip.type": "string", "primary_ip.ip": "string", "primary_ip.blocked": "bool", "primary_ip.auto_delete": "bool",
		"primary_ip.protection.delete": "bool", "primary_ip.location.name": "string", "primary_ip.location.network_zone": "string",
		"primary_ip.dns_ptr.0.ip": "string", "primary_ip.dns_ptr.0.dns_ptr": "string", "primary_ip.assignee_id": "null", "primary_ip.assignee_type": "string",
	})
	w.is(w.at("primary_ips", "four"), "primary_ip.assignee_type", `"unassigned"`)
	w.make("primary_ips", "six", sixIP)
	w.is(w.at("primary_ips", "six"), "primary_ip.dns_ptr", `[]`)

	// The provider's client finds them by name, address and label, and changes them.
	four, _, err := w.PrimaryIP.GetByName(w.ctx, "four")
	w.must(err)
	byIP, _, err := w.PrimaryIP.GetByIP(w.ctx, four.IP.String())
	w.must(err)
	if byIP == nil || byIP.ID != four.ID || four.Network != nil || four.AssigneeID != 0 {
		t.Errorf("by address: %+v, by name: %+v", byIP, four)
	}
	six, _, err := w.PrimaryIP.GetByName(w.ctx, "six")
	w.must(err)
	if ones, bits := six.Network.Mask.Size(); ones != 64 || bits != 128 || !six.Network.Contains(six.IP) {
		t.Errorf("IPv6: %+v", six)
	}
	yes := true
	changed, _, err := w.PrimaryIP.Update(w.ctx, six, hcloud.PrimaryIPUpdateOpts{Name: "sixth", AutoDelete: &yes, Labels: &map[string]string{"a": ""}})
	w.must(err)
	if changed.Name != "sixth" || !changed.AutoDelete || len(changed.Labels) != 1 {
		t.Errorf("after PUT: %+v", changed)
	}
	found, err := w.PrimaryIP.AllWithOpts(w.ctx, hcloud.PrimaryIPListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "tier=front"}})
	w.must(err)
	if len(found) != 1 || found[0].ID != four.ID {
		t.Errorf("by label: %v", found)
	}
}

func TestContractPrimaryIPActions(t *testing.T) {
	owner := func(w *world, id string) {
		w.is(w.path, "primary_ip.assignee_id", id)
	}
	deeds(t, "primary_ips", "locked", func(w *world) {
		w.make("primary_ips", "primary_ips", fourIP)
		w.make("servers", "web", `{"name":"web","public_net":{"enable_ipv4":false,"enable_ipv6":true},`+stopped+`}`)
	}, []deed{
		{
			call: "assign", command: "assign_primary_ip", also: []string{"server"},
			body: func(w *world) string {
				return fmt.Sprintf(`{"assignee_id":%d,"assignee_type":"server"}`, w.named["web"])
			},
			after: func(w *world) {
				owner(w, fmt.Sprint(w.named["web"]))
				w.is(w.at("servers", "web"), "server.public_net.ipv4.id", fmt.Sprint(w.named["primary_ips"]))
			},
		},
		{
			call: "unassign", command: "unassign_primary_ip", also: []string{"server"},
			prepare: func(w *world) {
				w.do(w.at("primary_ips", "primary_ips")+"/actions/assign", fmt.Sprintf(`{"assignee_id":%d,"assignee_type":"server"}`, w.named["web"]))
			},
			after: func(w *world) {
				owner(w, "null")
				w.is(w.at("servers", "web"), "server.public_net.ipv4", "null")
			},
		},
		{
			call: "change_protection", command: "change_protection",
			body: func(*world) string { return `{"delete":true}` },
			after: func(w *world) {
				w.is(w.path, "primary_ip.protection.delete", "true")
				w.refuses([]refusal{
					{"protected", "DELETE", w.path, "", 403, "protected", ""},
					{"auto_delete while protected", "PUT", w.path, `{"auto_delete":true}`, 422, "invalid_input", "auto_delete"},
				})
			},
		},
	})
}

func TestContractPrimaryIPRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("primary_ips", "four", fourIP)
	w.make("primary_ips", "far", `{"name":"far","type":"ipv4","location":"hel1"}`)
	w.make("primary_ips", "auto", `{"name":"auto","type":"ipv6","location":"nbg1","auto_delete":true}`)
	w.make("servers", "on", `{"name":"on","server_type":"cx22","image":"debian-13","location":"nbg1"}`)
	w.make("servers", "off", `{"name":"off",`+stopped+`}`)
	w.make("servers", "bare", `{"name":"bare","public_net":{"enable_ipv4":false,"enable_ipv6":false},`+stopped+`}`)
	own := int64(0)
	if n := part(w.get(w.at("servers", "on")), "server.public_net.ipv4.id"); n != nil {
		own = id(w.get(w.at("servers", "on")), "server.public_net.ipv4.id")
	}
	to := func(server string) string {
		return fmt.Sprintf(`{"assignee_id":%d,"assignee_type":"server"}`, w.named[server])
	}
	server := func(net string) string {
		return `{"name":"x","server_type":"cx22","image":"debian-13","location":"nbg1","public_net":{` + net + `}}`
	}
	four := w.at("primary_ips", "four")
	w.refuses([]refusal{
		{"no such type", "POST", "/primary_ips", `{"name":"x","type":"ipv5","location":"nbg1"}`, 422, "invalid_input", "type"},
		{"no location", "POST", "/primary_ips", `{"name":"x","type":"ipv4"}`, 422, "invalid_input", "location"},
		{"no such location", "POST", "/primary_ips", `{"name":"x","type":"ipv4","location":"moon"}`, 422, "invalid_input", "location"},
		{"name taken", "POST", "/primary_ips", fourIP, 409, "uniqueness_error", ""},
		{"bad label", "POST", "/primary_ips", `{"name":"x","type":"ipv4","location":"nbg1","labels":{"a":"b c"}}`, 422, "invalid_input", "labels"},
		{"made for nobody", "POST", "/primary_ips", `{"name":"x","type":"ipv4","assignee_id":5,"assignee_type":"server"}`, 422, "invalid_input", "assignee_id"},
		{"made for a server that has one", "POST", "/primary_ips", `{"name":"x","type":"ipv4",` + to("off")[1:], 422, "server_has_ipv4", ""},
		{"assigned to a load balancer", "POST", four + "/actions/assign", `{"assignee_id":5,"assignee_type":"load_balancer"}`, 422, "invalid_input", "assignee_type"},
		{"assigned to nobody", "POST", four + "/actions/assign", `{"assignee_id":5,"assignee_type":"server"}`, 422, "invalid_input", "assignee_id"},
		{"the server has an IPv4", "POST", four + "/actions/assign", to("off"), 422, "server_has_ipv4", ""},
		{"the server has an IPv6", "POST", w.at("primary_ips", "auto") + "/actions/assign", to("off"), 422, "server_has_ipv6", ""},
		{"in another location", "POST", w.at("primary_ips", "far") + "/actions/assign", to("bare"), 422, "primary_ip_datacenter_mismatch", ""},
		{"not assigned", "POST", four + "/actions/unassign", ``, 422, "invalid_input", "assignee_id"},
		{"of a running server", "POST", fmt.Sprintf("/primary_ips/%d/actions/unassign", own), ``, 422, "server_not_stopped", ""},
		{"assigned already", "POST", fmt.Sprintf("/primary_ips/%d/actions/assign", own), to("bare"), 422, "primary_ip_already_assigned", ""},
		{"deleted while assigned", "DELETE", fmt.Sprintf("/primary_ips/%d", own), "", 422, "must_be_unassigned", ""},
		{"protected with auto_delete", "POST", w.at("primary_ips", "auto") + "/actions/change_protection", `{"delete":true}`, 422, "invalid_input", "delete"},
		{"no such primary IP", "GET", "/primary_ips/5", "", 404, "not_found", ""},
		{"a server with somebody's IP", "POST", "/servers", server(fmt.Sprintf(`"ipv4":%d`, own)), 422, "primary_ip_assigned", ""},
		{"a server with the wrong version", "POST", "/servers", server(fmt.Sprintf(`"ipv6":%d`, w.named["four"])), 422, "primary_ip_version_mismatch", ""},
		{"a server elsewhere", "POST", "/servers", server(fmt.Sprintf(`"ipv4":%d`, w.named["far"])), 422, "primary_ip_datacenter_mismatch", ""},
		{"a server with no such IP", "POST", "/servers", server(`"ipv4":5`), 422, "invalid_input", "public_net.ipv4"},
		{"an IP for what is off", "POST", "/servers", server(fmt.Sprintf(`"enable_ipv4":false,"ipv4":%d`, w.named["four"])), 422, "invalid_input", "public_net"},
		{"a server that cannot start", "POST", "/servers", server(`"enable_ipv4":false,"enable_ipv6":false`), 422, "invalid_input", "public_net"},
	})
	// Nothing that was refused left anything behind.
	all, err := w.PrimaryIP.All(w.ctx)
	w.must(err)
	if len(all) != 3+2+2 {
		t.Errorf("%d primary IPs", len(all))
	}
	w.failing("/assign$", func() object { return w.want(http.StatusCreated, "POST", four+"/actions/assign", to("bare")) })
	w.is(four, "primary_ip.assignee_id", "null")
	w.is(w.at("servers", "bare"), "server.public_net.ipv4", "null")
}

// Addresses that come with a server go with it, others stay.
func TestContractPrimaryIPsOfServers(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("primary_ips", "four", fourIP)
	o := w.make("servers", "web", fmt.Sprintf(`{"name":"web","server_type":"cx22","image":"debian-13","public_net":{"ipv4":%d}}`, w.named["four"]))
	w.shape(o, map[string]string{
		"server.public_net.ipv4.id": "int", "server.public_net.ipv4.ip": "string", "server.public_net.ipv4.blocked": "bool",
		"server.public_net.ipv4.dns_ptr": "string", "server.public_net.ipv6.id": "int", "server.public_net.ipv6.ip": "string",
		"server.public_net.ipv6.blocked": "bool", "server.public_net.ipv6.dns_ptr": "list",
	})
	web := w.at("servers", "web")
	if id(w.get(web), "server.public_net.ipv4.id") != w.named["four"] {
		t.Errorf("the server does not have the primary IP: %v", part(w.get(web), "server.public_net"))
	}
	auto, err := w.PrimaryIP.AllWithOpts(w.ctx, hcloud.PrimaryIPListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "!tier"}})
	w.must(err)
	if len(auto) != 1 || !auto[0].AutoDelete || len(auto[0].Labels) != 0 || auto[0].AssigneeID != w.named["web"] || auto[0].AssigneeType != "server" ||
		auto[0].Location.Name != "nbg1" || auto[0].Type != hcloud.PrimaryIPTypeIPv6 {
		t.Errorf("made along with the server: %+v", auto)
	}
	w.settle(w.want(http.StatusOK, "DELETE", web, ""))
	left, err := w.PrimaryIP.All(w.ctx)
	w.must(err)
	if len(left) != 1 || left[0].ID != w.named["four"] || left[0].AssigneeID != 0 {
		t.Errorf("after the server's deletion: %+v", left)
	}
	// One that is made for a server is assigned by an action.
	w.make("servers", "next", `{"name":"next","public_net":{"enable_ipv4":false},`+stopped+`}`)
	o = w.make("primary_ips", "made", fmt.Sprintf(`{"name":"made","type":"ipv4","assignee_type":"server","assignee_id":%d}`, w.named["next"]))
	w.shape(o, actionShape("action."))
	w.is(w.at("servers", "next"), "server.public_net.ipv4.id", fmt.Sprint(w.named["made"]))
	if got := part(w.get(w.at("primary_ips", "made")), "primary_ip.location.name"); got != "nbg1" {
		t.Errorf("it is in %v, not where the server is", got)
	}
}

func TestContractReverseDNS(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("primary_ips", "four", fourIP)
	w.make("primary_ips", "six", sixIP)
	w.make("servers", "web", fmt.Sprintf(`{"name":"web","server_type":"cx22","image":"debian-13","public_net":{"ipv4":%d,"ipv6":%d}}`, w.named["four"], w.named["six"]))
	web, _, err := w.Server.GetByID(w.ctx, w.named["web"])
	w.must(err)
	standard := web.PublicNet.IPv4.DNSPtr
	if !strings.Contains(standard, strings.ReplaceAll(web.PublicNet.IPv4.IP.String(), ".", "-")) {
		t.Errorf("an IPv4 without a name is called %q", standard)
	}
	set := func(owner hcloud.RDNSSupporter, ip net.IP, name *string) {
		t.Helper()
		action, _, err := w.RDNS.ChangeDNSPtr(w.ctx, owner, ip, name)
		w.must(err)
		w.wait(action)
	}
	name, other := "web.example.com", "second.example.com"
	first := append(net.IP{}, web.PublicNet.IPv6.IP.To16()...)
	second := append(net.IP{}, first...)
	first[15], second[15] = 1, 2
	set(web, web.PublicNet.IPv4.IP, &name)
	set(&hcloud.PrimaryIP{ID: w.named["six"]}, second, &other)
	set(web, first, &name)
	w.is(w.at("servers", "web"), "server.public_net.ipv4.dns_ptr", `"web.example.com"`)
	want := fmt.Sprintf(`[{"dns_ptr":"web.example.com","ip":"%s"},{"dns_ptr":"second.example.com","ip":"%s"}]`, first, second)
	w.is(w.at("servers", "web"), "server.public_net.ipv6.dns_ptr", want)
	w.is(w.at("primary_ips", "six"), "primary_ip.dns_ptr", want)
	w.is(w.at("primary_ips", "four"), "primary_ip.dns_ptr", fmt.Sprintf(`[{"dns_ptr":"web.example.com","ip":"%s"}]`, web.PublicNet.IPv4.IP))
	// null gives the standard name back: of an IPv6 address, none.
	set(web, web.PublicNet.IPv4.IP, nil)
	set(web, second, nil)
	w.is(w.at("servers", "web"), "server.public_net.ipv4.dns_ptr", `"`+standard+`"`)
	w.is(w.at("primary_ips", "six"), "primary_ip.dns_ptr", fmt.Sprintf(`[{"dns_ptr":"web.example.com","ip":"%s"}]`, first))

	change := w.at("servers", "web") + "/actions/change_dns_ptr"
	w.refuses([]refusal{
		{"no address", "POST", change, `{"ip":"web","dns_ptr":"a.example"}`, 422, "invalid_input", "ip"},
		{"somebody else's", "POST", change, `{"ip":"1.2.3.4","dns_ptr":"a.example"}`, 404, "not_found", ""},
		{"no hostname", "POST", change, fmt.Sprintf(`{"ip":"%s","dns_ptr":"a b"}`, web.PublicNet.IPv4.IP), 422, "invalid_input", "dns_ptr"},
	})
	w.failing("change_dns_ptr", func() object {
		return w.want(http.StatusCreated, "POST", change, fmt.Sprintf(`{"ip":"%s","dns_ptr":"never.example"}`, web.PublicNet.IPv4.IP))
	})
	w.is(w.at("servers", "web"), "server.public_net.ipv4.dns_ptr", `"`+standard+`"`)
	// The name stays with the address, not with the server.
	w.settle(w.want(http.StatusOK, "DELETE", w.at("servers", "web"), ""))
	w.is(w.at("primary_ips", "six"), "primary_ip.dns_ptr", fmt.Sprintf(`[{"dns_ptr":"web.example.com","ip":"%s"}]`, first))
}

// A lab that was made before there were primary IPs has them from now on.
func TestAddressesOfAnOldLab(t *testing.T) {
	file := t.TempDir() + "/objects.json"
	old := `{"last_id":100003,"servers":[{"id":100001,"name":"web","labels":{},"created":"2026-01-01T00:00:00Z","status":"running","server_type":"cx22",
		"image":"debian","image_id":310557660,"location":"nbg1","ipv4":"198.18.0.10","ipv4_id":100002,"ipv6":"2001:db8:1:86a1::/64","ipv6_id":100003}]}`
	if err := os.WriteFile(file, []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, cloud.Options{StateFile: file})
	w.is("/servers/100001", "server.public_net.ipv4.ip", `"198.18.0.10"`)
	w.is("/servers/100001", "server.public_net.ipv6.ip", `"2001:db8:1:86a1::/64"`)
	w.is("/primary_ips/100002", "primary_ip.assignee_id", "100001")
	w.is("/primary_ips/100003", "primary_ip.auto_delete", "true")
}
