// Package closure copies closures from the local Nix store to hosts, over any
// stream, with the serve protocol that every Nix since 2.0 speaks.
//
// Its rule: what fifty hosts need is read and compressed once, nothing of a
// host is trusted (sizes are bounded, paths are parsed), and a closure counts
// as pushed when the host itself says that all of its paths are valid and a
// root holds them.
//
// It makes no roots, knows no SSH, builds nothing, and does not retry: after
// an error a second Plan and Send go on where the first one stopped.
package closure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Stream is a running program: Write is its stdin, Read its stdout. Wait gives
// its end (a *process.Error with the tail of stderr if it failed); Close ends
// the stream at once and never blocks for long.
type Stream interface {
	io.ReadWriter
	CloseWrite() error
	Wait() error
	Close() error
}

// Opener starts programs, on a host or here. The stream ends when ctx does.
type Opener interface {
	Open(ctx context.Context, argv ...string) (Stream, error)
}

// OpenerFunc makes an Opener of a function.
type OpenerFunc func(ctx context.Context, argv ...string) (Stream, error)

// Open implements Opener.
func (f OpenerFunc) Open(ctx context.Context, argv ...string) (Stream, error) { return f(ctx, argv...) }

// PathError is a store path that could not be copied. Those before it were.
type PathError struct {
	Path  storepath.Path
	Cause error
}

// Error implements error.
func (e *PathError) Error() string {
	var failed *process.Error
	if errors.As(e.Cause, &failed) {
		// Nix says what is wrong in several lines, the least of it in the last one.
		if at := strings.LastIndex(failed.Tail, "error:"); at >= 0 {
			return fmt.Sprintf("copy %s: %s", e.Path, strings.Join(strings.Fields(failed.Tail[at:]), " "))
		}
	}
	return fmt.Sprintf("copy %s: %v", e.Path, e.Cause)
}

// Unwrap gives the cause.
func (e *PathError) Unwrap() error { return e.Cause }

// NoiseError is a host that says something else before the protocol begins,
// most often a shell whose start-up file prints a greeting.
type NoiseError struct {
	Text []byte // what came instead, untrusted
}

// Error implements error.
func (e *NoiseError) Error() string {
	return fmt.Sprintf("nix-store was expected to answer, but got %q (do the login shell's start-up files print something?)", e.Text)
}
