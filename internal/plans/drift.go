package plans

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Drift is how what exists differs from what was declared and deployed. What
// is merged and waits for a deploy, and what is held, is no drift: Notes tell it.
type Drift struct {
	Version  string   `json:"version"`
	Fleet    string   `json:"fleet"`
	Revision Revision `json:"revision"` // whose flotilla.yaml and hive said where to look
	Deployed Revision `json:"deployed"` // newest revision that is known to be deployed; zero: none is

	// Resources were changed at the provider: Old is what exists, New what the
	// deployed revision declares. Create is gone, Destroy there undeclared.
	Resources []Resource  `json:"resources"`
	Hosts     []HostDrift `json:"hosts"` // only those that drifted
	Looked    Looked      `json:"looked"`

	Complete bool   `json:"complete"`
	Missing  []Gap  `json:"missing"` // what could not be looked at, and why
	Notes    []Gap  `json:"notes"`   // worth knowing, and no drift
	Digest   string `json:"digest"`  // of what drifted and what is missing: it changes when that does, and only then
}

// HostDrift is what is not as deployed on one host.
type HostDrift struct {
	Host     string   `json:"host"`
	Findings []string `json:"findings"` // one sentence each, untrusted text
}

// Looked says how much was looked at.
type Looked struct {
	Account bool `json:"account"` // the provider's account
	Hosts   int  `json:"hosts"`   // over SSH, those that answered
}

// Found tells whether anything drifted.
func (d Drift) Found() bool { return len(d.Resources)+len(d.Hosts) > 0 }

// Clear tells that nothing drifted and that everything could be looked at.
func (d Drift) Clear() bool { return d.Complete && !d.Found() }

// ExitCode is Failed when something could not be looked at, whatever else was
// found, else Changes on drift.
func (d Drift) ExitCode() problem.Code {
	switch {
	case !d.Complete:
		return problem.Failed
	case d.Found():
		return problem.Changes
	default:
		return problem.OK
	}
}

// Conclude fills in what follows from the rest: Complete, Digest, and lists
// that are [] in JSON and not null.
func (d *Drift) Conclude() {
	d.Version = Version
	d.Resources = append([]Resource{}, d.Resources...)
	d.Hosts = append([]HostDrift{}, d.Hosts...)
	d.Missing, d.Notes = append([]Gap{}, d.Missing...), append([]Gap{}, d.Notes...)
	d.Complete = len(d.Missing) == 0
	subjects := make([]string, 0, len(d.Missing)) // their texts may differ each time
	for _, m := range d.Missing {
		subjects = append(subjects, m.Subject)
	}
	said, err := json.Marshal([]any{d.Resources, d.Hosts, subjects})
	if err != nil {
		said = nil // plain strings and numbers always marshal
	}
	sum := sha256.Sum256(said)
	d.Digest = hex.EncodeToString(sum[:16])
}
