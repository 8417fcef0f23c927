package config

import (
	"slices"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Difference is a key that does not stand for the same in two files. Values
// are left out: who wrote the newer file may be a stranger.
type Difference struct {
	Key string           // ssh.port, hosts."@web".health
	At  problem.Position // in the newer file: the key, or what held it where it is gone
}

// Differences compares two files key by key, without the top-level keys in
// skip, in the order of the newer one; keys that it does not have come last. A
// list counts as one value. Both files are what Load takes; of one that is not,
// the error says why.
func Differences(oldFile, newFile string, skip ...string) ([]Difference, error) {
	old, err := tree(oldFile)
	if err != nil {
		return nil, err
	}
	new, err := tree(newFile)
	if err != nil {
		return nil, err
	}
	d := differ{file: newFile}
	d.mappings("", old, new, func(name string) bool { return slices.Contains(skip, name) })
	return d.found, nil
}

// tree reads a file as nodes.
func tree(file string) (*node, error) {
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	src, text := newSource(file, data)
	return src.parse(text), src.err()
}

type differ struct {
	file  string
	found []Difference
}

func (d *differ) mappings(way string, old, new *node, skip func(string) bool) {
	for _, f := range new.fields {
		if !skip(f.name) {
			d.values(join(way, f.name), old.get(f.name), f.value)
		}
	}
	for _, f := range old.fields {
		if new.get(f.name) == nil && !skip(f.name) {
			d.add(join(way, f.name), new.key)
		}
	}
}

func (d *differ) values(way string, old, new *node) {
	switch {
	case old == nil:
		d.add(way, new.key)
	case old.kind == kindMapping && new.kind == kindMapping:
		d.mappings(way, old, new, func(string) bool { return false })
	case !alike(old, new):
		d.add(way, new.key)
	}
}

func (d *differ) add(way string, at position) {
	d.found = append(d.found, Difference{Key: printable(way), At: problem.Position{File: d.file, Line: at.line, Column: at.column}})
}

// alike tells whether two values are written alike. The order of keys says
// nothing.
func alike(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) || len(a.fields) != len(b.fields) {
		return false
	}
	for i := range a.items {
		if !alike(a.items[i], b.items[i]) {
			return false
		}
	}
	for _, f := range a.fields {
		if other := b.get(f.name); other == nil || !alike(f.value, other) {
			return false
		}
	}
	return true
}
