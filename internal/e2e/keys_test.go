//go:build integration

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

const keysModule = `{ pkgs, ... }:
{
  deployment.tags = [ "app" ];
  deployment.keys = {
    token = { text = "sesame-one"; permissions = "0440"; };
    stays = { keyCommand = [ "cat" "secrets/stays" ]; destDir = "/var/keys"; uploadAt = "post-activation"; };
    ignored = { keyFile = ../secrets/ignored; user = "robot"; };
  };
  users.users.robot = { isSystemUser = true; group = "robot"; };
  users.groups.robot = { };
  systemd.services.reader = {
    wantedBy = [ "multi-user.target" ];
    requires = [ "token-key.service" ];
    after = [ "token-key.service" ];
    script = "cat /run/keys/token >/run/read; sleep infinity";
  };
}
`

// Keys come before what needs them, are gone after a reboot where they lie in
// memory, come back by themselves alone, and show nowhere; then SSH moves.
func TestKeys(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-keys", func(r *rig) {
		if err := os.MkdirAll(filepath.Join(r.repo, "secrets"), 0o750); err != nil {
			t.Fatal(err)
		}
		r.write(t, "hosts/app.nix", keysModule)
		r.write(t, "secrets/stays", "sesame-two\n")
		r.write(t, "secrets/ignored", "sesame-three")
		r.write(t, ".gitignore", "/secrets/ignored\n")
	})
	sh := func(script string) string {
		t.Helper()
		return docker(t, "exec", r.container(t, "app"), "sh", "-c", script)
	}
	files := func() string {
		t.Helper()
		return sh(`for f in /run/keys/* /var/keys/*; do [ -f $f ] && echo "$f $(stat -c '%a %U %G' $f) $(cat $f)"; done; true`)
	}
	const all = "/run/keys/ignored 600 robot root sesame-three\n/run/keys/token 440 root root sesame-one\n/var/keys/stays 600 root root sesame-two"
	// run is a command that must not tell any of the keys.
	run := func(code int, args ...string) run {
		t.Helper()
		ended := r.flotilla(t, append(args, "--format", "json")...)
		if ended.code != code {
			t.Fatalf("%v ended with exit code %d, want %d\n%s\n%s", args, ended.code, code, ended.stdout, ended.stderr)
		}
		if strings.Contains(ended.stdout+ended.stderr, "sesame") {
			t.Errorf("%v tells a key:\n%s\n%s", args, ended.stdout, ended.stderr)
		}
		return ended
	}
	deploy := func(code int, args ...string) (fleet.Outcome, string) {
		t.Helper()
		h := hostResult(t, run(code, append([]string{"deploy", "--yes", "--on", "app"}, args...)...).result(t), "app")
		slices.Sort(h.Keys)
		return h.Outcome, strings.Join(h.Keys, " ")
	}

	if outcome, keys := deploy(0); outcome != fleet.Deployed || keys != "ignored stays token" {
		t.Errorf("first deploy: %s, keys %q", outcome, keys)
	}
	if got := files(); got != all {
		t.Errorf("on the host:\n%s", got)
	}
	if got := sh("cat /run/read; echo; systemctl is-active token-key.path token-key.service reader.service"); !strings.HasPrefix(got, "sesame-one\n") || strings.Contains(got, "inactive") {
		t.Errorf("what waits for the key: %q", got)
	}
	if outcome, keys := deploy(0); outcome != fleet.Unchanged || keys != "" {
		t.Errorf("second deploy: %s, keys %q", outcome, keys)
	}

	if _, _, err := r.client(t).Server.Reset(t.Context(), r.server(t, "app")); err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the host is back without its keys", func() bool {
		return strings.Contains(r.flotilla(t, "status", "--on", "app", "--format", "json").stdout, "/run/keys/token")
	})
	if got := files(); got != "/var/keys/stays 600 root root sesame-two" {
		t.Errorf("after the reboot:\n%s", got)
	}
	if outcome, keys := deploy(0, "--goal", "keys"); outcome != fleet.Unchanged || keys != "ignored token" {
		t.Errorf("keys alone: %s, keys %q", outcome, keys)
	}
	if got := files(); got != all {
		t.Errorf("in the end:\n%s", got)
	}
	eventually(t, 30*time.Second, "what waits for the key has started", func() bool {
		return strings.HasPrefix(sh("cat /run/read 2>/dev/null; systemctl is-active reader.service || true"), "sesame-one")
	})

	before := r.runs(t, "app")
	r.replace(t, "hosts/app.nix", "users.groups.robot", "services.openssh.ports = [ 2222 ];\n  users.groups.robot")
	r.commit(t, "Move SSH")
	for _, h := range r.plan(t, "--build", "--on", "app").This.Hosts {
		if c := h.Closure; h.Name != "app" || c == nil || !c.Reached || c.Before < 1<<10 || c.After < 1<<10 || c.Push == 0 || c.Push > c.After || c.Free < 1<<20 || h.New.String() == before {
			t.Errorf("%s: its closure is %+v", h.Name, c)
		}
	}
	refused := run(5, "deploy", "--yes", "--on", "app")
	if text := refused.result(t).Failure; !strings.Contains(text, "app would lock this deploy out: SSH does not listen on port 22") || r.runs(t, "app") != before {
		t.Errorf("refused with %q", text)
	}
	r.replace(t, "hosts/app.nix", "users.groups.robot", "deployment.targetPort = 2222;\n  users.groups.robot")
	r.commit(t, "Tell the deploy")
	if outcome, _ := deploy(0); outcome != fleet.Deployed || r.runs(t, "app") == before {
		t.Errorf("SSH moves: %s", outcome)
	}
}
