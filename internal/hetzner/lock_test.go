package hetzner_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

const ttl = 10 * time.Minute

func run(i int) fleet.Lock {
	return fleet.Lock{Holder: fmt.Sprintf("run %d of ada@example.com", i), Run: fmt.Sprintf("https://ci.example.com/runs/%d", i)}
}

func taken(t *testing.T, err error) *hetzner.LockTakenError {
	t.Helper()
	var held *hetzner.LockTakenError
	if p := asProblem(t, err); !errors.As(err, &held) || p.Code != problem.Refused || len(p.Hints) == 0 {
		t.Fatalf("got %v, want a lock that is taken", err)
	}
	return held
}

func lost(t *testing.T, err error) {
	t.Helper()
	var gone *hetzner.LockLostError
	if p := asProblem(t, err); !errors.As(err, &gone) || p.Code != problem.Refused || !strings.Contains(problem.Text(err), "somebody broke it") {
		t.Fatalf("got %v, want a lock that was lost", err)
	}
}

func TestOneOfManyTakesTheLock(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	var wg sync.WaitGroup
	var winners atomic.Int64
	var holder atomic.Pointer[fleet.Lock]
	for i := range 20 {
		wg.Go(func() {
			held, err := api.client(t, "acme").TakeLock(ctx, run(i), ttl)
			var taken *hetzner.LockTakenError
			switch {
			case err == nil:
				winners.Add(1)
				holder.Store(&held)
			case !errors.As(err, &taken) || taken.Stale || !strings.HasPrefix(taken.Lock.Holder, "run "):
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if winners.Load() != 1 {
		t.Fatalf("%d hold the lock", winners.Load())
	}
	c := api.client(t, "acme")
	seen, there, err := c.ReadLock(ctx)
	check(t, err)
	if !there || seen != *holder.Load() || seen.Expires < time.Now().Add(ttl-time.Minute).Unix() {
		t.Errorf("holder %+v, read %+v", holder.Load(), seen)
	}
	must[fleet.Lock](t)(api.client(t, "other").TakeLock(ctx, run(0), ttl)) // another fleet has its own
	check(t, c.ReleaseLock(ctx, seen))
	check(t, c.ReleaseLock(ctx, seen)) // gone counts as given back
	if _, there, err := c.ReadLock(ctx); there || err != nil {
		t.Errorf("after release: %t, %v", there, err)
	}
}

func TestStaleLockIsBrokenByTwoAtOnce(t *testing.T) {
	ctx := context.Background()
	for range 10 {
		api := newAccount(t, cloud.Options{})
		old := api.client(t, "acme")
		dead := must[fleet.Lock](t)(old.TakeLock(ctx, run(0), ttl))
		api.skew.Store(int64(ttl + 5*time.Second)) // by the API's clock; this machine's stays
		var wg sync.WaitGroup
		var winners atomic.Int64
		for i := 1; i <= 2; i++ {
			wg.Go(func() {
				c := api.client(t, "acme")
				_, err := c.TakeLock(ctx, run(i), ttl)
				var found *hetzner.LockTakenError
				if errors.As(err, &found) && found.Stale {
					if found.Lock != dead {
						t.Errorf("found %+v", found.Lock)
					}
					if err := c.BreakLock(ctx, found.Lock); err != nil {
						t.Error(err)
					}
					_, err = c.TakeLock(ctx, run(i), ttl)
				}
				if err == nil {
					winners.Add(1)
				} else if !errors.As(err, &found) || found.Stale {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if winners.Load() != 1 {
			t.Fatalf("%d hold the lock", winners.Load())
		}
		// The one who held it finds out, and harms nobody.
		_, err := old.RenewLock(ctx, dead, ttl)
		lost(t, err)
		check(t, old.BreakLock(ctx, dead))
		check(t, old.ReleaseLock(ctx, dead))
		if now, there, err := old.ReadLock(ctx); err != nil || !there || now.ID == dead.ID {
			t.Errorf("the new holder's lock: %+v, %t, %v", now, there, err)
		}
	}
}

func TestLockIsRenewed(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	c, finder := api.client(t, "acme"), api.client(t, "acme")
	mine := must[fleet.Lock](t)(c.TakeLock(ctx, run(1), ttl))
	api.skew.Store(int64(ttl + time.Minute))
	_, err := finder.TakeLock(ctx, run(2), ttl)
	stale := taken(t, err)
	if !stale.Stale {
		t.Fatalf("not stale: %+v", stale)
	}
	renewed := must[fleet.Lock](t)(c.RenewLock(ctx, mine, ttl))
	if renewed.ID != mine.ID || renewed.Holder != mine.Holder || renewed.Expires < mine.Expires+int64(ttl.Seconds()) {
		t.Errorf("%+v, renewed %+v", mine, renewed)
	}
	if again := taken(t, finder.BreakLock(ctx, stale.Lock)); again.Stale || again.Lock != renewed {
		t.Errorf("broke a lock that was renewed: %+v", again)
	}
	check(t, finder.BreakLock(ctx, renewed)) // by a person who saw that it is held
	_, err = c.RenewLock(ctx, renewed, ttl)
	lost(t, err)
}

func TestLockWhoseAnswerWasLost(t *testing.T) {
	ctx := context.Background()
	for name, f := range map[string]cloud.Fault{
		"take":    {Method: "POST", Path: "^/placement_groups$", Status: 504, Code: "timeout", After: true},
		"renew":   {Method: "PUT", Path: "^/placement_groups/", Status: 504, Code: "timeout", After: true},
		"release": {Method: "DELETE", Path: "^/placement_groups/", Status: 504, Code: "timeout", After: true},
		"busy":    {Method: "POST", Path: "^/placement_groups$", Status: 409, Code: "conflict", Times: 2},
	} {
		t.Run(name, func(t *testing.T) {
			api := newAccount(t, cloud.Options{})
			api.inject(t, f)
			c := api.client(t, "acme")
			l := must[fleet.Lock](t)(c.TakeLock(ctx, run(1), ttl))
			l = must[fleet.Lock](t)(c.RenewLock(ctx, l, ttl))
			check(t, c.ReleaseLock(ctx, l))
			if left := api.faultsLeft(t); left != "{\"faults\":[]}" {
				t.Errorf("the fault met no request: %s", left)
			}
			if _, there, err := c.ReadLock(ctx); there || err != nil {
				t.Errorf("left: %t, %v", there, err)
			}
		})
	}
}

func TestLockTellsWhoHoldsIt(t *testing.T) {
	ctx := context.Background()
	api := newAccount(t, cloud.Options{})
	long := fleet.Lock{Holder: strings.Repeat("Žofie ", 20), Run: strings.Repeat("run/", 40)}
	c := api.client(t, "acme")
	l := must[fleet.Lock](t)(c.TakeLock(ctx, long, ttl))
	if !strings.HasPrefix(l.Holder, "Žofie") || !strings.HasPrefix(long.Holder, l.Holder) {
		t.Errorf("holder %q", l.Holder)
	}
	l = must[fleet.Lock](t)(c.TakeLock(ctx, long, ttl)) // the same run, whose answer was lost
	must[fleet.Lock](t)(c.RenewLock(ctx, l, ttl))
	_, err := api.client(t, "acme").TakeLock(ctx, run(2), ttl)
	if text := problem.Text(err); !strings.Contains(text, "Žofie") || !strings.Contains(text, "flotilla unlock") {
		t.Error(text)
	}
	check(t, c.ReleaseLock(ctx, l))
}

// Who waits for a lock sees which job holds it, and where.
func TestLockNamesItsJob(t *testing.T) {
	ctx := context.Background()
	client := newAccount(t, cloud.Options{}).client(t, "acme")
	for _, url := range []string{
		"", "https://github.com/acme/fleet/actions/runs/1234567890/attempts/2",
		"https://ghe.example.com/a-rather-long-organisation_name/a-rather-long-repository.name-/actions/runs/12345678901234/attempts/12",
	} {
		want := run(1)
		want.Job, want.URL = "1234567890/2", url
		held, err := client.TakeLock(ctx, want, ttl)
		if err != nil {
			t.Fatal(err)
		}
		if held, err = client.RenewLock(ctx, held, ttl); err != nil {
			t.Fatal(err)
		}
		if read, _, err := client.ReadLock(ctx); err != nil || read.Job != want.Job || read.URL != url || held.URL != url {
			t.Errorf("%v: read %+v, renewed %+v", err, read, held)
		}
		if err := client.ReleaseLock(ctx, held); err != nil {
			t.Fatal(err)
		}
	}
}
