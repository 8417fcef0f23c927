package cloud_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const noPublicNet = `,"start_after_create":false,"public_net":{"enable_ipv4":false,"enable_ipv6":false}`

func TestServerShape(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("networks", "n", `{"name":"n","ip_range":"10.0.0.0/16","subnets":[{"type":"cloud","ip_range":"10.0.1.0/24","network_zone":"eu-central"}]}`)
	w.make("firewalls", "f", `{"name":"f"}`)
	w.make("volumes", "v", `{"name":"v","size":10,"location":"nbg1"}`)
	w.make("placement_groups", "g", `{"name":"g","type":"spread"}`)
	o := w.make("servers", "web", serverBody("web", fmt.Sprintf(
		`,"labels":{"a":"b"},"user_data":"#cloud-config","automount":false,"networks":[%d],"firewalls":[{"firewall":%d}],"volumes":[%d],"placement_group":%d,"public_net":{"enable_ipv4":true,"enable_ipv6":true}`,
		w.named["n"], w.named["f"], w.named["v"], w.named["g"])))
	w.shape(o, map[string]string{"server": "object", "next_actions": "list", "root_password": "string"})
	w.shape(o, actionShape("action."))
	var commands []string
	for _, a := range append([]any{o["action"]}, o["next_actions"].([]any)...) {
		commands = append(commands, fmt.Sprint(part(a, "command")))
	}
	if got := strings.Join(commands, " "); got != "create_server attach_volume start_server" {
		t.Errorf("actions: %s", got)
	}
	path := w.at("servers", "web")
	w.shape(w.get(path), map[string]string{
		"server.id": "int", "server.name": "string", "server.status": "string", "server.created": "time", "server.labels": "object", "server.locked": "bool",
		"server.public_net.ipv4.id": "int", "server.public_net.ipv4.ip": "string", "server.public_net.ipv4.blocked": "bool", "server.public_net.ipv4.dns_ptr": "string",
		"server.public_net.ipv6.id": "int", "server.public_net.ipv6.ip": "string", "server.public_net.ipv6.blocked": "bool", "server.public_net.ipv6.dns_ptr": "list",
		"server.public_net.floating_ips": "list", "server.public_net.firewalls.0.id": "int", "server.public_net.firewalls.0.status": "string",
		"server.private_net.0.network": "int", "server.private_net.0.ip": "string", "server.private_net.0.alias_ips": "list", "server.private_net.0.mac_address": "string",
		"server.server_type.id": "int", "server.server_type.name": "string", "server.server_type.disk": "int", "server.server_type.architecture": "string",
		"server.server_type.prices": "list", "server.server_type.locations": "list", "server.location.id": "int", "server.location.name": "string",
		"server.location.network_zone": "string", "server.image.id": "int", "server.image.name": "string", "server.image.architecture": "string", "server.iso": "null",
		"server.rescue_enabled": "bool", "server.backup_window": "null", "server.protection.delete": "bool", "server.protection.rebuild": "bool",
		"server.volumes.0": "int", "server.primary_disk_size": "int", "server.placement_group.name": "string", "server.load_balancers": "list",
		"server.included_traffic": "int", "server.outgoing_traffic": "int|null", "server.ingoing_traffic": "int|null",
	})
	w.is(path, "server.status", `"running"`)
	w.is(path, "server.locked", "false")
	for _, gone := range []string{"server.user_data", "server.ssh_keys", "server.datacenter", "server.automount"} {
		if has(w.get(path), gone) {
			t.Errorf("%s is told", gone)
		}
	}
	bare := w.make("servers", "bare", serverBody("bare", noPublicNet))
	w.shape(bare, map[string]string{"server.public_net.ipv4": "null", "server.public_net.ipv6": "null", "server.placement_group": "null", "server.private_net": "list"})
	w.is(w.at("servers", "bare"), "server.status", `"off"`)
	if next := bare["next_actions"].([]any); len(next) != 0 {
		t.Errorf("next actions of a server that is not started: %v", next)
	}
}

func TestServerRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("networks", "empty", `{"name":"empty","ip_range":"10.0.0.0/16"}`)
	w.make("volumes", "far", `{"name":"far","size":10,"location":"hel1"}`)
	w.make("volumes", "held", `{"name":"held","size":10,"location":"nbg1"}`)
	w.make("firewalls", "f", `{"name":"f"}`)
	w.make("servers", "web", serverBody("web", fmt.Sprintf(`,"volumes":[%d]`, w.named["held"])))
	w.make("servers", "bare", serverBody("bare", noPublicNet))
	w.make("servers", "safe", serverBody("safe", `,"start_after_create":false`))
	w.do(w.at("servers", "safe")+"/actions/change_protection", `{"delete":true,"rebuild":true}`)
	ref := func(field, name string) string { return fmt.Sprintf(`,"%s":[%d]`, field, w.named[name]) }
	bad := func(name, more, field string) refusal {
		return refusal{name, "POST", "/servers", serverBody("x", more), 422, "invalid_input", field}
	}
	act := func(name, server, call, body string, status int, code string) refusal {
		return refusal{name: name, method: "POST", path: w.at("servers", server) + "/actions/" + call, body: body, status: status, code: code}
	}
	before := w.get("/servers?sort=id")
	w.refuses([]refusal{
		bad("no such firewall", `,"firewalls":[{"firewall":5}]`, "firewalls"),
		bad("a firewall twice", fmt.Sprintf(`,"firewalls":[{"firewall":%d},{"firewall":%d}]`, w.named["f"], w.named["f"]), "firewalls"),
		bad("no such volume", `,"volumes":[5]`, "volumes"),
		bad("a volume elsewhere", ref("volumes", "far"), "server"),
		bad("no such group", `,"placement_group":5`, "placement_group"),
		bad("no such network", `,"networks":[5]`, "networks"),
		bad("no such key", `,"ssh_keys":[5]`, "ssh_keys"),
		bad("label", `,"labels":{"a":"https://x"}`, "labels"),
		bad("reserved label", `,"labels":{"hetzner.cloud/a":"b"}`, "labels"),
		bad("user data", `,"user_data":"`+strings.Repeat("x", 32<<10+1)+`"`, "user_data"),
		bad("nothing to start with", `,"public_net":{"enable_ipv4":false,"enable_ipv6":false}`, "public_net"),
		{"a volume of another", "POST", "/servers", serverBody("x", ref("volumes", "held")), 422, "volume_already_attached", ""},
		{"no subnet", "POST", "/servers", serverBody("x", ref("networks", "empty")), 422, "no_subnet_available", ""},
		{"a private server's firewall", "POST", "/servers", serverBody("x", fmt.Sprintf(noPublicNet+`,"firewalls":[{"firewall":%d}]`, w.named["f"])), 422, "private_net_only_server", ""},
		{"name taken", "POST", "/servers", serverBody("web", ""), 409, "uniqueness_error", ""},
		{"rename to a taken name", "PUT", w.at("servers", "web"), `{"name":"safe"}`, 409, "uniqueness_error", ""},
		{"rename badly", "PUT", w.at("servers", "web"), `{"name":"a_b"}`, 422, "invalid_input", "name"},
		{"delete while protected", "DELETE", w.at("servers", "safe"), "", 403, "protected", ""},
		{"delete nothing", "DELETE", "/servers/5", "", 404, "not_found", ""},
		{"an action of nothing", "POST", "/servers/5/actions/poweron", "", 404, "not_found", ""},
		act("an unknown action", "web", "fly", "", 404, "not_found"),
		act("rebuild while protected", "safe", "rebuild", `{"image":"debian-13"}`, 403, "protected"),
		act("protect by half", "web", "change_protection", `{"delete":true}`, 422, "invalid_input"),
		act("protect by two halves", "web", "change_protection", `{"delete":true,"rebuild":false}`, 422, "invalid_input"),
		act("start without a net", "bare", "poweron", "", 422, "service_error"),
		act("retype while running", "web", "change_type", `{"server_type":"cx32","upgrade_disk":false}`, 422, "server_not_stopped"),
		act("retype to nothing", "safe", "change_type", `{"server_type":"cx999","upgrade_disk":false}`, 422, "invalid_input"),
		act("retype without a word on the disk", "safe", "change_type", `{"server_type":"cx32"}`, 422, "invalid_input"),
		act("retype to another architecture", "safe", "change_type", `{"server_type":"cax11","upgrade_disk":false}`, 422, "invalid_server_type"),
		act("rescue of another type", "web", "enable_rescue", `{"type":"freebsd64"}`, 422, "invalid_input"),
		act("rescue with no such key", "web", "enable_rescue", `{"ssh_keys":[5]}`, 422, "invalid_input"),
		act("rebuild from nothing", "web", "rebuild", `{"image":5}`, 422, "invalid_input"),
		act("rebuild with too much user data", "web", "rebuild", `{"image":"debian-13","user_data":"`+strings.Repeat("x", 32<<10+1)+`"}`, 422, "invalid_input"),
		act("aliases in no network", "web", "change_alias_ips", fmt.Sprintf(`{"network":%d,"alias_ips":[]}`, w.named["empty"]), 404, "not_found"),
		act("detach from no network", "web", "detach_from_network", fmt.Sprintf(`{"network":%d}`, w.named["empty"]), 404, "not_found"),
	})
	if after := w.get("/servers?sort=id"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("what was refused left its mark:\n%v\n%v", before, after)
	}
}

func TestServerDeeds(t *testing.T) {
	t.Parallel()
	create := func(w *world) { w.make("servers", "servers", serverBody("web", `,"start_after_create":false`)) }
	on := func(w *world) { w.do(w.at("servers", "servers")+"/actions/poweron", "") }
	body := func(text string) func(*world) string { return func(*world) string { return text } }
	shows := func(field, want string) func(*world) {
		return func(w *world) { w.t.Helper(); w.is(w.path, "server."+field, want) }
	}
	status := func(want hcloud.ServerStatus) func(*world) {
		return func(w *world) { w.t.Helper(); w.becomes(&hcloud.Server{ID: w.named["servers"]}, want) }
	}
	running, off := status(hcloud.ServerStatusRunning), status(hcloud.ServerStatusOff)
	deeds(t, "servers", "locked", create, []deed{
		{call: "poweron", command: "start_server", after: running},
		{call: "poweroff", command: "stop_server", prepare: on, after: off},
		{call: "reset", command: "reset_server", prepare: on, after: running},
		{call: "reboot", command: "reboot_server", prepare: on, after: running},
		{
			call: "shutdown", command: "shutdown_server", prepare: on,
			after: func(w *world) { // the signal was sent, and the guest takes its time
				running(w)
				off(w)
			},
		},
		{call: "rebuild", command: "rebuild_server", also: []string{"image"}, body: body(`{"image":310557661,"user_data":"#cloud-config"}`), after: func(w *world) {
			running(w)
			shows("image.id", "310557661")(w)
		}},
		{call: "change_type", command: "change_server_type", body: body(`{"server_type":"cx32","upgrade_disk":true}`), after: func(w *world) {
			running(w)
			shows("server_type.name", `"cx32"`)(w)
			shows("primary_disk_size", "80")(w)
			w.do(w.path+"/actions/poweroff", "")
			w.refuses([]refusal{{"back to a smaller disk", "POST", w.path + "/actions/change_type", `{"server_type":"cx22","upgrade_disk":false}`, 422, "invalid_server_type", ""}})
		}},
		{call: "change_type", command: "change_server_type", body: body(`{"server_type":"cx32","upgrade_disk":false}`), after: func(w *world) {
			shows("primary_disk_size", "40")(w)
			w.do(w.path+"/actions/poweroff", "")
			w.do(w.path+"/actions/change_type", `{"server_type":"cx22","upgrade_disk":true}`) // the disk was kept, so it still fits
			shows("server_type.name", `"cx22"`)(w)
		}},
		{call: "enable_backup", command: "enable_backup", after: shows("backup_window", `"22-02"`)},
		{
			call: "disable_backup", command: "disable_backup", prepare: func(w *world) { w.do(w.at("servers", "servers")+"/actions/enable_backup", "") },
			after: shows("backup_window", "null"),
		},
		{call: "enable_rescue", command: "enable_rescue", body: body(`{"type":"linux64"}`), after: func(w *world) {
			shows("rescue_enabled", "true")(w)
			on(w)
			shows("rescue_enabled", "false")(w) // it is for one boot
		}},
		{
			call: "disable_rescue", command: "disable_rescue", prepare: func(w *world) { w.do(w.at("servers", "servers")+"/actions/enable_rescue", "") },
			after: shows("rescue_enabled", "false"),
		},
		{call: "change_protection", command: "change_protection", body: body(`{"delete":true,"rebuild":true}`), after: func(w *world) {
			shows("protection", `{"delete":true,"rebuild":true}`)(w)
			w.do(w.path+"/actions/change_protection", `{"delete":false,"rebuild":false}`)
			w.settle(w.want(http.StatusOK, "DELETE", w.path, ""))
		}},
		{call: "create_image", command: "create_image", also: []string{"image"}, body: body(`{"description":"d"}`)},
		{
			call: "add_to_placement_group", command: "add_to_placement_group", also: []string{"placement_group"},
			prepare: func(w *world) { w.make("placement_groups", "g", `{"name":"g","type":"spread"}`) },
			body:    func(w *world) string { return fmt.Sprintf(`{"placement_group":%d}`, w.named["g"]) },
			after:   shows("placement_group.name", `"g"`),
		},
		{
			call: "remove_from_placement_group", command: "remove_from_placement_group", also: []string{"placement_group"},
			prepare: func(w *world) {
				w.make("placement_groups", "g", `{"name":"g","type":"spread"}`)
				w.do(w.at("servers", "servers")+"/actions/add_to_placement_group", fmt.Sprintf(`{"placement_group":%d}`, w.named["g"]))
			},
			after: shows("placement_group", "null"),
		},
		{
			call: "attach_to_network", command: "attach_to_network", also: []string{"network"}, prepare: privateNetwork,
			body:  func(w *world) string { return fmt.Sprintf(`{"network":%d,"ip":"10.0.1.5"}`, w.named["n"]) },
			after: shows("private_net.0.ip", `"10.0.1.5"`),
		},
		{
			call: "detach_from_network", command: "detach_from_network", also: []string{"network"}, prepare: attachedServer,
			body: func(w *world) string { return fmt.Sprintf(`{"network":%d}`, w.named["n"]) }, after: shows("private_net", "[]"),
		},
		{
			call: "change_alias_ips", command: "change_alias_ips", also: []string{"network"}, prepare: attachedServer,
			body:  func(w *world) string { return fmt.Sprintf(`{"network":%d,"alias_ips":["10.0.1.8"]}`, w.named["n"]) },
			after: shows("private_net.0.alias_ips", `["10.0.1.8"]`),
		},
	})
}

func privateNetwork(w *world) {
	w.make("networks", "n", `{"name":"n","ip_range":"10.0.0.0/16","subnets":[{"type":"cloud","ip_range":"10.0.1.0/24","network_zone":"eu-central"}]}`)
}

func attachedServer(w *world) {
	privateNetwork(w)
	w.do(w.at("servers", "servers")+"/actions/attach_to_network", fmt.Sprintf(`{"network":%d,"alias_ips":["10.0.1.7"]}`, w.named["n"]))
}

// What a server holds is free when its deletion has ended, and not before.
func TestServerDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cloud.Options{ActionLatency: longEnough})
	w.make("networks", "n", `{"name":"n","ip_range":"10.0.0.0/16","subnets":[{"type":"cloud","ip_range":"10.0.1.0/24","network_zone":"eu-central"}]}`)
	w.make("firewalls", "f", `{"name":"f"}`)
	w.make("volumes", "v", `{"name":"v","size":10,"location":"nbg1"}`)
	w.make("placement_groups", "g", `{"name":"g","type":"spread"}`)
	w.make("servers", "web", serverBody("web", fmt.Sprintf(`,"start_after_create":false,"networks":[%d],"firewalls":[{"firewall":%d}],"volumes":[%d],"placement_group":%d`,
		w.named["n"], w.named["f"], w.named["v"], w.named["g"])))
	o := w.want(http.StatusOK, "DELETE", w.at("servers", "web"), "")
	w.shape(o, actionShape("action."))
	if part(o, "action.command") != "delete_server" || part(o, "action.status") != "running" {
		t.Errorf("deletion: %v", o)
	}
	attach := fmt.Sprintf(`{"server":%d}`, w.named["web"])
	w.is(w.at("servers", "web"), "server.status", `"deleting"`)
	w.refuses([]refusal{
		{"its name", "POST", "/servers", serverBody("web", ""), 409, "uniqueness_error", ""},
		{"its volume", "POST", w.at("volumes", "v") + "/actions/attach", attach, 423, "locked", ""},
		{"its firewall", "DELETE", w.at("firewalls", "f"), "", 422, "resource_in_use", ""},
		{"its group", "DELETE", w.at("placement_groups", "g"), "", 422, "resource_in_use", ""},
		{"its subnet", "POST", w.at("networks", "n") + "/actions/delete_subnet", `{"ip_range":"10.0.1.0/24"}`, 422, "service_error", ""},
		{"twice", "DELETE", w.at("servers", "web"), "", 423, "locked", ""},
	})
	w.settle(o)
	w.refuses([]refusal{{"once more", "DELETE", w.at("servers", "web"), "", 404, "not_found", ""}})
	w.is(w.at("volumes", "v"), "volume.server", "null")
	w.is(w.at("networks", "n"), "network.servers", "[]")
	w.want(http.StatusNoContent, "DELETE", w.at("firewalls", "f"), "")
	w.want(http.StatusNoContent, "DELETE", w.at("placement_groups", "g"), "")
	w.do(w.at("networks", "n")+"/actions/delete_subnet", `{"ip_range":"10.0.1.0/24"}`)
}

func TestServerFailures(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "web", serverBody("web", `,"start_after_create":false`))
	w.make("placement_groups", "g", `{"name":"g","type":"spread"}`)
	path := w.at("servers", "web")
	before := fmt.Sprint(w.get(path))
	for _, c := range []struct{ call, body string }{
		{"poweron", ""}, {"change_type", `{"server_type":"cx32","upgrade_disk":true}`}, {"rebuild", `{"image":310557661}`}, {"enable_backup", ""}, {"enable_rescue", ""},
		{"change_protection", `{"delete":true,"rebuild":true}`}, {"add_to_placement_group", fmt.Sprintf(`{"placement_group":%d}`, w.named["g"])},
	} {
		w.failing("/"+c.call+"$", func() object { return w.want(http.StatusCreated, "POST", path+"/actions/"+c.call, c.body) })
		if after := fmt.Sprint(w.get(path)); after != before {
			t.Errorf("a %s that failed left its mark:\n%s\n%s", c.call, before, after)
		}
	}
	w.inject(cloud.Fault{Method: "DELETE", Path: "^/servers/", Action: true, Code: "action_failed", Message: "as injected"})
	o := w.want(http.StatusOK, "DELETE", path, "")
	if err := w.Action.WaitFor(w.ctx, &hcloud.Action{ID: id(o, "action.id"), Status: hcloud.ActionStatusRunning}); err == nil {
		t.Error("a deletion that failed is told as success")
	}
	if after := fmt.Sprint(w.get(path)); after != before {
		t.Errorf("a deletion that failed left its mark:\n%s\n%s", before, after)
	}
}

// guest is machines whose guests never stop by themselves, and that note what
// they were made from.
type guest struct {
	cloud.None
	mu    sync.Mutex
	made  []cloud.Machine
	calls []string
}

func (g *guest) note(call string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, call)
}

func (g *guest) Create(_ context.Context, m cloud.Machine) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.made = append(g.made, m)
	return nil
}

func (g *guest) Shutdown(ctx context.Context, _ int64) error {
	g.note("asked")
	<-ctx.Done()
	g.note("cut off")
	return ctx.Err()
}

func (g *guest) PowerOff(context.Context, int64) error { g.note("power off"); return nil }

// A guest that does not stop leaves the server running, until its power is cut.
func TestGuestThatDoesNotStop(t *testing.T) {
	g := &guest{}
	w := newWorld(t, cloud.Options{Machines: g})
	w.make("servers", "web", serverBody("web", ""))
	path := w.at("servers", "web")
	w.do(path+"/actions/shutdown", "")
	w.is(path, "server.status", `"running"`)
	w.is(path, "server.locked", "false")
	w.do(path+"/actions/shutdown", "") // asking again changes nothing
	w.do(path+"/actions/enable_backup", "")
	w.do(path+"/actions/poweroff", "")
	w.is(path, "server.status", `"off"`)
	if want := []string{"asked", "cut off", "power off"}; !slices.Equal(g.calls, want) {
		t.Errorf("the machine was told %q, want %q", g.calls, want)
	}
}

// A rebuild makes the machine anew: same server, same addresses, and the old
// user data unless new ones come along.
func TestRebuildKeepsWhatItShould(t *testing.T) {
	g := &guest{}
	w := newWorld(t, cloud.Options{Machines: g})
	privateNetwork(w)
	w.make("ssh_keys", "k", `{"name":"k","public_key":"`+publicKey(t, 1)+`"}`)
	w.make("servers", "web", serverBody("web", fmt.Sprintf(`,"user_data":"old","networks":[%d],"ssh_keys":[%d]`, w.named["n"], w.named["k"])))
	path := w.at("servers", "web")
	before := w.get(path)
	w.do(path+"/actions/rebuild", `{"image":"debian-13"}`)
	w.do(path+"/actions/rebuild", `{"image":310557661,"user_data":"new"}`)
	w.do(path+"/actions/rebuild", `{"image":310557661,"user_data":""}`)
	after := w.get(path)
	for _, field := range []string{"id", "name", "public_net", "private_net", "created", "labels", "server_type", "status"} {
		if was, is := part(before, "server."+field), part(after, "server."+field); fmt.Sprint(was) != fmt.Sprint(is) {
			t.Errorf("%s was %v and is %v", field, was, is)
		}
	}
	var told []string
	for _, m := range g.made {
		told = append(told, m.OS+" "+m.UserData)
		if first := g.made[0]; m.ID != first.ID || m.IPv4 != first.IPv4 || len(m.Private) != 1 || m.Private[0] != first.Private[0] || len(m.SSHKeys) != 1 {
			t.Errorf("machine %+v, at first %+v", m, first)
		}
	}
	if want := []string{"debian old", "debian old", "nixos new", "nixos "}; !slices.Equal(told, want) {
		t.Errorf("machines were made from %q, want %q", told, want)
	}
}
