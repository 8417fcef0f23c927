package deploy

import (
	"context"
	"fmt"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/fleet"
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
	Build   bool // build the changed hosts' systems, and ask the hosts what they lack of them

	// Untrusted says that nobody has merged the head: it decides what is
	// compared and nothing else. What Flotilla itself does (the provider and its
	// token, how to log in, policy) is what the base says, and what the head
	// changes of that is named in the plan. Base, if given, is a commit that was
	// merged; without it Head must be a merge commit that the server made.
	Untrusted bool
	// Fork says that the head is a stranger's: it is Untrusted, and sees nothing
	// of the account either.
	Fork bool
}

func (o PlanOptions) untrusted() bool { return o.Untrusted || o.Fork }

// planning is one run of Plan, filled in from top to bottom.
type planning struct {
	flow       *Flow
	work       *workspace
	opts       PlanOptions
	base, head tree
	written    fleet.Fleet // the head's, as it was written
	seen       sight
	leave      provision.Options
	facts      fleet.Facts // handed to the head
	evaluated  *evaluations
	tags       map[string][]string
	missing    []plans.Gap
	warnings   []plans.Gap

	baseHosts, headHosts map[string]plans.Evaluation
}

// Plan compares two revisions of the fleet repo, and the older one with what
// the last deploys published. It runs nothing of the repository's but a
// restricted evaluation, builds nothing and opens no connection to a host.
// What could not be found out is in the plan's Missing; an error means that
// there is no plan at all.
func (f *Flow) Plan(ctx context.Context, opts PlanOptions) (plans.Plan, error) {
	if err := checkBuild(opts); err != nil {
		return plans.Plan{}, err
	}
	w, err := f.open(ctx)
	if err != nil {
		return plans.Plan{}, err
	}
	defer w.close()
	if opts.untrusted() {
		f = f.proposed()
	}
	p := &planning{flow: f, work: w, opts: opts}
	if err := p.read(ctx); err != nil {
		return plans.Plan{}, err
	}
	defer p.evaluated.evaluator.Keep()()
	p.lookAtAccount(ctx)
	p.evaluate(ctx)
	plan, err := p.compare(ctx)
	if err == nil && ctx.Err() != nil {
		// What was not looked at any more would look like what is not there.
		return plans.Plan{}, &problem.Problem{Summary: "interrupted before the plan was made", Hints: []string{"Run it again."}, Code: problem.Cancelled}
	}
	return plan, err
}

// read gets both trees.
func (p *planning) read(ctx context.Context) error {
	base, head, err := p.work.revisions(ctx, p.opts)
	if err != nil {
		return err
	}
	var both sync.WaitGroup
	var broken error
	both.Go(func() { p.base, broken = p.work.export(ctx, base) })
	p.head, err = p.work.mustExport(ctx, head)
	both.Wait()
	if err != nil {
		return err
	}
	if broken != nil {
		// A broken base must not keep its own repair from being planned.
		p.missing = append(p.missing, gap("base revision", broken))
		p.base = tree{Revision: base, Empty: true}
	}
	p.written = p.head.Fleet
	missing, warnings := unpreviewed(p.base, p.head)
	p.missing = append(p.missing, missing...)
	if p.opts.untrusted() {
		p.warnings = append(p.warnings, warnings...)
		p.head.Fleet = preview(p.base.Fleet, p.written)
	}
	p.evaluated = p.flow.evaluations(p.head.Fleet.Evaluation)
	return nil
}

// lookAtAccount reads what exists at the provider, and what follows for the head.
func (p *planning) lookAtAccount(ctx context.Context) {
	if p.opts.Fork {
		p.seen = sight{warnings: []plans.Gap{{
			Subject: "account",
			Text:    "A fork's change gets no account state: what exists at the provider was not looked at, so drift, prices and what is pending are not shown.",
		}}}
	} else {
		p.seen = p.flow.lookAtAccount(ctx, p.base, p.written)
	}
	p.missing, p.warnings = append(p.missing, p.seen.missing...), append(p.warnings, p.seen.warnings...)
	p.leave = provision.Options{Rebuild: p.opts.Rebuild, Replace: p.opts.Replace, Catalog: p.seen.prices()}
	p.facts = provision.Facts(p.head.Fleet, p.seen.account, p.leave)
}

// evaluate gives the selected hosts of both trees, restricted. Problems of a
// hive as a whole become gaps, those of one host stay with it.
func (p *planning) evaluate(ctx context.Context) {
	if p.opts.Only == OnlyInfra && !p.opts.On.ByTag() {
		return
	}
	tree := func(t tree, facts fleet.Facts) (result map[string]plans.Evaluation, err error) {
		if t.Empty {
			return nil, nil
		}
		return p.evaluated.selected(ctx, t, t.source(facts, false), p.opts.On)
	}
	// What is known of one is read while the other is evaluated.
	var both sync.WaitGroup
	var failed [2]error
	both.Go(func() {
		p.baseHosts, failed[0] = tree(p.base, provision.Facts(p.base.Fleet, p.seen.account, provision.Options{}))
	})
	both.Go(func() { p.headHosts, failed[1] = tree(p.head, p.facts) })
	both.Wait()
	for i, rev := range []plans.Revision{p.base.Revision, p.head.Revision} {
		if failed[i] != nil {
			p.missing = append(p.missing, gap("hive at "+short(rev), failed[i]))
		}
	}
	p.tags = tagsOf(p.baseHosts, p.headHosts)
	if p.opts.Only == OnlyInfra {
		p.baseHosts, p.headHosts = nil, nil
	}
}

// compare makes the plan of what was gathered.
func (p *planning) compare(ctx context.Context) (plans.Plan, error) {
	on := p.opts.On
	picked := func(server string) bool { return on.All() || on.Match(server, p.tags[server]) }
	if err := checkRemade(p.head.Fleet, picked, p.opts.Only, p.opts.Rebuild, p.opts.Replace); err != nil {
		return plans.Plan{}, err
	}
	// The pull request's own change is declared against declared, so that a
	// drifted account does not show up in it (asItExists has the exceptions).
	desired, actual := limit(on, p.tags, p.head.Fleet, provision.Applied(p.base.Fleet))
	if len(p.baseHosts)+len(p.headHosts)+len(desired.Servers)+len(actual.Servers)+len(p.missing) == 0 {
		if err := selectsNothing(on); err != nil {
			return plans.Plan{}, err
		}
	}
	input := planner.Input{Fleet: p.head.Fleet.Name, Base: p.base.Revision, Head: p.head.Revision, Hosts: p.compareHosts(ctx)}
	if p.opts.Only != OnlyHosts {
		input.Resources = provision.Diff(desired, actual, p.leave)
		p.warnings = append(p.warnings, p.seen.worthKnowing(p.head.Fleet)...)
	}
	pendingCost := p.pending(ctx, &input)
	input.Missing, input.Warnings = p.missing, p.warnings
	plan := planner.Assemble(input)
	p.build(ctx, &plan)
	plan.Topology = topology(p.head.Fleet, tagsOf(p.headHosts))
	if p.opts.Only != OnlyHosts {
		plan.This.Cost, plan.Pending.Cost = p.seen.cost(p.base.Fleet, p.head.Fleet), pendingCost
	}
	return plan, nil
}

// compareHosts compares the systems.
func (p *planning) compareHosts(ctx context.Context) []plans.Host {
	if len(p.baseHosts)+len(p.headHosts) == 0 {
		return nil // and no key is looked up
	}
	// A prediction of logins is about what will be merged.
	base, head := p.base, p.head
	head.Fleet.SSH = p.written.SSH
	if p.opts.Fork {
		base.Fleet.SSH.Key = fleet.EnvRef{}
	}
	known := planner.Known{Facts: p.facts, Logins: p.flow.logins(ctx, base, head, p.baseHosts, p.headHosts)}
	if !p.base.Empty {
		known.Moves = movedLogins(p.base.Fleet, p.written, p.baseHosts, p.headHosts)
	}
	hosts, missing, warnings := planner.Compare(p.baseHosts, p.headHosts, known)
	p.missing, p.warnings = append(p.missing, missing...), append(p.warnings, warnings...)
	p.warnings = append(p.warnings, tellMoves(hosts, known.Moves)...)
	return hosts
}

// pending fills in what was merged and is not deployed, if the account is known.
func (p *planning) pending(ctx context.Context, input *planner.Input) (cost *plans.Cost) {
	if !p.seen.looked {
		return nil
	}
	input.Current = published(p.seen.account)
	p.missing = append(p.missing, gapsOf("account", nameClashes(p.head.Fleet, p.seen.account))...)
	// What was merged is the base, or the head itself once it was deployed.
	merged, mergedHosts := p.base, p.baseHosts
	if isDeployed(p.seen.account, p.head.Revision) {
		merged, mergedHosts = p.head, p.headHosts
	}
	if merged.Empty {
		return nil
	}
	if p.opts.Only != OnlyHosts {
		input.Resources, input.PendingResources, cost = p.pendingResources(merged, input.Resources)
	}
	input.PendingHosts = p.pendingHosts(ctx, merged, mergedHosts)
	return cost
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

func (f *Flow) progress() progress.Reporter { return progress.For(f.Sink, "") }

func gap(subject string, err error) plans.Gap {
	g := plans.Gap{Subject: subject, Text: problem.Text(err)}
	if all := problem.All(err); len(all) > 0 {
		g.At = all[0].At
	}
	return g
}

func short(rev plans.Revision) string { return fmt.Sprintf("%.12s", rev.Commit) }
