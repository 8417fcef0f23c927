package process

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRun(t *testing.T) {
	var lines []string
	r, err := Run(t.Context(), Command{
		Program: "/bin/sh", Args: []string{"-c", "cat; echo one >&2; printf two >&2"},
		Stdin: strings.NewReader("in"), Line: func(l string) { lines = append(lines, l) },
	})
	if err != nil || string(r.Stdout) != "in" || !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("got %q, %v, %v", r.Stdout, lines, err)
	}
}

func TestFailureBringsItsTail(t *testing.T) {
	_, err := Run(t.Context(), Command{Program: "/bin/sh", Args: []string{"-c", "for i in $(seq 50); do echo line $i >&2; done; exit 7"}})
	var e *Error
	if !errors.As(err, &e) || e.ExitCode != 7 {
		t.Fatalf("got %v", err)
	}
	if got := strings.Split(e.Tail, "\n"); len(got) != 20 || got[19] != "line 50" {
		t.Errorf("tail is %q", e.Tail)
	}
	if !strings.Contains(err.Error(), "exit code 7: line 50") {
		t.Errorf("error reads %q", err)
	}
}

func TestLongLine(t *testing.T) {
	var got int
	_, err := Run(t.Context(), Command{Program: "/bin/sh", Args: []string{"-c", "head -c 300000 /dev/zero | tr '\\0' x >&2"}, Line: func(l string) { got += len(l) }})
	if err != nil || got != 300000 {
		t.Errorf("got %d bytes, %v", got, err)
	}
}

// A child that keeps the pipe open must not hang the run.
func TestCancelEndsChildrenToo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Run(ctx, Command{Program: "/bin/sh", Args: []string{"-c", "sleep 60 & sleep 60"}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestMissingProgram(t *testing.T) {
	_, err := Run(t.Context(), Command{Program: "/nonexistent/program"})
	var e *Error
	if !errors.As(err, &e) || e.ExitCode != -1 {
		t.Errorf("got %v", err)
	}
}

func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has this limit")
	}
	const program = `dd if=/dev/zero of=/dev/null bs=64M count=1 && ulimit -H -d`
	hard := ""
	for _, trial := range []struct {
		memory int64
		fits   bool
	}{{0, true}, {256 << 20, true}, {16 << 20, false}} {
		r, err := Run(t.Context(), Command{Program: "sh", Args: []string{"-c", "sleep 0.1; " + program}, Memory: trial.memory})
		if (err == nil) != trial.fits {
			t.Errorf("%d bytes: %v: %s", trial.memory, err, r.Stdout)
		}
		if hard == "" {
			hard = string(r.Stdout)
		}
		if err == nil && string(r.Stdout) != hard {
			t.Errorf("%d bytes: the hard limit changed: %s", trial.memory, r.Stdout)
		}
	}
}
