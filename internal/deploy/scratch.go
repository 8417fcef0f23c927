package deploy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	scratchPrefix = "flotilla-run-"
	scratchLock   = ".lock"
	// scratchYoung is how old a folder is at least before it is taken for a dead
	// run's: its lock is made a moment after it.
	scratchYoung = 10 * time.Minute
)

// scratch is a folder of one run. Its lock ends with the process, however that
// dies, so that the next run can tell what is left of dead ones.
type scratch struct {
	dir  string
	lock *os.File
}

// newScratch makes a folder below parent and removes those of dead runs.
func newScratch(parent string) (*scratch, error) {
	sweep(parent)
	dir, err := os.MkdirTemp(parent, scratchPrefix)
	if err != nil {
		return nil, fmt.Errorf("cannot make a scratch folder: %w", err)
	}
	lock, err := locked(filepath.Join(dir, scratchLock), os.O_CREATE|os.O_RDWR)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("cannot lock a scratch folder: %w", err)
	}
	return &scratch{dir: dir, lock: lock}, nil
}

func (s *scratch) remove() {
	_ = os.RemoveAll(s.dir) // a later run sweeps what is left
	_ = s.lock.Close()
}

// locked opens a file and takes its lock at once or not at all.
func locked(file string, flags int) (*os.File, error) {
	f, err := os.OpenFile(file, flags|syscall.O_NOFOLLOW, 0o600) //nolint:gosec // of our own folder
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// sweep removes the folders of runs that were killed. Nothing depends on it, so
// its failures count for nothing.
func sweep(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), scratchPrefix) || time.Since(info.ModTime()) < scratchYoung || !mine(info) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := locked(filepath.Join(dir, scratchLock), os.O_RDWR)
		switch {
		case err == nil:
			_ = os.RemoveAll(dir)
			_ = lock.Close()
		case errors.Is(err, fs.ErrNotExist):
			_ = os.RemoveAll(dir) // it died before it had a lock
		}
	}
}

// mine tells whether a folder is this user's.
func mine(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Getuid()
}
