//go:build bench

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parts are modules that every host has, so that one costs what it does on a
// real NixOS of 2015, 0.6 s and 330 MB: the lab's tree alone is a tenth of that,
// and a present NixOS several times as much.
const parts = 150

// hive is a fleet's repository with generated hosts.
type hive struct {
	t       *testing.T
	dir     string
	nixpkgs string
	hosts   int
	env     []string
}

// newHive gives a repository whose first revision has no fleet, so that a plan
// from there evaluates the second one and nothing else.
func newHive(t *testing.T, hosts int) *hive {
	t.Helper()
	nixpkgs, err := filepath.Abs("../lab/nixos/tree")
	if err != nil {
		t.Fatal(err)
	}
	h := &hive{t: t, dir: t.TempDir(), nixpkgs: nixpkgs, hosts: hosts}
	h.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "NIX_PATH=nixpkgs=" + nixpkgs,
		"NIX_CONFIG=build-users-group =\nsandbox = false\nsubstituters =\nfsync-metadata = false",
	}
	write(t, h.dir, map[string]string{"README.md": "A fleet.\n"})
	commit(t, h.dir, "Begin")
	files := map[string]string{"flotilla.yaml": "fleet: bench\n"}
	var b strings.Builder
	fmt.Fprintf(&b, "{\n  meta.nixpkgs = <nixpkgs>;\n  defaults.imports = map (i: ./modules + \"/${toString i}.nix\") (builtins.genList (i: i) %d);\n", parts)
	for i := range parts {
		files[fmt.Sprintf("modules/%d.nix", i)] = module(i)
	}
	for i := range hosts {
		fmt.Fprintf(&b, "  host-%[1]d = ./hosts/%[1]d.nix;\n", i)
		files[fmt.Sprintf("hosts/%d.nix", i)] = host(i, 8000+i)
	}
	files["hive.nix"] = b.String() + "}\n"
	write(t, h.dir, files)
	commit(t, h.dir, "Declare the hosts")
	return h
}

func host(i, port int) string {
	return fmt.Sprintf(`{ pkgs, ... }: {
  networking.hostName = "host-%[1]d";
  networking.firewall.allowedTCPPorts = [ 80 %[2]d ];
  services.openssh.enable = true;
  services.nginx.enable = true;
  services.nginx.virtualHosts."www-%[1]d.example.org".root = pkgs.writeTextDir "index.html" "%[1]d";
  users.users.operator = { isNormalUser = true; extraGroups = [ "wheel" ]; openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA operator" ]; };
  environment.systemPackages = [ pkgs.hello ];
  parts.part7.port = %[2]d;
}
`, i, port)
}

func module(i int) string {
	return fmt.Sprintf(`{ config, lib, pkgs, ... }:
let
  cfg = config.parts.part%[1]d;
in
{
  options.parts.part%[1]d = {
    enable = lib.mkOption { type = lib.types.bool; default = true; };
    port = lib.mkOption { type = lib.types.int; default = %[2]d; };
    settings = lib.mkOption { type = lib.types.attrsOf (lib.types.either lib.types.str lib.types.int); default = { }; };
    instances = lib.mkOption {
      default = { one = { }; two.level = 2; };
      type = lib.types.attrsOf (lib.types.submodule ({ name, ... }: {
        options = {
          level = lib.mkOption { type = lib.types.int; default = 1; };
          label = lib.mkOption { type = lib.types.str; default = "part-${name}"; };
        };
      }));
    };
  };
  config = lib.mkIf cfg.enable {
    parts.part%[1]d.settings = { port = cfg.port; zone = lib.mkDefault "east"; };
    environment.etc."parts/%[1]d.conf".text = lib.concatStrings (lib.mapAttrsToList (k: v: "${k} = ${toString v}\n") cfg.settings);
    systemd.services = lib.mapAttrs' (name: i: lib.nameValuePair "part%[1]d-${name}" {
      wantedBy = [ "multi-user.target" ];
      restartTriggers = [ config.environment.etc."parts/%[1]d.conf".source ];
      serviceConfig = { ExecStart = "${pkgs.hello}/bin/hello ${i.label}"; Nice = i.level; Restart = "on-failure"; };
    }) cfg.instances;
  };
}
`, i, 7000+i)
}
