package remote

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
)

func TestRun(t *testing.T) {
	s := startSSHD(t, "Banner /etc/os-release", "PrintMotd yes")
	conn := s.dial(t)
	for _, c := range []struct {
		name   string
		stdin  io.Reader
		argv   []string
		stdout string
		code   int // of a process.Error, 0: success
		tail   string
		cause  string
	}{
		{name: "words arrive as they are", argv: []string{"printf", "%s|", "a b", "", "it's", "$HOME", "*", "\n", "ü"}, stdout: "a b||it's|$HOME|*|\n|ü|"},
		{name: "stdin", stdin: strings.NewReader("hello"), argv: []string{"cat"}, stdout: "hello"},
		{name: "no stdin ends at once", argv: []string{"cat"}},
		{name: "stdin that nobody reads", stdin: io.LimitReader(zeros{}, 16<<20), argv: []string{"true"}},
		{name: "stdin that never ends", stdin: neverEnds{}, argv: []string{"echo", "done"}, stdout: "done\n"},
		{name: "exit code", argv: []string{"sh", "-c", "echo out; echo first >&2; echo last >&2; exit 42"}, stdout: "out\n", code: 42, tail: "first\nlast"},
		{name: "unknown program", argv: []string{"no-such-program-here"}, code: 127, tail: "*"},
		{name: "signal", argv: []string{"sh", "-c", "kill -9 $$"}, code: -1, cause: "SIGKILL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := conn.Run(within(t, 20*time.Second), c.stdin, c.argv...)
			if got := string(result.Stdout); got != c.stdout {
				t.Errorf("stdout %q, want %q", got, c.stdout)
			}
			if c.code == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var failure *process.Error
			if !errors.As(err, &failure) {
				t.Fatalf("got %v, want a process.Error", err)
			}
			if failure.ExitCode != c.code || c.tail != "*" && failure.Tail != c.tail {
				t.Errorf("exit code %d, tail %q; want %d, %q", failure.ExitCode, failure.Tail, c.code, c.tail)
			}
			if c.cause != "" && !strings.Contains(err.Error(), c.cause) {
				t.Errorf("%v does not name %s", err, c.cause)
			}
		})
	}
}

func TestRunBigOutput(t *testing.T) {
	conn := startSSHD(t).dial(t)
	result, err := conn.Run(within(t, 60*time.Second), nil, "head", "-c", "30000000", "/dev/zero")
	if err != nil || len(result.Stdout) != 30_000_000 {
		t.Errorf("%d bytes, %v", len(result.Stdout), err)
	}
	_, err = conn.Run(within(t, 60*time.Second), nil, "cat", "/dev/zero")
	var tooMuch *OutputError
	if !errors.As(err, &tooMuch) {
		t.Errorf("got %v, want an OutputError", err)
	}
	// The connection is still good.
	if _, err := conn.Run(within(t, 20*time.Second), nil, "true"); err != nil {
		t.Error(err)
	}
}

func TestRunStderrIsBounded(t *testing.T) {
	conn := startSSHD(t).dial(t)
	result, err := conn.Run(within(t, 60*time.Second), nil, "sh", "-c", "head -c 20000000 /dev/zero | tr '\\0' x >&2; seq 100 >&2")
	if err != nil {
		t.Fatal(err)
	}
	if lines := strings.Split(result.Stderr, "\n"); len(lines) != tailLines || lines[tailLines-1] != "100" {
		t.Errorf("%d lines of stderr, the last %q", len(lines), lines[len(lines)-1])
	}
}

// Shells that greet on stdout are a fact of life; the noise is handed on, the SSH banner is not.
func TestRunNoise(t *testing.T) {
	s := startSSHD(t, `ForceCommand echo Welcome to the host; eval "$SSH_ORIGINAL_COMMAND"`, "Banner /etc/os-release")
	result, err := s.dial(t).Run(within(t, 20*time.Second), nil, "echo", "it's")
	if err != nil || string(result.Stdout) != "Welcome to the host\nit's\n" {
		t.Errorf("%q, %v", result.Stdout, err)
	}
}

func TestRunServerKilled(t *testing.T) {
	s := startSSHD(t)
	conn := s.dial(t)
	mark := filepath.Join(t.TempDir(), "working")
	go func() {
		for range 200 {
			if _, err := os.Stat(mark); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		for _, pid := range s.connections() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}()
	_, err := conn.Run(within(t, 20*time.Second), nil, "sh", "-c", `echo working >&2; sleep 0.2; : >"$1"; sleep 15`, "sh", mark)
	var lost *LostError
	if !errors.As(err, &lost) {
		t.Fatalf("got %v, want a LostError", err)
	}
	if lost.Host != "web" || lost.Tail != "working" {
		t.Errorf("LostError = %+v", lost)
	}
	if _, err := conn.Run(within(t, 20*time.Second), nil, "true"); !errors.As(err, &lost) {
		t.Errorf("on a dead connection: got %v, want a LostError", err)
	}
}

func TestRunFrozenServer(t *testing.T) {
	s := startSSHD(t)
	target := s.target("web")
	target.KeepAlive = 200 * time.Millisecond
	for _, c := range []struct {
		name  string
		stdin io.Reader
	}{{"silent", nil}, {"in the middle of an upload", zeros{}}} {
		t.Run(c.name, func(t *testing.T) {
			conn := mustDial(t, target)
			frozen := make(chan struct{})
			time.AfterFunc(500*time.Millisecond, func() { s.freeze(); close(frozen) })
			begin := time.Now()
			_, err := conn.Run(within(t, 20*time.Second), c.stdin, "sh", "-c", "cat >/dev/null; sleep 15")
			var lost *LostError
			if !errors.As(err, &lost) || !strings.Contains(err.Error(), "no sign of life") {
				t.Errorf("got %v, want a LostError", err)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			<-frozen
			s.kill()
			s.start(t)
		})
	}
}

// A slow but living host must not be taken for dead.
func TestKeepAliveOfIdleConnection(t *testing.T) {
	target := startSSHD(t).target("web")
	target.KeepAlive = 100 * time.Millisecond
	conn := mustDial(t, target)
	if _, err := conn.Run(within(t, 20*time.Second), nil, "sleep", "1.5"); err != nil {
		t.Error(err)
	}
}

func TestRunCancelled(t *testing.T) {
	conn := startSSHD(t).dial(t)
	mark := filepath.Join(t.TempDir(), "terminated")
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	time.AfterFunc(500*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	_, err := conn.Run(ctx, neverEnds{}, "sh", "-c", `cat; echo yes >"$1"`, "sh", mark)
	var failure *process.Error
	if !errors.As(err, &failure) || failure.ExitCode != -1 || !errors.Is(err, why) {
		t.Errorf("got %v, want a process.Error with the context's cause", err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("took %v", took)
	}
	deadline := time.Now().Add(5 * time.Second)
	for {
		if b, _ := os.ReadFile(mark); string(b) == "yes\n" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the program did not see its stdin end")
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := conn.Run(within(t, 20*time.Second), nil, "true"); err != nil {
		t.Errorf("the connection did not survive: %v", err)
	}
}

// A daemon that keeps stdout open must not hold up the run.
func TestRunChildLeftBehind(t *testing.T) {
	conn := startSSHD(t).dial(t)
	begin := time.Now()
	result, err := conn.Run(within(t, 30*time.Second), nil, "sh", "-c", "sleep 25 & echo started")
	if err != nil || string(result.Stdout) != "started\n" || time.Since(begin) > 15*time.Second {
		t.Errorf("%q, %v after %v", result.Stdout, err, time.Since(begin))
	}
}

// Output that is read late must come whole, even when its program ended long ago.
func TestStreamReadLate(t *testing.T) {
	conn := startSSHD(t).dial(t)
	const size = 4 << 20 // more than a channel's window
	stream, err := conn.Open(within(t, 30*time.Second), "sh", "-c", "head -c 4194304 /dev/zero | cat & sleep 1")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(exitGrace + 2*time.Second)
	out, err := io.ReadAll(stream)
	if err != nil || len(out) != size {
		t.Errorf("%d bytes of %d, %v", len(out), size, err)
	}
	if err := stream.Wait(); err != nil {
		t.Error(err)
	}
}

func TestSessionRefused(t *testing.T) {
	conn := startSSHD(t, "MaxSessions 0").dial(t)
	_, err := conn.Run(within(t, 20*time.Second), nil, "true")
	var refused *SessionError
	if !errors.As(err, &refused) {
		t.Errorf("got %v, want a SessionError", err)
	}
}

func TestStream(t *testing.T) {
	conn := startSSHD(t).dial(t)
	stream, err := conn.Open(within(t, 20*time.Second), "sh", "-c", "read line; echo \"got $line\"; cat; echo bye >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write([]byte("one\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 8)
	if _, err := io.ReadFull(stream, answer); err != nil || string(answer) != "got one\n" {
		t.Fatalf("%q, %v", answer, err)
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	go func() {
		_, _ = stream.Write(big)
		_ = stream.CloseWrite()
	}()
	rest, err := io.ReadAll(stream)
	if err != nil || !bytes.Equal(rest, big) {
		t.Errorf("%d bytes came back, %v", len(rest), err)
	}
	var failure *process.Error
	if err := stream.Wait(); !errors.As(err, &failure) || failure.ExitCode != 3 || failure.Tail != "bye" {
		t.Errorf("Wait = %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// neverEnds is a stdin on which nothing ever comes.
type neverEnds struct{}

func (neverEnds) Read([]byte) (int, error) { select {} }
