package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// lookers is how many hosts are looked at together.
const lookers = 16

// Status looks at the selected hosts. A host that cannot be reached is part of
// the answer, not an error.
func (f *Flow) Status(ctx context.Context, on fleet.Selector) ([]plans.HostStatus, error) {
	v, done, err := f.view(ctx, on)
	if err != nil {
		return nil, err
	}
	defer done()
	names := slices.Sorted(maps.Keys(v.hosts))
	status := make([]plans.HostStatus, len(names))
	var group errgroup.Group
	group.SetLimit(lookers)
	for i, name := range names {
		group.Go(func() error {
			status[i] = v.status(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // each host's error is in its own line
	return status, nil
}

func (v *view) status(ctx context.Context, name string) plans.HostStatus {
	s := plans.HostStatus{Host: name}
	host, address, err := v.host(name)
	if err != nil {
		s.Problem = oneLine(err)
		return s
	}
	s.Address = address
	state, err := host.Look(ctx)
	if err != nil {
		s.Problem = oneLine(err)
		return s
	}
	s.Reachable = true
	s.Running, s.BootDefault, s.Generation = state.Running, state.BootDefault, state.Generation
	s.Hold, s.FailedUnits, s.LockedBy = state.Hold, state.FailedUnits, state.LockedBy
	if state.Unfinished != nil {
		s.Drift = append(s.Drift, fmt.Sprintf("Deployment %s was not ended (%s); the next deploy settles it.", state.Unfinished.ID, state.Unfinished.State))
	}
	if state.Running != state.Profile || state.Running != state.BootDefault && !state.BootDefault.IsZero() {
		s.Drift = append(s.Drift, "It runs another system than it would boot.")
	}
	confirmed, err := host.Confirmed(ctx)
	if err != nil {
		s.Problem = oneLine(err)
		return s
	}
	i := slices.IndexFunc(confirmed, func(r fleet.Record) bool { return r.System == state.Running })
	if i >= 0 {
		s.Commit, s.DeployedAt = confirmed[i].Commit, confirmed[i].At
	} else if len(confirmed) > 0 {
		s.Drift = append(s.Drift, "It runs a system that no record names.")
	}
	// A later commit that leaves the host as it is writes no record on it, only
	// the labels.
	if p := v.account.Servers[name].Published; p.SystemHash == state.Running.Hash() && p.Commit != "" {
		s.Commit = p.Commit
	}
	s.Pending = s.Commit != v.tree.Revision.Commit
	return s
}

// History gives the newest n records of each selected host.
func (f *Flow) History(ctx context.Context, on fleet.Selector, n int) ([]plans.HostHistory, error) {
	v, done, err := f.view(ctx, on)
	if err != nil {
		return nil, err
	}
	defer done()
	var history []plans.HostHistory
	for _, name := range slices.Sorted(maps.Keys(v.hosts)) {
		h := plans.HostHistory{Host: name}
		host, _, err := v.host(name)
		if err == nil {
			h.Records, err = host.Records(ctx, n)
		}
		if err != nil {
			h.Problem = oneLine(err)
		}
		history = append(history, h)
	}
	return history, nil
}
