package hetzner_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func TestFinalAnswersAreNotRepeated(t *testing.T) {
	for code, status := range map[string]int{
		"unauthorized": 401, "forbidden": 403, "invalid_input": 422, "json_error": 400, "resource_limit_exceeded": 403,
		"protected": 423, "resource_locked": 423, "service_error": 422, "unsupported_error": 422, "resource_unavailable": 412,
	} {
		api := newAccount(t, cloud.Options{})
		api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: status, Code: code, Message: "no, " + code, Times: 50})
		_, err := api.client(t, "acme").CreateServer(context.Background(), order("web-1"), secret.New(""))
		text := problem.Text(asProblem(t, err))
		if n := api.count("^POST /servers$"); n != 1 {
			t.Errorf("%s: sent %d times", code, n)
		}
		for _, part := range []string{`creating the server "web-1"`, "no, " + code, "code " + code, "correlation id"} {
			if !strings.Contains(text, part) {
				t.Errorf("%s: no %q in\n%s", code, part, text)
			}
		}
	}
}

func TestTroubleThatDoesNotPass(t *testing.T) {
	for code, want := range map[string]int{"locked": 12, "server_error": 5} {
		api := newAccount(t, cloud.Options{})
		api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 500, Code: code, Times: 100})
		_, err := api.client(t, "acme").CreateServer(context.Background(), order("web-1"), secret.New(""))
		if p := asProblem(t, err); len(p.Hints) == 0 {
			t.Errorf("%s: no hint: %s", code, problem.Text(err))
		}
		if n := api.count("^POST /servers$"); n != want {
			t.Errorf("%s: sent %d times, want %d", code, n, want)
		}
	}
}

func TestNextLocationWithRoom(t *testing.T) {
	for _, code := range []string{"resource_unavailable", "placement_error"} {
		api := newAccount(t, cloud.Options{})
		c := api.client(t, "acme")
		api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 412, Code: code, Times: 2})
		o := order("web-1")
		o.Server.Locations = []string{"nbg1", "fsn1", "hel1"}
		made := must[fleet.AccountServer](t)(c.CreateServer(context.Background(), o, secret.New("")))
		if made.Location != "hel1" || api.count("^POST /servers$") != 3 {
			t.Errorf("%s: in %s after %d tries", code, made.Location, api.count("^POST /servers$"))
		}
		api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 412, Code: code, Times: 3})
		o.Name = "web-2"
		_, err := c.CreateServer(context.Background(), o, secret.New(""))
		if p := asProblem(t, err); !strings.Contains(p.Detail, "cx22 in nbg1, cx22 in fsn1, cx22 in hel1") || !strings.Contains(p.Hints[0], "capacity") {
			t.Error(problem.Text(err))
		}
	}
}

// When no location has room for the type, the fallback types are tried in all
// of them; each order is sent once.
func TestNextTypeWithRoom(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	o := order("web-1")
	o.Server.Locations, o.Server.FallbackTypes = []string{"nbg1", "fsn1"}, []string{"cx32", "cx42"}
	api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 412, Code: "resource_unavailable", Times: 4})
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	if made.ServerType != "cx42" || made.Location != "nbg1" || api.count("^POST /servers$") != 5 {
		t.Errorf("%s in %s after %d orders", made.ServerType, made.Location, api.count("^POST /servers$"))
	}
	if n := api.count("^GET /images$"); n != 1 {
		t.Errorf("%d requests for images, want one: they are of one architecture", n)
	}
	api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 412, Code: "resource_unavailable", Times: 6})
	o.Name = "web-2"
	_, err := c.CreateServer(ctx, o, secret.New(""))
	says(t, err, "cx22 in nbg1, cx22 in fsn1, cx32 in nbg1, cx32 in fsn1, cx42 in nbg1, cx42 in fsn1", "capacity")
	// What is not about capacity ends it at once.
	api.inject(t, cloud.Fault{Method: "POST", Path: "^/servers$", Status: 403, Code: "resource_limit_exceeded"})
	before := api.count("^POST /servers$")
	_, err = c.CreateServer(ctx, o, secret.New(""))
	says(t, err, "Limits")
	if api.count("^POST /servers$") != before+1 {
		t.Error("a quota is no reason to try another type")
	}
}

func TestFailedActions(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, order("web-1"), secret.New("")))
	api.inject(t, cloud.Fault{Method: "POST", Path: "reset$", Action: true, Code: "locked", Times: 2})
	check(t, c.Reset(ctx, made.ID))
	if n := api.count("reset$"); n != 3 {
		t.Errorf("reset sent %d times, want 3", n)
	}
	api.inject(t, cloud.Fault{Method: "POST", Path: "reset$", Action: true, Code: "action_failed", Message: "it broke"})
	if text := problem.Text(asProblem(t, c.Reset(ctx, made.ID))); !strings.Contains(text, "it broke") || !strings.Contains(text, "action_failed") {
		t.Error(text)
	}
}

func TestInterruptEndsWaits(t *testing.T) {
	api := newAccount(t, cloud.Options{ActionLatency: 2 * time.Second})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := api.client(t, "acme").CreateServer(ctx, order("web-1"), secret.New(""))
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 1500*time.Millisecond {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
}
