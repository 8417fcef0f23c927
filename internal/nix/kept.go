package nix

import (
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	storePrefix = "flotilla-store-"
	storeLock   = "flotilla.lock" // in a private store; whoever works with it has it locked
)

// ownStore is the private store of an Evaluator's restricted evaluations of
// hives: writing a host's derivations anew is a third of its evaluation, and
// most of them are those of the tree before. It does not outlive the Evaluator:
// an evaluation can list the store, and must not see what is of others.
type ownStore struct {
	mu    sync.Mutex
	users int
	root  string // "": not made yet
	lock  *os.File
}

// Keep has the Evaluator keep its private store between evaluations, until the
// returned function is called.
func (e *Evaluator) Keep() (done func()) {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	e.store.users++
	return e.store.give
}

// take gives the store, made by create if there is none. Whoever takes it gives it.
func (s *ownStore) take(where string, create func(root string) error) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.root == "" {
		sweepStores(where, time.Now())
		root, err := os.MkdirTemp(where, storePrefix)
		if err != nil {
			return "", err
		}
		s.root = root
		s.lock, err = lockStore(root, unix.LOCK_SH)
		if err == nil {
			err = create(root)
		}
		if err != nil {
			s.remove()
			return "", err
		}
	}
	s.users++
	return s.root, nil
}

// give ends the use that take, or Keep, began.
func (s *ownStore) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.remove()
	}
}

func (s *ownStore) remove() {
	if s.root != "" {
		_ = os.RemoveAll(s.root) // what is left is swept by a later run
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
	s.root, s.lock = "", nil
}

// lockStore locks a store as long as the file is open, without waiting.
func lockStore(root string, how int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(root, storeLock), os.O_CREATE|os.O_RDWR|unix.O_NOFOLLOW, 0o600) //nolint:gosec // below a folder of our own
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(file.Fd()), how|unix.LOCK_NB); err != nil { //nolint:gosec // a file descriptor
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

// sweepStores removes what runs that were killed left. Those that live have
// theirs locked, but for the moment in which it is made.
func sweepStores(where string, now time.Time) {
	list, err := filepath.Glob(filepath.Join(where, storePrefix+"*"))
	if err != nil {
		return
	}
	for _, root := range list {
		info, err := os.Lstat(root)
		if err != nil || !isOurs(root) || now.Sub(info.ModTime()) < time.Minute {
			continue
		}
		if lock, err := lockStore(root, unix.LOCK_EX); err == nil {
			_ = os.RemoveAll(root) // what cannot be removed is tried again by the next run
			_ = lock.Close()
		}
	}
}

// isOurs tells whether a folder is the user's and nobody else's.
func isOurs(path string) bool {
	var s unix.Stat_t
	err := unix.Lstat(path, &s)
	return err == nil && s.Mode&unix.S_IFMT == unix.S_IFDIR && int(s.Uid) == os.Getuid() && s.Mode&0o077 == 0
}
