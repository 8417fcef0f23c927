package deploy

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/config"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// workTree reads the files as they lie on disk, committed or not: what check,
// eval and build work on.
func (f *Flow) workTree() (tree, error) {
	fl, err := config.Load(filepath.Join(f.Dir, configFile))
	if err != nil {
		return tree{}, relativeTo(err, f.Dir)
	}
	return tree{Root: f.Dir, Dir: f.Dir, Fleet: fl}, nil
}

// tracked gives a flake's work tree as Nix sees it: the files that git tracks,
// and no others. They go to the store, where everybody can read them. done
// removes the copy.
func (f *Flow) tracked(ctx context.Context, t tree) (_ tree, done func(), err error) {
	w, err := f.open(ctx)
	if err != nil {
		return tree{}, nil, err
	}
	t.Root = filepath.Join(w.dir, "tracked")
	if err := w.repo.ExportTracked(ctx, t.Root); err != nil {
		w.close()
		return tree{}, nil, err
	}
	t.Prefix = w.repo.Prefix()
	t.Dir = filepath.Join(t.Root, t.Prefix)
	return t, w.close, nil
}

// Evaluate evaluates the selected hosts of the work tree. trusted writes the
// derivations to the store, so that they can be built.
func (f *Flow) Evaluate(ctx context.Context, on fleet.Selector, trusted bool) (map[string]plans.Evaluation, error) {
	t, err := f.workTree()
	if err != nil {
		return nil, err
	}
	if t.Fleet.Hive.Flake != "" {
		var done func()
		if t, done, err = f.tracked(ctx, t); err != nil {
			return nil, err
		}
		defer done()
	}
	account, err := f.accountIfKnown(ctx, t.Fleet)
	if err != nil {
		return nil, err
	}
	source := t.source(provision.Facts(t.Fleet, account, provision.Options{}), trusted)
	source.Brief = true
	result, err := f.evaluations(t.Fleet.Evaluation).selected(ctx, t, source, on)
	if err == nil && len(result) == 0 {
		err = &problem.Problem{Summary: fmt.Sprintf("--on %s selects no host", on), Code: problem.Usage}
	}
	return result, err
}

// accountIfKnown reads the account when the token is there; without it facts
// are placeholders.
func (f *Flow) accountIfKnown(ctx context.Context, fl fleet.Fleet) (fleet.Account, error) {
	client, err := f.client(fl)
	if err != nil || client == nil {
		return fleet.Account{}, err
	}
	return client.Account(ctx, fl)
}

// Check reads flotilla.yaml and evaluates every host, without touching
// anything. All problems come joined.
func (f *Flow) Check(ctx context.Context) (Checked, error) {
	t, err := f.workTree()
	if err != nil {
		return Checked{}, err
	}
	c := Checked{Fleet: t.Fleet.Name, Checked: []string{fmt.Sprintf("%s: %d servers, %d networks", configFile, len(t.Fleet.Servers), len(t.Fleet.Networks))}}
	evaluations, err := f.Evaluate(ctx, fleet.Selector{}, false)
	failed := []error{err}
	well := 0
	for _, host := range slices.Sorted(maps.Keys(evaluations)) {
		if e := evaluations[host].Err; e != nil {
			failed = append(failed, e)
			continue
		}
		well++
		for _, w := range evaluations[host].System.Warnings {
			c.Warnings = append(c.Warnings, plans.Gap{Subject: host, Text: w})
		}
	}
	if err == nil {
		failed = append(failed, checkNames(t.Fleet, tagsOf(evaluations)))
		known := map[string]plans.Deployment{}
		for host, e := range evaluations {
			if e.Err == nil && !e.System.Deployment.LocalOnly {
				known[host] = e.System.Deployment
			}
		}
		failed = append(failed, checkAddresses(t.Fleet, known))
	}
	c.Checked = append(c.Checked, fmt.Sprintf("hive: %d of %d hosts evaluate", well, len(evaluations)))
	return c, joinProblems(failed)
}

// Checked is what Check looked at.
type Checked struct {
	Fleet    string
	Checked  []string
	Warnings []plans.Gap
}

// Build builds the selected hosts of the work tree.
func (f *Flow) Build(ctx context.Context, on fleet.Selector) (map[string]storepath.Path, error) {
	evaluations, err := f.Evaluate(ctx, on, true)
	if err != nil {
		return nil, err
	}
	var systems []plans.System
	built := map[string]storepath.Path{}
	var failed []error
	for _, host := range slices.Sorted(maps.Keys(evaluations)) {
		e := evaluations[host]
		if e.Err != nil {
			failed = append(failed, e.Err)
			continue
		}
		systems = append(systems, e.System)
		built[host] = e.System.OutPath
	}
	for host, err := range f.evaluator(fleet.Evaluation{}, "").Build(ctx, systems, f.Sink) {
		failed = append(failed, err)
		delete(built, host)
	}
	return built, joinProblems(failed)
}

// Facts gives what is known of the servers: real addresses where they exist,
// placeholders otherwise.
func (f *Flow) Facts(ctx context.Context) (fleet.Facts, error) {
	t, err := f.workTree()
	if err != nil {
		return nil, err
	}
	client, err := f.mustClient(t.Fleet)
	if err != nil {
		return nil, err
	}
	var account fleet.Account
	if client != nil {
		if account, err = client.Account(ctx, t.Fleet); err != nil {
			return nil, err
		}
	}
	return provision.Facts(t.Fleet, account, provision.Options{}), nil
}
