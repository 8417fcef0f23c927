package terraform_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/flotilla-nix/flotilla/internal/config"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/terraform"
)

var update = flag.Bool("update", false, "write the golden files")

// Each folder of testdata is a configuration. fleet.yaml is what comes of it,
// with the gaps behind it, or error.txt is why nothing does. A
// terraform.tfstate in it is given as --state.
func TestGolden(t *testing.T) {
	entries, err := os.ReadDir("testdata")
	if err != nil || len(entries) < 20 {
		t.Fatalf("found %d folders in testdata: %v", len(entries), err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != "fuzz" {
			t.Run(e.Name(), func(t *testing.T) { golden(t, filepath.Join("testdata", e.Name())) })
		}
	}
}

func golden(t *testing.T, dir string) {
	// Positions are relative, as for who runs it beside the folder.
	t.Chdir(dir)
	options := terraform.Options{Fleet: "acme"}
	if _, err := os.Stat("terraform.tfstate"); err == nil {
		options.State = "terraform.tfstate"
	}
	got, err := terraform.Read(t.Context(), ".", options)
	if err != nil {
		compare(t, "error.txt", problem.Text(err))
		absent(t, "fleet.yaml")
		return
	}
	absent(t, "error.txt")
	text, parsed := format(t, got.Fleet)
	if diff := cmp.Diff(withDefaults(t, got.Fleet), parsed, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the file does not say what was imported (-imported +read):\n%s", diff)
	}
	var b strings.Builder
	b.WriteString(text)
	for _, g := range got.Gaps {
		b.WriteString("# " + g.String() + "\n")
	}
	compare(t, "fleet.yaml", b.String())
}

// The results in functions.txt are those of Terraform 1.11.4, as jsonencode
// writes them.
func TestFunctions(t *testing.T) {
	text, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	var main strings.Builder
	want := map[string][2]string{}
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		expr, result, ok := strings.Cut(line, "  =>  ")
		if !ok {
			t.Fatalf("line %d: no result", i+1)
		}
		name := fmt.Sprintf("v%d", i)
		fmt.Fprintf(&main, "resource \"hcloud_ssh_key\" \"%s\" {\n  name = \"%s\"\n  public_key = jsonencode(nonsensitive(%s))\n}\n", name, name, expr)
		want[name] = [2]string{expr, result}
	}
	if len(want) < 100 {
		t.Fatalf("only %d expressions", len(want))
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "main.tf"), main.String())
	got, err := terraform.Read(t.Context(), dir, terraform.Options{})
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	for name, w := range want {
		if key := got.Fleet.SSHKeys[name].PublicKey; key != w[1] {
			t.Errorf("%s is %s, want %s", w[0], key, w[1])
		}
	}
	for _, g := range got.Gaps {
		t.Error(g)
	}
}

// withDefaults gives a fleet what Terraform knows nothing of.
func withDefaults(t *testing.T, f fleet.Fleet) fleet.Fleet {
	t.Helper()
	empty, err := config.Parse("flotilla.yaml", []byte("fleet: x"))
	if err != nil {
		t.Fatal(err)
	}
	f.SSH, f.Rollout, f.Review = empty.SSH, empty.Rollout, empty.Review
	return f
}

func format(t *testing.T, f fleet.Fleet) (string, fleet.Fleet) {
	t.Helper()
	text, err := config.Format(withDefaults(t, f))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := config.Parse("flotilla.yaml", text)
	if err != nil {
		t.Fatalf("the result is refused:\n%s\n%s", problem.Text(err), text)
	}
	return string(text), parsed
}

func compare(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got), -update writes it:\n%s", file, diff)
	}
}

func absent(t *testing.T, file string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		t.Errorf("there is a %s, but the import ended otherwise", file)
	}
}
