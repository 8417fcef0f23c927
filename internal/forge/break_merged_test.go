package forge_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// answers serves what stands for a part of a path, and otherwise null.
func answers(t *testing.T, by map[string]any) *forge.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for part, answer := range by {
			if strings.Contains(req.URL.Path, part) {
				_ = json.NewEncoder(w).Encode(answer)
				return
			}
		}
		_, _ = w.Write([]byte("null"))
	}))
	t.Cleanup(server.Close)
	client, err := forge.New(forge.Options{API: server.URL, Repository: "Acme/fleet", Token: secret.New(token), Login: "me"})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// GitHub knows a commit by all repositories that share it: a pull request that
// was merged in a fork, into a branch of the same name, brought nothing here, and
// its number is another one's.
func TestMergedInAFork(t *testing.T) {
	pull := func(into string) map[string]any {
		return map[string]any{
			"number": 7, "state": "closed", "merged_at": "2026-11-01T00:00:00Z", "merge_commit_sha": "c1",
			"head": map[string]any{"ref": "x", "sha": "c1"},
			"base": map[string]any{"ref": "main", "sha": "c0", "repo": map[string]any{"full_name": into}},
		}
	}
	for into, brought := range map[string]bool{"acme/fleet": true, "mallory/fleet": false, "": false} {
		c := answers(t, map[string]any{
			"/compare/": map[string]any{"status": "ahead", "commits": []any{map[string]any{"sha": "c1", "parents": []any{map[string]any{"sha": "c0"}}, "commit": map[string]any{"message": "Hot"}}}},
			"/pulls":    []any{pull(into)},
		})
		m, err := c.MergedSince(t.Context(), "c0", "c1", "main")
		if err != nil || (len(m.Pulls) == 1) != brought || (len(m.Direct) == 0) != brought {
			t.Errorf("merged in %q: %v, pull requests %v, direct %v", into, err, numbers(m.Pulls), subjects(m.Direct))
		}
	}
}

// Lists may have holes.
func TestNullInLists(t *testing.T) {
	hole := []any{nil, map[string]any{}, nil}
	c := answers(t, map[string]any{
		"/compare/": map[string]any{"status": "ahead", "commits": hole}, "/comments": hole, "/pulls": hole, "/statuses": hole, "/deployments": hole,
		"/issues": hole, "/runs": map[string]any{"workflow_runs": hole},
	})
	if list, err := c.Deployments(t.Context(), "prod", 30); err != nil || len(list) != 3 {
		t.Errorf("%v, %+v", err, list)
	}
	if m, err := c.MergedSince(t.Context(), "a", "b", "main"); err != nil || len(m.Pulls) != 0 {
		t.Errorf("%v, %+v", err, m)
	}
	if notes, err := c.Notes(t.Context(), 1); err != nil || len(notes) != 0 {
		t.Errorf("%v, %+v", err, notes)
	}
	if p, err := c.CloseIssue(t.Context(), issue("x")); err != nil || p.Outcome != forge.None {
		t.Errorf("%v, %+v", err, p)
	}
	if run, err := c.Rerun(t.Context(), "plan.yml", "push", "a"); err != nil && !strings.Contains(err.Error(), "run") {
		t.Errorf("%v, %+v", err, run)
	}
}
