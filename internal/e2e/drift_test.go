//go:build integration

package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// drift looks for drift, and gives its lines: subjects with what was found.
func (r *rig) drift(t *testing.T, code problem.Code, args ...string) (plans.Drift, string) {
	t.Helper()
	ended := r.flotilla(t, append([]string{"drift", "--format", "json"}, args...)...)
	var d plans.Drift
	if err := json.Unmarshal([]byte(ended.stdout), &d); err != nil || problem.Code(ended.code) != code {
		t.Fatalf("drift ended with exit code %d, want %d (%v)\n%s\n%s", ended.code, code, err, ended.stdout, ended.stderr)
	}
	var lines []string
	for _, c := range d.Resources {
		lines = append(lines, string(c.Action)+" "+string(c.Kind)+" "+c.Name)
	}
	for _, h := range d.Hosts {
		lines = append(lines, h.Host+": "+strings.Join(h.Findings, " "))
	}
	for _, m := range d.Missing {
		lines = append(lines, "missing "+m.Subject)
	}
	return d, strings.Join(lines, "\n")
}

// What people do to real hosts and servers by hand is found, and what Flotilla
// does is not.
func TestDrift(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-drift", nil)
	r.deploy(t, 0)
	clean, _ := r.drift(t, problem.OK)
	if clean.Looked.Hosts != 2 || !clean.Looked.Account || len(clean.Notes) != 0 {
		t.Errorf("after a deploy: %+v", clean)
	}

	t.Run("a merge waits", func(t *testing.T) {
		r.replace(t, "hosts/web.nix", "Hello from", "Greetings from")
		r.commit(t, "Another page")
		d, _ := r.drift(t, problem.OK)
		if len(d.Notes) != 2 || !strings.Contains(d.Notes[0].Text, "is not deployed to it") || d.Digest != clean.Digest {
			t.Errorf("notes %+v, digest %s, was %s", d.Notes, d.Digest, clean.Digest)
		}
		r.deploy(t, 0)
	})

	t.Run("a rollback holds", func(t *testing.T) {
		r.flotilla(t, "rollback", "--on", "web", "--yes")
		d, _ := r.drift(t, problem.OK)
		if len(d.Notes) != 1 || !strings.HasPrefix(d.Notes[0].Text, "Held by ") {
			t.Errorf("notes %+v", d.Notes)
		}
	})

	t.Run("another system by hand", func(t *testing.T) {
		before := r.runs(t, "web")
		docker(t, "exec", r.container(t, "web"), "sh", "-ec",
			`cp -a "$(readlink -f /run/current-system)" /tmp/odd; echo odd >/tmp/odd/odd
			ln -sfn "$(nix-store --add /tmp/odd)" /run/current-system`)
		_, found := r.drift(t, problem.Changes)
		if want := "web: It runs a system that no record names: " + r.runs(t, "web") + ". It runs another system than it would boot."; found != want {
			t.Errorf("found %s, want %s", found, want)
		}
		_, found = r.drift(t, problem.OK, "--on", "app")
		if found != "" {
			t.Errorf("elsewhere: %s", found)
		}
		docker(t, "exec", r.container(t, "web"), "ln", "-sfn", before, "/run/current-system")
		r.drift(t, problem.OK)
	})

	t.Run("at the provider, and a host that is down", func(t *testing.T) {
		ctx, client := context.Background(), r.client(t)
		web := r.server(t, "web")
		labels := map[string]string{"team": "ops"}
		for k, v := range web.Labels {
			labels[k] = v
		}
		if _, _, err := client.Server.Update(ctx, web, hcloud.ServerUpdateOpts{Labels: labels}); err != nil {
			t.Fatal(err)
		}
		docker(t, "exec", r.container(t, "app"), "sh", "-c", "systemctl stop sshd.service ssh.service; ! pgrep -x sshd -P 1")
		_, found := r.drift(t, problem.Failed)
		if found != "update server web\nmissing app" {
			t.Errorf("found %s", found)
		}
		action, _, err := client.Server.Poweroff(ctx, r.server(t, "app"))
		if err != nil {
			t.Fatal(err)
		}
		if err := client.Action.WaitFor(ctx, action); err != nil {
			t.Fatal(err)
		}
		_, found = r.drift(t, problem.Changes)
		if !strings.HasPrefix(found, "update server web\napp: The server is off") {
			t.Errorf("found %s", found)
		}
	})
}
