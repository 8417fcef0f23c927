package fleet

import (
	"time"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// HostState is what a host says of itself, read back over SSH.
type HostState struct {
	NixOS         bool             `json:"nixos"`
	Running       storepath.Path   `json:"running"`      // /run/current-system
	Booted        storepath.Path   `json:"booted"`       // /run/booted-system
	Profile       storepath.Path   `json:"profile"`      // /nix/var/nix/profiles/system
	Generation    int              `json:"generation"`   // number of the profile's generation
	BootDefault   storepath.Path   `json:"boot_default"` // what a reboot starts, as far as the loader can be read; else zero
	BootID        string           `json:"boot_id"`
	Uptime        time.Duration    `json:"uptime"`
	FreeNix       int64            `json:"free_nix"`  // bytes free on /nix
	FreeBoot      int64            `json:"free_boot"` // bytes free on /boot
	FailedUnits   []string         `json:"failed_units"`
	ActiveUnits   []string         `json:"active_units"`
	SystemdState  string           `json:"systemd_state"` // systemctl is-system-running
	Hold          *Hold            `json:"hold,omitempty"`
	Last          *Record          `json:"last,omitempty"`         // newest record
	Unfinished    *Unfinished      `json:"unfinished,omitempty"`   // a deployment that nobody ended
	LockedBy      string           `json:"locked_by,omitempty"`    // holder of the host's lock, "" if free
	MissingKeys   []string         `json:"missing_keys,omitempty"` // paths of deployment keys that were put there and are gone, as after a reboot
	FailedSystems []storepath.Path `json:"failed_systems"`         // systems that were put back: refused without --retry-bad
}

// Hold keeps a host where somebody rolled it back to.
type Hold struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Unfinished is a deployment found on a host without an end.
type Unfinished struct {
	ID     string         `json:"id"`
	State  string         `json:"state"` // armed, activating, committing, …
	Old    storepath.Path `json:"old"`
	New    storepath.Path `json:"new"`
	BootID string         `json:"boot_id"` // of the boot in which it began
	Armed  bool           `json:"armed"`   // its guard still runs
}

// RecordKind says what a Record is about.
type RecordKind string

// The kinds of records.
const (
	RecordDeploy   RecordKind = "deploy"
	RecordRollback RecordKind = "rollback" // by hand
)

// Outcome is the result for a host, one word (DESIGN.md chapter 4).
type Outcome string

// The outcomes.
const (
	Unchanged   Outcome = "unchanged"
	Deployed    Outcome = "deployed"
	Staged      Outcome = "staged"
	RolledBack  Outcome = "rolled-back"
	Failed      Outcome = "failed" // nothing was activated
	HeldBack    Outcome = "held"
	Skipped     Outcome = "skipped"
	Degraded    Outcome = "degraded"
	NotBootable Outcome = "not-bootable"
	Unknown     Outcome = "unknown"
)

// Record is one line of a host's deployment history, kept on the host.
type Record struct {
	ID         string         `json:"id"` // of the deployment
	Kind       RecordKind     `json:"kind"`
	Outcome    Outcome        `json:"outcome"`
	System     storepath.Path `json:"system"` // the system that was tried
	Old        storepath.Path `json:"old"`    // what ran before
	Generation int            `json:"generation,omitempty"`
	Commit     string         `json:"commit"`
	By         string         `json:"by"`
	At         time.Time      `json:"at"`
	Reason     string         `json:"reason,omitempty"` // why it was put back
}
