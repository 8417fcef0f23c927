package nix

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"crypto/sha256"

	"golang.org/x/sys/unix"
)

// States of a path, as entries have them. Only of what was opened is the content
// part of it.
const (
	absent = "-"
	folder = "d"
	file   = "f"
	other  = "o"
	link   = "l:" // and its target
	// "d:" and a digest is a folder with a certain list of names and types; "f:"
	// and "x:" with a digest a file with a certain content, "x:" an executable one.
)

// hashesContent tells whether a state is that of something which was opened.
func hashesContent(state string) bool {
	return len(state) > 2 && state[1] == ':' && !strings.HasPrefix(state, link)
}

// states gives the states of paths of one tree, each looked up once.
type states struct {
	dir string // relative paths start here

	mu    sync.Mutex
	known map[string]string // path, and for the content "/" behind it
}

func newStates(dir string) *states { return &states{dir: dir, known: map[string]string{}} }

// of gives the state of a path; "" where it could not be found out.
func (s *states) of(path string, content bool) string {
	key := path
	if content {
		key += "/"
	}
	s.mu.Lock()
	state, ok := s.known[key]
	s.mu.Unlock()
	if ok {
		return state
	}
	where := path
	if !filepath.IsAbs(path) {
		where = filepath.Join(s.dir, path)
	}
	state = stateOf(where, content)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known[key] = state
	return state
}

func stateOf(path string, content bool) string {
	info, err := os.Lstat(path)
	switch {
	case isAbsent(err):
		return absent
	case err != nil:
		return ""
	}
	switch mode := info.Mode(); {
	case mode&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		if err != nil {
			return ""
		}
		return link + target
	case mode.IsDir() && content:
		return listState(path)
	case mode.IsDir():
		return folder
	case mode.IsRegular() && content:
		sum, err := hashFile(path)
		if err != nil {
			return ""
		}
		if mode&0o100 != 0 {
			return "x:" + sum
		}
		return "f:" + sum
	case mode.IsRegular():
		return file
	}
	return other
}

func isAbsent(err error) bool {
	return os.IsNotExist(err) || err != nil && strings.HasSuffix(err.Error(), unix.ENOTDIR.Error())
}

func listState(path string) string {
	list, err := os.ReadDir(path)
	if err != nil {
		return ""
	}
	var text strings.Builder
	for _, e := range list { // sorted
		fmt.Fprintf(&text, "%q %s\n", e.Name(), e.Type())
	}
	return "d:" + digestOf([]byte(text.String()))
}

func hashFile(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0) //nolint:gosec // its content is hashed and nothing else
	if err != nil {
		return "", err
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// clockStep is how much the kernel's clock for files may be behind.
const clockStep = 10 * time.Millisecond

// changedSince tells whether something of a path (content, type, name) may have
// changed after a time.
func changedSince(path string, at time.Time) bool {
	var s unix.Stat_t
	if err := unix.Lstat(path, &s); err != nil {
		return !isAbsent(err)
	}
	return !time.Unix(s.Ctim.Unix()).Before(at.Add(-clockStep))
}

const (
	mostFiles = 20000     // of a tree that is hashed whole
	mostBytes = 256 << 20 // same
)

// clockWord is what an expression calls that depends on when it is evaluated.
// No file shows that, only the word.
const clockWord = "currentTime"

// tree is what is known of all files of a folder.
type wholeTree struct {
	digest string // "": too large, or not readable
	clock  bool   // some file may ask what time it is
}

// hashTree reads all files of a folder.
func hashTree(dir string) wholeTree {
	sum := sha256.New()
	var t wholeTree
	files, size := 0, int64(0)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files, size = files+1, size+info.Size()
		if files > mostFiles || size > mostBytes {
			return fmt.Errorf("%s is too large", dir)
		}
		state := ""
		switch {
		case d.Type().IsRegular():
			content, err := os.ReadFile(path) //nolint:gosec // of the tree
			if err != nil {
				return err
			}
			t.clock = t.clock || bytes.Contains(content, []byte(clockWord))
			state = fmt.Sprintf("%t %s", info.Mode()&0o100 != 0, digestOf(content))
		case d.Type()&fs.ModeSymlink != 0:
			if state, err = os.Readlink(path); err != nil {
				return err
			}
		}
		_, err = fmt.Fprintf(sum, "%q %s %q\n", strings.TrimPrefix(path, dir), d.Type(), state)
		return err
	})
	if err == nil {
		t.digest = hex.EncodeToString(sum.Sum(nil))
	}
	return t
}
