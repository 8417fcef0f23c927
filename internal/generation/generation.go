// Package generation brings one NixOS host from one system to another and
// never leaves it on a system that was not seen healthy: look, lock, guard,
// activate, confirm, commit, or return.
//
// Rule: what must not be half done is one script that systemd runs on the
// host; this side only asks for it, looks, and reports what it has read back.
// Every verb of the script may be repeated. A guard on the host goes back to
// the recorded old system, by absolute path, unless a commit was decided.
//
// Non-goals: pushing closures, the order of hosts, reboots.
package generation

import (
	"context"
	"crypto/rand"
	"io"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Session is one login on a host, as root.
type Session interface {
	// Run runs a program. A non-zero exit is a *process.Error with its ExitCode;
	// any other error is trouble with the connection.
	Run(ctx context.Context, stdin io.Reader, argv ...string) (process.Result, error)
	Close() error
}

// Dialer makes a new TCP connection and login, with the host key checked, each
// time it is called.
type Dialer func(ctx context.Context) (Session, error)

// Host is one host. Its methods are not for several goroutines at a time.
type Host struct {
	name   string
	dial   Dialer
	report progress.Reporter
	token  string // names this run in the host's lock
	limits limits
}

// limits are the times that are no policy of the user's.
type limits struct {
	call     time.Duration // one command
	redial   time.Duration // between two attempts to log in
	stop     time.Duration // for stopping a switch that hangs (TimeoutStopSec of its unit, and some)
	margin   time.Duration // between the last moment to confirm and the guard
	stable   time.Duration // units must stay as they are for this long
	comeback time.Duration // beyond the switch itself, for going back and for the way to the host
	cleanup  time.Duration // for a short command after a cancel
	commit   time.Duration // for a commit
}

// New makes a Host. sink may be nil.
func New(name string, dial Dialer, sink progress.Sink) *Host {
	return &Host{
		name: name, dial: dial, report: progress.For(sink, name), token: rand.Text(),
		limits: limits{
			call: 45 * time.Second, redial: time.Second, stop: 30 * time.Second, margin: 30 * time.Second,
			stable: 3 * time.Second, comeback: 2 * time.Minute, cleanup: 20 * time.Second, commit: 5 * time.Minute,
		},
	}
}
