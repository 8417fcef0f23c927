package hetzner_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// stubborn machines do not listen when they are asked to shut down.
type stubborn struct{ cloud.None }

func (stubborn) Shutdown(ctx context.Context, _ int64) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestGuestThatDoesNotShutDown(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{Machines: stubborn{}})
	c, err := hetzner.New(hetzner.Options{
		Token: secret.New(token), Endpoint: "http://lab.invalid/v1", Fleet: "acme", PollInterval: time.Millisecond,
		RetryBackoff: time.Millisecond, ShutdownTimeout: 50 * time.Millisecond, HTTPClient: &http.Client{Transport: api},
	})
	check(t, err)
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, order("web-1"), secret.New("")))
	began := time.Now()
	check(t, c.PowerOff(ctx, made.ID))
	if took := time.Since(began); took < 50*time.Millisecond || api.count("/shutdown$") != 1 || api.count("/poweroff$") != 1 {
		t.Errorf("after %s: %d shutdowns, %d power cuts", took, api.count("/shutdown$"), api.count("/poweroff$"))
	}
	if s := read(t, c).Servers["web-1"]; s.Status != "off" || !s.SwitchedOff {
		t.Errorf("%s, switched off %t", s.Status, s.SwitchedOff)
	}
}

func TestGuestThatShutsDown(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, order("web-1"), secret.New("")))
	check(t, c.PowerOff(ctx, made.ID))
	before := api.count(".")
	check(t, c.PowerOff(ctx, made.ID)) // it is off
	if api.count("/poweroff$") != 0 || api.count(".") != before+1 {
		t.Errorf("%d power cuts, %d requests for one that is off", api.count("/poweroff$"), api.count(".")-before)
	}
	check(t, c.PowerOn(ctx, made.ID))
	if s := read(t, c).Servers["web-1"]; s.Status != "running" || s.SwitchedOff {
		t.Errorf("%+v", s)
	}
	if _, left := api.labels(t, "web-1")["flotilla/off"]; left {
		t.Error("the label is left")
	}
}

// A server that people switched off is not Flotilla's doing.
func TestServerThatPeopleSwitchedOff(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, order("web-1"), secret.New("")))
	api.post(t, "servers/"+id(made.ID)+"/actions/poweroff", "{}")
	for read(t, c).Servers["web-1"].Status != "off" {
		time.Sleep(time.Millisecond)
	}
	check(t, c.PowerOff(ctx, made.ID))
	if s := read(t, c).Servers["web-1"]; s.SwitchedOff {
		t.Errorf("%+v", s)
	}
}

// One that was made stopped counts as switched off for some days, unless it
// runs; the label goes with the next change of labels.
func TestServerThatWasMadeStopped(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	o := order("web-1")
	o.Stopped = true
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	if s := read(t, c).Servers["web-1"]; made.Status != "off" || !made.SwitchedOff || s.Status != "off" || !s.SwitchedOff {
		t.Errorf("made %+v, read %+v", made, s)
	}
	api.skew.Store(int64(73 * time.Hour))
	if read(t, c).Servers["web-1"].SwitchedOff {
		t.Error("after three days it still counts")
	}
	api.skew.Store(0)
	check(t, c.PowerOn(ctx, made.ID))
	if read(t, c).Servers["web-1"].SwitchedOff {
		t.Error("it runs")
	}
	check(t, c.SetLabels(ctx, plans.KindServer, made.ID, map[string]string{"env": "test"}))
	if _, left := api.labels(t, "web-1")["flotilla/off"]; left {
		t.Error("the label is left")
	}
	// Another run starts what one that died has left.
	o.Name = "web-2"
	made = must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	check(t, api.client(t, "acme").PowerOn(ctx, made.ID))
	if _, left := api.labels(t, "web-2")["flotilla/off"]; left {
		t.Error("the other's label is left")
	}
}

func TestChangeOfTypeThatGrowsTheDisk(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, order("web-1"), secret.New("")))
	if p := asProblem(t, c.ChangeType(ctx, made.ID, "cx32", false)); !strings.Contains(problem.Text(p), "server_not_stopped") {
		t.Errorf("of a server that runs: %s", problem.Text(p))
	}
	check(t, c.PowerOff(ctx, made.ID))
	check(t, c.ChangeType(ctx, made.ID, "cx32", false))
	if s := read(t, c).Servers["web-1"]; s.ServerType != "cx32" || s.Disk != 80 || s.Status != "running" || s.SwitchedOff {
		t.Errorf("%+v", s)
	}
	check(t, c.PowerOff(ctx, made.ID))
	if p := asProblem(t, c.ChangeType(ctx, made.ID, "cx22", true)); len(p.Hints) == 0 {
		t.Errorf("back to a smaller disk: %s", problem.Text(p))
	}
	if p := asProblem(t, c.ChangeType(ctx, made.ID, "cx9000", true)); !strings.Contains(p.Hints[0], "cx22") {
		t.Error(problem.Text(p))
	}
}

// Whenever a rebuild ends too early, the host can be reached: its key is one of
// the two that are published.
func TestRebuildThatEndsTooEarly(t *testing.T) {
	ctx := context.Background()
	for name, f := range map[string]cloud.Fault{
		"before": {Method: "POST", Path: "rebuild$", Status: 422, Code: "service_error"},
		"after":  {Method: "GET", Path: "^/actions$", Status: 401, Code: "unauthorized", Times: 100},
	} {
		api := newAccount(t, cloud.Options{})
		c := api.client(t, "acme")
		o := order("web-1")
		made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
		check(t, c.Publish(ctx, made.ID, fleet.Published{HostKey: o.HostKey, Commit: "abc", SystemHash: "def", Held: true}))
		again := o
		again.HostKey, again.Server.Image, again.KeysDigest = strings.Repeat("c", 52), "os=nixos", "other"
		api.inject(t, f)
		if err := c.Rebuild(ctx, made.ID, again, secret.New("")); err == nil {
			t.Fatalf("%s: no error", name)
		}
		api.Recover()
		s := read(t, c).Servers["web-1"]
		if want := (fleet.Published{HostKey: o.HostKey, NextHostKey: again.HostKey}); s.Published != want || s.Image != "debian-13" || s.KeysDigest != o.KeysDigest {
			t.Errorf("%s: %+v", name, s)
		}
		check(t, c.Rebuild(ctx, made.ID, again, secret.New("")))
		s = read(t, c).Servers["web-1"]
		if want := (fleet.Published{HostKey: again.HostKey}); s.Published != want || s.Image != "os=nixos" || s.KeysDigest != "other" || s.Labels["env"] != "test" {
			t.Errorf("%s, in the end: %+v", name, s)
		}
	}
}
