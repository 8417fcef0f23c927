package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// DriftOptions say where to look for drift.
type DriftOptions struct {
	On   fleet.Selector // limits hosts and their servers
	Only Only
	// Deployed is a revision that is known to be deployed, for example that of
	// the newest deployment at GitHub; "": what the servers' labels tell alone.
	Deployed string
	// LockTimeout is how long to wait for a run that changes the fleet now.
	LockTimeout time.Duration
}

// Drift compares what was declared and deployed with what is: the account with
// the deployed revisions' flotilla.yaml, hosts with their records. It changes
// nothing and takes no lock, so a token that may only read is enough; while
// somebody else changes the fleet it does not look. A host that cannot be
// looked at is part of the answer, not an error.
func (f *Flow) Drift(ctx context.Context, opts DriftOptions) (plans.Drift, error) {
	w, err := f.open(ctx)
	if err != nil {
		return plans.Drift{}, err
	}
	defer w.close()
	v := &view{flow: f}
	if err := v.read(ctx, w); err != nil {
		return plans.Drift{}, err
	}
	var found plans.Drift
	look := func() (err error) {
		found, err = v.drift(ctx, w, opts)
		return err
	}
	if v.client == nil {
		return found, look()
	}
	err = f.undisturbed(ctx, v.client, opts.LockTimeout, look)
	return found, err
}

// lockReader tells who holds a fleet's lock.
type lockReader interface {
	ReadLock(ctx context.Context) (fleet.Lock, bool, error)
	Stale(l fleet.Lock) bool
}

// undisturbed calls look while nobody holds the fleet's lock, and again when
// somebody took it meanwhile.
func (f *Flow) undisturbed(ctx context.Context, l lockReader, timeout time.Duration, look func() error) error {
	deadline := f.now().Add(timeout)
	looked := false
	var told time.Time
	for {
		held, is, err := l.ReadLock(ctx)
		busy := is && !l.Stale(held)
		switch {
		case err != nil:
			return err
		case !busy && looked:
			return nil
		case !busy:
			if err := look(); err != nil {
				return err
			}
			looked = true
			continue
		case !f.now().Before(deadline):
			return lockedBy(held)
		}
		looked = false
		if f.now().Sub(told) >= tellEvery {
			f.progress().Note(progress.Lock, "waits for "+describe(held))
			told = f.now()
		}
		if err := pause(ctx, min(askAgain, deadline.Sub(f.now()))); err != nil {
			return err
		}
	}
}

func (v *view) drift(ctx context.Context, w *workspace, opts DriftOptions) (plans.Drift, error) {
	d := plans.Drift{Fleet: v.tree.Fleet.Name, Revision: v.tree.Revision}
	if err := v.lookAtAccount(ctx); err != nil {
		return d, err
	}
	if opts.Only != OnlyInfra || opts.On.ByTag() {
		v.warnings = nil
		if err := v.choose(ctx, opts.On); err != nil {
			return d, err
		}
		for _, w := range v.warnings {
			d.Missing = append(d.Missing, plans.Gap{Subject: "hive", Text: w})
		}
	}
	v.offServers(opts.On, &d)
	if v.client != nil && opts.Only != OnlyHosts {
		v.driftedResources(ctx, w, opts, &d)
	}
	if opts.Only != OnlyInfra {
		if len(v.hosts) > 0 {
			if err := v.reach(ctx); err != nil {
				return d, err
			}
		}
		v.driftedHosts(ctx, &d)
	}
	d.Conclude()
	return d, nil
}

// driftedHosts looks at the selected hosts.
func (v *view) driftedHosts(ctx context.Context, d *plans.Drift) {
	names := slices.Sorted(maps.Keys(v.hosts))
	seen := make([]plans.HostStatus, len(names))
	var group errgroup.Group
	group.SetLimit(lookers)
	for i, name := range names {
		if v.switchedOff(name) {
			continue // nobody answers there, and it is known why
		}
		group.Go(func() error {
			seen[i] = v.status(ctx, name)
			return nil
		})
	}
	_ = group.Wait() // each host's error is in its own line
	for i, name := range names {
		v.judge(name, seen[i], d)
	}
}

// judge sorts what was seen of a host into drift, what could not be seen, and
// what is only worth knowing.
func (v *view) judge(name string, s plans.HostStatus, d *plans.Drift) {
	note := func(format string, args ...any) {
		d.Notes = append(d.Notes, plans.Gap{Subject: name, Text: fmt.Sprintf(format, args...)})
	}
	switch {
	case v.switchedOff(name):
		return // told already
	case v.notMadeYet(name):
		note("The provider has no server of this name.") // gone, or still to come: that is the account's matter
		return
	case s.Problem != "":
		d.Missing = append(d.Missing, plans.Gap{Subject: name, Text: s.Problem})
	default:
		d.Looked.Hosts++
	}
	if len(s.Drift) > 0 {
		d.Hosts = append(d.Hosts, plans.HostDrift{Host: name, Findings: s.Drift})
	}
	switch {
	case s.Hold != nil:
		text := fmt.Sprintf("Held by %s since %s", s.Hold.By, s.Hold.At.UTC().Format("2006-01-02 15:04 UTC"))
		if s.Hold.Reason != "" {
			text += ": " + s.Hold.Reason
		}
		note("%s", text)
	case s.Pending && s.Commit != "":
		note("Runs commit %.12s; what was merged since is not deployed to it.", s.Commit)
	case s.Pending && s.Problem == "" && len(s.Drift) == 0:
		note("Nothing was deployed to it yet.")
	}
	if s.LockedBy != "" {
		note("%s works on it now.", s.LockedBy)
	}
	if len(s.FailedUnits) > 0 {
		note("Failed units: %s", strings.Join(s.FailedUnits, ", "))
	}
}

// offServers finds servers that somebody switched off, also those without a host.
func (v *view) offServers(on fleet.Selector, d *plans.Drift) {
	for _, name := range slices.Sorted(maps.Keys(v.account.Servers)) {
		if v.switchedOff(name) && (on.All() || on.Match(name, v.tags[name])) {
			d.Hosts = append(d.Hosts, plans.HostDrift{Host: name, Findings: []string{"The server is off: somebody switched it off, and a deploy leaves it so."}})
		}
	}
}

// switchedOff tells that a host's server is off, and that it was not Flotilla
// who switched it off.
func (v *view) switchedOff(name string) bool {
	server, ok := v.account.Servers[name]
	return ok && !server.SwitchedOff && slices.Contains([]string{"off", "stopping"}, server.Status)
}

// notMadeYet tells that a host's server is declared and does not exist.
func (v *view) notMadeYet(name string) bool {
	_, declared := v.tree.Fleet.Servers[name]
	_, exists := v.account.Servers[name]
	return declared && !exists && v.hosts[name].TargetHost == ""
}

// lasting is an error's text without what differs each time: the port that a
// connection happened to begin at.
func lasting(err error) string {
	text := oneLine(err)
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		text = strings.ReplaceAll(text, op.Source.String()+"->", "")
	}
	return text
}
