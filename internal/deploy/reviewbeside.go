package deploy

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// besides gives, by deployed revision, those hosts whose system is the deployed
// one and which may differ in what is no part of it: where keys come from and
// who may read them, and how the host is reached.
func (d *deployment) besides(ctx context.Context, same map[string][]string) (map[string][]string, []error) {
	found := map[string][]string{}
	var failed []error
	for _, commit := range slices.Sorted(maps.Keys(same)) {
		if commit == d.tree.Revision.Commit || commit == "" {
			continue
		}
		hosts := same[commit]
		old, err := d.work.deployedTree(ctx, commit)
		if err != nil {
			failed = append(failed, fmt.Errorf("deployed revision %.12s, of %s: %w", commit, listed(hosts, 5), err))
			continue
		}
		before, err := d.reviewed.evaluated.declared(ctx, old, d.facts())
		if err != nil {
			failed = append(failed, fmt.Errorf("deployed revision %.12s, of %s: %w", commit, listed(hosts, 5), relativeTo(err, old.Root)))
			continue
		}
		for _, host := range hosts {
			system := d.systems[host]
			if then, ok := before[host]; !ok || len(system.Keys) > 0 || !reflect.DeepEqual(then, d.hosts[host]) {
				found[commit] = append(found[commit], host)
			}
		}
	}
	return found, failed
}

// declared gives the deployment.* of a tree's hosts, by name.
func (e *evaluations) declared(ctx context.Context, t tree, facts fleet.Facts) (map[string]plans.Deployment, error) {
	if _, err := e.existing(ctx, t, facts, nil); err != nil {
		return nil, err
	}
	return e.of(t, facts).deployments, nil
}
