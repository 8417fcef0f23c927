//go:build integration

package generation_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// at runs f once, when a step of the deployment begins.
func (r *rig) at(step progress.Step, f func()) {
	done := false
	r.onStep = func(e progress.Event) {
		if e.Step == step && e.Kind == progress.Begin && !done {
			done = true
			f()
		}
	}
}

// unhealthy is a health check that fails.
func unhealthy(context.Context, generation.Session) ([]plans.CheckResult, error) {
	return []plans.CheckResult{{Name: "http demo", Detail: "status 500"}}, errors.New("http demo: status 500")
}

// TestSwitch: what becomes of a host for everything that a new system or its
// checks may do. The truth is read from the host, beside the result.
func TestSwitch(t *testing.T) {
	for _, c := range []struct {
		system  string
		prepare func(*rig, *generation.Request)
		outcome fleet.Outcome
		running string // "" for old
		reason  string // part of the result's
		bad     bool   // the system is remembered as bad
		warning string
	}{
		{system: "good", outcome: fleet.Deployed, running: "good"},
		{system: "reexecs", outcome: fleet.Deployed, running: "reexecs"},
		{system: "slow", outcome: fleet.Deployed, running: "slow"},
		{system: "boot-slow", outcome: fleet.Deployed, running: "boot-slow"},
		{system: "other-fails", outcome: fleet.Deployed, running: "other-fails"},
		{system: "drops-keeper", outcome: fleet.Deployed, running: "drops-keeper", warning: "keeper.service was active before", prepare: func(r *rig, _ *generation.Request) {
			r.sh("systemctl start keeper.service")
		}},
		{system: "refuses", outcome: fleet.Failed, reason: "refused to be activated (exit code 1): Pre-switch check"},
		{system: "needs-reboot", outcome: fleet.Failed, reason: "refused to be activated (exit code 100): init interface"},
		{system: "panics", outcome: fleet.RolledBack, reason: "broke down in the middle (exit code 101)", bad: true},
		{system: "activation-fails", outcome: fleet.RolledBack, reason: "activation script failed (exit code 2)", bad: true},
		{system: "unit-fails", outcome: fleet.RolledBack, reason: "demo.service has failed", bad: true},
		{system: "flaps", outcome: fleet.RolledBack, reason: "demo.service", bad: true, prepare: func(_ *rig, q *generation.Request) {
			q.ConfirmTimeout = 8 * time.Second
		}},
		{system: "lies", outcome: fleet.RolledBack, reason: "after the activation the host runs", bad: true},
		{system: "hangs", outcome: fleet.RolledBack, reason: "took longer than 6s", bad: true, prepare: func(_ *rig, q *generation.Request) {
			q.ActivationTimeout = 6 * time.Second
		}},
		{system: "boot-fails", outcome: fleet.RolledBack, reason: "the boot loader could not be set"},
		{system: "reboots", outcome: fleet.RolledBack, reason: "rebooted in the middle of the activation", bad: true, prepare: func(r *rig, _ *generation.Request) {
			r.reboots = true
		}},
		{system: "breaks-helper", outcome: fleet.Degraded, reason: "did not come back: helper.service", bad: true, prepare: func(_ *rig, q *generation.Request) {
			q.Confirm = unhealthy
		}},
		{system: "drops-keeper", outcome: fleet.RolledBack, reason: "http demo: status 500", bad: true, prepare: func(r *rig, q *generation.Request) {
			r.sh("systemctl start keeper.service")
			q.Confirm = unhealthy
			q.Kind = "keeper"
		}},
		// The guard's time passes while the checks run.
		{system: "good", outcome: fleet.RolledBack, reason: "guard's time was over before the host was confirmed (the guard put the host back)", bad: true, prepare: func(r *rig, q *generation.Request) {
			q.Confirm = func(context.Context, generation.Session) ([]plans.CheckResult, error) {
				r.sh("systemctl start flotilla-guard.service; while systemctl -q is-active flotilla-guard.timer; do sleep 0.1; done")
				return nil, nil
			}
		}},
		// The controller is cut off for good: the guard works alone.
		{system: "good", outcome: fleet.RolledBack, reason: "no login over a new connection", bad: true, prepare: func(r *rig, q *generation.Request) {
			q.ActivationTimeout, q.ConfirmTimeout = 6*time.Second, 3*time.Second
			r.at(progress.Confirm, func() {
				r.cut.Store(true)
				go func() {
					for {
						out, err := docker(context.Background(), nil, "exec", r.name, "sh", "-c", "cat /var/lib/flotilla/current/state")
						if err != nil || strings.TrimSpace(string(out.Stdout)) == "returned" {
							break
						}
						time.Sleep(300 * time.Millisecond)
					}
					r.cut.Store(false)
				}()
			})
		}},
		// A short cut in the middle of the activation is nothing.
		{system: "slow", outcome: fleet.Deployed, running: "slow", prepare: func(r *rig, _ *generation.Request) {
			r.at(progress.Activate, func() {
				time.AfterFunc(time.Second, func() { r.cut.Store(true) })
				time.AfterFunc(5*time.Second, func() { r.cut.Store(false) })
			})
		}},
	} {
		t.Run(c.system+"-"+string(c.outcome), func(t *testing.T) {
			r := newRig(t)
			request := r.request(c.system)
			if c.prepare != nil {
				c.prepare(r, &request)
			}
			result := r.host().Switch(t.Context(), request)
			if c.running == "" {
				c.running = "old"
			}
			if result.Outcome != c.outcome || !strings.Contains(result.Reason, c.reason) {
				t.Errorf("%s: %s, want %s: %s", result.Outcome, result.Reason, c.outcome, c.reason)
			}
			if result.Runs != r.paths[c.running] || result.Boots != r.paths[c.running] || result.Was != r.paths["old"] {
				t.Errorf("runs %s, boots %s, was %s", result.Runs, result.Boots, result.Was)
			}
			if c.warning != "" && !strings.Contains(strings.Join(result.Warnings, "\n"), c.warning) {
				t.Errorf("warnings %q, want %q", result.Warnings, c.warning)
			}
			s := r.expect(c.running, c.running)
			if bad := len(s.FailedSystems) == 1 && s.FailedSystems[0] == request.New; bad != c.bad {
				t.Errorf("bad systems are %v", s.FailedSystems)
			}
			if s.Last == nil || s.Last.Outcome != c.outcome || s.Last.ID != request.ID || s.Last.At.IsZero() {
				t.Errorf("last record is %+v", s.Last)
			}
			if c.outcome == fleet.RolledBack && request.Kind == "keeper" && r.sh("systemctl is-active keeper.service || true") != "active" {
				t.Error("keeper.service is down; it was started by hand before")
			}
			// The result told it: a later run has nothing to settle.
			if told, err := r.host().Settle(t.Context()); told != "" || err != nil {
				t.Errorf("settle says %q, %v", told, err)
			}
		})
	}
}
