package deploy

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// evaluations are those of one plan. Base, head and deployed revisions are
// often the same commit with the same facts: that is evaluated once.
type evaluations struct {
	flow      *Flow
	evaluator *nix.Evaluator
	mu        sync.Mutex
	trees     map[string]*evaluatedTree
}

// evaluatedTree is what is known of one commit with certain facts.
type evaluatedTree struct {
	mu sync.Mutex // held by whoever finds out more

	listed      bool // deployments and problem are known
	deployments map[string]plans.Deployment
	problem     error

	on       string // what selected and hive are about
	selected map[string]plans.Evaluation
	hive     error

	hosts map[string]plans.Evaluation
}

func (f *Flow) evaluations(bounds fleet.Evaluation) *evaluations {
	return &evaluations{flow: f, evaluator: f.evaluator(bounds, ""), trees: map[string]*evaluatedTree{}}
}

// of gives what is known of a source, and keeps what will be.
func (e *evaluations) of(t tree, facts fleet.Facts) *evaluatedTree {
	text, err := json.Marshal(facts)
	if err != nil || t.Revision.Commit == "" {
		return &evaluatedTree{hosts: map[string]plans.Evaluation{}} // a work tree may change
	}
	key := t.Revision.Commit + string(text)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.trees[key] == nil {
		e.trees[key] = &evaluatedTree{hosts: map[string]plans.Evaluation{}}
	}
	return e.trees[key]
}

// hosts evaluates named hosts of a tree, restricted.
func (e *evaluations) hosts(ctx context.Context, t tree, facts fleet.Facts, names []string) map[string]plans.Evaluation {
	known := e.of(t, facts)
	known.mu.Lock()
	defer known.mu.Unlock()
	fresh := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := known.hosts[name]; return ok })
	if len(fresh) > 0 {
		for name, result := range e.evaluator.Evaluate(ctx, t.source(facts, false), fresh, e.flow.Sink) {
			if result.Err != nil {
				_ = relativeTo(result.Err, t.Root)
			}
			known.hosts[name] = result
		}
	}
	return only(known.hosts, names)
}

// selected evaluates the hosts of a tree that on picks. Each host's failure is
// in its evaluation; the error is about the hive as a whole. A host of which
// not even the tags could be read is in the result if on may mean it. A name
// that this revision does not have is no error: the other one may have it.
func (e *evaluations) selected(ctx context.Context, t tree, source nix.Source, on fleet.Selector) (map[string]plans.Evaluation, error) {
	known := e.of(t, source.Facts)
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.selected == nil || known.on != on.String() {
		known.on = on.String()
		known.selected, known.hive = e.evaluator.Select(ctx, source, on, e.flow.Sink)
		for name, result := range known.selected {
			if result.Err != nil {
				_ = relativeTo(result.Err, t.Root)
			}
			known.hosts[name] = result
		}
	}
	result := maps.Clone(known.selected)
	if known.hive != nil {
		return result, relativeTo(known.hive, t.Root)
	}
	return result, nil
}

func only(all map[string]plans.Evaluation, hosts []string) map[string]plans.Evaluation {
	some := map[string]plans.Evaluation{}
	for _, host := range hosts {
		some[host] = all[host]
	}
	return some
}
