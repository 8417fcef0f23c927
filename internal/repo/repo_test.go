package repo

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// work is a real repository that a test fills with the real git.
type work struct {
	t   *testing.T
	dir string
}

func newWork(t *testing.T) work {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := work{t, filepath.Join(dir, "repo")}
	if err := os.Mkdir(w.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.git("init", "-q", "-b", "main")
	return w
}

func (w work) git(args ...string) string {
	w.t.Helper()
	return w.input("", args...)
}

func (w work) input(in string, args ...string) string {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), "git", args...)
	cmd.Dir = w.dir
	cmd.Stdin = strings.NewReader(in)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

func (w work) write(name, text string) {
	w.t.Helper()
	file := filepath.Join(w.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// commit commits everything and gives the hash.
func (w work) commit(message string) string {
	w.t.Helper()
	w.git("add", "-A")
	w.git("commit", "-q", "--allow-empty", "-m", message)
	return w.git("rev-parse", "HEAD")
}

func (w work) open(sub ...string) *Repo {
	w.t.Helper()
	r, err := Open(w.t.Context(), filepath.Join(append([]string{w.dir}, sub...)...), Remote{})
	if err != nil {
		w.t.Fatal(problem.Text(err))
	}
	return r
}

// fails checks that an error is one for people and says all of the parts.
func fails(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("no error")
		return
	}
	text := problem.Text(err)
	for _, p := range append(parts, "hint: ") {
		if !strings.Contains(text, p) {
			t.Errorf("the error does not say %q:\n%s", p, text)
		}
	}
}

func TestOpen(t *testing.T) {
	w := newWork(t)
	w.write("fleets/eu west/flotilla.yaml", "fleet: a")
	w.commit("one")
	for sub, prefix := range map[string]string{"": "", "fleets": "fleets", "fleets/eu west": "fleets/eu west"} {
		r := w.open(sub)
		if r.Root() != w.dir || r.Prefix() != prefix {
			t.Errorf("open %q: root %q, prefix %q", sub, r.Root(), r.Prefix())
		}
	}
	odd := "new\nline ü\n"
	w.write(odd+"/x", "")
	if r := w.open(odd); r.Prefix() != odd {
		t.Errorf("prefix %q", r.Prefix())
	}
}

func TestOpenRefuses(t *testing.T) {
	_, err := Open(t.Context(), t.TempDir(), Remote{})
	fails(t, err, "is not in a git repository", "git init")
	_, err = Open(t.Context(), filepath.Join(t.TempDir(), "absent"), Remote{})
	fails(t, err, "no such file")
	w := newWork(t)
	w.git("clone", "-q", "--bare", ".", "../bare.git")
	_, err = Open(t.Context(), filepath.Join(w.dir, "../bare.git"), Remote{})
	fails(t, err)
	_, err = Open(t.Context(), filepath.Join(w.dir, ".git"), Remote{})
	fails(t, err)
	if err := os.WriteFile(filepath.Join(w.dir, ".git", "config"), []byte("[broken"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), w.dir, Remote{})
	fails(t, err, "git refuses the repository", "bad config")
}

func TestGitMissing(t *testing.T) {
	w := newWork(t)
	t.Setenv("PATH", t.TempDir())
	_, err := Open(t.Context(), w.dir, Remote{})
	fails(t, err, "git is not installed", "Install git")
}

func TestResolve(t *testing.T) {
	w := newWork(t)
	w.write("a", "1")
	one := w.commit("  First line\n  and more of it\n\nbody")
	w.git("tag", "-a", "v1", "-m", "tag")
	two := w.commit("Second ü")
	w.git("branch", "feature/x", one)
	w.git("branch", "both", one)
	w.git("update-ref", "refs/remotes/origin/theirs", one)
	r := w.open()
	for rev, want := range map[string]string{
		"HEAD": two, "main": two, "HEAD~1": one, "HEAD^": one, "v1": one, "feature/x": one, "refs/heads/main": two, one: one, one[:10]: one, "origin/theirs": one, "@": two,
	} {
		got, err := r.Resolve(t.Context(), rev)
		if err != nil || got.Commit != want {
			t.Errorf("%q: got %v, %v, want %s", rev, got, err, want)
		}
	}
	if got, err := r.Resolve(t.Context(), "v1"); err != nil || got.Subject != "First line and more of it" {
		t.Errorf("subject %q, %v", got.Subject, err)
	}
	for _, rev := range []string{"", "--help", "-h", "--output=/tmp/x", "--all", "^main", "a\nb", "a\x00b"} {
		_, err := r.Resolve(t.Context(), rev)
		fails(t, err, "is not a git revision")
		if problem.CodeOf(err) != problem.Usage {
			t.Errorf("%q: code %d", rev, problem.CodeOf(err))
		}
	}
	for _, rev := range []string{"absent", "HEAD~9", "main..both", "main^@", "main^!", "HEAD:a", strings.Repeat("0", 40), strings.Repeat("ab", 20), "a b", "$(id)"} {
		_, err := r.Resolve(t.Context(), rev)
		fails(t, err, "is not in this repository")
	}
	_, err := r.Resolve(t.Context(), "theirs")
	fails(t, err, `Did you mean "origin/theirs"?`)
}

func TestEmptyRepository(t *testing.T) {
	w := newWork(t)
	w.write("a", "1")
	r := w.open()
	_, err := r.Resolve(t.Context(), "HEAD")
	fails(t, err, `"HEAD"`, "no commit yet")
	if dirty, err := r.Dirty(t.Context()); err != nil || !slices.Equal(dirty, []string{"a"}) {
		t.Errorf("dirty: %v, %v", dirty, err)
	}
	empty := w.input("", "hash-object", "-t", "tree", "-w", "--stdin")
	hash := w.git("commit-tree", empty, "-m", "empty")
	dir := filepath.Join(t.TempDir(), "out")
	if err := r.Export(t.Context(), hash, dir); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestDetachedHead(t *testing.T) {
	w := newWork(t)
	one := w.commit("one")
	w.commit("two")
	w.git("checkout", "-q", "--detach", one)
	if got, err := w.open().Resolve(t.Context(), "HEAD"); err != nil || got.Commit != one {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestHistory(t *testing.T) {
	w := newWork(t)
	base := w.commit("base")
	w.git("checkout", "-q", "-b", "pr")
	head := w.commit("head")
	w.git("checkout", "-q", "main")
	main := w.commit("main")
	w.git("merge", "-q", "--no-ff", "-m", "merge", "pr")
	merge := w.git("rev-parse", "HEAD")
	w.git("checkout", "-q", "--orphan", "other")
	other := w.commit("other")
	r := w.open()

	for commit, want := range map[string]string{merge: main, head: base, base: ""} {
		if got, err := r.FirstParent(t.Context(), commit); err != nil || got != want {
			t.Errorf("first parent of %s: %q, %v, want %q", commit, got, err, want)
		}
	}
	if got, err := r.MergeBase(t.Context(), main, head); err != nil || got != base {
		t.Errorf("merge base %q, %v", got, err)
	}
	_, err := r.MergeBase(t.Context(), main, other)
	fails(t, err, "no common ancestor")
	for _, c := range []struct {
		commit, ancestor string
		want             bool
	}{{merge, head, true}, {merge, base, true}, {head, head, true}, {head, main, false}, {base, merge, false}, {merge, other, false}} {
		if got, err := r.Contains(t.Context(), c.commit, c.ancestor); err != nil || got != c.want {
			t.Errorf("%s contains %s: %v, %v", c.commit, c.ancestor, got, err)
		}
	}
	// Only full hashes: names are for Resolve.
	for _, bad := range []string{"main", "--all", head[:12], ""} {
		if _, err := r.FirstParent(t.Context(), bad); err == nil {
			t.Errorf("FirstParent(%q) has no error", bad)
		}
		if _, err := r.Contains(t.Context(), head, bad); err == nil {
			t.Errorf("Contains(%q) has no error", bad)
		}
		if _, err := r.MergeBase(t.Context(), head, bad); err == nil {
			t.Errorf("MergeBase(%q) has no error", bad)
		}
		if _, err := r.Changed(t.Context(), head, bad); err == nil {
			t.Errorf("Changed(%q) has no error", bad)
		}
		if err := r.Export(t.Context(), bad, t.TempDir()); err == nil {
			t.Errorf("Export(%q) has no error", bad)
		}
	}
}

func TestShallowClone(t *testing.T) {
	w := newWork(t)
	w.write("a", "1")
	one := w.commit("one")
	w.write("b", "2")
	two := w.commit("two")
	w.git("branch", "side", one)
	w.git("clone", "-q", "--depth=1", "--no-single-branch", "file://"+w.dir, "../shallow")
	s := work{t, filepath.Join(filepath.Dir(w.dir), "shallow")}
	r := s.open()
	_, err := r.Resolve(t.Context(), "HEAD~1")
	fails(t, err, `"HEAD~1"`, "shallow clone", "fetch-depth: 0")
	_, err = r.FirstParent(t.Context(), two)
	if got, e := r.Resolve(t.Context(), "origin/side"); e != nil || got.Commit != one {
		t.Fatalf("the clone lacks side: %v, %v", got, e)
	}
	if err != nil { // one came along with the branch side
		t.Errorf("first parent: %v", err)
	}
	_, err = r.MergeBase(t.Context(), one, two)
	fails(t, err, "no common ancestor", "fetch-depth: 0")
	_, err = r.Contains(t.Context(), two, one)
	fails(t, err, "cannot tell", "fetch-depth: 0")
	if got, err := r.Changed(t.Context(), one, two); err != nil || !slices.Equal(got, []string{"b"}) {
		t.Errorf("trees can be compared all the same: %v, %v", got, err)
	}
	s.git("clone", "-q", "--depth=1", "file://"+w.dir, "../one")
	_, err = work{t, filepath.Join(filepath.Dir(w.dir), "one")}.open().FirstParent(t.Context(), two)
	fails(t, err, one[:12], "is not in this repository", "shallow clone", "fetch-depth: 0")
}

func TestChangedAndDirty(t *testing.T) {
	w := newWork(t)
	w.write("same", "1")
	w.write("edited", "1")
	w.write("removed", "some text that is long enough to be found again")
	w.write("mode", "1")
	w.write("dir/fileordir", "1")
	one := w.commit("one")
	w.write("edited", "2")
	w.git("mv", "removed", "renamed")
	w.write("a b\nü\t\"q\"", "1")
	if err := os.Chmod(filepath.Join(w.dir, "mode"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.git("rm", "-q", "-r", "dir")
	w.write("dir", "now a file")
	two := w.commit("two")
	r := w.open()
	want := []string{"a b\nü\t\"q\"", "dir", "dir/fileordir", "edited", "mode", "removed", "renamed"}
	got, err := r.Changed(t.Context(), one, two)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v (-want +got)\n%s", err, cmp.Diff(want, got))
	}
	if got, err := r.Changed(t.Context(), two, two); err != nil || len(got) != 0 {
		t.Errorf("nothing changed, but %v, %v", got, err)
	}
	if got, err := r.Dirty(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("clean, but %v, %v", got, err)
	}
	w.write(".gitignore", "ignored\n")
	w.write("ignored", "")
	w.write("new dir/x\ny", "")
	w.write("same", "changed")
	w.git("mv", "renamed", "again")
	w.git("rm", "-q", "--cached", "mode")
	want = []string{".gitignore", "again", "mode", "mode", "new dir/x\ny", "renamed", "same"}
	got, err = w.open("new dir").Dirty(t.Context())
	if err != nil || cmp.Diff(slices.Compact(want), slices.Compact(got)) != "" {
		t.Errorf("%v (-want +got)\n%s", err, cmp.Diff(want, got))
	}
}

// A linked work tree has a file .git, and a newer repository longer hashes.
func TestOtherLayouts(t *testing.T) {
	w := newWork(t)
	w.write("a", "1")
	one := w.commit("one")
	w.commit("two")
	w.git("worktree", "add", "-q", "--detach", "../linked", one)
	linked := work{t, filepath.Join(filepath.Dir(w.dir), "linked")}
	r := linked.open()
	if got, err := r.Resolve(t.Context(), "HEAD"); err != nil || got.Commit != one || r.Root() != linked.dir {
		t.Errorf("linked work tree: %v, %v, root %s", got, err, r.Root())
	}
	w.git("init", "-q", "--object-format=sha256", "../long")
	long := work{t, filepath.Join(filepath.Dir(w.dir), "long")}
	long.write("b", "2")
	hash := long.commit("one")
	dir := filepath.Join(t.TempDir(), "out")
	if err := long.open().Export(t.Context(), hash, dir); err != nil || len(hash) != 64 {
		t.Errorf("SHA-256 repository: %v", err)
	}
	if diff := cmp.Diff(map[string]string{"b": "-rw-r--r-- 2"}, tree(t, dir)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
