package config

import (
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// defaulter is implemented by types whose absent keys have a value. The
// decoder calls it on each new value before it reads the file's keys into it.
type defaulter interface{ setDefaults() }

var (
	_ defaulter = (*hetznerSection)(nil)
	_ defaulter = (*sshSection)(nil)
	_ defaulter = (*subnetEntry)(nil)
	_ defaulter = (*httpEntry)(nil)
	_ defaulter = (*tcpEntry)(nil)
	_ defaulter = (*commandEntry)(nil)
	_ defaulter = (*unitsEntry)(nil)
	_ defaulter = (*rolloutSection)(nil)
)

const defaultWithin = duration(60 * time.Second)

func defaultFile() fleetFile {
	var f fleetFile
	f.SSH.setDefaults()
	f.Rollout.setDefaults()
	return f
}

func (h *hetznerSection) setDefaults() { h.PollInterval = duration(500 * time.Millisecond) }

func (s *sshSection) setDefaults() { s.User, s.Port, s.Address = "root", 22, addressIPv4 }

func (s *subnetEntry) setDefaults() { s.Type = subnetCloud }

func (h *httpEntry) setDefaults() { h.Status, h.Via, h.Within = 200, viaHost, defaultWithin }

func (t *tcpEntry) setDefaults() { t.Within = defaultWithin }

func (c *commandEntry) setDefaults() { c.Within = defaultWithin }

func (u *unitsEntry) setDefaults() { u.Within = defaultWithin }

func (r *rolloutSection) setDefaults() {
	r.MaxParallel = 10
	r.MaxUnavailable = 1
	r.OnFailure = string(fleet.RollbackHost)
	r.ActivationTimeout = duration(10 * time.Minute)
	r.ConfirmTimeout = duration(time.Minute)
	r.KeepGenerations = 10
}
