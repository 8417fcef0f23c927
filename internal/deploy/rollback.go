package deploy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

// RollbackOptions say what to go back to.
type RollbackOptions struct {
	On     fleet.Selector
	To     string // "previous", a generation number, or a commit (prefix of at least 7 characters)
	Reason string
	DryRun bool
	// LockTimeout is how long to wait for a fleet's lock that another run holds.
	LockTimeout time.Duration
	Approve     func(map[string]fleet.Record) error // asked once, host → what it would go back to
	Draining    <-chan struct{}
}

// Rollback takes hosts back to an older confirmed system, by the same way as a
// deploy, and holds them there until they are released. It needs no
// evaluation of systems and no build.
func (f *Flow) Rollback(ctx context.Context, opts RollbackOptions) (plans.Result, error) {
	result := plans.Result{Version: plans.Version, Command: "rollback", Started: f.now().UTC(), By: f.By, Reason: opts.Reason, DryRun: opts.DryRun}
	err := f.rollback(ctx, opts, &result)
	f.conclude(&result, err, opts.Draining)
	return result, err
}

func (f *Flow) rollback(ctx context.Context, opts RollbackOptions, result *plans.Result) error {
	if opts.DryRun {
		v, done, err := f.view(ctx, opts.On)
		if err != nil {
			return err
		}
		defer done()
		return v.rollback(ctx, opts, result)
	}
	var nobody *hold
	early, stop := nobody.until(ctx, opts.Draining)
	defer stop()
	begun := false
	err := f.lockedView(early, opts.On, opts.LockTimeout, func(v *view) error {
		begun = true
		return v.rollback(ctx, opts, result)
	})
	if !begun {
		return interrupted(early, err)
	}
	return err
}

func (v *view) rollback(ctx context.Context, opts RollbackOptions, result *plans.Result) error {
	result.Fleet, result.Revision = v.tree.Fleet.Name, v.tree.Revision
	targets := map[string]fleet.Record{}
	failed := map[string]error{}
	var once []plans.HostResult
	for _, name := range slices.Sorted(maps.Keys(v.hosts)) {
		record, err := v.rollbackTarget(ctx, name, opts.To)
		if err != nil {
			failed[name] = err
			continue
		}
		if beforeFirst(record, opts) {
			once = append(once, plans.HostResult{
				Host: name, Outcome: fleet.Skipped,
				Reason: "only one deployment was ever confirmed; name the host itself to go back to what ran before",
			})
			continue
		}
		targets[name] = record
	}
	left, err := leftOut(failed, len(targets)+len(once))
	if err != nil {
		return err
	}
	left = append(left, once...)
	for _, host := range left {
		progress.For(v.flow.Sink, host.Host).Note(progress.Look, "is left out: "+host.Reason)
	}
	if opts.Approve != nil {
		if err := opts.Approve(targets); err != nil {
			return err
		}
	}
	defer func() { result.Hosts = append(result.Hosts, left...) }()
	if opts.DryRun {
		for _, name := range slices.Sorted(maps.Keys(targets)) {
			r := targets[name]
			result.Hosts = append(result.Hosts, plans.HostResult{
				Host: name, Outcome: fleet.Unchanged, Wanted: r.System, Commit: r.Commit,
				Reason: fmt.Sprintf("dry run: would go back to commit %.12s", r.Commit),
			})
		}
		return nil
	}
	tags := map[string][]string{}
	for host, d := range v.hosts {
		tags[host] = d.Tags
	}
	policy := v.tree.Fleet.Rollout
	early, stop := v.lock.until(ctx, opts.Draining)
	defer stop()
	if v.client == nil {
		v.held, err = v.flow.holdHosts(early, slices.Collect(maps.Keys(targets)), opts.LockTimeout, func(name string) (*generation.Host, error) {
			host, _, err := v.host(name)
			return host, err
		})
		if err != nil {
			return interrupted(early, err)
		}
		defer v.held.free(ctx, v.flow)
	}
	result.Hosts = rollout.Run(ctx, rollout.Waves(policy.Waves, tags), v.flow.tellingEnds(v.flow.leaving(early, v.lock, rollout.Steps{
		Prepare: func(context.Context, string) *plans.HostResult { return nil },
		Switch: func(ctx context.Context, name string) plans.HostResult {
			return v.rollbackHost(ctx, name, targets[name], opts)
		},
	})), rollout.Options{MaxParallel: policy.MaxParallel, MaxUnavailable: policy.MaxUnavailable, OnFailure: policy.OnFailure,
		Draining: early.Done(),
	})
	return nil
}

// beforeFirst tells whether a rollback of many hosts would take one back to
// before its first deployment: to a bare image, which nobody who writes --all
// means.
func beforeFirst(target fleet.Record, opts RollbackOptions) bool {
	return target.Outcome == fleet.Unchanged && (opts.To == "" || opts.To == "previous") && opts.On.Rank() < 3
}

// leftOut gives the hosts that a rollback cannot reach: they must not keep the
// others where they are. It is refused as a whole when a host that answers has
// nothing to go back to, or none answers.
func leftOut(failed map[string]error, reachable int) ([]plans.HostResult, error) {
	var left []plans.HostResult
	var all, refused []error
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		err := failed[name]
		all = append(all, err)
		if problem.CodeOf(err) == problem.Refused {
			refused = append(refused, err)
			continue
		}
		left = append(left, plans.HostResult{Host: name, Outcome: fleet.Failed, Reason: oneLine(err)})
	}
	if reachable == 0 {
		return nil, joinProblems(all)
	}
	return left, joinProblems(refused)
}

// rollbackTarget picks the record of the system to go back to.
func (v *view) rollbackTarget(ctx context.Context, name, to string) (fleet.Record, error) {
	host, _, err := v.host(name)
	if err != nil {
		return fleet.Record{}, err
	}
	state, err := host.Look(ctx)
	if err != nil {
		return fleet.Record{}, err
	}
	confirmed, err := host.Confirmed(ctx)
	if err != nil {
		return fleet.Record{}, err
	}
	record, err := generation.Target(confirmed, state.Running, to)
	if err != nil {
		return fleet.Record{}, &problem.Problem{
			Summary: fmt.Sprintf("%s cannot go back to %s", name, to), Cause: err,
			Hints: []string{"flotilla history --on " + name + " shows what was deployed; only confirmed systems that are still in the host's store can be gone back to."},
		}
	}
	return record, nil
}

func (v *view) rollbackHost(ctx context.Context, name string, to fleet.Record, opts RollbackOptions) (result plans.HostResult) {
	started := time.Now()
	fail := func(err error) plans.HostResult {
		result := plans.HostResult{Host: name, Outcome: fleet.Failed, Wanted: to.System, Reason: oneLine(err), Duration: time.Since(started)}
		if problem.CodeOf(err) == problem.Refused {
			result.Outcome = fleet.HeldBack
		}
		return result
	}
	host, address, err := v.host(name)
	if err != nil {
		return fail(err)
	}
	held, ok := v.held.take(name)
	if ok {
		host = held.host
	} else if held.unlock, held.waited, err = lock(ctx, host, name, v.flow, 0); err != nil {
		return fail(err)
	}
	a, waited := &hand{unlock: held.unlock}, held.waited
	defer func() {
		a.release(ctx, v.flow)
		result.Warnings = append(result.Warnings, a.result.Warnings...)
	}()
	told, err := host.Settle(ctx)
	if err != nil {
		return fail(fmt.Errorf("%w: %w", errUnsettled, err))
	}
	// Under the lock: another run may have changed the host since it was asked.
	if again, err := v.rollbackTarget(ctx, name, opts.To); err != nil || again.System != to.System {
		return fail(&problem.Problem{
			Summary: "what it runs changed after the rollback was approved", Cause: err,
			Hints: []string{"Run the rollback again."}, Code: problem.Refused,
		})
	}

	settings, err := v.tree.Fleet.HostSettings(name, v.hosts[name].Tags)
	if err != nil {
		return fail(err)
	}
	policy := v.tree.Fleet.Rollout
	reason := cmp.Or(opts.Reason, "rolled back by hand")
	hold := &fleet.Hold{By: v.flow.By, At: v.flow.now().UTC(), Reason: reason}
	result = host.Switch(ctx, generation.Request{
		ID: newID(v.flow.now(), to.Commit), New: to.System, Kind: fleet.RecordRollback,
		Commit: to.Commit, By: v.flow.By, Reason: reason,
		ActivationTimeout: policy.ActivationTimeout, ConfirmTimeout: confirmTimeout(policy, settings.Health),
		KeepGenerations: policy.KeepGenerations,
		// Somebody may have tried things by hand; a rollback is how they get out of it.
		AcceptRunning: true,
		Confirm:       confirm(address, settings.Health),
		Hold:          hold,
	})
	result.Settled, result.Duration, result.Commit = cmp.Or(told, waited), time.Since(started), to.Commit
	result.Held = result.Outcome == fleet.Deployed
	if err := v.flow.publish(ctx, v.client, v.account, name, func(p *fleet.Published) {
		switch {
		case result.Held:
			nowRuns(p, to.System.Hash(), to.Commit)
			nowHeld(p, hold)
		case putBack(result.Outcome):
			nowFailed(p, result, to.Commit, v.flow.now())
		}
	}); err != nil {
		result.Warnings = append(result.Warnings, "labels not written: "+oneLine(err))
	}
	return result
}

// Release lets deploys reach held hosts again.
func (f *Flow) Release(ctx context.Context, on fleet.Selector, lockTimeout time.Duration) (plans.Result, error) {
	result := plans.Result{Version: plans.Version, Command: "release", Started: f.now().UTC(), By: f.By}
	err := f.lockedView(ctx, on, lockTimeout, func(v *view) error {
		result.Fleet, result.Revision = v.tree.Fleet.Name, v.tree.Revision
		for _, name := range slices.Sorted(maps.Keys(v.hosts)) {
			if err := v.lock.check(); err != nil {
				return err
			}
			result.Hosts = append(result.Hosts, v.release(ctx, name))
		}
		return nil
	})
	f.conclude(&result, err, nil)
	return result, err
}

func (v *view) release(ctx context.Context, name string) plans.HostResult {
	result := plans.HostResult{Host: name, Outcome: fleet.Unchanged}
	host, _, err := v.host(name)
	if err == nil {
		var state fleet.HostState
		if state, err = host.Look(ctx); err == nil {
			result.Was, result.Runs, result.Boots, result.Generation = state.Running, state.Running, state.BootDefault, state.Generation
			result.Reason = "was not held"
			if state.Hold != nil {
				result.Reason = "released"
				err = host.Release(ctx)
			}
		}
	}
	if err == nil {
		err = v.flow.publish(ctx, v.client, v.account, name, func(p *fleet.Published) { nowHeld(p, nil) })
	}
	if err != nil {
		result.Outcome, result.Reason = fleet.Failed, oneLine(err)
	}
	return result
}
