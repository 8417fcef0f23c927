package hetzner_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const token = "wF5x0QmZt7RkJ3uYc9BvLh2NaPs8Dg1EiO6TqXyKzCrVbMnWjHfGdSlAeUoI4p00"

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc someone@example.com"

// account is a lab's API without machines, and what was asked of it.
type account struct {
	*cloud.API
	skew     atomic.Int64 // nanoseconds that the API's clock is ahead
	mu       sync.Mutex
	requests []string // "POST /servers"
}

func newAccount(t *testing.T, o cloud.Options) *account {
	t.Helper()
	o.Token = token
	api, err := cloud.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return &account{API: api}
}

// RoundTrip answers without a network.
func (a *account) RoundTrip(req *http.Request) (*http.Response, error) {
	a.mu.Lock()
	a.requests = append(a.requests, req.Method+" "+strings.TrimPrefix(req.URL.Path, "/v1"))
	a.mu.Unlock()
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	if req.Body == nil {
		req.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().Add(time.Duration(a.skew.Load())).UTC().Format(http.TimeFormat))
	a.ServeHTTP(w, req)
	return w.Result(), nil
}

func (a *account) count(pattern string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := 0
	for _, r := range a.requests {
		if regexp.MustCompile(pattern).MatchString(r) {
			n++
		}
	}
	return n
}

func (a *account) inject(t *testing.T, f cloud.Fault) {
	t.Helper()
	if err := a.Inject(f); err != nil {
		t.Fatal(err)
	}
}

// faultsLeft tells which faults have not happened, as the API does.
func (a *account) faultsLeft(t *testing.T) string {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, "/_lab/faults", http.NoBody)
	req.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	a.ServeHTTP(w, req)
	return strings.TrimSpace(w.Body.String())
}

func (a *account) client(t *testing.T, name string) *hetzner.Client {
	t.Helper()
	c, err := hetzner.New(hetzner.Options{
		Token: secret.New(token), Endpoint: "http://lab.invalid/v1", Fleet: name,
		PollInterval: time.Millisecond, RetryBackoff: time.Millisecond, HTTPClient: &http.Client{Transport: a},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func order(name string) fleet.ServerOrder {
	return fleet.ServerOrder{
		Name: name,
		Server: fleet.Server{
			ServerType: "cx22", Image: "debian-13", Locations: []string{"nbg1"}, Labels: map[string]string{"env": "test"},
			PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true},
		},
		HostKey: strings.Repeat("a", 52), KeysDigest: "abcdefgh",
	}
}

func network() fleet.Network {
	return fleet.Network{IPRange: "10.0.0.0/16", Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.1.0/24"}}}
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(problem.Text(err))
		}
		return v
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(problem.Text(err))
	}
}

func read(t *testing.T, c *hetzner.Client) fleet.Account {
	t.Helper()
	return must[fleet.Account](t)(c.Account(context.Background(), fleet.Fleet{}))
}

// asProblem fails the test unless err is a Problem.
func asProblem(t *testing.T, err error) *problem.Problem {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v, want a Problem", err)
	}
	return p
}

// second gives the error of two results.
func second[T any](_ T, err error) error { return err }
