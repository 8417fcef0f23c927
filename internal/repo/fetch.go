package repo

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// Remote is the server's copy of the repository: where commits come from that
// a shallow clone lacks. With the zero value nothing is fetched.
//
// What is fetched lies in a folder of our own: the clone is not written to, and
// nothing of its configuration (remotes, helpers, proxies, rewritten URLs) says
// where a request goes.
type Remote struct {
	URL     string            // http(s)://HOST/OWNER/REPO, without a user
	Token   secret.String     // for that URL alone; zero: none
	Note    func(text string) // told before something is fetched; may be nil
	Timeout time.Duration     // of one fetch; 0: 3 minutes
}

const (
	fetchLimit = 3 * time.Minute
	probeLimit = 20 * time.Second
)

// server fetches from a Remote into a folder of its own.
type server struct {
	remote Remote
	dir    string // bare repository
	format string // kind of hashes, as git names it
	auth   string // the header's value, "" without a token

	mu      sync.Mutex
	tried   map[string]error // what was fetched, and how that ended
	fetches int              // of commits, so far
	dead    error            // why the server does not answer at all; nil while it does
}

// newServer makes the folder that takes what is fetched.
func newServer(ctx context.Context, remote Remote, format string) (*server, error) {
	u, err := url.Parse(remote.URL)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, &problem.Problem{
			Summary: "the repository's URL is not one that can be fetched from", // it is not shown: it may hold a password
			Hints:   []string{"It has the form https://HOST/OWNER/REPO; a token is handed over apart from it."},
			Code:    problem.Usage,
		}
	}
	remote.URL = strings.TrimSuffix(u.String(), "/")
	if remote.Timeout <= 0 {
		remote.Timeout = fetchLimit
	}
	s := &server{remote: remote, format: format, tried: map[string]error{}}
	if !remote.Token.IsZero() {
		s.auth = "Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+remote.Token.Reveal()))
	}
	if s.dir, err = os.MkdirTemp("", "flotilla-git-"); err != nil {
		return nil, fmt.Errorf("make a folder for what is fetched: %w", err)
	}
	if _, err := s.run(ctx, "init", "--quiet", "--bare", "--template=", "--object-format="+format, s.dir); err != nil {
		s.close()
		return nil, fmt.Errorf("make a folder for what is fetched: %w", err)
	}
	return s, nil
}

func (s *server) close() {
	if s != nil {
		_ = os.RemoveAll(s.dir)
	}
}

// objects is where fetched objects are, in the form that git takes in a list.
func (s *server) objects() string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(filepath.Join(s.dir, "objects")) + `"`
}

// run runs git in the server's folder. It is the one place that has a network
// and the token, which travels in the environment.
func (s *server) run(ctx context.Context, args ...string) (string, error) {
	return s.runIn(ctx, s.dir, args...)
}

func (s *server) runIn(ctx context.Context, dir string, args ...string) (string, error) {
	env := append(environment("PATH", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
		"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
		"GIT_DIR="+dir,
		"HOME="+s.dir, // no .netrc
		"GIT_ALLOW_PROTOCOL=http:https",
		"GIT_NO_LAZY_FETCH=1",
	)
	settings := [][2]string{
		{"protocol.version", "2"}, // which serves commits by their hash
		{"http.followRedirects", "false"},
		{"http.lowSpeedLimit", "1000"}, {"http.lowSpeedTime", "30"},
		{"fetch.negotiationAlgorithm", "noop"},
		{"fetch.recurseSubmodules", "false"},
		{"credential.helper", ""},
	}
	if s.auth != "" {
		settings = append(settings, [2]string{"http." + s.remote.URL + ".extraHeader", "Authorization: " + s.auth})
	}
	out, err := run(ctx, process.Command{Args: args, Dir: s.dir, Env: append(env, configured(settings...)...)})
	return strings.TrimSuffix(string(out), "\n"), s.masked(err)
}

// look runs git in a folder of ours without a network: what is missing there
// stays missing.
func (s *server) look(ctx context.Context, dir string, args ...string) (string, error) {
	env := append(environment("PATH"), "GIT_DIR="+dir, "HOME="+s.dir, "GIT_ALLOW_PROTOCOL=", "GIT_NO_LAZY_FETCH=1")
	out, err := run(ctx, process.Command{Args: args, Dir: s.dir, Env: append(env, configured()...)})
	return strings.TrimSuffix(string(out), "\n"), err
}

// masked takes the token out of what git said.
func (s *server) masked(err error) error {
	var failure *process.Error
	if s.auth != "" && errors.As(err, &failure) {
		failure.Tail = s.mask(failure.Tail)
	}
	return err
}

func (s *server) mask(text string) string {
	if s.auth == "" {
		return text
	}
	token := s.remote.Token.Reveal()
	return strings.NewReplacer(strings.TrimPrefix(s.auth, "Basic "), secret.Redacted, token, secret.Redacted).Replace(text)
}

// once does what was not tried before, within the time of one fetch.
func (s *server) once(ctx context.Context, key, what string, do func(context.Context) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err, ok := s.tried[key]; ok {
		return err
	}
	if s.dead != nil { // whoever needs ten commits must not wait ten times
		return s.unreachable(what)
	}
	if s.remote.Note != nil {
		s.remote.Note("fetching " + what + " from " + s.remote.URL)
	}
	limited, cancel := context.WithTimeout(ctx, s.remote.Timeout)
	defer cancel()
	err := do(limited)
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("fetch %s: %w", what, context.Cause(ctx)) // another caller may try again
	}
	if err != nil {
		err = s.explain(ctx, what, limited.Err() != nil, err)
	}
	s.tried[key] = err
	return err
}

// commit fetches a commit with its files. Who wants one or two gets these
// alone; who wants more may be walking back, and gets what was before them, too.
func (s *server) commit(ctx context.Context, hash string) error {
	return s.once(ctx, hash, "commit "+short(hash), func(ctx context.Context) error {
		depth := 1 << min(8, 2*max(0, s.fetches-1))
		s.fetches++
		_, err := s.run(ctx, "fetch", "--quiet", "--no-tags", fmt.Sprintf("--depth=%d", depth), "--no-write-fetch-head", s.remote.URL, hash)
		return err
	})
}

// history fetches commits with all that was before them, without any files,
// and gives a repository that holds these.
func (s *server) history(ctx context.Context, commits ...string) (dir string, err error) {
	dir = filepath.Join(s.dir, "history")
	if s.holds(ctx, dir, commits) {
		return dir, nil
	}
	err = s.once(ctx, strings.Join(commits, " "), "the history of "+short(commits[0]), func(ctx context.Context) error {
		if _, err := s.runIn(ctx, dir, "init", "--quiet", "--bare", "--template=", "--object-format="+s.format, dir); err != nil {
			return err
		}
		_, err := s.runIn(ctx, dir, append([]string{"fetch", "--quiet", "--no-tags", "--filter=tree:0", "--no-write-fetch-head", s.remote.URL}, commits...)...)
		return err
	})
	return dir, err
}

// holds tells whether commits are in a repository of ours.
func (s *server) holds(ctx context.Context, dir string, commits []string) bool {
	if _, err := os.Lstat(dir); err != nil {
		return false
	}
	for _, c := range commits {
		if _, err := s.look(ctx, dir, "cat-file", "-e", c); err != nil {
			return false
		}
	}
	return true
}

// names asks for the branches and tags of a name: full reference → hash.
func (s *server) names(ctx context.Context, name string) (map[string]string, error) {
	found := map[string]string{}
	err := s.once(ctx, "name "+name, fmt.Sprintf("what %q is", name), func(ctx context.Context) error {
		out, err := s.run(ctx, "ls-remote", "--quiet", s.remote.URL, "refs/heads/"+name, "refs/tags/"+name, "refs/tags/"+name+"^{}")
		for line := range strings.Lines(out) {
			if hash, ref, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && hashPattern.MatchString(hash) {
				found[ref] = hash
			}
		}
		return err
	})
	if err == nil {
		s.mu.Lock()
		delete(s.tried, "name "+name) // a branch may move on
		s.mu.Unlock()
	}
	return found, err
}

// explain says why a fetch failed. What git prints is for people, so the server
// is asked once more for its status.
func (s *server) explain(ctx context.Context, what string, late bool, cause error) error {
	p := &problem.Problem{Summary: fmt.Sprintf("cannot fetch %s from %s", what, s.remote.URL), Cause: cause}
	var failure *process.Error
	if errors.As(cause, &failure) {
		p.Cause, p.Detail = nil, failure.Tail
	}
	if late {
		p.Cause, p.Hints = nil, []string{fmt.Sprintf("It took longer than %s. Run the job again, or give actions/checkout the input fetch-depth: 0.", s.remote.Timeout)}
		return p
	}
	status, err := s.probe(ctx)
	switch {
	case err != nil:
		s.dead = err
		return s.unreachable(what)
	case status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusNotFound:
		p.Hints = []string{fmt.Sprintf("The server answers %d: the token may not read this repository, or there is none. Give the job permissions: contents: read, and the action the token.", status)}
		if s.auth == "" {
			p.Hints = []string{fmt.Sprintf("The server answers %d, and no token is set. Give the action the token, and the job permissions: contents: read.", status)}
		}
	case status == http.StatusOK:
		p.Hints = []string{"The server has it no more: a force push or a deleted branch can take commits away. Name a revision that still exists."}
	default:
		p.Hints = []string{fmt.Sprintf("The server answers %d. Run the job again later, or give actions/checkout the input fetch-depth: 0.", status)}
	}
	return p
}

func (s *server) unreachable(what string) error {
	return &problem.Problem{
		Summary: fmt.Sprintf("cannot fetch %s from %s", what, s.remote.URL), Cause: s.dead,
		Hints: []string{"The server does not answer. Run the job again when it does, or give actions/checkout the input fetch-depth: 0."},
	}
}

// probe gives the status with which the server answers a fetch's first request.
func (s *server) probe(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.remote.URL+"/info/refs?service=git-upload-pack", nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("User-Agent", "git/flotilla")
	if s.auth != "" {
		request.Header.Set("Authorization", s.auth)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}
