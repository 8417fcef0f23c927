package deploy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

const (
	// fleetTTL is how long a fleet's lock outlives its holder; a living one
	// renews it every third of that.
	fleetTTL = 3 * time.Minute
	// askAgain is how often one who waits tries to take the lock.
	askAgain = 5 * time.Second
	// askOver is how often one who waits asks whether the holder's job is over.
	askOver = 15 * time.Second
	// confirmLock bounds a look at the lock.
	confirmLock = 5 * time.Second
	// tellEvery is how often one who waits says so.
	tellEvery = 30 * time.Second
)

// locker keeps a fleet's lock at the provider.
type locker interface {
	TakeLock(ctx context.Context, l fleet.Lock, ttl time.Duration) (fleet.Lock, error)
	RenewLock(ctx context.Context, l fleet.Lock, ttl time.Duration) (fleet.Lock, error)
	ReleaseLock(ctx context.Context, l fleet.Lock) error
	BreakLock(ctx context.Context, l fleet.Lock) error
	ReadLock(ctx context.Context) (fleet.Lock, bool, error)
}

// hold is the fleet's lock in our hands. A nil one is that of a fleet without
// a provider, which has none: it is never lost.
type hold struct {
	once sync.Once
	gone chan struct{}                   // closed when the lock is no longer ours
	why  error                           // set before gone is closed
	look func(ctx context.Context) error // tells whether it is still ours; nil: nobody can
}

// lose tells everybody that the lock is no longer ours.
func (h *hold) lose(cause error) {
	h.once.Do(func() {
		h.why = &problem.Problem{
			Summary: "the fleet's lock was lost, so nothing more was begun", Cause: cause,
			Hints: []string{"Somebody broke it, or the provider could not be reached for too long. See who works on the fleet now (flotilla unlock shows it), then run this again: it goes on from what exists."},
			Code:  problem.Refused,
		}
		close(h.gone)
	})
}

// confirm looks at the provider whether the lock is still ours, before
// something is begun that must not be done by two: who broke it may be at work
// long before the next renewal. Where the provider does not answer, the
// renewal decides.
func (h *hold) confirm(ctx context.Context) error {
	if h == nil {
		return nil
	}
	if err := h.check(); err != nil || h.look == nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, confirmLock)
	defer cancel()
	if err := h.look(ctx); isLost(err) {
		h.lose(err)
	}
	return h.check()
}

// lost is closed when the lock is no longer ours.
func (h *hold) lost() <-chan struct{} {
	if h == nil {
		return nil
	}
	return h.gone
}

// check refuses to begin anything more without the lock.
func (h *hold) check() error {
	select {
	case <-h.lost():
		return h.why
	default:
		return nil
	}
}

// until gives a context that also ends when the lock is lost, and when
// draining is closed: nothing more is begun at the provider then.
func (h *hold) until(ctx context.Context, draining <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-h.lost():
			cancel(h.why)
		case <-draining:
			cancel(context.Canceled)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// locked runs do while the fleet's lock is held, and frees it afterwards, also
// after a cancel. Another holder is waited for as long as timeout says. A fleet
// without a provider has the hosts' locks alone.
func (f *Flow) locked(ctx context.Context, client *hetzner.Client, timeout time.Duration, do func(*hold) error) error {
	if client == nil {
		return do(nil)
	}
	return f.holding(ctx, client, timeout, do)
}

func (f *Flow) holding(ctx context.Context, l locker, timeout time.Duration, do func(*hold) error) error {
	var taken fleet.Lock
	err := progress.For(f.Sink, "").Do(progress.Lock, func() (err error) {
		taken, err = f.take(ctx, l, timeout)
		return err
	})
	if err != nil {
		return err
	}
	id := taken.ID
	h := &hold{gone: make(chan struct{}), look: func(ctx context.Context) error {
		now, is, err := l.ReadLock(ctx)
		if err == nil && (!is || now.ID != id) {
			err = &hetzner.LockLostError{Lock: fleet.Lock{ID: id}, Now: now}
		}
		return err
	}}
	ended := make(chan struct{})
	var renewing sync.WaitGroup
	lasting, stop := context.WithCancel(context.WithoutCancel(ctx))
	renewing.Go(func() { taken = h.renew(lasting, l, taken, ended, fleetTTL) })
	err = do(h)
	close(ended)
	stop() // a renewal that hangs must not keep the lock from being given back
	renewing.Wait()
	if why := h.check(); why != nil {
		if !errors.Is(err, why) {
			err = errors.Join(err, why)
		}
		return err // it is somebody else's now, or nobody's
	}
	f.free(ctx, l, taken)
	return err
}

// take takes the lock, and breaks one whose time is over.
func (f *Flow) take(ctx context.Context, l locker, timeout time.Duration) (fleet.Lock, error) {
	report := progress.For(f.Sink, "")
	want := fleet.Lock{Holder: f.By, Run: newRun(f.now()), Job: f.Run, URL: f.RunURL}
	deadline := f.now().Add(timeout)
	var told, asked time.Time
	for {
		taken, err := l.TakeLock(ctx, want, fleetTTL)
		other, stale, held := holder(err)
		why := "its time is over, so that run is dead"
		if held && !stale && f.now().Sub(asked) >= askOver {
			asked = f.now()
			if stale = f.isOver(ctx, other); stale {
				why = "that run is over"
			}
		}
		switch {
		case !held:
			return taken, err
		case stale:
			report.Note(progress.Lock, fmt.Sprintf("breaks the lock of %s: %s", describe(other), why))
			// Another who waits may have been faster: then it is as if it were held.
			if err := l.BreakLock(ctx, other); err != nil && !isLost(err) && !isTaken(err) {
				return fleet.Lock{}, err
			}
			continue
		case !f.now().Before(deadline):
			return fleet.Lock{}, lockedBy(other)
		}
		if f.now().Sub(told) >= tellEvery {
			report.Note(progress.Lock, "waits for "+describe(other))
			told = f.now()
		}
		if err := pause(ctx, min(askAgain, deadline.Sub(f.now()))); err != nil {
			return fleet.Lock{}, err
		}
	}
}

// isOver asks whether the job that holds a lock is over or dead. Who cannot be
// asked is taken to be alive: the lock ends by itself.
func (f *Flow) isOver(ctx context.Context, l fleet.Lock) bool {
	if f.RunOver == nil || l.Job == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, askOver)
	defer cancel()
	over, err := f.RunOver(ctx, l.Job)
	if err != nil {
		progress.For(f.Sink, "").Note(progress.Lock, fmt.Sprintf("cannot tell whether the run of %s is over: %s", describe(l), oneLine(err)))
	}
	return err == nil && over
}

// renew keeps the lock until ended is closed, and closes gone when it cannot
// be kept. It gives the lock as it is in the end.
func (h *hold) renew(ctx context.Context, l locker, held fleet.Lock, ended <-chan struct{}, ttl time.Duration) fleet.Lock {
	good := time.Now().Add(ttl)
	for {
		select {
		case <-ended:
			return held
		case <-time.After(ttl / 3):
		}
		asking, cancel := context.WithTimeout(ctx, ttl/3)
		renewed, err := l.RenewLock(asking, held, ttl)
		cancel()
		switch {
		case ctx.Err() != nil:
			return held
		case err == nil:
			held, good = renewed, time.Now().Add(ttl)
		case isLost(err) || time.Now().After(good):
			h.lose(err)
			return held
		}
	}
}

// free gives the lock back, also after a cancel.
func (f *Flow) free(ctx context.Context, l locker, held fleet.Lock) {
	ctx, cancel := f.afterwards(ctx)
	defer cancel()
	if err := l.ReleaseLock(ctx, held); err != nil {
		progress.For(f.Sink, "").Note(progress.Lock, fmt.Sprintf("the fleet's lock was not freed, it ends by itself in %s: %s", fleetTTL, oneLine(err)))
	}
}

// newRun names one run: when it began, and something unique.
func newRun(now time.Time) string {
	return now.UTC().Format(runTime) + "-" + strings.ToLower(rand.Text()[:8])
}

const runTime = "20060102T150405Z"

// since reads from a lock when its run began.
func since(l fleet.Lock) string {
	began, _, _ := strings.Cut(l.Run, "-")
	at, err := time.Parse(runTime, began)
	if err != nil {
		return ""
	}
	return " since " + at.Format("2006-01-02 15:04:05 UTC")
}

func describe(l fleet.Lock) string {
	text := l.Holder + since(l)
	if l.URL != "" {
		text += " (" + l.URL + ")"
	}
	return text
}

func lockedBy(l fleet.Lock) error {
	return &problem.Problem{
		Summary: "the fleet is locked by " + describe(l),
		Detail:  "The lock ends at " + time.Unix(l.Expires, 0).UTC().Format("15:04:05 UTC") + " if that run does not renew it.",
		Hints: []string{
			"Wait for that run to end: --lock-timeout 15m.",
			"If it is dead, its lock ends by itself, or at once with: flotilla unlock",
		},
		Code: problem.Refused,
	}
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// holder tells who has the lock that could not be taken. Something else of the
// lock's name is nobody's lock, and never broken.
func holder(err error) (l fleet.Lock, stale, held bool) {
	var taken *hetzner.LockTakenError
	if !errors.As(err, &taken) || taken.Lock.Expires == 0 {
		return fleet.Lock{}, false, false
	}
	return taken.Lock, taken.Stale, true
}

func isTaken(err error) bool {
	_, _, held := holder(err)
	return held
}

// isLost tells whether a lock that was ours is ours no more.
func isLost(err error) bool {
	var lost *hetzner.LockLostError
	return errors.As(err, &lost)
}
