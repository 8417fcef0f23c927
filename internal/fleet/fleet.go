// Package fleet holds Flotilla's words: what a fleet repo declares (Fleet),
// what exists at a provider (Account), what is known of servers (Facts) and
// what a host runs (HostState). Plain values, no I/O, no policy.
package fleet

import "time"

// Fleet is what one flotilla.yaml describes, validated and with defaults filled in.
type Fleet struct {
	Name     string // label-safe, at most 32 characters
	Hive     Hive
	Hetzner  *Hetzner // nil: no provider, hosts only
	SSH      SSH
	Networks map[string]Network
	SSHKeys  map[string]SSHKey
	Servers  map[string]Server

	Firewalls       map[string]Firewall
	PlacementGroups map[string]PlacementGroup
	Volumes         map[string]Volume
	PrimaryIPs      map[string]PrimaryIP
	LoadBalancers   map[string]LoadBalancer
	Moved           []Move

	Hosts      []HostSettings // in file order
	Rollout    Rollout
	Review     Review
	Evaluation Evaluation
}

// Hive says where the Nix side is. Exactly one field is set. Paths are
// relative to the folder of flotilla.yaml.
type Hive struct {
	File  string // hive.nix
	Flake string // folder with flake.nix
}

// EnvRef names an environment variable that holds a secret.
type EnvRef struct{ Env string }

// Hetzner is the provider section for Hetzner Cloud.
type Hetzner struct {
	Token        EnvRef
	Endpoint     string        // "": the environment's HCLOUD_ENDPOINT, else the public API
	PollInterval time.Duration // between polls of running actions
}

// SSH says how to log in where the hive and hosts: say nothing.
type SSH struct {
	User    string
	Port    int
	Key     EnvRef // holds a private key in PEM form; empty: the agent and ~/.ssh
	Address string // which address of a server: "ipv4", "ipv6" or "private.<network>"
}

// HostSettings are deployment settings that are not in the hive, for the
// hosts that Selector matches.
type HostSettings struct {
	Selector Selector
	Health   []Check
	Address  string // overrides the address for SSH
	HostKey  string // public host key (authorized_keys form) for hosts without a server
}

// Check is one health check. Exactly one of HTTP, TCP, Command, Units is set.
type Check struct {
	HTTP    *HTTPCheck    `json:"http,omitempty"`
	TCP     *TCPCheck     `json:"tcp,omitempty"`
	Command *CommandCheck `json:"command,omitempty"`
	Units   *UnitsCheck   `json:"units,omitempty"`
	Within  time.Duration `json:"within"` // it must hold before this is over
}

// HTTPCheck wants an answer from the host's own address; the URL's name is
// sent as Host and SNI.
type HTTPCheck struct {
	URL    string `json:"url"`
	Status int    `json:"status"`         // wanted status
	Body   string `json:"body,omitempty"` // wanted part of the body
	Via    string `json:"via"`            // "host" (the host's own address) or "dns"
}

// TCPCheck wants a connection to a port of the host.
type TCPCheck struct {
	Port int `json:"port"`
}

// CommandCheck wants exit code 0 of a command on the host.
type CommandCheck struct {
	Argv []string `json:"argv"`
}

// UnitsCheck wants units to be active.
type UnitsCheck struct {
	Active []string `json:"active"`
}

// FailurePolicy says what one host's failure does to the others.
type FailurePolicy string

// The failure policies.
const (
	RollbackHost FailurePolicy = "rollback-host" // put that host back and stop (default)
	Continue     FailurePolicy = "continue"      // put that host back and go on with the others
)

// Rollout is the order and speed of a deploy.
type Rollout struct {
	Waves             []Selector // hosts of no wave come in a last one
	MaxParallel       int        // pushes at a time
	MaxUnavailable    int        // hosts between activation and commit at a time
	OnFailure         FailurePolicy
	ActivationTimeout time.Duration // for one switch-to-configuration
	ConfirmTimeout    time.Duration // to log in anew and look around; the longest health check comes on top
	KeepGenerations   int           // generations of the system profile to keep; 0: all
}

// DirectPush says what becomes of changes that no pull request has shown and
// that came with commits which were pushed without one.
type DirectPush string

// The policies for direct pushes.
const (
	DirectAllow      DirectPush = "allow"        // they are made, and told
	DirectStopOnRisk DirectPush = "stop-on-risk" // they are made if they are of no risk class (default)
	DirectRefuse     DirectPush = "refuse"       // they are not made
)

// Stricter gives the stricter of two policies; "" is the default.
func (p DirectPush) Stricter(q DirectPush) DirectPush {
	switch {
	case p == DirectRefuse || q == DirectRefuse:
		return DirectRefuse
	case p == DirectAllow && q == DirectAllow:
		return DirectAllow
	default:
		return DirectStopOnRisk
	}
}

// Review is what must have been reviewed.
type Review struct {
	DirectPush DirectPush
}

// Evaluation bounds what Nix takes for evaluating hosts. Zero is: by cores and
// free memory, and 15 minutes.
type Evaluation struct {
	Workers int           // hosts at a time
	Memory  int64         // bytes for one of them
	Timeout time.Duration // for one of them
}
