package generation

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// verdict is what follows from an activation.
type verdict int

const (
	goOn           verdict = iota // to the confirmation
	nothingChanged                // it refused before it did anything
	goBack
)

// Exit codes of switch-to-configuration.
const (
	stcDone        = 0
	stcRefused     = 1
	stcActivate    = 2
	stcUnits       = 4
	stcNeedsReboot = 100
	stcPanic       = 101
)

// needsReboot turns the differences that only a reboot brings into use into a
// warning.
func (a *attempt) needsReboot(out string) {
	var parts []string
	for line := range strings.Lines(out) {
		if part, ok := strings.CutPrefix(strings.TrimSpace(line), "reboot "); ok {
			parts = append(parts, plain(part))
		}
	}
	if len(parts) > 0 {
		a.warn("the new " + strings.Join(parts, ", ") + " comes into use with the next reboot; that it boots was not proved")
	}
}

// activate starts the switch and follows it to its end.
func (a *attempt) activate(ctx context.Context) (v verdict, reason string, blame bool) {
	err := a.do(progress.Activate, func() error {
		if _, err := a.wire.run(ctx, startCommand(a.req.ID)); err != nil {
			if r := refusal(err); r != "" || ctx.Err() != nil {
				v = nothingChanged
				return fmt.Errorf("not activated: %s", said(err))
			}
			// The switch may have cut the answer off: look.
			a.host.report.Note(progress.Activate, "no answer to the start of the activation: "+said(err))
		}
		s, err := a.follow(ctx)
		if err != nil {
			v = goBack
			return err
		}
		v, blame, err = a.judgeSwitch(s)
		return err
	})
	if err != nil {
		reason = plain(err.Error())
	}
	return v, reason, blame
}

// follow reads the log until the activation has ended. Connections may break:
// it logs in anew until the guard has done its work.
func (a *attempt) follow(ctx context.Context) (status, error) {
	gone := 0
	for {
		s, err := a.status(ctx, followWait)
		switch {
		case ctx.Err() != nil:
			return status{}, fmt.Errorf("cancelled: %w", ctx.Err())
		case err != nil && time.Now().After(a.over):
			return status{}, fmt.Errorf("the host cannot be reached: %w", err)
		case err != nil:
			if err := sleep(ctx, a.host.limits.redial); err != nil {
				return status{}, fmt.Errorf("cancelled: %w", err)
			}
			continue
		}
		switch {
		case s.state != stateActivating && s.state != stateArmed:
			return s, nil // the guard was faster
		case s.offsetBehind(a.offset):
			continue
		case s.rc != nil:
			return s, nil
		case !s.isBusy("activate"):
			// Twice, since a unit that starts or ends is neither for a moment.
			if gone++; gone > 2 {
				return s, nil
			}
			if err := sleep(ctx, a.host.limits.redial); err != nil {
				return status{}, fmt.Errorf("cancelled: %w", err)
			}
		}
	}
}

// offsetBehind tells whether there is more of the log.
func (s status) offsetBehind(offset int64) bool { return s.size > offset && s.log != "" }

// judgeSwitch says what an ended activation means.
func (a *attempt) judgeSwitch(s status) (v verdict, blame bool, err error) {
	if a.part != "" {
		a.take("\n")
	}
	if !s.sameBoot {
		return goBack, true, fmt.Errorf("the host was rebooted in the middle of the activation")
	}
	if s.state != stateActivating && s.state != stateArmed {
		return goBack, true, fmt.Errorf("the guard's time was over before the activation had ended")
	}
	if s.rc == nil {
		if s.state == stateArmed {
			return nothingChanged, false, fmt.Errorf("the activation did not start")
		}
		return goBack, true, fmt.Errorf("the activation was stopped: it took longer than %s, or it was killed", a.req.ActivationTimeout)
	}
	switch code := *s.rc; code {
	case stcDone, stcUnits:
		// With 4 some unit is not well; the confirmation finds out whether the
		// switch is to blame.
		return goOn, false, nil
	case stcRefused, stcNeedsReboot:
		if !a.touched.begun && s.running == a.old {
			return nothingChanged, false, fmt.Errorf("the system refused to be activated (exit code %d): %s", code, a.lastLine())
		}
		return goBack, true, fmt.Errorf("the activation failed (exit code %d): %s", code, a.lastLine())
	case stcActivate:
		return goBack, true, fmt.Errorf("the activation script failed (exit code %d): %s", code, a.lastLine())
	case stcPanic:
		return goBack, true, fmt.Errorf("switch-to-configuration broke down in the middle (exit code %d): %s", code, a.lastLine())
	default:
		return goBack, true, fmt.Errorf("the activation failed (exit code %d): %s", code, a.lastLine())
	}
}

func (a *attempt) lastLine() string {
	for i := len(a.log) - 1; i >= 0; i-- {
		if strings.TrimSpace(a.log[i]) != "" {
			return a.log[i]
		}
	}
	return "it wrote nothing"
}

// confirm proves the new system over a new login. It gives the reason to go
// back, or "". blame is false where the system is not at fault.
func (a *attempt) confirm(ctx context.Context) (reason string, blame bool) {
	blame = true
	err := a.do(progress.Confirm, func() error {
		limited, cancel := context.WithTimeout(ctx, a.req.ConfirmTimeout)
		defer cancel()
		err := a.prove(limited)
		if ctx.Err() != nil {
			blame = false
			return fmt.Errorf("cancelled: %w", ctx.Err())
		}
		return err
	})
	if err != nil {
		return plain(err.Error()), blame
	}
	return "", false
}

func (a *attempt) prove(ctx context.Context) error {
	if a.req.Dial != nil {
		// A login in the old way would prove nothing.
		before := a.wire.dial
		a.wire.dial = a.req.Dial
		defer func() { a.wire.dial = before }()
	}
	session, err := a.login(ctx)
	if err != nil {
		return err
	}
	s, err := a.status(ctx, 0)
	if err != nil {
		return fmt.Errorf("no answer over the new connection: %w", err)
	}
	if err := a.stillOurs(s); err != nil {
		return err
	}
	if s.running != a.req.New {
		return fmt.Errorf("after the activation the host runs %s", orNothing(s.running))
	}
	if err := a.steady(ctx); err != nil {
		return err
	}
	if a.req.Confirm != nil {
		a.result.Checks, err = a.req.Confirm(ctx, session)
		if err != nil {
			bad := failing(a.result.Checks)
			a.result.Log = bad
			if len(bad) > 0 {
				err = fmt.Errorf("%w: %s", err, bad[0])
			}
			return err
		}
	}
	// The checks gave units more time to fall down.
	if err := a.steady(ctx); err != nil {
		return err
	}
	if a.touched.reachesIn() {
		a.host.report.Note(progress.Confirm, "the way to the host was touched: logging in once more")
		if _, err := a.login(ctx); err != nil {
			return err
		}
	}
	// What the checks took long for may have broken something since.
	if s, err = a.status(ctx, 0); err != nil {
		return fmt.Errorf("no answer after the health checks: %w", err)
	}
	for _, w := range a.unitWarnings {
		a.warn(w)
	}
	return a.stillOurs(s)
}

// login makes a new connection; several attempts, since a service that was
// just restarted may need a moment.
func (a *attempt) login(ctx context.Context) (Session, error) {
	for {
		session, err := a.wire.fresh(ctx)
		if err == nil {
			return session, nil
		}
		if sleep(ctx, a.host.limits.redial) != nil {
			return nil, fmt.Errorf("no login over a new connection: %w", err)
		}
	}
}

// stillOurs fails when the guard has begun or a reboot has come between.
func (a *attempt) stillOurs(s status) error {
	switch {
	case !s.sameBoot:
		return fmt.Errorf("the host was rebooted before it was confirmed")
	case s.state != stateActivating || s.decision != "":
		return fmt.Errorf("the guard's time was over before the host was confirmed")
	case !s.armed:
		return fmt.Errorf("the guard is gone")
	default:
		return nil
	}
}

// steady waits until the units that the switch touched are well and stay so.
func (a *attempt) steady(ctx context.Context) error {
	var before unitsSeen
	var since time.Time
	var waiting []string
	for {
		out, err := a.wire.run(ctx, unitsCommand(a.req.ID, a.touched.up()))
		if err != nil {
			return fmt.Errorf("cannot read the units: %w%s", err, whileWaiting(waiting))
		}
		now, err := parseUnits(out)
		if err != nil {
			return err
		}
		bad, wait, warnings := now.judge(&a.touched)
		if len(bad) > 0 {
			return fmt.Errorf("not healthy: %s", strings.Join(bad, ", "))
		}
		again := now.restarted(before)
		switch {
		case wait || len(again) > 0:
			since, waiting = time.Time{}, append(now.moving(), again...)
		case since.IsZero():
			since = time.Now()
		case time.Since(since) >= now.window(a.host.limits.stable):
			a.unitWarnings = warnings
			return nil
		}
		before = now
		if err := sleep(ctx, a.host.limits.stable/3); err != nil {
			return fmt.Errorf("the units did not settle%s: %w", whileWaiting(waiting), err)
		}
	}
}

func whileWaiting(units []string) string {
	if len(units) == 0 {
		return ""
	}
	return " (waiting for " + strings.Join(units, ", ") + ")"
}

func failing(checks []plans.CheckResult) []string {
	var lines []string
	for _, c := range checks {
		if !c.Healthy {
			lines = append(lines, c.Name+": "+c.Detail)
		}
	}
	return lines
}
