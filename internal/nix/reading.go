package nix

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/observe"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// reading turns what a process looked at into what its result depends on: each
// path is followed component by component, and every component counts.
type reading struct {
	o       *opened
	states  *states
	clocks  func(path string) bool // whether a file outside the repository asks what time it is
	search  []string               // entries of the search path, which are part of the key
	started time.Time

	found map[string]string // as in entry
	doubt string            // why it cannot be told what the result depends on; "": it can
}

// mostLinks is how many symbolic links one path may lead over.
const mostLinks = 40

func (i *reading) doubtful(why string) {
	if i.doubt == "" {
		i.doubt = why
	}
}

func (i *reading) all(seen observe.Seen) {
	if seen.Doubt != "" {
		i.doubtful(seen.Doubt)
		return
	}
	for _, path := range seen.Opened {
		if !i.written(path) {
			i.follow(path, true)
		}
	}
	for _, path := range seen.Asked {
		if !i.written(path) {
			i.follow(path, false)
		}
	}
}

// written tells whether a path is a derivation that evaluation itself wrote to
// its own store, or its lock: thousands, which need not be followed.
func (i *reading) written(path string) bool {
	name, ok := strings.CutPrefix(path, i.o.root+storepath.Dir+"/")
	if i.o.root == "" || !ok || strings.Contains(name, "/") || !strings.HasSuffix(strings.TrimSuffix(name, ".lock"), ".drv") {
		return false
	}
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() || errors.Is(err, fs.ErrNotExist) // locks go
}

// follow notes what a path depends on. opened: also the content of its end.
func (i *reading) follow(path string, opened bool) {
	at, rest, links := "/", strings.Split(path, "/"), 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		if i.passes(next) {
			if opened && i.o.Trusted && strings.Trim(strings.Join(rest, ""), "./") == "" {
				i.doubtful(next + " was listed")
			}
			at = next
			continue
		}
		last := strings.Trim(strings.Join(rest, ""), "./") == ""
		state := i.states.of(next, false)
		switch {
		case strings.HasPrefix(state, link):
			i.note(next, state, false)
			if links++; links > mostLinks {
				i.doubtful("symbolic links in a circle at " + path)
				return
			}
			target := strings.TrimPrefix(state, link)
			if filepath.IsAbs(target) {
				at = "/"
			}
			rest = append(strings.Split(target, "/"), rest...)
		case state == folder:
			i.note(next, state, opened && last)
			at = next
		default:
			i.note(next, state, opened && last)
			return
		}
	}
}

// passes tells whether a folder is one above those that are looked into anyway:
// where they lie is not an input (leaks).
func (i *reading) passes(path string) bool {
	for _, dir := range []string{i.o.dir, i.o.tool, i.o.root, storepath.Dir} {
		if dir != "" && path != dir && within(path, dir) {
			return true
		}
	}
	return false
}

// note makes a path an input, by where it lies.
func (i *reading) note(path, state string, opened bool) {
	if rel, ok := i.inTree(path); ok {
		i.set(rel, filepath.Join(i.o.dir, rel), opened)
		return
	}
	for _, unit := range i.search {
		if within(unit, path) {
			if opened && state == file && i.clocks(path) {
				i.doubtful(path + " asks what time it is")
			}
			return // part of the key
		}
	}
	switch base, stored := storeBase(path); {
	case within(i.o.tool, path), i.o.root != "" && within(i.o.root, path):
		// Our own, which are part of the key, and what evaluation itself wrote.
	case stored:
		if opened && state == file && strings.HasSuffix(path, ".nix") && i.clocks(path) {
			i.doubtful(path + " asks what time it is")
		}
		// It never changes, but it may be gone. Derivations there are checked, and
		// locks are not what anybody reads.
		if i.o.Trusted && !strings.HasSuffix(base, ".lock") && (state == absent || !strings.HasSuffix(base, ".drv")) {
			i.set(storepath.Dir+"/"+base, storepath.Dir+"/"+base, false)
		}
	case !i.o.Trusted, ofProcess(path, opened):
		// A restricted evaluation gets nothing from outside, whatever is there.
	case opened && path == storepath.Dir:
		i.doubtful("the store was listed")
	case opened && strings.Contains(path, "/.cache/nix/"), opened && strings.Contains(path, "/nix/") && strings.HasSuffix(path, ".sqlite"):
		i.doubtful("something was fetched that no hash names")
	default:
		i.set(path, path, opened)
	}
}

// inTree gives a path in the repository as it is named there.
func (i *reading) inTree(path string) (string, bool) {
	roots := []string{i.o.dir}
	if i.o.flake != nil {
		source := i.o.flake.source.String()
		roots = append(roots, source)
		if i.o.root != "" {
			roots = append(roots, filepath.Join(i.o.root, source))
		}
	}
	for _, root := range roots {
		if rel, err := filepath.Rel(root, path); err == nil && filepath.IsLocal(rel) {
			return rel, true
		}
	}
	return "", false
}

func (i *reading) set(name, path string, opened bool) {
	if old, ok := i.found[name]; ok && (hashesContent(old) || !opened) {
		return
	}
	state := i.states.of(name, opened)
	switch {
	case state == "":
		i.doubtful(path + " cannot be read")
	case storeOwned(name):
	case changedSince(path, i.started):
		i.doubtful(path + " changed meanwhile")
	case !filepath.IsAbs(name) && opened && state != absent && strings.IndexByte("fx", state[0]) >= 0 && namesClock(path):
		i.doubtful(name + " asks what time it is")
	}
	i.found[name] = state
}

// storeOwned tells whether a path is the store's, where files appear all the time.
func storeOwned(name string) bool { return strings.HasPrefix(name, storepath.Dir+"/") }

// ofProcess tells whether a path is what any program looks at, whatever it
// evaluates: its libraries, the kernel's files of it, the store's own records.
// What else lies beside these is what an expression asked for.
func ofProcess(path string, opened bool) bool {
	const perUser = "/nix/var/nix/profiles/per-user" // Nix sets the mode of these whenever it starts
	if !opened && (slices.Contains(alwaysThere(), path) || path == storepath.Dir || path == perUser || filepath.Dir(path) == perUser) {
		return true // their times change whenever anything is made in them
	}
	for _, dir := range []string{
		"/dev/fd", "/dev/full", "/dev/null", "/dev/pts", "/dev/random", "/dev/stderr", "/dev/stdin", "/dev/stdout", "/dev/tty", "/dev/urandom", "/dev/zero",
		"/proc/cpuinfo", "/proc/filesystems", "/proc/meminfo", "/proc/mounts", "/proc/self", "/proc/stat", "/proc/sys", "/proc/thread-self",
		"/sys/devices/system/cpu", "/sys/fs/cgroup", "/sys/kernel/mm", "/run/nscd", "/run/systemd",
		"/nix/var/log", "/nix/var/nix/builds", "/nix/var/nix/daemon-socket", "/nix/var/nix/db", "/nix/var/nix/gc.lock", "/nix/var/nix/gc-socket",
		"/nix/var/nix/gcroots", "/nix/var/nix/temproots", "/nix/var/nix/userpool", "/nix/var/nix/userpool2",
		"/usr/lib/locale", "/usr/share/locale", filepath.Join(storepath.Dir, ".links"), "/etc/ld.so.cache", "/etc/ld.so.preload",
	} {
		if within(dir, path) {
			return true
		}
	}
	for _, dir := range []string{"/lib", "/lib64", "/usr/lib", "/usr/lib64"} {
		if within(dir, path) && (strings.Contains(filepath.Base(path), ".so") || strings.Contains(path, "/gconv/")) {
			return true
		}
	}
	process, _, _ := strings.Cut(strings.TrimPrefix(path, "/proc/"), "/")
	return strings.HasPrefix(path, "/proc/") && strings.Trim(process, "0123456789") == ""
}

// alwaysThere are folders that every machine has.
func alwaysThere() []string {
	return []string{"/dev", "/dev/shm", "/etc", "/nix", "/nix/var", "/nix/var/nix", "/nix/var/nix/profiles", "/proc", "/run", "/sys", "/tmp", "/usr", "/usr/lib", "/var", "/var/tmp"}
}

// namesClock tells whether a file holds clockWord.
func namesClock(path string) bool {
	text, err := os.ReadFile(path) //nolint:gosec // what evaluation read
	return err != nil || bytes.Contains(text, []byte(clockWord))
}

// holds tells whether an entry's inputs are as they were.
func (s *states) holds(inputs map[string]string) bool {
	for path, was := range inputs {
		if !filepath.IsAbs(path) && !filepath.IsLocal(path) || filepath.IsAbs(path) && filepath.Clean(path) != path || was == "" {
			return false
		}
		if s.of(path, hashesContent(was) || was == absent) != was {
			return false
		}
	}
	return true
}

// scans tells whether derivations name a folder that is another one next time.
// Each is read once.
type scans struct {
	names [][]byte
	store string          // folder of the store that they lie in
	leaks map[string]bool // name → it, or one that it is made from, does
}

func (s *scans) any(base string) bool {
	if leaks, ok := s.leaks[base]; ok {
		return leaks
	}
	s.leaks[base] = false // they are made from each other without circles
	text, err := fs.ReadFile(os.DirFS(s.store), base)
	leaks := err != nil || holdsAny(text, s.names)
	for rest := text; !leaks; {
		_, after, found := bytes.Cut(rest, []byte(storepath.Dir+"/"))
		if !found {
			break
		}
		rest = after
		if end := bytes.IndexByte(after, '"'); end > 4 && bytes.HasSuffix(after[:end], []byte(".drv")) {
			if _, err := storepath.Parse(storepath.Dir + "/" + string(after[:end])); err == nil {
				leaks = s.any(string(after[:end]))
			}
		}
	}
	s.leaks[base] = leaks
	return leaks
}

func holdsAny(text []byte, names [][]byte) bool {
	for _, name := range names {
		if bytes.Contains(text, name) {
			return true
		}
	}
	return false
}
