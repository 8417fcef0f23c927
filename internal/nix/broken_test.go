package nix

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

var update = flag.Bool("update", false, "write golden files of this package")

// Each broken hive gives one error that says what to do. The files are
// archives of a repository; the file "want" is what people read with Nix 2.8,
// "want 2.26" with a version that words or places it differently.
func TestBrokenHives(t *testing.T) {
	archives, err := filepath.Glob("testdata/broken/*.txtar")
	if err != nil || len(archives) < 20 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	version, err := evaluator(t, Options{}).Version(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	version = version[:strings.LastIndexByte(version, '.')]
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files, wants := map[string]string{}, map[string]string{}
			for _, f := range archive.Files {
				if strings.HasPrefix(f.Name, "want") {
					wants[f.Name] = string(f.Data)
				} else {
					files[f.Name] = string(f.Data)
				}
			}
			s := repo(t, files)
			if _, ok := files["flake.nix"]; ok {
				if _, ok := files["flake.lock"]; !ok {
					files["flake.lock"] = lock(t, "testdata/nixpkgs")
				}
				s = flakeRepo(t, files)
			}
			s.Facts = fleet.Facts{"web": {IPv4: "192.0.2.1"}}
			got := broken(t, s)
			want, ok := wants["want "+version]
			if !ok {
				want = wants["want"]
			}
			if *update && got != want {
				name := "want"
				if version != "2.8" {
					name += " " + version
				}
				archive.Files = slices.DeleteFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
				archive.Files = append(archive.Files, txtar.File{Name: name, Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				want = got
			}
			if got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			if strings.Contains(got, s.Dir) || strings.Contains(got, "\x1b") {
				t.Error("it names the export folder or holds escape sequences")
			}
		})
	}
}

// broken gives what people read: errors of all hosts' settings, then those of
// the systems of hosts whose settings were well, then the hosts that are well.
func broken(t *testing.T, s Source) string {
	t.Helper()
	e := evaluator(t, Options{})
	hosts, err := e.Hosts(t.Context(), s)
	var b strings.Builder
	if err != nil {
		b.WriteString(problem.Text(err))
	}
	evals := e.Evaluate(t.Context(), s, slices.Sorted(maps.Keys(hosts)), nil)
	var well []string
	for _, host := range slices.Sorted(maps.Keys(evals)) {
		if err := evals[host].Err; err != nil {
			b.WriteString(problem.Text(err))
		} else if !evals[host].System.DrvPath.IsZero() {
			well = append(well, host)
		}
	}
	if b.Len() == 0 {
		t.Fatal("it evaluates")
	}
	if len(well) > 0 {
		b.WriteString("well: " + strings.Join(well, ", ") + "\n")
	}
	return b.String()
}
