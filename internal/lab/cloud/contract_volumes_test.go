package cloud_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestVolumeShape(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "web", serverBody("web", ""))
	o := w.make("volumes", "v", `{"name":"v","size":10,"location":"1","labels":{"a":"b"}}`)
	shape := map[string]string{
		"volume.id": "int", "volume.name": "string", "volume.labels": "object", "volume.created": "time", "volume.size": "int", "volume.server": "null",
		"volume.location.id": "int", "volume.location.name": "string", "volume.location.network_zone": "string", "volume.linux_device": "string",
		"volume.format": "null", "volume.status": "string", "volume.protection.delete": "bool", "next_actions": "list",
	}
	w.shape(o, shape)
	w.shape(o, actionShape("action."))
	if list := part(o, "next_actions").([]any); len(list) != 0 || part(o, "volume.status") != "creating" || part(o, "action.command") != "create_volume" {
		t.Errorf("new volume: %v", o)
	}
	w.is(w.at("volumes", "v"), "volume.status", `"available"`)
	w.is(w.at("volumes", "v"), "volume.location.name", `"fsn1"`)
	w.is(w.at("volumes", "v"), "volume.linux_device", fmt.Sprintf(`"/dev/disk/by-id/scsi-0HC_Volume_%d"`, w.named["v"]))

	attached := w.make("volumes", "a", fmt.Sprintf(`{"name":"a","size":20,"server":%d,"format":"ext4","automount":true}`, w.named["web"]))
	w.shape(attached, actionShape("next_actions.0."))
	if part(attached, "next_actions.0.command") != "attach_volume" {
		t.Errorf("next actions: %v", attached)
	}
	shape["volume.server"], shape["volume.format"] = "int", "string"
	delete(shape, "next_actions")
	w.shape(w.get(w.at("volumes", "a")), shape)
	w.is(w.at("servers", "web"), "server.volumes", fmt.Sprintf(`[%d]`, w.named["a"]))
	w.want(http.StatusOK, "PUT", w.at("volumes", "a"), `{"name":"data","labels":{"x":""}}`)
	for query, want := range map[string]string{
		"?name=data": "1", "?name=a": "0", "?label_selector=x": "1", "?status=available": "2", "?status=creating": "0", "?sort=name:desc&per_page=1": "2",
	} {
		w.is("/volumes"+query, "meta.pagination.total_entries", want)
	}
}

func TestVolumeRefusals(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	w.make("servers", "web", serverBody("web", ""))
	w.make("servers", "far", `{"name":"far","server_type":"cx22","image":"debian-13","location":"hel1"}`)
	w.make("volumes", "v", `{"name":"v","size":10,"location":"nbg1"}`)
	w.make("volumes", "held", fmt.Sprintf(`{"name":"held","size":10,"server":%d}`, w.named["web"]))
	w.make("volumes", "safe", `{"name":"safe","size":10,"location":"nbg1"}`)
	w.do(w.at("volumes", "safe")+"/actions/change_protection", `{"delete":true}`)
	bad := func(name, body, field string) refusal {
		return refusal{name, "POST", "/volumes", body, 422, "invalid_input", field}
	}
	attach := func(volume, server string) (string, string) {
		return w.at("volumes", volume) + "/actions/attach", fmt.Sprintf(`{"server":%d}`, w.named[server])
	}
	heldPath, heldBody := attach("held", "web")
	farPath, farBody := attach("v", "far")
	web := fmt.Sprint(w.named["web"])
	w.refuses([]refusal{
		bad("no name", `{"size":10,"location":"nbg1"}`, "name"),
		bad("name", `{"name":"a b","size":10,"location":"nbg1"}`, "name"),
		bad("name ends in a dash", `{"name":"a-","size":10,"location":"nbg1"}`, "name"),
		bad("too small", `{"name":"x","size":9,"location":"nbg1"}`, "size"),
		bad("too big", `{"name":"x","size":10241,"location":"nbg1"}`, "size"),
		bad("no place", `{"name":"x","size":10}`, "location"),
		bad("two places", `{"name":"x","size":10,"location":"nbg1","server":`+web+`}`, "location"),
		bad("nowhere", `{"name":"x","size":10,"location":"moon"}`, "location"),
		bad("format", `{"name":"x","size":10,"location":"nbg1","format":"zfs"}`, "format"),
		bad("automount without a server", `{"name":"x","size":10,"location":"nbg1","format":"ext4","automount":true}`, "automount"),
		bad("automount without a format", `{"name":"x","size":10,"server":`+web+`,"automount":true}`, "automount"),
		bad("no such server", `{"name":"x","size":10,"server":5}`, "server"),
		bad("label", `{"name":"x","size":10,"location":"nbg1","labels":{"-":""}}`, "labels"),
		{"name taken", "POST", "/volumes", `{"name":"v","size":10,"location":"nbg1"}`, 409, "uniqueness_error", ""},
		{"rename badly", "PUT", w.at("volumes", "v"), `{"name":"a b"}`, 422, "invalid_input", "name"},
		{"attached already", "POST", heldPath, heldBody, 422, "volume_already_attached", ""},
		{"other location", "POST", farPath, farBody, 422, "invalid_input", "server"},
		{"to no server", "POST", w.at("volumes", "v") + "/actions/attach", `{"server":5}`, 422, "invalid_input", "server"},
		{"detached already", "POST", w.at("volumes", "v") + "/actions/detach", "", 422, "service_error", ""},
		{"shrink", "POST", w.at("volumes", "v") + "/actions/resize", `{"size":10}`, 422, "invalid_input", "size"},
		{"grow too much", "POST", w.at("volumes", "v") + "/actions/resize", `{"size":10241}`, 422, "invalid_input", "size"},
		{"delete while attached", "DELETE", w.at("volumes", "held"), "", 422, "service_error", ""},
		{"delete while protected", "DELETE", w.at("volumes", "safe"), "", 403, "protected", ""},
		{"delete nothing", "DELETE", "/volumes/5", "", 404, "not_found", ""},
	})
	w.is("/volumes", "meta.pagination.total_entries", "3")
	w.do(w.at("volumes", "held")+"/actions/detach", "")
	w.want(http.StatusNoContent, "DELETE", w.at("volumes", "held"), "")
	w.is(w.at("servers", "web"), "server.volumes", `[]`)
}

func TestVolumeDeeds(t *testing.T) {
	t.Parallel()
	create := func(w *world) {
		w.make("servers", "web", serverBody("web", `,"start_after_create":false`))
		w.make("volumes", "volumes", `{"name":"v","size":10,"location":"nbg1"}`)
	}
	attach := func(w *world) string { return fmt.Sprintf(`{"server":%d}`, w.named["web"]) }
	held := func(w *world) {
		w.do(w.at("volumes", "volumes")+"/actions/attach", attach(w))
	}
	deeds(t, "volumes", "locked", create, []deed{
		{
			call: "attach", command: "attach_volume", body: attach, also: []string{"server"},
			after: func(w *world) { w.is(w.path, "volume.server", fmt.Sprint(w.named["web"])) },
		},
		{
			call: "detach", command: "detach_volume", prepare: held, also: []string{"server"},
			after: func(w *world) { w.is(w.path, "volume.server", "null") },
		},
		{
			call: "resize", command: "resize_volume", prepare: held, body: func(*world) string { return `{"size":11}` },
			after: func(w *world) { w.is(w.path, "volume.size", "11") },
		},
		{
			call: "change_protection", command: "change_protection", body: func(*world) string { return `{"delete":true}` },
			after: func(w *world) { w.is(w.path, "volume.protection.delete", "true") },
		},
	})
}

// One action at a time holds a server, so volumes are attached one by one.
func TestVolumesWaitForTheirServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cloud.Options{ActionLatency: longEnough})
	w.make("servers", "web", serverBody("web", `,"start_after_create":false`))
	w.make("volumes", "a", `{"name":"a","size":10,"location":"nbg1"}`)
	w.make("volumes", "b", `{"name":"b","size":10,"location":"nbg1"}`)
	server := fmt.Sprintf(`{"server":%d}`, w.named["web"])
	first := w.want(http.StatusCreated, "POST", w.at("volumes", "a")+"/actions/attach", server)
	w.is(w.at("volumes", "a"), "volume.server", "null") // not before the action has ended
	w.is(w.at("servers", "web"), "server.locked", "true")
	w.refuses([]refusal{
		{"the next volume", "POST", w.at("volumes", "b") + "/actions/attach", server, 423, "locked", ""},
		{"a new volume for it", "POST", "/volumes", fmt.Sprintf(`{"name":"c","size":10,"server":%d}`, w.named["web"]), 423, "locked", ""},
		{"the server's power", "POST", w.at("servers", "web") + "/actions/poweron", "", 423, "locked", ""},
		{"the server's name", "PUT", w.at("servers", "web"), `{"name":"x"}`, 423, "locked", ""},
		{"the server's end", "DELETE", w.at("servers", "web"), "", 423, "locked", ""},
		{"the volume's end", "DELETE", w.at("volumes", "a"), "", 423, "locked", ""},
	})
	w.settle(first)
	w.do(w.at("volumes", "b")+"/actions/attach", server)
	w.is(w.at("servers", "web"), "server.volumes", fmt.Sprintf(`[%d,%d]`, w.named["a"], w.named["b"]))
}

// A lab that is stopped meanwhile has not made what it was about to make.
func TestVolumeCutOffByARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.json")
	f := start(t, cloud.Options{StateFile: file})
	s := f.server("web")
	slow := start(t, cloud.Options{StateFile: file, ActionLatency: longEnough})
	w := &world{fixture: slow, named: map[string]int64{}}
	w.want(http.StatusCreated, "POST", "/volumes", fmt.Sprintf(`{"name":"v","size":10,"server":%d}`, s.ID))
	again := &world{fixture: start(t, cloud.Options{StateFile: file}), named: map[string]int64{}}
	again.is("/volumes", "volumes", "[]")
	again.is(fmt.Sprintf("/servers/%d", s.ID), "server.volumes", "[]")
}

func TestVolumeClient(t *testing.T) {
	f := start(t, cloud.Options{})
	s := f.server("web")
	created, _, err := f.Volume.Create(f.ctx, hcloud.VolumeCreateOpts{
		Name: "data", Size: 50, Server: s, Labels: map[string]string{"a": "b"}, Format: hcloud.Ptr("xfs"), Automount: hcloud.Ptr(true),
	})
	f.must(err)
	if created.Volume.Status != hcloud.VolumeStatusCreating || len(created.NextActions) != 1 {
		t.Errorf("created: %+v", created)
	}
	f.wait(append(created.NextActions, created.Action)...)
	v, _, err := f.Volume.GetByName(f.ctx, "data")
	f.must(err)
	if v.Server == nil || v.Server.ID != s.ID || v.Size != 50 || v.Location.Name != "nbg1" || *v.Format != "xfs" || v.Status != hcloud.VolumeStatusAvailable || v.LinuxDevice == "" {
		t.Errorf("volume: %+v", v)
	}
	action, _, err := f.Volume.Resize(f.ctx, v, 60)
	f.must(err)
	f.wait(action)
	_, err = f.Volume.Delete(f.ctx, v)
	f.wantCode(err, hcloud.ErrorCodeServiceError)
	// A server leaves its volumes behind, free.
	gone, _, err := f.Server.DeleteWithResult(f.ctx, s)
	f.must(err)
	f.wait(gone.Action)
	v, _, err = f.Volume.GetByID(f.ctx, v.ID)
	f.must(err)
	if v.Server != nil || v.Size != 60 {
		t.Errorf("volume after its server: %+v", v)
	}
	opts := createOpts("next")
	opts.Volumes, opts.Automount = []*hcloud.Volume{v}, hcloud.Ptr(true)
	result, _, err := f.Server.Create(f.ctx, opts)
	f.must(err)
	f.wait(append(result.NextActions, result.Action)...)
	if now := f.status(result.Server, hcloud.ServerStatusRunning); len(now.Volumes) != 1 || now.Volumes[0].ID != v.ID {
		t.Errorf("volumes of the new server: %+v", now.Volumes)
	}
	action, _, err = f.Volume.Detach(f.ctx, v)
	f.must(err)
	f.wait(action)
	_, err = f.Volume.Delete(f.ctx, v)
	f.must(err)
	if v, _, err = f.Volume.GetByID(f.ctx, v.ID); err != nil || v != nil {
		t.Errorf("the deleted volume is read as %+v, %v", v, err)
	}
}
