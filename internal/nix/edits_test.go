package nix

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// edited is a fleet of ten hosts that is edited at random. Each host reads in
// another way, so that every way of reading is under test.
type edited struct {
	t      *testing.T
	dir    string
	facts  fleet.Facts
	random *rand.Rand
}

const editedHive = `{ fleet, ... }:
let
  lib = import ./lib.nix;
  has = path: if builtins.pathExists path then "there" else "not there";
  show = text: { environment.etc.seen.text = text; };
in
{
  meta.nixpkgs = <nixpkgs>;
  meta.specialArgs.lines = lib.lines;
  h0 = ./hosts/h0.nix;
  h1 = { imports = [ ./hosts/h1.nix ]; } // show (builtins.readFile ./secrets/one.yaml);
  h2 = show (builtins.toJSON (builtins.readDir ./listed));
  h3 = show "${has ./maybe/a} ${has ./maybe/b} ${has ./listed/link}";
  h4 = { environment.etc.folder.source = ./copied; };
  h5 = { nodes, ... }: show nodes.h0.config.environment.etc.own.text;
  h6 = show fleet.servers.db.ipv4;
  h7 = { environment.etc.script.source = ./run.sh; users.users.ada.openssh.authorizedKeys.keyFiles = [ ./secrets/ada.pub ]; };
  h8 = show (builtins.readFile ./listed/link);
  h9 = { imports = map (name: ./modules + "/${name}") (builtins.attrNames (builtins.readDir ./modules)); };
}
`

func newEdited(t *testing.T, seed uint64) *edited {
	s := treeOf(t, map[string]string{
		"hive.nix": editedHive, "lib.nix": `{ lines = builtins.concatStringsSep "\n"; }`, "README.md": "",
		"hosts/h0.nix": `{ environment.etc.own.text = "0"; }`, "hosts/h1.nix": "{ }",
		"secrets/one.yaml": "a", "secrets/ada.pub": "ssh-ed25519 AAAA ada", "listed/x": "", "listed/y": "y",
		"copied/file": "f", "copied/deep/er": "d", "run.sh": "#!/bin/sh\n", "modules/m.nix": "{ }", "unread/u.nix": "{ }",
	})
	if err := os.Symlink("y", filepath.Join(s.Dir, "listed/link")); err != nil {
		t.Fatal(err)
	}
	return &edited{
		t: t, dir: s.Dir, random: rand.New(rand.NewPCG(seed, 1)), //nolint:gosec // edits that can be made again
		facts: fleet.Facts{"db": {IPv4: "192.0.2.1"}, "cache": {IPv4: "192.0.2.2"}},
	}
}

func (e *edited) path(name string) string { return filepath.Join(e.dir, name) }

func (e *edited) must(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *edited) write(name, text string) {
	e.t.Helper()
	e.must(os.MkdirAll(filepath.Dir(e.path(name)), 0o755))
	e.must(os.WriteFile(e.path(name), []byte(text), 0o644))
}

func (e *edited) one(of ...string) string { return of[e.random.IntN(len(of))] }

func (e *edited) toggle(name string, make func()) {
	if _, err := os.Lstat(e.path(name)); err == nil {
		e.must(os.RemoveAll(e.path(name)))
		return
	}
	make()
}

// edit changes something and says what.
func (e *edited) edit() string {
	n := e.random.IntN(6)
	number := fmt.Sprint(n)
	kinds := map[string]func(){
		"read by nobody":     func() { e.write(e.one("README.md", "unread/u.nix", "unread/new/"+number), "# "+number) },
		"a host's file":      func() { e.write("hosts/h1.nix", "{ environment.etc.n.text = \""+number+"\"; }") },
		"a looked-into host": func() { e.write("hosts/h0.nix", "{ environment.etc.own.text = \""+number+"\"; }") },
		"a secret":           func() { e.write("secrets/one.yaml", number) },
		"a key file":         func() { e.write("secrets/ada.pub", "ssh-ed25519 AAAA"+number+" ada") },
		"a listed folder":    func() { e.toggle("listed/"+number, func() { e.write("listed/"+number, "") }) },
		"a listed type": func() {
			e.must(os.RemoveAll(e.path("listed/x")))
			if n%2 == 0 {
				e.write("listed/x", number)
			} else {
				e.write("listed/x/in", number)
			}
		},
		"what may be there": func() {
			name := "maybe/" + e.one("a", "b")
			e.toggle(name, func() { e.write(name, number) })
		},
		"the content of what may be there": func() { e.write("maybe/a", number) },
		"a copied file":                    func() { e.write(e.one("copied/file", "copied/deep/er"), number) },
		"a file beside copied ones":        func() { e.toggle("copied/n"+number, func() { e.write("copied/n"+number, "") }) },
		"a copied file's mode":             func() { e.flip(e.one("copied/file", "run.sh")) },
		"a copied link":                    func() { e.link("copied/link", e.one("file", "deep/er", "nowhere")) },
		"a link's target":                  func() { e.link("listed/link", e.one("y", "../lib.nix", "../secrets/one.yaml")) },
		"what a link leads to":             func() { e.write("listed/y", number) },
		"a folder that becomes a link": func() {
			if info, err := os.Lstat(e.path("modules")); err == nil && info.IsDir() {
				e.must(os.Rename(e.path("modules"), e.path("real")))
				e.link("modules", "real")
			} else {
				e.must(os.Remove(e.path("modules")))
				e.must(os.Rename(e.path("real"), e.path("modules")))
			}
		},
		"a module": func() { e.write("modules/m.nix", "{ environment.etc.m.text = \""+number+"\"; }") },
		"a new module": func() {
			name := "modules/m" + number + ".nix"
			e.toggle(name, func() { e.write(name, "{ environment.etc.m"+number+".text = \"\"; }") })
		},
		"a renamed module": func() {
			from, to := "modules/m.nix", "modules/z.nix"
			if _, err := os.Lstat(e.path(to)); err == nil {
				from, to = to, from
			}
			if _, err := os.Lstat(e.path(from)); err == nil {
				e.must(os.Rename(e.path(from), e.path(to)))
			}
		},
		"what all read": func() { e.write("lib.nix", "# "+number+"\n{ lines = builtins.concatStringsSep \"\\n\"; }") },
		"facts":         func() { e.facts["db"] = fleet.ServerFacts{IPv4: "192.0.2." + number} },
		"other facts":   func() { e.facts["cache"] = fleet.ServerFacts{IPv4: "192.0.2." + number} },
		"a server": func() {
			name := "s" + number
			if _, ok := e.facts[name]; ok {
				delete(e.facts, name)
			} else {
				e.facts[name] = fleet.ServerFacts{}
			}
		},
		"something broken": func() { e.toggle("hosts/h1.nix", func() { e.write("hosts/h1.nix", "{ }") }) },
		"nothing":          func() {},
	}
	names := slices.Sorted(maps.Keys(kinds))
	name := names[e.random.IntN(len(names))]
	kinds[name]()
	return name
}

func (e *edited) flip(name string) {
	info, err := os.Stat(e.path(name))
	e.must(err)
	e.must(os.Chmod(e.path(name), info.Mode().Perm()^0o111))
}

func (e *edited) link(name, target string) {
	e.must(os.RemoveAll(e.path(name)))
	e.must(os.Symlink(target, e.path(name)))
}

// TestRandomEdits holds evaluation with a cache to evaluation without one, host
// by host, after each of 200 edits of a fleet of ten hosts.
func TestRandomEdits(t *testing.T) {
	const edits = 200
	hosts := []string{"h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"}
	seed := uint64(4)
	e := newEdited(t, seed)
	plain := evaluator(t, Options{Workers: 4})
	cached := evaluator(t, Options{Workers: 4, Cache: Cache{Dir: t.TempDir(), Watcher: watcher(t)}})
	defer plain.Keep()()
	defer cached.Keep()()
	hits, failed := 0, 0
	for i := range edits {
		what := e.edit()
		settle()
		s := Source{Dir: e.dir, Hive: fleet.Hive{File: "hive.nix"}, Facts: e.facts}
		full := e.full(plain, s, hosts)
		got, found := countedBy(t, cached, s, hosts)
		hits += found
		for host, one := range got {
			one.System.ReadServers = nil // not told of several hosts in one process
			got[host] = one
		}
		if diff := cmp.Diff(full, got, paths(), byText()); diff != "" {
			t.Fatalf("edit %d of seed %d, %s (-without +with the cache):\n%s", i, seed, what, diff)
		}
		for _, one := range got {
			if one.Err != nil {
				failed++
			}
		}
	}
	t.Logf("%d of %d evaluations came from the cache, %d failed", hits, edits*len(hosts), failed)
	if hits < edits*len(hosts)*8/10 {
		t.Errorf("%d of %d evaluations came from the cache", hits, edits*len(hosts))
	}
}

// full evaluates hosts without a cache: all in one process, which is quicker for
// hosts as small as these, or each by itself where one fails.
func (e *edited) full(n *Evaluator, s Source, hosts []string) map[string]plans.Evaluation {
	o, err := n.open(e.t.Context(), s)
	e.must(err)
	defer o.close()
	e.must(n.prepare(e.t.Context(), o))
	args := append([]string{"--eval", "--strict", "--json"}, n.modeArgs(o)...)
	args = append(args, "-E", fmt.Sprintf(`builtins.listToAttrs (map (host: { name = host; value = (import %s { input = "%s"; mark = ""; inherit host; }).system; }) [ "%s" ])`,
		o.evalFile(), o.inputFile(), strings.Join(hosts, `" "`)))
	r, err := process.Run(e.t.Context(), process.Command{Program: "nix-instantiate", Args: args, Dir: o.tool, Env: n.environment(o)})
	if err != nil {
		result := n.Evaluate(e.t.Context(), s, hosts, nil)
		for host, one := range result {
			one.System.ReadServers = nil
			result[host] = one
		}
		return result
	}
	var printed map[string]json.RawMessage
	e.must(json.Unmarshal(r.Stdout, &printed))
	result := map[string]plans.Evaluation{}
	for host, text := range printed {
		w, p := o.read(host, text)
		result[host] = plans.Evaluation{System: w.System.System, Err: p}
	}
	return result
}

// byText compares failures by their text, which names no folder.
func byText() cmp.Option {
	return cmp.Comparer(func(a, b *problem.Problem) bool {
		return (a == nil) == (b == nil) && (a == nil || problem.Text(a) == problem.Text(b))
	})
}
