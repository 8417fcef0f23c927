// Package nix evaluates hives and builds systems. It is the one place that
// knows Nix's programs, options, JSON and versions (2.8 and newer).
//
// Rules: one process per host; standard output counts only after exit code 0;
// what Nix prints is data and is made harmless here; an untrusted evaluation
// sees the fleet repo, nixpkgs and facts, and nothing else.
//
// A flake is evaluated by our own expressions (expr/flake.nix) from flake.lock,
// not by Nix's flake commands: so it is the same in every version and mode. The
// exported tree and the inputs lie in the store; an untrusted evaluation has a
// private store that holds these and takes its derivations.
//
// Results are kept by content (Cache): of a whole tree, where nothing else can be
// read, and by what an evaluation read, as the kernel told (package observe).
// Part of the key are our expressions, the version and environment of Nix, each
// entry of the search path as one unit, and flake.lock. Whatever may be another
// result next time, or cannot be followed (the clock, the network, other
// programs, an unhashed fetch, the folder's own name in it, a failure), is not
// kept; whether a path is in the store, and what the kernel tells of itself, are
// no inputs.
//
// It does not compare systems (planner) and does not copy them (closure).
package nix

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

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
	Memory   int64         // bytes that one evaluation may use; 0: its worker's share of the free memory
	Timeout  time.Duration // limit of one evaluation; 0: 15 minutes
	Cache    Cache
}

// Evaluator evaluates and builds with the Nix programs in PATH. It is safe for
// several goroutines.
type Evaluator struct {
	opts  Options
	limit int64 // bytes for one of several evaluations; 0: none
	alone int64 // bytes for one by itself

	ids   identities
	texts texts
	store ownStore
	crowd sync.RWMutex // held by every evaluation, and alone by one that needs all the memory
	turn  sync.Mutex   // of one Source's evaluations: the next finds in the cache what these kept
}

// New gives an Evaluator.
func New(opts Options) *Evaluator {
	if opts.Timeout <= 0 {
		opts.Timeout = defaultTimeout
	}
	free := freeMemory("/")
	if opts.Workers <= 0 {
		opts.Workers = workers(runtime.GOMAXPROCS(0), free, opts.Memory)
	}
	e := &Evaluator{opts: opts, limit: opts.Memory, alone: opts.Memory}
	e.texts.all = map[string]string{}
	e.ids.units, e.ids.clocks, e.ids.systems = map[string]string{}, map[string]bool{}, map[string]func() (plans.System, bool){}
	if opts.Memory <= 0 && free > 0 {
		e.limit, e.alone = max(free/int64(opts.Workers), memoryPerWorker), free
	}
	return e
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
