package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// PlanOptions say what to compare.
type PlanOptions struct {
	Base    string         // "": the head's first parent
	Head    string         // "": HEAD
	On      fleet.Selector // limits hosts and their servers
	Only    Only
	Rebuild []string // as in Options
	Replace []string
}

// Plan compares two revisions of the fleet repo, and the older one with what
// the last deploys published. It runs nothing of the repository's but a
// restricted evaluation, builds nothing and opens no connection to a host.
// What could not be found out is in the plan's Missing; an error means that
// there is no plan at all.
func (f *Flow) Plan(ctx context.Context, opts PlanOptions) (plans.Plan, error) {
	w, err := f.open(ctx)
	if err != nil {
		return plans.Plan{}, err
	}
	defer w.close()
	base, head, err := w.revisions(ctx, opts)
	if err != nil {
		return plans.Plan{}, err
	}
	headTree, err := w.mustExport(ctx, head)
	if err != nil {
		return plans.Plan{}, err
	}
	var missing, warnings []plans.Gap
	baseTree, err := w.export(ctx, base)
	if err != nil {
		// A broken base must not keep its own repair from being planned.
		missing = append(missing, gap("base revision", err))
		baseTree = tree{Revision: base, Empty: true}
	}
	seen := f.lookAtAccount(ctx, baseTree, headTree)
	missing, warnings = append(missing, seen.missing...), append(warnings, seen.warnings...)
	input := planner.Input{Fleet: headTree.Fleet.Name, Base: base, Head: head}

	leave := provision.Options{Rebuild: opts.Rebuild, Replace: opts.Replace, Catalog: seen.prices()}
	facts := provision.Facts(headTree.Fleet, seen.account, leave)
	evaluator := f.evaluator("")
	var baseHosts, headHosts map[string]plans.Evaluation
	if opts.Only != OnlyInfra || opts.On.ByTag() {
		baseHosts = f.evaluate(ctx, evaluator, baseTree, provision.Facts(baseTree.Fleet, seen.account, provision.Options{}), opts.On, &missing)
		headHosts = f.evaluate(ctx, evaluator, headTree, facts, opts.On, &missing)
	}
	tags := tagsOf(baseHosts, headHosts)
	if opts.Only == OnlyInfra {
		baseHosts, headHosts = nil, nil
	}
	picked := func(server string) bool { return opts.On.All() || opts.On.Match(server, tags[server]) }
	if err := checkRemade(headTree.Fleet, picked, opts.Only, opts.Rebuild, opts.Replace); err != nil {
		return plans.Plan{}, err
	}
	// The pull request's own change is declared against declared, so that a
	// drifted account does not show up in it (asItExists has the exceptions).
	desired, actual := limit(opts.On, tags, headTree.Fleet, provision.Applied(baseTree.Fleet))
	if len(baseHosts)+len(headHosts)+len(desired.Servers)+len(actual.Servers)+len(missing) == 0 {
		if err := selectsNothing(opts.On); err != nil {
			return plans.Plan{}, err
		}
	}
	hosts, hostGaps, hostWarnings := planner.Compare(baseHosts, headHosts, planner.Known{
		Facts: facts, Logins: f.logins(ctx, baseTree, headTree, baseHosts, headHosts),
	})
	input.Hosts = hosts
	missing, warnings = append(missing, hostGaps...), append(warnings, hostWarnings...)
	if opts.Only != OnlyHosts {
		input.Resources = provision.Diff(desired, actual, leave)
		warnings = append(warnings, seen.worthKnowing(headTree.Fleet)...)
	}

	var pendingCost *plans.Cost
	if seen.looked {
		input.Current = published(seen.account)
		missing = append(missing, gapsOf("account", nameClashes(headTree.Fleet, seen.account))...)
		// What was merged is the base, or the head itself once it was deployed.
		merged, mergedHosts := baseTree, baseHosts
		if isDeployed(seen.account, head) {
			merged, mergedHosts = headTree, headHosts
		}
		if !merged.Empty {
			if opts.Only != OnlyHosts {
				desired, actual := limit(opts.On, tags, merged.Fleet, seen.account)
				input.PendingResources = provision.Diff(desired, actual, provision.Options{Catalog: seen.prices()})
				desired, actual = limit(opts.On, tags, headTree.Fleet, seen.account)
				ahead := provision.Diff(desired, actual, leave)
				input.Resources, input.PendingResources = asItExists(input.Resources, input.PendingResources, ahead)
				input.PendingResources = stillToCome(input.PendingResources, ahead)
				warnings = append(warnings, wouldRefuse(desired, actual, leave, ahead)...)
				pendingCost = seen.cost(standing(seen.account), merged.Fleet)
			}
			pending, gaps := f.pendingHosts(ctx, w, evaluator, merged, mergedHosts, seen.account)
			input.PendingHosts = pending
			missing = append(missing, gaps...)
		}
	}
	input.Missing, input.Warnings = missing, warnings
	plan := planner.Assemble(input)
	plan.Topology = topology(headTree.Fleet, tagsOf(headHosts))
	if opts.Only != OnlyHosts {
		plan.This.Cost, plan.Pending.Cost = seen.cost(baseTree.Fleet, headTree.Fleet), pendingCost
	}
	return plan, nil
}

// stillToCome leaves out what is as the head wants it already (no deploy takes
// it back to the base) and edits that do nothing, which their own plan told of.
func stillToCome(pending, ahead []plans.Resource) []plans.Resource {
	return slices.DeleteFunc(pending, func(p plans.Resource) bool {
		return !provision.Changes(p) || !slices.ContainsFunc(ahead, func(a plans.Resource) bool { return a.Kind == p.Kind && a.Name == p.Name })
	})
}

// revisions resolves base and head.
func (w *workspace) revisions(ctx context.Context, opts PlanOptions) (base, head plans.Revision, err error) {
	name := opts.Head
	if name == "" {
		name = "HEAD"
	}
	if head, err = w.repo.Resolve(ctx, name); err != nil {
		return base, head, err
	}
	if opts.Base != "" {
		base, err = w.repo.Resolve(ctx, opts.Base)
		return base, head, err
	}
	parent, err := w.repo.FirstParent(ctx, head.Commit)
	if err != nil || parent == "" {
		return base, head, err
	}
	base, err = w.repo.Resolve(ctx, parent)
	return base, head, err
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

// tagsOf gives the hosts' tags, those of the later trees first.
func tagsOf(trees ...map[string]plans.Evaluation) map[string][]string {
	tags := map[string][]string{}
	for _, hosts := range trees {
		for host, e := range hosts {
			tags[host] = e.System.Deployment.Tags
		}
	}
	return tags
}

// evaluate gives the evaluations of the selected hosts of a tree, restricted.
// Problems of the hive as a whole become gaps, those of one host stay with it.
func (f *Flow) evaluate(ctx context.Context, evaluator *nix.Evaluator, t tree, facts fleet.Facts, on fleet.Selector, missing *[]plans.Gap) map[string]plans.Evaluation {
	if t.Empty {
		return nil
	}
	result, err := f.evaluateTree(ctx, evaluator, t, t.source(facts, false), on)
	if err != nil {
		*missing = append(*missing, gap("hive at "+short(t.Revision), err))
	}
	return result
}

// evaluateTree evaluates the selected hosts of a source made from t. Each
// host's failure is in its evaluation; the error is about the hive as a whole.
// A host of which not even the tags could be read counts as selected unless
// its name excludes it.
func (f *Flow) evaluateTree(ctx context.Context, evaluator *nix.Evaluator, t tree, source nix.Source, on fleet.Selector) (map[string]plans.Evaluation, error) {
	deployments, err := evaluator.Hosts(ctx, source)
	unreadable, rest := nix.ByHost(err)
	result := map[string]plans.Evaluation{}
	if hosts := selected(on, deployments); len(hosts) > 0 {
		result = evaluator.Evaluate(ctx, source, hosts, f.Sink)
	}
	for host, p := range unreadable {
		if on.Match(host, nil) || on.ByTag() {
			result[host] = plans.Evaluation{Err: p}
		}
	}
	for _, e := range result {
		if e.Err != nil {
			_ = relativeTo(e.Err, t.Root)
		}
	}
	if rest != nil {
		return result, relativeTo(rest, t.Root)
	}
	return result, nil
}

// pendingHosts compares what the last deploys published with the base: hosts
// whose deployed revision is older, with the change that waits for them.
func (f *Flow) pendingHosts(ctx context.Context, w *workspace, evaluator *nix.Evaluator, base tree, baseHosts map[string]plans.Evaluation, account fleet.Account) ([]plans.Host, []plans.Gap) {
	var missing []plans.Gap
	byCommit := map[string][]string{}
	for host, e := range baseHosts {
		server, ok := account.Servers[host]
		if !ok || e.Err != nil || server.Published.SystemHash == e.System.OutPath.Hash() {
			continue
		}
		byCommit[server.Published.Commit] = append(byCommit[server.Published.Commit], host)
	}
	commits := make([]string, 0, len(byCommit))
	for commit := range byCommit {
		commits = append(commits, commit)
	}
	slices.Sort(commits)

	var pending []plans.Host
	facts := provision.Facts(base.Fleet, account, provision.Options{})
	for _, commit := range commits {
		hosts := byCommit[commit]
		slices.Sort(hosts)
		wanted := only(baseHosts, hosts)
		var deployed map[string]plans.Evaluation
		if commit != "" {
			old, err := w.deployedTree(ctx, commit)
			if err != nil {
				missing = append(missing, gap("deployed revision "+short(plans.Revision{Commit: commit}), err))
				continue
			}
			f.progress().Note(progress.Evaluate, fmt.Sprintf("deployed revision %.12s, for what is pending", commit))
			deployed = evaluator.Evaluate(ctx, old.source(facts, false), hosts, f.Sink)
		}
		changes, gaps, _ := planner.Hosts(deployed, wanted, facts)
		pending = append(pending, changes...)
		missing = append(missing, gaps...)
	}
	return pending, missing
}

func (w *workspace) deployedTree(ctx context.Context, commit string) (tree, error) {
	rev, err := w.repo.Resolve(ctx, commit)
	if err != nil {
		return tree{}, err
	}
	return w.mustExport(ctx, rev)
}

func (f *Flow) progress() progress.Reporter { return progress.For(f.Sink, "") }

func published(account fleet.Account) *plans.Current {
	current := &plans.Current{Hosts: map[string]fleet.Published{}}
	for name, server := range account.Servers {
		current.Hosts[name] = server.Published
	}
	return current
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

func gap(subject string, err error) plans.Gap {
	return plans.Gap{Subject: subject, Text: problem.Text(err)}
}

func short(rev plans.Revision) string { return fmt.Sprintf("%.12s", rev.Commit) }
