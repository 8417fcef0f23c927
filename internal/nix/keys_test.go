package nix

import (
	"fmt"
	"strings"
	"testing"

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
