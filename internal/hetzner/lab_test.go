package hetzner_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
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
	seen     map[string]int
	trouble  *trouble
	troubled int
	before   func(*http.Request) // a request is served; not to be changed while requests run
	delay    time.Duration
}

func newAccount(t *testing.T, o cloud.Options) *account {
	t.Helper()
	o.Token = token
	api, err := cloud.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return &account{API: api, seen: map[string]int{}}
}

// trouble happens to every request that comes for the first, third, … time.
type trouble struct {
	status int // 0: the network
	code   string
	after  bool // the request is served, and its answer lost
}

// RoundTrip answers without a network.
func (a *account) RoundTrip(req *http.Request) (*http.Response, error) {
	body := []byte{}
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	key := req.Method + " " + req.URL.RequestURI() + " " + string(body)
	a.mu.Lock()
	a.requests = append(a.requests, req.Method+" "+strings.TrimPrefix(req.URL.Path, "/v1"))
	a.seen[key]++
	wrong := a.trouble
	if a.seen[key]%2 == 0 {
		wrong = nil
	}
	if wrong != nil {
		a.troubled++
	}
	delay := a.delay
	a.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if a.before != nil {
		a.before(req)
	}
	w := httptest.NewRecorder()
	w.Header().Set("Date", time.Now().Add(time.Duration(a.skew.Load())).UTC().Format(http.TimeFormat))
	if wrong == nil || wrong.after {
		req.Body = io.NopCloser(bytes.NewReader(body))
		a.ServeHTTP(w, req)
	}
	switch {
	case wrong == nil:
		return w.Result(), nil
	case wrong.status == 0:
		return nil, errors.New("connection reset")
	}
	w = httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(wrong.status)
	_, err := fmt.Fprintf(w, `{"error":{"code":%q,"message":"trouble"}}`, wrong.code)
	return w.Result(), err
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

// labels are all labels of a server, as the API tells them.
func (a *account) labels(t *testing.T, server string) map[string]string {
	t.Helper()
	var list struct {
		Servers []struct {
			Name   string            `json:"name"`
			Labels map[string]string `json:"labels"`
		} `json:"servers"`
	}
	check(t, json.Unmarshal([]byte(a.dump(t)["servers"]), &list))
	for _, s := range list.Servers {
		if s.Name == server {
			return s.Labels
		}
	}
	t.Fatalf("no server %q", server)
	return nil
}

func id(n int64) string { return strconv.FormatInt(n, 10) }
