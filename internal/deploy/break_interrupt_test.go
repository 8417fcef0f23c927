package deploy

import (
	"context"
	"sync"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// atEvent calls what is to happen at the n-th event.
type atEvent struct {
	mu   sync.Mutex
	left int
	then func()
}

func (a *atEvent) Event(progress.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left--; a.left == 0 {
		a.then()
	}
}

func (a *atEvent) Close() error { return nil }

// A plan that was interrupted is none: hosts that were not evaluated any more are
// not hosts that go.
func TestInterruptedPlanIsNone(t *testing.T) {
	r := newRig(t, true)
	merge := r.pullRequest(map[string]string{"hive.nix": hive(motd, motd)})
	for at := 1; ; at++ {
		ctx, cancel := context.WithCancel(t.Context())
		sink := &atEvent{left: at, then: cancel}
		flow := *r.flow
		flow.Sink = sink
		plan, err := flow.Plan(ctx, PlanOptions{Head: merge, Untrusted: true})
		cancelled := ctx.Err() != nil
		cancel()
		if !cancelled {
			if at < 3 || err != nil || len(plan.This.Hosts) != 2 {
				t.Errorf("%d events, %v, %+v", at, err, plan.This.Hosts)
			}
			return
		}
		if problem.CodeOf(err) != problem.Cancelled || len(plan.This.Hosts) != 0 || plan.Version == plans.Version {
			t.Errorf("interrupted at event %d: %v, %+v", at, err, plan.This.Hosts)
		}
	}
}
