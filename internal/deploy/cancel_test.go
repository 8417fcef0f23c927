package deploy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

// A runner asks once and kills ten seconds later. Whatever is in hand then, the
// result is there before, complete and without a guess.
func TestInterruptedInTime(t *testing.T) {
	ends := func(outcome fleet.Outcome, after time.Duration) func(context.Context, string) plans.HostResult {
		return func(_ context.Context, host string) plans.HostResult {
			time.Sleep(after)
			return plans.HostResult{Host: host, Outcome: outcome}
		}
	}
	obeys := func(ctx context.Context, host string) plans.HostResult {
		<-ctx.Done()
		return plans.HostResult{Host: host, Outcome: fleet.RolledBack, Reason: "cancelled"}
	}
	ready := func(context.Context, string) *plans.HostResult { return nil }
	for name, c := range map[string]struct {
		prepare func(context.Context, string) *plans.HostResult
		do      func(context.Context, string) plans.HostResult
		want    string // of hosts a and b, one after the other
		code    problem.Code
		within  time.Duration // of the interrupt
	}{
		"it ends well meanwhile": {ready, ends(fleet.Deployed, 5*time.Second), "deployed, not begun", problem.Cancelled, 5 * time.Second},
		"it is put back":         {ready, ends(fleet.RolledBack, 5*time.Second), "rolled-back, not begun", problem.NotDeployed, 5 * time.Second},
		"it obeys the cancel":    {ready, obeys, "rolled-back, not begun", problem.NotDeployed, 6 * time.Second},
		"it hangs":               {ready, ends(fleet.Deployed, time.Hour), "unknown, not begun", problem.Unknown, 7 * time.Second},
		"a push obeys": {func(ctx context.Context, host string) *plans.HostResult {
			<-ctx.Done()
			return &plans.HostResult{Host: host, Outcome: fleet.Failed, Reason: ctx.Err().Error()}
		}, ends(fleet.Deployed, 0), "not begun, not begun", problem.Cancelled, 0},
		"a push hangs": {func(_ context.Context, host string) *plans.HostResult {
			time.Sleep(time.Hour)
			return &plans.HostResult{Host: host, Outcome: fleet.Failed}
		}, ends(fleet.Deployed, 0), "not begun, not begun", problem.Cancelled, 7 * time.Second},
		"a push fails by itself": {func(_ context.Context, host string) *plans.HostResult {
			return &plans.HostResult{Host: host, Outcome: fleet.Failed, Reason: "no space"}
		}, ends(fleet.Deployed, 0), "failed, failed|failed, not begun", problem.NotDeployed, 0}, // b's push may have begun before a's failed
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				draining := make(chan struct{})
				f := &Flow{CancelGrace: time.Second}
				var nobody *hold
				early, stop := nobody.until(ctx, draining)
				defer stop()
				began := time.Now().Add(2 * time.Second)
				time.AfterFunc(2*time.Second, func() { close(draining) })
				time.AfterFunc(8*time.Second, cancel)
				steps := rollout.Steps{Prepare: c.prepare, Switch: func(ctx context.Context, host string) plans.HostResult {
					time.Sleep(time.Second)
					return c.do(ctx, host)
				}}
				hosts := rollout.Run(ctx, [][]string{{"a"}, {"b"}}, f.leaving(early, nil, steps), rollout.Options{MaxParallel: 1, MaxUnavailable: 1, Draining: early.Done()})
				took := time.Since(began)
				if name == "a push fails by itself" {
					<-draining
					took = 0
				}
				var got []string
				for _, h := range hosts {
					word := string(h.Outcome)
					if h.NotBegun {
						word = "not begun"
					}
					if h.Outcome != fleet.Deployed && h.Reason == "" && h.Outcome != fleet.RolledBack {
						t.Errorf("%s: it does not say why", h.Host)
					}
					got = append(got, word)
				}
				if text := strings.Join(got, ", "); !slices.Contains(strings.Split(c.want, "|"), text) || codeOf(hosts, draining) != c.code {
					t.Errorf("got %s and exit code %d, want %s and %d: %+v", text, codeOf(hosts, draining), c.want, c.code, hosts)
				}
				if took > c.within {
					t.Errorf("took %s", took)
				}
				time.Sleep(2 * time.Hour) // what hangs ends before the test does
			})
		})
	}
}

// On a laptop there is no hurry: a host in hand is brought to its end.
func TestWithoutAGraceItIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		got := soon(ctx, 0, func() string { time.Sleep(time.Hour); return "put back" }, func() string { return "left" })
		if got != "put back" {
			t.Error(got)
		}
		tidy, stop := (&Flow{}).afterwards(ctx)
		defer stop()
		if time.Sleep(cleanupTimeout - time.Second); tidy.Err() != nil {
			t.Error("there was no time to tidy up")
		}
	})
}

// What is tidied up has the grace from the cancel on, whenever that comes.
func TestTidyingUpIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := &Flow{CancelGrace: time.Second}
		tidy, stop := f.afterwards(ctx)
		defer stop()
		time.Sleep(5 * time.Second)
		if tidy.Err() != nil {
			t.Error("nobody cancelled")
		}
		cancel()
		began := time.Now()
		<-tidy.Done()
		again, stop := f.afterwards(ctx)
		defer stop()
		<-again.Done()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// The first interrupt ends waiting and evaluating at once, and the lock is
// given back.
func TestInterruptedBeforeAHostWasTouched(t *testing.T) {
	r := newRig(t, true)
	r.commit(map[string]string{"hive.nix": hive(motd, "")})
	interrupted := func(what string, opts Options) {
		t.Helper()
		draining := make(chan struct{})
		opts.Draining = draining
		time.AfterFunc(500*time.Millisecond, func() { close(draining) })
		began := time.Now()
		result, err := r.flow.Deploy(t.Context(), opts)
		if took := time.Since(began); took > 5*time.Second || result.ExitCode != problem.Cancelled || problem.CodeOf(err) != problem.Cancelled {
			t.Errorf("%s: exit code %d after %s: %v", what, result.ExitCode, took, err)
		}
	}
	d, done := r.begin(Options{})
	defer done()
	held, err := d.client.TakeLock(t.Context(), fleet.Lock{Holder: "bob", Run: newRun(time.Now())}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	interrupted("waiting for the lock", Options{LockTimeout: time.Hour})
	if err := d.client.ReleaseLock(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	interrupted("asking for reviews", Options{Reviews: func(ctx context.Context, _ []string, _ string) (plans.Reviewed, error) {
		<-ctx.Done()
		return plans.Reviewed{}, ctx.Err()
	}})

	bin := t.TempDir()
	for _, program := range []string{"nix-instantiate", "nix"} {
		if err := os.WriteFile(filepath.Join(bin, program), []byte("#!/bin/sh\nsleep 60\n"), 0o700); err != nil { //nolint:gosec // it is run
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	interrupted("evaluating", Options{})
	if _, is, err := d.client.ReadLock(t.Context()); is || err != nil {
		t.Errorf("the lock is still held: %v", err)
	}
	if len(r.changed) != 0 {
		t.Errorf("changed %v", r.changed)
	}
}

// Whoever broke the lock may be at work: that is seen before the next host, not
// at the next renewal.
func TestBrokenLockStopsTheNextHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := &fakeLocks{}
		f := &Flow{By: "ada"}
		var switched []string
		err := f.holding(t.Context(), locks, 0, func(h *hold) error {
			early, stop := h.until(t.Context(), nil)
			defer stop()
			steps := rollout.Steps{
				Prepare: func(context.Context, string) *plans.HostResult { return nil },
				Switch: func(_ context.Context, host string) plans.HostResult {
					switched = append(switched, host)
					if host == "b" {
						_ = locks.BreakLock(t.Context(), locks.held)
					}
					return plans.HostResult{Host: host, Outcome: fleet.Deployed}
				},
			}
			hosts := rollout.Run(t.Context(), [][]string{{"a"}, {"b"}, {"c"}}, f.leaving(early, h, steps), rollout.Options{MaxParallel: 1, MaxUnavailable: 1})
			if !hosts[2].NotBegun || !strings.Contains(hosts[2].Reason, "the fleet's lock was lost") {
				t.Errorf("%+v", hosts[2])
			}
			return nil
		})
		if problem.CodeOf(err) != problem.Refused || !slices.Equal(switched, []string{"a", "b"}) {
			t.Errorf("switched %v, %v", switched, err)
		}
	})
}

// A server takes longer to be made than a runner waits.
func TestCancelledAtTheProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(6*time.Second, cancel)
		began := time.Now()
		got := (&Flow{CancelGrace: time.Second}).providing(ctx, []plans.Resource{
			{Kind: plans.KindServer, Name: "web", Action: plans.Create}, {Kind: plans.KindServer, Name: "db", Action: plans.Update, Note: "nothing of it"},
		}, func() provided { time.Sleep(10 * time.Minute); return provided{} })
		if took := time.Since(began); took != 7*time.Second || problem.CodeOf(got.err) != problem.Cancelled {
			t.Errorf("took %s: %v", took, got.err)
		}
		if len(got.resources) != 1 || got.resources[0].Name != "web" || got.resources[0].Done || got.resources[0].Error == "" {
			t.Errorf("%+v", got.resources)
		}
		time.Sleep(time.Hour)
	})
}
