package job

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/nix"
)

// TestCacheByAnotherName: results in the checkout may be a stranger's, however the
// folder is named.
func TestCacheByAnotherName(t *testing.T) {
	home := t.TempDir()
	workspace := filepath.Join(home, "work")
	if err := os.MkdirAll(filepath.Join(workspace, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(workspace)
	for link, to := range map[string]string{"into": filepath.Join(workspace, "sub"), "again": workspace} {
		if err := os.Symlink(to, filepath.Join(home, link)); err != nil {
			t.Fatal(err)
		}
	}
	for dir, trusted := range map[string]bool{
		filepath.Join(home, "cache"): true, "../cache": true, filepath.Join(workspace, "../cache"): true, workspace + "-cache": true,
		workspace: false, filepath.Join(workspace, "cache"): false, "cache": false, "./sub/../new/cache": false, ".": false,
		filepath.Join(home, "into", "cache"): false, filepath.Join(home, "into"): false,
	} {
		for _, at := range []string{workspace, filepath.Join(home, "again")} {
			j := &job{workspace: at, runner: actions.New(func(string) string { return "" }, io.Discard)}
			j.Cache = nix.Cache{Dir: dir}
			if j.trustCache(); (j.Cache.Dir != "") != trusted {
				t.Errorf("%s with the checkout at %s: trusted is %v", dir, at, j.Cache.Dir != "")
			}
		}
	}
}
