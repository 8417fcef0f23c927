package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flotilla-nix/flotilla/examples"
	"github.com/flotilla-nix/flotilla/internal/lab"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"flotilla": func() { os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// Each script runs the real program with real Nix and git. NIX_PATH names the
// lab's NixOS tree; $EXAMPLE is a copy of the example fleet.
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
		Setup: func(env *testscript.Env) error {
			example, err := fs.Sub(examples.TwoServers, "two-servers")
			if err != nil {
				return err
			}
			dir := filepath.Join(env.WorkDir, "example")
			if err := os.CopyFS(dir, example); err != nil {
				return err
			}
			env.Vars = append(env.Vars,
				"EXAMPLE="+dir, "NIX_PATH=nixpkgs="+tree,
				"NIX_CONFIG="+strings.Join([]string{"build-users-group =", "sandbox = false", "substituters =", "experimental-features = nix-command flakes"}, "\n"),
				"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
				"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
			return nil
		},
	})
}
