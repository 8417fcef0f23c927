//go:build integration

package generation_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// TestEnds: the controller dies, the power goes, or both, at each step. Who
// comes next settles the host and says what became of it.
func TestEnds(t *testing.T) {
	onState := func(want string) func(*rig, func()) {
		return func(r *rig, strike func()) {
			go func() {
				for {
					out, err := docker(context.Background(), nil, "exec", r.name, "cat", "/var/lib/flotilla/current/state")
					if err == nil && strings.TrimSpace(string(out.Stdout)) == want {
						strike()
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
			}()
		}
	}
	onStep := func(step progress.Step) func(*rig, func()) {
		return func(r *rig, strike func()) { r.at(step, strike) }
	}
	onLine := func(line string) func(*rig, func()) {
		return func(r *rig, strike func()) {
			done := false
			r.onStep = func(e progress.Event) {
				if e.Kind == progress.Log && strings.HasPrefix(e.Text, line) && !done {
					done = true
					strike()
				}
			}
		}
	}
	const (
		dies     = 1 << iota // the controller
		power                // is cut and comes back
		guard                // is waited for
		killUnit             // the unit that commits
	)
	for _, c := range []struct {
		name    string
		system  string
		strike  func(*rig, func())
		what    int
		running string
		told    string
		bad     bool
	}{
		{"dies before the activation", "good", onStep(progress.Activate), dies, "old", "ended before anything was activated", false},
		{"dies before the activation, guard", "good", onStep(progress.Activate), dies | guard, "old", "ended before anything was activated", false},
		{"power before the activation", "good", onStep(progress.Activate), dies | power, "old", "ended before anything was activated", false},
		{"dies in the activation", "slow", onLine("activating the conf"), dies, "old", "put back now: it was left unconfirmed", false},
		{"power in the activation", "slow", onLine("activating the conf"), dies | power, "old", "rolled back by a reboot", true},
		{"dies in a hang", "hangs-hard", onLine("activating the conf"), dies, "old", "put back now: it was left unconfirmed", false},
		{"dies before the confirmation", "good", onStep(progress.Confirm), dies, "old", "put back now: it was left unconfirmed", false},
		{"dies before the confirmation, guard", "good", onStep(progress.Confirm), dies | guard, "old", "put back by the guard: nobody confirmed it in time", true},
		{"power before the confirmation", "good", onStep(progress.Confirm), dies | power, "old", "rolled back by a reboot", true},
		{"power in the guard's work", "old-slow", onState("returning"), dies | power, "old", "put back", true},
		{"dies before the commit", "good", onStep(progress.Commit), dies, "old", "put back now: it was left unconfirmed", false},
		{"dies in the commit", "boot-slow", onState("committing"), dies, "boot-slow", "was confirmed and committed after its run had ended", false},
		{"commit killed", "boot-slow", onState("committing"), dies | killUnit, "boot-slow", "had not finished its commit; that was done now", false},
		{"power in the commit, loader old", "boot-slow", onState("committing"), dies | power, "old", "put back now: the host was rebooted in the middle of the commit", false},
		{"power in the commit, loader new", "boot-late", onState("committing"), dies | power, "boot-late", "had not finished its commit; that was done now", false},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "-"), func(t *testing.T) {
			r := newRig(t)
			h, kill := r.controller()
			struck := make(chan struct{})
			c.strike(r, func() {
				if c.name == "power in the commit, loader new" {
					r.sh(`while grep -qF "$(cat /systems/old)" /boot/grub/grub.cfg; do sleep 0.1; done`)
				} else if strings.HasPrefix(c.name, "power in the commit") {
					r.sh(`while [ "$(readlink -f /nix/var/nix/profiles/system)" = "$(cat /systems/old)" ]; do sleep 0.1; done`)
				}
				kill()
				if c.what&power != 0 {
					if err := machines.PowerOff(context.Background(), r.id); err != nil {
						t.Error(err)
					}
				}
				if c.what&killUnit != 0 {
					r.sh("systemctl kill -s KILL flotilla-commit.service; while systemctl -q is-active flotilla-commit.service; do sleep 0.1; done")
				}
				close(struck)
			})
			ctx, cancel := context.WithCancel(t.Context())
			request := r.request(c.system)
			if c.what&guard != 0 {
				request.ActivationTimeout, request.ConfirmTimeout = 6*time.Second, 3*time.Second
			}
			if c.system == "old-slow" {
				request = r.request("good")
				request.Confirm = unhealthy
				r.sh(`echo slow >/run/old-slow`)
			}
			go h.Switch(ctx, request)
			select {
			case <-struck:
			case <-time.After(time.Minute):
				t.Fatal("never came so far")
			}
			cancel()
			if c.what&power != 0 {
				r.power(machines.Start)
			}
			if c.what&guard != 0 {
				r.sh(`for i in $(seq 300); do case $(cat /var/lib/flotilla/current/state) in returned|disarmed) exit 0;; esac; sleep 0.2; done; exit 1`)
			}
			told, err := r.host().Settle(t.Context())
			if err != nil || !strings.Contains(told, c.told) {
				t.Errorf("settle says %q, %v; want %q", told, err, c.told)
			}
			s := r.expect(c.running, c.running)
			if len(s.FailedSystems) == 1 != c.bad {
				t.Errorf("bad systems are %v", s.FailedSystems)
			}
			if again, err := r.host().Settle(t.Context()); again != "" || err != nil {
				t.Errorf("the second settle says %q, %v", again, err)
			}
			// The host is fit for the next deployment.
			request = r.request("good2")
			if result := r.host().Switch(t.Context(), request); result.Outcome != fleet.Deployed {
				t.Errorf("next deployment: %s: %s", result.Outcome, result.Reason)
			}
		})
	}
}

// TestCancel: Ctrl-C leaves the host as it was, and the result says so.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name    string
		system  string
		step    progress.Step
		outcome fleet.Outcome
		reason  string
		running string
	}{
		{"before", "good", progress.Activate, fleet.Failed, "cancelled before anything was activated", "old"},
		{"activation", "slow", progress.Activate, fleet.RolledBack, "cancelled before the host was confirmed", "old"},
		{"confirmation", "good", progress.Confirm, fleet.RolledBack, "cancelled before the host was confirmed", "old"},
		{"commit", "boot-slow", progress.Commit, fleet.Deployed, "", "boot-slow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			r.at(c.step, func() {
				if c.name == "activation" {
					time.AfterFunc(2*time.Second, cancel)
				} else {
					cancel()
				}
			})
			result := r.host().Switch(ctx, r.request(c.system))
			if result.Outcome != c.outcome || result.Reason != c.reason || result.Runs != r.paths[c.running] {
				t.Errorf("%s: %q, runs %s", result.Outcome, result.Reason, result.Runs)
			}
			if s := r.expect(c.running, c.running); len(s.FailedSystems) != 0 {
				t.Errorf("a cancel is no fault of %v", s.FailedSystems)
			}
		})
	}
}

// TestOldSystemThatDoesNotReturn: when the old system cannot be activated, the
// host reboots into it.
func TestOldSystemThatDoesNotReturn(t *testing.T) {
	for _, old := range []string{"old-fails", "old-stuck"} {
		t.Run(old, func(t *testing.T) {
			r := newRig(t)
			r.reboots = true
			r.sh(`nix-env --profile /nix/var/nix/profiles/system --set $(cat /systems/` + old + `); $(cat /systems/` + old + `)/bin/switch-to-configuration boot`)
			r.power(machines.Reset)
			request := r.request("good")
			request.ActivationTimeout = 5 * time.Second
			request.Confirm = unhealthy
			result := r.host().Switch(t.Context(), request)
			if result.Outcome != fleet.RolledBack || result.Runs != r.paths[old] || !strings.Contains(result.Reason, "status 500") {
				t.Errorf("%s: %q, runs %s", result.Outcome, result.Reason, result.Runs)
			}
			r.booted()
			r.expect(old, old)
		})
	}
}

// TestDiskFull: no file can be written any more, from the middle of the
// activation on; the host comes back all the same.
func TestDiskFull(t *testing.T) {
	r := newRig(t)
	r.sh("mkdir -p /var/lib/flotilla && mount -t tmpfs -o size=300k none /var/lib/flotilla")
	request := r.request("good")
	request.Confirm = func(context.Context, generation.Session) ([]plans.CheckResult, error) {
		r.sh("head -c 1M /dev/zero >/var/lib/flotilla/full 2>/dev/null; true")
		return nil, nil
	}
	result := r.host().Switch(t.Context(), request)
	if result.Outcome != fleet.RolledBack || result.Runs != r.paths["old"] || result.Boots != r.paths["old"] || !strings.Contains(result.Reason, "cannot write") {
		t.Errorf("%s: %q, runs %s", result.Outcome, result.Reason, result.Runs)
	}
	r.expect("old", "old")
}
