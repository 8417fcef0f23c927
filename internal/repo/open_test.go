package repo

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A container's work tree belongs to the runner's user, not to root.
func TestForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("this test gives files to another user: run the tests as root")
	}
	w := newWork(t)
	w.write("sub/a", "1")
	hash := w.commit("one")
	w.write("sub/a", "2")
	for _, dir := range []string{filepath.Dir(w.dir), w.dir} {
		if out, err := exec.CommandContext(t.Context(), "chown", "-R", "1001:1001", dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	// git itself refuses, so this is the case that users meet.
	refused := exec.CommandContext(t.Context(), "git", "status")
	refused.Dir, refused.Env = w.dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1"}
	if out, err := refused.CombinedOutput(); err == nil || !strings.Contains(string(out), "dubious ownership") {
		t.Fatalf("git takes the repository: %s", out)
	}
	r := w.open("sub")
	if got, err := r.Resolve(t.Context(), "HEAD"); err != nil || got.Commit != hash || r.Prefix() != "sub" {
		t.Errorf("got %v, %v, prefix %q", got, err, r.Prefix())
	}
	if dirty, err := r.Dirty(t.Context()); err != nil || !slices.Equal(dirty, []string{"sub/a"}) {
		t.Errorf("dirty: %v, %v", dirty, err)
	}
	if err := r.Export(t.Context(), hash, filepath.Join(t.TempDir(), "out")); err != nil {
		t.Error(err)
	}
	w.git("-c", "safe.directory=*", "worktree", "add", "-q", "--detach", "../linked", hash)
	linked := filepath.Join(filepath.Dir(w.dir), "linked")
	if out, err := exec.CommandContext(t.Context(), "chown", "-R", "1001:1001", linked).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if r := (work{t, linked}).open(); r.Root() != linked {
		t.Errorf("a linked work tree: %s", r.Root())
	}
}

// The way to the fleet is what was asked for: where a link on it leads is for
// each commit to say, not for the one that is checked out.
func TestPrefixAsWritten(t *testing.T) {
	w := newWork(t)
	w.write("fleets/one/a", "1")
	if err := os.Symlink("one", filepath.Join(w.dir, "fleets", "two")); err != nil {
		t.Fatal(err)
	}
	w.write("fleets/.hidden/a", "1")
	w.commit("one")
	if err := os.Symlink(w.dir, filepath.Join(filepath.Dir(w.dir), "link")); err != nil {
		t.Fatal(err)
	}
	for way, want := range map[string]string{"fleets/two": "fleets/two", "fleets/one": "fleets/one", "../link/fleets/two": "fleets/two", "fleets/.hidden": "fleets/.hidden", "../link": "", ".": ""} {
		if r := w.open(way); r.Prefix() != want || r.Root() != w.dir {
			t.Errorf("%s: prefix %q in %s", way, r.Prefix(), r.Root())
		}
	}
	// From outside of it there is only git's word.
	if err := os.Symlink(filepath.Join(w.dir, "fleets", "one"), filepath.Join(filepath.Dir(w.dir), "direct")); err != nil {
		t.Fatal(err)
	}
	if r := w.open("../direct"); r.Prefix() != "fleets/one" {
		t.Errorf("prefix %q", r.Prefix())
	}
}
