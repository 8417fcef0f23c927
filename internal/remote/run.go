package remote

import (
	"context"
	"errors"
	"io"
	"path"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
)

// maxOutput is how much stdout Run keeps, in bytes.
const maxOutput = 64 << 20

// Run runs a program to its end and collects its stdout, up to 64 MiB. stdin
// may be nil. A failure is a *process.Error (as for local runs), a *LostError,
// a *SessionError or an *OutputError; when ctx ends, a *process.Error with
// its cause, without waiting for the host.
func (c *Conn) Run(ctx context.Context, stdin io.Reader, argv ...string) (process.Result, error) {
	begin := time.Now()
	stream, err := c.Open(ctx, argv...)
	if err != nil {
		return process.Result{}, err
	}
	defer stream.Close() //nolint:errcheck // never fails
	go func() {
		if stdin != nil {
			// A program need not read all of its stdin; that it did not is no failure.
			_, _ = io.Copy(stream, stdin)
		}
		_ = stream.CloseWrite()
	}()

	type output struct {
		bytes []byte
		err   error
	}
	collected := make(chan output, 1)
	go func() {
		b, err := io.ReadAll(io.LimitReader(stream, maxOutput+1))
		if len(b) > maxOutput {
			err = &OutputError{Host: c.host, Program: path.Base(argv[0]), Limit: maxOutput}
			_ = stream.Close()
		}
		collected <- output{b, err}
	}()
	waitErr := stream.Wait()

	var out output
	select {
	case out = <-collected:
	case <-time.After(exitGrace):
		out.err = errors.New("its output did not end")
	}
	var tooMuch *OutputError
	if errors.As(out.err, &tooMuch) {
		return process.Result{}, tooMuch
	}
	if waitErr == nil && out.err != nil {
		waitErr = &LostError{Host: c.host, Program: path.Base(argv[0]), Tail: stream.tail.String(), Cause: out.err}
	}
	return process.Result{Stdout: out.bytes, Stderr: stream.tail.String(), Duration: time.Since(begin)}, waitErr
}
