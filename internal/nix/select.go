package nix

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Select evaluates the hosts that on picks. Each host's failure is in its
// evaluation; the error is about the hive as a whole. A host of which not even
// the tags could be read is in the result if on may mean it. A name that the
// hive does not have is no error.
func (e *Evaluator) Select(ctx context.Context, s Source, on fleet.Selector, sink progress.Sink) (map[string]plans.Evaluation, error) {
	if !on.ByTag() {
		return e.selectByName(ctx, s, on, sink)
	}
	hosts, err := e.Hosts(ctx, s)
	failed, rest := ByHost(err)
	maps.DeleteFunc(hosts, func(name string, d plans.Deployment) bool { return !on.Match(name, d.Tags) })
	result := e.Evaluate(ctx, s, slices.Sorted(maps.Keys(hosts)), sink)
	addFailed(result, on, failed)
	return result, rest
}

func addFailed(result map[string]plans.Evaluation, on fleet.Selector, failed map[string]*problem.Problem) {
	for host, p := range failed {
		if on.MayMatch(host) {
			result[host] = plans.Evaluation{Err: p}
		}
	}
}

// selectByName needs nothing of the hosts but their names: the settings of
// those that it evaluates come with their systems.
func (e *Evaluator) selectByName(ctx context.Context, s Source, on fleet.Selector, sink progress.Sink) (map[string]plans.Evaluation, error) {
	o, err := e.open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer o.close()
	m := e.remember(ctx, o)
	o.keeps = m != nil
	e.turn.Lock()
	names, only, err := e.names(ctx, o, m)
	failed, rest := ByHost(err)
	names = slices.DeleteFunc(names, func(name string) bool { return !on.Match(name, nil) })
	result := make(map[string]plans.Evaluation, len(names))
	e.each(ctx, o, m, names, only, sink, func(host string, one plans.Evaluation) { result[host] = one })
	addFailed(result, on, failed)
	return result, rest
}

// namesKey is no host's name.
const namesKey = "names of the hosts"

// begun is the evaluation of a host that took place already.
type begun struct {
	out output
	err error
}

// names gives the names of the hive's hosts, sorted. If there is but one host,
// the same process goes on with it: one more would cost half as much again.
// Hosts that cannot be because of their names are missing and named by the error.
func (e *Evaluator) names(ctx context.Context, o *opened, m *memory) (names []string, only *begun, err error) {
	known := m.find(namesKey, func(digest string) bool {
		text, ok := m.vault.result(digest)
		return ok && json.Unmarshal(text, &names) == nil
	})
	if known && !e.opts.Cache.Verify {
		return names, nil, nil
	}
	if err := e.ready(ctx, o, m); err != nil {
		return nil, nil, o.explain("", err)
	}
	var list struct {
		Names    []string        `json:"names"`
		Misnamed map[string]own  `json:"misnamed"`
		Only     json.RawMessage `json:"only"`
	}
	out, err := e.eval(ctx, o, "start", "")
	began := begun{out, err}
	if err != nil && ctx.Err() == nil {
		out, err = e.eval(ctx, o, "names", "")
	}
	if err != nil && ctx.Err() == nil {
		if stored := e.withStore(ctx, o); stored != nil {
			m = nil // does not know that store
			out, err = e.eval(ctx, stored, "names", "")
		}
	}
	if err != nil {
		return nil, nil, o.explain("", err)
	}
	if err := json.Unmarshal(out.json, &list); err != nil {
		return nil, nil, fmt.Errorf("names of the hive's hosts: %w", err)
	}
	slices.Sort(list.Names)
	if len(list.Misnamed) > 0 {
		return list.Names, nil, joinHosts(o.misnamed(list.Misnamed))
	}
	if known && !slices.Equal(names, list.Names) {
		return nil, nil, differs("the hive", map[string]any{"names": names}, map[string]any{"names": list.Names})
	}
	m.keep(namesKey, out, nil, storepath.Path{}, list.Names)
	if len(list.Names) == 1 {
		began.out.json = list.Only
		only = &began
	}
	return list.Names, only, nil
}
