package plans

import (
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// System is what evaluation says of one host, without building it: the
// derivation and the review facts. Made by package nix, compared by planner.
type System struct {
	Host         string               `json:"host"`
	DrvPath      storepath.Path       `json:"drv_path"`
	OutPath      storepath.Path       `json:"out_path"`
	Deployment   Deployment           `json:"deployment"`
	Units        map[string]UnitText  `json:"units"` // by unit name
	Etc          map[string]EtcEntry  `json:"etc"`   // by target, relative to /etc
	Packages     []InstalledPackage   `json:"packages"`
	Firewall     Firewall             `json:"firewall"`
	Users        map[string]UserFacts `json:"users"`
	SSHD         SSHD                 `json:"sshd"`
	Boot         Boot                 `json:"boot"`
	HostName     string               `json:"host_name"`
	StateVersion string               `json:"state_version"`
	Images       map[string]string    `json:"images"` // container name → image
	Services     Services             `json:"services,omitzero"`
	Warnings     []string             `json:"warnings"`
	Keys         map[string]KeyFacts  `json:"keys"`                    // deployment.keys, by name
	MachinesFile string               `json:"machines_file,omitempty"` // the hive's meta.machinesFile, absolute; "": none
	ReadServers  []string             `json:"read_servers,omitempty"`  // servers whose facts it read, where known
	Partial      string               `json:"partial,omitempty"`       // why the review facts (units to images) are not known; "": they are
}

// Deployment is the host's deployment.* in the hive, Colmena's words.
type Deployment struct {
	TargetHost                 string   `json:"targetHost"` // "": the server's address
	LocalOnly                  bool     `json:"localOnly"`  // targetHost is null: deployed by nobody but itself
	TargetUser                 string   `json:"targetUser"` // "": ssh.user
	TargetPort                 int      `json:"targetPort"` // 0: ssh.port
	Tags                       []string `json:"tags"`
	BuildOnTarget              bool     `json:"buildOnTarget"`
	AllowLocalDeployment       bool     `json:"allowLocalDeployment"`
	ReplaceUnknownProfiles     bool     `json:"replaceUnknownProfiles"`
	PrivilegeEscalationCommand []string `json:"privilegeEscalationCommand"`
	SSHOptions                 []string `json:"sshOptions"`
}

// UnitText is a unit file. Text is "" where it is not known without building.
type UnitText struct {
	Text     string   `json:"text"`
	Enabled  bool     `json:"enabled"`   // false: masked
	DropIn   bool     `json:"drop_in"`   // adds to a unit that a package brings
	WantedBy []string `json:"wanted_by"` // also requiredBy and upheldBy
	// Files are texts of generated files that the unit names (its configuration
	// file, its scripts), by name, as far as they are known without building.
	Files map[string]string `json:"files,omitempty"`
}

// EtcEntry is a file below /etc.
type EtcEntry struct {
	Text   *string `json:"text"`   // nil: not known without building
	Source string  `json:"source"` // store path
	Mode   string  `json:"mode"`
}

// InstalledPackage is an element of environment.systemPackages.
type InstalledPackage struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Firewall is networking.firewall.
type Firewall struct {
	Enabled    bool                     `json:"enabled"`
	Ports      FirewallPorts            `json:"ports"`      // on all interfaces
	Interfaces map[string]FirewallPorts `json:"interfaces"` // by interface
}

// FirewallPorts lists open ports; ranges are "from-to".
type FirewallPorts struct {
	TCP []string `json:"tcp"`
	UDP []string `json:"udp"`
}

// UserFacts is a user account without its password.
type UserFacts struct {
	UID    *int     `json:"uid"`
	Group  string   `json:"group"`
	Groups []string `json:"groups"` // extra groups
	Normal bool     `json:"normal"`
	Shell  string   `json:"shell"`
	Keys   []string `json:"keys"` // authorized_keys lines
}

// SSHD is services.openssh.
type SSHD struct {
	Enabled  bool              `json:"enabled"`
	Ports    []int             `json:"ports"`
	Settings map[string]string `json:"settings"`
}

// Boot is what needs a reboot to change. "" where the host has none (containers).
type Boot struct {
	Kernel        string   `json:"kernel"` // store path
	KernelVersion string   `json:"kernel_version"`
	Initrd        string   `json:"initrd"`
	Modules       string   `json:"modules"` // store path of the kernel modules
	Params        []string `json:"params"`
}

// KeyFacts says of a deployment key where it comes from and goes to, and never
// what it is.
type KeyFacts struct {
	Path        string `json:"path"` // on the host
	User        string `json:"user"`
	Group       string `json:"group"`
	Permissions string `json:"permissions"` // octal
	UploadAt    string `json:"upload_at"`   // pre-activation or post-activation
	Source      string `json:"source"`      // text, keyFile or keyCommand
	From        string `json:"from"`        // the keyFile (in the repository: relative to it), or the keyCommand as a JSON list
	Digest      string `json:"digest"`      // of the text, keyCommand, or keyFile in the repository; "": not known. Not to be shown
}

// Evaluation is a host's System or why it has none.
type Evaluation struct {
	System System
	Err    *problem.Problem // nil: System is valid
}
