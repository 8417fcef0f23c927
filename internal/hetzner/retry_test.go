package hetzner

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func client(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c, err := New(Options{
		Token: secret.New("token"), Endpoint: server.URL, Fleet: "acme", PollInterval: time.Millisecond, RetryBackoff: time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// After "too many requests" the wait is what the bucket needs to refill.
func TestWaitsUntilRequestsAreAvailable(t *testing.T) {
	began, asked := time.Now(), 0
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("RateLimit-Limit", "20")
		w.Header().Set("RateLimit-Remaining", "0")
		w.Header().Set("RateLimit-Reset", strconv.FormatInt(began.Unix()+4, 10)) // three to four seconds for twenty
		if asked == 1 {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = fmt.Fprint(w, `{"error":{"code":"rate_limit_exceeded","message":"slow down"}}`)
			return
		}
		_, _ = fmt.Fprint(w, `{"network":{"id":1,"ip_range":"10.0.0.0/16"}}`)
	})
	if _, err := c.network(context.Background(), "looking", 1); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 140*time.Millisecond || took > 2*time.Second || asked != 2 {
		t.Errorf("asked %d times in %s, want one wait of about a twentieth of the time until reset", asked, took)
	}
	if !c.limit.scarce() {
		t.Error("an empty bucket is not scarce")
	}
	if full := (&rateLimit{total: 10, remaining: 10}); full.scarce() || full.refill(5) != 0 {
		t.Error("a full bucket makes wait")
	}
}

func TestAnswersThatAreNotTheAPIs(t *testing.T) {
	for status, want := range map[int]int{502: 5, 503: 5, 504: 5, 500: 5, 404: 1, 401: 1} {
		asked := 0
		c := client(t, func(w http.ResponseWriter, _ *http.Request) {
			asked++
			http.Error(w, "<html>somewhere in between</html>", status)
		})
		_, err := c.network(context.Background(), "looking", 1)
		var p *problem.Problem
		if !errors.As(err, &p) || asked != want {
			t.Errorf("HTTP %d: asked %d times, want %d; %v", status, asked, want, err)
		}
	}
}

func TestActionsThatVanish(t *testing.T) {
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"actions":[]}`)
	})
	err := c.actions.wait(context.Background(), &hcloud.Action{ID: 1, Status: hcloud.ActionStatusRunning}, nil,
		&hcloud.Action{ID: 2, Status: hcloud.ActionStatusSuccess})
	if err == nil || err.Error() != "action 1 is no longer known to the API" {
		t.Errorf("got %v", err)
	}
}

// The newest snapshot wins, whatever the order of the answer, and is asked for once.
func TestNewestSnapshot(t *testing.T) {
	asked := ""
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		asked += r.URL.RawQuery
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, `{"images":[
			{"id":1,"type":"snapshot","status":"available","created":"2026-01-01T00:00:00Z"},
			{"id":3,"type":"snapshot","status":"available","created":"2026-03-01T00:00:00Z"},
			{"id":2,"type":"snapshot","status":"available","created":"2026-02-01T00:00:00Z"}]}`)
	})
	for range 2 {
		image, err := c.findImage(context.Background(), "os=nixos,tested", hcloud.ArchitectureARM)
		if err != nil || image.ID != 3 {
			t.Errorf("got %+v, %v", image, err)
		}
	}
	want := "architecture=arm&label_selector=os%3Dnixos%2Ctested&page=1&per_page=50&sort=created%3Adesc&status=available&type=snapshot"
	if asked != want {
		t.Errorf("asked for %s, want %s", asked, want)
	}
}

func TestImageOfAHashedLabel(t *testing.T) {
	long := "os=nixos,purpose in (web,db,cache,queue),channel=nixos-25.11,tested"
	c := client(t, func(http.ResponseWriter, *http.Request) {})
	labels := c.orderLabels(fleet.ServerOrder{Server: fleet.Server{Image: long}})
	s := &hcloud.Server{Name: "web-1", Labels: labels}
	image := func(declared string) string {
		return newView(c, fleet.Fleet{Servers: map[string]fleet.Server{"web-1": {Image: declared}}}).server(s).Image
	}
	if got := image(long); got != long {
		t.Errorf("declared as it was: %q", got)
	}
	if got := image("debian-13"); got == "debian-13" || got == "" {
		t.Errorf("declared otherwise: %q", got)
	}
}
