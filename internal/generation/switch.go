package generation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

const (
	// maxLog is how many lines of the activation a result keeps.
	maxLog = 40
	// followWait is how long the host waits for news before it answers.
	followWait = 3 * time.Second

	defaultActivation = 10 * time.Minute
	defaultConfirm    = 2 * time.Minute
)

// Request says what to switch to, and how to know that it is well.
type Request struct {
	ID                string // of the deployment, unique; letters, digits, dots, dashes, underscores
	New               storepath.Path
	Kind              fleet.RecordKind
	Commit            string
	By                string
	Reason            string        // of a rollback by hand, for the record
	ActivationTimeout time.Duration // for one switch-to-configuration; 0: 10 minutes
	ConfirmTimeout    time.Duration // between the activation's end and the commit; 0: 2 minutes
	KeepGenerations   int           // 0: all
	// Dial makes the logins that prove the new system, where it is reached in
	// another way than the old one; nil: in the same way.
	Dial Dialer
	// Confirm runs the health checks over a login that was made after the
	// activation; may be nil. Its error is the reason to go back.
	Confirm func(ctx context.Context, s Session) ([]plans.CheckResult, error)
	// Keys are all that the new system wants on the host; those that are not
	// there as they should be are sent. nil: not known, whatever is there stays.
	Keys          []Key
	AcceptRunning bool        // go on though the running system is not the boot default
	Hold          *fleet.Hold // set when the host commits; nil: none. Its At is the host's
}

func (r *Request) fill() error {
	if err := checkID(r.ID); err != nil {
		return err
	}
	if r.New.IsZero() {
		return errors.New("no system to switch to")
	}
	if err := checkKeys(r.Keys); err != nil {
		return err
	}
	if r.ActivationTimeout <= 0 {
		r.ActivationTimeout = defaultActivation
	}
	if r.ConfirmTimeout <= 0 {
		r.ConfirmTimeout = defaultConfirm
	}
	return nil
}

// attempt is one Switch.
type attempt struct {
	host   *Host
	req    Request
	wire   *wire
	result plans.HostResult
	step   progress.Step

	old        storepath.Path // ran before
	oldProfile storepath.Path // was the profile before
	over       time.Time      // after it, the guard has put the host back, or nobody will

	offset  int64
	part    string
	log     []string
	touched touched
	changed []string // paths of the keys that have to be put there

	unitWarnings []string // of the last look at the units
}

// Switch activates, confirms and commits a system that is in the host's store,
// or puts the host back. What the result says the host runs and boots was read
// back from it. When ctx ends in the middle, a host that was not activated is
// disarmed, any other is put back, and the result says so.
func (h *Host) Switch(ctx context.Context, req Request) plans.HostResult {
	started := time.Now()
	a := &attempt{host: h, req: req, wire: h.wire()}
	a.result = plans.HostResult{Host: h.name, Outcome: fleet.Failed, Wanted: req.New}
	defer a.wire.close()
	a.run(ctx)
	a.result.Duration = time.Since(started)
	if a.result.Outcome != fleet.Deployed && a.result.Outcome != fleet.Unchanged && len(a.result.Log) == 0 {
		a.result.Log = a.log
	}
	return a.result
}

func (a *attempt) run(ctx context.Context) {
	if err := a.req.fill(); err != nil {
		a.result.Reason = err.Error()
		return
	}
	if !a.look(ctx) || !a.guard(ctx) {
		return
	}
	// From here on the host is brought to an end, whatever happens.
	if err := a.keys(ctx, keyEarly); err != nil {
		a.disarm(ctx, plain(err.Error()))
		return
	}
	switch verdict, reason, blame := a.activate(ctx); verdict {
	case goOn:
		if err := a.keys(ctx, keyLate); err != nil {
			a.back(ctx, plain(err.Error()), false)
			return
		}
		if reason, blame := a.confirm(ctx); reason != "" {
			a.back(ctx, reason, blame)
			return
		}
		a.commit(ctx)
	case nothingChanged:
		a.disarm(ctx, reason)
	case goBack:
		a.back(ctx, reason, blame)
	}
}

// do runs a step, reports it and keeps its time.
func (a *attempt) do(step progress.Step, f func() error) error {
	a.step = step
	began := time.Now()
	err := a.host.report.Do(step, f)
	a.result.Steps = append(a.result.Steps, plans.StepTime{Step: string(step), Started: began.UTC(), Duration: time.Since(began)})
	return err
}

func (a *attempt) warn(text string) {
	a.result.Warnings = append(a.result.Warnings, text)
	a.host.report.Note(a.step, text)
}

// look refuses a host whose way back would not be clear. It gives false when
// the result is complete.
func (a *attempt) look(ctx context.Context) bool {
	var s seen
	err := a.do(progress.Look, func() (err error) {
		if s, err = a.host.look(ctx, a.wire); err != nil {
			return err
		}
		a.changed, err = changedKeys(ctx, a.wire, a.req.Keys)
		return err
	})
	if err != nil {
		a.result.Reason = plain(err.Error())
		return false
	}
	a.old, a.oldProfile = s.Running, s.Profile
	a.result.Was, a.result.Runs, a.result.Generation = s.Running, s.Running, s.Generation
	a.result.Boots = s.BootDefault
	boots := s.BootDefault
	if boots.IsZero() {
		boots = s.Profile
	}
	if outcome, reason := a.refuse(s, boots); reason != "" {
		a.result.Outcome, a.result.Reason = outcome, reason
		a.host.report.Note(progress.Look, reason)
		return false
	}
	if s.Running == a.req.New && s.Profile == a.req.New && boots == a.req.New && a.req.Hold == nil {
		a.result.Outcome = fleet.Unchanged
		return false
	}
	return true
}

func (a *attempt) refuse(s seen, boots storepath.Path) (fleet.Outcome, string) {
	switch {
	case !s.NixOS || s.Running.IsZero():
		return fleet.Failed, a.host.name + " does not run NixOS"
	case s.lockToken != "" && s.lockToken != a.host.token:
		return fleet.HeldBack, "locked by " + s.LockedBy
	case s.Hold != nil && a.req.Hold == nil:
		return fleet.HeldBack, fmt.Sprintf("held by %s: %s", s.Hold.By, s.Hold.Reason)
	case s.Unfinished != nil:
		return fleet.Failed, fmt.Sprintf("deployment %s has not ended (%s)", s.Unfinished.ID, s.Unfinished.State)
	case !s.valid || !s.switchable:
		return fleet.Failed, fmt.Sprintf("the running system %s could not be returned to: it is not complete in the store", s.Running)
	case s.Profile.IsZero():
		return fleet.Failed, "the host has no system profile"
	case s.Running != boots && !a.req.AcceptRunning:
		return fleet.Failed, fmt.Sprintf("runs %s, which is not its boot default (%s): somebody switched by hand; --accept-running takes it as the system to return to", s.Running, boots)
	default:
		return "", ""
	}
}

// guard records the deployment and starts the guard. Until the activation
// begins, a failure leaves nothing behind.
func (a *attempt) guard(ctx context.Context) bool {
	l := a.host.limits
	// Whoever confirms in the last moment still needs some time to commit.
	confirm := a.req.ConfirmTimeout + min(l.margin, max(a.req.ConfirmTimeout/2, 5*time.Second)) + a.keysWait(true)
	deadline := a.req.ActivationTimeout + l.stop + confirm + a.keysWait(false)
	err := a.do(progress.Guard, func() error {
		record, err := recordText(a.req, a.old)
		if err != nil {
			return err
		}
		files := []command{store(a.req.ID, "host.sh", script()), store(a.req.ID, "record", record)}
		if a.req.Hold != nil {
			files = append(files, store(a.req.ID, "hold", holdText(a.req.Hold.By, a.req.Hold.Reason)))
		}
		if a.req.Reason != "" {
			files = append(files, store(a.req.ID, "reason", quoteJSON(a.req.Reason)+"\n"))
		}
		if a.req.Keys != nil {
			files = append(files, store(a.req.ID, "keys", keysText(a.req.Keys, a.changed)))
		}
		for _, c := range files {
			if _, err := a.wire.run(ctx, c); err != nil {
				return err
			}
		}
		out, err := a.wire.run(ctx, armCommand(a.req.ID, a.old, a.req.New, deadline, a.req.ActivationTimeout, confirm, a.req.KeepGenerations, a.host.token))
		a.needsReboot(out)
		return err
	})
	a.over = time.Now().Add(deadline + a.req.ActivationTimeout + l.stop + l.comeback)
	if err == nil {
		return true
	}
	if r := refusal(err); r != "" {
		a.result.Reason = r
		return false
	}
	// It may be armed: an answer may have been lost.
	a.disarm(ctx, "the guard could not be set: "+said(err))
	return false
}

// disarm ends a deployment that changed nothing.
func (a *attempt) disarm(ctx context.Context, reason string) {
	if ctx.Err() != nil {
		reason = "cancelled before anything was activated"
	}
	a.result.Outcome, a.result.Reason = fleet.Failed, reason
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.host.limits.cleanup)
	defer cancel()
	_, err := a.wire.insist(clean, disarmCommand(a.req.ID, reason))
	if code, answered := exitCode(err); answered && code == exitNoDeployment {
		return // nothing came as far as the host
	}
	if refusal(err) != "" {
		// It was activated after all, or the guard is at it.
		a.back(ctx, reason, false)
		return
	}
	if err != nil {
		a.warn("the guard may still be set: " + said(err) + "; without an activation it ends without touching anything")
		return
	}
	a.readBack(clean)
}
