package hetzner_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func TestLifeOfAFleet(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")

	key := must[int64](t)(c.CreateSSHKey(ctx, "deploy", fleet.SSHKey{PublicKey: publicKey}))
	private := must[int64](t)(c.CreateNetwork(ctx, "private", network()))
	other := network()
	other.IPRange, other.Subnets[0].IPRange = "10.8.0.0/16", "10.8.1.0/24"
	second := must[int64](t)(c.CreateNetwork(ctx, "second", other))
	o := order("web-1")
	o.Server.Image = "os=nixos" // a selector, which no label can hold as it is
	o.SSHKeys, o.Networks = []int64{key}, []int64{second}
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("#cloud-config\n")))
	check(t, c.AttachNetwork(ctx, made.ID, private, fleet.Attachment{IP: "10.0.1.3"}))
	check(t, c.AttachNetwork(ctx, made.ID, private, fleet.Attachment{IP: "10.0.1.3"})) // again: it is there
	check(t, c.SetProtection(ctx, plans.KindServer, made.ID, true))
	check(t, c.SetLabels(ctx, plans.KindServer, made.ID, map[string]string{"env": "live"}))
	told := fleet.Published{HostKey: strings.Repeat("b", 52), SystemHash: strings.Repeat("c", 32), Commit: strings.Repeat("d", 40), Held: true}
	check(t, c.Publish(ctx, made.ID, told))

	want := fleet.Account{
		SSHKeys: map[string]fleet.AccountSSHKey{"deploy": {PublicKey: publicKey, Owned: true, Labels: map[string]string{}}},
		Networks: map[string]fleet.AccountNetwork{
			"private": {Owned: true, IPRange: "10.0.0.0/16", Subnets: network().Subnets, Labels: map[string]string{}},
			"second":  {Owned: true, IPRange: "10.8.0.0/16", Subnets: other.Subnets, Labels: map[string]string{}},
		},
		Servers: map[string]fleet.AccountServer{"web-1": {
			ServerType: "cx22", Image: "os=nixos", Location: "nbg1", Status: "running", Disk: 40,
			Networks:         map[string]string{"private": "10.0.1.3", "second": "10.8.1.1"},
			DeleteProtection: true, Labels: map[string]string{"env": "live"}, KeysDigest: "abcdefgh", Published: told,
		}},
	}
	got := read(t, c)
	server := got.Servers["web-1"]
	if server.IPv4 == "" || !strings.HasSuffix(server.IPv6, "::1") || server.Created.IsZero() {
		t.Errorf("addresses %q, %q, created %s", server.IPv4, server.IPv6, server.Created)
	}
	ignore := cmp.Options{
		cmpopts.EquateEmpty(), cmpopts.IgnoreFields(fleet.AccountServer{}, "ID", "PublicNet", "IPv4", "IPv6", "Created"),
		cmpopts.IgnoreFields(fleet.AccountNetwork{}, "ID"), cmpopts.IgnoreFields(fleet.AccountSSHKey{}, "ID"),
	}
	ignorePrivate := cmp.FilterPath(func(p cmp.Path) bool { return p.String() == "Servers.Networks" }, cmp.Comparer(
		func(a, b map[string]string) bool { return a["private"] == b["private"] && len(a) == len(b) }))
	if diff := cmp.Diff(want, got, ignore, ignorePrivate); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}

	if p := asProblem(t, c.Delete(ctx, plans.KindServer, made.ID)); p.Code != problem.Refused || len(p.Hints) == 0 {
		t.Errorf("deleting a protected server: %+v", p)
	}
	check(t, c.Reset(ctx, made.ID))
	check(t, c.DetachNetwork(ctx, made.ID, private))
	check(t, c.DetachNetwork(ctx, made.ID, private)) // again: it is out
	check(t, c.SetProtection(ctx, plans.KindServer, made.ID, false))
	check(t, c.AddSubnet(ctx, private, fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.2.0/24"}))
	check(t, c.DeleteSubnet(ctx, private, fleet.Subnet{IPRange: "10.0.1.0/24"}))
	check(t, c.SetLabels(ctx, plans.KindNetwork, private, map[string]string{"a": "b"}))
	check(t, c.WidenNetwork(ctx, private, "10.0.0.0/15"))
	n := read(t, c).Networks["private"]
	if n.IPRange != "10.0.0.0/15" || len(n.Subnets) != 1 || n.Subnets[0].IPRange != "10.0.2.0/24" || n.Labels["a"] != "b" {
		t.Errorf("network after the changes: %+v", n)
	}
	check(t, c.SetLabels(ctx, plans.KindSSHKey, key, map[string]string{"a": "b"}))
	if k := read(t, c).SSHKeys["deploy"]; k.Labels["a"] != "b" || !k.Owned {
		t.Errorf("key after the change: %+v", k)
	}
	for range 2 { // gone counts as deleted
		check(t, c.Delete(ctx, plans.KindServer, made.ID))
		check(t, c.Delete(ctx, plans.KindNetwork, private))
		check(t, c.Delete(ctx, plans.KindNetwork, second))
		check(t, c.Delete(ctx, plans.KindSSHKey, key))
	}
	if left := read(t, c); len(left.Servers)+len(left.Networks)+len(left.SSHKeys) > 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestListsArePagedAndFew(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if _, err := c.CreateServer(ctx, order(fmt.Sprintf("web-%02d", i)), secret.New("")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	before := api.count("^GET ")
	if n := len(read(t, c).Servers); n != 60 {
		t.Errorf("%d servers, want 60", n)
	}
	if n := api.count("^GET ") - before; n != 11 {
		t.Errorf("%d requests for 60 servers, want 11: two pages of servers, three of their addresses, and one for each other kind", n)
	}
}

func TestWaitsAreBatched(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{ActionLatency: 300 * time.Millisecond})
	c, err := hetzner.New(hetzner.Options{
		Token: secret.New(token), Endpoint: "http://lab.invalid/v1", Fleet: "acme",
		PollInterval: 100 * time.Millisecond, HTTPClient: &http.Client{Transport: api},
	})
	check(t, err)
	var wg sync.WaitGroup
	began := time.Now()
	for i := range 20 {
		wg.Go(func() {
			if _, err := c.CreateServer(ctx, order(fmt.Sprintf("web-%02d", i)), secret.New("")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// 40 actions are two requests per tick; waiting for each alone would be 20 or more per tick.
	most := 2 * int(time.Since(began)/(100*time.Millisecond)+1)
	if n := api.count("^GET /actions"); n == 0 || n > most {
		t.Errorf("%d polls for 20 servers, want at most %d", n, most)
	}
}

func TestFleetsInOneProject(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	acme, other := api.client(t, "acme"), api.client(t, "other")
	theirs := must[fleet.AccountServer](t)(other.CreateServer(ctx, order("db"), secret.New("")))
	must[int64](t)(other.CreateSSHKey(ctx, "deploy", fleet.SSHKey{PublicKey: publicKey}))
	must[int64](t)(other.CreateNetwork(ctx, "private", network()))

	if a := read(t, acme); len(a.Servers)+len(a.Networks)+len(a.SSHKeys) > 0 {
		t.Errorf("sees another fleet's: %+v", a)
	}
	for name, err := range map[string]error{
		"server":  second(acme.CreateServer(ctx, order("db"), secret.New(""))),
		"network": second(acme.CreateNetwork(ctx, "private", network())),
		"ssh key": second(acme.CreateSSHKey(ctx, "deploy", fleet.SSHKey{PublicKey: publicKey + "x"})),
	} {
		p := asProblem(t, err)
		if !strings.Contains(p.Summary, "is taken") || !strings.Contains(p.Detail, `"other"`) || len(p.Hints) == 0 {
			t.Errorf("%s: %s", name, problem.Text(err))
		}
	}
	read(t, acme) // which tells what is not acme's
	for name, err := range map[string]error{
		"publish": acme.Publish(ctx, theirs.ID, fleet.Published{}),
		"labels":  acme.SetLabels(ctx, plans.KindServer, theirs.ID, nil),
		"detach":  acme.DetachNetwork(ctx, theirs.ID, 1),
		"off":     acme.PowerOff(ctx, theirs.ID),
		"on":      acme.PowerOn(ctx, theirs.ID),
		"protect": acme.SetProtection(ctx, plans.KindServer, theirs.ID, true),
		"reset":   acme.Reset(ctx, theirs.ID),
		"delete":  acme.Delete(ctx, plans.KindServer, theirs.ID),
		"network": acme.Delete(ctx, plans.KindNetwork, read(t, other).Networks["private"].ID),
	} {
		if p := asProblem(t, err); p.Code != problem.Refused {
			t.Errorf("%s on another fleet's server: %+v", name, p)
		}
	}
	a, err := acme.Account(ctx, fleet.Fleet{SSHKeys: map[string]fleet.SSHKey{"deploy": {Existing: true}}})
	check(t, err)
	if k := a.SSHKeys["deploy"]; k.Owned || k.ID == 0 {
		t.Errorf("key that exists: %+v", k)
	}
	_, err = acme.Account(ctx, fleet.Fleet{SSHKeys: map[string]fleet.SSHKey{"nobody": {Existing: true}}})
	if p := asProblem(t, err); !strings.Contains(p.Summary, `"nobody"`) {
		t.Error(problem.Text(err))
	}
	_, err = acme.CreateSSHKey(ctx, "mine", fleet.SSHKey{PublicKey: publicKey})
	if p := asProblem(t, err); !strings.Contains(p.Summary, `"deploy"`) || !strings.Contains(p.Hints[0], "existing: true") {
		t.Errorf("the same key under another name: %s", problem.Text(err))
	}
	if api.count("^POST ") != 3+3+1 {
		t.Errorf("%d creates, want the other fleet's three and one for each refusal", api.count("^POST "))
	}
}

func TestOtherToolsLabelsStay(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c := api.client(t, "acme")
	o := order("web-1")
	o.Server.Labels = map[string]string{"env": "test", "hcloud-ccm.example/uid": "7"}
	made := must[fleet.AccountServer](t)(c.CreateServer(ctx, o, secret.New("")))
	check(t, c.SetLabels(ctx, plans.KindServer, made.ID, map[string]string{"role": "web"}))
	want := map[string]string{"role": "web", "hcloud-ccm.example/uid": "7"}
	s := read(t, c).Servers["web-1"]
	if diff := cmp.Diff(want, s.Labels); diff != "" {
		t.Error(diff)
	}
	if s.Image != "debian-13" || s.Published.HostKey != o.HostKey {
		t.Errorf("own labels are gone: %+v", s)
	}
	before := api.count("^PUT ")
	check(t, c.Publish(ctx, made.ID, s.Published))
	if api.count("^PUT ") != before {
		t.Error("writes labels that are as they should be")
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]hetzner.Options{
		"no token":     {Fleet: "acme"},
		"no fleet":     {Token: secret.New(token)},
		"bad endpoint": {Token: secret.New(token), Fleet: "acme", Endpoint: "api.hetzner.cloud"},
		"password":     {Token: secret.New(token), Fleet: "acme", Endpoint: "https://me:" + token + "@example.com/v1"},
	} {
		_, err := hetzner.New(o)
		if text := problem.Text(asProblem(t, err)); strings.Contains(text, token) {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// An API that repeats the token in all that it says must not get it into an error.
func TestTokenIsInNoError(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"error": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("X-Correlation-Id", r.Header.Get("Authorization"))
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = fmt.Fprintf(w, `{"error":{"code":"invalid_input","message":"bad %[1]s","details":{"fields":[{"name":"%[1]s","messages":["%[1]s"]}]}}}`,
				r.Header.Get("Authorization"))
		},
		"code": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusTeapot)
			_, _ = fmt.Fprintf(w, `{"error":{"code":"%s","message":""}}`, r.Header.Get("Authorization"))
		},
		"no JSON": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, r.Header.Get("Authorization"))
		},
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Header.Get("Authorization")[7:20]+".invalid/"+r.Header.Get("Authorization"), http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(answer)
			defer server.Close()
			c, err := hetzner.New(hetzner.Options{
				Token: secret.New(token), Endpoint: server.URL + "/v1", Fleet: "acme", RetryBackoff: time.Millisecond, PollInterval: time.Millisecond,
			})
			check(t, err)
			_, err = c.Account(context.Background(), fleet.Fleet{})
			if err == nil {
				t.Fatal("no error")
			}
			for unwrapped := err; unwrapped != nil; {
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
					if text := fmt.Sprintf(verb, unwrapped); strings.Contains(text, token) {
						t.Errorf("%s of %T: %s", verb, unwrapped, text)
					}
				}
				inner, ok := unwrapped.(interface{ Unwrap() error }) //nolint:errorlint // looks at each error of the chain
				if !ok {
					break
				}
				unwrapped = inner.Unwrap()
			}
			if text := problem.Text(err); strings.Contains(text, token) {
				t.Error(text)
			}
		})
	}
}
