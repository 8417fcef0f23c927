// Package provision brings a provider's account in line with what the fleet
// declares: Diff says what would change, Expand creates, attaches and widens,
// Contract detaches, narrows and destroys when the hosts are well.
//
// Every attribute is compared in one place (a file per kind), which yields both
// the line of the plan and the steps that make it so: a step says in which half
// it is made, what it comes after and which resources it holds. Diff gives the
// lines; Expand and Contract run the steps of their half as a graph. What is
// found done has no step, so a run that was interrupted is simply run again.
// Nothing is destroyed by default.
//
// The package knows servers, networks and addresses, but no provider: that is a
// Provider. It neither reads flotilla.yaml nor looks at hosts.
package provision

import (
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

const defaultParallel = 10

// Options of a comparison, of Expand and of Contract.
type Options struct {
	// AllowDestroy names what may be destroyed, replaced or rebuilt: servers,
	// volumes, networks, primary IPs and load balancers, by name, or by section
	// and name ("volumes/db") where two have the same name. Other kinds hold no
	// data and no address, and need no leave.
	AllowDestroy []string

	// Rebuild and Replace name servers that are made anew although an edit of
	// what counts at creation only (image, user_data, ssh_keys, location) alone
	// does nothing. Rebuild wipes the disk and keeps addresses and place.
	Rebuild []string
	Replace []string

	// MaxUnavailable is how many servers may be off, rebuilt or replaced at a
	// time; 0: one.
	MaxUnavailable int

	// Catalog tells which server types can follow one another in place. The
	// zero Catalog knows none: then each change of a type counts as possible.
	Catalog fleet.Catalog

	// Shown is the plan that people saw. If it is not nil, nothing is rebuilt,
	// replaced or destroyed that is not in it.
	Shown []plans.Resource

	// Command is the command line that hints propose, without
	// --allow-destroy; "" is "flotilla deploy".
	Command string

	Parallel int // steps at a time; 0: ten
}

func (o Options) command() string {
	if o.Command == "" {
		return "flotilla deploy"
	}
	return o.Command
}

func (o Options) parallel() int {
	if o.Parallel <= 0 {
		return defaultParallel
	}
	return o.Parallel
}

// Changes tells whether anything happens to the resource. False is an edit
// that counts at creation only: the Resource has a Note and no attributes.
func Changes(r plans.Resource) bool {
	return r.Action != plans.Update || len(r.Attributes) > 0
}
