package forge_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	token = "ghs_0123456789abcdefghij"
	weak  = "ghs_weakweakweakweakweak"
)

// permissions are those that a deploy job of the examples has, and some.
func permissions() map[string]string {
	return map[string]string{
		"contents": "read", "issues": "write", "pull_requests": "write",
		"statuses": "write", "deployments": "write", "actions": "read",
	}
}

// fixture is a client and the stand-in that it talks to. Waits take no time:
// they move the stand-in's clock.
type fixture struct {
	testing.TB
	api    *github.API
	server *httptest.Server
	client *forge.Client
	begin  string // the first commit of main

	mu     sync.Mutex
	waited []time.Duration
	ahead  time.Duration
}

// described loads GitHub's description once: that takes longer than most tests.
var described = sync.OnceValues(openapi.New)

// start serves a stand-in that holds every exchange to GitHub's description.
func start(t testing.TB, change func(*github.Options, *forge.Options)) *fixture {
	t.Helper()
	validator, err := described()
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{TB: t}
	served := github.Options{
		Repository: "acme/fleet", Validate: validator,
		Tokens: []github.Token{{Value: token, Permissions: permissions()}, {Value: weak}},
		Now: func() time.Time {
			f.mu.Lock()
			defer f.mu.Unlock()
			return time.Now().Add(f.ahead)
		},
	}
	asked := forge.Options{Repository: "acme/fleet", Token: secret.New(token), Wait: f.wait}
	if change != nil {
		change(&served, &asked)
	}
	if f.api, err = github.New(served); err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewServer(f.api)
	if asked.API == "" {
		asked.API = f.server.URL
	}
	if f.client, err = forge.New(asked); err != nil {
		t.Fatal(err)
	}
	f.begin = f.api.AddCommit("main", "Begin", "flotilla.yaml")
	t.Cleanup(func() {
		f.server.Close()
		for _, breach := range f.api.Breaches() {
			t.Errorf("against GitHub's description: %v", breach)
		}
	})
	return f
}

func (f *fixture) wait(ctx context.Context, d time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waited, f.ahead = append(f.waited, d), f.ahead+d
	return ctx.Err()
}

// waits is the sum of all waits.
func (f *fixture) waits() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum time.Duration
	for _, d := range f.waited {
		sum += d
	}
	return sum
}

// pull opens a pull request with commits of these messages on a branch.
func (f *fixture) pull(branch string, messages ...string) int {
	for _, m := range messages {
		f.api.AddCommit(branch, m, "hosts/"+branch+".nix")
	}
	return f.api.OpenPull(github.Pull{Title: "Change " + branch, Head: branch})
}

func (f *fixture) inject(fault github.Fault) {
	f.Helper()
	if err := f.api.Inject(fault); err != nil {
		f.Fatal(err)
	}
}

// ok fails the test on an error.
func ok[T any](t testing.TB, v T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatalf("%s", problem.Text(err))
	}
	return v
}

// done is ok for calls without a value.
func done(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s", problem.Text(err))
	}
}

// note is a note of a kind for fleet acme.
func note(kind, text string) forge.Note {
	return forge.Note{
		Header: forge.Header{Kind: kind, Version: 1, Fleet: "acme", Environment: "prod", Commit: "abc"},
		Body:   func(int) string { return text },
	}
}

func issue(text string) forge.Issue {
	n := note("drift", text)
	return forge.Issue{Header: n.Header, Title: "Drift of acme", Body: n.Body}
}

// wantProblem is an error for people, with a text somewhere in it, and never a token.
func wantProblem(t testing.TB, err error, part string) {
	t.Helper()
	var p *problem.Problem
	if !errors.As(err, &p) {
		t.Fatalf("got %v (%T), want a problem", err, err)
	}
	text := problem.Text(err)
	if !strings.Contains(text, part) {
		t.Errorf("%q is not in:\n%s", part, text)
	}
	if strings.Contains(text, token) || strings.Contains(text, weak) {
		t.Errorf("the token is in:\n%s", text)
	}
}
