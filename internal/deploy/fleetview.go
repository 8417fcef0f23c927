package deploy

import (
	"context"
	"fmt"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// view is the fleet as rollback, release, status and history need it: who the
// hosts are and how to reach them. It builds nothing and evaluates no system.
type view struct {
	flow     *Flow
	tree     tree
	client   *hetzner.Client
	account  fleet.Account
	tags     map[string][]string         // of all hosts
	hosts    map[string]plans.Deployment // selected
	targets  *targets
	held     *heldHosts // nil: the fleet's lock is enough
	lock     *hold      // nil: only looks
	warnings []string
}

// view looks without a lock: for those who change nothing.
func (f *Flow) view(ctx context.Context, on fleet.Selector) (*view, func(), error) {
	w, err := f.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	v := &view{flow: f}
	if err = v.read(ctx, w); err == nil {
		err = v.fill(ctx, on)
	}
	if err != nil {
		w.close()
		return nil, nil, err
	}
	return v, w.close, nil
}

// lockedView calls do with a view that was taken under the fleet's lock.
func (f *Flow) lockedView(ctx context.Context, on fleet.Selector, timeout time.Duration, do func(*view) error) error {
	w, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	v := &view{flow: f}
	if err := v.read(ctx, w); err != nil {
		return err
	}
	return f.locked(ctx, v.client, timeout, func(lock *hold) error {
		v.lock = lock
		if err := v.fill(ctx, on); err != nil {
			return err
		}
		return do(v)
	})
}

// read gets the revision, its flotilla.yaml and the provider.
func (v *view) read(ctx context.Context, w *workspace) error {
	rev, err := w.repo.Resolve(ctx, "HEAD")
	if err != nil {
		return err
	}
	if v.tree, err = w.mustExport(ctx, rev); err != nil {
		return err
	}
	v.client, err = v.flow.mustClient(v.tree.Fleet)
	return err
}

// fill reads what exists, who the hosts are and how to reach them.
func (v *view) fill(ctx context.Context, on fleet.Selector) error {
	if err := v.lookAtAccount(ctx); err != nil {
		return err
	}
	if err := v.choose(ctx, on); err != nil {
		return err
	}
	return v.reach(ctx)
}

// lookAtAccount reads what exists at the provider, if there is one.
func (v *view) lookAtAccount(ctx context.Context) (err error) {
	if v.client != nil {
		v.account, err = v.client.Account(ctx, v.tree.Fleet)
	}
	return err
}

// reach finds out how to log in.
func (v *view) reach(ctx context.Context) (err error) {
	v.targets, err = v.flow.targets(ctx, v.tree.Fleet, v.account)
	return err
}

// choose finds out who the hosts are, and picks those that on names.
func (v *view) choose(ctx context.Context, on fleet.Selector) error {
	all, err := v.flow.evaluator(v.tree.Fleet.Evaluation, "").Hosts(ctx, v.tree.source(provision.Facts(v.tree.Fleet, v.account, provision.Options{}), true))
	if err != nil {
		// A hive that does not evaluate must not stand in the way of a
		// rollback: the servers' names and addresses are enough.
		v.warnings = append(v.warnings, "The hive does not evaluate; tags and deployment.* settings of the hosts it hides are not known: "+oneLine(relativeTo(err, v.tree.Root)))
		progress.For(v.flow.Sink, "").Note(progress.Evaluate, v.warnings[0])
		if all == nil {
			all = map[string]plans.Deployment{}
		}
		for name := range v.tree.Fleet.Servers {
			if _, ok := all[name]; !ok {
				all[name] = plans.Deployment{}
			}
		}
	}
	v.tags = map[string][]string{}
	for host, d := range all {
		v.tags[host] = d.Tags
	}
	names, err := selectHosts(on, v.tags)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		return selectsNothing(on)
	}
	v.hosts = map[string]plans.Deployment{}
	for _, name := range names {
		v.hosts[name] = all[name]
	}
	return nil
}

// selectHosts gives the names that --on picks, sorted.
func selectHosts(on fleet.Selector, tags map[string][]string) ([]string, error) {
	names, err := on.Select(tags)
	if err != nil {
		return nil, &problem.Problem{Summary: "--on selects no such host", Cause: err, Code: problem.Usage}
	}
	return names, nil
}

// selectsNothing is a problem if --on was given: who names hosts and gets none
// has mistyped, and must not be told that everything went as asked.
func selectsNothing(on fleet.Selector) error {
	if on.All() {
		return nil
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("--on %s selects no host", on),
		Hints:   []string{"flotilla status shows the hosts, flotilla eval --format json their tags."},
		Code:    problem.Usage,
	}
}

// host gives what acts on one host.
func (v *view) host(name string) (*generation.Host, string, error) {
	target, err := v.targets.of(name, v.hosts[name])
	if err != nil {
		return nil, "", err
	}
	return generation.New(name, dialer(target, v.hosts[name]), v.flow.Sink), target.Address, nil
}
