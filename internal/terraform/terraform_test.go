package terraform_test

import (
	"flag"
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
	dirs, err := filepath.Glob("testdata/*")
	if err != nil || len(dirs) < 12 {
		t.Fatalf("found %d folders in testdata: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		if filepath.Base(dir) == "fuzz" {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) { golden(t, dir) })
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

// withDefaults gives a fleet what Terraform knows nothing of.
func withDefaults(t *testing.T, f fleet.Fleet) fleet.Fleet {
	t.Helper()
	empty, err := config.Parse("flotilla.yaml", []byte("fleet: x"))
	if err != nil {
		t.Fatal(err)
	}
	f.SSH, f.Rollout = empty.SSH, empty.Rollout
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
