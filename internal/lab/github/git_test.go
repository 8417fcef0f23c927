package github_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

// TestLoadGit follows a real repository through a merge.
func TestLoadGit(t *testing.T) {
	f := start(t, nil)
	dir := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir, "-c", "user.name=octocat", "-c", "user.email=o@x.example"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	load := func() {
		t.Helper()
		if err := f.api.LoadGit(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "-q", "-b", "main")
	git("commit", "-q", "--allow-empty", "-m", "Begin\n\nwith a body")
	git("checkout", "-q", "-b", "feature")
	git("commit", "-q", "--allow-empty", "-m", "One")
	load()
	number := f.api.OpenPull(github.Pull{Title: "A change", Head: "feature"})
	git("commit", "-q", "--allow-empty", "-m", "Two")
	one := git("rev-parse", "HEAD")
	git("checkout", "-q", "main")
	git("merge", "-q", "--no-ff", "-m", "Merge", "feature")
	merge := git("rev-parse", "HEAD")
	load()
	if err := f.api.MarkMerged(number, merge, one); err != nil {
		t.Fatal(err)
	}
	for _, sha := range []string{one, merge} {
		pulls, _ := f.want(200, "GET", root+"/commits/"+sha+"/pulls", "").([]any)
		if len(pulls) != 1 {
			t.Errorf("%d pull requests of %s", len(pulls), sha)
		}
	}
	merged, _ := f.want(200, "GET", fmt.Sprintf("%s/pulls/%d", root, number), "").(map[string]any)
	if head, _ := merged["head"].(map[string]any); head["sha"] != one {
		t.Errorf("the merged pull request is at %v, was pushed to %s", head["sha"], one)
	}
	commit, _ := f.want(200, "GET", root+"/commits/main", "").(map[string]any)
	if parents, _ := commit["parents"].([]any); commit["sha"] != merge || len(parents) != 2 {
		t.Errorf("main is %v", commit["sha"])
	}
	if text := fmt.Sprint(f.want(200, "GET", root+"/commits/"+one, "")); !strings.Contains(text, "octocat") {
		t.Errorf("commit: %s", text)
	}
	if err := f.api.LoadGit(t.Context(), t.TempDir()); err == nil {
		t.Error("a folder without a repository was loaded")
	}
}
