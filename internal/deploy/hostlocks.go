package deploy

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// lock takes the host's lock. One that is held is waited for at least as long as
// a dead holder's lasts: who is alive renews it meanwhile and keeps it. waited
// says that there was one; whether it ended well or died, its lock does not tell.
func lock(ctx context.Context, host *generation.Host, name string, f *Flow, timeout time.Duration) (unlock func(context.Context) error, waited string, err error) {
	deadline := time.Now().Add(max(timeout, lockTTL+5*time.Second))
	var told time.Time
	for {
		unlock, err := host.Lock(ctx, f.By, lockTTL)
		if problem.CodeOf(err) != problem.Refused || time.Now().After(deadline) {
			return unlock, waited, err
		}
		if time.Since(told) >= tellEvery {
			progress.For(f.Sink, name).Note(progress.Lock, oneLine(err)+"; waiting in case its holder is dead")
			told = time.Now()
		}
		waited = "another run had the host's lock; this one went on when that had ended or was dead"
		if err := pause(ctx, 3*time.Second); err != nil {
			return nil, waited, err
		}
	}
}

// heldHost is a host whose lock we have.
type heldHost struct {
	host   *generation.Host // the lock is this one's
	unlock func(context.Context) error
	waited string // as lock tells
}

// heldHosts are the hosts whose locks were taken before anything was begun; nil:
// none were.
type heldHosts struct {
	mu sync.Mutex
	of map[string]heldHost
}

// holdHosts takes the locks of all hosts, for a fleet without a provider, which
// has no other: one after the other in sorted order, so that of two runs one
// gets them all and none waits for what the other one has. A host that cannot be
// reached has no lock, and fails by itself later.
func (f *Flow) holdHosts(ctx context.Context, names []string, timeout time.Duration, reach func(string) (*generation.Host, error)) (*heldHosts, error) {
	held := &heldHosts{of: map[string]heldHost{}}
	for _, name := range slices.Sorted(slices.Values(names)) {
		host, err := reach(name)
		if err != nil {
			continue
		}
		unlock, waited, err := lock(ctx, host, name, f, timeout)
		if problem.CodeOf(err) == problem.Refused || ctx.Err() != nil {
			if unlock != nil {
				held.of[name] = heldHost{host, unlock, waited}
			}
			held.free(ctx, f)
			if err == nil {
				err = context.Cause(ctx)
			}
			return nil, err
		}
		if err == nil {
			held.of[name] = heldHost{host, unlock, waited}
		}
	}
	return held, nil
}

// take gives a host with its lock to the caller.
func (h *heldHosts) take(name string) (heldHost, bool) {
	if h == nil {
		return heldHost{}, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	host, ok := h.of[name]
	delete(h.of, name)
	return host, ok
}

// free gives back the locks that nobody took, also after a cancel.
func (h *heldHosts) free(ctx context.Context, f *Flow) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var freeing sync.WaitGroup
	for name, host := range h.of {
		freeing.Go(func() {
			ctx, cancel := f.afterwards(ctx)
			defer cancel()
			if err := host.unlock(ctx); err != nil {
				progress.For(f.Sink, name).Note(progress.Lock, "the host's lock was not freed, it ends by itself: "+oneLine(err))
			}
		})
	}
	freeing.Wait()
	clear(h.of)
}

// lockHosts takes the hosts' locks where the fleet has none.
func (d *deployment) lockHosts(ctx context.Context) (err error) {
	if d.client != nil {
		return nil
	}
	d.ways = map[string]*way{}
	d.held, err = d.flow.holdHosts(ctx, slices.Collect(maps.Keys(d.hosts)), d.opts.LockTimeout, func(name string) (*generation.Host, error) {
		target, err := d.targets.of(name, d.hosts[name])
		if err != nil {
			return nil, err
		}
		d.ways[name] = d.way(name, target)
		return generation.New(name, d.ways[name].dial, d.flow.Sink), nil
	})
	return err
}
