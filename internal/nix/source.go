package nix

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

//go:embed expr/*.nix
var expressions embed.FS

// Source is what is evaluated: the hive of one exported tree, with facts.
type Source struct {
	Dir     string      // the exported tree, absolute
	Prefix  string      // folder of flotilla.yaml in it; "": its root
	Hive    fleet.Hive  // relative to Prefix
	Facts   fleet.Facts // handed to the hive as "fleet"
	Trusted bool        // false: a tree that nobody reviewed (DESIGN.md chapter 7)
	Brief   bool        // texts of generated files are not wanted: UnitText.Files may be missing

	Commit     string    // full hash of the tree's commit, for a flake's self.rev; "": not known
	CommitTime time.Time // for a flake's self.lastModified; zero: not known
}

// opened is a Source that was checked, with the files that evaluation needs.
type opened struct {
	Source
	dir  string // Dir without symbolic links
	file string // hive.nix or flake.nix as evaluation sees it, absolute
	tool string // folder of our expressions and the facts; removed by close
	home string // an empty folder
	root string // of an untrusted evaluation's own store; see give
	give func() // ends the use of root; nil: it is removed with tool
	mark string // starts messages of our expressions

	roots []string // folders under which evaluation sees the files of dir
	flake *flake   // nil: the hive is a file
	blind bool     // evaluates without a store of its own
	// Made when an evaluation without a store fails.
	second *sync.Once
	stored *opened
	keeps  bool // results are kept: what evaluations look at has to be known
}

// open checks s and writes our expressions and the facts to a new folder.
func (e *Evaluator) open(ctx context.Context, s Source) (*opened, error) {
	dir, err := filepath.EvalSymlinks(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	o := &opened{Source: s, dir: dir, roots: []string{dir}, mark: newMark(), second: new(sync.Once)}
	if clean := filepath.Clean(s.Dir); clean != dir {
		o.roots = append(o.roots, clean)
	}
	if o.file, err = o.hiveFile(); err != nil {
		return nil, err
	}
	if o.tool, err = os.MkdirTemp("", "flotilla-eval-"); err != nil {
		return nil, fmt.Errorf("evaluate: %w", err)
	}
	if err := e.fill(ctx, o); err != nil {
		o.close()
		var p *problem.Problem
		if errors.As(err, &p) {
			return nil, err
		}
		return nil, o.explain("", err)
	}
	return o, nil
}

// fill makes what evaluation needs in o.tool.
func (e *Evaluator) fill(ctx context.Context, o *opened) error {
	var err error
	if o.tool, err = filepath.EvalSymlinks(o.tool); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	o.home = filepath.Join(o.tool, "home")
	if err := o.write(); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	if o.Hive.File == "" {
		if err := e.openFlake(ctx, o); err != nil {
			return err
		}
	}
	return o.writeInput()
}

// scratch gives the folder of an evaluation's own store: in memory, where that
// has room for the derivations of a large fleet. They are thousands of small
// files that live for seconds.
func scratch(memory, otherwise string) string {
	const room = 2 << 30
	var s syscall.Statfs_t
	if err := syscall.Statfs(memory, &s); err != nil || s.Bavail*uint64(s.Bsize) < room { //nolint:gosec // a block size is positive
		return otherwise
	}
	return memory
}

// hiveFile finds the file that evaluation starts from, and checks that it lies
// in the repository.
func (o *opened) hiveFile() (string, error) {
	name, file := "hive", o.Hive.File
	missing := []string{"Write it ({ meta.nixpkgs = <nixpkgs>; host-name = { … }; }) or correct hive: in flotilla.yaml."}
	if file == "" {
		name, file = "flake", filepath.Join(o.Hive.Flake, "flake.nix")
		missing = []string{"Write flake.nix with the output colmenaHive, colmena or nixosConfigurations, or correct flake: in flotilla.yaml.", "git add it if it is there: of a flake, only what git tracks is seen."}
	}
	path := filepath.Join(o.dir, o.Prefix, file)
	at := o.position(path, 0, 0)
	resolved, err := filepath.EvalSymlinks(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &problem.Problem{Summary: "there is no " + name, At: at, Hints: missing}
	case err != nil:
		return "", fmt.Errorf("%s: %w", name, err)
	case !within(o.dir, resolved):
		return "", &problem.Problem{Summary: "the " + name + " is not in the repository", At: at, Hints: []string{name + ": in flotilla.yaml is a path inside the repository."}}
	}
	return path, nil
}

func (o *opened) close() {
	_ = os.RemoveAll(o.tool)
	if o.give != nil {
		o.give()
	}
}

// write writes our expressions and the facts. Others than the caller may have
// to read them.
func (o *opened) write() error {
	facts := o.factsDir()
	for _, dir := range []string{o.home, facts, filepath.Dir(o.evalFile())} {
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
	entries, err := expressions.ReadDir("expr")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		text, err := expressions.ReadFile("expr/" + entry.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(o.evalFile()), entry.Name()), text, 0o644); err != nil { //nolint:gosec // same
			return err
		}
	}
	return nil
}

// input is what eval.nix reads, as the evaluated tree could too: the mark is
// not in it.
type input struct {
	Facts string           `json:"facts"` // folder with one <server>.json for each server
	File  string           `json:"file"`  // hive.nix or flake.nix
	Lock  map[string]*node `json:"lock"`  // nil: File is a hive
}

// writeInput writes it in one step: evaluations that run meanwhile see the old
// or the new.
func (o *opened) writeInput() error {
	in := input{Facts: o.factsDir(), File: o.file}
	if o.flake != nil {
		in.Lock = o.flake.nodes
	}
	text, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	fresh := o.inputFile() + ".new"
	if err := os.WriteFile(fresh, text, 0o644); err != nil { //nolint:gosec // evaluation may run under another uid
		return fmt.Errorf("evaluate: %w", err)
	}
	if err := os.Rename(fresh, o.inputFile()); err != nil {
		return fmt.Errorf("evaluate: %w", err)
	}
	return nil
}

func (o *opened) evalFile() string  { return filepath.Join(o.tool, "expr", "eval.nix") }
func (o *opened) inputFile() string { return filepath.Join(o.tool, "input.json") }
func (o *opened) factsDir() string  { return filepath.Join(o.tool, "facts") }

// storeRoot is the folder under which derivations of an evaluation are found
// as nix/store/….
func (o *opened) storeRoot() string {
	if o.Trusted {
		return "/"
	}
	return o.root
}
