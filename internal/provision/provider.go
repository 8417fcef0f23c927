package provision

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// Provider makes changes at a provider. Every method waits until its change
// has taken effect. Creating what exists already and is the fleet's (an answer
// was lost), and deleting or detaching what is gone, succeeds. IDs are the
// provider's. Errors are problem.Problems.
type Provider interface {
	// Account lists all that the project has, of every kind.
	Account(ctx context.Context, f fleet.Fleet) (fleet.Account, error)

	Common
	Networks
	Firewalls
	PrimaryIPs
	Volumes
	Servers
	LoadBalancers

	CreateSSHKey(ctx context.Context, name string, k fleet.SSHKey) (int64, error)
	CreatePlacementGroup(ctx context.Context, name string, g fleet.PlacementGroup) (int64, error)
}

// Common changes what several kinds of resources have.
type Common interface {
	Rename(ctx context.Context, kind plans.ResourceKind, id int64, name string) error
	// SetLabels sets the user's labels. Those with a prefix and Flotilla's own stay.
	SetLabels(ctx context.Context, kind plans.ResourceKind, id int64, labels map[string]string) error
	SetProtection(ctx context.Context, kind plans.ResourceKind, id int64, on bool) error
	// SetDNSPtr names an address: "ipv4", "ipv6" (the first address) or one in
	// digits. The name "" puts the provider's own back.
	SetDNSPtr(ctx context.Context, kind plans.ResourceKind, id int64, address, name string) error
	Delete(ctx context.Context, kind plans.ResourceKind, id int64) error
	Adopter
}

// Networks makes and changes private networks.
type Networks interface {
	CreateNetwork(ctx context.Context, name string, n fleet.Network) (int64, error) // with its subnets, without routes
	WidenNetwork(ctx context.Context, id int64, ipRange string) error
	ExposeRoutes(ctx context.Context, id int64, on bool) error
	AddSubnet(ctx context.Context, network int64, s fleet.Subnet) error
	DeleteSubnet(ctx context.Context, network int64, s fleet.Subnet) error
	AddRoute(ctx context.Context, network int64, r fleet.Route) error
	DeleteRoute(ctx context.Context, network int64, r fleet.Route) error
}

// Firewalls makes and changes firewalls.
type Firewalls interface {
	CreateFirewall(ctx context.Context, name string, f fleet.Firewall) (int64, error) // with rules and label selectors
	SetRules(ctx context.Context, firewall int64, rules []fleet.FirewallRule) error
	ApplyFirewall(ctx context.Context, firewall int64, to fleet.FirewallTarget) error
	RemoveFirewall(ctx context.Context, firewall int64, from fleet.FirewallTarget) error
}

// PrimaryIPs makes and changes public addresses. Servers that get or lose one
// are off meanwhile.
type PrimaryIPs interface {
	CreatePrimaryIP(ctx context.Context, name string, p fleet.PrimaryIP) (int64, error) // not assigned
	SetAutoDelete(ctx context.Context, primaryIP int64, on bool) error
	AssignPrimaryIP(ctx context.Context, primaryIP, server int64) error
	UnassignPrimaryIP(ctx context.Context, primaryIP int64) error
	// EnablePublicNet gives a server an address ("ipv4", "ipv6") that comes and
	// goes with it. To take it away is UnassignPrimaryIP, then Delete.
	EnablePublicNet(ctx context.Context, server int64, family string) error
}

// Volumes makes and changes disks.
type Volumes interface {
	CreateVolume(ctx context.Context, name string, v fleet.Volume, server int64) (int64, error) // server 0: none
	ResizeVolume(ctx context.Context, id int64, size int) error
	AttachVolume(ctx context.Context, id, server int64, automount bool) error
	DetachVolume(ctx context.Context, id int64) error
}

// Servers makes and changes machines.
type Servers interface {
	// CheckOrder tells what would keep a server from being ordered (a type, a
	// location or an image that does not exist), without ordering it.
	CheckOrder(ctx context.Context, s fleet.Server) error
	CreateServer(ctx context.Context, order fleet.ServerOrder, userData secret.String) (fleet.AccountServer, error)
	PowerOn(ctx context.Context, server int64) error
	PowerOff(ctx context.Context, server int64) error // gently first
	// ChangeType wants a server that is off; afterwards it runs.
	ChangeType(ctx context.Context, server int64, serverType string, keepDisk bool) error
	// Rebuild makes the disk anew. The labels that tell of the disk follow.
	Rebuild(ctx context.Context, server int64, order fleet.ServerOrder, userData secret.String) error
	SetBackups(ctx context.Context, server int64, on bool) error
	Snapshot(ctx context.Context, server int64, description string) error
	AttachNetwork(ctx context.Context, server, network int64, at fleet.Attachment) error
	ChangeAliasIPs(ctx context.Context, server, network int64, ips []string) error
	DetachNetwork(ctx context.Context, server, network int64) error
	JoinPlacementGroup(ctx context.Context, server, group int64) error // the server is off
	LeavePlacementGroup(ctx context.Context, server int64) error       // the server is off
	// SetDeletionLabels keeps on the server what its deletion wants.
	SetDeletionLabels(ctx context.Context, server int64, shutdown, snapshot bool) error
}

// LoadBalancers makes and changes load balancers.
type LoadBalancers interface {
	CreateLoadBalancer(ctx context.Context, order fleet.LoadBalancerOrder) (int64, error)
	ChangeLoadBalancerType(ctx context.Context, id int64, loadBalancerType string) error
	SetAlgorithm(ctx context.Context, id int64, algorithm string) error
	SetPublicInterface(ctx context.Context, id int64, on bool) error
	AttachLoadBalancer(ctx context.Context, id, network int64, ip string) error
	DetachLoadBalancer(ctx context.Context, id, network int64) error
	AddService(ctx context.Context, id int64, s fleet.LoadBalancerService) error
	UpdateService(ctx context.Context, id int64, s fleet.LoadBalancerService) error
	DeleteService(ctx context.Context, id int64, listenPort int) error
	AddTarget(ctx context.Context, id int64, t fleet.LoadBalancerTarget, server int64) error // server: the ID, when t names one
	RemoveTarget(ctx context.Context, id int64, t fleet.LoadBalancerTarget, server int64) error
}
