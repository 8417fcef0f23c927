package github_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
)

const root = "/repos/acme/fleet"

// all are the permissions of a token that may do everything.
func all() map[string]string {
	return map[string]string{
		"contents": "write", "issues": "write", "pull_requests": "write", "statuses": "write",
		"checks": "write", "deployments": "write", "actions": "write",
	}
}

type fixture struct {
	*testing.T
	api    *github.API
	server *httptest.Server
	token  string
}

// start serves a stand-in whose exchanges must all be as GitHub describes them.
func start(t *testing.T, change func(*github.Options)) *fixture {
	t.Helper()
	validator, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	opt := github.Options{
		Repository: "acme/fleet", Validate: validator,
		Tokens: []github.Token{{Value: "all", Permissions: all()}, {Value: "none"}},
	}
	if change != nil {
		change(&opt)
	}
	api, err := github.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, api: api, server: httptest.NewServer(api), token: "all"}
	t.Cleanup(func() {
		f.server.Close()
		for _, breach := range api.Breaches() {
			t.Errorf("against GitHub's description: %v", breach)
		}
	})
	return f
}

// reply is an answer without its text.
type reply struct {
	StatusCode int
	Header     http.Header
}

// call makes a request and gives its answer and the answer's text.
func (f *fixture) call(method, path, body string) (reply, string) {
	f.Helper()
	req, err := http.NewRequestWithContext(f.Context(), method, f.server.URL+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+f.token)
	req.Header.Set("Content-Type", "application/json")
	answer, err := f.server.Client().Do(req)
	if err != nil {
		f.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		f.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header}, string(text)
}

// want makes a request that must be answered with a status, and gives the JSON.
func (f *fixture) want(status int, method, path, body string) any {
	f.Helper()
	answer, text := f.call(method, path, body)
	if answer.StatusCode != status {
		f.Fatalf("%s %s: HTTP %d %s, want %d", method, path, answer.StatusCode, text, status)
	}
	if text == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		f.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return v
}
