package deploy

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

// Options say what to deploy and what is allowed.
type Options struct {
	Head         string // revision; "": HEAD
	On           fleet.Selector
	AllowDestroy []string // resources that may be destroyed, replaced or rebuilt
	Rebuild      []string // servers whose disk is made anew
	Replace      []string // servers that are made anew
	RetryBad     bool     // try a system again that was put back before
	// AcceptRunning deploys although the host runs something else than its boot default.
	AcceptRunning bool
	// Approve is asked once, with what will happen, before anything is changed.
	Approve func(Intent) error
	// Draining ends when no further host may begin (first interrupt).
	Draining <-chan struct{}
}

// Intent is what a deploy is about to do.
type Intent struct {
	Revision  plans.Revision
	Resources []plans.Resource
	Hosts     []string
}

// deployment is one run of Deploy, filled in from top to bottom.
type deployment struct {
	flow      *Flow
	opts      Options
	tree      tree
	evaluator *nix.Evaluator
	client    *hetzner.Client // nil: no provider
	mu        sync.Mutex      // guards account while servers are welcomed
	account   fleet.Account
	tags      map[string][]string         // of all hosts
	hosts     map[string]plans.Deployment // selected
	systems   map[string]plans.System
	targets   *targets
	result    plans.Result
}

// Deploy brings the fleet to a revision: what is missing at the provider is
// made, systems are built and pushed, hosts are switched in waves, and what
// does not come up healthy is put back. The Result is valid with an error too;
// an error alone means that no host was touched.
func (f *Flow) Deploy(ctx context.Context, opts Options) (plans.Result, error) {
	d := &deployment{flow: f, opts: opts}
	d.result = plans.Result{Version: plans.Version, Command: "deploy", Started: f.now().UTC()}
	err := d.run(ctx)
	d.result.Duration = f.now().Sub(d.result.Started)
	d.result.ExitCode = d.exitCode(err)
	if err != nil {
		d.result.Failure = problem.Text(err)
	}
	return d.result, err
}

func (d *deployment) run(ctx context.Context) error {
	w, err := d.flow.open(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	d.evaluator = d.flow.evaluator(filepath.Join(w.dir, "roots"))
	if err := d.read(ctx, w); err != nil {
		return err
	}
	if err := d.inspect(ctx); err != nil {
		return err
	}
	// Before anything is bought it must be certain that it can be logged in to.
	if d.targets, err = d.flow.targets(ctx, d.tree.Fleet, d.account); err != nil {
		return err
	}
	desired, actual := d.infrastructure()
	changes := provision.Diff(desired, actual, d.leave())
	if err := provision.Check(desired, actual, d.leave()); err != nil {
		return err
	}
	if d.opts.Approve != nil {
		if err := d.opts.Approve(Intent{Revision: d.tree.Revision, Resources: changes, Hosts: slices.Sorted(maps.Keys(d.hosts))}); err != nil {
			return err
		}
	}
	// What depends on no unknown fact is built before anything is bought.
	if err := d.evaluateAndBuild(ctx); err != nil {
		return err
	}
	before := provision.Facts(d.tree.Fleet, d.account, d.leave())
	if err := d.expand(ctx); err != nil {
		return err
	}
	if d.targets, err = d.flow.targets(ctx, d.tree.Fleet, d.account); err != nil {
		return err
	}
	if err := d.welcome(ctx); err != nil {
		return err
	}
	if unknown(before) {
		if err := d.evaluateAndBuild(ctx); err != nil {
			return err
		}
	}
	if err := d.rollout(ctx); err != nil {
		return err
	}
	if plans.CodeOf(outcomes(d.result.Hosts)) == problem.OK {
		return d.contract(ctx)
	}
	d.leaveInPlace()
	return nil
}

// read gets the revision, its flotilla.yaml and its hosts.
func (d *deployment) read(ctx context.Context, w *workspace) error {
	name := d.opts.Head
	if name == "" {
		name = "HEAD"
	}
	rev, err := w.repo.Resolve(ctx, name)
	if err != nil {
		return err
	}
	d.result.Revision = rev
	if d.tree, err = w.mustExport(ctx, rev); err != nil {
		return err
	}
	d.result.Fleet = d.tree.Fleet.Name
	if dirty, err := w.repo.Dirty(ctx); err == nil && len(dirty) > 0 && d.opts.Head == "" {
		d.note(progress.Evaluate, fmt.Sprintf("%d uncommitted changes are not deployed: commit %s is", len(dirty), short(rev)))
	}
	return nil
}

// inspect reads the account and the hosts' deployment settings.
func (d *deployment) inspect(ctx context.Context) error {
	var err error
	if d.client, err = d.flow.mustClient(d.tree.Fleet); err != nil {
		return err
	}
	if d.client != nil {
		if d.account, err = d.client.Account(ctx, d.tree.Fleet); err != nil {
			return err
		}
	}
	deployments, err := d.evaluator.Hosts(ctx, d.source())
	if err != nil {
		return relativeTo(err, d.tree.Root)
	}
	d.tags = map[string][]string{}
	for host, dep := range deployments {
		d.tags[host] = dep.Tags
	}
	if err := checkNames(d.tree.Fleet, d.tags); err != nil {
		return err
	}
	names, err := selectHosts(d.opts.On, d.tags)
	if err != nil {
		return err
	}
	// A server without a host may be meant.
	if desired, actual := d.infrastructure(); len(names)+len(desired.Servers)+len(actual.Servers) == 0 {
		if err := selectsNothing(d.opts.On); err != nil {
			return err
		}
	}
	d.hosts = map[string]plans.Deployment{}
	for _, name := range names {
		d.hosts[name] = deployments[name]
	}
	return checkAddresses(d.tree.Fleet, d.hosts)
}

func (d *deployment) source() nix.Source {
	return d.tree.source(provision.Facts(d.tree.Fleet, d.account, d.leave()), true)
}

// evaluateAndBuild fills systems and builds them. Hosts that read an address
// which apply will decide are evaluated, to find errors early, but not built.
func (d *deployment) evaluateAndBuild(ctx context.Context) error {
	facts := provision.Facts(d.tree.Fleet, d.account, d.leave())
	evaluations := d.evaluator.Evaluate(ctx, d.source(), slices.Sorted(maps.Keys(d.hosts)), d.flow.Sink)
	d.systems = map[string]plans.System{}
	var known []plans.System
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
	if len(failed) > 0 {
		return joinProblems(failed)
	}
	for _, err := range d.evaluator.Build(ctx, known, d.flow.Sink) {
		failed = append(failed, err)
	}
	return joinProblems(failed)
}

// expand makes what is missing at the provider.
func (d *deployment) expand(ctx context.Context) error {
	if d.client == nil {
		return nil
	}
	desired, actual := d.infrastructure()
	account, resources, err := provision.Expand(ctx, d.client, desired, actual, d.leave(), d.flow.Sink)
	d.result.Resources = append(d.result.Resources, resources...)
	if err != nil {
		return err
	}
	if len(resources) > 0 {
		d.account = account
	}
	return nil
}

// infrastructure gives what is declared and what exists, without the servers
// of hosts that --on leaves out.
func (d *deployment) infrastructure() (fleet.Fleet, fleet.Account) {
	return limit(d.opts.On, d.tags, d.tree.Fleet, d.account)
}

func limit(on fleet.Selector, tags map[string][]string, desired fleet.Fleet, actual fleet.Account) (fleet.Fleet, fleet.Account) {
	desired.Servers, actual.Servers = maps.Clone(desired.Servers), maps.Clone(actual.Servers)
	maps.DeleteFunc(desired.Servers, func(name string, _ fleet.Server) bool { return !on.Match(name, tags[name]) })
	maps.DeleteFunc(actual.Servers, func(name string, _ fleet.AccountServer) bool { return !on.Match(name, tags[name]) })
	return desired, actual
}

// leaveInPlace tells what a rollout that is not healthy keeps from being removed.
func (d *deployment) leaveInPlace() {
	desired, actual := d.infrastructure()
	for _, r := range provision.Diff(desired, actual, d.leave()) {
		if r.Action == plans.Destroy {
			d.result.Resources = append(d.result.Resources, plans.ResourceResult{Resource: r, Error: "left in place: not every host was deployed"})
		}
	}
}

// leave says what may be destroyed.
func (d *deployment) leave() provision.Options {
	return provision.Options{
		AllowDestroy: d.opts.AllowDestroy, Rebuild: d.opts.Rebuild, Replace: d.opts.Replace,
		MaxUnavailable: d.tree.Fleet.Rollout.MaxUnavailable,
	}
}

// contract removes what is no longer declared, only after a healthy rollout.
func (d *deployment) contract(ctx context.Context) error {
	if d.client == nil {
		return nil
	}
	desired, actual := d.infrastructure()
	resources, err := provision.Contract(ctx, d.client, desired, actual, d.leave(), d.flow.Sink)
	d.result.Resources = append(d.result.Resources, resources...)
	return err
}

// rollout takes the hosts through their waves.
func (d *deployment) rollout(ctx context.Context) error {
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
	d.result.Hosts = rollout.Run(ctx, rollout.Waves(policy.Waves, tags), rollout.Steps{
		Prepare: hands.prepare,
		Switch:  hands.switchTo,
	}, rollout.Options{
		MaxParallel:    policy.MaxParallel,
		MaxUnavailable: policy.MaxUnavailable,
		OnFailure:      policy.OnFailure,
		Draining:       d.opts.Draining,
	})
	return nil
}

func (d *deployment) exitCode(err error) problem.Code {
	code := plans.CodeOf(outcomes(d.result.Hosts))
	if err != nil {
		code = problem.Worse(code, problem.CodeOf(err))
	}
	return code
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
