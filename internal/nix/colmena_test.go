package nix

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// plainly evaluates modules that make the same host without any hive: those
// that plain.nix lists, with a place for deployment.* that holds anything.
const plainly = `{ dir }:
let
  anything = { lib, ... }: { options.deployment = lib.mkOption { type = lib.types.attrs; default = { }; }; };
  drv = name: { modules, system ? builtins.currentSystem }: (import <nixpkgs/nixos/lib/eval-config.nix> {
    inherit system;
    modules = [ anything ] ++ modules;
  }).config.system.build.toplevel.drvPath;
in
builtins.mapAttrs drv (import (/. + dir + "/plain.nix"))`

// Hives written from Colmena's documented features evaluate to the derivations
// that plain nix-instantiate makes of the same modules, in both modes; "want"
// in an archive is what is known of the hive and how its hosts are reached.
func TestColmenaHives(t *testing.T) {
	archives, err := filepath.Glob("testdata/colmena/*.txtar")
	if err != nil || len(archives) < 10 {
		t.Fatalf("%d archives, %v", len(archives), err)
	}
	nixPath := "nixpkgs=" + labTree(t)
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string]string{}
			for _, f := range archive.Files {
				files[f.Name] = string(f.Data)
			}
			s := repo(t, files)
			e := evaluator(t, Options{NixPath: nixPath})

			t.Setenv("NIX_PATH", nixPath)
			var want map[string]string
			if err := json.Unmarshal([]byte(command(t, "nix-instantiate", "--eval", "--strict", "--json", "-E", plainly, "--argstr", "dir", s.Dir)), &want); err != nil {
				t.Fatal(err)
			}
			for _, trusted := range []bool{false, true} {
				s.Trusted = trusted
				settings, hosts, err := e.Hive(t.Context(), s)
				if err != nil {
					t.Fatal(problem.Text(err))
				}
				settings.MachinesFile = strings.TrimPrefix(settings.MachinesFile, s.Dir+"/")
				known, err := json.MarshalIndent(map[string]any{"settings": settings, "hosts": hosts}, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				golden(t, archive, path, "want", string(known)+"\n")
				got := map[string]string{}
				for host, one := range e.Evaluate(t.Context(), s, slices.Sorted(maps.Keys(hosts)), nil) {
					if one.Err != nil || one.System.Partial != "" {
						t.Fatalf("%s: %s%s", host, problem.Text(one.Err), one.System.Partial)
					}
					got[host] = one.System.DrvPath.String()
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("trusted %v: derivations (-plain +hive):\n%s", trusted, diff)
				}
			}
		})
	}
}

// golden compares with a file of an archive, or writes it.
func golden(t *testing.T, archive *txtar.Archive, path, name, got string) {
	t.Helper()
	i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == name })
	if *update {
		if i < 0 {
			i, archive.Files = len(archive.Files), append(archive.Files, txtar.File{Name: name})
		}
		archive.Files[i].Data = []byte(got)
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want := ""
	if i >= 0 {
		want = string(archive.Files[i].Data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
