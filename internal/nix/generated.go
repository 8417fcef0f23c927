package nix

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/nix-community/go-nix/pkg/derivation"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

const (
	maxGenerated      = 64 << 10 // one file
	maxGeneratedTotal = 4 << 20  // all files of a host
	maxDerivation     = 1 << 20
	maxDepth          = 3 // a unit's script, its configuration, what that includes
)

// generatedFile is a file that Nix will write, or a file of the repository in the store.
type generatedFile struct {
	text string   // "" if it is none, or not known
	uses []string // derivations and files that it was made of
}

// readGenerated adds the texts of files that units name, and of those that
// these files name: Nix keeps the text of a file that it will write in the
// derivation which does so. What cannot be read is left out: it is there to
// explain, nothing depends on it. The machine's store is nothing to an untrusted
// evaluation.
func (o *opened) readGenerated(w *wire) {
	readable := o.Trusted || !o.storeless()
	c := collector{from: o, read: map[string]generatedFile{}}
	w.System.System.Units = make(map[string]plans.UnitText, len(w.System.Units))
	for _, name := range slices.Sorted(maps.Keys(w.System.Units)) {
		unit := w.System.Units[name].UnitText
		texts := map[string][]string{}
		seen := map[string]bool{}
		for _, path := range w.System.Units[name].Uses {
			if readable {
				c.collect(path, maxDepth, seen, texts)
			}
		}
		if len(texts) > 0 {
			unit.Files = map[string]string{}
		}
		for name, list := range texts {
			slices.Sort(list) // several of one name: in an order that hashes do not decide
			unit.Files[name] = strings.Join(list, "\n")
		}
		w.System.System.Units[name] = unit
	}
}

// collector reads each path in the store once.
type collector struct {
	from  *opened
	read  map[string]generatedFile
	total int
}

func (c *collector) collect(path string, depth int, seen map[string]bool, texts map[string][]string) {
	if depth == 0 || seen[path] {
		return
	}
	seen[path] = true
	file, ok := c.read[path]
	if !ok {
		if c.total > maxGeneratedTotal {
			return
		}
		file = c.from.generated(path)
		c.total += len(file.text)
		c.read[path] = file
	}
	if file.text == "" {
		return // a program: what it was made of explains nothing
	}
	name := fileName(path)
	texts[name] = append(texts[name], file.text)
	for _, used := range file.uses {
		c.collect(used, depth-1, seen, texts)
	}
}

// fileName is the name of a store path without its hash.
func fileName(path string) string {
	p, err := storepath.Parse(path)
	if err != nil {
		return filepath.Base(path)
	}
	return strings.TrimSuffix(p.Name(), ".drv")
}

// generated reads a file in the store, or the text that a derivation will write.
func (o *opened) generated(path string) generatedFile {
	var none generatedFile
	p, err := storepath.Parse(path)
	if err != nil || strings.HasPrefix(p.Name(), "X-Restart-Triggers") || strings.HasPrefix(p.Name(), "X-Reload-Triggers") {
		return none
	}
	root, err := os.OpenRoot(filepath.Join(o.storeRoot(), storepath.Dir))
	if err != nil {
		return none
	}
	defer root.Close()
	info, err := root.Lstat(p.Base())
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxDerivation {
		return none
	}
	f, err := root.Open(p.Base())
	if err != nil {
		return none
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxDerivation+1))
	if err != nil {
		return none
	}
	file := generatedFile{text: string(b)}
	if strings.HasSuffix(p.Name(), ".drv") {
		d, err := derivation.ReadDerivation(bytes.NewReader(b))
		if err != nil {
			return none
		}
		file = generatedFile{text: d.Env["text"], uses: slices.Concat(slices.Sorted(maps.Keys(d.InputDerivations)), d.InputSources)}
	}
	if len(file.text) > maxGenerated || !utf8.ValidString(file.text) || strings.ContainsRune(file.text, 0) {
		return none
	}
	return file
}
