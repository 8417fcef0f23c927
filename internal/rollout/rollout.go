package rollout

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Steps is how one host is brought forward. Both are called from several
// goroutines, each once per host, Switch only after Prepare gave nil.
type Steps struct {
	// Prepare does what may be done while other hosts are switched (connect,
	// look, lock, push). A result ends the host's way here.
	Prepare func(ctx context.Context, host string) *plans.HostResult
	// Switch activates, confirms and commits, or puts the host back.
	Switch func(ctx context.Context, host string) plans.HostResult
}

// Options bound a rollout.
type Options struct {
	MaxParallel    int // prepares at a time, at least 1
	MaxUnavailable int // switches at a time, at least 1
	OnFailure      fleet.FailurePolicy
	// Draining ends when no further host may begin (first interrupt); hosts in
	// hand go on. nil: never.
	Draining <-chan struct{}
}

// Run takes the hosts through their waves. A host is switched when its own
// Prepare is done and its wave has begun; the next wave begins when every host
// of this one ended well. Every host gets a result, in the order of the waves.
func Run(ctx context.Context, waves [][]string, steps Steps, opts Options) []plans.HostResult {
	r := &run{
		steps: steps, opts: opts,
		prepared: map[string]chan *plans.HostResult{},
	}
	for _, wave := range waves {
		for _, host := range wave {
			r.prepared[host] = make(chan *plans.HostResult, 1)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.prepareAll(ctx, waves)
	}()

	var results []plans.HostResult
	for _, wave := range waves {
		results = append(results, r.wave(ctx, wave)...)
	}
	<-done
	return results
}

type run struct {
	steps    Steps
	opts     Options
	prepared map[string]chan *plans.HostResult

	mu      sync.Mutex
	stopped string // why no further host begins, "" while they may
}

func (r *run) prepareAll(ctx context.Context, waves [][]string) {
	limit := semaphore.NewWeighted(int64(max(r.opts.MaxParallel, 1)))
	var wg sync.WaitGroup
	for _, wave := range waves {
		for _, host := range wave {
			if err := limit.Acquire(ctx, 1); err != nil {
				r.stop("the deploy was cancelled")
				r.prepared[host] <- notBegun(host, "the deploy was cancelled")
				continue
			}
			wg.Go(func() {
				defer limit.Release(1)
				if why := r.why(); why != "" {
					r.prepared[host] <- notBegun(host, why)
					return
				}
				r.prepared[host] <- r.steps.Prepare(ctx, host)
			})
		}
	}
	wg.Wait()
}

func (r *run) wave(ctx context.Context, wave []string) []plans.HostResult {
	limit := semaphore.NewWeighted(int64(max(r.opts.MaxUnavailable, 1)))
	results := make([]plans.HostResult, len(wave))
	var wg sync.WaitGroup
	for i, host := range wave {
		wg.Go(func() {
			if ended := <-r.prepared[host]; ended != nil {
				results[i] = *ended
				r.note(*ended)
				return
			}
			// The limit outlives a cancel: a host in hand must be brought to an end.
			if err := limit.Acquire(context.WithoutCancel(ctx), 1); err != nil {
				results[i] = *notBegun(host, err.Error())
				return
			}
			defer limit.Release(1)
			if why := r.why(); why != "" {
				results[i] = *notBegun(host, why)
				return
			}
			results[i] = r.steps.Switch(ctx, host)
			r.note(results[i])
		})
	}
	wg.Wait()
	return results
}

// note stops the rollout when a result is not a good one, unless the policy
// says to go on.
func (r *run) note(result plans.HostResult) {
	if r.opts.OnFailure == fleet.Continue {
		return
	}
	switch result.Outcome {
	case fleet.RolledBack, fleet.Failed, fleet.Degraded, fleet.NotBootable, fleet.Unknown:
		r.stop(fmt.Sprintf("%s ended as %s", result.Host, result.Outcome))
	case fleet.Unchanged, fleet.Deployed, fleet.Staged, fleet.HeldBack, fleet.Skipped:
	}
}

func (r *run) stop(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped == "" {
		r.stopped = why
	}
}

// why tells why no further host may begin, "" while they may.
func (r *run) why() string {
	select {
	case <-r.opts.Draining:
		r.stop("the deploy was interrupted")
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stopped
}

// notBegun is the result of a host that nothing was done to.
func notBegun(host, why string) *plans.HostResult {
	return &plans.HostResult{Host: host, Outcome: fleet.Failed, NotBegun: true, Reason: "not begun: " + why}
}
