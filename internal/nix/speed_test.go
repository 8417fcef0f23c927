package nix

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// fleetOf is a hive of n hosts with services of several kinds.
func fleetOf(n int) string {
	var b strings.Builder
	b.WriteString("{\n  meta.nixpkgs = <nixpkgs>;\n")
	for i := range n {
		fmt.Fprintf(&b, `  host-%[1]d = { pkgs, ... }: {
    networking.hostName = "host-%[1]d";
    networking.firewall.allowedTCPPorts = [ 80 %[2]d ];
    services.openssh.enable = true;
    services.nginx.enable = true;
    services.nginx.virtualHosts."www-%[1]d.example.org".root = pkgs.writeTextDir "index.html" "%[1]d";
    systemd.services.job = { script = "echo %[1]d"; startAt = "daily"; };
    users.users.operator = { isNormalUser = true; extraGroups = [ "wheel" ]; openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA operator" ]; };
    environment.systemPackages = [ pkgs.hello ];
    environment.etc.motd.text = "This is host %[1]d.\n";
  };
`, i, 8000+i)
	}
	return b.String() + "}\n"
}

// plainDrv is one `nix-instantiate` for the derivation of one host and nothing else.
func plainDrv(ctx context.Context, hive, nixpkgs, host string) ([]byte, error) {
	const expression = `{ hive, host }: (import <nixpkgs/nixos/lib/eval-config.nix> {
  system = builtins.currentSystem;
  modules = [ (import (/. + hive)).${host} ];
  specialArgs = { name = host; nodes = { }; };
}).config.system.build.toplevel.drvPath`
	cmd := exec.CommandContext(ctx, "nix-instantiate", "--eval", "--read-write-mode", "-E", expression, "--argstr", "hive", hive, "--argstr", "host", host)
	cmd.Env = []string{"PATH=/usr/bin:/bin:" + filepath.Dir(cmd.Path), "NIX_PATH=nixpkgs=" + nixpkgs, "NIX_CONFIG=" + builderConfig + "\nfsync-metadata = false"}
	return cmd.Output()
}

// BenchmarkFleet evaluates fleets in full, metadata, derivations and review
// facts, side by side with the best plain arrangement: one nix-instantiate a
// host for the derivation alone, as many at a time as there are cores. The
// rounds alternate, so that a busy machine slows both.
func BenchmarkFleet(b *testing.B) {
	for _, n := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("%d-hosts", n), func(b *testing.B) {
			nixpkgs, err := filepath.Abs("../lab/nixos/tree")
			if err != nil {
				b.Fatal(err)
			}
			s := treeOf(b, map[string]string{"hive.nix": fleetOf(n)})
			e := New(Options{NixPath: "nixpkgs=" + nixpkgs, Workers: runtime.GOMAXPROCS(0)})
			times := map[string]time.Duration{}
			timed := func(name string, f func()) {
				start := time.Now()
				f()
				times[name] += time.Since(start)
			}
			for b.Loop() {
				timed("plain", func() {
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
				})
				for _, trusted := range []bool{false, true} {
					s.Trusted = trusted
					timed(fmt.Sprintf("trusted-%v", trusted), func() {
						hosts, err := e.Hosts(b.Context(), s)
						if err != nil {
							b.Fatal(err)
						}
						var names []string
						for name := range hosts {
							names = append(names, name)
						}
						for host, one := range e.Evaluate(b.Context(), s, names, nil) {
							if one.Err != nil || one.System.Partial != "" {
								b.Fatal(host, one.Err, one.System.Partial)
							}
						}
					})
				}
			}
			b.ReportMetric(times["plain"].Seconds()/float64(b.N), "plain-s")
			b.ReportMetric(float64(times["trusted-true"])/float64(times["plain"]), "deploy/plain")
			b.ReportMetric(float64(times["trusted-false"])/float64(times["plain"]), "plan/plain")
		})
	}
}
