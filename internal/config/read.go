package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

func read(file string) (data []byte, err error) {
	failed := func(cause error, hints ...string) error {
		return &problem.Problem{Summary: "cannot read the fleet's configuration", At: problem.Position{File: file}, Cause: cause, Hints: hints}
	}
	root, err := os.OpenRoot(filepath.Dir(file))
	if err != nil {
		return nil, failed(err, "Name the file with --config FILE.")
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	base := filepath.Base(file)
	data, err = readIn(root, base, maxSize+1)
	switch {
	case err == nil:
		return data, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed(err, "Run this in the fleet repo, or name the file with --config FILE.")
	case errors.Is(err, errNotRegular):
		return nil, failed(err, "Name the file, not its folder.")
	}
	return nil, failed(err, "It must be a file in this folder; a symbolic link must not lead out of it.")
}

var errNotRegular = errors.New("it is not a regular file")

// readIn reads the beginning of a file below root.
func readIn(root *os.Root, name string, limit int64) (data []byte, err error) {
	info, err := root.Stat(name) // before opening, which would wait for ever on a pipe
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w (%s)", errNotRegular, info.Mode().Type())
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, limit))
}

// repository is the nearest folder with .git, dir itself if there is none.
func repository(dir string) string {
	start, err := filepath.Abs(dir)
	if err != nil {
		return dir
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		if exists(filepath.Join(folder, ".git")) {
			return folder
		}
		if folder == filepath.Dir(folder) {
			return dir
		}
	}
}

var (
	errOutside = errors.New("it lies outside the repository")
	errGit     = errors.New("it belongs to git, not to the fleet")
)

// inside reads files of the repository root, by names relative to dir.
func inside(root, dir string) reader {
	return func(name string, limit int64) (data []byte, err error) {
		base, err := resolved(root)
		if err != nil {
			return nil, err
		}
		file, err := resolved(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		below, err := filepath.Rel(base, file)
		if err != nil || !filepath.IsLocal(below) {
			return nil, errOutside
		}
		// .git/config may hold a token.
		if slices.Contains(strings.Split(below, string(filepath.Separator)), ".git") {
			return nil, errGit
		}
		folder, err := os.OpenRoot(base)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, folder.Close()) }()
		return readIn(folder, below, limit)
	}
}

// resolved is a path without symbolic links.
func resolved(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(absolute)
}
