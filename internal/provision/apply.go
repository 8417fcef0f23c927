package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Expand creates, attaches and widens what desired has and actual has not,
// makes the changes for which servers are switched off, and the rebuilds and
// replacements that Options allow (they keep their names, so the old one has to
// go first). If one of its changes is refused, nothing is made.
//
// It returns the account as it is afterwards, read back, and what became of
// each change. On an error the account is what was last read.
func Expand(ctx context.Context, p Provider, desired fleet.Fleet, actual fleet.Account, o Options, sink progress.Sink) (
	fleet.Account, []plans.ResourceResult, error,
) {
	d := compare(desired, actual, o)
	r := newRun(p, d, expand, sink)
	refused := slices.Clone(d.refused)
	for i, c := range d.changes {
		if r.results[i].ours && len(c.refused) > 0 {
			r.results[i].Error = c.refused[0].Error()
			refused = append(refused, c.refused...)
		}
	}
	nodes, err := graph(d.changes, expand, func(int) bool { return false })
	if refused = append(refused, err); errors.Join(refused...) != nil {
		return actual, r.outcome(), errors.Join(refused...)
	}
	if len(nodes) == 0 {
		return actual, nil, nil
	}
	if err := d.orderable(ctx, p); err != nil {
		return actual, r.outcome(), err
	}
	r.do(ctx, nodes)
	if r.failed() {
		return actual, r.outcome(), r.err(nil)
	}
	after, err := r.readBack(ctx, desired)
	if err != nil {
		return actual, r.outcome(), err
	}
	return after, r.outcome(), nil
}

// orderable finds out what would keep new servers from being ordered (a type, a
// location, an image that does not exist) before anything is made beside them.
func (d *comparison) orderable(ctx context.Context, p Provider) error {
	var failed []error
	checked := map[string]bool{} // equal orders once
	for _, c := range d.changes {
		if c.Kind != plans.KindServer || c.Action != plans.Create {
			continue
		}
		s := d.desired.Servers[c.Name]
		order := fmt.Sprintf("%q %q %q %q", s.ServerType, s.FallbackTypes, s.Locations, s.Image)
		if !checked[order] {
			checked[order] = true
			failed = append(failed, p.CheckOrder(ctx, s))
		}
	}
	return errors.Join(failed...)
}

// Contract detaches, narrows and destroys what actual has and desired has not.
// Call it only when the hosts are well. What must not be destroyed is left in
// place and refused (a Problem with code Refused each, with the command line
// that allows it), and so is what waits for that; the rest is done.
func Contract(ctx context.Context, p Provider, desired fleet.Fleet, actual fleet.Account, o Options, sink progress.Sink) (
	[]plans.ResourceResult, error,
) {
	o.Rebuild, o.Replace = nil, nil // that was Expand's
	d := compare(desired, actual, o)
	r := newRun(p, d, contract, sink)
	refused := slices.Clone(d.refused)
	left := map[int]bool{}
	for i, c := range d.changes {
		if r.results[i].ours && len(c.refused) > 0 {
			left[i] = true
			r.results[i].Error = c.refused[0].Error()
			refused = append(refused, c.refused...)
		}
	}
	for _, blocked := range leftBehind(d.changes, left) {
		left[blocked.change] = true
		reason := blocked.problem(d.changes)
		r.results[blocked.change].Error = reason.Error()
		refused = append(refused, reason)
	}
	nodes, err := graph(d.changes, contract, func(i int) bool { return left[i] })
	if err != nil {
		return r.outcome(), errors.Join(append(refused, err)...)
	}
	r.do(ctx, nodes)
	return r.outcome(), r.err(refused)
}

// blocked is a change that waits for one that is left out.
type blocked struct{ change, by int }

// leftBehind finds what waits for changes that are left out, and what waits for
// that in turn.
func leftBehind(changes []*change, out map[int]bool) []blocked {
	givers := map[string][]int{}
	for i, c := range changes {
		_, steps := c.in(contract)
		for _, s := range steps {
			for _, word := range s.gives {
				givers[word] = append(givers[word], i)
			}
		}
	}
	left := map[int]bool{}
	for i := range out {
		left[i] = true
	}
	var all []blocked
	for again := true; again; {
		again = false
		for i, c := range changes {
			if left[i] {
				continue
			}
			if by := waitsFor(c, givers, left, i); by >= 0 {
				left[i], again = true, true
				all = append(all, blocked{i, by})
			}
		}
	}
	slices.SortFunc(all, func(a, b blocked) int { return a.change - b.change })
	return all
}

// waitsFor gives a change that is left out and that c waits for, -1 if none.
func waitsFor(c *change, givers map[string][]int, left map[int]bool, self int) int {
	_, steps := c.in(contract)
	for _, s := range steps {
		for _, word := range s.after {
			for _, giver := range givers[word] {
				if giver != self && left[giver] {
					return giver
				}
			}
		}
	}
	return -1
}

func (b blocked) problem(changes []*change) *problem.Problem {
	c, by := changes[b.change], changes[b.by]
	return &problem.Problem{
		Summary: kindName(c.Kind) + " " + quote(c.Name) + " is left in place: " + kindName(by.Kind) + " " + quote(by.Name) + " still has to do with it",
		Detail:  "That one is not " + participle(by.Action) + "; the reason stands above.",
		Hints:   []string{"Run again when that is settled."},
		Code:    problem.Refused,
	}
}
