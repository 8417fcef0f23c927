// Package nix evaluates hives and builds systems. It is the one place that
// knows Nix's programs, options, JSON and versions (2.8 and newer).
//
// Rules: one process per host; standard output counts only after exit code 0;
// what Nix prints is data and is made harmless here; an untrusted evaluation
// sees the fleet repo, nixpkgs and facts, and nothing else.
//
// It does not compare systems (planner) and does not copy them (closure).
package nix

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

//go:embed eval.nix
var evalNix []byte

const (
	defaultTimeout = 15 * time.Minute
	// memoryPerWorker is what one host of a present NixOS may need.
	memoryPerWorker = 1536 << 20
)

// Options are settings of an Evaluator; the zero value is useful.
type Options struct {
	NixPath  string        // search path (NIX_PATH) for both modes; entries that are no local path count in trusted mode only
	RootsDir string        // folder for GC roots of built systems, one link per host; "": built systems are not rooted
	Workers  int           // processes at a time; 0: by cores and free memory
	Timeout  time.Duration // limit of one evaluation; 0: 15 minutes
}

// Evaluator evaluates and builds with the Nix programs in PATH. It is safe for
// several goroutines.
type Evaluator struct {
	opts Options
}

// New gives an Evaluator.
func New(opts Options) *Evaluator {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	if opts.Workers <= 0 {
		opts.Workers = workers(runtime.GOMAXPROCS(0), freeMemory("/proc/meminfo"))
	}
	return &Evaluator{opts: opts}
}

// Source is what is evaluated: the hive of one exported tree, with facts.
type Source struct {
	Dir     string      // the exported tree, absolute
	Prefix  string      // folder of flotilla.yaml in it; "": its root
	Hive    fleet.Hive  // relative to Prefix
	Facts   fleet.Facts // handed to the hive as "fleet"
	Trusted bool        // false: a tree that nobody reviewed (DESIGN.md chapter 7)
}

// Version gives Nix's version, "2.8.0".
func (e *Evaluator) Version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	r, err := process.Run(ctx, process.Command{Program: "nix-instantiate", Args: []string{"--version"}})
	if err != nil {
		return "", missingNix(err)
	}
	words := strings.Fields(string(r.Stdout))
	if len(words) == 0 {
		return "", &problem.Problem{Summary: "nix-instantiate --version printed nothing"}
	}
	return words[len(words)-1], nil
}

func missingNix(err error) error {
	var failed *process.Error
	if errors.As(err, &failed) && failed.ExitCode < 0 && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return &problem.Problem{
			Summary: "cannot run Nix",
			Cause:   err,
			Hints:   []string{"Install Nix (Debian and Ubuntu: apt install nix-bin) and see that " + failed.Program + " is in PATH."},
		}
	}
	return err
}

// opened is a Source that was checked, with the files that evaluation needs.
type opened struct {
	Source
	dir  string // Dir without symbolic links
	hive string // absolute
	tool string // folder of eval.nix and facts; removed by close
	home string // an empty folder
	mark string // starts messages of eval.nix

	blind bool // evaluates without a store of its own
}

// open checks s and writes eval.nix and the facts to a new folder.
func (e *Evaluator) open(ctx context.Context, s Source) (*opened, error) {
	dir, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if s.Hive.File == "" {
		return nil, &problem.Problem{
			Summary: "hosts in a flake cannot be evaluated by this version",
			At:      problem.Position{File: filepath.Join(s.Prefix, s.Hive.Flake, "flake.nix")},
			Hints:   []string{"Write hive.nix beside it ({ fleet, ... }: { meta.nixpkgs = <nixpkgs>; host-name = { … }; }) and name it in flotilla.yaml: hive: ./hive.nix"},
		}
	}
	o := &opened{Source: s, dir: dir, hive: filepath.Join(dir, s.Prefix, s.Hive.File)}
	at := o.position(o.hive, 0, 0)
	resolved, err := filepath.EvalSymlinks(o.hive)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, &problem.Problem{
			Summary: "there is no hive",
			At:      at,
			Hints:   []string{"Write it ({ meta.nixpkgs = <nixpkgs>; host-name = { … }; }) or correct hive: in flotilla.yaml."},
		}
	case err != nil:
		return nil, fmt.Errorf("hive: %w", err)
	case !within(dir, resolved):
		return nil, &problem.Problem{Summary: "the hive is not in the repository", At: at, Hints: []string{"hive: in flotilla.yaml is a path inside the repository."}}
	}
	o.mark = newMark()
	if o.tool, err = os.MkdirTemp("", "flotilla-eval-"); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if o.tool, err = filepath.EvalSymlinks(o.tool); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	o.home = filepath.Join(o.tool, "home")
	if err := o.write(); err != nil {
		o.close()
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if !o.Trusted {
		if err := e.prepare(ctx, o); err != nil {
			o.close()
			return nil, o.explain("", err)
		}
	}
	return o, nil
}

func (o *opened) close() { _ = os.RemoveAll(o.tool) }

func (o *opened) write() error {
	facts := o.factsDir()
	for _, dir := range []string{o.home, facts} {
		if err := os.Mkdir(dir, 0o755); err != nil { //nolint:gosec // evaluation may run under another uid
			return err
		}
	}
	if err := os.Chmod(o.tool, 0o755); err != nil { //nolint:gosec // same
		return err
	}
	for name, f := range o.Facts {
		if err := writeFacts(facts, name, f); err != nil {
			return err
		}
	}
	return os.WriteFile(o.evalFile(), evalNix, 0o644) //nolint:gosec // same
}

func (o *opened) evalFile() string { return filepath.Join(o.tool, "eval.nix") }

// storeRoot is the folder under which derivations of an evaluation are found
// as nix/store/….
func (o *opened) storeRoot() string {
	if o.Trusted {
		return "/"
	}
	return filepath.Join(o.tool, "root")
}

func (o *opened) factsDir() string { return filepath.Join(o.tool, "facts") }
