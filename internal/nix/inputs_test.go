package nix

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestSourcePathIsNixs(t *testing.T) {
	path, hash := inStore(t, repo(t, map[string]string{"a/b": "c"}).Dir)
	if got, err := sourcePath(hash); err != nil || got.String() != path {
		t.Errorf("sourcePath(%s) = %s, %v, want %s", hash, got, err, path)
	}
	for _, bad := range []string{"", "sha256-", "sha256-AAAA", "sha512-AAAA", "md5:x", "sha256:zz"} {
		if got, err := sourcePath(bad); err == nil {
			t.Errorf("sourcePath(%q) = %s", bad, got)
		}
	}
}

// Inputs inside the repository, inputs of inputs, inputs that follow others,
// and sources that are no flakes.
func TestFlakeInputs(t *testing.T) {
	_, hash := inStore(t, labTree(t))
	nixpkgs := fmt.Sprintf(`"nixpkgs":{"locked":{"narHash":%q,"type":"github","owner":"NixOS","repo":"nixpkgs","rev":"%s"}}`, hash, strings.Repeat("0", 40))
	for name, nodes := range map[string]string{
		"today": nixpkgs + `,
  "web":{"inputs":{"nixpkgs":["nixpkgs"],"shared":"shared"},"locked":{"path":"./parts/web","type":"path"},"parent":[]},
  "shared":{"locked":{"path":"../shared","type":"path"},"parent":["web"]},
  "files":{"flake":false,"locked":{"path":"./files","type":"path"},"parent":[]}`,
		"before 2.26": nixpkgs + `,
  "web":{"inputs":{"nixpkgs":["nixpkgs"],"shared":"shared"},"locked":{"path":"./parts/web","type":"path"}},
  "shared":{"locked":{"path":"../shared","type":"path"}},
  "files":{"flake":false,"locked":{"path":"./files","type":"path"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := flakeRepo(t, map[string]string{
				"flake.nix": `{
  inputs = { nixpkgs.url = "github:NixOS/nixpkgs"; web = { url = "path:./parts/web"; inputs.nixpkgs.follows = "nixpkgs"; }; files = { url = "path:./files"; flake = false; }; };
  outputs = { self, nixpkgs, web, files }: {
    nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ web.nixosModules.default { environment.etc.file.text = builtins.readFile "${files}/x"; environment.etc.copy.source = "${files}/x"; } ]; };
  }; }`,
				"parts/web/flake.nix":    `{ inputs.nixpkgs.url = "github:NixOS/nixpkgs"; inputs.shared.url = "path:../shared"; outputs = { self, nixpkgs, shared }: { nixosModules.default = { imports = [ shared.module ]; environment.etc.release.text = nixpkgs.lib.version; }; }; }`,
				"parts/shared/flake.nix": `{ outputs = { self }: { module = { environment.etc.shared.source = ./text; }; }; }`,
				"parts/shared/text":      "shared text",
				"files/x":                "plain file",
				"flake.lock":             `{"nodes":{` + nodes + `,"root":{"inputs":{"nixpkgs":"nixpkgs","web":"web","files":"files"}}},"root":"root","version":7}`,
			})
			var drvs []string
			for _, s.Trusted = range []bool{false, true} {
				got := system(t, s, "web")
				if text := etc(t, got, "file"); text != "plain file" {
					t.Errorf("trusted %v: file is %q", s.Trusted, text)
				}
				// A source of its own is not the repository's file any more.
				if name == "today" && etc(t, got, "shared") != "shared text" {
					t.Errorf("trusted %v: etc is %+v", s.Trusted, got.Etc["shared"])
				}
				if text := etc(t, got, "release"); !strings.HasPrefix(text, "25.") {
					t.Errorf("nixpkgs of the input is %q", text)
				}
				drvs = append(drvs, got.DrvPath.String())
			}
			if drvs[0] != drvs[1] {
				t.Errorf("untrusted %s, trusted %s", drvs[0], drvs[1])
			}
		})
	}
}

// An input that is not in the store is fetched for a tree that was reviewed,
// when something asks for it, and has to be what the lock says.
func TestInputsAreFetched(t *testing.T) {
	source := repo(t, map[string]string{"input/text": "fetched " + newMark()}).Dir
	archive := filepath.Join(source, "input.tar.gz")
	if out, err := exec.CommandContext(t.Context(), "tar", "-czf", archive, "-C", source, "input").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// The hash without putting the tree into the store.
	hash, err := sri("sha256:" + command(t, "nix-hash", "--type", "sha256", "--base32", filepath.Join(source, "input")))
	if err != nil {
		t.Fatal(err)
	}
	const flake = `{
  inputs.text = { url = "file:///x.tar.gz"; flake = false; };
  inputs.unused = { url = "file:///gone.tar.gz"; flake = false; };
  outputs = { self, text, unused }: { nixosConfigurations.web = { options = { }; config = {
    environment.etc.x = { target = "x"; text = builtins.readFile "${text}/text"; };
    system.build.toplevel = derivation { name = "x"; system = "x"; builder = "/bin/sh"; inherit text; };
  }; }; };
}`
	node := func(url, hash string) string {
		return fmt.Sprintf(`{"flake":false,"locked":{"type":"tarball","url":"file://%s","narHash":%q}}`, url, hash)
	}
	locked := func(hash string) string {
		return fmt.Sprintf(`{"nodes":{"text":%s,"unused":%s,"root":{"inputs":{"text":"text","unused":"unused"}}},"root":"root","version":7}`,
			node(archive, hash), node("/gone.tar.gz", "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
	}
	t.Setenv("NIX_CONFIG", builderConfig)
	s := flakeRepo(t, map[string]string{"flake.nix": flake, "flake.lock": locked(hash)})
	e := evaluator(t, Options{})

	got := e.Evaluate(t.Context(), s, []string{"web"}, nil)["web"]
	if got.Err == nil || !strings.Contains(got.Err.Summary, "the input text (tarball file://"+archive+") is not in the store") {
		t.Errorf("an untrusted tree fetched: %+v", got)
	}
	s.Trusted = true
	if got = e.Evaluate(t.Context(), s, []string{"web"}, nil)["web"]; got.Err != nil {
		t.Fatal(problem.Text(got.Err))
	}
	if text := etc(t, got.System, "x"); !strings.HasPrefix(text, "fetched flotilla-") {
		t.Errorf("the input is %q", text)
	}
	drv := got.System.DrvPath
	s.Trusted = false
	if got = e.Evaluate(t.Context(), s, []string{"web"}, nil)["web"]; got.Err != nil || got.System.DrvPath != drv {
		t.Errorf("an input that is in the store: %v %v", got.Err, got.System.DrvPath)
	}
	s = flakeRepo(t, map[string]string{"flake.nix": flake, "flake.lock": locked("sha256-BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")})
	s.Trusted = true
	got = e.Evaluate(t.Context(), s, []string{"web"}, nil)["web"]
	if got.Err == nil || got.Err.At.File != "flake.lock" {
		t.Errorf("another content was taken: %+v", got)
	}
}

func TestWhatIsFetchedForAPullRequest(t *testing.T) {
	rev := strings.Repeat("0a", 20)
	forge := func(change func(map[string]any)) map[string]any {
		locked := map[string]any{"type": "github", "owner": "NixOS", "repo": "nixpkgs", "rev": rev}
		change(locked)
		return locked
	}
	for name, c := range map[string]struct {
		locked map[string]any
		want   bool
	}{
		"github":       {forge(func(map[string]any) {}), true},
		"gitlab":       {forge(func(l map[string]any) { l["type"] = "gitlab" }), true},
		"another host": {forge(func(l map[string]any) { l["host"] = "169.254.169.254" }), false},
		"a branch":     {forge(func(l map[string]any) { l["rev"] = "main" }), false},
		"no revision":  {forge(func(l map[string]any) { delete(l, "rev") }), false},
		"a way up":     {forge(func(l map[string]any) { l["repo"] = "../x" }), false},
		"a query":      {forge(func(l map[string]any) { l["owner"] = "a?b=c" }), false},
		"no text":      {forge(func(l map[string]any) { l["owner"] = 1.0 }), false},
		"tarball":      {map[string]any{"type": "tarball", "url": "https://example.org/x.tar.gz", "rev": rev}, false},
		"git":          {map[string]any{"type": "git", "url": "file:///root", "rev": rev}, false},
		"path":         {map[string]any{"type": "path", "path": "/root"}, false},
		"registry":     {map[string]any{"type": "indirect", "id": "nixpkgs"}, false},
	} {
		if got := fromForge(c.locked); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	t.Setenv("GITHUB_TOKEN", secretWord)
	t.Setenv("NIX_CONFIG", "access-tokens = github.com="+secretWord)
	env := (&opened{home: "/empty"}).fetchEnvironment()
	if text := strings.Join(env, "\n"); strings.Contains(text, secretWord) || !strings.Contains(text, "HOME=/empty") {
		t.Errorf("the fetch of an untrusted input gets:\n%s", text)
	}
}

// What a pull request may try with a flake, and what it gets.
func TestUntrustedFlakeSeesNothing(t *testing.T) {
	t.Setenv("FLOTILLA_TEST_TOKEN", secretWord)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret.nix")
	if err := os.WriteFile(secret, []byte(secretWord+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	elsewhere, _ := inStore(t, repo(t, map[string]string{"x": secretWord}).Dir)
	for name, c := range map[string]struct {
		expression string
		want       string // of the host's text; "" if evaluation must fail
	}{
		"environment":         {`"<${builtins.getEnv "FLOTILLA_TEST_TOKEN"}>"`, "<>"},
		"file outside":        {`builtins.readFile ` + secret, ""},
		"dots":                {`builtins.readFile (self + "/../../../../../../../..` + secret + `")`, ""},
		"link":                {`builtins.readFile ./link.nix`, ""},
		"link by self":        {`builtins.readFile "${self}/link.nix"`, ""},
		"import of a link":    {`import ./link.nix`, ""},
		"other store path":    {`builtins.readFile ` + elsewhere + `/x`, ""},
		"with its context":    {`builtins.readFile (builtins.appendContext "` + elsewhere + `" { "` + elsewhere + `" = { path = true; }; } + "/x")`, ""},
		"storePath":           {`builtins.readFile "${builtins.storePath "` + elsewhere + `"}/x"`, ""},
		"path":                {`builtins.readFile "${builtins.path { path = "` + outside + `"; name = "x"; }}/secret.nix"`, ""},
		"getFlake":            {`toString (builtins.getFlake "path:` + outside + `")`, ""},
		"fetchTree":           {`toString (builtins.fetchTree { type = "path"; path = "` + outside + `"; })`, ""},
		"fetched file":        {`builtins.readFile (builtins.fetchurl "file://` + secret + `")`, ""},
		"fetched git":         {`toString (builtins.fetchGit { url = "file://` + outside + `"; })`, ""},
		"imported derivation": {`builtins.readFile (derivation { name = "x"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "cat ` + secret + ` > $out" ]; })`, ""},
		"other folder":        {`toString (builtins.attrNames (builtins.readDir /etc))`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := flakeRepo(t, map[string]string{"flake.nix": `{ ` + inputs(t) + ` outputs = { self, nixpkgs }: { nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ { environment.etc.x.text = ` + c.expression + `; } ]; }; }; }`})
			if err := os.Symlink(secret, filepath.Join(s.Dir, "link.nix")); err != nil {
				t.Fatal(err)
			}
			got := evaluator(t, Options{}).Evaluate(t.Context(), s, []string{"web"}, nil)["web"]
			if got.Err == nil {
				if text := etc(t, got.System, "x"); text != c.want || c.want == "" {
					t.Errorf("got %q, want %q", text, c.want)
				}
				return
			}
			text := problem.Text(got.Err)
			if c.want != "" || strings.Contains(text, secretWord) {
				t.Errorf("want %q, got an error:\n%s", c.want, text)
			}
		})
	}
}

func TestLock(t *testing.T) {
	locked := `"locked":{"type":"github","owner":"o","repo":"r","rev":"` + strings.Repeat("1", 40) + `","narHash":"sha256-x","lastModified":5}`
	nodes, err := parseLock(`{"version":7,"root":"r0","nodes":{
  "r0":{"inputs":{"a":"a","b":["a","c"],"self2":[]}},
  "a":{"inputs":{"c":"c"},`+locked+`},
  "c":{`+locked+`,"flake":false}}}`, "fleets/one")
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	if diff := cmp.Diff(map[string]string{"a": "a", "b": "c", "self2": ""}, nodes[""].Inputs); diff != "" || nodes[""].Dir != "fleets/one" {
		t.Errorf("inputs (-want +got):\n%s%q", diff, nodes[""].Dir)
	}
	want := map[string]any{"narHash": "sha256-x", "rev": strings.Repeat("1", 40), "shortRev": "1111111", "lastModified": int64(5), "lastModifiedDate": "19700101000005"}
	if diff := cmp.Diff(want, nodes["c"].Info); diff != "" || nodes["c"].Flake || !nodes["a"].Flake {
		t.Errorf("info (-want +got):\n%s", diff)
	}
	for name, text := range map[string]string{
		"version":    `{"version":8,"root":"r","nodes":{"r":{}}}`,
		"no root":    `{"version":7,"root":"r","nodes":{}}`,
		"no node":    `{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"gone"}}}}`,
		"no way":     `{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":["b"]}}}}`,
		"circle":     `{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":["b"],"b":["a"]}}}}`,
		"unlocked":   `{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"a"}},"a":{}}}`,
		"above":      `{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"a"}},"a":{"locked":{"type":"path","path":"../../../x"}}}}`,
		"each other": `{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"a","b":"b"}},"a":{"locked":{"type":"path","path":"./x"},"parent":["b"]},"b":{"locked":{"type":"path","path":"./x"},"parent":["a"]}}}`,
	} {
		if got, err := parseLock(text, "fleets/one"); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzLock(f *testing.F) {
	f.Add(`{"version":7,"root":"r","nodes":{"r":{"inputs":{"a":"a","b":["a","c"]}},"a":{"inputs":{"c":"c"},"locked":{"type":"path","path":"./x"}},"c":{"locked":{"type":"path","path":"/x"},"parent":["a"]}}}`)
	f.Add(`{"version":5,"root":"","nodes":{"":{"inputs":{"a":[""]}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		nodes, err := parseLock(text, "d")
		if err != nil {
			return
		}
		for key, n := range nodes {
			if n.Within != nil && (!filepath.IsLocal(n.Folder) || nodes[*n.Within] == nil || nodes[*n.Within].Within != nil) {
				t.Errorf("node %q lies in %q of %q", key, n.Folder, *n.Within)
			}
			for name, target := range n.Inputs {
				if nodes[target] == nil {
					t.Errorf("input %q of %q is no node", name, key)
				}
			}
		}
	})
}

// What a tree can read of ours does not let it speak in our name.
func TestTheMarkIsNotReadable(t *testing.T) {
	s := hive(t, `{ web = { name, fleet, ... }: { environment.etc.x.text =
  let ours = builtins.dirOf (builtins.dirOf (builtins.unsafeGetAttrPos "servers" fleet).file); in
  builtins.readFile (ours + "/input.json") + builtins.readFile (ours + "/expr/eval.nix"); }; }`)
	e := evaluator(t, Options{})
	o, err := e.open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if err := e.prepare(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got := e.one(t.Context(), o, nil, "web", nil)
	if got.Err != nil {
		t.Fatal(problem.Text(got.Err))
	}
	if text := etc(t, got.System, "x"); strings.Contains(text, strings.TrimSpace(o.mark)) || !strings.Contains(text, "hive.nix") {
		t.Errorf("it reads %q", text)
	}
}
