package generation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// exitNoDeployment is the script's exit code for a deployment that it does not know.
const exitNoDeployment = 66

// recordText is a record without what the host adds (outcome, generation, time,
// reason) and without its closing brace.
func recordText(req Request, old storepath.Path) (string, error) {
	b, err := json.Marshal(struct {
		ID     string           `json:"id"`
		Kind   fleet.RecordKind `json:"kind"`
		System storepath.Path   `json:"system"`
		Old    storepath.Path   `json:"old"`
		Commit string           `json:"commit"`
		By     string           `json:"by"`
	}{req.ID, req.Kind, req.New, old, plain(req.Commit), plain(req.By)})
	if err != nil {
		return "", fmt.Errorf("record of deployment %s: %w", req.ID, err)
	}
	return strings.TrimSuffix(string(b), "}"), nil
}

// commit makes the new system the profile's generation and the boot default.
// It is not cut short by a cancel: from the decision on, the host finishes it
// by itself.
func (a *attempt) commit(ctx context.Context) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.host.limits.commit)
	defer cancel()
	var s status
	err := a.do(progress.Commit, func() (err error) {
		if _, err := a.wire.insist(clean, commitCommand(a.req.ID)); err != nil {
			if _, answered := exitCode(err); !answered {
				return err
			}
			a.host.report.Note(progress.Commit, said(err)) // the state tells what came of it
		}
		s, err = a.untilEnd(clean, commitCommand(a.req.ID))
		switch {
		case err != nil:
			return err
		case s.state != stateDone && s.why != "":
			return errors.New(s.why)
		case s.state != stateDone:
			return errors.New("the guard's time was over before the host could commit")
		}
		return nil
	})
	switch {
	case err == nil:
		a.verify(ctx)
	case s.state == stateReturned:
		a.returned(ctx, s, plain(err.Error()))
	case errors.Is(err, errRebooted):
		a.settleAfterReboot(clean, "the host was rebooted in the middle of the commit")
	default:
		a.unknown(ctx, "the commit's end could not be read back: "+plain(err.Error()))
	}
}

// untilEnd waits until the deployment has ended. When nothing works on it any
// more, again asks once more: its verbs go on where they were.
func (a *attempt) untilEnd(ctx context.Context, again command) (status, error) {
	idle, asked := 0, 0
	for {
		s, err := a.status(ctx, followWait)
		switch {
		case err == nil && s.state.ended():
			return s, nil
		case err == nil && !s.sameBoot:
			return s, errRebooted
		case err == nil && !s.isBusy("guard") && !s.isBusy("commit"):
			idle++
		default:
			idle = 0
		}
		if idle > 2 {
			if asked++; asked > 3 {
				return s, fmt.Errorf("nothing on the host brings deployment %s to its end (%s)", a.req.ID, s.state)
			}
			idle = 0
			if _, err := a.wire.run(ctx, again); err != nil && refusal(err) != "" {
				// The other decision was made; it comes to its own end.
				a.host.report.Note(a.step, refusal(err))
			}
		}
		if sleepErr := sleep(ctx, a.host.limits.redial); sleepErr != nil {
			return s, errors.Join(err, sleepErr)
		}
	}
}

// errRebooted says that the host was rebooted in between.
var errRebooted = errors.New("the host was rebooted meanwhile")

// back puts the host back: the guard's service now, or, when the host cannot be
// reached, the guard by itself. Then it reads back what runs. A cancel of ctx
// does not keep it from that.
func (a *attempt) back(ctx context.Context, reason string, blame bool) {
	if ctx.Err() != nil {
		reason, blame = "cancelled: "+reason, false
		if strings.HasPrefix(reason, "cancelled: cancelled") {
			reason = "cancelled before the host was confirmed"
		}
	}
	clean, cancel := context.WithDeadline(context.WithoutCancel(ctx), a.over)
	defer cancel()
	var s status
	err := a.do(progress.Return, func() (err error) {
		a.host.report.Note(progress.Return, reason)
		command := returnCommand(a.req.ID, reason, blame)
		if _, err := a.wire.insist(clean, command); err != nil {
			if _, answered := exitCode(err); !answered {
				return err
			}
			a.host.report.Note(progress.Return, said(err))
		}
		s, err = a.untilEnd(clean, command)
		return err
	})
	switch {
	case errors.Is(err, errRebooted):
		a.settleAfterReboot(clean, reason)
	case err != nil:
		a.unknown(ctx, reason+"; what the host runs could not be read back: "+plain(err.Error()))
	case s.state == stateDone:
		// The commit had been decided before: the host is well and stays.
		a.warn(reason)
		a.verify(ctx)
	default:
		a.returned(ctx, s, reason)
	}
}

// settleAfterReboot ends the deployment of a host that rebooted, as a later run
// would.
func (a *attempt) settleAfterReboot(ctx context.Context, reason string) {
	s, err := a.host.settle(ctx, a.wire)
	if err != nil {
		a.unknown(ctx, reason+"; "+plain(err.Error()))
		return
	}
	if s.state == stateDone {
		a.verify(ctx)
		return
	}
	a.returned(ctx, s, reason)
}

// returned reads a host back that was put back, and says how it is.
func (a *attempt) returned(ctx context.Context, s status, reason string) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.host.limits.call)
	defer cancel()
	a.result.Reason = reason
	if s.how == "" && s.why == "" {
		a.result.Reason += " (the guard put the host back)"
	}
	err := a.do(progress.Verify, func() error {
		a.wire.close()
		out, err := a.wire.insist(clean, statusCommand(a.req.ID, a.offset, 0))
		if err != nil {
			return err
		}
		if s, err = parseStatus(out); err != nil {
			return err
		}
		a.keep(s)
		return a.goodOld(s)
	})
	switch {
	case err != nil && a.result.Runs.IsZero():
		a.unknown(ctx, reason+"; what the host runs could not be read back: "+plain(err.Error()))
		return
	case err != nil && s.unbootable:
		a.result.Outcome = fleet.NotBootable
		a.result.Reason += "; " + plain(err.Error())
	case err != nil:
		a.result.Outcome = fleet.Unknown
		a.result.Reason += "; " + plain(err.Error())
	case len(s.down) > 0:
		a.result.Outcome = fleet.Degraded
		a.result.Reason += "; did not come back: " + strings.Join(s.down, ", ")
	case s.state == stateDisarmed:
		a.result.Outcome = fleet.Failed
	default:
		a.result.Outcome = fleet.RolledBack
	}
	a.told(clean)
}

// goodOld tells whether the host is on the system that it came from, and would
// boot what it would have booted.
func (a *attempt) goodOld(s status) error {
	switch {
	case s.running != a.old:
		return fmt.Errorf("the host runs %s", orNothing(s.running))
	case s.unbootable:
		return errors.New("the boot loader could not be set back: do not reboot the host before it is repaired")
	case s.profile != a.oldProfile:
		return fmt.Errorf("the system profile is %s", orNothing(s.profile))
	case !s.state.ended():
		return fmt.Errorf("the deployment has not ended (%s)", s.state)
	case s.armed:
		return errors.New("the guard is still set")
	default:
		return nil
	}
}

// verify looks at a committed host from one more login.
func (a *attempt) verify(ctx context.Context) {
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.host.limits.call)
	defer cancel()
	err := a.do(progress.Verify, func() error {
		a.wire.close()
		out, err := a.wire.insist(clean, statusCommand(a.req.ID, a.offset, 0))
		if err != nil {
			return err
		}
		s, err := parseStatus(out)
		if err != nil {
			return err
		}
		a.keep(s)
		switch {
		case s.running != a.req.New:
			return fmt.Errorf("the host runs %s", orNothing(s.running))
		case s.profile != a.req.New:
			return fmt.Errorf("the system profile is %s", orNothing(s.profile))
		case s.boots() != a.req.New:
			return fmt.Errorf("the boot default is %s", orNothing(s.bootDefault))
		case s.armed || s.state != stateDone:
			return fmt.Errorf("the deployment has not ended (%s)", s.state)
		}
		if s.bootDefault.IsZero() {
			a.warn("the boot loader's files could not be read; that the new system is the boot default is the word of switch-to-configuration")
		}
		return nil
	})
	if err != nil {
		a.result.Outcome = fleet.Unknown
		a.result.Reason = "committed, but the host could not be verified: " + plain(err.Error())
		return
	}
	a.result.Outcome, a.result.Reason = fleet.Deployed, ""
	a.result.Keys = named(a.req.Keys, a.changed)
	a.told(clean)
}

// keep takes over what was read back.
func (a *attempt) keep(s status) {
	a.result.Runs, a.result.Boots, a.result.Generation = s.running, s.bootDefault, s.generation
}

// readBack is keep for a host that was not touched; a failure changes nothing.
func (a *attempt) readBack(ctx context.Context) {
	if s, err := a.status(ctx, 0); err == nil {
		a.keep(s)
		a.told(ctx)
	}
}

// told keeps a later run from reporting this deployment once more. A failure
// only means that it is reported twice.
func (a *attempt) told(ctx context.Context) {
	_, _ = a.wire.run(ctx, toldCommand(a.req.ID))
}

// unknown is the result of a host that could not be read back. The guard still
// does its work there.
func (a *attempt) unknown(ctx context.Context, reason string) {
	a.result.Outcome, a.result.Reason = fleet.Unknown, plain(reason)
	a.result.Runs, a.result.Boots, a.result.Generation = storepath.Path{}, storepath.Path{}, 0
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(a.host.limits.call, 10*time.Second))
	defer cancel()
	if s, err := a.status(clean, 0); err == nil {
		a.keep(s)
	}
}

func orNothing(p storepath.Path) string {
	if p.IsZero() {
		return "no known system"
	}
	return p.String()
}
