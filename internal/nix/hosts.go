package nix

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Settings are a hive's own: Colmena's meta.
type Settings struct {
	Name          string `json:"name"`
	Description   string `json:"description"`
	MachinesFile  string `json:"machinesFile"`  // of machines that build, absolute; "": Nix's own setting
	AllowApplyAll bool   `json:"allowApplyAll"` // false: a deploy has to name its hosts
}

// Hosts gives the deployment settings of every host in the hive. Hosts that
// fail are missing and named by the error (see ByHost); the others are
// returned all the same. Without any host that could be read, the error is
// about the hive.
func (e *Evaluator) Hosts(ctx context.Context, s Source) (map[string]plans.Deployment, error) {
	_, hosts, err := e.Hive(ctx, s)
	return hosts, err
}

// Hive is Hosts together with the hive's own settings.
func (e *Evaluator) Hive(ctx context.Context, s Source) (Settings, map[string]plans.Deployment, error) {
	o, err := e.open(ctx, s)
	if err != nil {
		return Settings{}, nil, err
	}
	defer o.close()
	m := e.remember(ctx, o)
	o.keeps = m != nil
	kept, known := m.hive()
	if known && !e.opts.Cache.Verify {
		return kept.Settings, kept.Hosts, nil
	}

	m.begin()
	if err := e.glance(ctx, o); err != nil {
		return Settings{}, nil, o.explain("", err)
	}
	// All in one process is cheap, but one bad host hides the others.
	var all struct {
		Settings Settings                    `json:"settings"`
		Misnamed map[string]own              `json:"misnamed"` // hosts that cannot be because of their names
		Hosts    map[string]plans.Deployment `json:"hosts"`
	}
	out, err := e.eval(ctx, o, "deployments", "")
	if err != nil && o.blind {
		// Some hives read what they put into the store themselves.
		if prepared := e.prepare(ctx, o); prepared != nil {
			return Settings{}, nil, o.explain("", prepared)
		}
		out, err = e.eval(ctx, o, "deployments", "")
	}
	if err == nil {
		if err := json.Unmarshal(out.json, &all); err != nil {
			return Settings{}, nil, fmt.Errorf("deployment settings of the hive: %w", err)
		}
		fresh := hiveFacts{all.Settings, all.Hosts}
		if len(all.Misnamed) > 0 {
			return all.Settings, all.Hosts, joinHosts(o.misnamed(all.Misnamed))
		}
		if known {
			if p := differs("the hive", kept, fresh); p != nil {
				return Settings{}, nil, p
			}
		}
		m.keep("", out, nil, storepath.Path{}, fresh)
		return all.Settings, all.Hosts, nil
	}
	if ctx.Err() != nil {
		return Settings{}, nil, o.explain("", err)
	}
	var list struct {
		Settings Settings       `json:"settings"`
		Misnamed map[string]own `json:"misnamed"`
		Names    []string       `json:"names"`
	}
	if out, err = e.eval(ctx, o, "names", ""); err != nil {
		return Settings{}, nil, o.explain("", err)
	}
	if err := json.Unmarshal(out.json, &list); err != nil {
		return Settings{}, nil, fmt.Errorf("names of the hive's hosts: %w", err)
	}
	hosts, failed := e.singly(ctx, o, list.Names)
	maps.Copy(failed, o.misnamed(list.Misnamed))
	return list.Settings, hosts, joinHosts(failed)
}

// hiveFacts are what is kept of a hive as a whole.
type hiveFacts struct {
	Settings Settings                    `json:"settings"`
	Hosts    map[string]plans.Deployment `json:"hosts"`
}

// hive gives what was kept of a hive.
func (m *memory) hive() (hiveFacts, bool) {
	var kept hiveFacts
	return kept, m.find("", func(digest string) bool {
		text, ok := m.vault.result(digest)
		return ok && json.Unmarshal(text, &kept) == nil
	})
}

// singly reads each host's settings in a process of its own.
func (e *Evaluator) singly(ctx context.Context, o *opened, names []string) (map[string]plans.Deployment, map[string]*problem.Problem) {
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
	return good, failed
}

func (o *opened) misnamed(all map[string]own) map[string]*problem.Problem {
	failed := map[string]*problem.Problem{}
	for name, w := range all {
		failed[harmless(name)] = o.inOwnWords(w)
	}
	return failed
}
