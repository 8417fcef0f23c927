//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func (r *rig) plan(t *testing.T, args ...string) plans.Plan {
	t.Helper()
	ended := r.flotilla(t, append([]string{"plan", "--format", "json"}, args...)...)
	var plan plans.Plan
	if err := json.Unmarshal([]byte(ended.stdout), &plan); err != nil || ended.code != 0 {
		t.Fatalf("plan ended with exit code %d (%v)\n%s\n%s", ended.code, err, ended.stdout, ended.stderr)
	}
	return plan
}

// The way of a fleet from nothing: planned, deployed, changed, broken, put
// back, cut off, rolled back, held, released.
func TestWalk(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-walk", func(r *rig) {
		r.replace(t, "flotilla.yaml", "activation_timeout: 2m", "activation_timeout: 20s\n  confirm_timeout: 10s")
	})

	t.Run("first plan", func(t *testing.T) {
		plan := r.plan(t)
		var resources, hosts []string
		for _, c := range plan.This.Resources {
			resources = append(resources, string(c.Action)+" "+string(c.Kind)+" "+c.Name)
		}
		for _, h := range plan.This.Hosts {
			hosts = append(hosts, string(h.Action)+" "+h.Name)
		}
		if got := strings.Join(resources, ", "); !strings.Contains(got, "create server web") || !strings.Contains(got, "create network private") {
			t.Errorf("resources: %s", got)
		}
		if got := strings.Join(hosts, ", "); got != "create app, create web" || !plan.Complete {
			t.Errorf("hosts: %s, complete %v, missing %v", got, plan.Complete, plan.Missing)
		}
	})

	t.Run("first deploy", func(t *testing.T) {
		result := r.deploy(t, 0)
		for _, h := range result.Hosts {
			if h.Outcome != fleet.Deployed || h.Runs.String() != r.runs(t, h.Host) || r.boots(t, h.Host) != h.Runs.String() {
				t.Errorf("%s: %s, says it runs %s, runs %s, boots %s", h.Host, h.Outcome, h.Runs, r.runs(t, h.Host), r.boots(t, h.Host))
			}
			labels := r.server(t, h.Host).Labels
			if labels["flotilla/system"] != h.Runs.Hash() || labels["flotilla/commit"] != result.Revision.Commit || labels["flotilla/host-key-next"] != "" {
				t.Errorf("%s: labels %v", h.Host, labels)
			}
		}
		if page := r.page(t); !strings.Contains(page, "Hello from the fleet. The app server is at 10.0.1.3.") {
			t.Errorf("the page says %q", page)
		}
	})

	t.Run("throw-away host keys are gone", func(t *testing.T) {
		for _, host := range []string{"app", "web"} {
			keys := docker(t, "exec", r.container(t, host), "sh", "-c", "ls /etc/ssh/ssh_host_*")
			if keys != "/etc/ssh/ssh_host_ed25519_key\n/etc/ssh/ssh_host_ed25519_key.pub" {
				t.Errorf("%s has %s", host, keys)
			}
		}
	})

	t.Run("nothing to do", func(t *testing.T) {
		for _, h := range r.deploy(t, 0).Hosts {
			if h.Outcome != fleet.Unchanged {
				t.Errorf("%s: %s", h.Host, h.Outcome)
			}
		}
	})

	t.Run("one line changes", func(t *testing.T) {
		r.greet(t, "A second greeting.")
		plan := r.plan(t)
		if len(plan.This.Resources) != 0 || len(plan.This.Hosts) != 1 || plan.This.Hosts[0].Name != "web" {
			t.Fatalf("plan: %+v", plan.This)
		}
		units := plan.This.Hosts[0].Units
		if len(units) != 1 || units[0].Name != "nginx.service" {
			t.Errorf("units: %+v", units)
		}
		if !plan.Pending.Empty() || plan.Current == nil {
			t.Errorf("pending %+v, current %v", plan.Pending, plan.Current)
		}
		r.deploy(t, 0)
		if page := r.page(t); !strings.Contains(page, "A second greeting.") {
			t.Errorf("the page says %q", page)
		}
		if plan := r.plan(t); !plan.Pending.Empty() {
			t.Errorf("pending after the deploy: %+v", plan.Pending)
		}
	})

	t.Run("a broken page goes back", func(t *testing.T) {
		good := r.runs(t, "web")
		r.replace(t, "hosts/web.nix", "root = page;", `root = "/nowhere";`)
		r.commit(t, "Break the page")
		web := hostResult(t, r.deploy(t, 3), "web")
		if web.Outcome != fleet.RolledBack || web.Runs.String() != good || r.runs(t, "web") != good || r.boots(t, "web") != good {
			t.Errorf("%s: says %s, runs %s, boots %s, want %s", web.Outcome, web.Runs, r.runs(t, "web"), r.boots(t, "web"), good)
		}
		if !strings.Contains(r.page(t), "A second greeting.") {
			t.Error("the old page is not served")
		}
		if len(web.Checks) == 0 || web.Reason == "" {
			t.Errorf("the failing check is not told: %+v", web)
		}
		plan := r.plan(t, "--base", "HEAD")
		if len(plan.Pending.Hosts) != 1 {
			t.Errorf("pending: %+v", plan.Pending)
		}
		if len(plan.Pending.Hosts) == 1 {
			notes := strings.Join(plan.Pending.Hosts[0].Notes, "\n")
			if !strings.Contains(notes, fmt.Sprintf("last attempt here failed: %.8s,", r.server(t, "web").Labels["flotilla/failed-commit"])) || !strings.Contains(notes, "this very system") {
				t.Errorf("notes: %s", notes)
			}
		}
		held := hostResult(t, r.deploy(t, 5), "web")
		if held.Outcome != fleet.HeldBack {
			t.Errorf("the same bad system again: %s (%s)", held.Outcome, held.Reason)
		}
		r.git(t, "revert", "--no-edit", "HEAD")
	})

	t.Run("cutting SSH goes back by the guard", func(t *testing.T) {
		good := r.runs(t, "web")
		r.replace(t, "hosts/web.nix", `deployment.tags = [ "web" ];`, `deployment.tags = [ "web" ];
  services.openssh.ports = [ 2222 ];`)
		r.commit(t, "Move sshd")
		// What can be told before is refused; the guard is for what cannot.
		if refused := r.deploy(t, 5); len(refused.Hosts) != 0 || !strings.Contains(refused.Failure, "lock this deploy out") {
			t.Errorf("not refused: %+v", refused)
		}
		web := hostResult(t, r.deploy(t, 3, "--allow-lockout", "web"), "web")
		if web.Outcome != fleet.RolledBack || r.runs(t, "web") != good || r.boots(t, "web") != good {
			t.Errorf("%s (%s): runs %s, boots %s, want %s", web.Outcome, web.Reason, r.runs(t, "web"), r.boots(t, "web"), good)
		}
		r.git(t, "revert", "--no-edit", "HEAD")
	})

	t.Run("rollback, hold, release", func(t *testing.T) {
		newest := r.runs(t, "web")
		ended := r.flotilla(t, "rollback", "--on", "web", "--yes", "--reason", "tested", "--format", "json")
		if ended.code != 0 || r.runs(t, "web") == newest || !strings.Contains(r.page(t), "Hello from the fleet.") {
			t.Fatalf("exit code %d, page %q\n%s\n%s", ended.code, r.page(t), ended.stdout, ended.stderr)
		}
		if r.boots(t, "web") != r.runs(t, "web") {
			t.Error("the old system is not the boot default")
		}
		held := hostResult(t, r.deploy(t, 5), "web")
		if held.Outcome != fleet.HeldBack || !strings.Contains(held.Reason, "tested") {
			t.Errorf("%s: %s", held.Outcome, held.Reason)
		}
		if labels := r.server(t, "web").Labels; labels["flotilla/held"] != "true" || labels["flotilla/held-since"] == "" || labels["flotilla/held-by"] == "" {
			t.Errorf("labels: %v", labels)
		}
		status := r.flotilla(t, "status", "--format", "json")
		if !strings.Contains(status.stdout, `"reason": "tested"`) {
			t.Errorf("status: %s", status.stdout)
		}
		if ended := r.flotilla(t, "release", "--on", "web"); ended.code != 0 {
			t.Fatalf("release: %s%s", ended.stdout, ended.stderr)
		}
		if labels := r.server(t, "web").Labels; labels["flotilla/held"]+labels["flotilla/held-since"]+labels["flotilla/held-by"] != "" {
			t.Errorf("labels after the release: %v", labels)
		}
		r.deploy(t, 0)
		if r.runs(t, "web") != newest {
			t.Error("the release does not let the deploy through")
		}
	})

	t.Run("history", func(t *testing.T) {
		out := r.flotilla(t, "history", "--on", "web", "--format", "json").stdout
		for _, want := range []string{`"kind": "rollback"`, `"outcome": "rolled-back"`, `"outcome": "deployed"`, `"reason": "tested"`} {
			if !strings.Contains(out, want) {
				t.Errorf("history has no %s:\n%s", want, out)
			}
		}
	})

	t.Run("a server is taken away only with leave", func(t *testing.T) {
		text := r.read(t, "flotilla.yaml")
		_, rest, _ := strings.Cut(text, "\n  app:\n")
		app, _, _ := strings.Cut(rest, "\n  web:\n")
		r.replace(t, "flotilla.yaml", "\n  app:\n"+app, "")
		r.replace(t, "hive.nix", "  app = ./hosts/app.nix;\n", "")
		r.commit(t, "Remove app")
		if r.deploy(t, 5); r.server(t, "app") == nil {
			t.Fatal("app is gone")
		}
		r.deploy(t, 0, "--allow-destroy", "app")
		if out, err := exec.Command("docker", "ps", "-aq", "--filter", "name=^flotilla-lab-e2e-walk-").Output(); err != nil || len(strings.Fields(string(out))) != 1 {
			t.Errorf("containers left: %s (%v)", out, err)
		}
	})
}

// The demo ends well and leaves the rendered plan.
func TestDemo(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	cmd := exec.Command(program, "demo", "--out", out)
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("demo: %v\n%s", err, text)
	}
	for _, file := range []string{"plan.md", "plan.json"} {
		if matches, err := filepath.Glob(filepath.Join(out, file)); err != nil || len(matches) != 1 {
			t.Errorf("%s is not there", file)
		}
	}
	if left, err := exec.Command("docker", "ps", "-aq", "--filter", "name=^flotilla-lab-demo-").Output(); err != nil || len(left) > 0 {
		t.Errorf("containers left: %s (%v)", left, err)
	}
}
