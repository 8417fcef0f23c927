package render

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata, or rewrites it.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got), accept with: go test ./internal/render -update\n%s", file, d)
	}
}

// load reads a golden case's input, strictly.
func load(t testing.TB, file string, v any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// cases gives the inputs of the golden cases.
func cases(t testing.TB, name string) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*/" + name)
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden cases testdata/*/%s (%v)", name, err)
	}
	return files
}

func TestPlanGolden(t *testing.T) {
	for _, file := range cases(t, "plan.json") {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var p plans.Plan
			load(t, file, &p)
			var b bytes.Buffer
			if err := PlanJSON(&b, p); err != nil {
				t.Fatal(err)
			}
			golden(t, file, b.Bytes())
			md := PlanMarkdown(p, Budget{})
			if len(md) > CommentBytes {
				t.Errorf("%d bytes, more than a comment holds", len(md))
			}
			golden(t, filepath.Join(dir, "plan.md"), []byte(md))
			b.Reset()
			if err := PlanText(&b, p, Options{}); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "plan.txt"), b.Bytes())
		})
	}
}

func TestResultGolden(t *testing.T) {
	for _, file := range cases(t, "result.json") {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var r plans.Result
			load(t, file, &r)
			var b bytes.Buffer
			if err := ResultJSON(&b, r); err != nil {
				t.Fatal(err)
			}
			golden(t, file, b.Bytes())
			md := ResultMarkdown(r, Budget{})
			if len(md) > CommentBytes {
				t.Errorf("%d bytes, more than a comment holds", len(md))
			}
			golden(t, filepath.Join(dir, "result.md"), []byte(md))
			comment := ResultComment(r, Budget{Link: "https://github.com/acme/fleet/actions/runs/1"})
			if len(comment) > CommentBytes {
				t.Errorf("%d bytes, more than a comment holds", len(comment))
			}
			golden(t, filepath.Join(dir, "comment.md"), []byte(comment))
			b.Reset()
			if err := ResultText(&b, r, Options{}); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "result.txt"), b.Bytes())
		})
	}
}
