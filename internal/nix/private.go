package nix

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/nix-community/go-nix/pkg/nixbase32"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// sourcePath gives the store path of a fetched source with this hash of its
// archive ("sha256-…", or Nix's older "sha256:…").
func sourcePath(hash string) (storepath.Path, error) {
	sum, err := digest(hash)
	if err != nil {
		return storepath.Path{}, err
	}
	whole := sha256.Sum256([]byte("source:sha256:" + hex.EncodeToString(sum) + ":" + storepath.Dir + ":source"))
	short := make([]byte, 20)
	for i, b := range whole {
		short[i%len(short)] ^= b
	}
	return storepath.Parse(storepath.Dir + "/" + nixbase32.EncodeToString(short) + "-source")
}

func digest(hash string) ([]byte, error) {
	var sum []byte
	var err error
	switch rest, found := strings.CutPrefix(hash, "sha256-"); {
	case found:
		sum, err = base64.StdEncoding.DecodeString(rest)
	default:
		rest, found = strings.CutPrefix(hash, "sha256:")
		if !found {
			return nil, fmt.Errorf("hash %q is not of SHA-256", hash)
		}
		if sum, err = nixbase32.DecodeString(rest); err != nil {
			sum, err = hex.DecodeString(rest)
		}
	}
	if err == nil && len(sum) != sha256.Size {
		err = errors.New("its length is wrong")
	}
	if err != nil {
		return nil, fmt.Errorf("hash %q: %w", hash, err)
	}
	return sum, nil
}

// sri writes a hash that Nix printed in the form of lock files.
func sri(hash string) (string, error) {
	sum, err := digest(hash)
	if err != nil {
		return "", err
	}
	return "sha256-" + base64.StdEncoding.EncodeToString(sum), nil
}

// sources gives the store paths that a flake's evaluation may read.
func (f *flake) sources() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var paths []string
	for _, n := range f.nodes {
		if n.Path != "" {
			paths = append(paths, n.Path)
		}
	}
	return paths
}

// ready is called before hosts are evaluated. It gives that a store, where it
// needs one: to read the texts of generated files there, or to look through
// derivations before something is kept.
func (e *Evaluator) ready(ctx context.Context, o *opened, m *memory) error {
	var beginning sync.WaitGroup
	beginning.Go(m.begin)
	defer beginning.Wait()
	if o.Brief && !o.keeps {
		return e.glance(ctx, o)
	}
	return e.prepare(ctx, o)
}

// glance readies an evaluation that mostly needs no store.
func (e *Evaluator) glance(ctx context.Context, o *opened) error {
	if o.Trusted || o.flake != nil {
		return e.prepare(ctx, o)
	}
	if o.root == "" {
		o.blind = true
	}
	return nil
}

// withStore gives o with a store of its own, for an evaluation that failed
// without; nil if it has one, or cannot have one.
func (e *Evaluator) withStore(ctx context.Context, o *opened) *opened {
	if o.Trusted || !o.storeless() {
		return nil
	}
	o.second.Do(func() {
		stored := *o
		stored.second, stored.blind = nil, false
		if e.prepare(ctx, &stored) != nil {
			return
		}
		o.give = stored.give
		if !stored.blind {
			o.stored = &stored
		}
	})
	return o.stored
}

// prepare makes the store of an untrusted evaluation, before several
// processes would do so at once and meet it half made.
func (e *Evaluator) prepare(ctx context.Context, o *opened) error {
	if o.Trusted || o.root != "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if o.flake == nil {
		where := scratch("/dev/shm", os.TempDir())
		root, err := e.store.take(where, func(root string) error { return e.initStore(ctx, o, root) })
		if err != nil {
			return fmt.Errorf("evaluate: %w", err)
		}
		o.root, o.give, o.blind = root, e.store.give, false
		e.probe(ctx, o)
		return nil
	}
	// Beside the machine's store, as a rule: a flake's inputs may have to be linked.
	root, err := os.MkdirTemp(o.tool, storePrefix)
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	if err := e.initStore(ctx, o, root); err != nil {
		return err
	}
	o.blind = false
	o.roots = append(o.roots, filepath.Join(o.root, o.flake.source.String()))
	return e.show(ctx, o, o.flake.sources()...)
}

// initStore makes an empty store of a folder, in one go: several processes
// would meet it half made.
func (e *Evaluator) initStore(ctx context.Context, o *opened, root string) error {
	o.root, o.blind = root, false
	_, err := process.Run(ctx, process.Command{Program: "nix-store", Args: []string{"--init", "--option", "gc-reserved-space", "0"}, Dir: o.tool, Env: e.environment(o)})
	return missingNix(err)
}

// probe finds out whether files in the machine's store are seen from a store
// of one's own: not every Nix does so, and nixpkgs may lie there. Evaluation
// is blind without: it has no store at all, and texts of generated files are
// not known.
func (e *Evaluator) probe(ctx context.Context, o *opened) {
	for _, entry := range localEntries(e.opts.NixPath) {
		path := entry[strings.IndexByte(entry, '=')+1:]
		if !strings.HasPrefix(path, storepath.Dir+"/") {
			continue
		}
		r, err := process.Run(ctx, process.Command{
			Program: "nix-instantiate", Dir: o.tool, Env: e.environment(o),
			Args: []string{"--eval", "--option", "restrict-eval", "true", "-I", "probed=" + path, "-E", "builtins.pathExists <probed>"},
		})
		if err != nil || strings.TrimSpace(string(r.Stdout)) != "true" {
			o.blind = true
			return
		}
	}
}

// show makes paths of the machine's store valid in the private one, with all
// that they refer to (sources refer to nothing): by hard links to the same
// files where that is possible, else by a copy. One symbolic link for each
// would do for reading, but is what it is where a system takes in a source.
func (e *Evaluator) show(ctx context.Context, o *opened, paths ...string) error {
	var fresh []string
	for _, path := range paths {
		if !o.flake.listed[path] {
			fresh = append(fresh, path)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	list, err := e.ask(ctx, o, "nix-store", append([]string{"--dump-db"}, fresh...)...)
	if err != nil {
		return storeProblem("the Nix store does not tell of the flake's inputs", err)
	}
	for _, path := range fresh {
		if err := linkTree(path, filepath.Join(o.storeRoot(), path)); err != nil {
			return fmt.Errorf("show %s to the evaluation: %w", path, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	_, err = process.Run(ctx, process.Command{Program: "nix-store", Args: []string{"--load-db"}, Dir: o.tool, Env: e.environment(o), Stdin: bytes.NewReader(list)})
	if err != nil {
		return storeProblem("the evaluation's own store cannot be filled", missingNix(err))
	}
	for _, path := range fresh {
		o.flake.listed[path] = true
	}
	return nil
}

// linkTree makes the tree at from visible at to: folders and symbolic links
// are made anew, files are hard links, or copies where these are not possible.
func linkTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := to + strings.TrimPrefix(path, from)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o755) //nolint:gosec // evaluation may run under another uid
		case d.Type()&fs.ModeSymlink != 0:
			link, err := os.Readlink(path)
			if err != nil {
				return err
			}
			return os.Symlink(link, target) //nolint:gosec // store paths never change, and the target is a folder of our own
		case os.Link(path, target) == nil: //nolint:gosec // same
			return nil
		}
		return copyFile(path, target)
	})
}

func copyFile(from, to string) (err error) {
	in, err := os.Open(from) //nolint:gosec // a path of the store
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()) //nolint:gosec // below the private store
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.Copy(out, in)
	return err
}
