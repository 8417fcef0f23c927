package deploy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fleets is a repository that a test fills with the real git.
type fleets struct {
	t   *testing.T
	dir string
}

func newFleets(t *testing.T) fleets {
	t.Helper()
	f := fleets{t, t.TempDir()}
	f.git("init", "-q", "-b", "main")
	return f
}

func (f fleets) git(args ...string) string {
	f.t.Helper()
	git := exec.CommandContext(f.t.Context(), "git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...) //nolint:gosec // words of the test
	git.Dir = f.dir
	out, err := git.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files and commits everything.
func (f fleets) commit(files map[string]string) string {
	f.t.Helper()
	for name, text := range files {
		file := filepath.Join(f.dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			f.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			f.t.Fatal(err)
		}
	}
	f.git("add", "-A")
	f.git("commit", "-q", "--allow-empty", "-m", "Edit")
	return f.git("rev-parse", "HEAD")
}

// pullRequest commits files on a branch and gives the test merge commit.
func (f fleets) pullRequest(files map[string]string) string {
	f.t.Helper()
	f.git("checkout", "-q", "-B", "pr", "main")
	f.commit(files)
	f.git("checkout", "-q", "-B", "merge", "main")
	f.git("merge", "-q", "--no-ff", "-m", "Merge", "pr")
	merge := f.git("rev-parse", "HEAD")
	f.git("checkout", "-q", "main")
	return merge
}

// listener counts who connects to it.
type listener struct {
	net.Listener
	heard atomic.Int32
}

func listen(t *testing.T) *listener {
	t.Helper()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{Listener: inner}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			l.heard.Add(1)
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		serving.Wait()
	})
	return l
}

// environment is a Getenv that keeps what it was asked for.
type environment struct {
	mu    sync.Mutex
	vars  map[string]string
	asked []string
}

func (e *environment) get(name string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.asked, name) {
		e.asked = append(e.asked, name)
	}
	return e.vars[name]
}

// onlyAsked checks that no other name was looked up.
func (e *environment) onlyAsked(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range e.asked {
		if !slices.Contains(names, name) {
			t.Errorf("%s was looked up", name)
		}
	}
}

func nixPath(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../nix/testdata/nixpkgs")
	if err != nil {
		t.Fatal(err)
	}
	return "nixpkgs=" + dir
}
