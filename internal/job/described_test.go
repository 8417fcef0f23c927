package job

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/actions"
)

// action.yml describes exactly the inputs that are read and the outputs that
// are set.
func TestActionIsDescribed(t *testing.T) {
	text, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	type described struct {
		Description string `yaml:"description"`
		Default     string `yaml:"default"`
	}
	var action struct {
		Inputs  map[string]described `yaml:"inputs"`
		Outputs map[string]described `yaml:"outputs"`
	}
	if err := yaml.Unmarshal(text, &action); err != nil {
		t.Fatal(err)
	}
	for name, d := range action.Inputs {
		if d.Description == "" {
			t.Errorf("input %s has no description", name)
		}
	}
	for name, d := range action.Outputs {
		if d.Description == "" {
			t.Errorf("output %s has no description", name)
		}
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(action.Inputs)), inputsRead(t)); d != "" {
		t.Errorf("inputs (-action.yml +read)\n%s", d)
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(action.Outputs)), outputsSet(t)); d != "" {
		t.Errorf("outputs (-action.yml +set)\n%s", d)
	}
}

// inputsRead asks the code: it reads an input from the environment.
func inputsRead(t *testing.T) []string {
	t.Helper()
	event := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(event, []byte(`{"repository":{"default_branch":"main"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"GITHUB_EVENT_NAME": "schedule", "GITHUB_EVENT_PATH": event, "GITHUB_REF": "refs/heads/main"}
	asked := map[string]bool{}
	getenv := func(key string) string {
		if name, ok := strings.CutPrefix(key, "INPUT_"); ok {
			asked[strings.ToLower(name)] = true
		}
		return env[key]
	}
	if _, err := actions.New(getenv, io.Discard).Job(getenv); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(asked))
}

// outputsSet reads the code: the first argument of each call of Output.
func outputsSet(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Output" || len(call.Args) != 2 {
				return true
			}
			name, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: an output whose name is not written out", file)
				return true
			}
			text, err := strconv.Unquote(name.Value)
			if err != nil {
				t.Fatal(err)
			}
			set[text] = true
			return true
		})
	}
	return slices.Sorted(maps.Keys(set))
}
