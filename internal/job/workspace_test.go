package job

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/nix"
)

// What a checkout brings is not read as results of ours.
func TestCacheInTheCheckout(t *testing.T) {
	workspace := t.TempDir()
	for dir, used := range map[string]bool{
		filepath.Join(workspace, ".cache"): false,
		workspace:                          false,
		filepath.Join(filepath.Dir(workspace), "up"): true,
		"": true,
	} {
		var out bytes.Buffer
		j := &job{workspace: workspace, runner: actions.New(os.Getenv, &out)}
		j.Cache = nix.Cache{Dir: dir}
		j.trustCache()
		if (j.Cache.Dir == dir) != used || strings.Contains(out.String(), "FLOTILLA_CACHE") == used {
			t.Errorf("%q: kept %q, said %q", dir, j.Cache.Dir, out.String())
		}
	}
}

// Later steps run as whom the workspace belongs to, and save the cache.
func TestGiveBack(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("needs root, as the container of the action has it")
	}
	const runner = 1001
	workspace, home := t.TempDir(), t.TempDir()
	if err := os.Chown(workspace, runner, runner); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, ".cache", "flotilla")
	if err := os.MkdirAll(filepath.Join(dir, "merged"), 0o700); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{filepath.Join(dir, "out"): home, filepath.Join(dir, "merged", "gone"): "nowhere"} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
	j := &job{workspace: workspace}
	j.Getenv = func(string) string { return home }
	j.giveBack(dir)
	for path, want := range map[string]uint32{
		home: 0, filepath.Dir(dir): runner, dir: runner, filepath.Join(dir, "merged"): runner,
		filepath.Join(dir, "out"): runner, filepath.Join(dir, "merged", "gone"): runner,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); !ok || owner.Uid != want {
			t.Errorf("%s belongs to %v, want %d", path, owner, want)
		}
	}
}
