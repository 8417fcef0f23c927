package job

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/flotilla-nix/flotilla/internal/nix"
)

// trustCache leaves out a cache inside of the checkout: whoever opens a pull
// request could put results there.
func (j *job) trustCache() {
	if j.Cache.Dir == "" {
		return
	}
	inside, err := filepath.Rel(realPath(j.workspace), realPath(j.Cache.Dir))
	if err != nil || !filepath.IsLocal(inside) {
		return
	}
	j.Cache = nix.Cache{}
	j.runner.Notice(fmt.Sprintf("FLOTILLA_CACHE is not used: %s lies in the checkout, which a pull request can write", inside))
}

// realPath is the absolute path without links, as far down as it exists.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	up, name := filepath.Split(path)
	if up == path {
		return path
	}
	return filepath.Join(realPath(up), name)
}

// giveBack hands what this job made to whom the workspace belongs to: later
// steps run as another user, who must be able to read and delete it. Failing is
// no harm to this step.
func (j *job) giveBack(path string) {
	info, err := os.Stat(j.workspace)
	if err != nil || os.Geteuid() != 0 {
		return
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return
	}
	give := func(path string) { _ = os.Lchown(path, int(owner.Uid), int(owner.Gid)) }
	_ = filepath.WalkDir(path, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			give(path)
		}
		return nil
	})
	// The folders above it may have been made for it.
	home := filepath.Clean(j.Getenv("HOME")) + string(filepath.Separator)
	for up := filepath.Dir(path); strings.HasPrefix(up, home); up = filepath.Dir(up) {
		give(up)
	}
}
