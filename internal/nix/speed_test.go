package nix

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// fleetOf is a repository with a hive of n hosts, each about as large as a
// small server on a real NixOS: the lab's tree alone is a tenth of that.
func fleetOf(n int) map[string]string {
	files := map[string]string{}
	var b strings.Builder
	b.WriteString("{\n  meta.nixpkgs = <nixpkgs>;\n  defaults.imports = map (i: ./modules + \"/${toString i}.nix\") (builtins.genList (i: i) 100);\n")
	for i := range 100 {
		files[fmt.Sprintf("modules/%d.nix", i)] = fmt.Sprintf(`{ config, lib, pkgs, ... }:
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
	for i := range n {
		fmt.Fprintf(&b, `  host-%[1]d = { pkgs, ... }: {
    networking.hostName = "host-%[1]d";
    networking.firewall.allowedTCPPorts = [ 80 %[2]d ];
    services.openssh.enable = true;
    services.nginx.enable = true;
    services.nginx.virtualHosts."www-%[1]d.example.org".root = pkgs.writeTextDir "index.html" "%[1]d";
    users.users.operator = { isNormalUser = true; extraGroups = [ "wheel" ]; openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA operator" ]; };
    environment.systemPackages = [ pkgs.hello ];
    parts.part7.port = %[2]d;
  };
`, i, 8000+i)
	}
	files["hive.nix"] = b.String() + "}\n"
	return files
}

// plainDrv is one `nix-instantiate` for the derivation of one host and nothing else.
func plainDrv(ctx context.Context, hive, nixpkgs, host string) ([]byte, error) {
	const expression = `{ hive, host }: (import <nixpkgs/nixos/lib/eval-config.nix> {
  system = builtins.currentSystem;
  modules = [ (import (/. + hive)).defaults (import (/. + hive)).${host} ];
  specialArgs = { name = host; nodes = { }; };
}).config.system.build.toplevel.drvPath`
	cmd := exec.CommandContext(ctx, "nix-instantiate", "--eval", "--read-write-mode", "-E", expression, "--argstr", "hive", hive, "--argstr", "host", host)
	cmd.Env = []string{"PATH=/usr/bin:/bin:" + filepath.Dir(cmd.Path), "NIX_PATH=nixpkgs=" + nixpkgs, "NIX_CONFIG=" + builderConfig + "\nfsync-metadata = false"}
	return cmd.Output()
}

// spent is the time that something took: on the wall, and of all processors.
type spent struct{ wall, cpu time.Duration }

func timed(f func()) spent {
	used := func() time.Duration {
		var self, children syscall.Rusage
		if syscall.Getrusage(syscall.RUSAGE_SELF, &self) != nil || syscall.Getrusage(syscall.RUSAGE_CHILDREN, &children) != nil {
			return 0
		}
		return time.Duration(self.Utime.Nano() + self.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano())
	}
	start, before := time.Now(), used()
	f()
	return spent{time.Since(start), used() - before}
}

// best keeps the least of several rounds: what else the machine does only adds.
func (s *spent) best(other spent) {
	if s.wall == 0 {
		*s = other
	}
	s.wall, s.cpu = min(s.wall, other.wall), min(s.cpu, other.cpu)
}

// BenchmarkFleet evaluates fleets in full, metadata, derivations and review
// facts, side by side with the best plain arrangement: one nix-instantiate a
// host for the derivation alone, as many at a time as there are cores. The
// rounds alternate, and the best round of each counts.
func BenchmarkFleet(b *testing.B) {
	nixpkgs, err := filepath.Abs("../lab/nixos/tree")
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("%d-hosts", n), func(b *testing.B) {
			s := treeOf(b, fleetOf(n))
			e := New(Options{NixPath: "nixpkgs=" + nixpkgs, Workers: runtime.GOMAXPROCS(0)})
			var plain, plan, deploy spent
			for b.Loop() {
				plain.best(timed(func() { plainFleet(b, s, nixpkgs, n) }))
				s.Trusted = false
				plan.best(timed(func() { wholeFleet(b, e, s, n) }))
				s.Trusted = true
				deploy.best(timed(func() { wholeFleet(b, e, s, n) }))
			}
			b.ReportMetric(plain.wall.Seconds(), "plain-s")
			for name, one := range map[string]spent{"plan": plan, "deploy": deploy} {
				b.ReportMetric(float64(one.wall)/float64(plain.wall), name+"/plain")
				b.ReportMetric(float64(one.cpu)/float64(plain.cpu), name+"/plain-cpu")
			}
		})
	}
}

func plainFleet(b *testing.B, s Source, nixpkgs string, n int) {
	group, ctx := errgroup.WithContext(b.Context())
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		group.Go(func() error {
			_, err := plainDrv(ctx, filepath.Join(s.Dir, "hive.nix"), nixpkgs, fmt.Sprintf("host-%d", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatal(err)
	}
}

func wholeFleet(b *testing.B, e *Evaluator, s Source, n int) {
	hosts, err := e.Hosts(b.Context(), s)
	if err != nil || len(hosts) != n {
		b.Fatal(len(hosts), err)
	}
	for host, one := range e.Evaluate(b.Context(), s, slices.Sorted(maps.Keys(hosts)), nil) {
		if one.Err != nil || one.System.Partial != "" {
			b.Fatal(host, one.Err, one.System.Partial)
		}
	}
}
