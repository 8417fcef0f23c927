package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadFindsTheHive(t *testing.T) {
	const plain = "fleet: a\n"
	for name, c := range map[string]struct {
		files   map[string]string
		want    fleet.Hive
		problem string
	}{
		"hive.nix first": {map[string]string{"f/flotilla.yaml": plain, "f/hive.nix": "", "f/flake.nix": ""}, fleet.Hive{File: "hive.nix"}, ""},
		"then flake.nix": {map[string]string{"f/flotilla.yaml": plain, "f/flake.nix": ""}, fleet.Hive{Flake: "."}, ""},
		"named":          {map[string]string{"f/flotilla.yaml": plain + "hive: ../hive.nix\n", "hive.nix": "", "f/hive.nix": ""}, fleet.Hive{File: "../hive.nix"}, ""},
		"flake named":    {map[string]string{"f/flotilla.yaml": plain + "flake: ./nix/\n", "f/nix/flake.nix": "", "f/hive.nix": ""}, fleet.Hive{Flake: "nix"}, ""},
		"none":           {map[string]string{"f/flotilla.yaml": plain}, fleet.Hive{}, "neither hive.nix nor flake.nix"},
		"named, absent":  {map[string]string{"f/flotilla.yaml": plain + "hive: x.nix\n"}, fleet.Hive{}, "no file x.nix"},
		"flake, absent":  {map[string]string{"f/flotilla.yaml": plain + "flake: nix\n", "f/nix/hive.nix": ""}, fleet.Hive{}, "no file nix/flake.nix"},
		"no file":        {map[string]string{"f/hive.nix": ""}, fleet.Hive{}, "no such file"},
		"a folder":       {map[string]string{"f/flotilla.yaml/x": ""}, fleet.Hive{}, "not a regular file"},
		"with mistakes":  {map[string]string{"f/flotilla.yaml": "flet: a\n"}, fleet.Hive{}, "unknown key"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.files)
			file := filepath.Join(dir, "f", FileName)
			got, err := Load(file)
			if c.problem == "" {
				if err != nil || got.Hive != c.want {
					t.Errorf("got %+v, %v", got.Hive, err)
				}
				return
			}
			if err == nil || !strings.Contains(problem.Text(err), c.problem) {
				t.Fatalf("got %v, want %q", err, c.problem)
			}
			for _, p := range problem.All(err) {
				if p.At.File != file || len(p.Hints) == 0 {
					t.Errorf("without place or hint: %+v", p)
				}
			}
		})
	}
}

// A fleet repo may be a stranger's: nothing outside it is opened or shown.
func TestLoadStaysInside(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"outside": "top: secret\n", "repo/hive.nix": "", "repo/real.yaml": "fleet: inside\n"})
	file := filepath.Join(dir, "repo", FileName)
	for _, target := range []string{"../outside", filepath.Join(dir, "outside"), "/dev/zero", FileName} {
		if err := os.Symlink(target, file); err != nil {
			t.Fatal(err)
		}
		_, err := Load(file)
		if err == nil || strings.Contains(problem.Text(err), "top") {
			t.Errorf("link to %s: %v", target, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("real.yaml", file); err != nil {
		t.Fatal(err)
	}
	if f, err := Load(file); err != nil || f.Name != "inside" {
		t.Errorf("link inside the folder: %v, %v", f.Name, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(file); err == nil {
		t.Error("a pipe was read")
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a/flotilla.yaml": "", "a/b/c/x": "", "d/flotilla.yml": ""})
	got, err := Find(filepath.Join(dir, "a", "b", "c"))
	if err != nil || got != filepath.Join(dir, "a", FileName) {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := Find(filepath.Join(dir, "d")); err == nil || !strings.Contains(problem.Text(err), "rename it") {
		t.Errorf("flotilla.yml: %v", err)
	}
	if _, err := Find(dir); err == nil {
		t.Error("found one above the temporary folder")
	}
}

// user_data may stand in a file of the repository, and nowhere else.
func TestLoadUserData(t *testing.T) {
	server := func(file string) string {
		return "fleet: a\nprovider: {hetzner: {token: {env: T}}}\nservers: {s: {server_type: t, image: i, location: l, ssh_keys: [], user_data: {file: " + file + "}}}\n"
	}
	files := map[string]string{
		"outside": "secret", "repo/.git/config": "secret", "repo/shared/init.yaml": "#shared\n", "repo/fleets/a/hive.nix": "", "repo/fleets/a/init.yaml": "#own\n",
		"repo/fleets/a/fits": strings.Repeat("x", maxUserData), "repo/fleets/a/large": strings.Repeat("x", maxUserData+1),
	}
	for _, c := range []struct {
		file, tree string // tree: below the temporary folder; "" takes Load
		want       string // of user_data
		problem    string
	}{
		{"init.yaml", "", "#own\n", ""},
		{"./init.yaml", "repo/fleets/a", "#own\n", ""},
		{"../../shared/init.yaml", "", "#shared\n", ""},
		{"../../shared/init.yaml", "repo", "#shared\n", ""},
		{"../../shared/init.yaml", "repo/fleets", "", "outside the repository"},
		{"link-inside", "", "#shared\n", ""},
		{"fits", "", files["repo/fleets/a/fits"], ""},
		{"large", "", "", "larger than 28 KiB"},
		{"../../../outside", "", "", "outside the repository"},
		{"../../../outside", ".", "secret", ""},
		{"link-outside", "", "", "outside the repository"},
		{"../../.git/config", "", "", "belongs to git"},
		{"link-git", "", "", "belongs to git"},
		{"pipe", "", "", "not a regular file"},
		{".", "", "", "not a regular file"},
		{"absent", "", "", "no such file"},
	} {
		t.Run(c.file+" in "+c.tree, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, files)
			fleetDir := filepath.Join(dir, "repo", "fleets", "a")
			file := filepath.Join(fleetDir, FileName)
			write(t, fleetDir, map[string]string{FileName: server(c.file)})
			for link, target := range map[string]string{"link-inside": "../../shared/init.yaml", "link-outside": filepath.Join(dir, "outside"), "link-git": "../../.git/config"} {
				if err := os.Symlink(target, filepath.Join(fleetDir, link)); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Mkfifo(filepath.Join(fleetDir, "pipe"), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := Load(file)
			if c.tree != "" {
				f, err = LoadIn(filepath.Join(dir, c.tree), file)
			}
			if c.problem == "" {
				if err != nil || f.Servers["s"].UserData != c.want {
					t.Errorf("got %.40q, %v", f.Servers["s"].UserData, err)
				}
				return
			}
			if err == nil || !strings.Contains(problem.Text(err), c.problem) || strings.Contains(problem.Text(err), "secret") {
				t.Errorf("got %v, want %q", err, c.problem)
			}
		})
	}
}
