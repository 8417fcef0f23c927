package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/closure"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/health"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

const (
	// lockTTL is how long a host's lock outlives its holder; a living one
	// renews it.
	lockTTL = time.Minute
	// cleanupTimeout bounds what is done after a cancel.
	cleanupTimeout = 30 * time.Second
	// reserve is what a push must leave free on /nix.
	reserve = 256 << 20
)

// hands holds what is in hand of each host between Prepare and Switch.
type hands struct {
	d      *deployment
	pusher *closure.Pusher

	mu   sync.Mutex
	open map[string]*hand
}

// hand is one host in hand.
type hand struct {
	name    string
	host    *generation.Host
	way     *way
	address string
	unlock  func(context.Context) error
	wanted  storepath.Path
	result  plans.HostResult
	started time.Time
}

func newHands(d *deployment) (*hands, error) {
	pusher, err := closure.NewPusher(closure.Local{}, closure.Options{Dir: d.work.dir})
	if err != nil {
		return nil, err
	}
	return &hands{d: d, pusher: pusher, open: map[string]*hand{}}, nil
}

// close frees what was prepared and never switched.
func (h *hands) close(ctx context.Context) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var freeing sync.WaitGroup
	for _, hand := range h.open {
		freeing.Go(func() { hand.release(ctx, h.d.flow) })
	}
	freeing.Wait()
	// A push that was left behind has a hold of it.
	_ = soon(ctx, h.d.flow.CancelGrace, h.pusher.Close, func() error { return nil })
}

// prepare connects, settles what an earlier run left, looks, locks and pushes.
// A result ends the host's way.
func (h *hands) prepare(ctx context.Context, name string) *plans.HostResult {
	a := &hand{name: name, started: time.Now(), wanted: h.d.systems[name].OutPath}
	a.result = plans.HostResult{Host: name, Wanted: a.wanted}
	ended, err := h.ready(ctx, a)
	if err != nil {
		a.result.Outcome = fleet.Failed
		if errors.Is(err, errUnsettled) {
			a.result.Outcome = fleet.Unknown
		}
		if problem.CodeOf(err) == problem.Refused {
			a.result.Outcome = fleet.HeldBack
		}
		a.result.Reason = oneLine(err)
		ended = true
	}
	if !ended {
		h.mu.Lock()
		h.open[name] = a
		h.mu.Unlock()
		return nil
	}
	a.release(ctx, h.d.flow)
	a.result.Duration = time.Since(a.started)
	return &a.result
}

// errUnsettled marks a host of which it is not known what it runs.
var errUnsettled = errors.New("what an earlier deploy left could not be settled")

// ready does the steps before the guard. It tells whether the host's way ends
// here, with a.result filled.
func (h *hands) ready(ctx context.Context, a *hand) (ended bool, err error) {
	deployment := h.d.hosts[a.name]
	target, err := h.d.targets.of(a.name, deployment)
	if err != nil {
		return false, err
	}
	a.way, a.address = h.d.way(a.name, target), target.Address
	if way, ok := h.d.ways[a.name]; ok {
		a.way = way // it may know by now where the host answers
	}
	a.host = generation.New(a.name, a.way.dial, h.d.flow.Sink)

	// The lock comes first: what another run has in hand must not be settled
	// under it.
	var waited string
	if held, ok := h.d.held.take(a.name); ok {
		a.host, a.unlock, waited = held.host, held.unlock, held.waited
	} else if a.unlock, waited, err = lock(ctx, a.host, a.name, h.d.flow, 0); err != nil {
		return false, err
	}
	told, err := a.host.Settle(ctx)
	a.result.Settled = cmp.Or(told, waited)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errUnsettled, err)
	}
	state, err := a.host.Look(ctx)
	if err != nil {
		return false, err
	}
	a.result.Was, a.result.Runs, a.result.Boots, a.result.Generation = state.Running, state.Running, state.BootDefault, state.Generation
	switch {
	case !state.NixOS:
		return false, &problem.Problem{
			Summary: a.name + " is not a NixOS host",
			Hints:   []string{"Create its server from an image that is already NixOS."},
		}
	case state.Hold != nil:
		h.tell(ctx, a, func(p *fleet.Published) { nowHeld(p, state.Hold) })
		a.result.Outcome = fleet.HeldBack
		a.result.Reason = fmt.Sprintf("held by %s since %s: %s", state.Hold.By, state.Hold.At.UTC().Format(time.DateTime), state.Hold.Reason)
		return true, nil
	case h.d.heldAtReview(a.name) && !h.d.opts.Confirm:
		a.result.Outcome = fleet.HeldBack
		a.result.Reason = "its server's label said that it is held when changes were held against their reviews; deploy again"
		return true, nil
	case h.d.opts.Goal == GoalKeys:
		a.result.Wanted, a.result.Outcome = state.Running, fleet.Unchanged
		return true, h.putKeys(ctx, a)
	case state.Running == a.wanted && state.Profile == a.wanted && (state.BootDefault == a.wanted || state.BootDefault.IsZero()):
		// A reboot, or the source of a key, may have changed them.
		if err := h.putKeys(ctx, a); err != nil {
			return false, err
		}
		a.result.Outcome = fleet.Unchanged
		h.publish(ctx, a)
		return true, nil
	case h.d.opts.Plan != nil && !shownHost(*h.d.opts.Plan, a.name):
		a.result.Outcome = fleet.HeldBack
		a.result.Reason = "the plan does not show that its system changes; it runs another one than the plan was made with"
		return true, nil
	case slices.Contains(state.FailedSystems, a.wanted) && !h.d.opts.RetryBad:
		a.result.Outcome = fleet.HeldBack
		a.result.Reason = "this very system was put back before; --retry-bad tries it again"
		return true, nil
	}
	return false, h.push(ctx, a, state)
}

// push copies the closure, after a look at the free space.
func (h *hands) push(ctx context.Context, a *hand, state fleet.HostState) error {
	report := progress.For(h.d.flow.Sink, a.name)
	return report.Do(progress.Push, func() error {
		conn, err := a.way.connect(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		s := a.way.session(conn)
		transfer, err := h.pusher.Plan(ctx, s, a.wanted)
		if err != nil {
			return err
		}
		defer transfer.Close()
		report.Note(progress.Push, room(transfer, state))
		if need := transfer.NAR + reserve; state.FreeNix > 0 && need > state.FreeNix {
			return &problem.Problem{
				Summary: fmt.Sprintf("not enough space on /nix of %s: %d MB are needed, %d MB are free", a.name, need>>20, state.FreeNix>>20),
				Hints:   []string{"Free some with nix-collect-garbage on the host."},
			}
		}
		pushed, err := transfer.Send(ctx, func(ctx context.Context) error { return a.host.Root(ctx, a.wanted) },
			func(donePaths, totalPaths int, _, _ int64) {
				report.Count(progress.Push, int64(donePaths), int64(totalPaths), "paths")
			})
		a.result.Pushed = pushed
		return err
	})
}

// switchTo activates, confirms and commits, or puts the host back.
func (h *hands) switchTo(ctx context.Context, name string) plans.HostResult {
	h.mu.Lock()
	a := h.open[name]
	delete(h.open, name)
	h.mu.Unlock()
	h.activate(ctx, a)
	a.release(ctx, h.d.flow)
	return a.result
}

func (h *hands) activate(ctx context.Context, a *hand) {
	settings, err := h.d.tree.Fleet.HostSettings(a.name, h.d.hosts[a.name].Tags)
	if err != nil {
		a.result.Outcome, a.result.Reason = fleet.Failed, oneLine(err)
		return
	}
	policy := h.d.tree.Fleet.Rollout
	switched := a.host.Switch(ctx, generation.Request{
		ID:                newID(h.d.flow.now(), h.d.tree.Revision.Commit),
		New:               a.wanted,
		Kind:              fleet.RecordDeploy,
		Commit:            h.d.tree.Revision.Commit,
		By:                h.d.flow.By,
		ActivationTimeout: policy.ActivationTimeout,
		ConfirmTimeout:    confirmTimeout(policy, settings.Health),
		KeepGenerations:   policy.KeepGenerations,
		AcceptRunning:     h.d.opts.AcceptRunning,
		Keys:              h.d.keys[a.name],
		Dial:              a.way.proof(),
		Confirm:           confirm(a.address, settings.Health),
	})
	switched.Settled, switched.Pushed = a.result.Settled, a.result.Pushed
	switched.Warnings = append(a.result.Warnings, switched.Warnings...)
	switched.Duration = time.Since(a.started)
	a.result = switched
	switch {
	case switched.Outcome == fleet.Deployed:
		h.publish(ctx, a)
	case putBack(switched.Outcome):
		h.tell(ctx, a, func(p *fleet.Published) { nowFailed(p, switched, h.d.tree.Revision.Commit, h.d.flow.now()) })
	}
}

// publish tells that the host runs what it should.
func (h *hands) publish(ctx context.Context, a *hand) {
	h.tell(ctx, a, func(p *fleet.Published) {
		nowRuns(p, a.wanted.Hash(), h.d.tree.Revision.Commit)
		nowHeld(p, nil)
	})
}

// tell writes what is known of the host to its server's labels. A failure is a
// warning: the host is what it is.
func (h *hands) tell(ctx context.Context, a *hand, change func(*fleet.Published)) {
	if err := h.d.flow.publish(ctx, h.d.client, h.d.account, a.name, change); err != nil {
		a.result.Warnings = append(a.result.Warnings, "labels not written: "+oneLine(err))
	}
}

// release frees the host's lock, also after a cancel.
func (a *hand) release(ctx context.Context, f *Flow) {
	if a.unlock == nil {
		return
	}
	ctx, cancel := f.afterwards(ctx)
	defer cancel()
	if err := a.unlock(ctx); err != nil {
		a.result.Warnings = append(a.result.Warnings, "the host's lock was not freed: "+oneLine(err))
	}
	a.unlock = nil
}

// confirm runs the host's health checks.
func confirm(address string, checks []fleet.Check) func(context.Context, generation.Session) ([]plans.CheckResult, error) {
	return func(ctx context.Context, s generation.Session) ([]plans.CheckResult, error) {
		return health.Wait(ctx, checks, health.Target{Address: address, Session: s}, func(plans.CheckResult) {})
	}
}

// confirmTimeout gives the longest check its time (they run side by side) and
// the logins and looks around it theirs.
func confirmTimeout(policy fleet.Rollout, checks []fleet.Check) time.Duration {
	var longest time.Duration
	for _, c := range checks {
		longest = max(longest, c.Within)
	}
	return policy.ConfirmTimeout + longest
}
