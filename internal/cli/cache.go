package cli

import (
	"os"
	"os/exec"
	"path/filepath"

	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/observe"
)

// watchWord is the first argument of a process of ours that is to become
// another program, under watch.
const watchWord = "watched"

// becomes carries out watchWord; it returns only if that fails.
func becomes(args []string) error { return observe.Become(args[1:]) }

// cache says where results of evaluations are kept: in the folder that
// FLOTILLA_CACHE names, else in the user's folder for such things.
func (s *shell) cache() nix.Cache {
	if s.noCache {
		return nix.Cache{}
	}
	dir := s.getenv("FLOTILLA_CACHE")
	if dir == "" {
		home := s.getenv("XDG_CACHE_HOME")
		if home == "" && s.getenv("HOME") != "" {
			home = filepath.Join(s.getenv("HOME"), ".cache")
		}
		if !filepath.IsAbs(home) {
			return nix.Cache{}
		}
		dir = filepath.Join(home, "flotilla")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nix.Cache{}
	}
	c := nix.Cache{Dir: dir, Verify: s.verifyCache}
	// By the name that it was started by, as that may decide what it does.
	if self, err := exec.LookPath(os.Args[0]); err == nil {
		if self, err = filepath.Abs(self); err == nil {
			c.Watcher = []string{self, watchWord}
		}
	}
	return c
}
