package plans

// Services is what a system says of its services beyond their units. What a
// host does not have, or its nixpkgs does not know, is empty.
type Services struct {
	Containers   map[string]Container   `json:"containers,omitempty"`   // virtualisation.oci-containers, by name
	Sites        map[string]Site        `json:"sites,omitempty"`        // nginx virtual hosts, by name
	Certificates map[string]Certificate `json:"certificates,omitempty"` // security.acme.certs, by name
	PostgreSQL   PostgreSQL             `json:"postgresql,omitzero"`    // zero: off
	Mounts       map[string]Mount       `json:"mounts,omitempty"`       // fileSystems, by mount point
	Secrets      map[string]SecretFacts `json:"secrets,omitempty"`      // sops.secrets and age.secrets, by name
	Groups       map[string][]string    `json:"groups,omitempty"`       // users.groups.*.members, by group
	SSHListen    []string               `json:"ssh_listen,omitempty"`   // services.openssh.listenAddresses, "address:port"
	Texts        map[string]string      `json:"texts,omitempty"`        // by /etc target: what is known of files that are checked while they are built
}

// Container is one container of virtualisation.oci-containers.
type Container struct {
	Image   string   `json:"image"`
	Ports   []string `json:"ports"`
	Volumes []string `json:"volumes"`
	Unit    string   `json:"unit"`
}

// Site is one virtual host of nginx.
type Site struct {
	Names    []string `json:"names"`
	TLS      string   `json:"tls"`  // "", "yes", "only", "forced"
	ACME     string   `json:"acme"` // "yes" or ""
	Listen   []string `json:"listen"`
	Default  string   `json:"default"` // "yes" or ""
	Proxies  []string `json:"proxies"` // where its locations pass requests to
	Redirect string   `json:"redirect"`
}

// Certificate is one that ACME gets.
type Certificate struct {
	Names []string `json:"names"`
	DNS   string   `json:"dns"` // DNS provider of the challenge, "": HTTP
	Group string   `json:"group"`
}

// PostgreSQL is the host's database server.
type PostgreSQL struct {
	Version string `json:"version"`
	Major   string `json:"major"` // versions of one major share the form of their data
	DataDir string `json:"data_dir"`
}

// Mount is one file system.
type Mount struct {
	Device  string   `json:"device"`
	Kind    string   `json:"kind"` // ext4, …
	Options []string `json:"options"`
	Format  string   `json:"format"` // "yes": made when there is none
}

// SecretFacts says where a secret of sops-nix or agenix goes, and never what it is.
type SecretFacts struct {
	Path     string   `json:"path"`
	Owner    string   `json:"owner"`
	Group    string   `json:"group"`
	Mode     string   `json:"mode"` // octal
	Restarts []string `json:"restarts"`
	Reloads  []string `json:"reloads"`
	Digest   string   `json:"digest"` // of the encrypted file, "" if not known
}
