package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/storepath"
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
		s.Problem = lasting(err)
		return s
	}
	s.Address = address
	state, err := host.Look(ctx)
	if err != nil {
		s.Problem = lasting(err)
		return s
	}
	s.Reachable = true
	s.Running, s.BootDefault, s.Generation = state.Running, state.BootDefault, state.Generation
	s.Hold, s.FailedUnits, s.LockedBy = state.Hold, state.FailedUnits, state.LockedBy
	confirmed, err := host.Confirmed(ctx)
	if err != nil {
		s.Problem = lasting(err)
		return s
	}
	published := v.account.Servers[name].Published
	if i := slices.IndexFunc(confirmed, func(r fleet.Record) bool { return r.System == state.Running }); i >= 0 {
		s.Commit, s.DeployedAt = confirmed[i].Commit, confirmed[i].At
	}
	s.Drift = driftOf(state, confirmed, published)
	// A later commit that leaves the host as it is writes no record on it, only
	// the labels.
	if published.SystemHash == state.Running.Hash() && published.Commit != "" {
		s.Commit = published.Commit
	}
	s.Pending = s.Commit != v.tree.Revision.Commit
	return s
}

// driftOf says what of a host no record of ours names: its own records, and
// the label that the last deploy left on its server. A host that nothing was
// deployed to has no records, and is as it was made.
func driftOf(state fleet.HostState, confirmed []fleet.Record, published fleet.Published) []string {
	var drift []string
	if state.Unfinished != nil && state.LockedBy == "" { // else somebody is at it
		drift = append(drift, fmt.Sprintf("Deployment %s was not ended (%s); the next deploy settles it.", state.Unfinished.ID, state.Unfinished.State))
	}
	ours := func(system storepath.Path) bool {
		return system.Hash() == published.SystemHash || slices.ContainsFunc(confirmed, func(r fleet.Record) bool { return r.System == system })
	}
	staged := state.Last != nil && state.Last.Outcome == fleet.Staged && state.Last.System == state.BootDefault
	deployed := len(confirmed) > 0 || published.SystemHash != ""
	if deployed && !ours(state.Running) {
		drift = append(drift, fmt.Sprintf("It runs a system that no record names: %s.", state.Running))
	}
	switch {
	case state.BootDefault.IsZero():
		if state.Running != state.Profile {
			drift = append(drift, "It runs another system than its profile names.")
		}
	case staged:
	case deployed && state.BootDefault != state.Running && !ours(state.BootDefault):
		drift = append(drift, fmt.Sprintf("It would boot a system that no record names: %s.", state.BootDefault))
	case state.Running != state.Profile || state.Running != state.BootDefault:
		drift = append(drift, "It runs another system than it would boot.")
	}
	if len(state.MissingKeys) > 0 {
		drift = append(drift, fmt.Sprintf("Deployment keys are gone, as after a reboot: %s. flotilla deploy --goal keys puts them back, and so does the next deploy.", strings.Join(state.MissingKeys, ", ")))
	}
	return drift
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
