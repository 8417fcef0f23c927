package cli

import (
	"context"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flotilla-nix/flotilla/examples"
	"github.com/flotilla-nix/flotilla/internal/lab"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"flotilla": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// labToken is that of the lab's API in scripts.
const labToken = "wF5x0QmZt7RkJ3uYc9BvLh2NaPs8Dg1EiO6TqXyKzCrVbMnWjHfGdSlAeUoI4p00"

// Each script runs the real program with real Nix and git. NIX_PATH names the
// lab's NixOS tree; $EXAMPLE is a copy of the example fleet. A lab's API without
// machines answers at $LAB_ENDPOINT to $LAB_TOKEN; the command api asks it.
func TestScripts(t *testing.T) {
	tree := filepath.Join(t.TempDir(), "nixpkgs")
	if err := lab.WriteTree(tree); err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"api": api},
		Setup: func(env *testscript.Env) error {
			example, err := fs.Sub(examples.TwoServers, "two-servers")
			if err != nil {
				return err
			}
			dir := filepath.Join(env.WorkDir, "example")
			if err := os.CopyFS(dir, example); err != nil {
				return err
			}
			endpoint, err := serveLab(env)
			if err != nil {
				return err
			}
			env.Vars = append(env.Vars, "LAB_ENDPOINT="+endpoint, "LAB_TOKEN="+labToken,
				"EXAMPLE="+dir, "FLOTILLA_CACHE="+filepath.Join(env.WorkDir, ".cache"), "NIX_PATH=nixpkgs="+tree,
				"NIX_CONFIG="+strings.Join([]string{"build-users-group =", "sandbox = false", "substituters =", "experimental-features = nix-command flakes"}, "\n"),
				"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
				"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
			return nil
		},
	})
}

// serveLab runs a lab's API, without machines, as long as the script.
func serveLab(env *testscript.Env) (string, error) {
	api, err := cloud.New(cloud.Options{Token: labToken})
	if err != nil {
		return "", err
	}
	server := httptest.NewServer(api)
	env.Defer(func() {
		server.Close()
		api.Close()
	})
	return server.URL + "/v1", nil
}

// api asks the lab's API: api METHOD PATH [BODY]. The answer is
// kept in the file answer.
func api(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: api METHOD PATH [BODY]")
	}
	req, err := http.NewRequestWithContext(context.Background(), args[0], ts.Getenv("LAB_ENDPOINT")+args[1], strings.NewReader(strings.Join(args[2:], "")))
	ts.Check(err)
	req.Header.Set("Authorization", "Bearer "+labToken)
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	ts.Check(err)
	ts.Logf("%s %s", resp.Status, answer)
	ts.Check(os.WriteFile(ts.MkAbs("answer"), answer, 0o600))
	if failed := resp.StatusCode >= http.StatusBadRequest; failed != neg {
		ts.Fatalf("unexpected answer: %s", resp.Status)
	}
}
