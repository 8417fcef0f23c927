package generation

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
)

// maxAnswer bounds what is read of one answer.
const maxAnswer = 4 << 20

// The exit codes that the script uses for itself.
const exitRefused = 69

// wire is a login that is made again when it breaks.
type wire struct {
	dial    Dialer
	limits  limits
	session Session
}

func (h *Host) wire() *wire { return &wire{dial: h.dial, limits: h.limits} }

func (w *wire) close() {
	if w.session != nil {
		_ = w.session.Close() // nothing more is wanted of it
		w.session = nil
	}
}

// fresh makes a new login, whatever there was.
func (w *wire) fresh(ctx context.Context) (Session, error) {
	w.close()
	s, err := w.dial(ctx)
	if err != nil {
		return nil, err
	}
	w.session = s
	return s, nil
}

// run runs a command once. It logs in if need be; after trouble with the
// connection the next run logs in anew.
func (w *wire) run(ctx context.Context, c command) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, w.limits.call)
	defer cancel()
	if w.session == nil {
		if _, err := w.fresh(ctx); err != nil {
			return "", err
		}
	}
	var stdin io.Reader
	if c.stdin != "" {
		stdin = strings.NewReader(c.stdin)
	}
	result, err := w.session.Run(ctx, stdin, c.argv...)
	if err != nil {
		if _, answered := exitCode(err); !answered {
			w.close()
		}
		return string(result.Stdout), err
	}
	if len(result.Stdout) > maxAnswer {
		return "", fmt.Errorf("the host's answer has %d bytes", len(result.Stdout))
	}
	return string(result.Stdout), nil
}

// insist runs a command that may be repeated until the host answers or ctx ends.
func (w *wire) insist(ctx context.Context, c command) (string, error) {
	for {
		out, err := w.run(ctx, c)
		if err == nil {
			return out, nil
		}
		if _, answered := exitCode(err); answered {
			return out, err
		}
		if sleep(ctx, w.limits.redial) != nil {
			return "", err
		}
	}
}

// exitCode gives the exit code of a command that ended on the host.
func exitCode(err error) (int, bool) {
	var e *process.Error
	if errors.As(err, &e) && e.ExitCode >= 0 {
		return e.ExitCode, true
	}
	return 0, false
}

// refusal gives what the script said when it refused, "" for other errors.
func refusal(err error) string {
	var e *process.Error
	if !errors.As(err, &e) || e.ExitCode != exitRefused {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(e.Tail), "\n")
	return plain(strings.TrimPrefix(lines[len(lines)-1], "flotilla: "))
}

// said gives the last line that a failed command wrote, else the error's text.
func said(err error) string {
	var e *process.Error
	if errors.As(err, &e) && e.ExitCode >= 0 && strings.TrimSpace(e.Tail) != "" {
		lines := strings.Split(strings.TrimSpace(e.Tail), "\n")
		return plain(strings.TrimPrefix(lines[len(lines)-1], "flotilla: "))
	}
	return plain(err.Error())
}

// sleep waits, or gives the context's error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
