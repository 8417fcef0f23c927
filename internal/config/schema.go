package config

// The types here and in schema_resources.go are the shape of flotilla.yaml: a
// yaml tag is a key, doc says what it means (in the JSON Schema), range bounds
// a number, required marks what must be written. Sections with names of the
// user's choice are maps. What a value must be beyond that is in check*.go,
// what it is when absent in defaults.go. The order is that of Format.

// Values of the tag required.
const (
	always         = "true"
	unlessExisting = "unless existing"
)

type fleetFile struct {
	Fleet           string                       `yaml:"fleet" required:"true" doc:"The fleet's name; it becomes a label on everything that the fleet owns."`
	Hive            string                       `yaml:"hive" doc:"The Colmena-compatible file with the hosts, relative to this file. Found by itself when absent."`
	Flake           string                       `yaml:"flake" doc:"The folder with flake.nix, relative to this file, instead of hive."`
	Provider        providerSection              `yaml:"provider" doc:"Where servers and all other resources are."`
	SSH             sshSection                   `yaml:"ssh" doc:"How to log in where neither the hive nor hosts says it."`
	Networks        map[string]networkEntry      `yaml:"networks" doc:"Private networks, by name."`
	SSHKeys         map[string]sshKeyEntry       `yaml:"ssh_keys" doc:"Public SSH keys at the provider, by name."`
	Firewalls       map[string]firewallEntry     `yaml:"firewalls" doc:"Firewalls, by name. Servers name theirs."`
	PlacementGroups map[string]groupEntry        `yaml:"placement_groups" doc:"Placement groups, by name. Servers name theirs."`
	PrimaryIPs      map[string]primaryIPEntry    `yaml:"primary_ips" doc:"Public addresses that outlive servers, by name. Servers name theirs."`
	Volumes         map[string]volumeEntry       `yaml:"volumes" doc:"Disks that outlive servers, by name."`
	Servers         map[string]serverEntry       `yaml:"servers" doc:"Servers, by name. The host of the same name in the hive belongs to it."`
	LoadBalancers   map[string]loadBalancerEntry `yaml:"load_balancers" doc:"Load balancers, by name."`
	Moved           []moveEntry                  `yaml:"moved" doc:"New names of resources, so that they are renamed and not destroyed."`
	Hosts           map[string]hostSelection     `yaml:"hosts" doc:"Deployment settings that are not in the hive. Keys are selectors: name, glob, @tag, several with commas, ! excludes."`
	Rollout         rolloutSection               `yaml:"rollout" doc:"Order and speed of a deploy."`
	Review          reviewSection                `yaml:"review" doc:"What must have been reviewed before it is deployed."`
	Evaluation      evaluationSection            `yaml:"evaluation" doc:"What Nix may take for evaluating hosts. By itself it goes by cores and free memory."`
}

type providerSection struct {
	Hetzner *hetznerSection `yaml:"hetzner" doc:"Hetzner Cloud."`
}

type hetznerSection struct {
	Token        secretRef `yaml:"token" required:"true" doc:"Where the API token is."`
	Endpoint     string    `yaml:"endpoint" doc:"The API, when it is not the public one."`
	PollInterval duration  `yaml:"poll_interval" doc:"Time between looks at running actions, 10ms to 1m."`
}

// secretRef says where a secret is; never the secret.
type secretRef struct {
	Env string `yaml:"env" required:"true" doc:"The environment variable that holds it."`
}

type sshSection struct {
	User    string    `yaml:"user" doc:"The user to log in as."`
	Port    int       `yaml:"port" range:"1,65535" doc:"The port of the SSH server."`
	Key     secretRef `yaml:"key" doc:"Where the private key is; without it the agent and ~/.ssh are used."`
	Address string    `yaml:"address" doc:"Which address of a server is used: ipv4, ipv6 or private.NETWORK."`
}

// moveEntry renames a resource. Names may have their section before them.
type moveEntry struct {
	From string `yaml:"from" required:"true" doc:"The name until now: web, or servers.web."`
	To   string `yaml:"to" required:"true" doc:"The name from now on, as declared in this file: web, or servers.web where several sections have a web."`
}

type hostSelection struct {
	Health  []checkEntry `yaml:"health" doc:"Checks that must hold after a switch. Those of all selectors that match a host count."`
	Address string       `yaml:"address" doc:"The address for SSH, instead of the server's."`
	HostKey string       `yaml:"host_key" doc:"The public host key of a host without a server: ssh-ed25519 AAAA…"`
}

// checkEntry holds exactly one of its keys.
type checkEntry struct {
	HTTP    *httpEntry    `yaml:"http" doc:"Wants an answer to an HTTP request."`
	TCP     *tcpEntry     `yaml:"tcp" doc:"Wants a connection to a port of the host."`
	Command *commandEntry `yaml:"command" doc:"Wants exit code 0 of a command on the host."`
	Units   *unitsEntry   `yaml:"units" doc:"Wants units to be active."`
}

type httpEntry struct {
	URL    string   `yaml:"url" required:"true" doc:"What is asked for. The URL's name is sent as Host and SNI."`
	Status int      `yaml:"status" range:"100,599" doc:"The status that must come back."`
	Body   string   `yaml:"body" doc:"Text that the answer must hold."`
	Via    via      `yaml:"via" doc:"host connects to the host's own address, dns to what the name resolves to."`
	Within duration `yaml:"within" doc:"The check must hold before this time is over."`
}

type tcpEntry struct {
	Port   int      `yaml:"port" required:"true" range:"1,65535" doc:"The port."`
	Within duration `yaml:"within" doc:"The check must hold before this time is over."`
}

type commandEntry struct {
	Run    []string `yaml:"run" required:"true" doc:"The program and its arguments; no shell reads them."`
	Within duration `yaml:"within" doc:"The check must hold before this time is over."`
}

type unitsEntry struct {
	Active []string `yaml:"active" required:"true" doc:"systemd units with their type: nginx.service."`
	Within duration `yaml:"within" doc:"The check must hold before this time is over."`
}

type rolloutSection struct {
	Waves             []string      `yaml:"waves" doc:"Selectors of hosts that are switched together, one wave after the other. Hosts of no wave come last."`
	MaxParallel       int           `yaml:"max_parallel" range:"1,10000" doc:"Hosts that are pushed to at a time."`
	MaxUnavailable    int           `yaml:"max_unavailable" range:"1,10000" doc:"Hosts between activation and commit at a time."`
	OnFailure         failurePolicy `yaml:"on_failure" doc:"What one host's failure does: rollback-host puts it back and stops, continue puts it back and goes on."`
	ActivationTimeout duration      `yaml:"activation_timeout" doc:"Time for one switch-to-configuration."`
	ConfirmTimeout    duration      `yaml:"confirm_timeout" doc:"Time to log in anew and look around; health checks come on top."`
	KeepGenerations   int           `yaml:"keep_generations" range:"0,10000" doc:"Generations of the system profile to keep on a host; 0 keeps all."`
}

type reviewSection struct {
	DirectPush directPush `yaml:"direct_push" doc:"What becomes of changes that came with commits which no pull request brought: allow makes them, stop-on-risk those without a risk class, refuse none."`
}

type evaluationSection struct {
	Workers int      `yaml:"workers" range:"1,1000" doc:"Hosts that are evaluated at a time."`
	Memory  size     `yaml:"memory" doc:"Memory for evaluating one host, 256MiB to 1024GiB."`
	Timeout duration `yaml:"timeout" doc:"Time for evaluating one host, 10s to 24h; 15 minutes when absent."`
}
