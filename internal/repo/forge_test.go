package repo

import (
	"encoding/base64"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const word = "ghs_hunter2secretTOKEN"

// forge serves a repository over HTTP with git's own program, to those who
// bring the token.
type forge struct {
	*httptest.Server
	asked atomic.Int32
}

func serve(t *testing.T, w work) *forge {
	t.Helper()
	core, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	w.git("config", "uploadpack.allowAnySHA1InWant", "true") // as GitHub does
	w.git("config", "uploadpack.allowFilter", "true")
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Root: "/acme",
		Env: []string{"GIT_PROJECT_ROOT=" + w.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	f := &forge{}
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+word))
	f.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		f.asked.Add(1)
		if r.Header.Get("Authorization") != want {
			rw.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			http.Error(rw, "who are you? "+r.Header.Get("Authorization"), http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(rw, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *forge) remote() Remote {
	return Remote{URL: f.URL + "/acme/.git", Token: secret.New(word)}
}

// shallow clones like actions/checkout does: the newest commit alone.
func (w work) shallow(branch string) work {
	w.t.Helper()
	s := work{w.t, filepath.Join(w.t.TempDir(), "shallow")}
	w.git("clone", "-q", "--depth=1", "--branch", branch, "file://"+w.dir, s.dir)
	return s
}

func (w work) openFrom(remote Remote) *Repo {
	w.t.Helper()
	r, err := Open(w.t.Context(), w.dir, remote)
	if err != nil {
		w.t.Fatal(problem.Text(err))
	}
	w.t.Cleanup(r.Close)
	return r
}

// contents lists all files below a folder with what is in them.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[path] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// history is what the tests fetch of: main with a merged pull request, and a
// commit that no branch has any more.
type history struct {
	work
	one, two, head, merge, gone string
}

func newHistory(t *testing.T) history {
	t.Helper()
	h := history{work: newWork(t)}
	h.write("a", "1")
	h.one = h.commit("one")
	h.git("tag", "-a", "v1", "-m", "tag")
	h.git("checkout", "-q", "-b", "pr")
	h.write("b", "2")
	h.head = h.commit("head")
	h.git("checkout", "-q", "main")
	h.write("a", "2")
	h.two = h.commit("two")
	h.git("merge", "-q", "--no-ff", "-m", "merge", "pr")
	h.merge = h.git("rev-parse", "HEAD")
	h.git("checkout", "-q", "-b", "old", h.one)
	h.write("c", "3")
	h.gone = h.commit("gone")
	h.git("checkout", "-q", "main")
	h.git("branch", "-q", "-D", "old")
	return h
}
