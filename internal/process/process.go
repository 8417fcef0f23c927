// Package process runs a program: streams its lines, stops it gently, and
// turns a failure into a typed error with the tail of what it wrote.
//
// Secrets never go through Args; pass them on Stdin.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// grace is how long a program may take to end after SIGTERM, and how long
	// its children may keep the pipes open after it.
	grace     = 5 * time.Second
	tailLines = 20
)

// Command describes one run.
type Command struct {
	Program string
	Args    []string
	Dir     string
	Env     []string // whole environment; nil: the caller's
	Stdin   io.Reader
	Stdout  io.Writer         // nil: collected into Result.Stdout
	Line    func(line string) // called for each line of stderr, without its newline; may be nil
	Memory  int64             // bytes that each of its processes may have (Linux only); 0: no limit
}

// Result is what a run that ended with exit code 0 left.
type Result struct {
	Stdout   []byte
	Stderr   string // the last lines
	Duration time.Duration
}

// Error is a run that failed.
type Error struct {
	Program  string
	Args     []string
	ExitCode int    // -1: not started or killed
	Tail     string // last lines of stderr
	Cause    error
}

// Error implements error with program, exit code and the last line.
func (e *Error) Error() string {
	s := e.Program
	if len(e.Args) > 0 {
		s += " " + e.Args[0]
	}
	if e.ExitCode >= 0 {
		s += fmt.Sprintf(": exit code %d", e.ExitCode)
	} else if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	if lines := strings.Split(strings.TrimSpace(e.Tail), "\n"); e.Tail != "" {
		s += ": " + lines[len(lines)-1]
	}
	return s
}

// Unwrap gives the cause (a context's error when the run was cancelled).
func (e *Error) Unwrap() error { return e.Cause }

// Run runs c to its end. When ctx ends, the program's whole process group gets
// SIGTERM, and SIGKILL after a grace of 5 s.
func Run(ctx context.Context, c Command) (Result, error) {
	start := time.Now()
	cmd := exec.CommandContext(ctx, c.Program, c.Args...) //nolint:gosec // running programs is this package's job; arguments are words, no shell is involved
	cmd.Dir, cmd.Env, cmd.Stdin = c.Dir, c.Env, c.Stdin
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return signalGroup(cmd.Process, syscall.SIGTERM) }
	cmd.WaitDelay = grace

	var stdout bytes.Buffer
	cmd.Stdout = c.Stdout
	if c.Stdout == nil {
		cmd.Stdout = &stdout
	}
	lines := &lineWriter{each: c.Line}
	cmd.Stderr = lines

	err := cmd.Start()
	if err == nil {
		if c.Memory > 0 {
			_ = limitMemory(cmd.Process.Pid, c.Memory) // it has ended, or runs as somebody else
		}
		err = cmd.Wait()
	}
	lines.flush()
	result := Result{Stdout: stdout.Bytes(), Stderr: lines.tail(), Duration: time.Since(start)}
	if err == nil {
		return result, nil
	}
	if cmd.Process != nil {
		// Children that outlived the grace must not outlive the run.
		_ = signalGroup(cmd.Process, syscall.SIGKILL)
	}
	failure := &Error{Program: c.Program, Args: c.Args, ExitCode: -1, Tail: lines.tail(), Cause: err}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		failure.ExitCode = exit.ExitCode()
	}
	if ctx.Err() != nil {
		failure.ExitCode = -1
		failure.Cause = context.Cause(ctx)
	}
	return result, failure
}

func signalGroup(p *os.Process, s syscall.Signal) error {
	err := syscall.Kill(-p.Pid, s)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// lineWriter cuts a stream into lines of any length, keeps the last ones and
// hands each on. The last line counts without its newline too.
type lineWriter struct {
	mu   sync.Mutex
	each func(string)
	part []byte
	last []string
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.part = append(w.part, p...)
	for {
		i := bytes.IndexByte(w.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		w.emit(string(w.part[:i]))
		w.part = w.part[i+1:]
	}
}

func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.part) > 0 {
		w.emit(string(w.part))
		w.part = nil
	}
}

func (w *lineWriter) emit(line string) {
	line = strings.TrimSuffix(line, "\r")
	w.last = append(w.last, line)
	if len(w.last) > tailLines {
		w.last = w.last[1:]
	}
	if w.each != nil {
		w.each(line)
	}
}

func (w *lineWriter) tail() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.last, "\n")
}
