package hetzner_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// each does something for all numbers below n at once.
func each(t *testing.T, n int, do func(i int) error) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := do(i); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// A look at the project is one list per kind, and one request per further page,
// side by side: with 50 ms per request, 100 servers take well below a second.
func TestLookIsOneListPerKind(t *testing.T) {
	ctx := context.Background()
	const kinds = 8
	for n, pages := range map[int]int{1: 0, 100: 1 + 3} { // 100 servers are two pages, their 200 addresses four
		api := newAccount(t, cloud.Options{RateLimit: 1000000})
		c := api.client(t, "acme")
		group := must[int64](t)(c.CreatePlacementGroup(ctx, "spread", fleet.PlacementGroup{Type: "spread"}))
		firewall := must[int64](t)(c.CreateFirewall(ctx, "web", fleet.Firewall{Rules: []fleet.FirewallRule{rule("443")}}))
		private := must[int64](t)(c.CreateNetwork(ctx, "private", network()))
		each(t, n, func(i int) error {
			o := order(fmt.Sprintf("web-%03d", i))
			o.Networks, o.Firewalls = []int64{private}, []int64{firewall}
			if i == 0 {
				o.PlacementGroup = group
			}
			_, err := c.CreateServer(ctx, o, secret.New(""))
			return err
		})
		api.ForgetRequests()
		api.delay = 50 * time.Millisecond
		took := time.Hour
		var a fleet.Account
		const looks = 3 // the machine may be busy with other tests
		for range looks {
			began := time.Now()
			a = read(t, api.client(t, "acme"))
			took = min(took, time.Since(began))
		}
		if len(a.Servers) != n || len(a.Unmanaged) != 0 || len(a.Servers["web-000"].Networks) != 1 || a.Servers["web-000"].PlacementGroup != "spread" {
			t.Errorf("%d servers, unmanaged %v", len(a.Servers), a.Unmanaged)
		}
		if got := api.Requests().Total() / looks; got != kinds+pages {
			t.Errorf("%d requests for %d servers, want %d: %v", got, n, kinds+pages, api.Requests())
		}
		if took > time.Second {
			t.Errorf("%d servers took %s", n, took)
		}
		t.Logf("%d servers: %d requests, %s", n, api.Requests().Total()/looks, took.Round(time.Millisecond))
	}
}

// A list whose length changes between its pages is read again.
func TestListThatChangesBetweenItsPages(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{RateLimit: 1000000})
	c := api.client(t, "acme")
	var ids [120]int64
	each(t, len(ids), func(i int) (err error) {
		ids[i], err = c.CreatePrimaryIP(ctx, fmt.Sprintf("ip-%03d", i), fleet.PrimaryIP{Type: "ipv6", Location: "nbg1"})
		return err
	})
	slow := api.client(t, "acme")
	gone := false
	api.before = func(req *http.Request) {
		if req.Method == http.MethodGet && req.URL.Path == "/v1/primary_ips" && req.URL.Query().Get("page") == "3" && !gone {
			gone = true
			if err := c.Delete(ctx, plans.KindPrimaryIP, ids[0]); err != nil { // the first page has been read
				t.Error(err)
			}
		}
	}
	if n := len(read(t, slow).PrimaryIPs); n != len(ids)-1 {
		t.Errorf("%d addresses, want %d", n, len(ids)-1)
	}
}

// The requests of an apply, beyond polling: one per server, two for a fixed
// address in a network, one per attribute that only an action can set.
func TestApplyIsFewRequests(t *testing.T) {
	ctx := context.Background()
	const n = 20
	api := newAccount(t, cloud.Options{ActionLatency: 100 * time.Millisecond})
	c, err := hetzner.New(hetzner.Options{
		Token: secret.New(token), Endpoint: "http://lab.invalid/v1", Fleet: "acme",
		PollInterval: 50 * time.Millisecond, RetryBackoff: 20 * time.Millisecond, HTTPClient: &http.Client{Transport: api},
	})
	check(t, err)
	key := must[int64](t)(c.CreateSSHKey(ctx, "deploy", fleet.SSHKey{PublicKey: publicKey}))
	private := must[int64](t)(c.CreateNetwork(ctx, "private", network()))
	api.ForgetRequests()
	began := time.Now()
	each(t, n, func(i int) error {
		o := order(fmt.Sprintf("web-%02d", i))
		o.SSHKeys, o.Stopped = []int64{key}, true
		made, err := c.CreateServer(ctx, o, secret.New("#cloud-config\n"))
		if err != nil {
			return err
		}
		if err := c.AttachNetwork(ctx, made.ID, private, fleet.Attachment{IP: fmt.Sprintf("10.0.1.%d", 10+i)}); err != nil {
			return err
		}
		if err := c.PowerOn(ctx, made.ID); err != nil {
			return err
		}
		if i >= n/2 {
			return nil
		}
		if err := c.SetBackups(ctx, made.ID, true); err != nil {
			return err
		}
		return c.SetProtection(ctx, plans.KindServer, made.ID, true)
	})
	took := time.Since(began)
	counts := api.Requests()
	polls := counts["GET /actions"]
	const catalogue = 2 // server types and the image, once
	if got, want := counts.Total()-polls, n+2*n+2*(n/2)+catalogue; got != want {
		t.Errorf("%d requests beside %d polls, want %d: %v", got, polls, want, counts)
	}
	if most := int(took/(50*time.Millisecond)) + 1; polls > most { // never more than 25 actions at a time here
		t.Errorf("%d polls in %s, want at most %d", polls, took, most)
	}
	for name, s := range read(t, c).Servers {
		if s.Status != "running" || s.SwitchedOff || s.Networks["private"] == "" {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// With no fixed address a server is a single request.
func TestServerIsOneRequest(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	private := must[int64](t)(c.CreateNetwork(ctx, "private", network()))
	must[fleet.Catalog](t)(c.Catalog(ctx))
	must[fleet.AccountServer](t)(c.CreateServer(ctx, order("first"), secret.New("")))
	api.ForgetRequests()
	o := order("web-1")
	o.Networks = []int64{private}
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	counts := api.Requests()
	if counts["POST /servers"] != 1 || counts.Total() != 1+counts["GET /actions"] {
		t.Errorf("requests %v", counts)
	}
	if made.Status != "running" || made.IPv4 == "" || made.IPv6 == "" || made.Location != "nbg1" || made.ServerType != "cx22" {
		t.Errorf("answer %+v", made)
	}
	must[fleet.Catalog](t)(c.Catalog(ctx))
	if n := api.count("^GET /(pricing|server_types|load_balancer_types)"); n != 3 {
		t.Errorf("the catalogue was read by %d requests, want 3, once", n)
	}
}
