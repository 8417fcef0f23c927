package job

import (
	"net/http/httptest"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// TestRunOver: only a run that GitHub says is over is over.
func TestRunOver(t *testing.T) {
	const token = "ghs_0123456789abcdef"
	api, err := github.New(github.Options{Repository: "acme/fleet", Tokens: []github.Token{
		{Value: token, Permissions: map[string]string{"actions": "read"}}, {Value: "weak"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()
	api.PutRun(github.Run{ID: 7, Status: "completed", Conclusion: "cancelled"})
	api.PutRun(github.Run{ID: 7, Attempt: 2, Status: "in_progress"})
	for _, c := range []struct {
		run, token string
		over, fail bool
	}{
		{run: "7/1", token: token, over: true},
		{run: "7/2", token: token},
		{run: "7/3", token: token},
		{run: "8/1", token: token}, // of another repository, perhaps
		{run: "7/1", token: "weak", fail: true},
		{run: "7", token: token, fail: true},
		{run: "", token: token, fail: true},
		{run: "7/0", token: token, fail: true},
		{run: "-7/1", token: token, fail: true},
		{run: "ada's laptop", token: token, fail: true},
		{run: "7/1"}, // nobody can be asked
	} {
		j := &job{}
		if c.token != "" {
			if j.forge, err = forge.New(forge.Options{API: server.URL, Repository: "acme/fleet", Token: secret.New(c.token)}); err != nil {
				t.Fatal(err)
			}
		}
		over, err := j.runOver(t.Context(), c.run)
		if over != c.over || (err != nil) != c.fail {
			t.Errorf("%q: %v, %v", c.run, over, err)
		}
	}
}
