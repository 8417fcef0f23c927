package nix

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

func selector(t *testing.T, text string) fleet.Selector {
	t.Helper()
	if text == "" {
		return fleet.Selector{}
	}
	on, err := fleet.ParseSelector(text)
	if err != nil {
		t.Fatal(err)
	}
	return on
}

// Whatever is selected, and in whichever way, each host is what it is by itself.
func TestSelect(t *testing.T) {
	const three = `{ meta.nixpkgs = <nixpkgs>; web-1 = { deployment.tags = [ "web" ]; }; web-2 = { deployment.tags = [ "web" ]; environment.etc.two.text = "2"; }; db = { }; }`
	for _, trial := range []struct {
		hive, on string
		want     []string
	}{
		{three, "", []string{"db", "web-1", "web-2"}},
		{three, "web-*", []string{"web-1", "web-2"}},
		{three, "!db", []string{"web-1", "web-2"}},
		{three, "@web", []string{"web-1", "web-2"}},
		{three, "db,absent", []string{"db"}},
		{three, "absent", nil},
		{`{ meta.nixpkgs = <nixpkgs>; lone = { deployment.tags = [ "x" ]; environment.etc.a.text = "b"; }; }`, "", []string{"lone"}},
		{`{ meta.nixpkgs = <nixpkgs>; lone = { }; }`, "other", nil},
		{`{ meta.nixpkgs = <nixpkgs>; }`, "", nil},
	} {
		for _, way := range []string{"plain", "brief", "trusted", "cached"} {
			t.Run(trial.on+" "+way, func(t *testing.T) {
				s, opts := hive(t, trial.hive), Options{}
				s.Brief, s.Trusted = way == "brief", way == "trusted"
				if way == "cached" {
					opts.Cache = Cache{Dir: t.TempDir(), Watcher: watcher(t)}
				}
				alone := evaluator(t, Options{}).Evaluate(t.Context(), s, trial.want, nil)
				for round := range 2 {
					kept := 0
					sink := progress.Func(func(e progress.Event) { _, _ = fmt.Sscanf(e.Text, "%d of", &kept) })
					got, err := evaluator(t, opts).Select(t.Context(), s, selector(t, trial.on), sink)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(alone, got, paths()); diff != "" {
						t.Errorf("round %d (-by itself +selected):\n%s", round, diff)
					}
					if want := round * len(trial.want); way == "cached" && kept != want {
						t.Errorf("round %d: %d of %d hosts came from the cache", round, kept, len(trial.want))
					}
				}
			})
		}
	}
}

// A hive is opened in full, not by the names that were kept, once its file changed.
func TestSelectSeesNewHosts(t *testing.T) {
	s := hive(t, `{ meta.nixpkgs = <nixpkgs>; a = { }; }`)
	opts := Options{Cache: Cache{Dir: t.TempDir(), Watcher: watcher(t)}}
	for _, names := range [][]string{{"a"}, {"a", "b"}, {"b"}} {
		text := "{ meta.nixpkgs = <nixpkgs>; " + strings.Join(names, " = { }; ") + " = { }; }"
		if err := os.WriteFile(filepath.Join(s.Dir, "hive.nix"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := evaluator(t, opts).Select(t.Context(), s, fleet.Selector{}, nil)
		if err != nil || !slices.Equal(slices.Sorted(maps.Keys(got)), names) {
			t.Errorf("got %v (%v), want %v", slices.Sorted(maps.Keys(got)), err, names)
		}
	}
}

// Every failure is its host's, and the hive's is the hive's.
func TestSelectFailures(t *testing.T) {
	const broken = `{ meta.nixpkgs = <nixpkgs>; good = { }; bad = throw "it is broken"; }`
	for name, trial := range map[string]struct {
		hive, on string
		failed   map[string]string // host → in its error
		whole    string            // in the hive's error
	}{
		"one of two":        {broken, "", map[string]string{"bad": "it is broken", "good": ""}, ""},
		"not selected":      {broken, "good", map[string]string{"good": ""}, ""},
		"by tag":            {broken, "@web", map[string]string{"bad": "it is broken"}, ""},
		"the only one":      {`{ meta.nixpkgs = <nixpkgs>; lone = throw "it is broken"; }`, "", map[string]string{"lone": "it is broken"}, ""},
		"its assertion":     {`{ meta.nixpkgs = <nixpkgs>; lone = { assertions = [ { assertion = false; message = "not so"; } ]; }; }`, "", map[string]string{"lone": "not so"}, ""},
		"a bad name":        {`{ meta.nixpkgs = <nixpkgs>; good = { }; "a b" = { }; }`, "", map[string]string{"a b": "name", "good": ""}, ""},
		"the only bad name": {`{ meta.nixpkgs = <nixpkgs>; "a b" = { }; }`, "", map[string]string{"a b": "name"}, ""},
		"syntax":            {`{ meta.nixpkgs = <nixpkgs>; a = `, "", nil, "syntax error"},
		"no set":            {`1`, "", nil, "hive"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, brief := range []bool{false, true} {
				s := hive(t, trial.hive)
				s.Brief = brief
				got, err := evaluator(t, Options{}).Select(t.Context(), s, selector(t, trial.on), nil)
				if (err != nil) != (trial.whole != "") || err != nil && !strings.Contains(problem.Text(err), trial.whole) {
					t.Errorf("brief=%t: the hive's error is %v, want %q", brief, err, trial.whole)
				}
				if len(got) != len(trial.failed) {
					t.Errorf("brief=%t: got %d hosts, want %d: %v", brief, len(got), len(trial.failed), got)
				}
				for host, want := range trial.failed {
					failed := got[host].Err
					if (failed != nil) != (want != "") || failed != nil && !strings.Contains(problem.Text(failed), want) {
						t.Errorf("brief=%t: %s: %v, want %q", brief, host, failed, want)
					}
				}
			}
		})
	}
}

// What evaluation puts into the store and reads back needs a store, also where
// it began without one. That is not kept: it was not looked through.
func TestBriefReadsItsOwnStore(t *testing.T) {
	for name, text := range map[string]string{
		"the only host": `{ meta.nixpkgs = <nixpkgs>; a = { environment.etc.x.text = import (builtins.toFile "x.nix" "\"made\""); }; }`,
		"two hosts":     `{ meta.nixpkgs = <nixpkgs>; a = { environment.etc.x.text = import (builtins.toFile "x.nix" "\"made\""); }; b = { }; }`,
		"the hive":      `import (builtins.toFile "h.nix" "{ meta.nixpkgs = <nixpkgs>; a = { environment.etc.x.text = \"made\"; }; }")`,
	} {
		t.Run(name, func(t *testing.T) {
			s := hive(t, text)
			s.Brief = true
			e := evaluator(t, Options{})
			got, err := e.Select(t.Context(), s, fleet.Selector{}, nil)
			if err != nil || got["a"].Err != nil {
				t.Fatal(err, got["a"].Err)
			}
			if made := etc(t, got["a"].System, "x"); made != "made" {
				t.Errorf("got %q", made)
			}
			if e.store.root != "" {
				t.Errorf("the store %s stays", e.store.root)
			}
		})
	}
}

// The result of Brief lacks nothing but the texts of generated files.
func TestBrief(t *testing.T) {
	s := hive(t, `{ meta.nixpkgs = <nixpkgs>; a = { pkgs, ... }: { environment.etc.y.text = "y";
  systemd.units."a.service".text = "${derivation { name = "app.conf"; system = "x"; builder = "/bin/sh"; text = "port = 1\n"; }}"; }; }`)
	whole := system(t, s, "a")
	if len(whole.Units["a.service"].Files) != 1 {
		t.Fatalf("%+v", whole.Units["a.service"])
	}
	s.Brief = true
	brief := system(t, s, "a")
	for name, unit := range whole.Units {
		unit.Files = nil
		whole.Units[name] = unit
	}
	if diff := cmp.Diff(whole, brief, paths()); diff != "" {
		t.Errorf("(-whole +brief):\n%s", diff)
	}
}
