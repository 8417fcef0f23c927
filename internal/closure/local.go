package closure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/flotilla-nix/flotilla/internal/process"
)

// Local starts programs on this machine: the Opener of the source store.
type Local struct {
	Env []string // whole environment; nil: the caller's
}

var _ Opener = Local{}

// Open implements Opener.
func (l Local) Open(ctx context.Context, argv ...string) (Stream, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // argv are words that this package chose, no shell is involved
	cmd.Env = l.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s := &localStream{cmd: cmd, tail: &lastBytes{}}
	cmd.Cancel = s.kill
	cmd.WaitDelay = lastWords
	cmd.Stderr = s.tail

	// Pipes of our own: those of exec are closed by Wait, under the reader's feet.
	stdin, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, stdout, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, stdin.Close(), in.Close())
	}
	cmd.Stdin, cmd.Stdout, s.in, s.out = stdin, stdout, in, out
	err = cmd.Start()
	_ = stdin.Close()
	_ = stdout.Close()
	if err != nil {
		_ = in.Close()
		_ = out.Close()
		return nil, &process.Error{Program: argv[0], Args: argv[1:], ExitCode: -1, Cause: err}
	}
	return s, nil
}

type localStream struct {
	cmd     *exec.Cmd
	in, out *os.File
	tail    *lastBytes

	waited sync.Once
	end    error
}

// Read implements Stream.
func (s *localStream) Read(p []byte) (int, error) { return s.out.Read(p) }

// Write implements Stream.
func (s *localStream) Write(p []byte) (int, error) { return s.in.Write(p) }

// CloseWrite implements Stream.
func (s *localStream) CloseWrite() error {
	if err := s.in.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// Wait implements Stream.
func (s *localStream) Wait() error {
	s.waited.Do(func() {
		err := s.cmd.Wait()
		if err == nil {
			return
		}
		failure := &process.Error{Program: s.cmd.Args[0], Args: s.cmd.Args[1:], ExitCode: -1, Tail: s.tail.String(), Cause: err}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			failure.ExitCode = exit.ExitCode()
		}
		s.end = failure
	})
	return s.end
}

// Close implements Stream.
func (s *localStream) Close() error {
	_ = s.CloseWrite()
	_ = s.kill()
	_ = s.Wait()
	_ = s.out.Close()
	return nil
}

func (s *localStream) kill() error {
	if err := syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill %s: %w", s.cmd.Args[0], err)
	}
	return nil
}

func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed)
}

// lastBytes keeps the end of what is written to it.
type lastBytes struct {
	mu   sync.Mutex
	last []byte
}

const keptBytes = 4 << 10

// Write implements io.Writer and never fails.
func (l *lastBytes) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, p[max(0, len(p)-keptBytes):]...)
	l.last = append([]byte(nil), l.last[max(0, len(l.last)-keptBytes):]...)
	return len(p), nil
}

// String gives the text without its last newline.
func (l *lastBytes) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimRight(string(l.last), "\n")
}
