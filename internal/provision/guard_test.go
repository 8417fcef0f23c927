package provision_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// applied is a project in which the three servers run.
func appliedInLab(t *testing.T) *project {
	t.Helper()
	p := newProject(t)
	if _, err := apply(context.Background(), p.client(t), three(), provision.Options{}); err != nil {
		t.Fatal(problem.Text(err))
	}
	return p
}

func without(f fleet.Fleet, names ...string) fleet.Fleet {
	f.Servers = maps.Clone(f.Servers)
	for _, name := range names {
		delete(f.Servers, name)
	}
	return f
}

func refusal(t *testing.T, err error, parts ...string) {
	t.Helper()
	if problem.CodeOf(err) != problem.Refused {
		t.Errorf("code %d, want Refused: %v", problem.CodeOf(err), err)
	}
	for _, part := range parts {
		if err == nil || !strings.Contains(problem.Text(err), part) {
			t.Errorf("no %q in\n%v", part, err)
		}
	}
}

func TestNothingIsDestroyedByDefault(t *testing.T) {
	ctx := context.Background()
	p := appliedInLab(t)
	f := without(three(), "web-1")
	results, err := apply(ctx, p.client(t), f, provision.Options{})
	refusal(t, err, `server "web-1" would be destroyed`, "flotilla deploy --allow-destroy web-1")
	if len(p.Servers()) != 3 || len(results) != 1 || results[0].Done || results[0].Error == "" {
		t.Errorf("%d servers, results %+v", len(p.Servers()), results)
	}
	refusal(t, provision.Check(f, account(t, p.client(t), f), provision.Options{Command: "flotilla destroy"}), "flotilla destroy --allow-destroy web-1")

	results, err = apply(ctx, p.client(t), f, provision.Options{AllowDestroy: []string{"web-1"}})
	if err != nil || len(p.Servers()) != 2 || len(results) != 1 || !results[0].Done {
		t.Errorf("with leave: %v, %d servers, results %+v", err, len(p.Servers()), results)
	}
}

func TestProtectedServersStay(t *testing.T) {
	ctx := context.Background()
	p := appliedInLab(t)
	leave := provision.Options{AllowDestroy: []string{"db"}}
	_, err := apply(ctx, p.client(t), without(three(), "db"), leave)
	refusal(t, err, "delete_protection is on", "delete_protection: false")
	leave.Replace = []string{"db"}
	_, err = apply(ctx, p.client(t), three(), leave)
	refusal(t, err, `server "db" would be replaced`, "delete_protection is on")
	if len(p.Servers()) != 3 {
		t.Fatalf("%d servers", len(p.Servers()))
	}
	f := editServer("db", func(s *fleet.Server) { s.Image, s.DeleteProtection = "debian-13", false })
	if _, err := apply(ctx, p.client(t), f, leave); err != nil {
		t.Error(problem.Text(err))
	}
	settled(t, p.client(t), f)
}

// A replacement that is not allowed stops the run before anything is made.
func TestReplacementIsRefusedFirst(t *testing.T) {
	p := appliedInLab(t)
	f := editServer("web-1", func(s *fleet.Server) { s.Image = "debian-13" })
	f.Servers["new"] = fleet.Server{ServerType: "cx22", Image: "os=nixos", PublicNet: fleet.PublicNet{EnableIPv4: true}}
	before := p.calls
	results, err := apply(context.Background(), p.client(t), f, provision.Options{Replace: []string{"web-1"}})
	refusal(t, err, `server "web-1" would be replaced`, "image os=nixos → debian-13", "--allow-destroy web-1")
	if len(p.Servers()) != 3 || len(results) != 2 || p.calls-before > 8 {
		t.Errorf("%d servers, %d requests, results %+v", len(p.Servers()), p.calls-before, results)
	}
}

// An address that another server has is found out before anything is bought.
func TestAddressThatAnotherServerHas(t *testing.T) {
	p := appliedInLab(t)
	f := without(three(), "web-1")
	f.Servers["www"] = three().Servers["web-1"]
	_, err := apply(context.Background(), p.client(t), f, provision.Options{AllowDestroy: []string{"web-1"}})
	refusal(t, err, `server "www" cannot be created`, `server web-1 has the address 10.0.1.4`, "two deploys")
	refusal(t, provision.Check(f, account(t, p.client(t), f), provision.Options{AllowDestroy: []string{"web-1"}}), "two deploys")
	if len(p.Servers()) != 3 {
		t.Errorf("%d servers", len(p.Servers()))
	}
	if _, err := apply(context.Background(), p.client(t), without(f, "www"), provision.Options{AllowDestroy: []string{"web-1"}}); err != nil {
		t.Fatal(problem.Text(err))
	}
	if _, err := apply(context.Background(), p.client(t), f, provision.Options{}); err != nil {
		t.Error(problem.Text(err))
	}
	settled(t, p.client(t), f)
}

func TestRenamedKey(t *testing.T) {
	p := appliedInLab(t)
	f := three()
	f.SSHKeys = map[string]fleet.SSHKey{"new-name": {PublicKey: keyOne}}
	for name, s := range f.Servers {
		s.SSHKeys = []string{"new-name"}
		f.Servers[name] = s
	}
	if _, err := apply(context.Background(), p.client(t), f, provision.Options{}); err != nil {
		t.Fatal(problem.Text(err))
	}
	settled(t, p.client(t), f)
	if keys := account(t, p.client(t), f).SSHKeys; len(keys) != 1 {
		t.Errorf("keys %+v", keys)
	}
}

func TestOnlyWhatThePlanShowed(t *testing.T) {
	p := appliedInLab(t)
	f := without(three(), "web-1", "web-2")
	shown := provision.Diff(without(three(), "web-1"), account(t, p.client(t), f), provision.Options{})
	_, err := apply(context.Background(), p.client(t), f, provision.Options{AllowDestroy: []string{"web-1", "web-2"}, Shown: shown})
	refusal(t, err, `server "web-2" would be destroyed, which no plan has shown`)
	if len(p.Servers()) != 2 {
		t.Errorf("%d servers, want web-1 gone and web-2 left", len(p.Servers()))
	}
}

// A network in which a server stays is not pulled from under it.
func TestNetworkOfARefusedServerStays(t *testing.T) {
	p := appliedInLab(t)
	f := without(three(), "db", "web-1", "web-2")
	f.Networks = nil
	results, err := apply(context.Background(), p.client(t), f, provision.Options{AllowDestroy: []string{"web-1", "web-2", "private", "backup"}})
	refusal(t, err, `network "private" is left in place: server "db"`, "delete_protection is on")
	a := account(t, p.client(t), three())
	if len(a.Networks) != 2 || len(a.Servers) != 1 || len(a.Servers["db"].Networks) != 2 {
		t.Errorf("left: %+v", a)
	}
	done := 0
	for _, r := range results {
		if r.Done {
			done++
		} else if r.Error == "" {
			t.Errorf("neither done nor explained: %+v", r)
		}
	}
	if done != 2 {
		t.Errorf("%d done, want the two servers: %+v", done, results)
	}
}

// What failed is told with what was done and what was not.
func TestReportOfAFailure(t *testing.T) {
	p := newProject(t)
	if err := p.Inject(cloud.Fault{Method: "POST", Path: "^/servers$", Status: 403, Code: "resource_limit_exceeded", Message: "limit of servers", Times: 3}); err != nil {
		t.Fatal(err)
	}
	var events []progress.Event
	f := without(three(), "web-1", "web-2")
	sink := progress.Func(func(e progress.Event) {
		p.mu.Lock()
		defer p.mu.Unlock()
		events = append(events, e)
	})
	_, results, err := provision.Expand(context.Background(), p.client(t), f, account(t, p.client(t), f), provision.Options{}, sink)
	text := problem.Text(err)
	for _, part := range []string{
		"limit of servers", "resource_limit_exceeded", "Done: SSH key deploy created, network backup created", "Not done: server db", "makes nothing twice",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in\n%s", part, text)
		}
	}
	if last := results[len(results)-1]; last.Done || last.Error == "" || last.Name != "db" {
		t.Errorf("last result %+v", last)
	}
	fails := 0
	for _, e := range events {
		if e.Kind == progress.Fail && e.Host == "db" && e.Step == progress.Provision {
			fails++
		}
	}
	if fails != 1 {
		t.Errorf("%d events of failure, want 1: %+v", fails, events)
	}
	if problem.CodeOf(err) != problem.Failed {
		t.Errorf("code %d", problem.CodeOf(err))
	}
}

func TestInterruptedBeforeTheStart(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := newProject(t)
	_, results, err := provision.Expand(ctx, p.client(t), three(), fleet.Account{}, provision.Options{}, progress.Discard)
	if !errors.Is(err, context.Canceled) || problem.CodeOf(err) != problem.Cancelled || p.calls != 0 {
		t.Errorf("%d requests, %v", p.calls, err)
	}
	for _, r := range results {
		if r.Done {
			t.Errorf("done: %+v", r)
		}
	}
}

func TestChanges(t *testing.T) {
	for _, c := range []struct {
		r    plans.Resource
		want bool
	}{
		{plans.Resource{Action: plans.Update, Note: "counts at creation only"}, false},
		{plans.Resource{Action: plans.Update, Attributes: []plans.Attribute{{}}}, true},
		{plans.Resource{Action: plans.Destroy}, true},
		{plans.Resource{Action: plans.Create}, true},
	} {
		if got := provision.Changes(c.r); got != c.want {
			t.Errorf("Changes(%+v) = %v", c.r, got)
		}
	}
}

// The throw-away private key is in the order of its server and nowhere else.
func TestPrivateKeyIsNowhereElse(t *testing.T) {
	p := newProject(t)
	var mu sync.Mutex
	var seen []any
	sink := progress.Func(func(e progress.Event) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, e)
	})
	if err := p.Inject(cloud.Fault{Method: "POST", Path: "^/servers$", Status: 422, Code: "invalid_input", Message: "bad user_data"}); err != nil {
		t.Fatal(err)
	}
	after, results, err := provision.Expand(context.Background(), p.client(t), three(), account(t, p.client(t), three()), provision.Options{}, sink)
	if err == nil {
		t.Fatal("no error")
	}
	seen = append(seen, after, results, err, err.Error(), problem.Text(err))
	after, results, err = provision.Expand(context.Background(), p.client(t), three(), account(t, p.client(t), three()), provision.Options{}, sink)
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	if text := fmt.Sprintf("%+v %#v", append(seen, after, results), seen); strings.Contains(text, "PRIVATE KEY") {
		t.Error("a private key was shown")
	}
	if want := slices.Repeat([]string{"POST /v1/servers"}, 4); !slices.Equal(p.keysIn, want) {
		t.Errorf("private keys were sent in %v, want %v", p.keysIn, want)
	}
}
