//go:build bench

// Package bench measures the built program side by side with what it replaces,
// in one run, and holds it to its targets: Terraform with the provider's own
// plugin for the infrastructure, plain Nix for the evaluation. `make bench`.
//
// Rule: a ratio is of two things measured here, minutes apart at most; what
// could not be measured is said to be NOT RUN and is never met. Non-goals: time
// series, microbenchmarks, and absolute times as such, which are the machine's.
package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// runLimit is the longest that one measured program may take.
const runLimit = 10 * time.Minute

var (
	flotilla string // the built program; set once by TestMain
	report   sheet  // printed once by TestMain
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "flotilla-bench-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	flotilla = filepath.Join(dir, "flotilla")
	build := exec.Command("go", "build", "-o", flotilla, "../../cmd/flotilla")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	code := m.Run()
	report.print(os.Stdout)
	return code
}

// ended is one run of a program.
type ended struct {
	wall, cpu time.Duration // cpu: of the program and all that it waited for
	peak      int64         // bytes of memory, the most at one time, of the program and all below it
	own       int64         // bytes of the largest single process
	others    float64       // share of the processors that went to others meanwhile
	stdout    string
}

// run runs a program to its end; other exit codes than 0 end the benchmark.
func run(t *testing.T, dir string, env []string, program string, args ...string) ended {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, env, &stdout, &stderr, 5*time.Second
	before, load, began := processes(), processors(), time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	peak := watch(cmd.Process.Pid, before)
	err := cmd.Wait()
	e := ended{wall: time.Since(began), peak: peak(), stdout: stdout.String()}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", filepath.Base(program), strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	e.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		e.own = usage.Maxrss << 10
	}
	e.others = load.others(e)
	e.peak = max(e.peak, e.own) // short-lived programs escape the sampling
	return e
}

// write writes files below a folder.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// commit makes a revision of all that is in a folder, and a repository of the
// folder if it is none.
func commit(t *testing.T, dir, subject string) {
	t.Helper()
	env := append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	run(t, dir, env, "git", "init", "-q", "-b", "main")
	run(t, dir, env, "git", "add", "--all")
	run(t, dir, env, "git", "commit", "-q", "-m", subject)
}

// faster keeps the better of two runs of the same thing: what else the machine
// does only adds.
func faster(a, b ended) ended {
	if a.wall == 0 {
		return b
	}
	best := b
	if a.wall < b.wall {
		best = a
	}
	best.peak, best.own = max(a.peak, b.peak), max(a.own, b.own)
	return best
}
