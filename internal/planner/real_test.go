package planner_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

const deployKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop deploy"

const baseHive = `{ fleet ? { servers = { }; }, ... }: {
  defaults = { name, ... }: {
    networking.hostName = name;
    system.stateVersion = "25.11";
    services.openssh.enable = true;
    users.users.root.openssh.authorizedKeys.keys = [ "` + deployKey + `" ];
  };
  web = { pkgs, ... }: {
    deployment.tags = [ "web" ];
    services.nginx.enable = true;
    services.nginx.virtualHosts."www.example.org".root = pkgs.writeTextDir "index.html" "one";
    networking.firewall.allowedTCPPorts = [ 80 ];
    environment.etc.motd.text = "hello\n";
    systemd.services.job = { script = "true"; wantedBy = [ "multi-user.target" ]; };
  };
  db = { };
}
`

// evaluate evaluates a hive with the small NixOS tree, as a plan does.
func evaluate(t *testing.T, hive string, facts fleet.Facts) map[string]plans.Evaluation {
	t.Helper()
	tree, err := filepath.Abs("../lab/nixos/tree")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hive.nix"), []byte(hive), 0o644); err != nil {
		t.Fatal(err)
	}
	e := nix.New(nix.Options{NixPath: "nixpkgs=" + tree})
	source := nix.Source{Dir: dir, Hive: fleet.Hive{File: "hive.nix"}, Facts: facts}
	result := e.Evaluate(t.Context(), source, []string{"db", "web"}, nil)
	for host, one := range result {
		if one.Err != nil {
			t.Fatalf("%s:\n%s", host, problem.Text(one.Err))
		}
	}
	return result
}

// From two hives to a plan, with systems of a module tree that has NixOS's
// interface.
func TestPlanOfRealSystems(t *testing.T) {
	base := evaluate(t, baseHive, nil)
	if hosts, missing, _ := planner.Hosts(base, evaluate(t, baseHive, nil), nil); len(hosts)+len(missing) != 0 {
		t.Errorf("a hive against itself: %+v %+v", hosts, missing)
	}
	known := planner.Known{Logins: map[string]planner.Login{"web": {Keys: []string{deployKey}}, "db": {Keys: []string{deployKey}}}}
	facts := fleet.Facts{"db": {IPv4: "192.0.2.77"}}

	for _, c := range []struct {
		name     string
		old, new string
		check    func(t *testing.T, h plans.Host)
	}{
		{"a page", `"one"`, `"two"`, func(t *testing.T, h plans.Host) {
			unit(t, h, "nginx.service", plans.EffectRestart, plans.EffectReload)
			if diff := cmp.Diff([]plans.File{{Path: "index.html", Unit: "nginx.service", Action: plans.Update, Diff: "@@ -1,1 +1,1 @@\n-one\n\\ No newline at end of file\n+two\n\\ No newline at end of file\n"}}, h.Files); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			risks(t, h)
		}},
		{"a virtual host", "www.example.org", "www.example.net", func(t *testing.T, h plans.Host) {
			unit(t, h, "nginx.service", plans.EffectRestart, plans.EffectReload)
			i := slices.IndexFunc(h.Files, func(f plans.File) bool { return strings.Contains(f.Unit, "nginx.service") })
			if i < 0 || h.Files[i].Path != "nginx.conf" || !strings.Contains(h.Files[i].Diff, "-    server_name www.example.org") && !strings.Contains(h.Files[i].Diff, "www.example.net") {
				t.Errorf("files are %+v", h.Files)
			}
		}},
		{"a port", "[ 80 ]", "[ 80 443 ]", func(t *testing.T, h plans.Host) {
			if diff := cmp.Diff([]plans.Port{{Protocol: "tcp", Port: "443", Opened: true}}, h.Ports); diff != "" {
				t.Error(diff)
			}
			risks(t, h, plans.RiskPort)
		}},
		{"a file", "hello", "goodbye", func(t *testing.T, h plans.Host) {
			i := slices.IndexFunc(h.Files, func(f plans.File) bool { return f.Path == "motd" })
			if i < 0 || h.Files[i].Diff != "@@ -1,1 +1,1 @@\n-hello\n+goodbye\n" {
				t.Errorf("files are %+v", h.Files)
			}
			risks(t, h)
		}},
		{"a unit gone", `systemd.services.job = { script = "true"; wantedBy = [ "multi-user.target" ]; };`, "", func(t *testing.T, h plans.Host) {
			unit(t, h, "job.service", plans.EffectStop)
			risks(t, h, plans.RiskStop)
		}},
		{"SSH off", "services.openssh.enable = true;", "", func(t *testing.T, h plans.Host) {
			if !slices.Contains(h.Lockout, "the SSH daemon is off") || !slices.Contains(h.Risks, plans.RiskAccess) {
				t.Errorf("lockout %q, risks %v", h.Lockout, h.Risks)
			}
		}},
		{"the deploy key gone", deployKey, strings.Replace(deployKey, "3NzaC1lZDI1NTE5AAAAIDtq", "3NzaC1lZDI1NTE5AAAAIDtr", 1), func(t *testing.T, h plans.Host) {
			if !slices.Contains(h.Lockout, "user root does not accept the deploy key") {
				t.Errorf("lockout %q", h.Lockout)
			}
		}},
		{"an unknown address", `"hello\n"`, "fleet.servers.db.ipv4", func(t *testing.T, h plans.Host) {
			if !h.AfterApply {
				t.Errorf("it is not said that it changes once known: %+v", h)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(baseHive, c.old) {
				t.Fatalf("the hive does not hold %q", c.old)
			}
			head := evaluate(t, strings.Replace(baseHive, c.old, c.new, 1), facts)
			known.Facts = facts
			hosts, missing, _ := planner.Compare(base, head, known)
			if len(missing) > 0 {
				t.Fatalf("missing %+v", missing)
			}
			i := slices.IndexFunc(hosts, func(h plans.Host) bool { return h.Name == "web" })
			if i < 0 {
				t.Fatalf("web does not change: %+v", hosts)
			}
			c.check(t, hosts[i])
		})
	}
}

func unit(t *testing.T, h plans.Host, name string, effects ...plans.Effect) {
	t.Helper()
	i := slices.IndexFunc(h.Units, func(u plans.Unit) bool { return u.Name == name })
	if i < 0 || !slices.Contains(effects, h.Units[i].Effect) || h.Units[i].Certainty != plans.IfRunning {
		t.Errorf("units are %+v", h.Units)
	}
}

func risks(t *testing.T, h plans.Host, want ...plans.Risk) {
	t.Helper()
	if !slices.Equal(h.Risks, append([]plans.Risk{}, want...)) {
		t.Errorf("risks are %v, want %v", h.Risks, want)
	}
}
