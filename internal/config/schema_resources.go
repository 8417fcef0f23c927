package config

// What the fleet has at the provider. Keys are those of the provider's API.

// networkEntry also stands for a network that the fleet does not own.
type networkEntry struct {
	IPRange               string            `yaml:"ip_range" required:"unless existing" doc:"The whole range: a part of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."`
	Subnets               []subnetEntry     `yaml:"subnets" doc:"Parts of the range. A network needs one before servers can be in it."`
	Routes                []routeEntry      `yaml:"routes" doc:"Where to send what is not for the network itself."`
	ExposeRoutesToVSwitch bool              `yaml:"expose_routes_to_vswitch" doc:"Routes are known in the vSwitch, too."`
	DeleteProtection      bool              `yaml:"delete_protection" doc:"Refuses to destroy it."`
	Labels                map[string]string `yaml:"labels" doc:"Your own labels."`
	Existing              bool              `yaml:"existing" doc:"Refers to a network of that name that the fleet does not own."`
}

type subnetEntry struct {
	Type        subnetType  `yaml:"type" doc:"cloud for servers, vswitch for a connection to dedicated servers."`
	NetworkZone networkZone `yaml:"network_zone" required:"true" doc:"The zone that its servers are in."`
	IPRange     string      `yaml:"ip_range" required:"true" doc:"A part of the network's range."`
	VSwitchID   int64       `yaml:"vswitch_id" range:"0,9007199254740991" doc:"The vSwitch, for type vswitch."`
}

type routeEntry struct {
	Destination string `yaml:"destination" required:"true" doc:"The range that is sent to the gateway; 0.0.0.0/0 for all."`
	Gateway     string `yaml:"gateway" required:"true" doc:"The private address of the server that takes it."`
}

type sshKeyEntry struct {
	PublicKey string            `yaml:"public_key" required:"unless existing" doc:"The line of a .pub file."`
	Labels    map[string]string `yaml:"labels" doc:"Your own labels."`
	Existing  bool              `yaml:"existing" doc:"Refers to a key of that name that the fleet does not own."`
}

type firewallEntry struct {
	Rules    []ruleEntry       `yaml:"rules" doc:"What is allowed. Without a rule for in nothing comes in, without one for out everything goes out."`
	ApplyTo  []applyEntry      `yaml:"apply_to" doc:"Servers that it also applies to, beside those that name it."`
	Labels   map[string]string `yaml:"labels" doc:"Your own labels."`
	Existing bool              `yaml:"existing" doc:"Refers to a firewall of that name that the fleet does not own."`
}

type ruleEntry struct {
	Direction      direction    `yaml:"direction" required:"true" doc:"in or out."`
	Protocol       ruleProtocol `yaml:"protocol" required:"true" doc:"The protocol."`
	Port           portText     `yaml:"port" doc:"For tcp and udp: a port, a range such as 1024-5000, or any."`
	SourceIPs      []string     `yaml:"source_ips" doc:"For in: ranges that may come in, 0.0.0.0/0 and ::/0 for everybody."`
	DestinationIPs []string     `yaml:"destination_ips" doc:"For out: ranges that may be reached."`
	Description    string       `yaml:"description" doc:"What the rule is for."`
}

type applyEntry struct {
	LabelSelector string `yaml:"label_selector" required:"true" doc:"Servers with such labels, for example env=prod."`
}

type groupEntry struct {
	Type     groupType         `yaml:"type" doc:"spread: each server on another machine of the provider."`
	Labels   map[string]string `yaml:"labels" doc:"Your own labels."`
	Existing bool              `yaml:"existing" doc:"Refers to a placement group of that name that the fleet does not own."`
}

type primaryIPEntry struct {
	Type             addressFamily     `yaml:"type" required:"unless existing" doc:"ipv4 is one address, ipv6 a /64."`
	Location         string            `yaml:"location" required:"unless existing" doc:"Where it is: its server must be there, too."`
	AutoDelete       bool              `yaml:"auto_delete" doc:"It goes when its server goes."`
	DeleteProtection bool              `yaml:"delete_protection" doc:"Refuses to destroy it."`
	DNSPtr           dnsNames          `yaml:"dns_ptr" doc:"Its name in reverse DNS."`
	Labels           map[string]string `yaml:"labels" doc:"Your own labels."`
	Existing         bool              `yaml:"existing" doc:"Refers to a primary IP of that name that the fleet does not own."`
}

type volumeEntry struct {
	Size             int               `yaml:"size" required:"unless existing" range:"10,10240" doc:"GB. It can grow, never shrink."`
	Location         string            `yaml:"location" doc:"Where it is; that of its server when absent."`
	Server           string            `yaml:"server" doc:"The server that it is attached to."`
	Format           fileSystem        `yaml:"format" doc:"The file system that it is made with; at creation only."`
	Automount        bool              `yaml:"automount" doc:"Mount it when it is attached; at creation only."`
	DeleteProtection bool              `yaml:"delete_protection" doc:"Refuses to destroy it."`
	Labels           map[string]string `yaml:"labels" doc:"Your own labels."`
	Existing         bool              `yaml:"existing" doc:"Refers to a volume of that name that the fleet does not own."`
}

type serverEntry struct {
	ServerType             oneOrMore                  `yaml:"server_type" required:"true" doc:"The type, for example cx22. Of several, those after the first are tried where it is sold out."`
	Image                  string                     `yaml:"image" required:"true" doc:"An image's name, or a label selector for the newest snapshot that matches; at creation only."`
	Location               oneOrMore                  `yaml:"location" required:"true" doc:"Where it is. Of several, the first with capacity."`
	UserData               userData                   `yaml:"user_data" doc:"For cloud-init, beside Flotilla's own; at creation only. No secrets."`
	PublicNet              publicNetEntry             `yaml:"public_net" doc:"Its public addresses."`
	Networks               map[string]attachmentEntry `yaml:"networks" doc:"The private networks that it is in, by name."`
	SSHKeys                []string                   `yaml:"ssh_keys" required:"true" doc:"Names in ssh_keys: who may log in first; at creation only."`
	Firewalls              []string                   `yaml:"firewalls" doc:"Names in firewalls, at most 5."`
	PlacementGroup         string                     `yaml:"placement_group" doc:"A name in placement_groups."`
	Backups                bool                       `yaml:"backups" doc:"The provider's daily backups. Switching them off deletes them."`
	Labels                 map[string]string          `yaml:"labels" doc:"Your own labels."`
	DNSPtr                 dnsNames                   `yaml:"dns_ptr" doc:"Names of its addresses in reverse DNS."`
	DeleteProtection       *bool                      `yaml:"delete_protection" doc:"Refuses to destroy, replace or rebuild it. The default is true where a volume names the server, else false."`
	RebuildProtection      *bool                      `yaml:"rebuild_protection" doc:"The same as delete_protection: the provider takes no other value."`
	KeepDisk               bool                       `yaml:"keep_disk" doc:"The disk keeps its size when the type changes, so that it can become a smaller one again."`
	ShutdownBeforeDeletion bool                       `yaml:"shutdown_before_deletion" doc:"The system is shut down before the server is deleted."`
	SnapshotBeforeDestroy  bool                       `yaml:"snapshot_before_destroy" doc:"A snapshot is made before the server is destroyed or replaced."`
}

type publicNetEntry struct {
	EnableIPv4 bool   `yaml:"enable_ipv4" doc:"It has a public IPv4 address."`
	EnableIPv6 bool   `yaml:"enable_ipv6" doc:"It has a public IPv6 network."`
	IPv4       string `yaml:"ipv4" doc:"A name in primary_ips; without it an address that comes and goes with the server."`
	IPv6       string `yaml:"ipv6" doc:"A name in primary_ips; without it a network that comes and goes with the server."`
}

type attachmentEntry struct {
	IP       string   `yaml:"ip" doc:"A fixed address; without it the provider chooses."`
	AliasIPs []string `yaml:"alias_ips" doc:"Further addresses, which the host sets up itself."`
}

type loadBalancerEntry struct {
	Type                  string                       `yaml:"load_balancer_type" required:"true" doc:"The type, for example lb11."`
	Location              string                       `yaml:"location" doc:"Where it is. Either this or network_zone."`
	NetworkZone           networkZone                  `yaml:"network_zone" doc:"The zone that it is in, somewhere."`
	Algorithm             algorithm                    `yaml:"algorithm" doc:"Which target the next request goes to."`
	Networks              map[string]balancerInNetwork `yaml:"networks" doc:"The private network that it is in, by name; at most one."`
	EnablePublicInterface bool                         `yaml:"enable_public_interface" doc:"It can be reached from the internet."`
	Services              []serviceEntry               `yaml:"services" doc:"Ports that it listens on."`
	Targets               []targetEntry                `yaml:"targets" doc:"Who gets the traffic."`
	DeleteProtection      bool                         `yaml:"delete_protection" doc:"Refuses to destroy it."`
	DNSPtr                dnsNames                     `yaml:"dns_ptr" doc:"Names of its addresses in reverse DNS."`
	Labels                map[string]string            `yaml:"labels" doc:"Your own labels."`
}

type balancerInNetwork struct {
	IP string `yaml:"ip" doc:"A fixed address; without it the provider chooses."`
}

type serviceEntry struct {
	Protocol        serviceProtocol `yaml:"protocol" required:"true" doc:"The protocol."`
	ListenPort      int             `yaml:"listen_port" range:"1,65535" doc:"The port that it listens on; 80 for http and 443 for https when absent."`
	DestinationPort int             `yaml:"destination_port" range:"1,65535" doc:"The port of the targets; 80 for http and https when absent."`
	ProxyProtocol   bool            `yaml:"proxyprotocol" doc:"The targets speak the PROXY protocol."`
	HTTP            serviceHTTP     `yaml:"http" doc:"More for http and https."`
	HealthCheck     balancerCheck   `yaml:"health_check" doc:"How it finds out whether a target is well."`
}

type serviceHTTP struct {
	Certificates   []string `yaml:"certificates" doc:"For https: names of certificates in the project, which the fleet does not own."`
	RedirectHTTP   bool     `yaml:"redirect_http" doc:"For https: sends who comes to port 80 to port 443."`
	StickySessions bool     `yaml:"sticky_sessions" doc:"Who was sent to a target stays there."`
	CookieName     string   `yaml:"cookie_name" doc:"The cookie of sticky sessions; HCLBSTICKY when absent."`
	CookieLifetime seconds  `yaml:"cookie_lifetime" range:"1,31536000" doc:"How long sticky sessions last; 300 seconds when absent."`
}

type balancerCheck struct {
	Protocol checkProtocol `yaml:"protocol" doc:"The protocol; tcp for a tcp service and http for the others when absent."`
	Port     int           `yaml:"port" range:"1,65535" doc:"The port; destination_port when absent."`
	Interval seconds       `yaml:"interval" range:"1,3600" doc:"Time from one check to the next."`
	Timeout  seconds       `yaml:"timeout" range:"1,3600" doc:"Time that a check may take."`
	Retries  int           `yaml:"retries" range:"1,100" doc:"Failures after which a target is not well."`
	HTTP     checkHTTP     `yaml:"http" doc:"More for protocol http."`
}

type checkHTTP struct {
	Domain      string       `yaml:"domain" doc:"Sent as Host."`
	Path        string       `yaml:"path" doc:"What is asked for; / when absent."`
	Response    string       `yaml:"response" doc:"Text that the answer must hold."`
	StatusCodes []statusCode `yaml:"status_codes" doc:"Wanted statuses, ? stands for any digit; 2?? and 3?? when absent."`
	TLS         bool         `yaml:"tls" doc:"Asks over TLS."`
}

// targetEntry holds exactly one of Server, LabelSelector and IP.
type targetEntry struct {
	Server        string `yaml:"server" doc:"A server of the fleet."`
	LabelSelector string `yaml:"label_selector" doc:"Servers with such labels, for example role=web."`
	IP            string `yaml:"ip" doc:"The public address of a dedicated server."`
	UsePrivateIP  bool   `yaml:"use_private_ip" doc:"Sends the traffic through the private network that both are in."`
}
