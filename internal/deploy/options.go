package deploy

import (
	"context"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Options say what to deploy and what is allowed.
type Options struct {
	Head         string // revision; "": HEAD, or that of Plan
	On           fleet.Selector
	Only         Only
	Goal         Goal
	AllowDestroy []string // resources that may be destroyed, replaced or rebuilt
	Rebuild      []string // servers whose disk is made anew; naming them is the leave for it
	Replace      []string // servers that are made anew; naming them is the leave for it
	AllowLockout []string // hosts that are tried although the deploy could not log in to their new system, as far as that is known
	RetryBad     bool     // try a system again that was put back before
	// AcceptRunning deploys although the host runs something else than its boot default.
	AcceptRunning bool
	// Plan is what people looked at: nothing is done that it does not show.
	Plan *plans.Plan
	// LockTimeout is how long to wait for a fleet's lock that another run holds.
	LockTimeout time.Duration
	// Approve is asked once, with what will happen, before anything is changed.
	Approve func(Intent) error
	// Reviews tells what the merged pull requests have shown that lead from
	// deployed revisions (full hashes; none: nothing is known to be deployed) to
	// the head. It is asked under the fleet's lock, once for each deployed revision
	// from which anything would change; what nobody has seen is refused. An error
	// refuses, too. nil: nothing is checked.
	Reviews func(ctx context.Context, deployed []string, head string) (plans.Reviewed, error)
	// Superseded is asked under the fleet's lock, before anything is changed, for
	// a newer commit whose deploy takes this one's place: then this one ends well
	// without doing anything. An error of the code problem.Refused (a job that was
	// run again is older than what is deployed) refuses the deploy, any other is
	// noted. nil: nothing is newer.
	Superseded func(ctx context.Context) (newer string, err error)
	// Confirm is the leave of somebody who was told: what was not reviewed is told
	// again and done, and Superseded is not asked.
	Confirm bool
	// Draining ends when no further host, and nothing more at the provider, may
	// begin (first interrupt).
	Draining <-chan struct{}
}

// Only limits a plan or a deploy to one half.
type Only string

// The halves.
const (
	Everything Only = ""
	OnlyInfra  Only = "infra" // resources at the provider; the hive is not looked at
	OnlyHosts  Only = "hosts" // systems on servers that exist
)

// Goal is how far hosts are taken.
type Goal string

// The goals.
const (
	GoalSwitch Goal = ""     // all the way
	GoalKeys   Goal = "keys" // deployment.keys alone: nothing is built, bought or switched
)

// Intent is what a command is about to do.
type Intent struct {
	Fleet     string
	Revision  plans.Revision
	Resources []plans.Resource
	Cost      *plans.Cost // nil: not known
	Warnings  []plans.Gap
	Hosts     []string
}
