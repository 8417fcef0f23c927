package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// grace is how long a step that has begun may go on when the run is cancelled:
// a server that is off has to get back on.
const grace = 10 * time.Minute

// run carries out one half of a list of changes and keeps what became of each.
type run struct {
	provider Provider
	options  Options
	sink     progress.Sink
	changes  []*change
	phase    phase

	mu      sync.Mutex
	ids     map[ref]int64
	on      map[string]bool // servers that a change of type has started again
	results []result        // one per change
	errs    []error
}

// result is what became of one change.
type result struct {
	plans.ResourceResult
	left  int  // steps that are not done
	some  bool // a step of it is done
	begun bool // something of it was begun
	ours  bool // it has steps in this half
}

func newRun(p Provider, d *comparison, ph phase, sink progress.Sink) *run {
	r := &run{
		provider: p, options: d.options, sink: sink, changes: d.changes, phase: ph,
		ids: ids(d.actual), on: map[string]bool{}, results: make([]result, len(d.changes)),
	}
	for i, c := range d.changes {
		resource, steps := c.in(ph)
		ours := len(steps) > 0
		if ph == expand && len(c.refused) > 0 { // what is refused as a whole is so before anything is made
			_, later := c.in(contract)
			ours = ours || len(later) == 0
		}
		r.results[i] = result{ResourceResult: plans.ResourceResult{Resource: resource}, left: len(steps), ours: ours}
	}
	return r
}

// id is the provider's ID of a resource that exists by now.
func (r *run) id(k plans.ResourceKind, name string) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ids[ref{k, name}]
}

// made keeps the ID of what was made.
func (r *run) made(k plans.ResourceKind, name string, id int64, err error) error {
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[ref{k, name}] = id
	return nil
}

// running notes that a server that was switched off runs again.
func (r *run) running(server string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on[server] = true
}

// do runs the nodes: each when all before it are done, and never two that hold
// the same resource. Nothing begins after something has failed or ctx has
// ended; what has begun is brought to its end.
func (r *run) do(ctx context.Context, nodes []*node) {
	s := newSchedule(nodes, r.options)
	ended := make(chan int)
	for !s.finished() {
		for _, n := range s.startable(ctx.Err() != nil || r.failed()) {
			r.begin(nodes[n])
			go func() {
				r.node(ctx, nodes[n])
				ended <- n
			}()
		}
		if s.idle() {
			break
		}
		s.end(<-ended)
	}
	if s.finished() || r.failed() {
		return
	}
	if err := ctx.Err(); err != nil {
		r.errs = append(r.errs, &problem.Problem{Summary: "interrupted", Cause: err, Code: problem.Cancelled})
		return
	}
	r.errs = append(r.errs, errors.New("steps are left that nothing lets begin: this is an error in Flotilla, please report it"))
}

// node does one node's steps.
func (r *run) node(ctx context.Context, n *node) {
	ctx, cancel := lasting(ctx, grace)
	defer cancel()
	if n.cycle != "" {
		r.powerCycle(ctx, n)
		return
	}
	r.end(n.steps[0], r.step(ctx, n.steps[0]))
}

func (r *run) step(ctx context.Context, s owned) error {
	if s.do == nil {
		return nil
	}
	return s.do(ctx, r)
}

// powerCycle switches a server off, makes its changes, and switches it on
// again whatever became of them.
func (r *run) powerCycle(ctx context.Context, n *node) {
	id := r.id(plans.KindServer, n.cycle)
	if err := r.provider.PowerOff(ctx, id); err != nil { // it may be off all the same
		r.end(n.steps[0], errors.Join(err, r.provider.PowerOn(ctx, id)))
		return
	}
	var failed error
	done := 0
	for ; done < len(n.steps) && failed == nil; done++ {
		failed = r.step(ctx, n.steps[done])
	}
	r.mu.Lock()
	on := r.on[n.cycle]
	r.mu.Unlock()
	var unlit error
	if !on {
		unlit = r.provider.PowerOn(ctx, id)
	}
	for i, s := range n.steps[:done] {
		if i == done-1 { // the last one that was begun answers for all
			r.end(s, errors.Join(failed, unlit))
		} else {
			r.end(s, nil)
		}
	}
}

// lasting is a context that outlives its parent for a while.
func lasting(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(parent))
	stop := context.AfterFunc(parent, func() {
		timer := time.AfterFunc(d, cancel)
		context.AfterFunc(ctx, func() { timer.Stop() })
	})
	return ctx, func() {
		stop()
		cancel()
	}
}

// begin tells that something of a node's changes begins.
func (r *run) begin(n *node) {
	for _, s := range n.steps {
		r.mu.Lock()
		first := !r.results[s.change].begun
		r.results[s.change].begun = true
		r.mu.Unlock()
		if first {
			r.emit(s.change, progress.Begin, "")
		}
	}
}

// end keeps what became of a step.
func (r *run) end(s owned, err error) {
	r.mu.Lock()
	result := &r.results[s.change]
	if err != nil {
		result.Error = err.Error()
		r.errs = append(r.errs, err)
	} else {
		result.left--
		result.some = true
	}
	result.Done = result.left == 0
	done := result.Done
	r.mu.Unlock()
	switch {
	case err != nil:
		r.emit(s.change, progress.Fail, err.Error())
	case done:
		r.emit(s.change, progress.End, "")
	}
}

func (r *run) emit(change int, kind progress.Kind, text string) {
	c := r.changes[change]
	subject := c.Name
	if c.Kind != plans.KindServer {
		subject = c.ref().String()
	}
	if r.sink != nil {
		r.sink.Event(progress.Event{Time: time.Now().UTC(), Kind: kind, Step: progress.Provision, Host: subject, Text: text})
	}
}

func (r *run) failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.errs) > 0
}

// outcome gives what became of the changes of this half, in the plan's order.
func (r *run) outcome() []plans.ResourceResult {
	var all []plans.ResourceResult
	for _, result := range r.results {
		if !result.ours {
			continue
		}
		if result.some && !result.Done && result.Error == "" {
			result.Error = "done in part: something else failed, or it was interrupted"
		}
		all = append(all, result.ResourceResult)
	}
	return all
}

// err joins what went wrong, and ends with what was done and what was not.
func (r *run) err(refused []error) error {
	if len(r.errs) == 0 {
		return errors.Join(refused...)
	}
	var done, part, not []string
	for _, result := range r.results {
		text := fmt.Sprintf("%s %s", kindName(result.Kind), result.Name)
		switch {
		case !result.ours:
		case result.Done:
			done = append(done, text+" "+participle(result.Action))
		case result.some:
			part = append(part, text)
		default:
			not = append(not, text)
		}
	}
	detail := "Done: " + orNothing(done) + "."
	if len(part) > 0 {
		detail += "\nDone in part: " + strings.Join(part, ", ") + "."
	}
	again := "run the same command again"
	if len(r.options.Rebuild)+len(r.options.Replace) > 0 {
		again += " without the --rebuild and --replace of what is done"
	}
	summary := &problem.Problem{
		Summary: "the infrastructure is not what the fleet declares",
		Detail:  detail + "\nNot done: " + orNothing(not) + ".",
		Hints:   []string{"Nothing was undone. When the cause is mended, " + again + ": it goes on from what exists and makes nothing twice."},
		Code:    problem.Failed,
	}
	for _, err := range r.errs {
		if errors.Is(err, context.Canceled) {
			summary.Hints = []string{"Nothing was undone. To go on, " + again + ": it makes nothing twice."}
			summary.Code = problem.Cancelled
		}
	}
	return errors.Join(append(append(r.errs, refused...), summary)...)
}

func orNothing(items []string) string {
	if len(items) == 0 {
		return "nothing"
	}
	return strings.Join(items, ", ")
}

// readBack reads the account after changes.
func (r *run) readBack(ctx context.Context, desired fleet.Fleet) (fleet.Account, error) {
	after, err := r.provider.Account(ctx, desired)
	if err != nil {
		return fleet.Account{}, fmt.Errorf("reading back what was made: %w", err)
	}
	return after, nil
}
