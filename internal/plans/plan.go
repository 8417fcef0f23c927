// Package plans holds the plan as data: what would change, in which words,
// and the result of carrying it out. Every front end (terminal, comment, JSON,
// deploy) uses these values; nothing here renders or decides.
//
// The JSON forms of Plan and Result are versioned: a field is only ever added
// within a version.
package plans

import (
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Version is the version of the JSON forms.
const Version = "1"

// Plan is everything that would change, in two parts: This (first parent or
// base → head) and Pending (merged, but not deployed).
type Plan struct {
	Version  string   `json:"version"`
	Fleet    string   `json:"fleet"`
	Base     Revision `json:"base"`
	Head     Revision `json:"head"`
	This     Part     `json:"this_change"`
	Pending  Part     `json:"also_pending"`
	Complete bool     `json:"complete"`
	Missing  []Gap    `json:"missing"`  // why the plan is not complete
	Warnings []Gap    `json:"warnings"` // evaluation warnings and other things worth knowing
	Current  *Current `json:"current"`  // what runs now, nil when it could not be looked up

	Topology *Topology `json:"topology,omitempty"` // the head's fleet, for a picture of it; nil: not known
}

// Revision is a commit. Subject is untrusted text.
type Revision struct {
	Commit  string `json:"commit"` // full hash; "" for a working tree
	Subject string `json:"subject,omitempty"`
}

// Part is one list of changes, in the order in which they would happen:
// resources that are created or changed, hosts, resources that are destroyed.
type Part struct {
	Resources []Resource `json:"resources"`
	Hosts     []Host     `json:"hosts"`
	Cost      *Cost      `json:"cost"` // nil: not known
}

// Cost is the price of all that the fleet declares, per month and net of tax.
type Cost struct {
	Currency string      `json:"currency"`
	Before   fleet.Money `json:"before"`
	After    fleet.Money `json:"after"`
}

// Empty tells whether nothing changes.
func (p Part) Empty() bool { return len(p.Resources) == 0 && len(p.Hosts) == 0 }

// Gap names a part of the plan that could not be made, or a warning.
type Gap struct {
	Subject string `json:"subject"` // host, resource or "account"
	Text    string `json:"text"`    // untrusted text, may span lines

	At problem.Position `json:"at,omitzero"` // in the user's files; zero: nowhere

	// Policy is set of warnings that this change itself brings about: it edits
	// policy, logins or the provider, which is worth telling also when no server
	// and no host changes.
	Policy bool `json:"policy,omitempty"`
}

// Current is what runs now, as published by the last deploy.
type Current struct {
	Hosts map[string]fleet.Published `json:"hosts"`
}

// Action is what happens to a resource or host.
type Action string

// The actions, Terraform's words.
const (
	Create  Action = "create"
	Update  Action = "update"
	Rebuild Action = "rebuild" // the disk is made anew from the image; addresses and attachments stay
	Replace Action = "replace"
	Destroy Action = "destroy"
)

// Risk is a class of harm a change may do.
type Risk string

// The risk classes, worst first.
const (
	RiskDestroy  Risk = "destroy"
	RiskReplace  Risk = "replace"
	RiskData     Risk = "data"
	RiskAccess   Risk = "access" // SSH, users, keys, privileges
	RiskPort     Risk = "port opened"
	RiskReboot   Risk = "reboot"
	RiskPowerOff Risk = "power-off"
	RiskStop     Risk = "unit stopped"
)

// ResourceKind is a kind of thing at the provider.
type ResourceKind string

// The resource kinds.
const (
	KindSSHKey         ResourceKind = "ssh_key"
	KindNetwork        ResourceKind = "network"
	KindSubnet         ResourceKind = "subnet"
	KindRoute          ResourceKind = "route"
	KindServer         ResourceKind = "server"
	KindFirewall       ResourceKind = "firewall"
	KindPlacementGroup ResourceKind = "placement_group"
	KindVolume         ResourceKind = "volume"
	KindPrimaryIP      ResourceKind = "primary_ip"
	KindLoadBalancer   ResourceKind = "load_balancer"
)

// Resource is a change of infrastructure.
type Resource struct {
	Kind       ResourceKind `json:"kind"`
	Name       string       `json:"name"` // subnets: <network>/<ip_range>, routes: <network>/<destination>
	Action     Action       `json:"action"`
	Attributes []Attribute  `json:"attributes"`
	Risks      []Risk       `json:"risks"`
	Lost       []string     `json:"lost,omitempty"` // data and addresses that go with it, for people: "IPv4 203.0.113.7"
	Note       string       `json:"note,omitempty"` // for example why an edit does nothing
}

// Attribute is one attribute old → new; "" is absent. Known is false where the
// new value is known only after apply.
type Attribute struct {
	Name   string `json:"name"`
	Old    string `json:"old"`
	New    string `json:"new"`
	Known  bool   `json:"known"`
	Forces bool   `json:"forces_replacement"`
	Powers bool   `json:"powers_off"` // the server is powered off for it
}

// Host is the change of one host's system.
type Host struct {
	Name       string         `json:"name"`
	Action     Action         `json:"action"`
	Old        storepath.Path `json:"old"` // system's store path, zero if there was none or it is not known
	New        storepath.Path `json:"new"`
	AfterApply bool           `json:"known_after_apply"` // reads addresses that apply will decide, so it also changes once known
	Units      []Unit         `json:"units"`
	Packages   []Package      `json:"packages"`
	Ports      []Port         `json:"ports"`
	Users      []User         `json:"users"`
	Files      []File         `json:"files"`
	Reboot     string         `json:"reboot"`   // why a reboot is needed, "" if not
	Settings   []Attribute    `json:"settings"` // host name, state version, deployment settings
	Risks      []Risk         `json:"risks"`
	Notes      []string       `json:"notes"`               // held, failed last time, …
	Lockout    []string       `json:"lockout,omitempty"`   // why the deploy could not log in to the new system any more
	SSHMoves   []string       `json:"ssh_moves,omitempty"` // how the way in changes for everybody: "port 22 → 2222"
	Items      []Item         `json:"items,omitempty"`
	Closure    *Closure       `json:"closure,omitempty"` // nil: it was not built
}

// Closure is the size of a host's system with all that it needs, in bytes as
// NARs. It is known where the system was built.
type Closure struct {
	Before  int64 `json:"before"` // of what runs, else of the system before; 0: not known
	After   int64 `json:"after"`
	Reached bool  `json:"reached"` // the host was asked: Push and Free are known
	Push    int64 `json:"push"`    // of the paths that it lacks
	Free    int64 `json:"free"`    // on /nix
}

// ItemKind is a kind of thing on a host.
type ItemKind string

// The kinds of items.
const (
	ItemMount       ItemKind = "file system"
	ItemDatabase    ItemKind = "database"
	ItemSecret      ItemKind = "secret"
	ItemKey         ItemKind = "deployment key" // deployment.keys
	ItemContainer   ItemKind = "container"
	ItemSite        ItemKind = "virtual host"
	ItemCertificate ItemKind = "certificate"
)

// Item is a change of something on a host that is more than a unit or a file.
type Item struct {
	Kind    ItemKind    `json:"kind"`
	Name    string      `json:"name"`
	Action  Action      `json:"action"`
	Changes []Attribute `json:"changes,omitempty"`
	UsedBy  []string    `json:"used_by,omitempty"` // units; of what is gone: that still need it
	Data    string      `json:"data,omitempty"`    // why data is at risk, "" if it is not
	Note    string      `json:"note,omitempty"`
}

// Effect is what the switch does to a unit, NixOS's words.
type Effect string

// The effects.
const (
	EffectStop    Effect = "stop"
	EffectRestart Effect = "restart"
	EffectReload  Effect = "reload"
	EffectStart   Effect = "start"
	EffectSkip    Effect = "not restarted" // changed, but told not to restart
	EffectNothing Effect = "nothing"       // changed, applies by daemon-reload alone
)

// Certainty says how sure a prediction is.
type Certainty string

// The certainties.
const (
	Will      Certainty = "will"
	IfRunning Certainty = "if running"
	Unsure    Certainty = "unknown"
)

// Unit is a predicted effect on a systemd unit.
type Unit struct {
	Name      string    `json:"name"`
	Effect    Effect    `json:"effect"`
	Certainty Certainty `json:"certainty"`
	Why       string    `json:"why,omitempty"` // for example "ExecStart changed"
}

// Package is a change of an installed package. "" is absent.
type Package struct {
	Name string `json:"name"`
	Old  string `json:"old"` // versions, comma-separated
	New  string `json:"new"`
}

// Port is a firewall change.
type Port struct {
	Interface string `json:"interface,omitempty"` // "": all
	Protocol  string `json:"protocol"`            // tcp, udp
	Port      string `json:"port"`                // number, from-to, or "all" when the firewall itself is switched
	Opened    bool   `json:"opened"`              // false: closed
}

// User is a change of a user account.
type User struct {
	Name        string   `json:"name"`
	Action      Action   `json:"action"`
	System      bool     `json:"system,omitempty"` // a service's account, nobody's login
	KeysAdded   []string `json:"keys_added"`       // type, fingerprint and comment
	KeysRemoved []string `json:"keys_removed"`
	Changes     []string `json:"changes"` // for example "group wheel added"
}

// File is a changed /etc entry, or a generated file that a unit uses.
type File struct {
	Path   string `json:"path"`           // relative to /etc; with Unit the file's name in the store
	Unit   string `json:"unit,omitempty"` // the unit(s) that use it
	Action Action `json:"action"`
	Diff   string `json:"diff,omitempty"` // unified diff of the text, untrusted; "" where the text is not known
}
