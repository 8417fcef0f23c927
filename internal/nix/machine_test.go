package nix

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a trusted evaluation reads outside of the repository is an input, also
// where any program looks at files.
func TestCacheFollowsTheMachine(t *testing.T) {
	folder := func(t *testing.T, in string) string {
		dir, err := os.MkdirTemp(in, "flotilla-test-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		return dir
	}
	file := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	one, _ := inStore(t, repo(t, map[string]string{"x": "one"}).Dir)
	two, _ := inStore(t, repo(t, map[string]string{"x": "two"}).Dir)
	for name, c := range map[string]struct {
		in, text      string // text uses dir
		before, after func(dir string)
	}{
		"a file of a mount for secrets": {
			"/run", `builtins.readFile (dir + "/token")`,
			func(dir string) { file(dir+"/token", "one") }, func(dir string) { file(dir+"/token", "two") },
		},
		"a file that appears in memory": {
			"/dev/shm", `builtins.toJSON (builtins.pathExists (dir + "/there"))`,
			func(string) {}, func(dir string) { file(dir+"/there", "") },
		},
		"a channel": {
			"/nix/var/nix", `builtins.readFile (dir + "/channel/x")`,
			func(dir string) { _ = os.Symlink(one, dir+"/channel") },
			func(dir string) { _ = os.Remove(dir + "/channel"); _ = os.Symlink(two, dir+"/channel") },
		},
		"a folder's list": {
			"/run", `toString (builtins.attrNames (builtins.readDir dir))`,
			func(string) {}, func(dir string) { file(dir+"/there", "") },
		},
		"a folder behind a link": {
			"", `toString (builtins.attrNames (builtins.readDir (dir + "/link")))`,
			func(dir string) { _ = os.Mkdir(dir+"/a", 0o755); _ = os.Symlink("a", dir+"/link") }, func(dir string) { file(dir+"/a/there", "") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, c.in)
			c.before(dir)
			s := hive(t, `let dir = "`+dir+`"; in { meta.nixpkgs = <nixpkgs>; a.environment.etc.x.text = `+c.text+`; }`)
			s.Trusted = true
			opts := Options{Cache: Cache{Dir: filepath.Join(t.TempDir(), "cache"), Watcher: watcher(t)}}
			for i, change := range []func(string){func(string) {}, func(string) {}, c.after} {
				change(dir)
				settle()
				plain := evaluator(t, Options{}).Evaluate(t.Context(), s, []string{"a"}, nil)
				if plain["a"].Err != nil {
					t.Fatal(plain["a"].Err)
				}
				got, hits := counted(t, opts, s, []string{"a"})
				if diff := cmp.Diff(plain, got, paths()); diff != "" {
					t.Errorf("run %d, %d hits (-without +with the cache):\n%s", i, hits, diff)
				}
				if want := map[int]int{1: 1}[i]; hits != want {
					t.Errorf("run %d: %d hits, want %d", i, hits, want)
				}
			}
		})
	}
}

// A clone whose files are not those of its revision is not known by that.
func TestCleanRevision(t *testing.T) {
	dir := repo(t, map[string]string{"a": "1", "b": "2"}).Dir
	git := func(args ...string) {
		t.Helper()
		command(t, "git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	}
	git("init", "-q")
	git("add", "-A")
	git("commit", "-qm", "one")
	if got := cleanRevision(t.Context(), dir); got == "" {
		t.Fatal("a clean clone is not known")
	}
	for _, flag := range []string{"skip-worktree", "assume-unchanged"} {
		git("update-index", "--"+flag, "a")
		if got := cleanRevision(t.Context(), dir); got != "" {
			t.Errorf("with a file that git does not look at (%s) it is %s", flag, got)
		}
		git("update-index", "--no-"+flag, "a")
	}
}
