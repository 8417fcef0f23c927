package fleet

// What flotilla.yaml declares at the provider. Field names are the provider's
// own; names of other resources are keys of Fleet's maps. Existing says that
// the fleet refers to what it does not own: it is looked up by name, never
// changed, and has no other field set.

// Network is a private network.
type Network struct {
	IPRange               string // CIDR
	Subnets               []Subnet
	Routes                []Route
	ExposeRoutesToVSwitch bool
	DeleteProtection      bool
	Existing              bool
	Labels                map[string]string
}

// Subnet is a part of a Network.
type Subnet struct {
	Type        string `json:"type"`         // "cloud", "vswitch"
	NetworkZone string `json:"network_zone"` // "eu-central"
	IPRange     string `json:"ip_range"`     // CIDR
	VSwitchID   int64  `json:"vswitch_id,omitempty"`
}

// Route sends what goes to Destination to Gateway, an address of the network.
type Route struct {
	Destination string `json:"destination"` // CIDR
	Gateway     string `json:"gateway"`
}

// SSHKey is a public key at the provider.
type SSHKey struct {
	PublicKey string // authorized_keys form; "" if Existing
	Existing  bool
	Labels    map[string]string
}

// Server is a declared machine.
type Server struct {
	ServerType    string
	FallbackTypes []string // tried in this order where no location has room for ServerType
	Image         string   // name, or a label selector ("os=nixos") for the newest snapshot that matches
	Locations     []string // first with capacity
	UserData      string   // given to cloud-init beside Flotilla's own; at most 32 KiB in all
	PublicNet     PublicNet
	Networks      map[string]Attachment
	SSHKeys       []string // names in Fleet.SSHKeys
	Firewalls     []string // names in Fleet.Firewalls
	Labels        map[string]string
	DNSPtr        map[string]string // "ipv4", "ipv6" or an address of the server → name

	PlacementGroup         string
	Backups                bool
	DeleteProtection       bool // and against rebuilding: the provider wants both to be the same
	KeepDisk               bool // when the type changes, so that it can become a smaller one again
	ShutdownBeforeDeletion bool
	SnapshotBeforeDestroy  bool
}

// PublicNet says which public addresses a server has.
type PublicNet struct {
	EnableIPv4 bool
	EnableIPv6 bool
	IPv4       string // name in Fleet.PrimaryIPs; "": one that comes and goes with the server
	IPv6       string
}

// Attachment puts a server into a network.
type Attachment struct {
	IP       string   // fixed address; "": the provider chooses
	AliasIPs []string // further addresses; the guest has to set them up
}

// Firewall filters public traffic. Servers name their firewalls.
type Firewall struct {
	Rules    []FirewallRule
	ApplyTo  []string // label selectors of servers that it also applies to
	Existing bool
	Labels   map[string]string
}

// FirewallRule allows traffic. The order of rules has no meaning.
type FirewallRule struct {
	Direction      string   `json:"direction"`                 // "in", "out"
	Protocol       string   `json:"protocol"`                  // "tcp", "udp", "icmp", "esp", "gre"
	Port           string   `json:"port,omitempty"`            // "443", "1024-5000" or "any"; tcp and udp only
	SourceIPs      []string `json:"source_ips,omitempty"`      // CIDRs, direction in
	DestinationIPs []string `json:"destination_ips,omitempty"` // CIDRs, direction out
	Description    string   `json:"description,omitempty"`
}

// PlacementGroup keeps its servers on different machines of the provider.
type PlacementGroup struct {
	Type     string // "spread"
	Existing bool
	Labels   map[string]string
}

// Volume is a disk that outlives servers.
type Volume struct {
	Size             int    // GB; it can only grow
	Location         string // "": the server's
	Server           string // that it is attached to, "" for none
	Format           string // "ext4", "xfs" or "", at creation only
	Automount        bool   // at creation only
	DeleteProtection bool
	Existing         bool
	Labels           map[string]string
}

// PrimaryIP is a public address that outlives servers. Servers name theirs.
type PrimaryIP struct {
	Type             string // "ipv4", "ipv6"
	Location         string
	AutoDelete       bool
	DeleteProtection bool
	DNSPtr           map[string]string // as in Server
	Existing         bool
	Labels           map[string]string
}

// LoadBalancer spreads traffic over targets. Either Location or NetworkZone
// is set.
type LoadBalancer struct {
	Type             string // load_balancer_type, "lb11"
	Location         string
	NetworkZone      string
	Algorithm        string                // "round_robin", "least_connections"
	Networks         map[string]Attachment // at most one, without alias addresses
	PublicInterface  bool
	Services         []LoadBalancerService // by ListenPort
	Targets          []LoadBalancerTarget
	DeleteProtection bool
	DNSPtr           map[string]string // "ipv4", "ipv6" → name
	Labels           map[string]string
}

// LoadBalancerService is one port that a load balancer listens on.
type LoadBalancerService struct {
	Protocol        string      `json:"protocol"` // "tcp", "http", "https"
	ListenPort      int         `json:"listen_port"`
	DestinationPort int         `json:"destination_port"`
	ProxyProtocol   bool        `json:"proxyprotocol"`
	HTTP            ServiceHTTP `json:"http"` // protocols http and https
	HealthCheck     HealthCheck `json:"health_check"`
}

// ServiceHTTP is what http and https add to a LoadBalancerService.
type ServiceHTTP struct {
	Certificates   []string `json:"certificates,omitempty"` // names of certificates in the project; the fleet does not own them
	RedirectHTTP   bool     `json:"redirect_http,omitempty"`
	StickySessions bool     `json:"sticky_sessions,omitempty"`
	CookieName     string   `json:"cookie_name,omitempty"`
	CookieLifetime int      `json:"cookie_lifetime,omitempty"` // seconds
}

// HealthCheck is how a load balancer finds out whether a target is well.
type HealthCheck struct {
	Protocol    string   `json:"protocol"` // "tcp", "http"
	Port        int      `json:"port"`
	Interval    int      `json:"interval"` // seconds
	Timeout     int      `json:"timeout"`  // seconds
	Retries     int      `json:"retries"`
	Domain      string   `json:"domain,omitempty"` // the rest is for http
	Path        string   `json:"path,omitempty"`
	Response    string   `json:"response,omitempty"`
	StatusCodes []string `json:"status_codes,omitempty"` // "2??"
	TLS         bool     `json:"tls,omitempty"`
}

// LoadBalancerTarget gets traffic. Exactly one of Server, LabelSelector and IP
// is set.
type LoadBalancerTarget struct {
	Server        string `json:"server,omitempty"`
	LabelSelector string `json:"label_selector,omitempty"`
	IP            string `json:"ip,omitempty"`
	UsePrivateIP  bool   `json:"use_private_ip,omitempty"`
}

// Move gives a resource a new name without destroying it.
type Move struct {
	Section string // "servers", "volumes", …: the map of Fleet that To is in
	From    string
	To      string
}
