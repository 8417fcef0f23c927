package deploy

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const labToken = "wF5x0QmZt7RkJ3uYc9BvLh2NaPs8Dg1EiO6TqXyKzCrVbMnWjHfGdSlAeUoI4p00"

// client is one run's own client of a lab's API.
func client(t *testing.T, server *httptest.Server) *hetzner.Client {
	t.Helper()
	c, err := hetzner.New(hetzner.Options{Token: secret.New(labToken), Endpoint: server.URL + "/v1", Fleet: "acme", PollInterval: time.Millisecond, RetryBackoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func labAPI(t *testing.T) *httptest.Server {
	t.Helper()
	api, err := cloud.New(cloud.Options{Token: labToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return server
}

// notes keeps what was told.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) Event(e progress.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if e.Kind == progress.Note {
		n.all = append(n.all, e.Text)
	}
}

func (n *notes) count(text string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := 0
	for _, note := range n.all {
		if strings.Contains(note, text) {
			count++
		}
	}
	return count
}

// Of runs that begin at the same time exactly one goes on; the others are
// refused and told who it is.
func TestOneOfTwoDeploysGoesOn(t *testing.T) {
	server := labAPI(t)
	var inside, ran atomic.Int32
	enough := make(chan struct{}) // closed when all others were refused
	errs := make([]error, 8)
	var refused sync.WaitGroup
	var all sync.WaitGroup
	refused.Add(len(errs) - 1)
	go func() { refused.Wait(); close(enough) }()
	for i := range errs {
		all.Go(func() {
			f := &Flow{By: "run of " + string(rune('a'+i)), Sink: progress.Discard}
			errs[i] = f.locked(t.Context(), client(t, server), 0, func(*hold) error {
				if inside.Add(1) != 1 {
					t.Error("two runs hold the lock")
				}
				ran.Add(1)
				<-enough
				inside.Add(-1)
				return nil
			})
			if errs[i] != nil {
				refused.Done()
			}
		})
	}
	all.Wait()
	if ran.Load() != 1 {
		t.Fatalf("%d ran", ran.Load())
	}
	for _, err := range errs {
		if err != nil && (problem.CodeOf(err) != problem.Refused || !strings.Contains(err.Error(), "the fleet is locked by run of ") || !strings.Contains(err.Error(), " since 20")) {
			t.Errorf("refused with: %v", err)
		}
	}
	// It was given back.
	if err := (&Flow{By: "later"}).locked(t.Context(), client(t, server), 0, func(*hold) error { return nil }); err != nil {
		t.Error(err)
	}
}

// The lock is given back when what was done under it failed or was cancelled.
func TestLockIsFreedAfterACancel(t *testing.T) {
	server := labAPI(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := (&Flow{By: "ada"}).locked(ctx, client(t, server), 0, func(*hold) error { cancel(); return ctx.Err() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if held, is, err := client(t, server).ReadLock(t.Context()); is || err != nil {
		t.Errorf("still held: %+v, %v", held, err)
	}
}

func TestWithoutAProviderThereIsNoLock(t *testing.T) {
	ran := false
	if err := (&Flow{}).locked(t.Context(), nil, 0, func(h *hold) error { ran = true; return h.check() }); err != nil || !ran {
		t.Errorf("ran %v, %v", ran, err)
	}
}

// fakeLocks is a lock in memory.
type fakeLocks struct {
	mu       sync.Mutex
	held     fleet.Lock // ID 0: nobody
	next     int64
	renewals int
	renew    error // answer to renewals, if not nil
	broken   []string
}

func (l *fakeLocks) TakeLock(_ context.Context, want fleet.Lock, ttl time.Duration) (fleet.Lock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held.ID != 0 {
		return fleet.Lock{}, &problem.Problem{Summary: "locked", Code: problem.Refused, Cause: &hetzner.LockTakenError{Lock: l.held, Stale: time.Now().Unix() > l.held.Expires}}
	}
	l.next++
	want.ID, want.Expires = l.next, time.Now().Add(ttl).Unix()
	l.held = want
	return want, nil
}

func (l *fakeLocks) RenewLock(_ context.Context, held fleet.Lock, ttl time.Duration) (fleet.Lock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renew != nil {
		return fleet.Lock{}, l.renew
	}
	if l.held.ID != held.ID {
		return fleet.Lock{}, &problem.Problem{Summary: "lost", Cause: &hetzner.LockLostError{Lock: held, Now: l.held}}
	}
	l.renewals++
	l.held.Expires = time.Now().Add(ttl).Unix()
	return l.held, nil
}

func (l *fakeLocks) ReleaseLock(_ context.Context, held fleet.Lock) error {
	return l.BreakLock(context.Background(), held)
}

func (l *fakeLocks) BreakLock(_ context.Context, held fleet.Lock) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.held.ID == held.ID {
		l.broken, l.held = append(l.broken, l.held.Holder), fleet.Lock{}
	}
	return nil
}

func (l *fakeLocks) ReadLock(context.Context) (fleet.Lock, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held, l.held.ID != 0, nil
}

// A lock that is held is waited for, as long as asked; that is told now and
// then, not at every try.
func TestWaitForTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks, told := &fakeLocks{}, &notes{}
		first, err := locks.TakeLock(t.Context(), fleet.Lock{Holder: "ada", Run: newRun(time.Now())}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		f := &Flow{By: "bob", Sink: told}
		err = f.holding(t.Context(), locks, 2*time.Minute, func(*hold) error { t.Error("ran without the lock"); return nil })
		if problem.CodeOf(err) != problem.Refused || !strings.Contains(err.Error(), "locked by ada since ") {
			t.Errorf("got %v", err)
		}
		if n := told.count("waits for ada"); n != 4 {
			t.Errorf("told %d times in two minutes", n)
		}
		go func() {
			time.Sleep(time.Minute)
			_ = locks.ReleaseLock(t.Context(), first)
		}()
		ran := false
		if err := f.holding(t.Context(), locks, 2*time.Minute, func(*hold) error { ran = true; return nil }); err != nil || !ran {
			t.Errorf("ran %v, %v", ran, err)
		}
	})
}

// The lock of a run that died is broken, and that is told.
func TestStaleLockIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks, told := &fakeLocks{}, &notes{}
		if _, err := locks.TakeLock(t.Context(), fleet.Lock{Holder: "ada"}, time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		err := (&Flow{By: "bob", Sink: told}).holding(t.Context(), locks, 0, func(*hold) error { return nil })
		if err != nil || !slices.Equal(locks.broken, []string{"ada", "bob"}) || told.count("breaks the lock of ada") != 1 {
			t.Errorf("%v, broken %v, told %v", err, locks.broken, told.all)
		}
	})
}

// A lock is renewed as long as the run takes. One that is lost, or cannot be
// renewed for too long, stops the run from beginning more.
func TestLockIsRenewedOrLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := &fakeLocks{}
		f := &Flow{By: "bob"}
		if err := f.holding(t.Context(), locks, 0, func(h *hold) error { time.Sleep(20 * fleetTTL); return h.check() }); err != nil || locks.renewals < 50 {
			t.Errorf("%v after %d renewals", err, locks.renewals)
		}

		broken := func(h *hold) error {
			_ = locks.BreakLock(t.Context(), locks.held)
			ctx, stop := h.until(t.Context(), nil)
			defer stop()
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(10 * fleetTTL):
				t.Error("the loss was not noticed")
				return nil
			}
		}
		err := f.holding(t.Context(), locks, 0, broken)
		if problem.CodeOf(err) != problem.Refused || len(problem.All(err)) != 1 || !strings.Contains(err.Error(), "the fleet's lock was lost") {
			t.Errorf("broken: %v", err)
		}

		locks.renew = errors.New("no route to host")
		began := time.Now()
		err = f.holding(t.Context(), locks, 0, func(h *hold) error { <-h.lost(); return nil })
		if took := time.Since(began); problem.CodeOf(err) != problem.Refused || took < fleetTTL || took > 2*fleetTTL {
			t.Errorf("unreachable: %v after %s", err, took)
		}
	})
}

func TestUnlock(t *testing.T) {
	locks := &fakeLocks{}
	f := &Flow{}
	asked := 0
	ask := func(u Unlocked) error {
		asked++
		if !strings.HasPrefix(u.Holder, "ada since 20") {
			t.Errorf("asked about %q", u.Holder)
		}
		return nil
	}
	if u, err := f.unlock(t.Context(), locks, fleet.Fleet{Name: "acme"}, ask); err != nil || u.Held || asked != 0 {
		t.Errorf("free: %+v, %v, asked %d", u, err, asked)
	}
	if _, err := locks.TakeLock(t.Context(), fleet.Lock{Holder: "ada", Run: newRun(time.Now())}, time.Minute); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	if u, err := f.unlock(t.Context(), locks, fleet.Fleet{}, func(Unlocked) error { return no }); !errors.Is(err, no) || u.Broken || locks.held.ID == 0 {
		t.Errorf("not approved: %+v, %v", u, err)
	}
	if u, err := f.unlock(t.Context(), locks, fleet.Fleet{}, ask); err != nil || !u.Broken || locks.held.ID != 0 {
		t.Errorf("approved: %+v, %v", u, err)
	}
}

// The lock of a job that GitHub says is over is not waited for; who cannot be
// asked is taken to be alive.
func TestLockOfAJobThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks, told := &fakeLocks{}, &notes{}
		held := func(job string) {
			locks.held = fleet.Lock{}
			if _, err := locks.TakeLock(t.Context(), fleet.Lock{Holder: "ada", Job: job, URL: "https://github.com/acme/fleet/actions/runs/7/attempts/1"}, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		over := func(_ context.Context, run string) (bool, error) {
			switch run {
			case "7/1":
				return true, nil
			case "8/1":
				return false, nil
			}
			return true, errors.New("GitHub is down")
		}
		f := &Flow{By: "bob", Run: "9/1", RunURL: "https://example.com/9", Sink: told, RunOver: over}
		ran := func() bool {
			ran := false
			err := f.holding(t.Context(), locks, time.Minute, func(*hold) error {
				ran = locks.held.Job == "9/1" && locks.held.URL == "https://example.com/9"
				return nil
			})
			if (err == nil) != ran {
				t.Errorf("ran %v: %v", ran, err)
			}
			return ran
		}
		held("7/1")
		if began := time.Now(); !ran() || time.Since(began) > time.Second || told.count("breaks the lock of ada (https://github.com/acme/fleet/actions/runs/7/attempts/1): that run is over") != 1 {
			t.Errorf("over: %v after %s", told.all, time.Since(began))
		}
		for _, job := range []string{"8/1", "10/1", ""} {
			if held(job); ran() {
				t.Errorf("job %q was taken to be over", job)
			}
		}
		if n := told.count("cannot tell whether"); n < 2 || n > 5 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}
