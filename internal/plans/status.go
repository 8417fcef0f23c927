package plans

import (
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// HostStatus is one host as status shows it. What was not looked up stays zero.
type HostStatus struct {
	Host        string         `json:"host"`
	Address     string         `json:"address"`
	Reachable   bool           `json:"reachable"`
	Problem     string         `json:"problem,omitempty"` // why it could not be read, untrusted text
	Running     storepath.Path `json:"running"`
	BootDefault storepath.Path `json:"boot_default"`
	Generation  int            `json:"generation"`
	Commit      string         `json:"commit"`      // deployed revision, "" if no record names the running system
	DeployedAt  time.Time      `json:"deployed_at"` // of that revision; zero: not known
	Pending     bool           `json:"pending"`     // the wanted system differs from the running one
	Hold        *fleet.Hold    `json:"held,omitempty"`
	Drift       []string       `json:"drift"` // what no record of ours names, one sentence each
	FailedUnits []string       `json:"failed_units"`
	LockedBy    string         `json:"locked_by,omitempty"`
}

// HostHistory is the records of one host, newest first.
type HostHistory struct {
	Host    string         `json:"host"`
	Records []fleet.Record `json:"records"`
	Problem string         `json:"problem,omitempty"` // why they could not be read, untrusted text
}
