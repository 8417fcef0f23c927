package cloud_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestPlacementGroupShape(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	o := w.make("placement_groups", "g", `{"name":"g","type":"spread","labels":{"a":"b"}}`)
	w.shape(o, map[string]string{
		"placement_group.id": "int", "placement_group.name": "string", "placement_group.labels": "object", "placement_group.created": "time",
		"placement_group.type": "string", "placement_group.servers": "list", "action": "null",
	})
	w.make("servers", "web", serverBody("web", fmt.Sprintf(`,"placement_group":%d`, w.named["g"])))
	w.shape(w.get(w.at("servers", "web")), map[string]string{
		"server.placement_group.id": "int", "server.placement_group.name": "string", "server.placement_group.type": "string",
		"server.placement_group.servers": "list", "server.placement_group.labels": "object", "server.placement_group.created": "time",
	})
	w.is(w.at("placement_groups", "g"), "placement_group.servers", fmt.Sprintf(`[%d]`, w.named["web"]))
	w.want(http.StatusOK, "PUT", w.at("placement_groups", "g"), `{"name":"h","labels":{}}`)
	w.is("/placement_groups?name=h&type=spread", "placement_groups.0.labels", `{}`)
}

func TestPlacementGroupRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("placement_groups", "full", `{"name":"full","type":"spread"}`)
	w.make("placement_groups", "free", `{"name":"free","type":"spread"}`)
	in := func(name string) string {
		return fmt.Sprintf(`,"start_after_create":false,"placement_group":%d`, w.named[name])
	}
	for i := range 10 {
		w.make("servers", fmt.Sprintf("s%d", i), serverBody(fmt.Sprintf("s%d", i), in("full")))
	}
	w.make("servers", "off", serverBody("off", `,"start_after_create":false`))
	w.make("servers", "on", serverBody("on", ""))
	w.make("servers", "member", serverBody("member", fmt.Sprintf(`,"placement_group":%d`, w.named["free"])))
	join, leave := "/actions/add_to_placement_group", "/actions/remove_from_placement_group"
	group := func(name string) string { return fmt.Sprintf(`{"placement_group":%d}`, w.named[name]) }
	w.refuses([]refusal{
		{"no type", "POST", "/placement_groups", `{"name":"x"}`, 422, "invalid_input", "type"},
		{"another type", "POST", "/placement_groups", `{"name":"x","type":"pack"}`, 422, "invalid_input", "type"},
		{"name taken", "POST", "/placement_groups", `{"name":"full","type":"spread"}`, 409, "uniqueness_error", ""},
		{"an 11th server", "POST", "/servers", serverBody("eleven", in("full")), 422, "service_error", ""},
		{"join a full group", "POST", w.at("servers", "off") + join, group("full"), 422, "service_error", ""},
		{"join while running", "POST", w.at("servers", "on") + join, group("free"), 422, "server_not_stopped", ""},
		{"join nothing", "POST", w.at("servers", "off") + join, `{"placement_group":5}`, 422, "invalid_input", "placement_group"},
		{"a second group", "POST", w.at("servers", "s1") + join, group("free"), 422, "service_error", ""},
		{"leave while running", "POST", w.at("servers", "member") + leave, "", 422, "server_not_stopped", ""},
		{"leave nothing", "POST", w.at("servers", "off") + leave, "", 422, "service_error", ""},
		{"delete with members", "DELETE", w.at("placement_groups", "full"), "", 422, "resource_in_use", ""},
		{"delete nothing", "DELETE", "/placement_groups/5", "", 404, "not_found", ""},
	})
	w.settle(w.want(http.StatusOK, "DELETE", w.at("servers", "member"), ""))
	w.want(http.StatusNoContent, "DELETE", w.at("placement_groups", "free"), "") // its servers are gone
	for i := range 49 {
		w.make("placement_groups", "more", fmt.Sprintf(`{"name":"more%d","type":"spread"}`, i))
	}
	w.refuses([]refusal{{"the 51st", "POST", "/placement_groups", `{"name":"x","type":"spread"}`, 403, "resource_limit_exceeded", ""}})
}

func TestPlacementGroupClient(t *testing.T) {
	f := start(t, cloud.Options{})
	created, _, err := f.PlacementGroup.Create(f.ctx, hcloud.PlacementGroupCreateOpts{Name: "g", Type: hcloud.PlacementGroupTypeSpread})
	f.must(err)
	if created.Action != nil {
		t.Errorf("an action came along: %+v", created.Action)
	}
	s := f.server("web")
	_, _, err = f.Server.AddToPlacementGroup(f.ctx, s, created.PlacementGroup)
	f.wantCode(err, hcloud.ErrorCodeServerNotStopped)
	action, _, err := f.Server.Poweroff(f.ctx, s)
	f.must(err)
	f.wait(action)
	action, _, err = f.Server.AddToPlacementGroup(f.ctx, s, created.PlacementGroup)
	f.must(err)
	f.wait(action)
	if now := f.status(s, hcloud.ServerStatusOff); now.PlacementGroup == nil || now.PlacementGroup.Name != "g" {
		t.Errorf("group of the server: %+v", now.PlacementGroup)
	}
	group, _, err := f.PlacementGroup.GetByName(f.ctx, "g")
	f.must(err)
	if len(group.Servers) != 1 || group.Servers[0] != s.ID {
		t.Errorf("servers of the group: %v", group.Servers)
	}
	action, _, err = f.Server.RemoveFromPlacementGroup(f.ctx, s)
	f.must(err)
	f.wait(action)
	_, err = f.PlacementGroup.Delete(f.ctx, group)
	f.must(err)
}
