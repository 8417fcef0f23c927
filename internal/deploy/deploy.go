package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

// deployment is one run of Deploy, filled in from top to bottom.
type deployment struct {
	flow      *Flow
	opts      Options
	work      *workspace
	tree      tree
	evaluator *nix.Evaluator
	client    *hetzner.Client // nil: no provider
	lock      *hold
	mu        sync.Mutex // guards account while servers are welcomed
	account   fleet.Account
	catalog   fleet.Catalog
	tags      map[string][]string         // of all hosts
	hosts     map[string]plans.Deployment // selected
	restarted []string                    // servers that expand powers off or makes anew
	systems   map[string]plans.System
	keys      map[string][]generation.Key // deployment.keys; a host that has none has an empty list
	targets   *targets
	held      *heldHosts      // nil: the fleet's lock is enough
	ways      map[string]*way // of these
	reviewed  *reviewing      // nil: nothing was held against reviews
	result    plans.Result
}

// Deploy brings the fleet to a revision: what is missing at the provider is
// made, systems are built and pushed, hosts are switched in waves, and what
// does not come up healthy is put back. The Result is valid with an error too;
// an error alone means that no host was touched.
func (f *Flow) Deploy(ctx context.Context, opts Options) (plans.Result, error) {
	if opts.Goal == GoalKeys {
		opts.Only = OnlyHosts
	}
	d := &deployment{flow: f, opts: opts}
	d.result = plans.Result{Version: plans.Version, Command: "deploy", Started: f.now().UTC()}
	err := d.run(ctx)
	f.conclude(&d.result, err, opts.Draining)
	return d.result, err
}

func (d *deployment) run(ctx context.Context) error {
	var nobody *hold
	early, stop := nobody.until(ctx, d.opts.Draining)
	defer stop()
	w, err := d.flow.open(early)
	if err != nil {
		return interrupted(early, err)
	}
	defer w.close()
	d.work = w
	if err := d.read(early, w); err != nil {
		return interrupted(early, err)
	}
	d.evaluator = d.flow.evaluator(d.tree.Fleet.Evaluation, filepath.Join(w.dir, "roots"))
	begun := false
	err = d.flow.locked(early, d.client, d.opts.LockTimeout, func(lock *hold) error {
		d.lock, begun = lock, true
		return d.deploy(ctx)
	})
	if !begun {
		return interrupted(early, err)
	}
	return err
}

// deploy is what happens under the fleet's lock.
func (d *deployment) deploy(ctx context.Context) error {
	early, stop := d.lock.until(ctx, d.opts.Draining)
	defer stop()
	defer func() { d.held.free(ctx, d.flow) }()
	if err := d.foresee(early); err != nil || d.result.Superseded != "" {
		return interrupted(early, err)
	}
	before := d.facts()
	if err := d.expand(ctx); err != nil {
		return err
	}
	if err := d.meet(early, unknown(before)); err != nil {
		return interrupted(early, err)
	}
	if err := d.rollout(ctx); err != nil {
		return err
	}
	if err := d.lock.check(); err != nil {
		return err
	}
	if plans.CodeOf(outcomes(d.result.Hosts)) == problem.OK {
		return d.contract(ctx)
	}
	d.leaveInPlace()
	return nil
}

// foresee is all that changes nothing: what is there, whether it may be done,
// and the building of what depends on no unknown fact, before anything is bought.
func (d *deployment) foresee(ctx context.Context) error {
	// Waiting for the lock may have taken long, and so may building.
	if over, err := d.superseded(ctx); over || err != nil {
		return err
	}
	if err := d.inspect(ctx); err != nil {
		return err
	}
	// Before anything is bought it must be certain that it can be logged in to.
	if err := d.reach(ctx); err != nil {
		return err
	}
	if err := d.checkReach(); err != nil {
		return err
	}
	if err := d.lockHosts(ctx); err != nil {
		return err
	}
	if err := d.approve(ctx); err != nil {
		return err
	}
	if err := d.evaluateAndBuild(ctx); err != nil {
		return err
	}
	_, err := d.superseded(ctx)
	return err
}

// meet makes the acquaintance of what was made, and builds what reads its
// addresses.
func (d *deployment) meet(ctx context.Context, again bool) error {
	if err := d.reach(ctx); err != nil {
		return err
	}
	if err := d.welcome(ctx); err != nil || !again {
		return err
	}
	return d.evaluateAndBuild(ctx)
}

// read gets the revision and its flotilla.yaml.
func (d *deployment) read(ctx context.Context, w *workspace) error {
	name := d.opts.Head
	if name == "" && d.opts.Plan != nil {
		name = d.opts.Plan.Head.Commit
	}
	rev, err := w.repo.Resolve(ctx, cmp.Or(name, "HEAD"))
	if err != nil {
		return err
	}
	d.result.Revision = rev
	if d.tree, err = w.mustExport(ctx, rev); err != nil {
		return err
	}
	d.result.Fleet = d.tree.Fleet.Name
	if err := planFits(d.opts.Plan, d.tree); err != nil {
		return err
	}
	if dirty, err := w.repo.Dirty(ctx); err == nil && len(dirty) > 0 && name == "" {
		d.note(progress.Evaluate, fmt.Sprintf("%d uncommitted changes are not deployed: commit %s is", len(dirty), short(rev)))
	}
	d.client, err = d.flow.mustClient(d.tree.Fleet)
	return err
}

// inspect reads the account and who the hosts are, and finds those that are meant.
func (d *deployment) inspect(ctx context.Context) error {
	d.tags, d.hosts = map[string][]string{}, map[string]plans.Deployment{}
	if d.client != nil {
		var err error
		if d.account, err = d.client.Account(ctx, d.tree.Fleet); err != nil {
			return err
		}
	}
	if d.provisions() {
		d.catalog = d.flow.catalog(ctx, d.client)
	}
	if d.opts.Only != OnlyInfra || d.opts.On.ByTag() {
		settings, deployments, err := d.evaluator.Hive(ctx, d.source())
		if err != nil {
			return relativeTo(err, d.tree.Root)
		}
		for host, dep := range deployments {
			d.tags[host] = dep.Tags
		}
		if d.opts.Only != OnlyInfra {
			if err := checkApplyAll(settings, d.opts.On); err != nil {
				return err
			}
			if err := d.choose(deployments); err != nil {
				return err
			}
		}
	}
	// A server without a host may be meant.
	if desired, actual := d.infrastructure(); len(d.hosts)+len(d.result.Hosts)+len(desired.Servers)+len(actual.Servers) == 0 {
		return selectsNothing(d.opts.On)
	}
	return nil
}

// choose picks the hosts that --on names.
func (d *deployment) choose(deployments map[string]plans.Deployment) error {
	if err := checkNames(d.tree.Fleet, d.tags); err != nil {
		return err
	}
	names, err := selectHosts(d.opts.On, d.tags)
	if err != nil {
		return err
	}
	if names, d.result.Hosts, err = withoutLocal(d.opts.On, names, deployments); err != nil {
		return err
	}
	for _, name := range names {
		d.hosts[name] = deployments[name]
	}
	return checkAddresses(d.tree.Fleet, d.hosts)
}

// reach finds out how to log in to the hosts.
func (d *deployment) reach(ctx context.Context) (err error) {
	if len(d.hosts) > 0 {
		d.targets, err = d.flow.targets(ctx, d.tree.Fleet, d.account)
	}
	return err
}

// checkReach refuses hosts that exist and could not be logged in to. What this
// deploy makes has its address and key only then.
func (d *deployment) checkReach() error {
	var failed []error
	for _, host := range slices.Sorted(maps.Keys(d.hosts)) {
		if _, err := d.targets.of(host, d.hosts[host]); err != nil && (d.opts.Only == OnlyHosts || errors.Is(err, errNoHostKey)) {
			failed = append(failed, err)
		}
	}
	return joinProblems(failed)
}

func (d *deployment) facts() fleet.Facts { return provision.Facts(d.tree.Fleet, d.account, d.leave()) }

func (d *deployment) source() nix.Source { return d.tree.source(d.facts(), true) }

// evaluateAndBuild fills systems, holds what would be done against its reviews,
// and builds. Hosts that read an address which apply will decide are evaluated,
// to find errors early, but not built.
func (d *deployment) evaluateAndBuild(ctx context.Context) error {
	if d.opts.Goal == GoalKeys {
		return d.readKeys(ctx)
	}
	var known []plans.System
	if len(d.hosts) > 0 {
		var err error
		if known, err = d.evaluate(ctx); err != nil {
			return err
		}
	}
	if err := d.review(ctx); err != nil || len(d.hosts) == 0 {
		return err
	}
	var failed []error
	for _, err := range d.evaluator.Build(ctx, known, d.flow.Sink) {
		failed = append(failed, err)
	}
	failed = append(failed, d.readKeys(ctx))
	return joinProblems(failed)
}

// evaluate fills systems, and gives those that can be built now.
func (d *deployment) evaluate(ctx context.Context) (known []plans.System, err error) {
	facts := d.facts()
	evaluations := d.evaluator.Evaluate(ctx, d.source(), slices.Sorted(maps.Keys(d.hosts)), d.flow.Sink)
	d.systems = map[string]plans.System{}
	var failed []error
	for _, host := range slices.Sorted(maps.Keys(evaluations)) {
		e := evaluations[host]
		if e.Err != nil {
			failed = append(failed, relativeTo(e.Err, d.tree.Root))
			continue
		}
		d.systems[host] = e.System
		if !readsUnknown(e.System, facts) {
			known = append(known, e.System)
		}
	}
	if d.opts.Plan != nil && len(failed) == 0 {
		failed = append(failed, otherSystems(known, *d.opts.Plan)...)
	}
	if len(failed) > 0 {
		return nil, joinProblems(failed)
	}
	return known, d.checkLockout(ctx)
}

// rollout takes the hosts through their waves.
func (d *deployment) rollout(ctx context.Context) error {
	if len(d.hosts) == 0 {
		return nil
	}
	policy := d.tree.Fleet.Rollout
	tags := map[string][]string{}
	for host, dep := range d.hosts {
		tags[host] = dep.Tags
	}
	hands, err := newHands(d)
	if err != nil {
		return err
	}
	defer hands.close(ctx)
	early, stop := d.lock.until(ctx, d.opts.Draining)
	defer stop()
	results := rollout.Run(ctx, rollout.Waves(policy.Waves, tags), d.flow.tellingEnds(d.flow.leaving(early, d.lock, rollout.Steps{
		Prepare: hands.prepare,
		Switch:  hands.switchTo,
	})), rollout.Options{
		MaxParallel:    policy.MaxParallel,
		MaxUnavailable: policy.MaxUnavailable,
		OnFailure:      policy.OnFailure,
		Draining:       early.Done(),
	})
	d.result.Hosts = append(results, d.result.Hosts...) // those that were left out come last
	return nil
}

// conclude fills in what a result ends with. draining may be nil.
func (f *Flow) conclude(result *plans.Result, err error, draining <-chan struct{}) {
	result.Duration = f.now().Sub(result.Started)
	result.Resources = append([]plans.ResourceResult{}, result.Resources...) // in JSON [] and not null
	result.Hosts = append([]plans.HostResult{}, result.Hosts...)
	result.ExitCode = codeOf(result.Hosts, draining)
	if err != nil {
		result.ExitCode = problem.Worse(result.ExitCode, problem.CodeOf(err))
		result.Failure = problem.Text(err)
	}
}

func (d *deployment) note(step progress.Step, text string) {
	progress.For(d.flow.Sink, "").Note(step, text)
}

func outcomes(hosts []plans.HostResult) []fleet.Outcome {
	var all []fleet.Outcome
	for _, h := range hosts {
		all = append(all, h.Outcome)
	}
	return all
}

// unknown tells whether a server's addresses were placeholders.
func unknown(facts fleet.Facts) bool {
	for _, s := range facts {
		if !s.Known {
			return true
		}
	}
	return false
}

// newID names a deployment: its time and the revision, readable and sortable.
func newID(now time.Time, commit string) string {
	return now.UTC().Format("20060102T150405Z") + "-" + strings.TrimSpace(fmt.Sprintf("%.8s", commit))
}

// readsUnknown tells whether a system was evaluated with an address that apply
// will decide: such a system is not the one that will be deployed.
func readsUnknown(s plans.System, facts fleet.Facts) bool {
	for name, f := range facts {
		if !f.Known && slices.Contains(s.ReadServers, name) {
			return true
		}
	}
	return false
}
