package deploy

import (
	"context"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

func TestTopology(t *testing.T) {
	canary, err := fleet.ParseSelector("@canary")
	if err != nil {
		t.Fatal(err)
	}
	declared := fleet.Fleet{
		Networks: map[string]fleet.Network{"private": {IPRange: "10.0.0.0/16"}, "existing": {Existing: true}},
		Servers: map[string]fleet.Server{
			"web":  {ServerType: "cx22", Locations: []string{"nbg1", "fsn1"}, Networks: map[string]fleet.Attachment{"private": {}, "existing": {}}},
			"mail": {ServerType: "cx22"},
		},
		LoadBalancers: map[string]fleet.LoadBalancer{"front": {
			Networks: map[string]fleet.Attachment{"private": {}},
			Targets:  []fleet.LoadBalancerTarget{{Server: "web"}, {LabelSelector: "role=web"}, {IP: "203.0.113.1"}},
		}},
		Rollout: fleet.Rollout{Waves: []fleet.Selector{canary}},
	}
	got := topology(declared, map[string][]string{"web": {"canary"}, "laptop": nil})
	want := &plans.Topology{
		Networks: []plans.TopologyNetwork{{Name: "existing"}, {Name: "private", IPRange: "10.0.0.0/16"}},
		Machines: []plans.TopologyMachine{
			{Name: "laptop", Host: true, Wave: 2},
			{Name: "mail", Server: true, ServerType: "cx22"},
			{Name: "web", Server: true, Host: true, ServerType: "cx22", Location: "nbg1", Networks: []string{"existing", "private"}, Wave: 1},
		},
		Balancers: []plans.TopologyBalancer{{Name: "front", Networks: []string{"private"}, Targets: []string{"web"}}},
		Waves:     []string{"@canary"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestEndsAreTold wants one event when a host's way ends, wherever it does.
func TestEndsAreTold(t *testing.T) {
	var mu sync.Mutex
	told := map[string]string{}
	f := &Flow{Sink: progress.Func(func(e progress.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == progress.Ended {
			told[e.Host] += e.Text
		}
	})}
	steps := f.tellingEnds(rollout.Steps{
		Prepare: func(_ context.Context, host string) *plans.HostResult {
			if host == "held" {
				return &plans.HostResult{Host: host, Outcome: fleet.HeldBack, Reason: "by anna"}
			}
			return nil
		},
		Switch: func(_ context.Context, host string) plans.HostResult {
			return plans.HostResult{Host: host, Outcome: fleet.Deployed}
		},
	})
	rollout.Run(t.Context(), [][]string{{"held", "web"}}, steps, rollout.Options{MaxParallel: 2, MaxUnavailable: 1})
	if d := cmp.Diff(map[string]string{"held": "held: by anna", "web": "deployed"}, told); d != "" {
		t.Error(d)
	}
}
