package hetzner_test

import (
	"context"
	"errors"
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

// everything makes one change of each kind.
func everything(ctx context.Context, c *hetzner.Client) error {
	if _, err := c.CreateSSHKey(ctx, "deploy", fleet.SSHKey{PublicKey: publicKey}); err != nil {
		return err
	}
	nID, err := c.CreateNetwork(ctx, "private", network())
	if err != nil {
		return err
	}
	if err := c.AddSubnet(ctx, nID, fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.0.2.0/24"}); err != nil {
		return err
	}
	if err := c.WidenNetwork(ctx, nID, "10.0.0.0/15"); err != nil {
		return err
	}
	s, err := c.CreateServer(ctx, order("web-1"), secret.New(""))
	if err != nil {
		return err
	}
	return errors.Join(
		c.AttachNetwork(ctx, s.ID, nID, fleet.Attachment{IP: "10.0.1.3"}),
		c.SetProtection(ctx, plans.KindServer, s.ID, true),
		c.SetProtection(ctx, plans.KindServer, s.ID, false),
		c.Publish(ctx, s.ID, fleet.Published{Commit: "abc"}),
		c.Reset(ctx, s.ID),
		c.DetachNetwork(ctx, s.ID, nID),
		c.Delete(ctx, plans.KindServer, s.ID),
		c.DeleteSubnet(ctx, nID, fleet.Subnet{IPRange: "10.0.2.0/24"}),
		c.Delete(ctx, plans.KindNetwork, nID),
	)
}

// every request that everything makes, by its own path.
var requests = map[string][2]string{
	"create key":     {"POST", "^/ssh_keys$"},
	"create network": {"POST", "^/networks$"},
	"add subnet":     {"POST", "add_subnet$"},
	"widen":          {"POST", "change_ip_range$"},
	"server types":   {"GET", "^/server_types$"},
	"images":         {"GET", "^/images$"},
	"create server":  {"POST", "^/servers$"},
	"attach":         {"POST", "attach_to_network$"},
	"protection":     {"POST", "change_protection$"},
	"labels":         {"PUT", "^/servers/[0-9]+$"},
	"reset":          {"POST", "reset$"},
	"detach":         {"POST", "detach_from_network$"},
	"delete server":  {"DELETE", "^/servers/[0-9]+$"},
	"delete subnet":  {"POST", "delete_subnet$"},
	"delete network": {"DELETE", "^/networks/[0-9]+$"},
	"poll":           {"GET", "^/actions$"},
}

func TestPassingTrouble(t *testing.T) {
	for name, f := range map[string]cloud.Fault{
		"locked":         {Status: 423, Code: "locked", Times: 2},
		"conflict":       {Status: 409, Code: "conflict", Times: 2},
		"rate limit":     {Status: 429, Code: "rate_limit_exceeded", Times: 3},
		"maintenance":    {Status: 503, Code: "maintenance", Times: 2},
		"unavailable":    {Status: 503, Code: "unavailable", Times: 1},
		"timeout":        {Status: 504, Code: "timeout", Times: 1},
		"timeout, done":  {Status: 504, Code: "timeout", Times: 1, After: true},
		"gateway, done":  {Status: 502, Code: "bad_gateway", Times: 1, After: true},
		"internal":       {Status: 500, Code: "server_error", Times: 1},
		"internal, done": {Status: 500, Code: "server_error", Times: 1, After: true},
	} {
		for what, request := range requests {
			t.Run(name+"/"+what, func(t *testing.T) {
				api := newAccount(t, cloud.Options{RateLimit: 1000000})
				f := f
				f.Method, f.Path = request[0], request[1]
				api.inject(t, f)
				check(t, everything(context.Background(), api.client(t, "acme")))
				if left := api.faultsLeft(t); left != "{\"faults\":[]}" {
					t.Errorf("the fault met no request: %s", left)
				}
				a := read(t, api.client(t, "acme"))
				if len(api.Servers()) != 0 || len(a.Networks) != 0 || len(a.SSHKeys) != 1 {
					t.Errorf("left: %+v", a)
				}
			})
		}
	}
}

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
