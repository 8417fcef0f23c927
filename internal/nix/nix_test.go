package nix

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

func evaluator(t *testing.T, opts Options) *Evaluator {
	t.Helper()
	nixpkgs, err := filepath.Abs("testdata/nixpkgs")
	if err != nil {
		t.Fatal(err)
	}
	if opts.NixPath == "" {
		opts.NixPath = "nixpkgs=" + nixpkgs
	}
	return New(opts)
}

// repo writes files to a new tree; "hive.nix" is the hive.
func repo(t *testing.T, files map[string]string) Source {
	t.Helper()
	return treeOf(t, files)
}

func treeOf(t testing.TB, files map[string]string) Source {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Source{Dir: dir, Hive: fleet.Hive{File: "hive.nix"}}
}

func hive(t *testing.T, text string) Source {
	t.Helper()
	return repo(t, map[string]string{"hive.nix": text})
}

// system evaluates one host that must evaluate.
func system(t *testing.T, s Source, host string) plans.System {
	t.Helper()
	got := evaluator(t, Options{}).Evaluate(t.Context(), s, []string{host}, nil)[host]
	if got.Err != nil {
		t.Fatalf("%s does not evaluate:\n%s", host, problem.Text(got.Err))
	}
	if got.System.Partial != "" {
		t.Fatalf("%s: review facts are missing: %s", host, got.System.Partial)
	}
	return got.System
}

func etc(t *testing.T, s plans.System, name string) string {
	t.Helper()
	e, ok := s.Etc[name]
	if !ok || e.Text == nil {
		t.Fatalf("no text of etc/%s: %+v", name, e)
	}
	return *e.Text
}

const allForms = `
let home = ./.; in
{ fleet ? { servers = { }; }, ... }: {
  meta = {
    name = "acme";
    description = "all forms of a hive";
    nixpkgs = <nixpkgs>;
    specialArgs = { color = "blue"; };
    nodeSpecialArgs.listed = { color = "red"; };
    nodeNixpkgs.other = import ./other;
  };
  defaults = { lib, name, ... }: {
    networking.hostName = lib.mkDefault name;
    deployment.tags = [ "all" ];
  };
  set = { deployment.tags = [ "web" ]; };
  function = { name, nodes, color, pkgs, ... }: {
    deployment = { targetHost = "192.0.2.7"; targetPort = 2222; targetUser = "deploy"; sshOptions = [ "-4" ]; };
    environment.etc.seen.text = "${name} ${color} ${nodes.set.config.networking.hostName} ${pkgs.hello.version}";
  };
  path = ./hosts/path.nix;
  listed = [ ./hosts/path.nix ({ color, ... }: { environment.etc.seen.text = color; }) ];
  other = { pkgs, lib, ... }: {
    networking.hostName = "elsewhere";
    environment.etc.seen.text = lib.version;
  };
  keys = {
    deployment.keys.a = { text = "sesame"; user = "nginx"; };
    deployment.keys.b = { keyCommand = [ "pass" "b" ]; uploadAt = "post-activation"; };
    deployment.keys.c = { keyFile = /nonexistent; destDir = "/var/keys"; };
    environment.etc.seen.text = "x";
  };
}
`

func TestFormsOfAHive(t *testing.T) {
	s := repo(t, map[string]string{
		"hive.nix":                        allForms,
		"hosts/path.nix":                  `{ name, ... }: { deployment.tags = [ "path" ]; environment.etc.where.text = name; }`,
		"other/default.nix":               `{ overlays ? [ ], config ? { } }: let p = import <nixpkgs> { }; in p // { path = ./.; }`,
		"other/nixos/lib/eval-config.nix": `{ system, modules, specialArgs }@args: import <nixpkgs/nixos/lib/eval-config.nix> (args // { specialArgs = args.specialArgs // { lib = (import <nixpkgs> { }).lib // { version = "11.05"; }; }; })`,
	})
	e := evaluator(t, Options{})
	for _, trusted := range []bool{false, true} {
		s.Trusted = trusted
		hosts, err := e.Hosts(t.Context(), s)
		if err != nil {
			t.Fatal(problem.Text(err))
		}
		plain := plans.Deployment{Tags: []string{"all"}, ReplaceUnknownProfiles: true, PrivilegeEscalationCommand: []string{"sudo", "-H", "--"}, SSHOptions: []string{}}
		tagged := func(tags ...string) plans.Deployment { d := plain; d.Tags = tags; return d }
		function := plain
		function.TargetHost, function.TargetPort, function.TargetUser, function.SSHOptions = "192.0.2.7", 2222, "deploy", []string{"-4"}
		want := map[string]plans.Deployment{
			"set": tagged("all", "web"), "function": function, "path": tagged("all", "path"), "listed": tagged("all", "path"), "other": plain, "keys": plain,
		}
		if diff := cmp.Diff(want, hosts); diff != "" {
			t.Errorf("trusted %v: deployment settings (-want +got):\n%s", trusted, diff)
		}
	}
	for host, want := range map[string]string{"function": "function blue set 2.12", "listed": "red", "other": "11.05"} {
		if got := etc(t, system(t, s, host), "seen"); got != want {
			t.Errorf("%s saw %q, want %q", host, got, want)
		}
	}
	if got := etc(t, system(t, s, "path"), "where"); got != "path" {
		t.Errorf("path is called %q", got)
	}
}

func TestOlderForms(t *testing.T) {
	for name, text := range map[string]string{
		"network for meta":  `{ network = { description = "old"; enableRollback = true; }; a = { }; }`,
		"no meta":           `{ a = { }; }`,
		"ready set":         `{ meta.nixpkgs = import <nixpkgs> { }; a = { }; }`,
		"function as set":   `{ meta.nixpkgs = import <nixpkgs>; a = { }; }`,
		"text as path":      `{ meta.nixpkgs = toString <nixpkgs>; a = { }; }`,
		"set with outPath":  `{ meta.nixpkgs.outPath = toString <nixpkgs>; a = { }; }`,
		"function of all":   `args: { a = { networking.hostName = builtins.concatStringsSep "" (builtins.attrNames args); }; }`,
		"prefix and subdir": `{ a = { imports = [ ./hive.nix.d/a.nix ]; }; }`,
	} {
		t.Run(name, func(t *testing.T) {
			s := repo(t, map[string]string{"fleets/hive.nix": text, "fleets/hive.nix.d/a.nix": "{ }"})
			s.Prefix = "fleets"
			if got := system(t, s, "a"); got.DrvPath.IsZero() {
				t.Error("no derivation")
			}
		})
	}
}

func TestReviewFacts(t *testing.T) {
	s := repo(t, map[string]string{
		"hive.nix": `{ web = { pkgs, lib, ... }: {
  networking.hostName = "web";
  networking.firewall = { allowedTCPPorts = [ 80 443 ]; allowedTCPPortRanges = [ { from = 60000; to = 60010; } ]; trustedInterfaces = [ "wg0" ]; };
  environment.systemPackages = [ pkgs.hello ];
  environment.etc = { motd.text = "hi"; "app/app.conf".source = ./app.conf; "binary".source = ./binary; gen.source = builtins.toFile "gen" "made"; };
  systemd.units."app.service" = { text = "[Service]\nExecStart=${pkgs.hello}/bin/hello\n"; wantedBy = [ "multi-user.target" ]; };
  systemd.units."off.service" = { enable = false; };
  users.users.alice = { uid = 1000; isNormalUser = true; extraGroups = [ "wheel" ]; hashedPassword = "$y$hidden"; openssh.authorizedKeys = { keys = [ "ssh-ed25519 AAAA alice" ]; keyFiles = [ ./alice.pub ]; }; };
  services.openssh = { enable = true; ports = [ 22 2222 ]; settings = { PermitRootLogin = "no"; PasswordAuthentication = false; Ciphers = [ "a" "b" ]; X = null; }; };
  warnings = [ "old ${builtins.fromJSON ''"\u001b"''}[31m red\n::error::x" ];
}; }`,
		"app.conf": "port = 1\n", "binary": "\x00\x01", "alice.pub": "# mine\nssh-ed25519 BBBB file\n\n",
	})
	got := system(t, s, "web")
	uid := 1000
	hello := strings.TrimSuffix(strings.TrimPrefix(got.Units["app.service"].Text, "[Service]\nExecStart="), "/bin/hello\n")
	if !strings.HasPrefix(hello, "/nix/store/") {
		t.Errorf("unit reads %q", got.Units["app.service"].Text)
	}
	if etc(t, got, "app/app.conf") != "port = 1\n" || etc(t, got, "motd") != "hi" || got.Etc["binary"].Text != nil || got.Etc["gen"].Text != nil {
		t.Errorf("etc is %+v", got.Etc)
	}
	for _, name := range []string{"app/app.conf", "binary", "gen"} {
		if !strings.HasPrefix(got.Etc[name].Source, "/nix/store/") {
			t.Errorf("source of %s is %q", name, got.Etc[name].Source)
		}
	}
	got.Etc = nil
	got.Units["app.service"] = plans.UnitText{Enabled: true, WantedBy: got.Units["app.service"].WantedBy}
	want := plans.System{
		Host: "web", DrvPath: got.DrvPath, OutPath: got.OutPath, Deployment: got.Deployment, HostName: "web", StateVersion: "25.11",
		Units:    map[string]plans.UnitText{"app.service": {Enabled: true, WantedBy: []string{"multi-user.target"}}, "off.service": {WantedBy: []string{}}},
		Packages: []plans.InstalledPackage{{Name: "hello", Version: "2.12"}},
		Firewall: plans.Firewall{
			Enabled: true, Ports: plans.FirewallPorts{TCP: []string{"80", "443", "60000-60010"}, UDP: []string{}},
			Interfaces: map[string]plans.FirewallPorts{"wg0": {TCP: []string{"all"}, UDP: []string{"all"}}},
		},
		Users:    map[string]plans.UserFacts{"alice": {UID: &uid, Groups: []string{"wheel"}, Normal: true, Keys: []string{"ssh-ed25519 AAAA alice", "ssh-ed25519 BBBB file"}}},
		SSHD:     plans.SSHD{Enabled: true, Ports: []int{22, 2222}, Settings: map[string]string{"PermitRootLogin": "no", "PasswordAuthentication": "no", "Ciphers": "a b"}},
		Boot:     plans.Boot{Params: []string{}},
		Images:   map[string]string{},
		Keys:     map[string]plans.KeyFacts{},
		Warnings: []string{"old  red\n: :error::x"},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b interface{ IsZero() bool }) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A fact that fails takes the others of its kind, or all, but not the system.
func TestReviewFactsThatFail(t *testing.T) {
	s := hive(t, `{
  thrown = { warnings = [ (throw "no") ]; networking.hostName = "a"; };
  aborted = { warnings = [ (abort "no") ]; networking.hostName = "b"; };
}`)
	got := evaluator(t, Options{}).Evaluate(t.Context(), s, []string{"thrown", "aborted"}, nil)
	if one := got["thrown"]; one.Err != nil || one.System.Partial != "" || one.System.HostName != "a" {
		t.Errorf("thrown: %+v", one)
	}
	if one := got["aborted"]; one.Err != nil || one.System.DrvPath.IsZero() || !strings.Contains(one.System.Partial, "no") {
		t.Errorf("aborted: %+v", one)
	}
}

func TestFacts(t *testing.T) {
	s := hive(t, `{ fleet, ... }: {
  web = { name, fleet, ... }: { environment.etc.ip.text = "${fleet.servers.${name}.ipv4} ${fleet.servers.db.private.private}"; };
  db = { environment.etc.ip.text = fleet.servers.db.ipv4; };
  lone = { environment.etc.names.text = toString (builtins.attrNames fleet.servers); };
  typo = { environment.etc.ip.text = fleet.servers.bd.ipv4; };
  self = { nodes, ... }: { environment.etc.ip.text = nodes.web.config.deployment.targetHost; };
}`)
	s.Facts = fleet.Facts{
		"web": {IPv4: "192.0.2.1", ServerType: "cx22", Location: "nbg1"},
		"db":  {IPv4: "192.0.2.2", Private: map[string]string{"private": "10.0.0.2"}},
	}
	web, db, lone := system(t, s, "web"), system(t, s, "db"), system(t, s, "lone")
	if got := etc(t, web, "ip"); got != "192.0.2.1 10.0.0.2" {
		t.Errorf("web reads %q", got)
	}
	for _, c := range []struct {
		s    plans.System
		want []string
	}{{web, []string{"db", "web"}}, {db, []string{"db"}}, {lone, nil}} {
		if !slices.Equal(c.s.ReadServers, c.want) {
			t.Errorf("%s read the facts of %v, want %v", c.s.Host, c.s.ReadServers, c.want)
		}
	}
	if got := etc(t, lone, "names"); got != "db web" {
		t.Errorf("names are %q", got)
	}
	if got := etc(t, system(t, s, "self"), "ip"); got != "192.0.2.1" {
		t.Errorf("targetHost defaults to %q", got)
	}

	// Another address of web concerns web alone.
	s.Facts["web"] = fleet.ServerFacts{IPv4: "192.0.2.99"}
	if system(t, s, "db").DrvPath != db.DrvPath || system(t, s, "lone").DrvPath != lone.DrvPath {
		t.Error("hosts that read nothing of web changed with it")
	}
	if system(t, s, "web").DrvPath == web.DrvPath {
		t.Error("web did not change with its address")
	}
}

// A file of facts that cannot be read concerns only those who read it.
func TestFactsAreReadLazily(t *testing.T) {
	s := hive(t, `{ fleet, ... }: {
  reads = { environment.etc.ip.text = fleet.servers.web.ipv4; };
  web = { };
}`)
	s.Facts = fleet.Facts{"web": {IPv4: "192.0.2.1"}}
	e := evaluator(t, Options{})
	o, err := e.open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if err := e.prepare(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(o.factsDir(), "web.json"), []byte("{ broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := e.one(t.Context(), o, nil, "web", nil); got.Err != nil {
		t.Errorf("web reads no facts, but: %v", got.Err)
	}
	if got := e.one(t.Context(), o, nil, "reads", nil); got.Err == nil {
		t.Error("the broken file was not read")
	}
	if _, err := e.eval(t.Context(), o, "deployments", ""); err != nil {
		t.Errorf("deployment settings read facts: %v", err)
	}
}

func TestModesAgree(t *testing.T) {
	// A name that no earlier run has put into the store.
	fresh := strings.TrimSpace(newMark())
	s := repo(t, map[string]string{"hive.nix": `{ a = { pkgs, ... }: { networking.hostName = "` + fresh + `"; environment.etc = { x.source = ./dir; y.source = ./file; z.source = builtins.toFile "z" "z"; }; environment.systemPackages = [ pkgs.hello ];
  systemd.units."app.service".text = "[Service]\nExecStart=${pkgs.hello}/bin/hello ${./file} ${derivation { name = "app.conf"; system = "x"; builder = "/bin/sh"; text = "port = 1\n"; }}"; }; }`,
		"dir/one": "1", "file": "2"})
	untrusted := system(t, s, "a")
	if _, err := os.Stat(untrusted.DrvPath.String()); err == nil {
		t.Fatal("the derivation is there before a trusted evaluation; the test shows nothing")
	}
	s.Trusted = true
	trusted := system(t, s, "a")
	if untrusted.DrvPath != trusted.DrvPath || untrusted.OutPath != trusted.OutPath {
		t.Errorf("untrusted %s %s, trusted %s %s", untrusted.DrvPath, untrusted.OutPath, trusted.DrvPath, trusted.OutPath)
	}
	if diff := cmp.Diff(untrusted.Etc, trusted.Etc); diff != "" {
		t.Errorf("etc differs (-untrusted +trusted):\n%s", diff)
	}
	want := map[string]string{"app.conf": "port = 1\n", "file": "2"}
	for mode, s := range map[string]plans.System{"untrusted": untrusted, "trusted": trusted} {
		if diff := cmp.Diff(want, s.Units["app.service"].Files); diff != "" {
			t.Errorf("%s: files of the unit (-want +got):\n%s", mode, diff)
		}
	}
	if _, err := os.Stat(trusted.DrvPath.String()); err != nil {
		t.Errorf("a trusted evaluation did not write its derivation: %v", err)
	}
}

func TestOneBadHostDoesNotHideTheOthers(t *testing.T) {
	s := hive(t, `{ good = { deployment.tags = [ "x" ]; }; bad = { nonsense = 1; }; worse = throw "no"; }`)
	e := evaluator(t, Options{})
	hosts, err := e.Hosts(t.Context(), s)
	if got := slices.Sorted(maps.Keys(hosts)); !slices.Equal(got, []string{"good"}) {
		t.Errorf("hosts are %v", got)
	}
	failed, rest := ByHost(err)
	if got := slices.Sorted(maps.Keys(failed)); !slices.Equal(got, []string{"bad", "worse"}) || rest != nil {
		t.Errorf("failed %v, rest %v", got, rest)
	}
	if all := problem.All(err); len(all) != 2 || all[0].At.File != "hive.nix" {
		t.Errorf("problems are %+v", all)
	}

	var mu sync.Mutex
	events := map[string]progress.Kind{}
	got := e.Evaluate(t.Context(), s, []string{"bad", "good", "absent"}, progress.Func(func(ev progress.Event) {
		mu.Lock()
		defer mu.Unlock()
		if ev.Kind != progress.Begin && ev.Host != "" {
			events[ev.Host] = ev.Kind
		}
	}))
	if got["good"].Err != nil || got["bad"].Err == nil || got["absent"].Err == nil {
		t.Errorf("evaluations are %+v", got)
	}
	if want := map[string]progress.Kind{"good": progress.End, "bad": progress.Fail, "absent": progress.Fail}; !maps.Equal(events, want) {
		t.Errorf("events are %v", events)
	}
}

func TestVersion(t *testing.T) {
	v, err := evaluator(t, Options{}).Version(t.Context())
	if err != nil || v == "" || strings.Trim(v, "0123456789.") != "" {
		t.Errorf("version %q, %v", v, err)
	}
}
