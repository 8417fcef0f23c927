package cloud_test

import (
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const (
	balancer  = `{"name":"front","load_balancer_type":"lb11","location":"nbg1","labels":{"tier":"front"}}`
	httpOn80  = `{"protocol":"http","listen_port":80,"destination_port":8080}`
	dedicated = `{"type":"ip","ip":{"ip":"203.0.113.7"}}`
	ourLabel  = `{"type":"label_selector","label_selector":{"selector":"tier=front"}}`
)

// network makes a network with a subnet, and a server in it.
func (w *world) network() {
	w.t.Helper()
	w.make("networks", "net", `{"name":"net","ip_range":"10.0.0.0/16","subnets":[{"type":"cloud","network_zone":"eu-central","ip_range":"10.0.1.0/24"}]}`)
	w.make("servers", "web", fmt.Sprintf(`{"name":"web","server_type":"cx22","image":"debian-13","location":"nbg1","labels":{"tier":"front"},"networks":[%d]}`, w.named["net"]))
}

func (w *world) server(as string, private bool) string {
	return fmt.Sprintf(`{"type":"server","server":{"id":%d},"use_private_ip":%t}`, w.named[as], private)
}

func TestContractLoadBalancers(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.network()
	o := w.make("load_balancers", "front", fmt.Sprintf(`{"name":"front","load_balancer_type":"lb11","network_zone":"eu-central","network":%d,
		"algorithm":{"type":"least_connections"},"services":[%s,{"protocol":"tcp","listen_port":22,"destination_port":22}],"targets":[%s,%s,%s]}`,
		w.named["net"], httpOn80, w.server("web", true), dedicated, ourLabel))
	w.shape(o, map[string]string{
		"action.id": "int", "load_balancer.id": "int", "load_balancer.name": "string", "load_balancer.labels": "object", "load_balancer.created": "time",
		"load_balancer.public_net.enabled": "bool", "load_balancer.public_net.ipv4.id": "int", "load_balancer.public_net.ipv4.ip": "string",
		"load_balancer.public_net.ipv4.dns_ptr": "string", "load_balancer.public_net.ipv6.ip": "string", "load_balancer.public_net.ipv6.dns_ptr": "string",
		"load_balancer.private_net.0.network": "int", "load_balancer.private_net.0.ip": "string", "load_balancer.location.name": "string",
		"load_balancer.load_balancer_type.max_targets": "int", "load_balancer.protection.delete": "bool", "load_balancer.algorithm.type": "string",
		"load_balancer.included_traffic": "int", "load_balancer.outgoing_traffic": "int|null", "load_balancer.ingoing_traffic": "int|null",
		"load_balancer.services.0.http.cookie_name": "string", "load_balancer.services.0.http.certificates": "list",
		"load_balancer.services.0.health_check.http.status_codes": "list", "load_balancer.services.1.http": "null",
		"load_balancer.services.1.health_check.http": "null", "load_balancer.targets.0.server.id": "int", "load_balancer.targets.0.use_private_ip": "bool",
		"load_balancer.targets.0.health_status.0.listen_port": "int", "load_balancer.targets.0.health_status.0.status": "string",
		"load_balancer.targets.1.ip.ip": "string", "load_balancer.targets.2.label_selector.selector": "string", "load_balancer.targets.2.targets.0.server.id": "int",
	})
	lb, _, err := w.LoadBalancer.GetByName(w.ctx, "front")
	w.must(err)
	s := lb.Services[0]
	if s.HTTP.CookieName != "HCLBSTICKY" || s.HTTP.CookieLifetime != 5*time.Minute || s.HealthCheck.Protocol != "http" || s.HealthCheck.Port != 8080 ||
		s.HealthCheck.Interval != 15*time.Second || s.HealthCheck.Timeout != 10*time.Second || s.HealthCheck.Retries != 3 || s.HealthCheck.HTTP.Path != "/" {
		t.Errorf("defaults of a service: %+v, %+v, %+v", s, s.HTTP, s.HealthCheck)
	}
	if lb.Location.NetworkZone != "eu-central" || len(lb.PrivateNet) != 1 || lb.Algorithm.Type != "least_connections" || len(lb.Targets) != 3 ||
		lb.Targets[0].HealthStatus[0].Status != hcloud.LoadBalancerTargetHealthStatusStatusHealthy || len(lb.Targets[2].Targets) != 1 {
		t.Errorf("load balancer: %+v", lb)
	}
	net, _, err := w.Network.GetByID(w.ctx, w.named["net"])
	w.must(err)
	server, _, err := w.Server.GetByID(w.ctx, w.named["web"])
	w.must(err)
	if len(net.LoadBalancers) != 1 || len(server.LoadBalancers) != 1 || net.LoadBalancers[0].ID != lb.ID || server.LoadBalancers[0].ID != lb.ID {
		t.Errorf("the network has %v, the server %v", net.LoadBalancers, server.LoadBalancers)
	}
	// Its addresses are primary IPs that go with it.
	ips, err := w.PrimaryIP.All(w.ctx)
	w.must(err)
	if len(ips) != 4 {
		t.Errorf("%d primary IPs, want two of the server and two of the load balancer", len(ips))
	}
	lb, _, err = w.LoadBalancer.Update(w.ctx, lb, hcloud.LoadBalancerUpdateOpts{Name: "renamed", Labels: map[string]string{"a": "b"}})
	w.must(err)
	if lb.Name != "renamed" || lb.Labels["a"] != "b" {
		t.Errorf("after PUT: %+v", lb)
	}
	// A server that is gone is no target any more.
	w.settle(w.want(http.StatusOK, "DELETE", w.at("servers", "web"), ""))
	w.is(w.at("load_balancers", "front"), "load_balancer.targets", `[{"health_status":[{"listen_port":80,"status":"unknown"},{"listen_port":22,"status":"unknown"}],"ip":{"ip":"203.0.113.7"},"type":"ip"},`+
		`{"label_selector":{"selector":"tier=front"},"type":"label_selector","use_private_ip":false}]`)
	deleted, answer, err := w.LoadBalancer.DeleteWithResult(w.ctx, lb)
	w.must(err)
	if answer.StatusCode != http.StatusCreated || deleted.Action.Command != "delete_load_balancer" {
		t.Errorf("DELETE: HTTP %d, %+v", answer.StatusCode, deleted.Action)
	}
	w.wait(deleted.Action)
	if ips, err = w.PrimaryIP.All(w.ctx); err != nil || len(ips) != 0 {
		t.Errorf("after the deletion there are %v, %v", ips, err)
	}
}

func TestContractLoadBalancerActions(t *testing.T) {
	attach := func(w *world) {
		w.do(w.at("load_balancers", "load_balancers")+"/actions/attach_to_network", fmt.Sprintf(`{"network":%d}`, w.named["net"]))
	}
	does := func(call, body string) func(*world) {
		return func(w *world) { w.do(w.at("load_balancers", "load_balancers")+"/actions/"+call, body) }
	}
	says := func(body string) func(*world) string { return func(*world) string { return body } }
	net := func(w *world) string { return fmt.Sprintf(`{"network":%d,"ip":"10.0.1.77"}`, w.named["net"]) }
	has := func(field, want string) func(*world) {
		return func(w *world) { w.is(w.path, "load_balancer."+field, want) }
	}
	deeds(t, "load_balancers", "conflict", func(w *world) {
		w.network()
		w.make("load_balancers", "load_balancers", balancer)
	}, []deed{
		{call: "add_service", command: "add_service", body: says(httpOn80), after: has("services.0.destination_port", "8080")},
		{
			call: "update_service", command: "update_service", prepare: does("add_service", httpOn80),
			body: says(`{"listen_port":80,"health_check":{"retries":5,"http":{"path":"/up"}},"http":{"sticky_sessions":true}}`),
			after: func(w *world) {
				has("services.0.health_check", `{"http":{"domain":"","path":"/up","response":"","status_codes":["2??","3??"],"tls":false},"interval":15,"port":8080,"protocol":"http","retries":5,"timeout":10}`)(w)
				has("services.0.http.sticky_sessions", "true")(w)
			},
		},
		{call: "delete_service", command: "delete_service", prepare: does("add_service", httpOn80), body: says(`{"listen_port":80}`), after: has("services", "[]")},
		{
			call: "add_target", command: "add_target", also: []string{"server"},
			body:  func(w *world) string { return w.server("web", false) },
			after: func(w *world) { has("targets.0.server.id", fmt.Sprint(w.named["web"]))(w) },
		},
		{call: "remove_target", command: "remove_target", prepare: does("add_target", dedicated), body: says(dedicated), after: has("targets", "[]")},
		{call: "attach_to_network", command: "attach_to_network", also: []string{"network"}, body: net, after: has("private_net.0.ip", `"10.0.1.77"`)},
		{call: "detach_from_network", command: "detach_from_network", also: []string{"network"}, prepare: attach, body: net, after: has("private_net", "[]")},
		{call: "disable_public_interface", command: "disable_public_interface", prepare: attach, after: has("public_net.enabled", "false")},
		{
			call: "enable_public_interface", command: "enable_public_interface",
			prepare: func(w *world) { attach(w); does("disable_public_interface", "")(w) },
			after:   has("public_net.enabled", "true"),
		},
		{call: "change_type", command: "change_type", body: says(`{"load_balancer_type":"lb31"}`), after: has("load_balancer_type.name", `"lb31"`)},
		{call: "change_algorithm", command: "change_algorithm", body: says(`{"type":"least_connections"}`), after: has("algorithm.type", `"least_connections"`)},
		{call: "change_protection", command: "change_protection", body: says(`{"delete":true}`), after: func(w *world) {
			has("protection.delete", "true")(w)
			w.refuses([]refusal{{"protected", "DELETE", w.path, "", 403, "protected", ""}})
		}},
	})
}

func TestContractLoadBalancerRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.network()
	w.make("servers", "bare", `{"name":"bare","public_net":{"enable_ipv4":false},`+stopped+`}`)
	w.make("networks", "empty", `{"name":"empty","ip_range":"10.8.0.0/16"}`)
	w.make("networks", "us", `{"name":"us","ip_range":"10.9.0.0/16","subnets":[{"type":"cloud","network_zone":"us-east","ip_range":"10.9.1.0/24"}]}`)
	w.make("load_balancers", "front", balancer)
	at := w.at("load_balancers", "front") + "/actions/"
	make1 := func(rest string) string { return `{"name":"x","load_balancer_type":"lb11",` + rest + `}` }
	service := func(rest string) string { return `{"protocol":"http","listen_port":81,` + rest + `}` }
	network := func(as, rest string) string { return fmt.Sprintf(`{"network":%d%s}`, w.named[as], rest) }
	own := part(w.get(w.at("servers", "web")), "server.public_net.ipv4.ip")
	w.refuses([]refusal{
		{"neither location nor zone", "POST", "/load_balancers", make1(`"labels":{}`), 422, "invalid_input", "location"},
		{"location and zone", "POST", "/load_balancers", make1(`"location":"nbg1","network_zone":"eu-central"`), 422, "invalid_input", "location"},
		{"no such location", "POST", "/load_balancers", make1(`"location":"moon"`), 422, "invalid_input", "location"},
		{"no such zone", "POST", "/load_balancers", make1(`"network_zone":"moon"`), 422, "invalid_input", "network_zone"},
		{"no such type", "POST", "/load_balancers", `{"name":"x","load_balancer_type":"lb99","location":"nbg1"}`, 422, "invalid_input", "load_balancer_type"},
		{"no such algorithm", "POST", "/load_balancers", make1(`"location":"nbg1","algorithm":{"type":"luck"}`), 422, "invalid_input", "algorithm.type"},
		{"name taken", "POST", "/load_balancers", balancer, 409, "uniqueness_error", ""},
		{"a primary IP that is not there", "POST", "/load_balancers", make1(`"location":"nbg1","public_net":{"ipv4":5}`), 422, "invalid_input", "public_net.ipv4"},
		{"no such load balancer", "GET", "/load_balancers/5", "", 404, "not_found", ""},

		{"no such protocol", "POST", at + "add_service", `{"protocol":"udp","listen_port":1,"destination_port":1}`, 422, "invalid_input", "protocol"},
		{"tcp without a port", "POST", at + "add_service", `{"protocol":"tcp","destination_port":1}`, 422, "invalid_input", "listen_port"},
		{"https without a certificate", "POST", at + "add_service", `{"protocol":"https"}`, 422, "invalid_input", "http.certificates"},
		{"no such certificate", "POST", at + "add_service", `{"protocol":"https","http":{"certificates":[5]}}`, 422, "invalid_input", "http.certificates"},
		{"redirect with http", "POST", at + "add_service", service(`"http":{"redirect_http":true}`), 422, "invalid_input", "http.redirect_http"},
		{"idle for too long", "POST", at + "add_service", service(`"http":{"timeout_idle":301}`), 422, "invalid_input", "http.timeout_idle"},
		{"a check of no protocol", "POST", at + "add_service", service(`"health_check":{"protocol":"smtp"}`), 422, "invalid_input", "health_check.protocol"},
		{"no such service", "POST", at + "update_service", `{"listen_port":5}`, 404, "not_found", ""},
		{"no such service to delete", "POST", at + "delete_service", `{"listen_port":5}`, 404, "not_found", ""},

		{"a target of no type", "POST", at + "add_target", `{"server":{"id":5}}`, 422, "invalid_input", "type"},
		{"no such server", "POST", at + "add_target", `{"type":"server","server":{"id":5}}`, 422, "invalid_input", "server"},
		{"no IPv4", "POST", at + "add_target", w.server("bare", false), 422, "missing_ipv4", ""},
		{"private without a network", "POST", at + "add_target", w.server("web", true), 422, "load_balancer_not_attached_to_network", ""},
		{"a bad selector", "POST", at + "add_target", `{"type":"label_selector","label_selector":{"selector":"a b"}}`, 422, "invalid_input", "label_selector"},
		{"an IP of the cloud", "POST", at + "add_target", fmt.Sprintf(`{"type":"ip","ip":{"ip":"%s"}}`, own), 422, "cloud_resource_ip_not_allowed", ""},
		{"somebody's IP", "POST", at + "add_target", `{"type":"ip","ip":{"ip":"192.0.2.1"}}`, 422, "ip_not_owned", ""},
		{"no such target", "POST", at + "remove_target", dedicated, 404, "not_found", ""},

		{"no such network", "POST", at + "attach_to_network", `{"network":5}`, 422, "invalid_input", "network"},
		{"a network without subnets", "POST", at + "attach_to_network", network("empty", ""), 422, "no_subnet_available", ""},
		{"a network elsewhere", "POST", at + "attach_to_network", network("us", ""), 422, "invalid_input", "network"},
		{"an IP that is taken", "POST", at + "attach_to_network", network("net", `,"ip":"10.0.1.1"`), 422, "ip_not_available", ""},
		{"detached from nowhere", "POST", at + "detach_from_network", network("net", ""), 422, "load_balancer_not_attached_to_network", ""},
		{"hidden without a network", "POST", at + "disable_public_interface", "", 422, "load_balancer_not_attached_to_network", ""},
		{"changed to no type", "POST", at + "change_type", `{"load_balancer_type":"lb99"}`, 422, "invalid_input", "load_balancer_type"},
		{"changed to no algorithm", "POST", at + "change_algorithm", `{"type":"luck"}`, 422, "invalid_input", "algorithm.type"},
		{"a name for somebody's IP", "POST", at + "change_dns_ptr", `{"ip":"1.2.3.4","dns_ptr":"a.example"}`, 404, "not_found", ""},
	})

	w.do(at+"add_service", httpOn80)
	w.do(at+"attach_to_network", network("net", ""))
	w.do(at+"add_target", w.server("web", true))
	w.do(at+"add_target", ourLabel)
	w.refuses([]refusal{
		{"port used", "POST", at + "add_service", `{"protocol":"tcp","listen_port":80,"destination_port":1}`, 422, "source_port_already_used", ""},
		{"target twice", "POST", at + "add_target", w.server("web", false), 422, "target_already_defined", ""},
		{"selector twice", "POST", at + "add_target", ourLabel, 422, "target_already_defined", ""},
		{"server not in the network", "POST", at + "add_target", w.server("bare", true), 422, "server_not_attached_to_network", ""},
		{"attached twice", "POST", at + "attach_to_network", network("net", ""), 422, "load_balancer_already_attached", ""},
		{"hidden with public targets", "POST", at + "disable_public_interface", "", 422, "targets_without_use_private_ip", ""},
		{"detached with private targets", "POST", at + "detach_from_network", network("net", ""), 422, "service_error", ""},
		{"its subnet deleted", "POST", w.at("networks", "net") + "/actions/delete_subnet", `{"ip_range":"10.0.1.0/24"}`, 422, "service_error", ""},
	})
	w.do(at+"remove_target", ourLabel)
	w.do(at+"disable_public_interface", "")
	w.refuses([]refusal{
		{"public target of a hidden one", "POST", at + "add_target", ourLabel, 422, "load_balancer_public_interface_disabled", ""},
	})
	// A failed action changes nothing.
	w.failing("/add_service$", func() object {
		return w.want(http.StatusCreated, "POST", at+"add_service", `{"protocol":"tcp","listen_port":5,"destination_port":5}`)
	})
	w.is(w.at("load_balancers", "front"), "load_balancer.services.1", "null")
	// The network takes the load balancer's place in it along.
	w.want(http.StatusNoContent, "DELETE", w.at("networks", "net"), "")
	w.is(w.at("load_balancers", "front"), "load_balancer.private_net", "[]")
	w.is(w.at("load_balancers", "front"), "load_balancer.targets", "[]")
}

func TestContractLoadBalancerLimits(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("load_balancers", "front", balancer)
	at := w.at("load_balancers", "front") + "/actions/"
	tcp := func(port int) string {
		return fmt.Sprintf(`{"protocol":"tcp","listen_port":%d,"destination_port":%d}`, port, port)
	}
	target := func(n int) string { return fmt.Sprintf(`{"type":"ip","ip":{"ip":"203.0.113.%d"}}`, n) }
	for i := range 5 {
		w.do(at+"add_service", tcp(1000+i))
	}
	for i := range 25 {
		w.do(at+"add_target", target(1+i))
	}
	w.refuses([]refusal{
		{"a sixth service", "POST", at + "add_service", tcp(2000), 403, "resource_limit_exceeded", ""},
		{"a 26th target", "POST", at + "add_target", target(200), 403, "resource_limit_exceeded", ""},
	})
	w.do(at+"change_type", `{"load_balancer_type":"lb21"}`)
	w.do(at+"add_target", target(200))
	w.refuses([]refusal{{"too much for the type", "POST", at + "change_type", `{"load_balancer_type":"lb11"}`, 422, "invalid_load_balancer_type", ""}})
}

// A load balancer takes existing primary IPs, for all of its life.
func TestContractLoadBalancerAddresses(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("primary_ips", "four", fourIP)
	four := w.at("primary_ips", "four")
	w.refuses([]refusal{{
		"in another location", "POST", "/load_balancers",
		fmt.Sprintf(`{"name":"x","load_balancer_type":"lb11","location":"fsn1","public_net":{"ipv4":%d}}`, w.named["four"]),
		422, "primary_ip_datacenter_mismatch", "",
	}})
	result, _, err := w.LoadBalancer.Create(w.ctx, hcloud.LoadBalancerCreateOpts{
		Name: "front", LoadBalancerType: &hcloud.LoadBalancerType{Name: "lb11"}, Location: &hcloud.Location{Name: "nbg1"},
		PublicNet: &hcloud.LoadBalancerCreateOptsPublicNet{IPv4: &hcloud.PrimaryIP{ID: w.named["four"]}},
	})
	w.must(err)
	w.wait(result.Action)
	lb := result.LoadBalancer
	if lb.PublicNet.IPv4.ID != w.named["four"] || lb.PublicNet.IPv6.IP.To4() != nil || lb.PublicNet.IPv6.ID == 0 {
		t.Errorf("addresses: %+v", lb.PublicNet)
	}
	w.is(four, "primary_ip.assignee_type", `"load_balancer"`)
	w.refuses([]refusal{
		{"taken away", "POST", four + "/actions/unassign", "", 422, "service_error", ""},
		{"deleted", "DELETE", four, "", 422, "must_be_unassigned", ""},
	})
	name := "front.example.com"
	for _, ip := range []net.IP{lb.PublicNet.IPv4.IP, lb.PublicNet.IPv6.IP} {
		action, _, err := w.LoadBalancer.ChangeDNSPtr(w.ctx, lb, ip.String(), &name)
		w.must(err)
		w.wait(action)
	}
	lb, _, err = w.LoadBalancer.GetByID(w.ctx, lb.ID)
	w.must(err)
	if lb.PublicNet.IPv4.DNSPtr != name || lb.PublicNet.IPv6.DNSPtr != name {
		t.Errorf("reverse DNS: %+v", lb.PublicNet)
	}
	deleted, _, err := w.LoadBalancer.DeleteWithResult(w.ctx, lb)
	w.must(err)
	w.wait(deleted.Action)
	left, err := w.PrimaryIP.All(w.ctx)
	w.must(err)
	if len(left) != 1 || left[0].ID != w.named["four"] || left[0].AssigneeID != 0 {
		t.Errorf("after the deletion: %+v", left)
	}
}

// A server that a load balancer reaches by its IPv4 keeps it.
func TestContractTargetKeepsItsAddress(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "off", `{"name":"off",`+stopped+`}`)
	w.make("load_balancers", "front", balancer)
	w.do(w.at("load_balancers", "front")+"/actions/add_target", w.server("off", false))
	own := id(w.get(w.at("servers", "off")), "server.public_net.ipv4.id")
	w.refuses([]refusal{{"of a target", "POST", fmt.Sprintf("/primary_ips/%d/actions/unassign", own), "", 422, "server_is_load_balancer_target", ""}})
	w.is(w.at("load_balancers", "front"), "load_balancer.targets.0.server.id", fmt.Sprint(w.named["off"]))
}

// All of it is there again after the lab was stopped.
func TestContractAddressesOutliveTheLab(t *testing.T) {
	file := t.TempDir() + "/objects.json"
	w := newWorld(t, cloud.Options{StateFile: file})
	w.network()
	w.make("primary_ips", "four", fourIP)
	text, key := certificate(t, "site.example")
	w.make("certificates", "site", fmt.Sprintf(`{"name":"site","type":"uploaded","certificate":%q,"private_key":%q}`, text, key))
	w.make("load_balancers", "front", fmt.Sprintf(`{"name":"front","load_balancer_type":"lb11","location":"nbg1","network":%d,"public_net":{"ipv4":%d},
		"services":[%s,{"protocol":"https","http":{"certificates":[%d]}}],"targets":[%s,%s,%s]}`,
		w.named["net"], w.named["four"], httpOn80, w.named["site"], w.server("web", true), dedicated, ourLabel))
	four := part(w.get(w.at("primary_ips", "four")), "primary_ip.ip")
	w.do(w.at("load_balancers", "front")+"/actions/change_dns_ptr", fmt.Sprintf(`{"ip":"%s","dns_ptr":"front.example.com"}`, four))
	paths := []string{"/primary_ips", "/load_balancers", "/certificates", w.at("servers", "web"), w.at("networks", "net")}
	before := map[string]string{}
	for _, path := range paths {
		_, before[path] = w.raw(http.MethodGet, "/v1"+path, "")
	}
	w.http.Close()
	w.api.Close()
	again := &world{fixture: start(t, cloud.Options{StateFile: file}), named: w.named}
	for _, path := range paths {
		if _, after := again.raw(http.MethodGet, "/v1"+path, ""); after != before[path] {
			t.Errorf("%s was\n%s\nand is\n%s", path, before[path], after)
		}
	}
	// What is free stays told from what is taken.
	again.make("primary_ips", "next", `{"name":"next","type":"ipv4","location":"nbg1"}`)
	if got := part(again.get(again.at("primary_ips", "next")), "primary_ip.ip"); got == four {
		t.Errorf("%v was given twice", got)
	}
}
