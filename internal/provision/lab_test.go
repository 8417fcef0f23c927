package provision_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// The contract between Expand, Contract and a real adapter.
var _ provision.Provider = (*hetzner.Client)(nil)

const token = "wF5x0QmZt7RkJ3uYc9BvLh2NaPs8Dg1EiO6TqXyKzCrVbMnWjHfGdSlAeUoI4p00"

// project is a lab's API without machines, behind a connection that can fail.
type project struct {
	*cloud.API
	mu     sync.Mutex
	calls  int
	keysIn []string // requests that held a private key

	// failAt makes the n-th request fail: before it is sent or after it took
	// effect. With kill, the caller's context ends too, as if the process died.
	failAt int
	after  bool
	kill   context.CancelFunc
}

func newProject(t *testing.T) *project {
	t.Helper()
	api, err := cloud.New(cloud.Options{Token: token, RateLimit: 1000000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	return &project{API: api}
}

// heal ends the trouble and tells how many requests there were.
func (p *project) heal() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failAt, p.kill = 0, nil
	return p.calls
}

var errLost = errors.New("connection reset by peer")

func (p *project) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.calls++
	fails, after, kill := p.calls == p.failAt, p.after, p.kill
	p.mu.Unlock()
	if fails && !after {
		if kill != nil {
			kill()
		}
		return nil, errLost
	}
	body := []byte{}
	if req.Body != nil {
		var err error
		if body, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
	}
	if bytes.Contains(body, []byte("PRIVATE KEY")) {
		p.mu.Lock()
		p.keysIn = append(p.keysIn, req.Method+" "+req.URL.Path)
		p.mu.Unlock()
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	w := httptest.NewRecorder()
	p.ServeHTTP(w, req)
	if fails {
		if kill != nil {
			kill()
		}
		return nil, errLost
	}
	return w.Result(), nil
}

func (p *project) client(t *testing.T) *hetzner.Client {
	t.Helper()
	c, err := hetzner.New(hetzner.Options{
		Token: secret.New(token), Endpoint: "http://lab.invalid/v1", Fleet: "acme",
		PollInterval: time.Millisecond, RetryBackoff: time.Millisecond, HTTPClient: &http.Client{Transport: p},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func three() fleet.Fleet {
	server := func(ip string) fleet.Server {
		return fleet.Server{
			ServerType: "cx22", Image: "os=nixos", Locations: []string{"nbg1", "fsn1"}, SSHKeys: []string{"deploy"},
			Networks: map[string]fleet.Attachment{"private": {IP: ip}, "backup": {}}, Labels: map[string]string{"env": "test"},
			PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true},
		}
	}
	db := server("10.0.1.3")
	db.DeleteProtection = true
	return fleet.Fleet{
		Name:    "acme",
		SSHKeys: map[string]fleet.SSHKey{"deploy": {PublicKey: keyOne}},
		Networks: map[string]fleet.Network{
			"private": {IPRange: "10.0.0.0/16", Subnets: []fleet.Subnet{
				{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.1.0/24"},
				{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.2.0/24"},
			}},
			"backup": {IPRange: "10.8.0.0/16", Subnets: []fleet.Subnet{{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.8.1.0/24"}}},
		},
		Servers: map[string]fleet.Server{"db": db, "web-1": server("10.0.1.4"), "web-2": server("10.0.2.5")},
	}
}

func edit(change func(*fleet.Fleet)) fleet.Fleet {
	f := three()
	change(&f)
	return f
}

func editServer(name string, change func(*fleet.Server)) fleet.Fleet {
	return edit(func(f *fleet.Fleet) {
		s := f.Servers[name]
		s.Labels, s.Networks = maps.Clone(s.Labels), maps.Clone(s.Networks)
		change(&s)
		f.Servers[name] = s
	})
}
