package generation

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Lock takes the host's lock for holder. It counts the host's uptime and ends
// with its boot. It is renewed every third of ttl until it is freed, so that a
// short ttl (some minutes) frees the host soon after its holder died. A lock
// whose time is over is broken, and that is told; one that is held is a
// problem.Refused that names the holder.
func (h *Host) Lock(ctx context.Context, holder string, ttl time.Duration) (unlock func(context.Context) error, err error) {
	w := h.wire()
	err = h.lock(ctx, w, holder, ttl)
	w.close()
	if problem.CodeOf(err) == problem.Refused {
		return nil, err // not told: who waits for the lock asks again and again
	}
	if err := h.report.Do(progress.Lock, func() error { return err }); err != nil {
		return nil, err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var done sync.WaitGroup
	done.Go(func() { h.renew(renewing, holder, ttl) })
	return func(ctx context.Context) error {
		stop()
		done.Wait()
		w := h.wire()
		defer w.close()
		if _, err := w.run(ctx, unlockCommand(h.token)); err != nil {
			return fmt.Errorf("unlock %s: %w", h.name, err)
		}
		return nil
	}, nil
}

func (h *Host) lock(ctx context.Context, w *wire, holder string, ttl time.Duration) error {
	out, err := w.run(ctx, lockCommand(h.token, plain(holder), ttl))
	if err != nil {
		return &problem.Problem{Summary: fmt.Sprintf("cannot lock %s", h.name), Cause: err}
	}
	for line := range strings.Lines(out) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "held":
			left, who, _ := strings.Cut(rest, " ")
			return &problem.Problem{
				Summary: fmt.Sprintf("%s is locked by %s", h.name, plain(who)),
				Detail:  fmt.Sprintf("The lock ends in %s seconds if nobody renews it.", plain(left)),
				Hints:   []string{"Wait for the other run, or for the end of the lock if that run is dead."},
				Code:    problem.Refused,
			}
		case "broke":
			h.report.Note(progress.Lock, "broke the lock of "+plain(rest)+": its time was over")
		case "taken":
			return nil
		}
	}
	return &problem.Problem{Summary: fmt.Sprintf("cannot lock %s", h.name), Detail: "The host's answer is not complete."}
}

// renew keeps the lock. A host that cannot be reached cannot be reached by
// others either; the guard looks after it.
func (h *Host) renew(ctx context.Context, holder string, ttl time.Duration) {
	for sleep(ctx, ttl/3) == nil {
		w := h.wire()
		_, _ = w.run(ctx, lockCommand(h.token, plain(holder), ttl)) // the next round tries again
		w.close()
	}
}
