package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// A commit that could not be written out whole is no tree, however often and
// from wherever it is asked for.
func TestHalfATreeIsNone(t *testing.T) {
	dir := fleetRepo(t, raceFleet)
	git := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...) //nolint:gosec // words of the test
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return string(bytes.TrimSpace(out))
	}
	blob := git("rev-parse", "HEAD:hive.nix") // the last file
	if err := os.Remove(filepath.Join(dir, ".git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	f := &Flow{Dir: dir, Getenv: func(string) string { return "" }, Sink: progress.Discard}
	w, err := f.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	rev := plans.Revision{Commit: git("rev-parse", "HEAD")}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if got, err := w.export(t.Context(), rev); err == nil {
				t.Errorf("no error, and the tree %+v", got)
			}
		})
	}
	all.Wait()
	if got, err := w.export(t.Context(), rev); err == nil {
		t.Errorf("afterwards no error, and the tree %+v", got)
	}
}
