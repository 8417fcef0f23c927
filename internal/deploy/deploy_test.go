package deploy

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// The adapter keeps its promise to the use case.
var _ provision.Provider = (*hetzner.Client)(nil)

func selector(t *testing.T, text string) fleet.Selector {
	t.Helper()
	s, err := fleet.ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTarget(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKB3UuyhOXwNBqOgbwfSy+3lfbBeh+JxlJmRKj4ZU4kT"
	server := fleet.AccountServer{
		IPv4: "192.0.2.7", IPv6: "2001:db8::7", Networks: map[string]string{"private": "10.0.1.2"},
		Published: fleet.Published{HostKey: "pinned", NextHostKey: "next"},
	}
	for _, c := range []struct {
		name    string
		address string // ssh.address
		host    string
		hosts   []fleet.HostSettings
		hive    plans.Deployment
		want    string // user@address:port keys
	}{
		{"the server's public address", "ipv4", "web", nil, plans.Deployment{}, "root@192.0.2.7:22 2"},
		{"its private one", "private.private", "web", nil, plans.Deployment{}, "root@10.0.1.2:22 2"},
		{"IPv6", "ipv6", "web", nil, plans.Deployment{}, "root@2001:db8::7:22 2"},
		{"hosts: beats the server", "ipv4", "web", []fleet.HostSettings{{Selector: selector(t, "@web"), Address: "web.internal"}}, plans.Deployment{Tags: []string{"web"}}, "root@web.internal:22 2"},
		{"the hive beats all", "ipv4", "web", []fleet.HostSettings{{Selector: selector(t, "web"), Address: "web.internal"}}, plans.Deployment{TargetHost: "203.0.113.9", TargetUser: "deploy", TargetPort: 2200}, "deploy@203.0.113.9:2200 2"},
		{"without a server", "ipv4", "box", []fleet.HostSettings{{Selector: selector(t, "box"), HostKey: key}}, plans.Deployment{TargetHost: "box.example.com"}, "root@box.example.com:22 1"},
		{"no address", "ipv4", "box", nil, plans.Deployment{}, ""},
		{"not in that network", "private.other", "web", nil, plans.Deployment{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ts := &targets{
				fleet:   fleet.Fleet{SSH: fleet.SSH{User: "root", Port: 22, Address: c.address}, Hosts: c.hosts},
				account: fleet.Account{Servers: map[string]fleet.AccountServer{"web": server}},
			}
			got, err := ts.of(c.host, c.hive)
			if c.want == "" {
				if err == nil || !strings.Contains(err.Error(), "no address for host "+c.host) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if text := fmt.Sprintf("%s@%s:%d %d", got.User, got.Address, got.Port, len(got.HostKeys)); err != nil || text != c.want {
				t.Errorf("got %s (%v), want %s", text, err, c.want)
			}
		})
	}
}

func TestReadsUnknown(t *testing.T) {
	facts := fleet.Facts{"new": {}, "old": {Known: true}}
	for _, c := range []struct {
		read []string
		want bool
	}{{nil, false}, {[]string{"old"}, false}, {[]string{"old", "new"}, true}} {
		if got := readsUnknown(plans.System{ReadServers: c.read}, facts); got != c.want {
			t.Errorf("%v: %v", c.read, got)
		}
	}
	if !unknown(facts) || unknown(fleet.Facts{"old": {Known: true}}) {
		t.Error("unknown is wrong")
	}
}

func TestConfirmTimeoutIsThatOfTheLongestCheck(t *testing.T) {
	got := confirmTimeout(fleet.Rollout{ConfirmTimeout: time.Minute}, []fleet.Check{{Within: 5 * time.Second}, {Within: 30 * time.Second}, {Within: time.Second}})
	if got != 90*time.Second {
		t.Errorf("got %s", got)
	}
}

func TestOneLine(t *testing.T) {
	err := errors.Join(&problem.Problem{Summary: "a", Detail: "first\n  second"}, fmt.Errorf("b: %w", errors.New("c")))
	if got := oneLine(err); got != "a (first second); b: c" {
		t.Errorf("got %q", got)
	}
}

func TestRelativeTo(t *testing.T) {
	inside := &problem.Problem{Summary: "x", At: problem.Position{File: "/tmp/tree/hosts/web.nix", Line: 3}}
	outside := &problem.Problem{Summary: "y", At: problem.Position{File: "/nix/store/x.nix"}}
	nowhere := &problem.Problem{Summary: "z"}
	_ = relativeTo(errors.Join(inside, outside, nowhere), "/tmp/tree")
	if inside.At.File != "hosts/web.nix" || outside.At.File != "/nix/store/x.nix" || nowhere.At.File != "" {
		t.Errorf("got %q, %q, %q", inside.At.File, outside.At.File, nowhere.At.File)
	}
}

// A change of the provider section is never acted on by a plan: the head could
// point the token at somebody else.
func TestProviderOfTheHeadIsNotAsked(t *testing.T) {
	f := &Flow{Getenv: func(string) string { t.Error("a secret was asked for"); return "" }}
	base := tree{Fleet: fleet.Fleet{Hetzner: &fleet.Hetzner{Token: fleet.EnvRef{Env: "HCLOUD_TOKEN"}}}}
	for _, changed := range []*fleet.Hetzner{
		nil,
		{Token: fleet.EnvRef{Env: "HCLOUD_TOKEN"}, Endpoint: "http://127.0.0.1:1/v1"},
		{Token: fleet.EnvRef{Env: "ANOTHER_SECRET"}},
	} {
		head := fleet.Fleet{Hetzner: changed}
		if seen := f.lookAtAccount(t.Context(), base, head); seen.looked {
			t.Errorf("%+v: %+v", changed, seen)
		}
	}
	if seen := f.lookAtAccount(t.Context(), tree{Empty: true}, base.Fleet); seen.looked || len(seen.warnings) != 1 {
		t.Errorf("empty base: %+v", seen)
	}
}

// --on limits hosts and their servers; everything else stays in sight.
func TestLimit(t *testing.T) {
	desired := fleet.Fleet{Servers: map[string]fleet.Server{"web": {}, "db": {}}, Networks: map[string]fleet.Network{"private": {}}}
	actual := fleet.Account{Servers: map[string]fleet.AccountServer{"db": {}, "old": {}}}
	d, a := limit(selector(t, "@web"), map[string][]string{"web": {"web"}}, desired, actual)
	if len(d.Servers) != 1 || len(a.Servers) != 0 || len(d.Networks) != 1 {
		t.Errorf("got %v and %v", d.Servers, a.Servers)
	}
	if d, a = limit(fleet.Selector{}, nil, desired, actual); len(d.Servers) != 2 || len(a.Servers) != 2 {
		t.Errorf("without --on: %v and %v", d.Servers, a.Servers)
	}
	if len(desired.Servers) != 2 || len(actual.Servers) != 2 {
		t.Error("the arguments were changed")
	}
}

// What is theirs alone stays out with the servers that --on leaves out; what is
// shared is made, and never destroyed.
func TestLimitLeavesWhatIsTheirs(t *testing.T) {
	desired := fleet.Fleet{
		Servers:       map[string]fleet.Server{"web": {}, "db": {PublicNet: fleet.PublicNet{IPv4: "db4"}}},
		Volumes:       map[string]fleet.Volume{"pgdata": {Server: "db"}, "cache": {Server: "web"}, "spare": {}},
		PrimaryIPs:    map[string]fleet.PrimaryIP{"db4": {}, "free": {}},
		LoadBalancers: map[string]fleet.LoadBalancer{"front": {Targets: []fleet.LoadBalancerTarget{{Server: "db"}}}, "own": {Targets: []fleet.LoadBalancerTarget{{Server: "web"}}}},
		Networks:      map[string]fleet.Network{"new": {}},
	}
	actual := fleet.Account{
		Networks: map[string]fleet.AccountNetwork{"old": {}}, Firewalls: map[string]fleet.AccountFirewall{"old": {}},
		Volumes: map[string]fleet.AccountVolume{"spare": {Server: "db"}, "cache": {}, "gone": {}},
	}
	d, a := limit(selector(t, "web"), nil, desired, actual)
	for what, keys := range map[string][2]string{
		"volumes": {keys(d.Volumes), "cache"}, "primary IPs": {keys(d.PrimaryIPs), "free"}, "load balancers": {keys(d.LoadBalancers), "own"},
		"networks": {keys(d.Networks), "new"}, "existing networks": {keys(a.Networks), ""}, "existing volumes": {keys(a.Volumes), "cache"},
	} {
		if keys[0] != keys[1] {
			t.Errorf("%s: got %q, want %q", what, keys[0], keys[1])
		}
	}
}

func keys[V any](m map[string]V) string { return strings.Join(slices.Sorted(maps.Keys(m)), " ") }

func TestCheckAddresses(t *testing.T) {
	f := fleet.Fleet{Servers: map[string]fleet.Server{"web": {}}, Hosts: []fleet.HostSettings{{Selector: selector(t, "box"), Address: "10.0.0.9"}}}
	well := map[string]plans.Deployment{"web": {}, "box": {}, "far": {TargetHost: "far.example.com"}}
	if err := checkAddresses(f, well); err != nil {
		t.Error(err)
	}
	err := checkAddresses(f, map[string]plans.Deployment{"web": {}, "lost": {}})
	if err == nil || !strings.Contains(err.Error(), "host lost has neither a server nor an address") || problem.CodeOf(err) != problem.Usage {
		t.Errorf("got %v", err)
	}
}

// A host without a server may stand in known_hosts, as for OpenSSH, and so may a
// server that was taken over. The key of one that Flotilla made comes from its
// labels alone.
func TestKnownHosts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "known_hosts")
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKB3UuyhOXwNBqOgbwfSy+3lfbBeh+JxlJmRKj4ZU4kT"
	if err := os.WriteFile(file, []byte("box.example.com "+key+"\n192.0.2.7 "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ts := &targets{
		fleet: fleet.Fleet{SSH: fleet.SSH{User: "root", Port: 22, Address: "ipv4"}}, known: []string{file},
		account: fleet.Account{Servers: map[string]fleet.AccountServer{
			"web": {IPv4: "192.0.2.7", KeysDigest: "made"}, "old": {IPv4: "192.0.2.7"}, "unknown": {IPv4: "192.0.2.8"},
		}},
	}
	for host, want := range map[string]int{"box": 1, "old": 1} {
		if got, err := ts.of(host, plans.Deployment{TargetHost: map[string]string{"box": "box.example.com"}[host]}); err != nil || len(got.KnownHosts) != want {
			t.Errorf("%s: %d keys, %v", host, len(got.KnownHosts), err)
		}
	}
	for _, host := range []string{"web", "unknown"} {
		if got, err := ts.of(host, plans.Deployment{}); !errors.Is(err, errNoHostKey) {
			t.Errorf("%s: %+v, %v", host, got, err)
		}
	}
	ts.fleet.Servers = map[string]fleet.Server{"new": {}}
	if _, err := ts.of("new", plans.Deployment{}); err == nil || !strings.Contains(err.Error(), "the provider has no server new") {
		t.Errorf("new: %v", err)
	}
}

// What --on selects by its new name is renamed, and not made a second time.
func TestLimitFollowsMoved(t *testing.T) {
	desired := fleet.Fleet{
		Servers: map[string]fleet.Server{"web": {}, "db": {}}, Volumes: map[string]fleet.Volume{"data": {Server: "web"}, "pgdata": {Server: "db"}},
		Moved: []fleet.Move{{Section: "servers", From: "www", To: "web"}, {Section: "volumes", From: "files", To: "data"}, {Section: "volumes", From: "x", To: "pgdata"}},
	}
	actual := fleet.Account{
		Servers: map[string]fleet.AccountServer{"www": {ID: 1}, "db": {ID: 2}},
		Volumes: map[string]fleet.AccountVolume{"files": {ID: 3, Server: "www"}, "pgdata": {ID: 4, Server: "db"}},
	}
	d, a := limit(selector(t, "web"), nil, desired, actual)
	for _, r := range provision.Diff(d, a, provision.Options{}) {
		if r.Action == plans.Create || r.Action == plans.Destroy {
			t.Errorf("%s %s would be a %s", r.Kind, r.Name, r.Action)
		}
	}
	if len(d.Servers) != 1 || a.Servers["www"].ID != 1 || len(d.Volumes) != 1 || a.Volumes["files"].ID != 3 || len(a.Volumes) != 1 {
		t.Errorf("desired %+v\nactual %+v", d, a)
	}
}
