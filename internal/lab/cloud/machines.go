package cloud

import (
	"context"
	"net/netip"
)

// Machine is what a server's machine is made from.
type Machine struct {
	ID       int64 // the server's
	Name     string
	OS       string // the image's os label: "debian" or "nixos"
	IPv4     netip.Addr
	UserData string
	SSHKeys  []string       // public keys for root
	Private  []netip.Prefix // addresses in private networks, with the network's mask
}

// Power is whether a machine runs.
type Power int

// The states of a machine. PowerUnknown: ask somebody else.
const (
	PowerUnknown Power = iota
	PowerOn
	PowerOff
	PowerGone
)

// Machines are what stands behind the API's servers. Methods get the server's
// id, may take seconds, obey ctx, and are never called twice at a time for one
// server.
type Machines interface {
	// Prefix is where public IPv4 addresses come from; the first nine stay free.
	Prefix() netip.Prefix
	// Create makes a machine that is off, with an empty disk made from its image.
	Create(ctx context.Context, m Machine) error
	// Start does nothing to a machine that runs.
	Start(ctx context.Context, id int64) error
	// PowerOff is a power cut, Shutdown a request to the guest that is waited for.
	PowerOff(ctx context.Context, id int64) error
	Shutdown(ctx context.Context, id int64) error
	// Reset is a power cut and a start, Reboot an orderly restart.
	Reset(ctx context.Context, id int64) error
	Reboot(ctx context.Context, id int64) error
	// SetPrivate replaces the addresses in private networks, at once and for later boots.
	SetPrivate(ctx context.Context, id int64, addresses []netip.Prefix) error
	// SetPublic moves a machine that is off to another address of Prefix.
	SetPublic(ctx context.Context, id int64, address netip.Addr) error
	// Remove destroys machine and disk; nothing happens if there is none.
	Remove(ctx context.Context, id int64) error
	Power(ctx context.Context, id int64) (Power, error)
}

// None is machines in name only: everything succeeds, nothing runs, and the
// addresses are invented.
type None struct{}

var _ Machines = None{}

// Prefix is a range that is meant for benchmarks and never routed.
func (None) Prefix() netip.Prefix { return netip.MustParsePrefix("198.18.0.0/16") }

// Create does nothing.
func (None) Create(context.Context, Machine) error { return nil }

// Start does nothing.
func (None) Start(context.Context, int64) error { return nil }

// PowerOff does nothing.
func (None) PowerOff(context.Context, int64) error { return nil }

// Shutdown does nothing.
func (None) Shutdown(context.Context, int64) error { return nil }

// Reset does nothing.
func (None) Reset(context.Context, int64) error { return nil }

// Reboot does nothing.
func (None) Reboot(context.Context, int64) error { return nil }

// SetPrivate does nothing.
func (None) SetPrivate(context.Context, int64, []netip.Prefix) error { return nil }

// SetPublic does nothing.
func (None) SetPublic(context.Context, int64, netip.Addr) error { return nil }

// Remove does nothing.
func (None) Remove(context.Context, int64) error { return nil }

// Power does not know.
func (None) Power(context.Context, int64) (Power, error) { return PowerUnknown, nil }
