package nix

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// labTree is the lab's small NixOS tree.
func labTree(t *testing.T) string {
	t.Helper()
	tree, err := filepath.Abs("../lab/nixos/tree")
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// command runs a Nix program with the settings of a machine that has no
// daemon, no builders' group and no network.
func command(t *testing.T, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "NIX_CONFIG="+builderConfig+"\nexperimental-features = nix-command flakes")
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, errors.String())
	}
	return strings.TrimSpace(string(out))
}

// inStore adds a folder to the store as a flake's source and gives its hash.
func inStore(t *testing.T, dir string) (path, hash string) {
	t.Helper()
	quoted := command(t, "nix-instantiate", "--eval", "--read-write-mode", "--json", "--argstr", "dir", dir, "-E", `{ dir }: builtins.path { path = /. + dir; name = "source"; }`)
	if err := json.Unmarshal([]byte(quoted), &path); err != nil {
		t.Fatal(err)
	}
	hash, err := sri(command(t, "nix-store", "--query", "--hash", path))
	if err != nil {
		t.Fatal(err)
	}
	return path, hash
}

// lock is a flake.lock whose one input, nixpkgs, is a tree in this repository.
func lock(t *testing.T, tree string) string {
	t.Helper()
	dir, err := filepath.Abs(tree)
	if err != nil {
		t.Fatal(err)
	}
	path, hash := inStore(t, dir)
	return fmt.Sprintf(`{"nodes":{"nixpkgs":{"locked":{"lastModified":1700000000,"narHash":%q,"path":%q,"type":"path"},"original":{"path":%[2]q,"type":"path"}},
  "root":{"inputs":{"nixpkgs":"nixpkgs"}}},"root":"root","version":7}`, hash, path)
}

func flakeRepo(t *testing.T, files map[string]string) Source {
	t.Helper()
	if _, ok := files["flake.lock"]; !ok {
		files["flake.lock"] = lock(t, labTree(t))
	}
	s := repo(t, files)
	s.Hive = fleet.Hive{Flake: "."}
	return s
}

// inputs is the part of flake.nix that Nix itself needs to take the lock as it is.
func inputs(t *testing.T) string {
	t.Helper()
	path, _ := inStore(t, labTree(t))
	return `inputs.nixpkgs.url = "path:` + path + `";`
}

// A flake's hosts are what Nix itself makes of the flake, in both modes.
func TestFlakeAsNixHasIt(t *testing.T) {
	s := flakeRepo(t, map[string]string{
		"flake.nix": `{ ` + inputs(t) + ` outputs = { self, nixpkgs, ... }@inputs: {
  nixosConfigurations = {
    web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; specialArgs = { inherit inputs; }; modules = [ ./hosts/web.nix self.nixosModules.base ]; };
    db = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ self.nixosModules.base { networking.hostName = "db"; environment.etc.peer.text = self.nixosConfigurations.web.config.networking.hostName; } ]; };
  };
  nixosModules.base = { environment.etc.source.text = "${self} ${self.narHash} ${nixpkgs}"; };
}; }`,
		"hosts/web.nix": `{ inputs, pkgs, ... }: { networking.hostName = "web"; environment.etc = { whole.source = ../.; one.source = ./web.nix; two.source = "${inputs.self}/data/two"; three.text = builtins.readFile "${inputs.self}/data/two"; }; environment.systemPackages = [ pkgs.hello ]; }`,
		"data/two":      "2",
	})
	for _, host := range []string{"web", "db"} {
		want := command(t, "nix", "eval", "--raw", "path:"+s.Dir+"#nixosConfigurations."+host+".config.system.build.toplevel.drvPath")
		for _, trusted := range []bool{false, true} {
			s.Trusted = trusted
			if got := system(t, s, host); got.DrvPath.String() != want {
				t.Errorf("%s, trusted %v: %s, Nix has %s", host, trusted, got.DrvPath, want)
			}
		}
	}
}

func TestFlakeOutputs(t *testing.T) {
	facts := fleet.Facts{"web": {IPv4: "192.0.2.1"}}
	module := `{ fleet ? { servers = { }; }, ... }: { environment.etc.ip.text = fleet.servers.web.ipv4 or "none"; }`
	for name, c := range map[string]struct {
		outputs string
		want    plans.Deployment
		ip      string
	}{
		"nixosConfigurations": {`nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ ./module.nix ]; };`, plans.Deployment{Tags: []string{}}, "192.0.2.1"},
		"with the option":     {`nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ ./module.nix ({ lib, ... }: { options.deployment.tags = lib.mkOption { default = [ ]; }; config.deployment.tags = [ "t" ]; }) ]; };`, plans.Deployment{Tags: []string{"t"}}, "192.0.2.1"},
		"colmena":             {`colmena = { meta = { nixpkgs = import nixpkgs { system = "x86_64-linux"; }; allowApplyAll = false; }; defaults.imports = [ ./module.nix ]; web.deployment = { tags = [ "c" ]; targetUser = "u"; }; };`, plans.Deployment{Tags: []string{"c"}, TargetUser: "u"}, "192.0.2.1"},
		"colmenaHive": {`colmenaHive = { __schema = "v0.5"; metaConfig.name = "made"; nodes.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ ./module.nix ({ lib, ... }: { options.deployment = lib.mapAttrs (_: default: lib.mkOption { inherit default; }) { targetHost = "web"; targetUser = "root"; targetPort = null; tags = [ ]; }; config.deployment.targetPort = 23; }) ]; }; };
  colmena.lost = { };`, plans.Deployment{Tags: []string{}, TargetPort: 23}, "192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := flakeRepo(t, map[string]string{
				"flake.nix":  `{ ` + inputs(t) + ` outputs = { self, nixpkgs }: { ` + c.outputs + ` }; }`,
				"module.nix": module,
			})
			s.Facts = facts
			settings, hosts, err := evaluator(t, Options{}).Hive(t.Context(), s)
			if err != nil || len(hosts) != 1 {
				t.Fatalf("hosts are %v\n%s", hosts, problem.Text(err))
			}
			c.want.ReplaceUnknownProfiles, c.want.PrivilegeEscalationCommand, c.want.SSHOptions = true, []string{"sudo", "-H", "--"}, []string{}
			if got := hosts["web"]; fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("deployment is %+v, want %+v", got, c.want)
			}
			if settings.AllowApplyAll != (name != "colmena") {
				t.Errorf("settings are %+v", settings)
			}
			got := system(t, s, "web")
			if ip := etc(t, got, "ip"); ip != c.ip || fmt.Sprint(got.ReadServers) != "[web]" {
				t.Errorf("it reads %q and %v", ip, got.ReadServers)
			}
			s.Facts = nil
			if ip := etc(t, system(t, s, "web"), "ip"); ip != "none" {
				t.Errorf("without facts it reads %q", ip)
			}
		})
	}
}

func TestFlakeKnowsItsRevision(t *testing.T) {
	s := flakeRepo(t, map[string]string{
		"flake.nix": `{ ` + inputs(t) + ` outputs = { self, nixpkgs }: { nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux";
  modules = [ { environment.etc.rev.text = "${self.rev or "dirty"} ${self.shortRev or ""} ${toString self.lastModified} ${self.lastModifiedDate}"; } ]; }; }; }`,
	})
	if got := etc(t, system(t, s, "web"), "rev"); got != "dirty  0 19700101000000" {
		t.Errorf("got %q", got)
	}
	s.Commit, s.CommitTime = strings.Repeat("ab", 20), time.Unix(1700000000, 0)
	if got := etc(t, system(t, s, "web"), "rev"); got != s.Commit+" abababa 1700000000 20231114221320" {
		t.Errorf("got %q", got)
	}
}

// A flake may lie below the repository's root, beside a flotilla.yaml that does.
func TestFlakeInAFolder(t *testing.T) {
	s := flakeRepo(t, map[string]string{
		"fleets/one/flake.nix":  `{ ` + inputs(t) + ` outputs = { self, nixpkgs }: { nixosConfigurations.web = nixpkgs.lib.nixosSystem { system = "x86_64-linux"; modules = [ ../../web.nix { environment.etc.own.text = builtins.readFile "${self}/own"; } ]; }; }; }`,
		"fleets/one/flake.lock": lock(t, labTree(t)),
		"fleets/one/own":        "own",
		"web.nix":               `{ environment.etc.shared.source = ./web.txt; }`,
		"web.txt":               "shared",
	})
	s.Prefix, s.Hive = "fleets", fleet.Hive{Flake: "./one"}
	for _, s.Trusted = range []bool{false, true} {
		got := system(t, s, "web")
		if etc(t, got, "own") != "own" || etc(t, got, "shared") != "shared" {
			t.Errorf("trusted %v: etc is %+v", s.Trusted, got.Etc)
		}
	}
	s.Hive.Flake = "two"
	_, err := evaluator(t, Options{}).Hosts(t.Context(), s)
	if problems := problem.All(err); len(problems) != 1 || problems[0].At.File != "fleets/two/flake.nix" {
		t.Errorf("a flake that is not there: %v", err)
	}
}
