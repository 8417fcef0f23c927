// Package config reads flotilla.yaml into a fleet.Fleet, and writes one back
// (Format). The types that it is read into also make its JSON Schema (Schema).
//
// Its rule: strict, and all errors at once. An unknown key, a wrong type, a
// dangling reference or a value that the provider would refuse is a
// problem.Problem with file, line, column, the source line and what to write
// instead; errors.Join holds all of them. The way is text → node tree (with
// positions) → the typed structs of schema*.go over the defaults of defaults.go
// → checks → fleet.Fleet. Input may be hostile: size, depth and alias expansion
// are bounded, and nothing outside the repository is read.
//
// It does not read secrets, ask a provider or look into the hive: names of
// hosts that only the hive knows are checked where the hive is known.
package config

import (
	"fmt"
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
// hive stays empty where the text does not name one, and files that the text
// names are not read: user_data must stand in it. The error joins one
// *problem.Problem per mistake, in the order of the file.
func Parse(name string, data []byte) (fleet.Fleet, error) {
	return parse(name, data, nil)
}

// reader gives the beginning of a file that flotilla.yaml names, relative to
// its folder: at most limit bytes.
type reader func(name string, limit int64) ([]byte, error)

func parse(name string, data []byte, open reader) (fleet.Fleet, error) {
	src, text := newSource(name, data)
	root := src.parse(text)
	if len(src.problems) > 0 {
		return fleet.Fleet{}, src.err()
	}
	var file fleetFile
	file.setDefaults()
	src.decode(root, &file)
	file.complete()
	c := checker{source: src, file: &file, open: open}
	c.check(root)
	if err := src.err(); err != nil {
		return fleet.Fleet{}, err
	}
	return file.fleet(root), nil
}

// Load reads the file at path and those that it names, and finds the hive
// beside it where the file does not name one: hive.nix, then flake.nix. A
// symbolic link that leads out of the file's folder is refused, because a fleet
// repo may be a stranger's; so are files outside the repository: the nearest
// folder with .git, or the file's own without one.
func Load(file string) (fleet.Fleet, error) {
	return LoadIn(repository(filepath.Dir(file)), file)
}

// LoadIn is Load for a tree that is no work tree: root is the repository's
// folder, which holds the file.
func LoadIn(root, file string) (fleet.Fleet, error) {
	data, err := read(file)
	if err != nil {
		return fleet.Fleet{}, err
	}
	f, err := parse(file, data, inside(root, filepath.Dir(file)))
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
