package plans

import "github.com/flotilla-nix/flotilla/internal/fleet"

// Status is what the hosts of a fleet run now.
type Status struct {
	Version string       `json:"version"`
	Fleet   string       `json:"fleet"`
	Head    Revision     `json:"head"` // of the fleet repo
	Hosts   []HostStatus `json:"hosts"`
}

// HostStatus is one host of a Status.
type HostStatus struct {
	Host      string          `json:"host"`
	Address   string          `json:"address"`
	Reachable bool            `json:"reachable"`
	Error     string          `json:"error,omitempty"` // why it could not be looked at
	State     fleet.HostState `json:"state"`           // zero when not reachable
	Deployed  *fleet.Record   `json:"deployed"`        // newest confirmed record of the running system
	Pending   bool            `json:"pending"`         // the deployed commit is not the repo's head
	Drift     string          `json:"drift,omitempty"` // why what runs is not ours, "" if it is
}

// History holds records by host, newest first.
type History struct {
	Version string                    `json:"version"`
	Fleet   string                    `json:"fleet"`
	Hosts   map[string][]fleet.Record `json:"hosts"`
}
