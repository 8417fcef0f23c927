package nix

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/observe"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// The test's own program watches the Nix that it becomes.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "become" {
		fmt.Fprintln(os.Stderr, observe.Become(os.Args[2:]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// watcher is Cache.Watcher.
func watcher(t testing.TB) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "become"}
}

// counted is an Evaluator's run with what it took from the cache.
func counted(t *testing.T, opts Options, s Source, hosts []string) (map[string]plans.Evaluation, int) {
	t.Helper()
	return countedBy(t, evaluator(t, opts), s, hosts)
}

func countedBy(t *testing.T, e *Evaluator, s Source, hosts []string) (map[string]plans.Evaluation, int) {
	t.Helper()
	hits := 0
	sink := progress.Func(func(e progress.Event) {
		if e.Kind == progress.Note {
			_, _ = fmt.Sscanf(e.Text, "%d of", &hits) // other notes have no number
		}
	})
	result := e.Evaluate(t.Context(), s, hosts, sink)
	return result, hits
}

// paths compares store paths.
func paths() cmp.Option { return cmp.Comparer(func(a, b storepath.Path) bool { return a == b }) }

// settle waits until files written before are older than what comes next.
func settle() { time.Sleep(12 * time.Millisecond) }

const twoHosts = `{ fleet, ... }: {
  meta.nixpkgs = <nixpkgs>;
  a = { environment.etc.a.source = ./files/a; environment.etc.x.text = if builtins.pathExists ./local.nix then "local" else ""; };
  b = { environment.etc.db.text = fleet.servers.db.ipv4; imports = [ ./b.nix ]; };
}
`

func twoHostsTree(t *testing.T) Source {
	s := repo(t, map[string]string{"hive.nix": twoHosts, "files/a": "one\n", "b.nix": "{ }\n", "README.md": "Two hosts.\n"})
	s.Facts = fleet.Facts{"db": {IPv4: "192.0.2.1"}, "other": {IPv4: "192.0.2.9"}}
	return s
}

func TestCacheFollowsInputs(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		t.Run(fmt.Sprintf("trusted=%t", trusted), func(t *testing.T) {
			s := twoHostsTree(t)
			s.Trusted = trusted
			opts := Options{Cache: Cache{Dir: t.TempDir(), Watcher: watcher(t)}}
			edit := func(name, text string) func() {
				return func() {
					if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o644); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, step := range []struct {
				what string
				do   func()
				hits int
			}{
				{"first", func() {}, 0},
				{"the same", func() {}, 2},
				{"a file that nobody reads", edit("README.md", "changed\n"), 2},
				{"a file of a", edit("files/a", "two\n"), 1},
				{"a file of b", edit("b.nix", "{ environment.etc.more.text = \"\"; }\n"), 1},
				{"a file that was absent", edit("local.nix", "{ }\n"), 1},
				{"absent again", func() { _ = os.Remove(filepath.Join(s.Dir, "local.nix")) }, 2},
				{"facts of a server that b reads", func() { s.Facts["db"] = fleet.ServerFacts{IPv4: "192.0.2.2"} }, 1},
				{"facts of a server that nobody reads", func() { s.Facts["other"] = fleet.ServerFacts{IPv4: "192.0.2.8"} }, 2},
				{"a new server, when b sees the names of all", func() { s.Facts["new"] = fleet.ServerFacts{} }, 1},
				{"a server of a's name, which only b sees", func() { s.Facts["a"] = fleet.ServerFacts{IPv4: "192.0.2.4"} }, 1},
			} {
				step.do()
				settle()
				plain := evaluator(t, Options{}).Evaluate(t.Context(), s, []string{"a", "b"}, nil)
				got, hits := counted(t, opts, s, []string{"a", "b"})
				if diff := cmp.Diff(plain, got, paths()); diff != "" {
					t.Fatalf("%s (-without +with the cache):\n%s", step.what, diff)
				}
				if hits != step.hits {
					t.Errorf("%s: %d of 2 hosts came from the cache, want %d", step.what, hits, step.hits)
				}
			}
		})
	}
}

// Without a watcher a restricted evaluation is found again by its whole tree.
func TestCacheOfWholeTree(t *testing.T) {
	s := twoHostsTree(t)
	opts := Options{Cache: Cache{Dir: t.TempDir()}}
	for i, want := range []int{0, 2} {
		if got, hits := counted(t, opts, s, []string{"a", "b"}); hits != want || got["a"].Err != nil {
			t.Errorf("run %d: %d hits, %v", i, hits, got["a"].Err)
		}
	}
	if err := os.WriteFile(filepath.Join(s.Dir, "README.md"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, hits := counted(t, opts, s, []string{"a", "b"}); hits != 0 {
		t.Error("another tree was found")
	}
	s.Trusted = true
	_, _ = counted(t, opts, s, []string{"a", "b"})
	if _, hits := counted(t, opts, s, []string{"a", "b"}); hits != 0 {
		t.Error("a trusted evaluation, which reads more than the tree, was found by the tree")
	}
}

// What may be another result next time is not kept.
func TestNotCached(t *testing.T) {
	for name, text := range map[string]string{
		"clock":  `toString builtins.currentTime`,
		"folder": `toString ./.`,
		"fails":  `throw "no"`,
	} {
		t.Run(name, func(t *testing.T) {
			s := hive(t, `{ meta.nixpkgs = <nixpkgs>; a.environment.etc.x.text = `+text+`; }`)
			settle()
			opts := Options{Cache: Cache{Dir: t.TempDir(), Watcher: watcher(t)}}
			for range 2 {
				if _, hits := counted(t, opts, s, []string{"a"}); hits != 0 {
					t.Error("it was kept")
				}
			}
		})
	}
}

func TestLevels(t *testing.T) {
	s := twoHostsTree(t)
	settle()
	dir := t.TempDir()
	proposed := Options{Cache: Cache{Dir: dir, Proposed: true, Watcher: watcher(t)}}
	merged := Options{Cache: Cache{Dir: dir, Watcher: watcher(t)}}
	hosts := []string{"a", "b"}
	for i, step := range []struct {
		opts Options
		hits int
	}{{proposed, 0}, {proposed, 2}, {merged, 0}, {merged, 2}} {
		if _, hits := counted(t, step.opts, s, hosts); hits != step.hits {
			t.Errorf("run %d: %d hits, want %d", i, hits, step.hits)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "proposed")); err != nil {
		t.Fatal(err)
	}
	if _, hits := counted(t, proposed, s, hosts); hits != 2 {
		t.Error("a change that nobody merged does not see what the default branch found out")
	}
}

// Whatever is wrong with the cache, the result is right.
func TestDamagedCache(t *testing.T) {
	s := twoHostsTree(t)
	settle()
	dir := t.TempDir()
	opts := Options{Cache: Cache{Dir: dir, Watcher: watcher(t)}}
	want, _ := counted(t, opts, s, []string{"a", "b"})
	var files []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, _ error) error {
		if d.Type().IsRegular() && d.Name() != "swept" {
			files = append(files, path)
		}
		return nil
	})
	if len(files) < 6 {
		t.Fatalf("the cache has %q", files)
	}
	for name, damage := range map[string]func(path string) error{
		"empty": func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"cut":   func(path string) error { return os.Truncate(path, 40) },
		"foreign": func(path string) error {
			return os.WriteFile(path, []byte(`{"inputs":{"README.md":"f"},"result":"../../x"}`), 0o600)
		},
		"directory": func(path string) error { _ = os.Remove(path); return os.Mkdir(path, 0o700) },
	} {
		for _, path := range files {
			_ = os.RemoveAll(path)
			if err := damage(path); err != nil {
				_ = os.WriteFile(path, nil, 0o600)
			}
		}
		got, hits := counted(t, opts, s, []string{"a", "b"})
		if diff := cmp.Diff(want, got, paths()); diff != "" || hits != 0 {
			t.Errorf("%s: %d hits, (-want +got):\n%s", name, hits, diff)
		}
	}
}

func TestVerifyCache(t *testing.T) {
	s := twoHostsTree(t)
	settle()
	opts := Options{Cache: Cache{Dir: t.TempDir(), Watcher: watcher(t)}}
	_, _ = counted(t, opts, s, []string{"a", "b"})
	opts.Cache.Verify = true
	for host, one := range evaluator(t, opts).Evaluate(t.Context(), s, []string{"a", "b"}, nil) {
		if one.Err != nil {
			t.Errorf("%s: %v", host, one.Err)
		}
	}
	// A result in a's place that is not a's.
	e := evaluator(t, opts)
	o, err := e.open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	m := e.remember(t.Context(), o)
	var text []byte
	if !m.find("a", func(digest string) (ok bool) { text, ok = m.vault.result(digest); return ok }) {
		t.Fatal("a is not in the cache")
	}
	_, tree := m.keys("a")
	forged := strings.Replace(string(text), `"host_name":"`, `"host_name":"not-`, 1)
	if err := m.vault.keep("none", tree, entry{}, []byte(forged)); err != nil {
		t.Fatal(err)
	}
	got := evaluator(t, opts).Evaluate(t.Context(), s, []string{"a", "b"}, nil)
	if got["a"].Err == nil || !strings.Contains(problem.Text(got["a"].Err), "host a: the cached evaluation differs from a fresh one in host_name") {
		t.Errorf("a: %v", got["a"].Err)
	}
	if got["b"].Err != nil {
		t.Errorf("b: %v", got["b"].Err)
	}
}

func TestSweep(t *testing.T) {
	dir := t.TempDir()
	v := newVault(Cache{Dir: dir})
	if err := v.keep("key", "tree", entry{Inputs: map[string]string{"x": folder}}, []byte("{}")); err != nil {
		t.Fatal(err)
	}
	v.sweep(time.Now())
	if len(v.entries("key")) != 1 {
		t.Fatal("what was used lately is gone")
	}
	if err := os.Remove(filepath.Join(dir, "merged/swept")); err != nil {
		t.Fatal(err)
	}
	v.sweep(time.Now().Add(unusedFor + time.Hour))
	left, _ := filepath.Glob(filepath.Join(dir, "merged/*/*"))
	if len(v.entries("key")) != 0 || slices.ContainsFunc(left, func(p string) bool { return !strings.HasSuffix(p, "/key") }) {
		t.Errorf("left: %q", left)
	}
}
