package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// run carries out a list of changes and keeps what became of each.
type run struct {
	provider Provider
	desired  fleet.Fleet
	actual   fleet.Account
	options  Options
	sink     progress.Sink

	mu      sync.Mutex
	results []plans.ResourceResult // in the plan's order
	errs    []error
	keys    map[string]int64 // IDs by name, as far as they exist
	nets    map[string]fleet.AccountNetwork
}

func newRun(p Provider, desired fleet.Fleet, actual fleet.Account, o Options, sink progress.Sink) *run {
	r := &run{
		provider: p, desired: desired, actual: actual, options: o, sink: sink,
		keys: map[string]int64{}, nets: map[string]fleet.AccountNetwork{},
	}
	for name, k := range actual.SSHKeys {
		r.keys[name] = k.ID
	}
	for name, n := range actual.Networks {
		r.nets[name] = n
	}
	return r
}

// plan sets the changes that are this run's business.
func (r *run) plan(resources []plans.Resource) {
	for _, resource := range resources {
		r.results = append(r.results, plans.ResourceResult{Resource: resource})
	}
}

// each makes the changes that pick chooses, several at a time; changes with
// the same key one after another. It returns when all have ended. Nothing
// begins after something has failed before, or ctx has ended.
func (r *run) each(ctx context.Context, pick func(plans.Resource) bool, key func(plans.Resource) string,
	change func(context.Context, plans.Resource) error,
) {
	if r.failed() {
		return
	}
	lanes := map[string][]int{}
	var order []string
	for i, result := range r.results {
		if !pick(result.Resource) || result.Error != "" {
			continue
		}
		k := key(result.Resource)
		if _, ok := lanes[k]; !ok {
			order = append(order, k)
		}
		lanes[k] = append(lanes[k], i)
	}
	var group errgroup.Group // without a shared context: what has begun is brought to its end
	group.SetLimit(r.options.parallel())
	for _, k := range order {
		group.Go(func() error {
			r.lane(ctx, lanes[k], change)
			return nil
		})
	}
	_ = group.Wait() // the lanes keep their errors themselves
	if err := ctx.Err(); err != nil && !r.failed() {
		r.errs = append(r.errs, &problem.Problem{Summary: "interrupted", Cause: err, Code: problem.Cancelled})
	}
}

// lane makes changes one after the other, until one fails or ctx ends.
func (r *run) lane(ctx context.Context, changes []int, change func(context.Context, plans.Resource) error) {
	for _, i := range changes {
		if ctx.Err() != nil || !r.one(ctx, i, change) {
			return
		}
	}
}

func (r *run) one(ctx context.Context, i int, change func(context.Context, plans.Resource) error) bool {
	resource := r.results[i].Resource
	err := progress.For(r.sink, resource.Name).Do(progress.Provision, func() error { return change(ctx, resource) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.results[i].Error = err.Error()
		r.errs = append(r.errs, err)
		return false
	}
	r.results[i].Done = true
	return true
}

func (r *run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errs) > 0
}

// err joins what went wrong, and ends with what was done and what was not.
func (r *run) err(refused []error) error {
	if len(r.errs) == 0 {
		return errors.Join(refused...)
	}
	var done, not []string
	for _, result := range r.results {
		text := fmt.Sprintf("%s %s", kindName(result.Kind), result.Name)
		switch {
		case result.Done:
			done = append(done, text+" "+participle(result.Action))
		default:
			not = append(not, text)
		}
	}
	summary := &problem.Problem{
		Summary: "the infrastructure is not what the fleet declares",
		Detail:  "Done: " + list(done) + ".\nNot done: " + list(not) + ".",
		Hints:   []string{"Nothing was undone. Run the same command again: it goes on from what exists and makes nothing twice."},
		Code:    problem.Failed,
	}
	for _, err := range r.errs {
		if errors.Is(err, context.Canceled) {
			summary.Code = problem.Cancelled
		}
	}
	return errors.Join(append(append(r.errs, refused...), summary)...)
}

func list(items []string) string {
	if len(items) == 0 {
		return "nothing"
	}
	return strings.Join(items, ", ")
}

func byName(r plans.Resource) string { return string(r.Kind) + " " + r.Name }

func ofKind(kinds ...plans.ResourceKind) func(plans.Resource) bool {
	return func(r plans.Resource) bool {
		for _, k := range kinds {
			if r.Kind == k {
				return true
			}
		}
		return false
	}
}

// splitSubnet gives network and range of a subnet's name.
func splitSubnet(name string) (network, ipRange string) {
	i := strings.Index(name, "/")
	return name[:i], name[i+1:]
}

func inNetwork(r plans.Resource) string {
	network, _ := splitSubnet(r.Name)
	return network
}
