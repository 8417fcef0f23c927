package repo

import (
	"os"
	"path/filepath"
	"testing"
)

// Nothing that the repository or the caller's environment names is run, and
// the caller's GIT_* do not lead elsewhere.
func TestNothingOfTheRepositoryRuns(t *testing.T) {
	w := newWork(t)
	w.write("a.txt", "1")
	w.write(".gitattributes", "*.txt filter=evil diff=evil\n*.bin filter=a=b.c\n")
	w.write("b.bin", "1")
	one := w.commit("one")
	w.write("a.txt", "2")
	two := w.commit("two")

	marker := filepath.Join(t.TempDir(), "ran")
	evil := "touch " + marker + "; cat"
	for _, key := range []string{
		"core.fsmonitor", "core.pager", "core.editor", "core.sshCommand", "core.askPass", "core.alternateRefsCommand", "diff.external", "diff.evil.textconv", "diff.evil.command",
		"filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "filter.a=b.c.clean", "filter.a=b.c.process", "gpg.program", "pager.status", "pager.log", "alias.status", "alias.rev-parse", "interactive.diffFilter",
	} {
		value := evil
		if key == "alias.status" || key == "alias.rev-parse" {
			value = "!" + evil
		}
		w.git("config", key, value)
	}
	w.git("config", "filter.evil.required", "true")
	w.git("config", "filter.a=b.c.required", "true")
	w.git("config", "log.showSignature", "true")
	hook := filepath.Join(w.dir, ".git", "hooks", "post-index-change")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\n"+evil+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	// Same size, other content: git must compare the bytes, where filters run.
	w.write("a.txt", "3")
	w.write("b.bin", "3")

	elsewhere := newWork(t)
	elsewhere.commit("elsewhere")
	for key, value := range map[string]string{
		"GIT_DIR": filepath.Join(elsewhere.dir, ".git"), "GIT_WORK_TREE": elsewhere.dir, "GIT_INDEX_FILE": "/nonexistent", "GIT_OBJECT_DIRECTORY": "/nonexistent",
		"GIT_EXTERNAL_DIFF": evil, "GIT_SSH_COMMAND": evil, "GIT_CONFIG_PARAMETERS": "'core.fsmonitor=" + evil + "'", "GIT_TRACE": marker, "GIT_NAMESPACE": "x", "GIT_CEILING_DIRECTORIES": w.dir,
	} {
		t.Setenv(key, value)
	}

	r := w.open()
	if r.Root() != w.dir {
		t.Fatalf("opened %s", r.Root())
	}
	if got, err := r.Resolve(t.Context(), "HEAD"); err != nil || got.Commit != two {
		t.Errorf("resolve: %v, %v", got, err)
	}
	if got, err := r.Changed(t.Context(), one, two); err != nil || len(got) != 1 {
		t.Errorf("changed: %v, %v", got, err)
	}
	if got, err := r.Dirty(t.Context()); err != nil || len(got) != 2 {
		t.Errorf("dirty: %v, %v", got, err)
	}
	if got, err := r.MergeBase(t.Context(), one, two); err != nil || got != one {
		t.Errorf("merge base: %v, %v", got, err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if err := r.Export(t.Context(), two, dir); err != nil {
		t.Errorf("export: %v", err)
	}
	if got := tree(t, dir)["a.txt"]; got != "-rw-r--r-- 2" {
		t.Errorf("a.txt is %q", got)
	}
	if _, err := os.Lstat(marker); err == nil {
		t.Error("a program ran that the repository named")
	}
}

// A repository that lies inside the tree as a folder is not taken for the fleet's.
func TestBareRepositoryInTheTree(t *testing.T) {
	w := newWork(t)
	hash := w.commit("one")
	w.git("init", "-q", "--bare", "trap")
	marker := filepath.Join(t.TempDir(), "ran")
	w.git("--git-dir=trap", "config", "core.fsmonitor", "touch "+marker)
	w.git("--git-dir=trap", "config", "core.bare", "false")
	w.git("--git-dir=trap", "config", "core.worktree", w.dir)
	r, err := Open(t.Context(), filepath.Join(w.dir, "trap"), Remote{})
	if err == nil {
		if got, err := r.Resolve(t.Context(), "HEAD"); err != nil || got.Commit != hash {
			t.Errorf("took the inner repository: %v, %v", got, err)
		}
		if _, err := r.Dirty(t.Context()); err != nil {
			t.Error(err)
		}
	} else {
		fails(t, err)
	}
	if _, err := os.Lstat(marker); err == nil {
		t.Error("its program ran")
	}
}
