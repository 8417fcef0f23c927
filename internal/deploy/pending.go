package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// pendingHosts compares what the last deploys published with what was merged:
// hosts whose deployed revision is older, with the change that waits for them.
func (p *planning) pendingHosts(ctx context.Context, merged tree, mergedHosts map[string]plans.Evaluation) []plans.Host {
	byCommit := map[string][]string{}
	for host, e := range mergedHosts {
		server, ok := p.seen.account.Servers[host]
		if !ok || e.Err != nil || server.Published.SystemHash == e.System.OutPath.Hash() {
			continue
		}
		byCommit[server.Published.Commit] = append(byCommit[server.Published.Commit], host)
	}
	var pending []plans.Host
	facts := provision.Facts(merged.Fleet, p.seen.account, provision.Options{})
	for _, commit := range slices.Sorted(maps.Keys(byCommit)) {
		hosts := byCommit[commit]
		slices.Sort(hosts)
		var deployed map[string]plans.Evaluation
		if commit != "" {
			old, err := p.work.deployedTree(ctx, commit)
			if err != nil {
				p.missing = append(p.missing, gap("deployed revision "+short(plans.Revision{Commit: commit}), err))
				continue
			}
			p.flow.progress().Note(progress.Evaluate, fmt.Sprintf("deployed revision %.12s, for what is pending", commit))
			deployed = p.evaluated.hosts(ctx, old, facts, hosts)
		}
		changes, gaps, _ := planner.Hosts(deployed, only(mergedHosts, hosts), facts)
		pending = append(pending, changes...)
		p.missing = append(p.missing, gaps...)
	}
	return pending
}

func (w *workspace) deployedTree(ctx context.Context, commit string) (tree, error) {
	rev, err := w.repo.Resolve(ctx, commit)
	if err != nil {
		return tree{}, err
	}
	return w.mustExport(ctx, rev)
}

// pendingResources compares what exists with what was merged, and corrects this
// change by what exists. It gives the change of the price, too.
func (p *planning) pendingResources(merged tree, this []plans.Resource) (corrected, pending []plans.Resource, cost *plans.Cost) {
	desired, actual := limit(p.opts.On, p.tags, merged.Fleet, p.seen.account)
	pending = provision.Diff(desired, actual, provision.Options{Catalog: p.seen.prices()})
	desired, actual = limit(p.opts.On, p.tags, p.head.Fleet, p.seen.account)
	ahead := provision.Diff(desired, actual, p.leave)
	corrected, pending = asItExists(this, pending, ahead)
	p.warnings = append(p.warnings, wouldRefuse(desired, actual, p.leave, ahead)...)
	return corrected, stillToCome(pending, ahead), p.seen.cost(standing(p.seen.account), merged.Fleet)
}

// stillToCome leaves out what is as the head wants it already (no deploy takes
// it back to the base) and edits that do nothing, which their own plan told of.
func stillToCome(pending, ahead []plans.Resource) []plans.Resource {
	return slices.DeleteFunc(pending, func(p plans.Resource) bool {
		return !provision.Changes(p) || !slices.ContainsFunc(ahead, func(a plans.Resource) bool { return a.Kind == p.Kind && a.Name == p.Name })
	})
}

// isDeployed tells whether a host runs this very revision.
func isDeployed(account fleet.Account, rev plans.Revision) bool {
	for _, server := range account.Servers {
		if server.Published.Commit == rev.Commit {
			return true
		}
	}
	return false
}

func published(account fleet.Account) *plans.Current {
	current := &plans.Current{Hosts: map[string]fleet.Published{}}
	for name, server := range account.Servers {
		current.Hosts[name] = server.Published
	}
	return current
}
