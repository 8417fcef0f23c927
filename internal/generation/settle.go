package generation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// settleTime bounds what an earlier run left: a switch back and a commit.
const settleTime = 15 * time.Minute

// Settle ends what an earlier run left on the host: it disarms what was never
// activated, puts back what nobody confirmed, finishes a commit that was
// decided. It says in a sentence what it found and how it ended, also when the
// guard or a reboot ended it alone; "" when there is nothing to tell. Without
// an error, the host is on a verified good system. A deployment whose run still
// holds the lock is left alone: that is a problem.Refused.
func (h *Host) Settle(ctx context.Context) (told string, err error) {
	w := h.wire()
	defer w.close()
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var s status
	err = h.report.Do(progress.Settle, func() (err error) {
		s, err = h.settle(ctx, w)
		return err
	})
	if err != nil {
		return "", err
	}
	if s.told || s.state == stateNone {
		return "", nil
	}
	told = tale(s)
	h.report.Note(progress.Settle, told)
	// What ended before may have been changed by hand since; the look that
	// follows judges that.
	if s.action != "none" {
		if err := verifySettled(h.name, s); err != nil {
			return told, err
		}
	}
	if _, err := w.run(ctx, stored(s.id, "told")); err != nil {
		h.report.Note(progress.Settle, "the host will tell this once more: "+said(err))
	}
	return told, nil
}

// settle asks the host for the next step until the newest deployment has ended.
func (h *Host) settle(ctx context.Context, w *wire) (status, error) {
	first := ""
	for {
		out, err := w.run(ctx, settleCommand(h.token))
		if err == nil {
			s, err := parseStatus(out)
			switch {
			case err != nil:
				return status{}, &problem.Problem{Summary: fmt.Sprintf("cannot read what an earlier deployment left on %s", h.name), Cause: err}
			case s.locked != "":
				return status{}, &problem.Problem{
					Summary: fmt.Sprintf("a deployment on %s has not ended, and the host is locked by %s", h.name, s.locked),
					Hints:   []string{"Wait for the other run, or for the end of its lock if it is dead."},
					Code:    problem.Refused,
				}
			case s.state.ended():
				if first != "" {
					s.action = first
				}
				return s, nil
			}
			if s.action != "none" && s.action != "waiting" && first == "" {
				first = s.action
			}
		} else if _, answered := exitCode(err); answered {
			return status{}, &problem.Problem{Summary: fmt.Sprintf("cannot settle %s: %s", h.name, said(err)), Cause: err, Code: problem.Unknown}
		} else if first == "" {
			return status{}, &problem.Problem{Summary: fmt.Sprintf("cannot reach %s", h.name), Cause: err}
		}
		if sleepErr := sleep(ctx, h.limits.redial); sleepErr != nil {
			return status{}, &problem.Problem{
				Summary: fmt.Sprintf("an earlier deployment on %s could not be brought to its end", h.name),
				Cause:   errors.Join(err, sleepErr), Code: problem.Unknown,
			}
		}
	}
}

// tale says what became of a deployment.
func tale(s status) string {
	why := s.why
	if why == "" {
		why = "nobody confirmed it in time"
	}
	system := s.new.Name()
	switch {
	case s.state == stateDisarmed:
		return fmt.Sprintf("an earlier deployment (%s) had ended before anything was activated; its guard was taken away", s.id)
	case s.state == stateDone && s.action == "finishing":
		return fmt.Sprintf("an earlier deployment (%s) of %s was confirmed and had not finished its commit; that was done now", s.id, system)
	case s.state == stateDone:
		return fmt.Sprintf("an earlier deployment (%s) of %s was confirmed and committed after its run had ended", s.id, system)
	case s.how == "reboot":
		return fmt.Sprintf("an earlier deployment (%s) of %s was rolled back by a reboot before it was confirmed", s.id, system)
	case s.how == "commit":
		return fmt.Sprintf("an earlier deployment (%s) of %s was put back: %s", s.id, system, why)
	case s.action == "returning":
		return fmt.Sprintf("an earlier deployment (%s) of %s was put back now: %s", s.id, system, why)
	case s.how == "asked":
		return fmt.Sprintf("an earlier deployment (%s) of %s was put back: %s", s.id, system, why)
	default:
		return fmt.Sprintf("an earlier deployment (%s) of %s was put back by the guard: %s", s.id, system, why)
	}
}

// verifySettled tells whether the host is on the system that the deployment's
// end means.
func verifySettled(host string, s status) error {
	want, profile := s.old, s.was
	if s.state == stateDone {
		want, profile = s.new, s.new
	}
	var wrong []string
	if s.running != want {
		wrong = append(wrong, fmt.Sprintf("it runs %s instead of %s", orNothing(s.running), want))
	}
	if s.profile != profile {
		wrong = append(wrong, fmt.Sprintf("its system profile is %s instead of %s", orNothing(s.profile), profile))
	}
	if !s.bootDefault.IsZero() && s.bootDefault != profile {
		wrong = append(wrong, fmt.Sprintf("its boot default is %s instead of %s", s.bootDefault, profile))
	}
	if s.unbootable {
		wrong = append(wrong, "its boot loader could not be set back")
	}
	if len(s.down) > 0 {
		wrong = append(wrong, "did not come back: "+strings.Join(s.down, ", "))
	}
	if len(wrong) == 0 {
		return nil
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("%s is not as an earlier deployment (%s) should have left it", host, s.id),
		Detail:  strings.Join(wrong, "\n"),
		Hints:   []string{"Look at the host, and switch it to a good system by hand."},
		Code:    problem.Unknown,
	}
}
