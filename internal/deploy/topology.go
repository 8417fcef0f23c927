package deploy

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

// topology describes a fleet for a picture of it. hosts are the names and tags
// of its hosts.
func topology(f fleet.Fleet, hosts map[string][]string) *plans.Topology {
	t := &plans.Topology{
		Networks: []plans.TopologyNetwork{}, Machines: []plans.TopologyMachine{},
		Balancers: []plans.TopologyBalancer{}, Waves: []string{},
	}
	for _, w := range f.Rollout.Waves {
		t.Waves = append(t.Waves, w.String())
	}
	for name, n := range f.Networks {
		t.Networks = append(t.Networks, plans.TopologyNetwork{Name: name, IPRange: n.IPRange})
	}
	for name, b := range f.LoadBalancers {
		balancer := plans.TopologyBalancer{Name: name, Networks: slices.Sorted(maps.Keys(b.Networks))}
		for _, target := range b.Targets { // which servers a label selects is not known before they exist
			if target.Server != "" {
				balancer.Targets = append(balancer.Targets, target.Server)
			}
		}
		slices.Sort(balancer.Targets)
		t.Balancers = append(t.Balancers, balancer)
	}
	machines := map[string]plans.TopologyMachine{}
	for name, s := range f.Servers {
		m := plans.TopologyMachine{Name: name, Server: true, ServerType: s.ServerType, Networks: slices.Sorted(maps.Keys(s.Networks))}
		if len(s.Locations) > 0 {
			m.Location = s.Locations[0]
		}
		machines[name] = m
	}
	for name, tags := range hosts {
		m := machines[name]
		m.Name, m.Host = name, true
		m.Wave = 1 + waveOf(f.Rollout.Waves, name, tags)
		machines[name] = m
	}
	t.Machines = append(t.Machines, slices.Collect(maps.Values(machines))...)
	slices.SortFunc(t.Networks, func(a, b plans.TopologyNetwork) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(t.Machines, func(a, b plans.TopologyMachine) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(t.Balancers, func(a, b plans.TopologyBalancer) int { return cmp.Compare(a.Name, b.Name) })
	return t
}

// waveOf counts from 0; hosts that no selector matches come last.
func waveOf(waves []fleet.Selector, host string, tags []string) int {
	if i := slices.IndexFunc(waves, func(s fleet.Selector) bool { return s.Match(host, tags) }); i >= 0 {
		return i
	}
	return len(waves)
}

// tellingEnds lets each host's way end with an event.
func (f *Flow) tellingEnds(steps rollout.Steps) rollout.Steps {
	tell := func(r plans.HostResult) {
		text := string(r.Outcome)
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		progress.For(f.Sink, r.Host).Ended(progress.Verify, text)
	}
	return rollout.Steps{
		Prepare: func(ctx context.Context, host string) *plans.HostResult {
			r := steps.Prepare(ctx, host)
			if r != nil {
				tell(*r)
			}
			return r
		},
		Switch: func(ctx context.Context, host string) plans.HostResult {
			r := steps.Switch(ctx, host)
			tell(r)
			return r
		},
	}
}
