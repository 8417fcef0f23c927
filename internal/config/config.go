// Package config reads flotilla.yaml into a fleet.Fleet.
//
// Its rule: strict, and all errors at once. An unknown key, a wrong type, a
// dangling reference or a value that the provider would refuse is a
// problem.Problem with file, line, column, the source line and what to write
// instead; errors.Join holds all of them. The way is text → node tree (with
// positions) → the typed structs of schema.go over the defaults of defaults.go
// → checks → fleet.Fleet. Input may be hostile: size, depth and alias expansion
// are bounded, and nothing outside the file's folder is read.
//
// It does not read secrets, ask a provider or look into the hive: names of
// hosts that only the hive knows are checked where the hive is known.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// FileName is the name that Find looks for.
const FileName = "flotilla.yaml"

// maxSize bounds the file: the YAML library takes time that grows with the
// square of some texts. A fleet of 500 servers needs about 100 KiB.
const maxSize = 256 << 10

// Parse reads the text of a flotilla.yaml. name is the file in positions. The
// hive stays empty where the text does not name one. The error joins one
// *problem.Problem per mistake, in the order of the file.
func Parse(name string, data []byte) (fleet.Fleet, error) {
	src, text := newSource(name, data)
	root := src.parse(text)
	if len(src.problems) > 0 {
		return fleet.Fleet{}, src.err()
	}
	file := defaultFile()
	src.decode(root, &file)
	c := checker{source: src, file: &file}
	c.check(root)
	if err := src.err(); err != nil {
		return fleet.Fleet{}, err
	}
	return file.fleet(root), nil
}

// Load reads the file at path, and finds the hive beside it where the file
// does not name one: hive.nix, then flake.nix. A symbolic link that leads out
// of the file's folder is refused, because a fleet repo may be a stranger's.
func Load(file string) (fleet.Fleet, error) {
	data, err := read(file)
	if err != nil {
		return fleet.Fleet{}, err
	}
	f, err := Parse(file, data)
	if err != nil {
		return fleet.Fleet{}, err
	}
	f.Hive, err = findHive(file, f.Hive)
	if err != nil {
		return fleet.Fleet{}, err
	}
	return f, nil
}

// Find gives the path of the flotilla.yaml in dir or the nearest folder above it.
func Find(dir string) (string, error) {
	start, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", FileName, err)
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		candidate := filepath.Join(folder, FileName)
		if _, err := os.Lstat(candidate); err == nil {
			return candidate, nil
		}
		if folder == filepath.Dir(folder) {
			break
		}
	}
	p := &problem.Problem{
		Summary: fmt.Sprintf("no %s in %s or any folder above it", FileName, start),
		Hints:   []string{"Run this in the fleet repo, or name the file with --config FILE."},
	}
	if other := filepath.Join(start, "flotilla.yml"); exists(other) {
		p.Hints = []string{fmt.Sprintf("There is a flotilla.yml: rename it to %s, or name it with --config.", FileName)}
	}
	return "", p
}

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
	info, err := root.Stat(base) // before opening, which would wait for ever on a pipe
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, failed(err, "Run this in the fleet repo, or name the file with --config FILE.")
		}
		return nil, failed(err, "It must be a file in this folder; a symbolic link must not lead out of it.")
	}
	if !info.Mode().IsRegular() {
		return nil, failed(fmt.Errorf("it is not a regular file (%s)", info.Mode().Type()), "Name the file, not its folder.")
	}
	f, err := root.Open(base)
	if err != nil {
		return nil, failed(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, failed(err)
	}
	return data, nil
}

// findHive checks the hive that the file names, or finds it. Paths are
// relative to the file's folder.
func findHive(file string, h fleet.Hive) (fleet.Hive, error) {
	dir := filepath.Dir(file)
	switch {
	case h.File != "":
		if isRegular(filepath.Join(dir, h.File)) {
			return h, nil
		}
		return h, &problem.Problem{
			Summary: fmt.Sprintf("hive: there is no file %s", h.File), At: problem.Position{File: file},
			Hints: []string{"The path is relative to the folder of " + filepath.Base(file) + "."},
		}
	case h.Flake != "":
		if isRegular(filepath.Join(dir, h.Flake, "flake.nix")) {
			return h, nil
		}
		return h, &problem.Problem{
			Summary: fmt.Sprintf("flake: there is no file %s", path.Join(h.Flake, "flake.nix")), At: problem.Position{File: file},
			Hints: []string{"flake: names the folder that holds flake.nix, relative to the folder of " + filepath.Base(file) + "."},
		}
	case isRegular(filepath.Join(dir, "hive.nix")):
		return fleet.Hive{File: "hive.nix"}, nil
	case isRegular(filepath.Join(dir, "flake.nix")):
		return fleet.Hive{Flake: "."}, nil
	}
	return h, &problem.Problem{
		Summary: fmt.Sprintf("found neither hive.nix nor flake.nix beside %s", filepath.Base(file)), At: problem.Position{File: file},
		Hints: []string{"Add a hive.nix with the hosts' NixOS configurations, or say where it is: hive: ./path/to/hive.nix (or flake: ./folder)."},
	}
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func isRegular(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
