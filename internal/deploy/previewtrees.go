package deploy

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// evaluations are those of one plan. Base, head and deployed revisions are
// often the same commit with the same facts: that is evaluated once.
type evaluations struct {
	flow      *Flow
	evaluator *nix.Evaluator
	trees     map[string]*evaluatedTree
}

// evaluatedTree is what is known of one commit with certain facts.
type evaluatedTree struct {
	listed      bool // deployments and problem are known
	deployments map[string]plans.Deployment
	problem     error
	hosts       map[string]plans.Evaluation
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
	if e.trees[key] == nil {
		e.trees[key] = &evaluatedTree{hosts: map[string]plans.Evaluation{}}
	}
	return e.trees[key]
}

// hosts evaluates named hosts of a tree, restricted.
func (e *evaluations) hosts(ctx context.Context, t tree, facts fleet.Facts, names []string) map[string]plans.Evaluation {
	return e.named(ctx, t, e.of(t, facts), t.source(facts, false), names)
}

func (e *evaluations) named(ctx context.Context, t tree, known *evaluatedTree, source nix.Source, names []string) map[string]plans.Evaluation {
	fresh := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := known.hosts[name]; return ok })
	if len(fresh) > 0 {
		for name, result := range e.evaluator.Evaluate(ctx, source, fresh, e.flow.Sink) {
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
// not even the tags could be read is in the result if on may mean it.
func (e *evaluations) selected(ctx context.Context, t tree, source nix.Source, on fleet.Selector) (map[string]plans.Evaluation, error) {
	known := e.of(t, source.Facts)
	if !known.listed {
		known.deployments, known.problem = e.evaluator.Hosts(ctx, source)
		known.listed = true
	}
	unreadable, rest := nix.ByHost(known.problem)
	result := e.named(ctx, t, known, source, selected(on, known.deployments))
	for host, p := range unreadable {
		if on.MayMatch(host) {
			_ = relativeTo(p, t.Root)
			result[host] = plans.Evaluation{Err: p}
		}
	}
	if rest != nil {
		return result, relativeTo(rest, t.Root)
	}
	return result, nil
}

// selected gives the names that a selector picks, sorted. An exact name that
// does not exist in this revision is no error: it may exist in the other one.
func selected(on fleet.Selector, deployments map[string]plans.Deployment) []string {
	var hosts []string
	for host, d := range deployments {
		if on.Match(host, d.Tags) {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return hosts
}

func only(all map[string]plans.Evaluation, hosts []string) map[string]plans.Evaluation {
	some := map[string]plans.Evaluation{}
	for _, host := range hosts {
		some[host] = all[host]
	}
	return some
}
