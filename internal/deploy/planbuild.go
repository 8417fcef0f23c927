package deploy

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/closure"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/remote"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// checkBuild refuses to build what nobody has merged.
func checkBuild(opts PlanOptions) error {
	if !opts.Build || !opts.untrusted() {
		return nil
	}
	return &problem.Problem{
		Summary: "a change that nobody merged is not built: building runs its code",
		Hints:   []string{"Leave out --build for pull requests; on a laptop look at the change first, then: flotilla plan --build"},
		Code:    problem.Refused,
	}
}

// build builds the systems of the changed hosts and adds to the plan how large
// they are, what of them each host that answers lacks, and whether it has room.
func (p *planning) build(ctx context.Context, plan *plans.Plan) {
	if !p.opts.Build {
		return
	}
	m := measuring{planning: p, ctx: ctx, plan: plan, sizes: map[storepath.Path]int64{}}
	built := m.systems()
	if len(built) == 0 {
		return
	}
	targets, err := p.flow.targets(ctx, p.head.Fleet, p.seen.account)
	if err != nil {
		m.warn("hosts", "They were not asked what they lack: "+oneLine(err))
	}
	pusher, err := closure.NewPusher(closure.Local{}, closure.Options{Dir: p.work.dir})
	if err != nil {
		m.warn("hosts", oneLine(err))
		return
	}
	defer func() { _ = pusher.Close() }()
	m.targets, m.pusher = targets, pusher
	var group errgroup.Group
	group.SetLimit(lookers)
	for i := range plan.This.Hosts {
		h := &plan.This.Hosts[i]
		if system, ok := built[h.Name]; ok {
			group.Go(func() error {
				m.measure(h, system)
				return nil
			})
		}
	}
	_ = group.Wait() // what could not be found out is in the plan
}

// measuring fills in plans.Host.Closure.
type measuring struct {
	*planning
	ctx     context.Context //nolint:containedctx // that of one build
	plan    *plans.Plan
	targets *targets // nil: hosts are not asked
	pusher  *closure.Pusher

	mu    sync.Mutex
	sizes map[storepath.Path]int64 // in the store of this machine
}

func (m *measuring) warn(subject, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.plan.Warnings = append(m.plan.Warnings, plans.Gap{Subject: subject, Text: text})
}

// systems builds what the plan shows, evaluated once more so that Nix may.
func (m *measuring) systems() map[string]plans.System {
	shown := map[string]storepath.Path{}
	for _, h := range m.plan.This.Hosts {
		if h.Action != plans.Destroy && !h.AfterApply && !h.New.IsZero() {
			shown[h.Name] = h.New
		}
	}
	built := map[string]plans.System{}
	if len(shown) == 0 {
		return built
	}
	lacks := func(host string, err error) {
		m.plan.Missing, m.plan.Complete = append(m.plan.Missing, gap(host, relativeTo(err, m.head.Root))), false
	}
	evaluator := m.flow.evaluator(m.head.Fleet.Evaluation, filepath.Join(m.work.dir, "roots"))
	var systems []plans.System
	evaluations := evaluator.Evaluate(m.ctx, m.head.source(m.facts, true), slices.Sorted(maps.Keys(shown)), m.flow.Sink)
	for _, host := range slices.Sorted(maps.Keys(evaluations)) {
		switch e := evaluations[host]; {
		case e.Err != nil:
			lacks(host, e.Err)
		case e.System.OutPath != shown[host]:
			lacks(host, fmt.Errorf("to be built it evaluates to another system than the plan shows: %s", e.System.OutPath))
		default:
			systems = append(systems, e.System)
			built[host] = e.System
		}
	}
	failed := evaluator.Build(m.ctx, systems, m.flow.Sink)
	for _, host := range slices.Sorted(maps.Keys(failed)) {
		delete(built, host)
		lacks(host, failed[host])
	}
	return built
}

// measure fills in one host.
func (m *measuring) measure(h *plans.Host, system plans.System) {
	sizes := &plans.Closure{After: m.size(system.OutPath)}
	if !h.Old.IsZero() {
		sizes.Before = m.size(h.Old)
	}
	h.Closure = sizes
	if m.targets == nil || h.Action == plans.Create && m.notMade(h.Name) {
		return
	}
	if err := m.ask(h.Name, system, sizes); err != nil {
		m.warn(h.Name, "It was not asked what it lacks: "+oneLine(err))
		return
	}
	if need := sizes.Push + reserve; need > sizes.Free && sizes.Free > 0 {
		h.Notes = append(h.Notes, fmt.Sprintf("not enough space on /nix: %d MB are needed, %d MB are free; a deploy would refuse it", need>>20, sizes.Free>>20))
	}
}

// notMade tells whether a host's server is only declared.
func (m *measuring) notMade(host string) bool {
	_, declared := m.head.Fleet.Servers[host]
	_, exists := m.seen.account.Servers[host]
	return declared && !exists
}

// ask looks at a host: what it runs and lacks, and its room.
func (m *measuring) ask(host string, system plans.System, sizes *plans.Closure) error {
	target, err := m.targets.of(host, system.Deployment)
	if err != nil {
		return err
	}
	return progress.For(m.flow.Sink, host).Do(progress.Look, func() error {
		state, err := generation.New(host, dialer(target, system.Deployment), progress.Discard).Look(m.ctx)
		if err != nil {
			return err
		}
		conn, err := remote.Dial(m.ctx, target)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		s := &session{conn: conn, prefix: escalation(target.User, system.Deployment)}
		transfer, err := m.pusher.Plan(m.ctx, s, system.OutPath)
		if err != nil {
			return err
		}
		defer transfer.Close()
		sizes.Reached, sizes.Push, sizes.Free = true, transfer.NAR, state.FreeNix
		if before, err := closure.Size(m.ctx, s, state.Running); err == nil {
			sizes.Before = before // of what it runs, whatever was planned with
		}
		return nil
	})
}

// size gives the size of a closure in the store of this machine; 0 where it is
// not there.
func (m *measuring) size(system storepath.Path) int64 {
	m.mu.Lock()
	known, ok := m.sizes[system]
	m.mu.Unlock()
	if ok {
		return known
	}
	size, err := closure.Size(m.ctx, closure.Local{}, system)
	if err != nil {
		size = 0
	}
	m.mu.Lock()
	m.sizes[system] = size
	m.mu.Unlock()
	return size
}

// room says before a push how much it is and what the host has.
func room(transfer *closure.Transfer, state fleet.HostState) string {
	text := fmt.Sprintf("%d of %d paths to push, %d MB", transfer.Paths, transfer.Total, transfer.NAR>>20)
	if state.FreeNix > 0 {
		text += fmt.Sprintf("; %d MB free on /nix", state.FreeNix>>20)
	}
	return text
}
