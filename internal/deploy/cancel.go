package deploy

import (
	"context"
	"errors"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/rollout"
)

// The first interrupt (draining) ends what changes nothing or can be left at any
// point: evaluating, building, pushing, waiting. Hosts that are being switched go
// on. When ctx ends, too, these are put back; Flow.CancelGrace later nobody
// waits for that any more: whoever runs us kills us soon. What is on the host is
// safe without us.

// interrupted tells how early work (hold.until) ended: by its own error, for
// the lost lock, or by the interrupt.
func interrupted(early context.Context, err error) error {
	if err == nil || early.Err() == nil {
		return err
	}
	var p *problem.Problem
	if cause := context.Cause(early); errors.As(cause, &p) {
		return cause
	}
	return &problem.Problem{
		Summary: "interrupted before a host was touched",
		Hints:   []string{"Run it again: it goes on from what exists."},
		Code:    problem.Cancelled,
	}
}

// isClosed tells whether an interrupt has come.
func isClosed(draining <-chan struct{}) bool {
	select {
	case <-draining:
		return true
	default:
		return false
	}
}

// afterwards gives a context for what is tidied up also after a cancel.
func (f *Flow) afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	if f.CancelGrace == 0 {
		return lasting, cancel
	}
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(f.CancelGrace, cancel)
		context.AfterFunc(lasting, func() { timer.Stop() })
	})
	return lasting, func() {
		stop()
		cancel()
	}
}

// leaving gives steps that end soon after a cancel, whose preparations end with
// early, and that begin no switch without the lock. What a host was in the
// middle of is said, not guessed.
func (f *Flow) leaving(early context.Context, lock *hold, steps rollout.Steps) rollout.Steps {
	return rollout.Steps{
		Prepare: func(ctx context.Context, host string) *plans.HostResult {
			result := soon(ctx, f.CancelGrace, func() *plans.HostResult { return steps.Prepare(early, host) },
				func() *plans.HostResult { return &plans.HostResult{Host: host, Outcome: fleet.Failed} })
			if result != nil && early.Err() != nil && (result.Outcome == fleet.Failed || result.Outcome == fleet.Unknown) {
				result.Outcome, result.NotBegun = fleet.Failed, true
				result.Reason = "not begun: the run was interrupted"
			}
			return result
		},
		Switch: func(ctx context.Context, host string) plans.HostResult {
			if err := lock.confirm(ctx); err != nil {
				return plans.HostResult{Host: host, Outcome: fleet.Failed, NotBegun: true, Reason: "not begun: " + oneLine(err)}
			}
			return soon(ctx, f.CancelGrace, func() plans.HostResult { return steps.Switch(ctx, host) },
				func() plans.HostResult {
					return plans.HostResult{
						Host: host, Outcome: fleet.Unknown,
						Reason: "the run was cancelled while the host was being switched: its guard puts it back unless the switch was confirmed; the next run settles it and tells",
					}
				})
		},
	}
}

// soon gives what do gives, or, grace after ctx has ended, what is said instead
// of it: do goes on as long as the program lives. Without a grace do is waited for.
func soon[T any](ctx context.Context, grace time.Duration, do, instead func() T) T {
	if grace == 0 {
		return do()
	}
	done := make(chan T, 1)
	go func() { done <- do() }()
	select {
	case result := <-done:
		return result
	case <-ctx.Done():
	}
	select {
	case result := <-done:
		return result
	case <-time.After(grace):
		return instead()
	}
}

// provided is what came of work at the provider.
type provided struct {
	account   fleet.Account
	resources []plans.ResourceResult
	err       error
}

// providing gives what do gives, or, soon after a cancel, that the end of the
// changes is not known. What the provider was told to do it does without us.
func (f *Flow) providing(ctx context.Context, changes []plans.Resource, do func() provided) provided {
	return soon(ctx, f.CancelGrace, do, func() provided {
		p := provided{err: &problem.Problem{
			Summary: "cancelled while the provider was at work: what became of it is not known",
			Hints:   []string{"Run it again: it reads what exists, and goes on from there."},
			Code:    problem.Cancelled,
		}}
		for _, c := range changes {
			if provision.Changes(c) {
				p.resources = append(p.resources, plans.ResourceResult{Resource: c, Error: "not known: the run was cancelled before it was told"})
			}
		}
		return p
	})
}

// codeOf gives the exit code that hosts ask for. What an interrupt kept from
// being begun is cancelled and not failed.
func codeOf(hosts []plans.HostResult, draining <-chan struct{}) problem.Code {
	code := problem.OK
	for _, h := range hosts {
		of := plans.CodeOf([]fleet.Outcome{h.Outcome})
		if h.NotBegun && isClosed(draining) {
			of = problem.Cancelled
		}
		code = problem.Worse(code, of)
	}
	return code
}
