//go:build bench

package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// expression gives the derivations of hosts as plain Nix does, without the
// settings that are a deployment tool's.
const expression = `{ hive, hosts }:
let
  all = import (/. + hive);
  system = host: (import <nixpkgs/nixos/lib/eval-config.nix> {
    system = builtins.currentSystem;
    modules = [ all.defaults all.${host} ];
    specialArgs = { name = host; inherit nodes; };
  });
  nodes = builtins.listToAttrs (map (name: { inherit name; value = system name; }) (builtins.fromJSON hosts));
in
builtins.mapAttrs (_: node: node.config.system.build.toplevel.drvPath) nodes`

// plain runs nix-instantiate for the derivations of some hosts. It writes
// nothing to the store, which would only add to its time.
func (h *hive) plain(t *testing.T, hosts ...string) ended {
	t.Helper()
	list := `["` + strings.Join(hosts, `","`) + `"]`
	e := run(t, h.dir, h.env, "nix-instantiate", "--eval", "--strict", "--json",
		"-E", expression, "--argstr", "hive", filepath.Join(h.dir, "hive.nix"), "--argstr", "hosts", list)
	if strings.Count(e.stdout, "/nix/store/") != len(hosts) {
		t.Fatalf("nix-instantiate printed %s", e.stdout)
	}
	return e
}

// singly is one process a host, as many at a time as there are cores: what can
// be done with plain Nix. peak is the most that one process had.
func (h *hive) singly() ended {
	h.t.Helper()
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	each := make([]ended, h.hosts)
	load, began := processors(), time.Now()
	for i, name := range h.names() {
		group.Go(func() error {
			each[i] = h.plain(h.t, name)
			return nil
		})
	}
	_ = group.Wait() // failures end the test
	whole := ended{wall: time.Since(began)}
	for _, e := range each {
		whole.cpu, whole.own = whole.cpu+e.cpu, max(whole.own, e.own)
	}
	whole.others = load.others(whole)
	return whole
}

// names are the hosts.
func (h *hive) names() []string {
	files, err := os.ReadDir(filepath.Join(h.dir, "hosts"))
	if err != nil {
		h.t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		names = append(names, "host-"+strings.TrimSuffix(file.Name(), ".nix"))
	}
	slices.Sort(names)
	return names
}

// full is the product's: deployment settings, derivations and all review facts.
func (h *hive) full(on ...string) ended {
	h.t.Helper()
	args := []string{"eval", "--no-cache", "--format", "json"}
	if len(on) > 0 {
		args = append(args, "--on", strings.Join(on, ","))
	}
	e := run(h.t, h.dir, h.env, flotilla, args...)
	if n := strings.Count(e.stdout, `"drvPath": "/nix/store/`); len(on) == 0 && n != h.hosts {
		h.t.Fatalf("%d of %d hosts were evaluated: %s", n, h.hosts, e.stdout)
	}
	return e
}
