package deploy

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// DestroyOptions say what a fleet's end may take with it.
type DestroyOptions struct {
	AllowDestroy []string // resources that hold data or addresses, by name
	LockTimeout  time.Duration
	// Approve is asked once, with all that goes. Its approval is the leave for
	// everything; nil: only AllowDestroy counts.
	Approve func(Intent) error
	// Draining ends when nothing more may be begun (first interrupt).
	Draining <-chan struct{}
}

// Destroy takes away all that the fleet owns at the provider. What is
// protected refuses it as a whole, before anything is touched.
func (f *Flow) Destroy(ctx context.Context, opts DestroyOptions) (plans.Result, error) {
	result := plans.Result{Version: plans.Version, Command: "destroy", Started: f.now().UTC()}
	err := f.destroy(ctx, opts, &result)
	f.conclude(&result, err, opts.Draining)
	return result, err
}

func (f *Flow) destroy(ctx context.Context, opts DestroyOptions, result *plans.Result) error {
	t, client, err := f.provider(ctx, result)
	if err != nil {
		return err
	}
	// What the fleet only refers to is not in sight of a fleet that declares
	// nothing, and stays.
	nothing := fleet.Fleet{Name: t.Fleet.Name, Hetzner: t.Fleet.Hetzner, Rollout: t.Fleet.Rollout}
	return f.locked(ctx, client, opts.LockTimeout, func(lock *hold) error {
		actual, err := client.Account(ctx, nothing)
		if err != nil {
			return err
		}
		leave := provision.Options{AllowDestroy: opts.AllowDestroy, Command: "flotilla destroy"}
		changes := provision.Diff(nothing, actual, leave)
		if opts.Approve != nil {
			leave.AllowDestroy = namesOf(changes)
		}
		if err := provision.Check(nothing, actual, leave); err != nil {
			return err
		}
		if opts.Approve != nil {
			cost, _ := f.price(ctx, client, nothing, actual)
			intent := Intent{Fleet: t.Fleet.Name, Revision: t.Revision, Resources: changes, Cost: cost, Hosts: slices.Sorted(maps.Keys(actual.Servers))}
			if err := opts.Approve(intent); err != nil {
				return err
			}
		}
		if err := lock.check(); err != nil {
			return err
		}
		early, stop := lock.until(ctx, opts.Draining)
		defer stop()
		gone := f.providing(ctx, changes, func() (p provided) {
			p.resources, p.err = provision.Contract(early, client, nothing, actual, leave, f.Sink)
			return p
		})
		result.Resources = gone.resources
		return gone.err
	})
}

// provider reads HEAD and opens its provider, for commands that are about
// nothing else.
func (f *Flow) provider(ctx context.Context, result *plans.Result) (tree, *hetzner.Client, error) {
	w, err := f.open(ctx)
	if err != nil {
		return tree{}, nil, err
	}
	defer w.close()
	v := &view{flow: f}
	if err := v.read(ctx, w); err != nil {
		return tree{}, nil, err
	}
	result.Fleet, result.Revision = v.tree.Fleet.Name, v.tree.Revision
	if v.client == nil {
		return tree{}, nil, &problem.Problem{
			Summary: "the fleet " + v.tree.Fleet.Name + " has no provider",
			Detail:  configFile + " has no provider: section, so there is nothing of it anywhere that this command is about.",
			Code:    problem.Usage,
		}
	}
	return v.tree, v.client, nil
}

// namesOf names all that changes, also by section where two have one name.
func namesOf(changes []plans.Resource) []string {
	var names []string
	for _, c := range changes {
		names = append(names, c.Name, string(c.Kind)+"s/"+c.Name)
	}
	return names
}
