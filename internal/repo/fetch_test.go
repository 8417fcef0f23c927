package repo

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func TestFetch(t *testing.T) {
	h := newHistory(t)
	server := serve(t, h.work)
	s := h.shallow("main")
	before := contents(t, s.dir)
	// A home that cannot be written, as some jobs have it; what it says does not count.
	home := t.TempDir()
	s.t.Setenv("HOME", home)
	for name, text := range map[string]string{".gitconfig": "[http]\n\tproxy = http://127.0.0.1:1\n", ".netrc": "machine 127.0.0.1 login x password y\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(home, 0o500); err != nil {
		t.Fatal(err)
	}

	var told []string
	remote := server.remote()
	remote.Note = func(text string) { told = append(told, text) }
	r := s.openFrom(remote)
	if server.asked.Load() != 0 {
		t.Error("the server was asked before anything was missing")
	}
	if parents, err := r.Parents(t.Context(), h.merge); err != nil || !slices.Equal(parents, []string{h.two, h.head}) || server.asked.Load() != 0 {
		t.Errorf("parents %v, %v, %d requests", parents, err, server.asked.Load())
	}
	base, err := r.FirstParent(t.Context(), h.merge)
	if err != nil || base != h.two {
		t.Fatalf("first parent %s, %v", base, problem.Text(err))
	}
	asked := server.asked.Load()
	if got, err := r.Resolve(t.Context(), base); err != nil || got.Subject != "two" || server.asked.Load() != asked {
		t.Errorf("%v, %v, %d requests more", got, err, server.asked.Load()-asked)
	}
	for commit, want := range map[string]map[string]string{
		h.two:  {"a": "-rw-r--r-- 2"},
		h.gone: {"a": "-rw-r--r-- 1", "c": "-rw-r--r-- 3"},
	} {
		dir := filepath.Join(t.TempDir(), "out")
		if err := r.Export(t.Context(), commit, dir); err != nil {
			t.Error(problem.Text(err))
		} else if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	if got, err := r.Changed(t.Context(), h.two, h.merge); err != nil || !slices.Equal(got, []string{"b"}) {
		t.Errorf("changed %v, %v", got, err)
	}
	for rev, want := range map[string]string{
		"HEAD": h.merge, "HEAD^1": h.two, "HEAD^2": h.head, "HEAD~2": h.one, "HEAD^2~1": h.one, "HEAD^^": h.one, "HEAD^0": h.merge,
		"pr": h.head, "v1": h.one, "pr~1": h.one, h.gone: h.gone, "main": h.merge,
	} {
		if got, err := r.Resolve(t.Context(), rev); err != nil || got.Commit != want {
			t.Errorf("%s: %v, %s, want %s", rev, got, problem.Text(err), want)
		}
	}
	for _, rev := range []string{"absent", "HEAD~9", "HEAD^3", "HEAD~99999999999999999999", "HEAD~21", "abc123", "pr..main", "a b"} {
		_, err := r.Resolve(t.Context(), rev)
		fails(t, err, "nor on its server")
	}
	if diff := cmp.Diff(before, contents(t, s.dir)); diff != "" {
		t.Errorf("the clone was written to:\n%s", diff)
	}
	if len(told) == 0 || !strings.Contains(told[0], "fetching commit "+h.two[:12]+" from "+server.URL) {
		t.Errorf("told %q", told)
	}
	r.Close()
	if _, err := os.Lstat(r.server.dir); err == nil {
		t.Error("what was fetched is still there")
	}
}

func TestHistoryOfAShallowClone(t *testing.T) {
	h := newHistory(t)
	histories := 0
	remote := serve(t, h.work).remote()
	remote.Note = func(text string) {
		if strings.Contains(text, "the history of") {
			histories++
		}
	}
	r := h.shallow("main").openFrom(remote)
	for _, c := range []struct {
		commit, ancestor string
		want             bool
	}{{h.merge, h.one, true}, {h.merge, h.head, true}, {h.merge, h.gone, false}, {h.one, h.merge, false}, {h.two, h.two, true}} {
		if got, err := r.Contains(t.Context(), c.commit, c.ancestor); err != nil || got != c.want {
			t.Errorf("%s contains %s: %v, %s", c.commit, c.ancestor, got, problem.Text(err))
		}
	}
	if histories != 2 { // one with all of main, one more with what no branch has
		t.Errorf("%d fetches of history", histories)
	}
	if got, err := r.MergeBase(t.Context(), h.head, h.two); err != nil || got != h.one {
		t.Errorf("merge base %s, %v", got, err)
	}
	h.git("checkout", "-q", "--orphan", "other")
	other := h.commit("other")
	_, err := r.MergeBase(t.Context(), h.head, other)
	fails(t, err, "no common ancestor")
	if tip, err := r.Tip(t.Context(), "main"); err != nil || tip != h.merge {
		t.Errorf("tip %s, %v", tip, err)
	}
	h.git("checkout", "-q", "-f", "main")
	next := h.commit("next")
	if tip, err := r.Tip(t.Context(), "main"); err != nil || tip != next {
		t.Errorf("the branch went on, tip %s, %v", tip, err)
	}
	if tip, err := r.Tip(t.Context(), "absent"); err != nil || tip != "" {
		t.Errorf("tip %s, %v", tip, err)
	}
	if _, err := h.open().Tip(t.Context(), "main"); err == nil {
		t.Error("the tip is known without a server")
	}
}

// A long way back is a few fetches, with the files of each commit.
func TestFetchALongWay(t *testing.T) {
	w := newWork(t)
	var all []string
	for i := range 60 {
		w.write("a", strings.Repeat("x", i))
		all = append(all, w.commit("next"))
	}
	s := w.shallow("main")
	remote, fetches := serve(t, w).remote(), 0
	remote.Note = func(string) { fetches++ }
	r := s.openFrom(remote)
	at := all[59]
	for i := 58; i >= 0; i-- {
		parent, err := r.FirstParent(t.Context(), at)
		if err != nil || parent != all[i] {
			t.Fatalf("%d: %s, %s", i, parent, problem.Text(err))
		}
		if files, err := r.Changed(t.Context(), parent, at); err != nil || !slices.Equal(files, []string{"a"}) {
			t.Fatalf("%d: %v, %v", i, files, err)
		}
		at = parent
	}
	if first, err := r.FirstParent(t.Context(), at); first != "" || err != nil {
		t.Errorf("before the first: %s, %v", first, err)
	}
	if fetches != 5 { // 1, 1, 4, 16 and 64
		t.Errorf("%d fetches", fetches)
	}
}

// A partial clone lacks files; a sparse checkout is one.
func TestFetchFiles(t *testing.T) {
	h := newHistory(t)
	server := serve(t, h.work)
	for _, filter := range []string{"blob:none", "tree:0"} {
		s := work{t, filepath.Join(t.TempDir(), "partial")}
		h.git("clone", "-q", "--no-checkout", "--filter="+filter, "file://"+h.dir, s.dir)
		dir := filepath.Join(t.TempDir(), "out")
		if err := s.openFrom(server.remote()).Export(t.Context(), h.one, dir); err != nil {
			t.Errorf("%s: %s", filter, problem.Text(err))
		} else if diff := cmp.Diff(map[string]string{"a": "-rw-r--r-- 1"}, tree(t, dir)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", filter, diff)
		}
	}
}

// Where a request goes is not for the clone's configuration to say, and
// nothing that it names is run.
func TestTheCloneDoesNotSteerFetches(t *testing.T) {
	h := newHistory(t)
	server := serve(t, h.work)
	s := h.shallow("main")
	var heard atomic.Int32
	evil := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer evil.Close()
	marker := filepath.Join(t.TempDir(), "ran")
	program := "!touch " + marker + "; false"
	for key, value := range map[string]string{
		"url." + evil.URL + "/.insteadOf": server.URL + "/", "remote.origin.url": evil.URL, "http.proxy": evil.URL, "http." + server.URL + ".proxy": evil.URL,
		"credential.helper": program, "core.sshCommand": program, "core.askPass": marker, "remote.origin.uploadpack": program, "remote.origin.vcs": "ext",
		"protocol.ext.allow": "always", "core.gitProxy": program, "http.cookieFile": marker, "http.extraHeader": "X-Evil: yes", "core.alternateRefsCommand": program,
		"core.fsmonitor": program, "fetch.fsckObjects": "false", "transfer.advertiseSID": "true",
	} {
		s.git("config", key, value)
	}
	r := s.openFrom(server.remote())
	if _, err := r.FirstParent(t.Context(), h.merge); err != nil {
		t.Error(problem.Text(err))
	}
	if _, err := r.Contains(t.Context(), h.merge, h.one); err != nil {
		t.Error(problem.Text(err))
	}
	if _, err := os.Lstat(marker); err == nil || heard.Load() != 0 {
		t.Errorf("a program ran (%v), or %d requests went elsewhere", err == nil, heard.Load())
	}
}

// The token is in no argument, no file and no error.
func TestTokenStaysSecret(t *testing.T) {
	h := newHistory(t)
	server := serve(t, h.work)
	bin, real := t.TempDir(), ""
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(dir, "git")); err == nil && real == "" {
			real = filepath.Join(dir, "git")
		}
	}
	log := filepath.Join(bin, "log")
	if err := os.WriteFile(filepath.Join(bin, "git"), []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >> "+log+"\nexec "+real+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := h.shallow("main")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	r := s.openFrom(server.remote())
	if _, err := r.FirstParent(t.Context(), h.merge); err != nil {
		t.Fatal(problem.Text(err))
	}
	_, absent := r.Resolve(t.Context(), strings.Repeat("ab", 20))
	other := server.remote()
	other.Token = secret.New(word + "x")
	_, refused := s.openFrom(other).Resolve(t.Context(), h.gone)
	fails(t, absent, "cannot fetch commit abababababab from "+server.URL, "has it no more")
	fails(t, refused, "cannot fetch commit", "answers 401", "contents: read")
	seen := problem.Text(absent) + problem.Text(refused)
	for _, dir := range []string{bin, s.dir, r.server.dir} {
		for _, text := range contents(t, dir) {
			seen += text
		}
	}
	if !strings.Contains(seen, "--depth=1") {
		t.Error("the arguments were not seen")
	}
	for _, leak := range []string{word, base64.StdEncoding.EncodeToString([]byte("x-access-token:" + word))} {
		if strings.Contains(seen, leak[:len(leak)-4]) {
			t.Errorf("%q is in an argument, a file or an error", leak)
		}
	}
	if got := r.server.mask("a " + word + " b " + strings.TrimPrefix(r.server.auth, "Basic ")); got != "a (secret) b (secret)" {
		t.Errorf("masked: %q", got)
	}
}

func TestFetchFails(t *testing.T) {
	h := newHistory(t)
	s := h.shallow("main")
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + closed.Addr().String()
	_ = closed.Close()
	r := s.openFrom(Remote{URL: nobody + "/acme/fleet"})
	_, err = r.FirstParent(t.Context(), h.merge)
	fails(t, err, "cannot fetch commit "+h.two[:12], "does not answer", "fetch-depth: 0")
	_, err = r.Resolve(t.Context(), h.gone)
	fails(t, err, "cannot fetch commit "+h.gone[:12], "does not answer")

	anonymous := serve(t, h.work).remote()
	anonymous.Token = secret.String{}
	_, err = s.openFrom(anonymous).FirstParent(t.Context(), h.merge)
	fails(t, err, "answers 401, and no token is set")

	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	defer slow.Close()
	defer close(release)
	start := time.Now()
	r = s.openFrom(Remote{URL: slow.URL + "/acme", Timeout: 300 * time.Millisecond})
	_, err = r.FirstParent(t.Context(), h.merge)
	fails(t, err, "took longer than 300ms")
	if _, again := r.FirstParent(t.Context(), h.merge); again == nil || time.Since(start) > 8*time.Second {
		t.Errorf("%v after %s", again, time.Since(start))
	}

	var heard atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer elsewhere.Close()
	for status, want := range map[int]string{http.StatusMovedPermanently: "answers 301", http.StatusServiceUnavailable: "answers 503", http.StatusNotFound: "answers 404"} {
		broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		}))
		_, err = s.openFrom(Remote{URL: broken.URL + "/acme", Token: secret.New(word)}).FirstParent(t.Context(), h.merge)
		fails(t, err, want)
		broken.Close()
	}
	if heard.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestRemoteIsAURL(t *testing.T) {
	w := newWork(t)
	w.commit("one")
	for _, url := range []string{
		"file:///tmp/x", "ssh://git@example.com/x", "git@example.com:x", "ext::sh -c id", "/tmp/x", "https://", "-u", "--upload-pack=id",
		"https://user:hunter2@example.com/x", "https://example.com/x?a=b", "https://example.com/x#y", "http://[::1", "git://example.com/x",
	} {
		_, err := Open(t.Context(), w.dir, Remote{URL: url})
		fails(t, err, "not one that can be fetched from", "hint: It has the form https://HOST/OWNER/REPO")
		if strings.Contains(problem.Text(err), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}
