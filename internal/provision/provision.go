// Package provision brings a provider's account in line with what the fleet
// declares: Diff says what would change, Expand creates, attaches and widens,
// Contract detaches, narrows and destroys when the hosts are well.
//
// Diff, Applied and Facts are pure. Expand and Contract carry out what Diff
// says and nothing else; what they find done, they leave alone, so a run that
// was interrupted is simply run again. Nothing is destroyed by default.
//
// The package knows servers, networks, subnets and keys, but no provider: that
// is a Provider. It neither reads flotilla.yaml nor looks at hosts.
package provision

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// Provider makes changes at a provider. Every method waits until its change
// has taken effect. Creating what exists and is the fleet's, and deleting what
// is gone, succeeds. Errors are problem.Problems.
type Provider interface {
	Account(ctx context.Context, f fleet.Fleet) (fleet.Account, error)

	CreateSSHKey(ctx context.Context, name string, key fleet.SSHKey) (int64, error)
	UpdateSSHKeyLabels(ctx context.Context, id int64, labels map[string]string) error
	DeleteSSHKey(ctx context.Context, id int64) error

	CreateNetwork(ctx context.Context, name string, n fleet.Network) (int64, error) // with its subnets
	WidenNetwork(ctx context.Context, id int64, ipRange string) error
	UpdateNetworkLabels(ctx context.Context, id int64, labels map[string]string) error
	DeleteNetwork(ctx context.Context, id int64) error
	AddSubnet(ctx context.Context, networkID int64, s fleet.Subnet) error
	DeleteSubnet(ctx context.Context, networkID int64, s fleet.Subnet) error

	CreateServer(ctx context.Context, order fleet.ServerOrder, userData secret.String) (fleet.AccountServer, error)
	UpdateServerLabels(ctx context.Context, id int64, labels map[string]string) error
	SetProtection(ctx context.Context, kind plans.ResourceKind, id int64, on bool) error
	AttachNetwork(ctx context.Context, serverID, networkID int64, at fleet.Attachment) error
	DetachNetwork(ctx context.Context, serverID, networkID int64) error
	DeleteServer(ctx context.Context, id int64) error
}

const defaultParallel = 10

// Options of Expand and Contract.
type Options struct {
	// AllowDestroy names the servers and networks that may be destroyed or
	// replaced. Keys, subnets and attachments hold no data and need no leave.
	AllowDestroy []string

	// Rebuild and Replace name servers that are made anew although an edit of
	// what counts at creation only (image, user_data, ssh_keys, location) alone
	// does nothing. Rebuild wipes the disk and keeps addresses and place.
	Rebuild []string
	Replace []string

	// MaxUnavailable is how many servers may be powered off or rebuilt at a
	// time; 0: one.
	MaxUnavailable int

	// Shown is the plan that people saw. If it is not nil, nothing is replaced
	// or destroyed that is not replaced or destroyed in it.
	Shown []plans.Resource

	// Command is the command line that hints propose, without
	// --allow-destroy; "" is "flotilla deploy".
	Command string

	Parallel int // changes at a time; 0: ten
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
