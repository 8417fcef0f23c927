package nix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Build builds systems that Evaluate gave for a trusted Source, and checks
// that each came out at the path which was evaluated. The result holds the
// hosts that failed. Builders' output goes to sink, line by line.
func (e *Evaluator) Build(ctx context.Context, systems []plans.System, sink progress.Sink) map[string]error {
	var (
		mu     sync.Mutex
		failed = map[string]error{}
		group  errgroup.Group
	)
	// Nix spreads one build over the cores itself; two keep it busy while one of them links its system together.
	group.SetLimit(2)
	for _, s := range systems {
		group.Go(func() error {
			r := progress.For(sink, s.Host)
			err := r.Do(progress.Build, func() error { return e.build(ctx, s, r) })
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[s.Host] = err
			}
			return nil
		})
	}
	_ = group.Wait() // failures are collected by host
	return failed
}

func (e *Evaluator) build(ctx context.Context, s plans.System, r progress.Reporter) error {
	args := []string{"--realise", s.DrvPath.String()}
	if e.opts.RootsDir != "" {
		if err := os.MkdirAll(e.opts.RootsDir, 0o755); err != nil { //nolint:gosec // links to world-readable store paths
			return fmt.Errorf("build %s: %w", s.Host, err)
		}
		root, err := filepath.Abs(filepath.Join(e.opts.RootsDir, s.Host))
		if err != nil {
			return fmt.Errorf("build %s: %w", s.Host, err)
		}
		args = append(args, "--add-root", root, "--indirect")
	}
	if s.MachinesFile != "" {
		args = append(args, "--option", "builders", "@"+s.MachinesFile)
	}
	var tail lastLines
	out, err := process.Run(ctx, process.Command{
		Program: "nix-store", Args: args, Env: trustedEnvironment(),
		Line: func(line string) {
			line = harmless(line)
			tail.add(line)
			if text := told(line); text != "" {
				r.Log(progress.Build, text)
			}
		},
	})
	if err != nil {
		return buildProblem(s.Host, err, tail.text())
	}
	return checkOutput(s, string(out.Stdout))
}

// told shortens Nix's own lines for people: what is being built by its name,
// and no list of derivations before it. Builders' lines stay as they are.
func told(line string) string {
	switch {
	case strings.HasPrefix(line, "  "+storepath.Dir+"/"), strings.HasSuffix(line, "will be built:"),
		strings.HasPrefix(line, "waiting for lock on "):
		return ""
	}
	for _, verb := range []string{"building", "copying path"} {
		quoted, ok := strings.CutPrefix(line, verb+" '"+storepath.Dir+"/")
		if base, _, closed := strings.Cut(quoted, "'"); ok && closed {
			if p, err := storepath.Parse(storepath.Dir + "/" + base); err == nil {
				return verb + " " + strings.TrimSuffix(p.Name(), ".drv")
			}
		}
	}
	return line
}

func buildProblem(host string, err error, tail string) error {
	p := &problem.Problem{Summary: fmt.Sprintf("host %s does not build", host), Source: tail}
	var ended *process.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p.Cause = err
		if errors.Is(err, context.Canceled) {
			p.Code = problem.Cancelled
		}
	case errors.As(err, &ended) && ended.ExitCode >= 0:
		p.Detail = fmt.Sprintf("nix-store --realise ended with exit code %d", ended.ExitCode)
	default:
		p.Cause = missingNix(err)
	}
	return p
}

// checkOutput compares what was built with what was evaluated. With a root,
// nix-store prints the root's name instead of the path.
func checkOutput(s plans.System, printed string) error {
	lines := strings.Fields(printed)
	for _, line := range lines {
		if !strings.HasPrefix(line, storepath.Dir+"/") {
			if target, err := os.Readlink(line); err == nil {
				line = target
			}
		}
		if p, err := storepath.Parse(line); err == nil && p == s.OutPath {
			return nil
		}
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("host %s: the build came out at another path than was evaluated", s.Host),
		Detail:  fmt.Sprintf("evaluated: %s\nbuilt: %s", s.OutPath, strings.Join(lines, " ")),
	}
}

// lastLines keeps the end of a log.
type lastLines struct{ lines []string }

func (l *lastLines) add(line string) {
	const keep = 25
	l.lines = append(l.lines, line)
	if len(l.lines) > keep {
		l.lines = l.lines[len(l.lines)-keep:]
	}
}

func (l *lastLines) text() string { return strings.Join(l.lines, "\n") }
