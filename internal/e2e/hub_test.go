//go:build integration

package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
)

// hub is GitHub for one private repository: its API, and the repository itself
// over HTTP, which both want a token. r is the clone of somebody who works on it.
type hub struct {
	r   *rig
	api *github.API
	url string // what stands before /acme/fleet
	dir string // the repository
}

const repository = "acme/fleet"

// newHub publishes the rig's repository. Each token's value is its name.
func newHub(t *testing.T, r *rig, permissions map[string]map[string]string) *hub {
	t.Helper()
	validator, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	opt := github.Options{Repository: repository, Private: true, Validate: validator}
	for name, allowed := range permissions {
		opt.Tokens = append(opt.Tokens, github.Token{Value: token(name), Permissions: allowed})
	}
	h := &hub{r: r, dir: filepath.Join(t.TempDir(), "hub.git")}
	if h.api, err = github.New(opt); err != nil {
		t.Fatal(err)
	}
	program, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	files := &cgi.Handler{
		Path: program, Args: []string{"http-backend"}, Root: "/" + repository, Dir: h.dir,
		Env: []string{"GIT_PROJECT_ROOT=" + h.dir, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !strings.HasPrefix(request.URL.Path, "/"+repository) {
			h.api.ServeHTTP(w, request)
			return
		}
		if !allowed(request, permissions) {
			w.Header().Set("WWW-Authenticate", `Basic realm="GitHub"`)
			http.Error(w, "Repository not found.", http.StatusUnauthorized)
			return
		}
		request.URL.Path = strings.Replace(request.URL.Path, "/"+repository+".git/", "/"+repository+"/", 1)
		files.ServeHTTP(w, request)
	}))
	h.url = server.URL
	t.Cleanup(server.Close)

	r.git(t, "init", "-q", "--bare", "-b", "main", h.dir)
	for _, setting := range []string{"uploadpack.allowAnySHA1InWant=true", "core.sharedRepository=0644"} {
		name, value, _ := strings.Cut(setting, "=")
		r.git(t, "--git-dir", h.dir, "config", name, value)
	}
	r.git(t, "remote", "add", "hub", h.dir)
	h.push(t, "main")
	return h
}

// token is a token's value: long enough to be masked in a log.
func token(name string) string { return "token-of-" + name + "-0123456789" }

// allowed tells whether a request for the repository has a token that may read it.
func allowed(r *http.Request, permissions map[string]map[string]string) bool {
	user, password, ok := r.BasicAuth()
	for name, has := range permissions {
		if ok && user == "x-access-token" && password == token(name) && has["contents"] != "" {
			return true
		}
	}
	return false
}

// basic is the header by which git shows a token.
func basic(name string) string {
	return "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+token(name)))
}

// push publishes a branch of the clone and gives the commit that it is at.
func (h *hub) push(t *testing.T, branch string) string {
	t.Helper()
	h.r.git(t, "push", "-q", "--force", "hub", branch)
	if err := h.api.LoadGit(t.Context(), h.dir); err != nil {
		t.Fatal(err)
	}
	return h.r.git(t, "rev-parse", branch)
}

// pull is an open pull request.
type pull struct {
	number       int
	branch, fork string // fork: whose it is, "" for the repository's own
	head, merge  string // commits: of the branch, and of the test merge
}

// open commits what edit does on a new branch and opens a pull request for it.
func (h *hub) open(t *testing.T, title, fork string, edit func()) *pull {
	t.Helper()
	p := &pull{branch: strings.ToLower(strings.ReplaceAll(title, " ", "-")), fork: fork}
	h.r.git(t, "switch", "-q", "-c", p.branch, "main")
	edit()
	h.r.commits(t, title)
	opened := github.Pull{Title: title, Author: fork, Fork: fork != "", Head: p.branch}
	if fork != "" {
		// A fork's commits are known here, its branches are not.
		p.head = h.r.git(t, "rev-parse", p.branch)
		h.api.PutCommit("", github.Commit{SHA: p.head, Parents: []string{h.r.git(t, "rev-parse", "main")}, Message: title, Author: fork})
		opened.HeadSHA = p.head
	} else {
		p.head = h.push(t, p.branch)
	}
	p.number = h.api.OpenPull(opened)
	h.testMerge(t, p)
	return p
}

// commits commits what is not committed yet.
func (r *rig) commits(t *testing.T, subject string) {
	t.Helper()
	if r.git(t, "status", "--porcelain") != "" {
		r.commit(t, subject)
	}
}

// again commits what edit does on the pull request's branch.
func (h *hub) again(t *testing.T, p *pull, subject string, edit func()) {
	t.Helper()
	h.r.git(t, "switch", "-q", p.branch)
	edit()
	h.r.commits(t, subject)
	p.head = h.push(t, p.branch)
	h.testMerge(t, p)
}

// testMerge makes refs/pull/N/merge, as GitHub does, and goes back to main.
func (h *hub) testMerge(t *testing.T, p *pull) {
	t.Helper()
	h.r.git(t, "switch", "-q", "--detach", "main")
	h.r.git(t, "merge", "-q", "--no-ff", "-m", fmt.Sprintf("Merge %s into main", p.head), p.branch)
	p.merge = h.r.git(t, "rev-parse", "HEAD")
	h.r.git(t, "push", "-q", "--force", "hub", fmt.Sprintf("HEAD:refs/pull/%d/merge", p.number), fmt.Sprintf("%s:refs/pull/%d/head", p.head, p.number))
	h.r.git(t, "switch", "-q", "main")
}

// merge merges a pull request as GitHub's button does and gives main's commit.
func (h *hub) merge(t *testing.T, p *pull, method string) string {
	t.Helper()
	before := h.r.git(t, "rev-parse", "main")
	title := h.r.git(t, "log", "-1", "--format=%s", p.branch)
	switch method {
	case github.Merge:
		h.r.git(t, "merge", "-q", "--no-ff", "-m", fmt.Sprintf("Merge pull request #%d from %s\n\n%s", p.number, p.branch, title), p.branch)
	case github.Squash:
		h.r.git(t, "merge", "-q", "--squash", p.branch)
		h.r.git(t, "commit", "-q", "-m", fmt.Sprintf("%s (#%d)", title, p.number))
	case github.Rebase:
		// Another committer makes other commits of them also when nothing moved.
		h.r.git(t, "-c", "committer.name=GitHub", "cherry-pick", "--no-ff", "main.."+p.branch)
	default:
		t.Fatalf("no way to merge called %q", method)
	}
	sha := h.push(t, "main")
	brought := strings.Fields(h.r.git(t, "rev-list", before+".."+sha))
	if err := h.api.MarkMerged(p.number, sha, brought...); err != nil {
		t.Fatal(err)
	}
	return sha
}

// checkout makes a job's workspace as actions/checkout does, of one commit, with
// no credentials left in it. It belongs to the runner's user.
func (h *hub) checkout(t *testing.T, ref, sha string) string {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "advice.detachedHead=false"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("checkout: git %v: %v\n%s", args, err, out)
		}
	}
	local := strings.Replace(strings.Replace(ref, "refs/heads/", "refs/remotes/origin/", 1), "refs/pull/", "refs/remotes/pull/", 1)
	git("init", "-q", "-b", "main")
	git("remote", "add", "origin", h.url+"/"+repository)
	git("-c", "http.extraheader="+basic("plan"), "fetch", "-q", "--no-tags", "--prune", "--no-recurse-submodules", "--depth=1", "origin", "+"+sha+":"+local)
	if branch, ok := strings.CutPrefix(ref, "refs/heads/"); ok {
		git("checkout", "-q", "--force", "-B", branch, local)
	} else {
		git("checkout", "-q", "--force", local)
	}
	own(t, dir)
	return dir
}

// own gives a folder to the user that hosted runners run as.
func own(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, 1001, 1001)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// sound checks that no exchange so far broke GitHub's published description.
func (h *hub) sound(t *testing.T) {
	t.Helper()
	for _, breach := range h.api.Breaches() {
		t.Errorf("against GitHub's description: %v", breach)
	}
}
