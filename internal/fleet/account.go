package fleet

import "time"

// Account is what exists at the provider and belongs to the fleet, or is
// referred to by it, by the names of flotilla.yaml. Labels are the user's,
// without Flotilla's own. Owned is false for what was found by its name for
// existing: true. What a resource has that is not the fleet's (Foreign…) is
// shown and never changed.
type Account struct {
	Networks map[string]AccountNetwork `json:"networks"`
	SSHKeys  map[string]AccountSSHKey  `json:"ssh_keys"`
	Servers  map[string]AccountServer  `json:"servers"`

	Firewalls       map[string]AccountFirewall       `json:"firewalls"`
	PlacementGroups map[string]AccountPlacementGroup `json:"placement_groups"`
	Volumes         map[string]AccountVolume         `json:"volumes"`
	PrimaryIPs      map[string]AccountPrimaryIP      `json:"primary_ips"`
	LoadBalancers   map[string]AccountLoadBalancer   `json:"load_balancers"`

	// Unmanaged is what else is in the project: not this fleet's, and not
	// referred to.
	Unmanaged []Unmanaged `json:"unmanaged"`
}

// Unmanaged is a resource that the fleet does not own.
type Unmanaged struct {
	Fleet   string `json:"fleet,omitempty"` // the fleet that owns it, "" if none does
	Section string `json:"section"`         // "servers", "volumes", …
	Name    string `json:"name"`
	ID      int64  `json:"id"`
}

// AccountNetwork is an existing network.
type AccountNetwork struct {
	ID                    int64             `json:"id"`
	Owned                 bool              `json:"owned"`
	IPRange               string            `json:"ip_range"`
	Subnets               []Subnet          `json:"subnets"`
	ForeignSubnets        []Subnet          `json:"foreign_subnets,omitempty"`
	Routes                []Route           `json:"routes"`
	ForeignRoutes         []Route           `json:"foreign_routes,omitempty"`
	ExposeRoutesToVSwitch bool              `json:"expose_routes_to_vswitch"`
	DeleteProtection      bool              `json:"delete_protection"`
	Labels                map[string]string `json:"labels"`
	// Attached names the servers and load balancers in it that are not the fleet's.
	ForeignMembers []string `json:"foreign_members,omitempty"`
}

// AccountSSHKey is an existing public key.
type AccountSSHKey struct {
	ID        int64             `json:"id"`
	PublicKey string            `json:"public_key"`
	Owned     bool              `json:"owned"`
	Labels    map[string]string `json:"labels"`
}

// AccountServer is an existing server.
type AccountServer struct {
	ID               int64               `json:"id"`
	ServerType       string              `json:"server_type"`
	Image            string              `json:"image"` // as declared when it was created (label), else the image's name; "" is not known
	Location         string              `json:"location"`
	Status           string              `json:"status"` // running, off, initializing, …
	Disk             int                 `json:"disk"`   // GB
	IPv4             string              `json:"ipv4"`
	IPv6             string              `json:"ipv6"`
	PublicNet        AccountPublicNet    `json:"public_net"`
	Networks         map[string]string   `json:"networks"`  // network name → address; "#<id>" for a network that is neither the fleet's nor referred to
	AliasIPs         map[string][]string `json:"alias_ips"` // network name → further addresses
	Firewalls        []string            `json:"firewalls"` // applied to the server itself (not by selector), the fleet's and those it refers to
	PlacementGroup   string              `json:"placement_group"`
	Volumes          []string            `json:"volumes"`           // names, also of volumes that are not the fleet's
	Backups          bool                `json:"backups"`           // switched on
	DNSPtr           map[string]string   `json:"dns_ptr"`           // as in Server, of entries that the fleet made
	DeleteProtection bool                `json:"delete_protection"` // and against rebuilding
	Labels           map[string]string   `json:"labels"`
	KeysDigest       string              `json:"keys_digest"`      // of the names in ssh_keys when it was created; "" is not known
	UserDataDigest   string              `json:"user_data_digest"` // of user_data when it was created; "" is not known
	Published        Published           `json:"published"`
	Created          time.Time           `json:"created"`

	// SwitchedOff says that Flotilla switched it off (or made it stopped) and
	// has not switched it on since: a label that is written before the power
	// goes and taken off when it is back, so that a run which died in between
	// leaves no server off. A server that people switched off has none.
	SwitchedOff bool `json:"switched_off,omitempty"`

	// What was declared last, for when flotilla.yaml has the server no more.
	ShutdownBeforeDeletion bool `json:"shutdown_before_deletion"`
	SnapshotBeforeDestroy  bool `json:"snapshot_before_destroy"`
}

// AccountPublicNet is a server's public side.
type AccountPublicNet struct {
	IPv4ID   int64  `json:"ipv4_id"` // of the primary IP; 0: no IPv4
	IPv6ID   int64  `json:"ipv6_id"`
	IPv4Name string `json:"ipv4_name"` // in Account.PrimaryIPs; "": made with the server, goes with it; "#<id>": neither (auto_delete is off, and not the fleet's)
	IPv6Name string `json:"ipv6_name"`
}

// AccountFirewall is an existing firewall.
type AccountFirewall struct {
	ID             int64             `json:"id"`
	Owned          bool              `json:"owned"`
	Rules          []FirewallRule    `json:"rules"`
	ApplyTo        []string          `json:"apply_to"` // label selectors
	ForeignApplyTo []string          `json:"foreign_apply_to,omitempty"`
	ForeignServers []string          `json:"foreign_servers,omitempty"` // it applies to, not the fleet's
	Labels         map[string]string `json:"labels"`
}

// AccountPlacementGroup is an existing placement group.
type AccountPlacementGroup struct {
	ID     int64             `json:"id"`
	Owned  bool              `json:"owned"`
	Type   string            `json:"type"`
	Labels map[string]string `json:"labels"`
}

// AccountVolume is an existing volume.
type AccountVolume struct {
	ID               int64             `json:"id"`
	Owned            bool              `json:"owned"`
	Size             int               `json:"size"` // GB
	Location         string            `json:"location"`
	Server           string            `json:"server"` // name, "#<id>" if it is not the fleet's, "" for none
	Format           string            `json:"format"` // "" is none or not known
	LinuxDevice      string            `json:"linux_device"`
	DeleteProtection bool              `json:"delete_protection"`
	Labels           map[string]string `json:"labels"`
}

// AccountPrimaryIP is an existing primary IP that is declared on its own.
type AccountPrimaryIP struct {
	ID               int64             `json:"id"`
	Owned            bool              `json:"owned"`
	Type             string            `json:"type"`
	IP               string            `json:"ip"` // ipv6: the first address of its network
	Location         string            `json:"location"`
	Server           string            `json:"server"` // as in AccountVolume
	AutoDelete       bool              `json:"auto_delete"`
	DeleteProtection bool              `json:"delete_protection"`
	DNSPtr           map[string]string `json:"dns_ptr"` // of entries that the fleet made
	Labels           map[string]string `json:"labels"`
}

// AccountLoadBalancer is an existing load balancer.
type AccountLoadBalancer struct {
	ID               int64                 `json:"id"`
	Type             string                `json:"type"`
	Location         string                `json:"location"`
	NetworkZone      string                `json:"network_zone"` // of Location
	Algorithm        string                `json:"algorithm"`
	IPv4             string                `json:"ipv4"`
	IPv6             string                `json:"ipv6"`
	Networks         map[string]string     `json:"networks"` // as in AccountServer
	PublicInterface  bool                  `json:"public_interface"`
	Services         []LoadBalancerService `json:"services"`
	ForeignServices  []LoadBalancerService `json:"foreign_services,omitempty"`
	Targets          []LoadBalancerTarget  `json:"targets"`
	ForeignTargets   []LoadBalancerTarget  `json:"foreign_targets,omitempty"`
	DeleteProtection bool                  `json:"delete_protection"`
	DNSPtr           map[string]string     `json:"dns_ptr"` // of entries that the fleet made
	Labels           map[string]string     `json:"labels"`
}

// Published is what the last deploy wrote on a server's labels, for those who
// must not or cannot look at the host itself.
type Published struct {
	HostKey     string `json:"host_key"`      // fingerprint of the SSH host key: base32 (RFC 4648, lower case, no padding) of its SHA-256
	NextHostKey string `json:"next_host_key"` // one that is being put in place, or ""
	SystemHash  string `json:"system_hash"`   // storepath.Path.Hash of the confirmed system, or ""
	Commit      string `json:"commit"`        // deployed revision, full hash, or ""
	Held        bool   `json:"held"`          // rolled back by someone and kept there

	HeldSince time.Time `json:"held_since,omitzero"` // UTC, whole seconds; zero: not known
	HeldBy    string    `json:"held_by,omitempty"`   // the beginning of a long name alone

	// The last attempt to deploy, if it failed and the host was put back.
	FailedSystem string    `json:"failed_system,omitempty"` // storepath.Path.Hash
	FailedCommit string    `json:"failed_commit,omitempty"` // full hash
	FailedAt     time.Time `json:"failed_at,omitzero"`      // UTC, whole seconds
	FailedWhy    string    `json:"failed_why,omitempty"`    // the beginning of the reason, untrusted text
}
