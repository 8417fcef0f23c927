package nix

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// builderConfig lets root build without a daemon, build users or a sandbox that
// would hide /bin/sh; and there is no cache to wait for without a network.
const builderConfig = "build-users-group =\nsandbox = false\nsubstituters ="

func TestBuild(t *testing.T) {
	s := hive(t, `{
  good = { networking.hostName = "good"; };
  bad = { lib, ... }: { system.build.toplevel = lib.mkForce (derivation { name = "bad"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo one >&2; echo '::error::two' >&2; exit 3" ]; }); };
}`)
	s.Trusted = true
	t.Setenv("NIX_CONFIG", builderConfig)
	roots := filepath.Join(t.TempDir(), "roots")
	e := evaluator(t, Options{RootsDir: roots})
	evals := e.Evaluate(t.Context(), s, []string{"good", "bad"}, nil)
	var systems []plans.System
	for host, ev := range evals {
		if ev.Err != nil {
			t.Fatalf("%s: %s", host, problem.Text(ev.Err))
		}
		systems = append(systems, ev.System)
	}
	var mu sync.Mutex
	var log []string
	failed := e.Build(t.Context(), systems, progress.Func(func(ev progress.Event) {
		mu.Lock()
		defer mu.Unlock()
		if ev.Kind == progress.Log {
			log = append(log, ev.Host+": "+ev.Text)
		}
	}))
	if failed["good"] != nil {
		t.Fatal(problem.Text(failed["good"]))
	}
	if _, err := os.Stat(evals["good"].System.OutPath.String()); err != nil {
		t.Error(err)
	}
	if target, err := os.Readlink(filepath.Join(roots, "good")); err != nil || target != evals["good"].System.OutPath.String() {
		t.Errorf("root leads to %q, %v", target, err)
	}
	var p *problem.Problem
	if !errors.As(failed["bad"], &p) || !strings.Contains(p.Source, "one") || !strings.Contains(p.Source, "two") || strings.Contains(p.Source, "::error") {
		t.Errorf("failure is %+v", p)
	}
	if !slices.Contains(log, "bad: one") {
		t.Errorf("log is %q", log)
	}

	wrong := evals["good"].System
	wrong.OutPath = evals["bad"].System.OutPath
	if failed := e.Build(t.Context(), []plans.System{wrong}, nil); failed["good"] == nil {
		t.Error("a build at another path was taken")
	}
}

// Many processes share one private store.
func TestManyHosts(t *testing.T) {
	s := hive(t, `builtins.listToAttrs (map (n: { name = "host-${toString n}"; value = { name, nodes, pkgs, ... }: {
  networking.hostName = name;
  environment.systemPackages = [ pkgs.hello ];
  systemd.units."app.service".text = "${derivation { name = "app.conf"; system = "x"; builder = "/bin/sh"; text = "of ${name}"; }}";
}; }) (builtins.genList (n: n) 24))`)
	e := evaluator(t, Options{Workers: 8})
	hosts, err := e.Hosts(t.Context(), s)
	if err != nil || len(hosts) != 24 {
		t.Fatalf("%d hosts, %v", len(hosts), err)
	}
	got := e.Evaluate(t.Context(), s, slices.Sorted(maps.Keys(hosts)), nil)
	if len(got) != 24 {
		t.Fatalf("%d evaluations", len(got))
	}
	for host, one := range got {
		if one.Err != nil {
			t.Fatalf("%s: %s", host, problem.Text(one.Err))
		}
		if text := one.System.Units["app.service"].Files["app.conf"]; text != "of "+host || one.System.HostName != host {
			t.Errorf("%s: text %q, name %q, partial %q", host, text, one.System.HostName, one.System.Partial)
		}
	}
}

// A channel or a pinned nixpkgs lies in the store.
func TestNixpkgsInTheStore(t *testing.T) {
	t.Setenv("NIX_CONFIG", builderConfig)
	r, err := process.Run(t.Context(), process.Command{Program: "nix-store", Args: []string{"--add", "testdata/nixpkgs"}})
	if err != nil {
		t.Fatal(err)
	}
	inStore := strings.TrimSpace(string(r.Stdout))
	link := filepath.Join(t.TempDir(), "channel")
	if err := os.Symlink(inStore, link); err != nil {
		t.Fatal(err)
	}
	s := hive(t, `{ web = { pkgs, ... }: { environment.systemPackages = [ pkgs.hello ]; systemd.units."a.service".text = "${./hive.nix}"; }; }`)
	want := system(t, s, "web")
	for _, nixPath := range []string{"nixpkgs=" + inStore, "nixpkgs=" + link, filepath.Dir(inStore) + ":nixpkgs=" + link} {
		for _, trusted := range []bool{false, true} {
			s.Trusted = trusted
			got := evaluator(t, Options{NixPath: nixPath}).Evaluate(t.Context(), s, []string{"web"}, nil)["web"]
			if got.Err != nil {
				t.Errorf("%s, trusted %v:\n%s", nixPath, trusted, problem.Text(got.Err))
			} else if got.System.DrvPath != want.DrvPath {
				t.Errorf("%s, trusted %v: another derivation", nixPath, trusted)
			} else if text := got.System.Units["a.service"].Files["hive.nix"]; text == "" {
				t.Errorf("%s, trusted %v: texts of generated files are not known", nixPath, trusted)
			}
		}
	}
}

// A Nix that does not look into the machine's store evaluates without any.
func TestBlindEvaluation(t *testing.T) {
	s := hive(t, `{ web = { systemd.units."a.service".text = "${./hive.nix}"; }; }`)
	want := system(t, s, "web")
	e := evaluator(t, Options{})
	o, err := e.open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	o.blind = true
	got := e.one(t.Context(), o, nil, "web", nil)
	if got.Err != nil || got.System.DrvPath != want.DrvPath || got.System.Units["a.service"].Files != nil {
		t.Errorf("got %+v", got)
	}
}

func TestCancelled(t *testing.T) {
	s := hive(t, `{ a = { }; }`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := evaluator(t, Options{}).Evaluate(ctx, s, []string{"a"}, nil)["a"]; problem.CodeOf(got.Err) != problem.Cancelled {
		t.Errorf("got %v", got.Err)
	}
}
