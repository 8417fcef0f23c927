package cloud_test

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const sshRule = `{"direction":"in","protocol":"tcp","port":"22","source_ips":["10.1.2.3/8","::1/0"]}`

func newWorld(t *testing.T, opt cloud.Options) *world {
	t.Helper()
	return &world{fixture: start(t, opt), named: map[string]int64{}}
}

func serverBody(name, more string) string {
	return `{"name":"` + name + `","server_type":"cx22","image":"debian-13","location":"nbg1"` + more + `}`
}

func TestFirewallShape(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "web", serverBody("web", `,"labels":{"tier":"front"}`))
	o := w.make("firewalls", "f", `{"name":"f","labels":{"a":"b"},"rules":[`+sshRule+`,{"direction":"out","protocol":"icmp","destination_ips":["0.0.0.0/0"],"description":"pings"}],
		"apply_to":[{"type":"server","server":{"id":`+fmt.Sprint(w.named["web"])+`}},{"type":"label_selector","label_selector":{"selector":"tier=front"}}]}`)
	w.shape(o, map[string]string{
		"firewall.id": "int", "firewall.name": "string", "firewall.labels": "object", "firewall.created": "time", "firewall.rules": "list", "firewall.applied_to": "list",
		"firewall.rules.0.direction": "string", "firewall.rules.0.protocol": "string", "firewall.rules.0.port": "string", "firewall.rules.0.source_ips": "list",
		"firewall.rules.0.destination_ips": "list", "firewall.rules.0.description": "null", "firewall.rules.1.port": "null", "firewall.rules.1.description": "string",
		"firewall.applied_to.0.type": "string", "firewall.applied_to.0.server.id": "int", "firewall.applied_to.1.label_selector.selector": "string",
		"firewall.applied_to.1.applied_to_resources": "list", "firewall.applied_to.1.applied_to_resources.0.server.id": "int",
		"actions": "list", "actions.0.id": "int", "actions.2.id": "int",
	})
	w.shape(o, actionShape("actions.0."))
	w.is(w.at("firewalls", "f"), "firewall.rules.0.source_ips", `["10.0.0.0/8","::/0"]`) // kept without host bits
	server := w.at("servers", "web")
	w.is(server, "server.public_net.firewalls", fmt.Sprintf(`[{"id":%d,"status":"applied"}]`, w.named["f"]))
	w.shape(w.get("/firewalls?name=f&label_selector=a%3Db"), map[string]string{"firewalls.0.id": "int", "meta.pagination.total_entries": "int"})
	w.want(http.StatusOK, "PUT", w.at("firewalls", "f"), `{"name":"g"}`)
	w.is(w.at("firewalls", "f"), "firewall.labels", `{"a":"b"}`) // what is not sent stays
	w.is(w.at("firewalls", "f"), "firewall.rules.1.description", `"pings"`)
	w.want(http.StatusOK, "PUT", w.at("firewalls", "f"), `{"labels":{}}`)
	w.is(w.at("firewalls", "f"), "firewall.labels", `{}`)
}

func TestFirewallRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "web", serverBody("web", `,"labels":{"tier":"front"}`))
	w.make("servers", "bare", serverBody("bare", `,"start_after_create":false,"public_net":{"enable_ipv4":false,"enable_ipv6":false}`))
	on := func(name string) string {
		return `{"type":"server","server":{"id":` + fmt.Sprint(w.named[name]) + `}}`
	}
	w.make("firewalls", "named", `{"name":"named","apply_to":[`+on("web")+`]}`)
	w.make("firewalls", "found", `{"name":"found","apply_to":[{"type":"label_selector","label_selector":{"selector":"tier"}}]}`)
	rule := func(text string) string { return `{"name":"x","rules":[` + text + `]}` }
	many := func(n int, text string) string { return strings.TrimSuffix(strings.Repeat(text+",", n), ",") }
	ranges := func(n int) string {
		return `{"direction":"in","protocol":"icmp","source_ips":[` + many(n, `"0.0.0.0/0"`) + `]}`
	}
	apply, remove := w.at("firewalls", "named")+"/actions/apply_to_resources", "/actions/remove_from_resources"
	bad := func(name, body, field string) refusal {
		return refusal{name, "POST", "/firewalls", body, 422, "invalid_input", field}
	}
	w.refuses([]refusal{
		bad("no name", `{}`, "name"),
		bad("long name", `{"name":"`+strings.Repeat("n", 129)+`"}`, "name"),
		bad("label", `{"name":"x","labels":{"a":"b/c"}}`, "labels"),
		bad("direction", rule(`{"direction":"up","protocol":"icmp","source_ips":["0.0.0.0/0"]}`), "rules.0.direction"),
		bad("protocol", rule(sshRule+`,{"direction":"in","protocol":"ipx","source_ips":["0.0.0.0/0"]}`), "rules.1.protocol"),
		bad("tcp without a port", rule(`{"direction":"in","protocol":"tcp","source_ips":["0.0.0.0/0"]}`), "rules.0.port"),
		bad("icmp with a port", rule(`{"direction":"in","protocol":"icmp","port":"5","source_ips":["0.0.0.0/0"]}`), "rules.0.port"),
		bad("port 0", rule(`{"direction":"in","protocol":"udp","port":"0","source_ips":["0.0.0.0/0"]}`), "rules.0.port"),
		bad("port 65536", rule(`{"direction":"in","protocol":"udp","port":"1-65536","source_ips":["0.0.0.0/0"]}`), "rules.0.port"),
		bad("range backwards", rule(`{"direction":"in","protocol":"udp","port":"9-8","source_ips":["0.0.0.0/0"]}`), "rules.0.port"),
		bad("no sources", rule(`{"direction":"in","protocol":"icmp"}`), "rules.0.source_ips"),
		bad("in with destinations", rule(`{"direction":"in","protocol":"icmp","source_ips":["0.0.0.0/0"],"destination_ips":["0.0.0.0/0"]}`), "rules.0.destination_ips"),
		bad("out with sources", rule(`{"direction":"out","protocol":"icmp","source_ips":["0.0.0.0/0"],"destination_ips":["0.0.0.0/0"]}`), "rules.0.source_ips"),
		bad("an address", rule(`{"direction":"in","protocol":"icmp","source_ips":["1.2.3.4"]}`), "rules.0.source_ips"),
		bad("101 ranges", rule(ranges(101)), "rules.0.source_ips"),
		bad("51 rules", rule(many(51, ranges(1))), "rules"),
		bad("501 effective rules", rule(many(5, ranges(100))+","+ranges(1)), "rules"),
		bad("long description", rule(`{"direction":"in","protocol":"icmp","source_ips":["::/0"],"description":"`+strings.Repeat("d", 256)+`"}`), "rules.0.description"),
		bad("a bad selector", `{"name":"x","apply_to":[{"type":"label_selector","label_selector":{"selector":"a b"}}]}`, "label_selector"),
		bad("an empty selector", `{"name":"x","apply_to":[{"type":"label_selector","label_selector":{"selector":""}}]}`, "apply_to"),
		bad("a target of no type", `{"name":"x","apply_to":[{"server":{"id":5}}]}`, "apply_to"),
		{"name taken", "POST", "/firewalls", `{"name":"named"}`, 409, "uniqueness_error", ""},
		{"renamed to a taken name", "PUT", w.at("firewalls", "named"), `{"name":"found"}`, 409, "uniqueness_error", ""},
		{"no such firewall", "GET", "/firewalls/5", "", 404, "not_found", ""},
		{"no such server", "POST", apply, `{"apply_to":[{"type":"server","server":{"id":5}}]}`, 404, "firewall_resource_not_found", ""},
		{"applied twice", "POST", apply, `{"apply_to":[` + on("web") + `]}`, 422, "firewall_already_applied", ""},
		{"twice in one call", "POST", "/firewalls", `{"name":"x","apply_to":[` + on("web") + `,` + on("web") + `]}`, 422, "server_already_added", ""},
		{"selector twice", "POST", w.at("firewalls", "found") + "/actions/apply_to_resources",
			`{"apply_to":[{"type":"label_selector","label_selector":{"selector":"tier"}}]}`, 422, "firewall_already_applied", ""},
		{"private server", "POST", apply, `{"apply_to":[` + on("bare") + `]}`, 422, "private_net_only_server", ""},
		{"managed by a selector", "POST", w.at("firewalls", "found") + remove, `{"remove_from":[` + on("web") + `]}`, 422, "firewall_managed_by_label_selector", ""},
		{"removed from nowhere", "POST", w.at("firewalls", "found") + remove, `{"remove_from":[{"type":"server","server":{"id":5}}]}`, 404, "firewall_resource_not_found", ""},
		{"rules left out", "POST", w.at("firewalls", "named") + "/actions/set_rules", `{}`, 422, "invalid_input", "rules"},
		{"in use by a server", "DELETE", w.at("firewalls", "named"), "", 422, "resource_in_use", ""},
		{"in use by a selector", "DELETE", w.at("firewalls", "found"), "", 422, "resource_in_use", ""},
	})
	if all, err := w.Firewall.All(w.ctx); err != nil || len(all) != 2 {
		t.Errorf("after what was refused there are %d firewalls (%v)", len(all), err)
	}
	w.do(w.at("firewalls", "named")+remove, `{"remove_from":[`+on("bare")+`]}`) // it never had it: no error
	for call, body := range map[string]string{apply: `{"apply_to":[]}`, w.at("firewalls", "named") + remove: `{"remove_from":[]}`} {
		if actions, ok := w.want(http.StatusCreated, "POST", call, body)["actions"].([]any); !ok || len(actions) != 0 {
			t.Errorf("%s with no resource: actions are %v, want none", call, actions)
		}
	}
	for i := range 3 {
		w.make("firewalls", "more", fmt.Sprintf(`{"name":"more%d","apply_to":[%s]}`, i, on("web")))
	}
	w.refuses([]refusal{{"a sixth of a server", "POST", "/firewalls", `{"name":"six","apply_to":[` + on("web") + `]}`, 403, "resource_limit_exceeded", ""}})
	for i := range 45 {
		w.make("firewalls", "filler", fmt.Sprintf(`{"name":"filler%d"}`, i))
	}
	w.refuses([]refusal{{"the 51st", "POST", "/firewalls", `{"name":"last"}`, 403, "resource_limit_exceeded", ""}})
}

func TestFirewallDeeds(t *testing.T) {
	t.Parallel()
	target := func(w *world) string {
		return `[{"type":"server","server":{"id":` + fmt.Sprint(w.named["web"]) + `}}]`
	}
	create := func(w *world) {
		w.make("servers", "web", serverBody("web", `,"start_after_create":false`))
		w.make("firewalls", "firewalls", `{"name":"f","rules":[`+sshRule+`]}`)
	}
	firewalls := func(want string) func(w *world) {
		return func(w *world) { w.is(w.at("servers", "web"), "server.public_net.firewalls", want) }
	}
	deeds(t, "firewalls", "conflict", create, []deed{
		{
			call: "set_rules", command: "set_firewall_rules", many: true, body: func(*world) string { return `{"rules":[]}` },
			after: func(w *world) { w.is(w.path, "firewall.rules", `[]`) },
		},
		{
			call: "apply_to_resources", command: "apply_firewall", many: true, also: []string{"server"},
			body: func(w *world) string { return `{"apply_to":` + target(w) + `}` },
			after: func(w *world) {
				w.is(w.at("servers", "web"), "server.public_net.firewalls", fmt.Sprintf(`[{"id":%d,"status":"applied"}]`, w.named["firewalls"]))
				status, o := w.call("DELETE", w.path, "")
				if part(o, "error.code") != "resource_in_use" {
					w.t.Errorf("deletion of a firewall in use: %d %v", status, o)
				}
			},
		},
		{
			call: "remove_from_resources", command: "remove_firewall", many: true, also: []string{"server"},
			prepare: func(w *world) {
				w.do(w.at("firewalls", "firewalls")+"/actions/apply_to_resources", `{"apply_to":`+target(w)+`}`)
			},
			body: func(w *world) string { return `{"remove_from":` + target(w) + `}` },
			after: func(w *world) {
				firewalls(`[]`)(w)
				w.want(http.StatusNoContent, "DELETE", w.path, "")
				w.want(http.StatusNotFound, "DELETE", w.path, "")
			},
		},
	})
}

func TestFirewallPendingAndFailed(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "web", serverBody("web", ""))
	w.make("firewalls", "f", `{"name":"f","rules":[`+sshRule+`]}`)
	body := fmt.Sprintf(`{"apply_to":[{"type":"server","server":{"id":%d}}]}`, w.named["web"])
	path := w.at("firewalls", "f") + "/actions/"
	w.failing("apply_to_resources$", func() object { return w.want(http.StatusCreated, "POST", path+"apply_to_resources", body) })
	w.is(w.at("firewalls", "f"), "firewall.applied_to", `[]`)
	w.failing("set_rules$", func() object { return w.want(http.StatusCreated, "POST", path+"set_rules", `{"rules":[]}`) })
	w.is(w.at("firewalls", "f"), "firewall.rules.0.port", `"22"`)

	slow := newWorld(t, cloud.Options{ActionLatency: longEnough})
	slow.make("servers", "web", serverBody("web", `,"start_after_create":false`))
	o := slow.want(http.StatusCreated, "POST", "/firewalls", fmt.Sprintf(`{"name":"f","apply_to":[{"type":"server","server":{"id":%d}}]}`, slow.named["web"]))
	slow.is(slow.at("servers", "web"), "server.public_net.firewalls", fmt.Sprintf(`[{"id":%d,"status":"pending"}]`, id(o, "firewall.id")))
	slow.settle(o)
	slow.is(slow.at("servers", "web"), "server.public_net.firewalls", fmt.Sprintf(`[{"id":%d,"status":"applied"}]`, id(o, "firewall.id")))
}

// The provider's own client, from creation to deletion.
func TestFirewallClient(t *testing.T) {
	f := start(t, cloud.Options{})
	s := f.server("web")
	anywhere := []net.IPNet{*cidr(t, "0.0.0.0/0"), *cidr(t, "::/0")}
	result, _, err := f.Firewall.Create(f.ctx, hcloud.FirewallCreateOpts{
		Name: "f", Labels: map[string]string{"a": "b"},
		Rules: []hcloud.FirewallRule{{Direction: hcloud.FirewallRuleDirectionIn, Protocol: hcloud.FirewallRuleProtocolTCP, Port: hcloud.Ptr("80-85"), SourceIPs: anywhere}},
		ApplyTo: []hcloud.FirewallResource{
			{Type: hcloud.FirewallResourceTypeLabelSelector, LabelSelector: &hcloud.FirewallResourceLabelSelector{Selector: "role in (web)"}},
		},
	})
	f.must(err)
	f.wait(result.Actions...)
	firewall := result.Firewall
	_, _, err = f.Server.Update(f.ctx, s, hcloud.ServerUpdateOpts{Labels: map[string]string{"role": "web"}})
	f.must(err)
	now, _, err := f.Firewall.GetByName(f.ctx, "f")
	f.must(err)
	if len(now.AppliedTo) != 1 || len(now.AppliedTo[0].AppliedToResources) != 1 || now.AppliedTo[0].AppliedToResources[0].Server.ID != s.ID ||
		*now.Rules[0].Port != "80-85" || len(now.Rules[0].SourceIPs) != 2 || now.Labels["a"] != "b" {
		t.Errorf("firewall: %+v", now)
	}
	if fs := f.status(s, hcloud.ServerStatusRunning).PublicNet.Firewalls; len(fs) != 1 || fs[0].Firewall.ID != firewall.ID || fs[0].Status != hcloud.FirewallStatusApplied {
		t.Errorf("firewalls of the server: %+v", fs)
	}
	// A label that is lost takes the firewall away, silently.
	_, _, err = f.Server.Update(f.ctx, s, hcloud.ServerUpdateOpts{Labels: map[string]string{}})
	f.must(err)
	if fs := f.status(s, hcloud.ServerStatusRunning).PublicNet.Firewalls; len(fs) != 0 {
		t.Errorf("firewalls without the label: %+v", fs)
	}
	actions, _, err := f.Firewall.SetRules(f.ctx, firewall, hcloud.FirewallSetRulesOpts{Rules: []hcloud.FirewallRule{}})
	f.must(err)
	f.wait(actions...)
	on := []hcloud.FirewallResource{{Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: s.ID}}}
	actions, _, err = f.Firewall.ApplyResources(f.ctx, firewall, on)
	f.must(err)
	f.wait(actions...)
	_, _, err = f.Firewall.ApplyResources(f.ctx, firewall, on)
	f.wantCode(err, hcloud.ErrorCodeFirewallAlreadyApplied)
	_, err = f.Firewall.Delete(f.ctx, firewall)
	f.wantCode(err, hcloud.ErrorCodeResourceInUse)
	// Gone with the server, but still applied by the selector.
	gone, _, err := f.Server.DeleteWithResult(f.ctx, s)
	f.must(err)
	f.wait(gone.Action)
	now, _, err = f.Firewall.GetByID(f.ctx, firewall.ID)
	f.must(err)
	if len(now.AppliedTo) != 1 || len(now.Rules) != 0 {
		t.Errorf("firewall after its server: %+v", now)
	}
	actions, _, err = f.Firewall.RemoveResources(f.ctx, firewall, []hcloud.FirewallResource{
		{Type: hcloud.FirewallResourceTypeLabelSelector, LabelSelector: &hcloud.FirewallResourceLabelSelector{Selector: "role in (web)"}},
	})
	f.must(err)
	f.wait(actions...)
	_, err = f.Firewall.Delete(f.ctx, firewall)
	f.must(err)
}
