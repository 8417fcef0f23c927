package nix

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestKeys(t *testing.T) {
	s := hive(t, `{
  web.deployment.keys = {
    a = { text = "sesame"; user = "nginx"; permissions = "0400"; };
    b = { keyFile = ./b.key; destDir = "/var/keys"; };
    c = { keyCommand = [ "pass" "c" ]; uploadAt = "post-activation"; name = "see"; };
  };
  both.deployment.keys.k = { text = "x"; keyFile = /x; };
  none = { };
}`)
	s.Trusted = true
	e := evaluator(t, Options{})
	keys, err := e.Keys(t.Context(), s, "web")
	if err != nil || len(keys) != 3 {
		t.Fatal(keys, err)
	}
	for name, want := range map[string]string{
		"a": "/run/keys/a nginx root 0400 pre-activation text",
		"b": "/var/keys/b root root 0600 pre-activation keyFile",
		"c": "/run/keys/see root root 0600 post-activation keyCommand",
	} {
		k := keys[name]
		if got := strings.Join([]string{k.Path, k.User, k.Group, k.Permissions, k.UploadAt, k.Source}, " "); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if keys["a"].Text.Reveal() != "sesame" || strings.Contains(fmt.Sprintf("%+v", keys), "sesame") {
		t.Errorf("keys print as %+v", keys)
	}
	if keys["b"].File != s.Dir+"/b.key" || strings.Join(keys["c"].Command, " ") != "pass c" {
		t.Errorf("keys are %+v", keys)
	}
	if _, err := e.Keys(t.Context(), s, "both"); err == nil || strings.Contains(problem.Text(err), "\"x\"") {
		t.Errorf("two sources: %v", err)
	}
	if keys, err := e.Keys(t.Context(), s, "none"); err != nil || len(keys) != 0 {
		t.Errorf("no keys: %v %v", keys, err)
	}
	s.Trusted = false
	if _, err := e.Keys(t.Context(), s, "web"); problem.CodeOf(err) != problem.Refused {
		t.Errorf("untrusted: %v", err)
	}
}

// Review facts tell one key from another without telling what it is, also from
// the cache.
func TestKeyFacts(t *testing.T) {
	text := func(sesame, command, file string) map[string]string {
		return map[string]string{"hive.nix": `{ meta.nixpkgs = <nixpkgs>; web.deployment.keys = {
  a.text = "` + sesame + `";
  b.keyFile = ` + file + `;
  c.keyCommand = [ "pass" "` + command + `" ];
}; }`, "b.key": "in the repository", "other.key": "in the repository"}
	}
	opts := Options{Cache: Cache{Dir: t.TempDir(), Watcher: watcher(t)}}
	facts := func(files map[string]string) map[string]plans.KeyFacts {
		got := evaluator(t, opts).Evaluate(t.Context(), repo(t, files), []string{"web"}, nil)["web"]
		if got.Err != nil || got.System.Partial != "" {
			t.Fatal(got.Err, got.System.Partial)
		}
		return got.System.Keys
	}
	first := facts(text("sesame", "c", "./b.key"))
	if first["a"].From != "" || first["b"].From != "b.key" || first["c"].From != `["pass","c"]` {
		t.Errorf("from: %+v", first)
	}
	for name, key := range first {
		if key.Digest == "" || strings.Contains(fmt.Sprintf("%+v", key), "sesame") {
			t.Errorf("%s: %+v", name, key)
		}
	}
	if diff := cmp.Diff(first, facts(text("sesame", "c", "./b.key"))); diff != "" {
		t.Errorf("the same tree elsewhere (-first +second):\n%s", diff)
	}
	changed := text("sesame", "c", "./b.key")
	changed["b.key"] = "changed"
	for name, files := range map[string]map[string]string{
		"a": text("open", "c", "./b.key"), "c": text("sesame", "d", "./b.key"), "b": changed,
	} {
		for key, got := range facts(files) {
			if same := got == first[key]; same == (key == name) {
				t.Errorf("%s changed: %s is %+v", name, key, got)
			}
		}
	}
	outside := facts(text("sesame", "c", "/proc/self/environ"))["b"]
	if outside.From != "/proc/self/environ" || outside.Digest != "" {
		t.Errorf("a file of the machine: %+v", outside)
	}
	ignored := text("sesame", "c", "./ignored.key")
	if got := facts(ignored)["b"]; got.From != "ignored.key" || got.Digest != "" {
		t.Errorf("a file that is not there: %+v", got)
	}
	ignored["ignored.key"] = "committed by mistake"
	if got := facts(ignored)["b"]; got.Digest == "" {
		t.Errorf("a file that is there now: %+v", got)
	}
}
