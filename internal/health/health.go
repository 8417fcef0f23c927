// Package health runs a host's checks until they hold or their time is over.
//
// Rule: a check that once held has to hold again at the end, together with all
// others; what a host answers is untrusted text and is kept short.
//
// Non-goals: what a failure means for the host (generation), how it is shown
// (render).
package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

const (
	firstPause = 250 * time.Millisecond // after the first try that failed, then doubled
	lastPause  = 3 * time.Second
	oneTry     = 15 * time.Second // limit of a single try
	shortTry   = 5 * time.Second  // what a try gets when the time is nearly over
	maxDetail  = 600              // bytes of an answer that are kept
)

// Session runs commands on the host.
type Session interface {
	// Run runs a program; a non-zero exit is a *process.Error.
	Run(ctx context.Context, stdin io.Reader, argv ...string) (process.Result, error)
}

// Target is the host to check.
type Target struct {
	Address string // for http and tcp
	Session Session
}

// Wait runs the checks side by side, each until it holds or its Within is
// over, and then all once more. report, which may be nil, gets each answer that
// differs from the one before; it is called from several goroutines. The
// results are in the order of checks, with the last answer of each. The error is
// a problem.Problem that names the checks that do not hold, or ctx's cause.
func Wait(ctx context.Context, checks []fleet.Check, target Target, report func(plans.CheckResult)) ([]plans.CheckResult, error) {
	results := make([]plans.CheckResult, len(checks))
	var group errgroup.Group
	for i, check := range checks {
		group.Go(func() error {
			results[i] = until(ctx, check, target, report)
			return nil
		})
	}
	_ = group.Wait() // failures are in the results
	if ctx.Err() != nil {
		return results, context.Cause(ctx)
	}
	if err := verdict(results); err != nil {
		return results, err
	}
	for i, check := range checks {
		results[i] = try(ctx, check, target, oneTry)
	}
	if ctx.Err() != nil {
		return results, context.Cause(ctx)
	}
	return results, verdict(results)
}

// until tries one check until it holds or its time is over.
func until(ctx context.Context, check fleet.Check, target Target, report func(plans.CheckResult)) plans.CheckResult {
	deadline := time.Now().Add(check.Within)
	pause := firstPause
	var last plans.CheckResult
	for {
		result := try(ctx, check, target, min(oneTry, max(time.Until(deadline), shortTry)))
		if report != nil && result != last {
			report(result)
		}
		last = result
		if result.Healthy || ctx.Err() != nil || time.Now().Add(pause).After(deadline) {
			return result
		}
		select {
		case <-ctx.Done():
			return result
		case <-time.After(pause):
		}
		pause = min(pause*2, lastPause)
	}
}

// try runs one check once.
func try(ctx context.Context, check fleet.Check, target Target, limit time.Duration) plans.CheckResult {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	result := plans.CheckResult{Name: name(check)}
	var err error
	switch {
	case check.HTTP != nil:
		err = tryHTTP(ctx, *check.HTTP, target.Address)
	case check.TCP != nil:
		err = tryTCP(ctx, check.TCP.Port, target.Address)
	case check.Command != nil:
		err = tryCommand(ctx, check.Command.Argv, target.Session)
	case check.Units != nil:
		err = tryUnits(ctx, check.Units.Active, target.Session)
	default:
		err = errors.New("the check says nothing to check")
	}
	result.Healthy = err == nil
	if err != nil {
		result.Detail = shorten(err.Error())
	}
	return result
}

// name tells a check from its neighbours.
func name(check fleet.Check) string {
	switch {
	case check.HTTP != nil:
		return "http " + check.HTTP.URL
	case check.TCP != nil:
		return fmt.Sprintf("tcp %d", check.TCP.Port)
	case check.Command != nil:
		return "command " + strings.Join(check.Command.Argv, " ")
	case check.Units != nil:
		return "units " + strings.Join(check.Units.Active, " ")
	default:
		return "empty check"
	}
}

// verdict is nil when all results are healthy.
func verdict(results []plans.CheckResult) error {
	var failed []string
	for _, r := range results {
		if !r.Healthy {
			failed = append(failed, r.Name+": "+r.Detail)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("%d of %d health checks failed", len(failed), len(results)),
		Detail:  strings.Join(failed, "\n"),
		Code:    problem.NotDeployed,
	}
}

func shorten(text string) string {
	text = strings.TrimSpace(text)
	if len(text) > maxDetail {
		return strings.ToValidUTF8(text[:maxDetail], "") + " …"
	}
	return text
}
