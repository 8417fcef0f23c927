package repo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree reads a folder: path → mode and text, or the target of a link.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		switch {
		case d.IsDir():
			found[rel] = info.Mode().String()
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			found[rel] = "-> " + target
		default:
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			found[rel] = info.Mode().String() + " " + string(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestExport(t *testing.T) {
	w := newWork(t)
	w.write("flotilla.yaml", "fleet: a\n")
	w.write("bin/run", "#!/bin/sh\n")
	w.write("empty", "")
	w.write("a b/ü\n\"x\"\t", "odd name")
	w.write("-rf", "dash")
	w.write("binary", "\x00\xff\r\n\n")
	w.write("large", strings.Repeat("0123456789abcdef", 300_000))
	// What git archive and checkout would change on the way out:
	w.write(".gitattributes", "hidden export-ignore\nsubst export-subst\nident ident\n*.txt text eol=crlf\nlfs filter=evil\n")
	w.write("hidden", "not hidden")
	w.write("subst", "$Format:%H$")
	w.write("ident", "$Id$")
	w.write("line.txt", "unix\n")
	w.write("lfs", "pointer")
	for link, target := range map[string]string{"in": "bin/run", "out": "../../etc/passwd", "absolute": "/etc/passwd", "dangling": "nowhere", "folder": "bin"} {
		if err := os.Symlink(target, filepath.Join(w.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(w.dir, "bin/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	hash := w.commit("one")
	w.write("flotilla.yaml", "uncommitted")
	w.write("untracked", "")

	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	dir := filepath.Join(t.TempDir(), "deep", "out")
	if err := w.open("bin").Export(t.Context(), hash, dir); err != nil {
		t.Fatal(err)
	}
	got := tree(t, dir)
	if len(got["large"]) != len("-rw-r--r-- ")+4_800_000 {
		t.Errorf("large has %d bytes", len(got["large"]))
	}
	delete(got, "large")
	want := map[string]string{
		"flotilla.yaml": "-rw-r--r-- fleet: a\n", "bin": "drwxr-xr-x", "bin/run": "-rwxr-xr-x #!/bin/sh\n", "empty": "-rw-r--r-- ",
		"a b": "drwxr-xr-x", "a b/ü\n\"x\"\t": "-rw-r--r-- odd name", "-rf": "-rw-r--r-- dash", "binary": "-rw-r--r-- \x00\xff\r\n\n",
		".gitattributes": "-rw-r--r-- hidden export-ignore\nsubst export-subst\nident ident\n*.txt text eol=crlf\nlfs filter=evil\n",
		"hidden":         "-rw-r--r-- not hidden", "subst": "-rw-r--r-- $Format:%H$", "ident": "-rw-r--r-- $Id$", "line.txt": "-rw-r--r-- unix\n", "lfs": "-rw-r--r-- pointer",
		"in": "-> bin/run", "out": "-> ../../etc/passwd", "absolute": "-> /etc/passwd", "dangling": "-> nowhere", "folder": "-> bin",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if err := w.open().Export(t.Context(), hash, dir); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a folder with files in it was taken: %v", err)
	}
}

func TestExportRefusesSubmodules(t *testing.T) {
	w := newWork(t)
	hash := w.commit("one")
	w.git("update-index", "--add", "--cacheinfo", "160000,"+hash+",vendor/lib")
	w.git("commit", "-q", "-m", "two")
	err := w.open().Export(t.Context(), w.git("rev-parse", "HEAD"), filepath.Join(t.TempDir(), "out"))
	fails(t, err, "submodules", `"vendor/lib"`)
}

// Trees made by hand, as no git would make them.
func TestExportStaysInside(t *testing.T) {
	w := newWork(t)
	blob := w.input("evil", "hash-object", "-w", "--stdin")
	up := w.input("..", "hash-object", "-w", "--stdin")
	raw := func(mode, name, hash string) string {
		var b []byte
		for i := 0; i < len(hash); i += 2 {
			var c byte
			if _, err := fmt.Sscanf(hash[i:i+2], "%02x", &c); err != nil {
				t.Fatal(err)
			}
			b = append(b, c)
		}
		return mode + " " + name + "\x00" + string(b)
	}
	mk := func(entries ...string) string {
		return w.input(strings.Join(entries, ""), "hash-object", "-t", "tree", "-w", "--literally", "--stdin")
	}
	inner := mk(raw("100644", "owned", blob))
	for name, tree := range map[string]string{
		"parent":       mk(raw("40000", "..", inner)),
		"dot git":      mk(raw("40000", ".git", inner)),
		"DOT GIT":      mk(raw("100644", ".GIT", blob)),
		"slash":        mk(raw("100644", "../owned", blob)),
		"absolute":     mk(raw("100644", "/owned", blob)),
		"dot":          mk(raw("40000", ".", inner)),
		"link, folder": mk(raw("120000", "x", up), raw("40000", "x", inner)),
		"twice":        mk(raw("100644", "x", blob), raw("100644", "x", blob)),
		"long link":    mk(raw("120000", "x", w.input(strings.Repeat("a/", 3000), "hash-object", "-w", "--stdin"))),
		"tree as file": mk(raw("100644", "x", inner)),
		"nothing":      mk(raw("100644", "x", strings.Repeat("ab", 20))),
	} {
		hash := w.git("commit-tree", tree, "-m", name)
		top := t.TempDir()
		if err := w.open().Export(t.Context(), hash, filepath.Join(top, "a", "out")); err == nil {
			t.Errorf("%s: no error", name)
		}
		for _, outside := range []string{"owned", "a/owned"} {
			if _, err := os.Lstat(filepath.Join(top, outside)); err == nil {
				t.Errorf("%s: wrote %s outside", name, outside)
			}
		}
	}
}

// A partial clone must not fetch what it lacks: that would start programs.
func TestPartialClone(t *testing.T) {
	w := newWork(t)
	w.write("a", "1")
	hash := w.commit("one")
	w.git("config", "uploadpack.allowFilter", "true")
	w.git("clone", "-q", "--filter=blob:none", "--no-checkout", "file://"+w.dir, "../partial")
	p := work{t, filepath.Join(filepath.Dir(w.dir), "partial")}
	marker := filepath.Join(t.TempDir(), "ran")
	p.git("config", "remote.origin.uploadpack", "touch "+marker+"; git-upload-pack")
	err := p.open().Export(t.Context(), hash, filepath.Join(t.TempDir(), "out"))
	fails(t, err, "does not hold all files", "filter")
	if _, err := os.Lstat(marker); err == nil {
		t.Error("it fetched")
	}
}

func TestExportObeysTheContext(t *testing.T) {
	w := newWork(t)
	w.write("a", "1")
	hash := w.commit("one")
	r := w.open()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Export(ctx, hash, t.TempDir()); err == nil {
		t.Error("no error")
	}
}
