package nix

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Hosts gives the deployment settings of every host in the hive. Hosts that
// fail are missing and named by the error (see ByHost); the others are
// returned all the same. Without any host that could be read, the error is
// about the hive.
func (e *Evaluator) Hosts(ctx context.Context, s Source) (map[string]plans.Deployment, error) {
	o, err := e.open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer o.close()

	// All in one process is cheap, but one bad host hides the others.
	out, err := e.eval(ctx, o, "deployments", "")
	if err == nil {
		var all map[string]plans.Deployment
		if err := json.Unmarshal(out.json, &all); err != nil {
			return nil, fmt.Errorf("deployment settings of the hive: %w", err)
		}
		return all, nil
	}
	if ctx.Err() != nil {
		return nil, o.explain("", err)
	}
	out, err = e.eval(ctx, o, "names", "")
	if err != nil {
		return nil, o.explain("", err)
	}
	var names []string
	if err := json.Unmarshal(out.json, &names); err != nil {
		return nil, fmt.Errorf("names of the hive's hosts: %w", err)
	}

	var (
		mu     sync.Mutex
		good   = map[string]plans.Deployment{}
		failed = map[string]*problem.Problem{}
		group  errgroup.Group
	)
	group.SetLimit(e.opts.Workers)
	for _, name := range names {
		group.Go(func() error {
			var d plans.Deployment
			out, err := e.eval(ctx, o, "deployment", name)
			if err == nil {
				err = json.Unmarshal(out.json, &d)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed[name] = o.explain(name, err)
			} else {
				good[name] = d
			}
			return nil
		})
	}
	_ = group.Wait() // failures are collected by host
	return good, joinHosts(failed)
}
