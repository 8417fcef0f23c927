package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// builders are Nix's settings on a machine without a daemon or a builders' group.
const builders = "build-users-group =\nsandbox = false\nsubstituters =\nexperimental-features = nix-command flakes"

func ask(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "NIX_CONFIG="+builders)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	return strings.TrimSpace(string(out))
}

// lockOfLab is a flake.lock whose nixpkgs is the lab's tree.
func lockOfLab(t *testing.T) (text, path string) {
	t.Helper()
	tree, err := filepath.Abs("../lab/nixos/tree")
	if err != nil {
		t.Fatal(err)
	}
	quoted := ask(t, "nix-instantiate", "--eval", "--read-write-mode", "--json", "--argstr", "dir", tree, "-E", `{ dir }: builtins.path { path = /. + dir; name = "source"; }`)
	if err := json.Unmarshal([]byte(quoted), &path); err != nil {
		t.Fatal(err)
	}
	hash := ask(t, "nix", "hash", "path", path)
	return fmt.Sprintf(`{"nodes":{"nixpkgs":{"locked":{"lastModified":1700000000,"narHash":%q,"path":%q,"type":"path"},"original":{"path":%[2]q,"type":"path"}},
  "root":{"inputs":{"nixpkgs":"nixpkgs"}}},"root":"root","version":7}`, hash, path), path
}

// A flake fleet knows its commit, as with Nix's own commands: a plan shows it,
// and what was evaluated for a deploy is what Nix has.
func TestFlakeFleet(t *testing.T) {
	t.Setenv("NIX_CONFIG", builders)
	lock, nixpkgs := lockOfLab(t)
	f := newFleets(t)
	flake := func(port string) string {
		return `{ inputs.nixpkgs.url = "path:` + nixpkgs + `"; outputs = { self, nixpkgs }: { nixosConfigurations = builtins.mapAttrs (name: module: nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ module ]; }) {
  web = { networking.firewall.allowedTCPPorts = [ ` + port + ` ]; };
  db = { environment.etc.rev.text = self.rev + " " + self.lastModifiedDate; };
}; }; }`
	}
	f.commit(map[string]string{"flotilla.yaml": "fleet: acme\nflake: .\n", "flake.nix": flake("80"), "flake.lock": lock})
	first := f.git("rev-parse", "HEAD")
	second := f.commit(map[string]string{"flake.nix": flake("443")})
	flow := &Flow{Dir: f.dir, Getenv: func(string) string { return "" }}

	plan, err := flow.Plan(t.Context(), PlanOptions{Only: OnlyHosts})
	if err != nil || !plan.Complete {
		t.Fatalf("%v, missing %+v", problem.Text(err), plan.Missing)
	}
	hosts := map[string]plans.Host{}
	for _, h := range plan.This.Hosts {
		hosts[h.Name] = h
	}
	if len(hosts["web"].Ports) != 2 {
		t.Errorf("web: %+v", hosts["web"].Ports)
	}
	if files := hosts["db"].Files; len(files) != 1 || !strings.Contains(files[0].Diff, "-"+first) || !strings.Contains(files[0].Diff, "+"+second) {
		t.Errorf("db: %+v", files)
	}
	for _, host := range []string{"web", "db"} {
		want := ask(t, "nix", "eval", "--raw", "git+file://"+f.dir+"?rev="+second+"#nixosConfigurations."+host+".config.system.build.toplevel.outPath")
		if got := hosts[host].New.String(); got != want {
			t.Errorf("%s: %s, Nix has %s", host, got, want)
		}
	}
}

// Of a flake's work tree, evaluation sees what git tracks, as it is now. The
// rest would go to the store, where everybody can read it.
func TestFlakeWorkTree(t *testing.T) {
	t.Setenv("NIX_CONFIG", builders)
	lock, nixpkgs := lockOfLab(t)
	f := newFleets(t)
	f.commit(map[string]string{
		"sub/flotilla.yaml": "fleet: acme\nflake: .\n", "sub/flake.lock": lock,
		"sub/flake.nix": `{ inputs.nixpkgs.url = "path:` + nixpkgs + `"; outputs = { self, nixpkgs }: { nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux";
  modules = [ ../shared.nix { environment.etc.seen.text = toString (map builtins.pathExists [ ./secret.env ../.git ./kept ]); } ]; }; }; }`,
		"sub/kept": "kept", "shared.nix": `{ environment.etc.shared.text = "committed"; }`, "gone": "",
	})
	for name, text := range map[string]string{"sub/secret.env": "TOKEN=1", "shared.nix": `{ environment.etc.shared.text = "edited"; }`} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Remove(filepath.Join(f.dir, "gone")); err != nil {
		t.Fatal(err)
	}
	flow := &Flow{Dir: filepath.Join(f.dir, "sub"), Getenv: func(string) string { return "" }}
	for _, trusted := range []bool{false, true} {
		got, err := flow.Evaluate(t.Context(), fleet.Selector{}, trusted)
		if err != nil || got["web"].Err != nil {
			t.Fatal(problem.Text(err), got["web"].Err)
		}
		etc := got["web"].System.Etc
		if text := *etc["seen"].Text; strings.Count(text, "1") != 1 || !strings.HasSuffix(text, "1") {
			t.Errorf("trusted=%t: of secret.env, .git and kept it sees %q", trusted, text)
		}
		if text := *etc["shared"].Text; text != "edited" {
			t.Errorf("trusted=%t: shared.nix is %q", trusted, text)
		}
	}

	// A flake that nobody has added yet says so.
	if err := os.MkdirAll(filepath.Join(f.dir, "new"), 0o750); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"new/flotilla.yaml": "fleet: acme\nflake: .\n", "new/flake.nix": "{ outputs = _: { }; }"} {
		if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flow.Dir = filepath.Join(f.dir, "new")
	if _, err := flow.Evaluate(t.Context(), fleet.Selector{}, false); err == nil || !strings.Contains(problem.Text(err), "git add it") {
		t.Errorf("got %v", problem.Text(err))
	}
}
