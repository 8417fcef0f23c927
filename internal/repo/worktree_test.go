package repo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestExportTracked(t *testing.T) {
	w := newWork(t)
	for name, text := range map[string]string{"kept": "one", "edited": "one", "deleted": "one", "bin/run": "#!/bin/sh\n", "a b/ü\n": "odd", "folder/file": "one", ".gitignore": "ignored\n"} {
		w.write(name, text)
	}
	if err := os.Symlink("../../etc/passwd", filepath.Join(w.dir, "out")); err != nil {
		t.Fatal(err)
	}
	w.commit("one")
	w.write("edited", "two")
	w.write("added", "new")
	w.git("add", "added")
	w.write("added", "newer")
	w.write("untracked", "secret")
	w.write("ignored", "secret")
	w.write("folder/untracked", "secret")
	for _, err := range []error{
		os.Remove(filepath.Join(w.dir, "deleted")),
		os.Chmod(filepath.Join(w.dir, "bin/run"), 0o700), os.Chmod(filepath.Join(w.dir, "kept"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{
		"kept": "-rw-r--r-- one", "edited": "-rw-r--r-- two", "bin": "drwxr-xr-x", "bin/run": "-rwxr-xr-x #!/bin/sh\n", "a b": "drwxr-xr-x", "a b/ü\n": "-rw-r--r-- odd",
		"folder": "drwxr-xr-x", "folder/file": "-rw-r--r-- one", ".gitignore": "-rw-r--r-- ignored\n", "out": "-> ../../etc/passwd", "added": "-rw-r--r-- newer",
	}
	for _, from := range []string{"", "folder"} { // all of it, wherever the fleet lies
		dir := filepath.Join(t.TempDir(), "out")
		r := w.open()
		if from != "" {
			r = w.open(from)
		}
		if err := r.ExportTracked(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Errorf("from %q (-want +got)\n%s", from, diff)
		}
	}
}

func TestExportTrackedRefuses(t *testing.T) {
	w := newWork(t)
	w.write("file", "")
	commit := w.commit("one")
	w.git("update-index", "--add", "--cacheinfo", "160000,"+commit+",module")
	if err := os.Mkdir(filepath.Join(w.dir, "module"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := w.open().ExportTracked(t.Context(), filepath.Join(t.TempDir(), "out")); err == nil || !strings.Contains(err.Error(), `"module": it is no file; submodules`) {
		t.Errorf("a submodule: %v", err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.open().ExportTracked(t.Context(), full); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with files in it: %v", err)
	}

	// A link in place of a folder leads nowhere else.
	w = newWork(t)
	w.write("folder/file", "inside")
	w.commit("one")
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "file"), []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(w.dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(w.dir, "folder")); err != nil {
		t.Fatal(err)
	}
	if err := w.open().ExportTracked(t.Context(), filepath.Join(t.TempDir(), "out")); err == nil {
		t.Error("it reads files from outside")
	}
}

func TestTime(t *testing.T) {
	w := newWork(t)
	w.write("file", "")
	w.git("add", "-A")
	w.git("-c", "user.name=A > B <x> 5 6", "commit", "-q", "-m", "one", "--date", "2001-02-03T04:05:06Z")
	hash := w.git("rev-parse", "HEAD")
	got, err := w.open().Time(t.Context(), hash)
	if err != nil || time.Since(got) > time.Minute || time.Since(got) < -time.Minute {
		t.Errorf("%s: %v", got, err)
	}
	if got := parseCommit("tree x\ncommitter A > B <a@b> 1700000000 +0100\n\nx").time; !got.Equal(time.Unix(1700000000, 0)) {
		t.Errorf("got %s", got)
	}
	for _, text := range []string{"", "committer \n\n", "committer A <a@b> x\n\n", "committer"} {
		if got := parseCommit(text).time; !got.IsZero() {
			t.Errorf("%q: %s", text, got)
		}
	}
}
