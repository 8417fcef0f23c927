package nix

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"
)

// Cache says where results of evaluations are kept between runs, and for whom.
// The zero value keeps nothing.
type Cache struct {
	Dir string // folder; made when needed, shared by runs at the same time
	// Proposed says that this run is for a change that nobody merged: what it
	// finds out is kept apart, and read by such runs alone. They read what other
	// runs kept, too.
	Proposed bool
	// Verify evaluates anyway; a result that differs from the one that was kept
	// is an error.
	Verify bool
	// Watcher is a program with its first arguments that calls observe.Become
	// with what follows. Without one, what an evaluation read is not known: then
	// it is done again unless the whole tree is the same.
	Watcher []string
}

const (
	cacheFormat  = "2" // part of every key: another form of entries has other names
	unusedFor    = 30 * 24 * time.Hour
	sweepEvery   = 24 * time.Hour
	mostVersions = 16        // entries of one host that are kept
	mostEntry    = 8 << 20   // bytes of an entry's list of inputs
	mostResult   = 128 << 20 // bytes of a result, unpacked
)

// vault is the folder of a Cache. Whatever is wrong with a file in it (damaged,
// foreign, gone meanwhile) makes it a file that is not there.
type vault struct {
	write string   // folder of the level that is written
	read  []string // folders that are read, in this order
}

func newVault(c Cache) *vault {
	merged, proposed := filepath.Join(c.Dir, "merged"), filepath.Join(c.Dir, "proposed")
	v := &vault{write: merged, read: []string{merged}}
	if c.Proposed {
		v.write, v.read = proposed, []string{proposed, merged}
	}
	return v
}

// entry is one result by what it depends on: the parts of it that are not in
// the name of its folder.
type entry struct {
	Inputs  map[string]string `json:"inputs"`            // path → state: relative in the repository, absolute outside
	Servers map[string]string `json:"servers,omitempty"` // facts that were read: name → digest
	Has     map[string]bool   `json:"has,omitempty"`     // whether there is a server of that name
	Names   string            `json:"names,omitempty"`   // digest of the names of all servers; "": not looked at
	Self    map[string]string `json:"self,omitempty"`    // what was read of a flake's own sourceInfo: name → digest
	Result  string            `json:"result"`            // digest of the result
}

// entries gives those under a key, the latest first.
func (v *vault) entries(key string) []entry {
	var found []entry
	for _, level := range v.read {
		dir := filepath.Join(level, "inputs", key)
		for _, file := range newest(dir) {
			text, ok := readSmall(filepath.Join(dir, file), mostEntry)
			var one entry
			if ok && digestOf(text)+".json" == file && json.Unmarshal(text, &one) == nil {
				found = append(found, one)
			}
		}
	}
	return found
}

// newest lists the files of a folder.
func newest(dir string) []string {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	at := map[string]time.Time{}
	var names []string
	for _, file := range list {
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() && filepath.Ext(file.Name()) == ".json" {
			at[file.Name()] = info.ModTime()
			names = append(names, file.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int { return at[b].Compare(at[a]) })
	return names
}

// ofTree gives the digest of the result for a whole tree.
func (v *vault) ofTree(key string) (string, bool) {
	for _, level := range v.read {
		path := filepath.Join(level, "trees", key)
		if text, ok := readSmall(path, 2*sha256.Size); ok && len(text) == 2*sha256.Size {
			used(path)
			return string(text), true
		}
	}
	return "", false
}

// isDigest tells whether a word can be the name of a result.
func isDigest(word string) bool {
	return len(word) == 2*sha256.Size && filepath.IsLocal(word) && filepath.Base(word) == word
}

// has tells whether there is a result, damaged or not.
func (v *vault) has(digest string) bool {
	return isDigest(digest) && slices.ContainsFunc(v.read, func(level string) bool {
		_, err := os.Lstat(filepath.Join(level, "results", digest))
		return err == nil
	})
}

// result gives a result by its digest.
func (v *vault) result(digest string) ([]byte, bool) {
	if !isDigest(digest) {
		return nil, false
	}
	for _, level := range v.read {
		path := filepath.Join(level, "results", digest)
		packed, ok := readSmall(path, mostResult)
		if !ok {
			continue
		}
		if text, err := unpack(packed); err == nil && digestOf(text) == digest {
			used(path)
			return text, true
		}
	}
	return nil, false
}

func unpack(packed []byte) ([]byte, error) {
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderMaxMemory(mostResult), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	return decoder.DecodeAll(packed, nil)
}

// keep writes a result under a key, and under that of the whole tree ("": none).
func (v *vault) keep(key, tree string, one entry, result []byte) error {
	one.Result = digestOf(result)
	text, err := json.Marshal(one)
	if err != nil {
		return err
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return err
	}
	// The result first: whoever finds an entry finds what it names.
	err = atomically(filepath.Join(v.write, "results", one.Result), encoder.EncodeAll(result, nil))
	if err == nil && one.Inputs != nil {
		dir := filepath.Join(v.write, "inputs", key)
		err = atomically(filepath.Join(dir, digestOf(text)+".json"), text)
		for i, old := range newest(dir) {
			if i >= mostVersions {
				_ = os.Remove(filepath.Join(dir, old)) // another run may have done so
			}
		}
	}
	if err == nil && tree != "" {
		err = atomically(filepath.Join(v.write, "trees", tree), []byte(one.Result))
	}
	return errors.Join(err, encoder.Close())
}

// used notes that a file was read, for sweep; once a day is enough.
func used(path string) {
	now := time.Now()
	if info, err := os.Stat(path); err == nil && now.Sub(info.ModTime()) > sweepEvery {
		_ = os.Chtimes(path, now, now) // on a read-only folder it is swept a little early
	}
}

// sweep removes what nobody used for a month, at most once a day.
func (v *vault) sweep(now time.Time) {
	mark := filepath.Join(v.write, "swept")
	if info, err := os.Stat(mark); err == nil && now.Sub(info.ModTime()) < sweepEvery {
		return
	}
	if atomically(mark, nil) != nil {
		return
	}
	for _, kind := range []string{"inputs", "trees", "results"} {
		// What cannot be removed stays; it is tried again tomorrow.
		_ = filepath.WalkDir(filepath.Join(v.write, kind), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil //nolint:nilerr // same
			}
			if info, err := d.Info(); err == nil && now.Sub(info.ModTime()) > unusedFor {
				_ = os.Remove(path)               //nolint:gosec // of a folder that is the user's own
				_ = os.Remove(filepath.Dir(path)) //nolint:gosec // same; only if it is empty
			}
			return nil
		})
	}
}

// atomically writes a file so that others see all of it or nothing.
func atomically(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

// readSmall reads a regular file of at most so many bytes.
func readSmall(path string, most int64) ([]byte, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > most {
		return nil, false
	}
	text, err := os.ReadFile(path) //nolint:gosec // below a folder that the user names
	return text, err == nil
}

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// digestOfJSON is the digest of a value's JSON form; "" if it has none.
func digestOfJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return digestOf(text)
}
