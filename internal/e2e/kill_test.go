//go:build integration

package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// killPoint is a moment of a deploy of web.
type killPoint struct {
	name  string
	kind  progress.Kind
	step  progress.Step
	delay time.Duration // after the event
}

func killPoints() []killPoint {
	return []killPoint{
		{"before the guard", progress.End, progress.Push, 0},
		{"after activation", progress.End, progress.Activate, 0},
		{"during confirm", progress.Begin, progress.Confirm, time.Second},
		{"during commit", progress.Begin, progress.Commit, time.Second},
	}
}

// slowRig is a fleet in which confirm and commit take long enough to be hit.
func slowRig(t *testing.T, lab string) *rig {
	return newRig(t, lab, func(r *rig) {
		r.replace(t, "flotilla.yaml", "activation_timeout: 2m", "activation_timeout: 20s\n  confirm_timeout: 25s")
		r.replace(t, "flotilla.yaml", "  web:\n    health:\n", "  web:\n    health:\n      - command: {run: [sleep, \"3\"], within: 10s}\n")
		r.replace(t, "hosts/web.nix", `deployment.tags = [ "web" ];`, `deployment.tags = [ "web" ];

  boot.loader.external = {
    enable = true;
    installHook = pkgs.writeShellScript "slow-loader" "sleep 3";
  };`)
	})
}

// A controller that dies (kill -9) at any step leaves a host on a healthy
// system, and the next run settles what it finds and says so.
func TestControllerKilled(t *testing.T) {
	t.Parallel()
	r := slowRig(t, "e2e-kill")
	r.deploy(t, 0)
	for i, p := range killPoints() {
		t.Run(p.name, func(t *testing.T) {
			old := r.runs(t, "web")
			greeting := fmt.Sprintf("Greeting %d of a killed controller.", i)
			r.greet(t, greeting)
			killed := false
			ended := r.watched(t, func(e progress.Event, process *os.Process) {
				if !killed && p.hit(e) {
					killed = true
					time.Sleep(p.delay)
					_ = syscall.Kill(-process.Pid, syscall.SIGKILL)
				}
			}, "deploy", "--yes", "--format", "json", "--on", "web")
			if !killed || ended.code != -1 {
				t.Fatalf("the controller was not killed at %s %s (exit code %d)\n%s", p.kind, p.step, ended.code, ended.stderr)
			}
			r.unlocks(t)
			if r.settles(t, old, greeting).Settled == "" {
				t.Error("the next run does not say what it found")
			}
		})
	}
}

// unlocks frees the fleet's lock of a run that died a moment ago: until then
// the next run is refused.
func (r *rig) unlocks(t *testing.T) {
	t.Helper()
	if failure := r.deploy(t, int(problem.Refused), "--on", "web").Failure; !strings.Contains(failure, "is locked by") {
		t.Errorf("a deploy beside the dead run's lock says %q", failure)
	}
	if ended := r.flotilla(t, "unlock", "--yes"); ended.code != 0 || !strings.Contains(ended.stdout, "Broke the lock of") {
		t.Fatalf("unlock ended with exit code %d: %s%s", ended.code, ended.stdout, ended.stderr)
	}
}

// A power cut of the host at any step boots a healthy system, and the next run
// settles what it finds and says so.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	r := slowRig(t, "e2e-power")
	r.deploy(t, 0)
	for i, p := range killPoints() {
		t.Run(p.name, func(t *testing.T) {
			old := r.runs(t, "web")
			container := r.container(t, "web")
			greeting := fmt.Sprintf("Greeting %d of a power cut.", i)
			r.greet(t, greeting)
			cut := false
			ended := r.watched(t, func(e progress.Event, _ *os.Process) {
				if !cut && p.hit(e) {
					cut = true
					time.Sleep(p.delay)
					docker(t, "kill", container)
					time.Sleep(500 * time.Millisecond)
					docker(t, "start", container)
				}
			}, "deploy", "--yes", "--format", "json", "--on", "web")
			if !cut {
				t.Fatalf("the power was not cut at %s %s\n%s", p.kind, p.step, ended.stderr)
			}
			eventually(t, 30*time.Second, "the host has booted", func() bool { return r.page(t) != "" })
			result := hostResult(t, ended.result(t), "web")
			t.Logf("exit code %d, outcome %s: %s", ended.code, result.Outcome, result.Reason)
			if result.Outcome == fleet.Deployed && r.runs(t, "web") != result.Wanted.String() {
				t.Errorf("reported as deployed, but the host runs %s", r.runs(t, "web"))
			}
			if result.Outcome != fleet.Deployed && ended.code == 0 {
				t.Errorf("a deploy that did not arrive ended with exit code 0")
			}
			if !result.Runs.IsZero() && result.Runs.String() != r.runs(t, "web") {
				t.Errorf("reported to run %s, but the host runs %s", result.Runs, r.runs(t, "web"))
			}
			r.settles(t, old, greeting)
		})
	}
}

// greet commits a new page.
func (r *rig) greet(t *testing.T, greeting string) {
	t.Helper()
	text := r.read(t, "hosts/web.nix")
	_, rest, _ := strings.Cut(text, "index.html\" ''\n    ")
	old, _, _ := strings.Cut(rest, "The app server")
	r.replace(t, "hosts/web.nix", old, greeting+" ")
	r.commit(t, greeting)
}

func (p killPoint) hit(e progress.Event) bool {
	return e.Host == "web" && e.Kind == p.kind && e.Step == p.step
}

// settles checks that web is healthy on the old or the new system, deploys
// again, and checks that this ends well with a word on what was found.
func (r *rig) settles(t *testing.T, old, greeting string) plans.HostResult {
	t.Helper()
	eventually(t, 30*time.Second, "the page is served", func() bool { return r.page(t) != "" })
	now := r.runs(t, "web")
	result := hostResult(t, r.deploy(t, 0, "--on", "web", "--retry-bad"), "web")
	t.Logf("after the kill it ran the %s system; the next run said: %q and %s", word(now == old, "old", "new"), result.Settled, result.Outcome)
	if result.Outcome != fleet.Deployed && result.Outcome != fleet.Unchanged {
		t.Errorf("the next run ended as %s: %s", result.Outcome, result.Reason)
	}
	if got := r.runs(t, "web"); got != result.Wanted.String() || r.boots(t, "web") != got {
		t.Errorf("web runs %s and boots %s, wanted %s", got, r.boots(t, "web"), result.Wanted)
	}
	if page := r.page(t); !strings.Contains(page, greeting) {
		t.Errorf("the page says %q, want %q", page, greeting)
	}
	if units := docker(t, "exec", r.container(t, "web"), "systemctl", "list-units", "--all", "--no-legend", "--plain", "flotilla-*"); units != "" {
		t.Errorf("units are left on the host:\n%s", units)
	}
	return result
}

func word(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
