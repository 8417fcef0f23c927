package lab

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// change is an edit of changes-base.nix.
type change struct{ name, old, new string }

// changes are what plans are shown for (TestChanges), and switches are made
// with (TestPredictions).
func changes() []change {
	const anna = `      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA6rWI3G1sz07DnfFlrouTcysQlj2P+jpNSOEWD9OJ3X anna"` + "\n"
	return []change{
		{"nothing", "# The host that", "# That host which"},
		{"page", "200 one", "200 two"},
		{"site-added", `services.nginx.virtualHosts."www.example.org".`, `services.nginx.virtualHosts."shop.example.org".locations."/".proxyPass = "http://127.0.0.1:3000";` + "\n" + `    services.nginx.virtualHosts."www.example.org".`},
		{"site-renamed", `services.nginx.virtualHosts."www.example.org".`, `services.nginx.virtualHosts."www.example.net".`},
		{"site-alias", `services.nginx.virtualHosts."www.example.org".`, `services.nginx.virtualHosts."www.example.org".serverAliases = [ "example.org" ];` + "\n" + `    services.nginx.virtualHosts."www.example.org".`},
		{"nginx-off", "services.nginx.enable = true;", "services.nginx.enable = false;"},
		{"certificate", `security.acme.certs."mail.example.org" = { };`, `security.acme.certs."mail.example.org".extraDomainNames = [ "imap.example.org" ];`},
		{"port-opened", "[ 80 8080 ]", "[ 80 443 8080 ]"},
		{"port-closed", "[ 80 8080 ]", "[ 80 ]"},
		{"firewall-off", "networking.firewall.allowedTCPPorts", "networking.firewall.enable = false;\n    networking.firewall.allowedTCPPorts"},
		{"file", `"hello\n"`, `"goodbye\n"`},
		{"unit-added", "      removed = daemon;", "      removed = daemon;\n      added = daemon;"},
		{"unit-removed", "      removed = daemon;\n", ""},
		{"unit-masked", "      removed = daemon;", "      removed = daemon // { enable = false; };"},
		{"unit-restarted", `needed = daemon // { environment.V = "1";`, `needed = daemon // { environment.V = "2";`},
		{"unit-in-place", `stopIfChanged = false; environment.V = "1"`, `stopIfChanged = false; environment.V = "2"`},
		{"unit-reload-trigger", `reloadTriggers = [ "1" ]`, `reloadTriggers = [ "2" ]`},
		{"unit-reload-if-changed", `reload = "true"; environment.V = "1"`, `reload = "true"; environment.V = "2"`},
		{"unit-kept", `restartIfChanged = false; environment.V = "1"`, `restartIfChanged = false; environment.V = "2"`},
		{"unit-described", `description = "one"`, `description = "two"`},
		{"unit-idle", `idle = { script = "exec sleep infinity"; environment.V = "1"`, `idle = { script = "exec sleep infinity"; environment.V = "2"`},
		{"template", `"worker@" = { script = "exec sleep infinity"; environment.V = "1"`, `"worker@" = { script = "exec sleep infinity"; environment.V = "2"`},
		{"instance-gone", `[ "worker@a.service" "worker@b.service" ]`, `[ "worker@a.service" ]`},
		{"socket-service", `socketed = { script = "exec sleep infinity"; environment.V = "1"`, `socketed = { script = "exec sleep infinity"; environment.V = "2"`},
		{"socket-moved", "/run/socketed.sock", "/run/moved.sock"},
		{"timer", `OnCalendar = "2037-01-01"`, `OnCalendar = "2037-02-01"`},
		{"path-unit", "/run/watched-one", "/run/watched-two"},
		{"package-removed", "environment.systemPackages = [ pkgs.hello ];", "environment.systemPackages = [ ];"},
		{"package-version", "[ pkgs.hello ]", `[ (pkgs.hello.overrideAttrs (_: { version = "2.12.2"; })) ]`},
		{"kernel", "pkgs.linuxPackages;", "pkgs.linuxPackages_latest;"},
		{"kernel-params", `[ "quiet" ]`, `[ "quiet" "mitigations=off" ]`},
		{"sysctl", `"vm.swappiness" = 10`, `"vm.swappiness" = 20`},
		{"user-added", "    users.users.anna", "    users.users.bob = { isNormalUser = true; };\n    users.users.anna"},
		{"wheel", `[ "video" ]`, `[ "video" "wheel" ]`},
		{"key-removed", anna, ""},
		{"deploy-key-removed", `      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop deploy"` + "\n", ""},
		{"sshd-moved", "[ 22 ]", "[ 2222 ]"},
		{"sshd-passwords", "PasswordAuthentication = true", "PasswordAuthentication = false"},
		{"sshd-off", "services.openssh.enable = true", "services.openssh.enable = false"},
		{"sudo", "wheelNeedsPassword = true", "wheelNeedsPassword = false"},
		{"container-image", "redis:7.2", "redis:8.0"},
		{"container-added", "virtualisation.oci-containers.containers.cache", `virtualisation.oci-containers.containers.queue.image = "docker.io/library/rabbitmq:4.1";` + "\n    virtualisation.oci-containers.containers.cache"},
		{"postgresql-major", "pkgs.postgresql_16", "pkgs.postgresql_17"},
		{"mount-added", `    fileSystems."/srv/data"`, `    fileSystems."/srv/more" = { device = "none"; fsType = "tmpfs"; };` + "\n" + `    fileSystems."/srv/data"`},
		{"mount-removed", `    fileSystems."/srv/data" = { device = "/var/lib/data"; fsType = "none"; options = [ "bind" ]; };` + "\n", ""},
		{"mount-options", "size=1m", "size=2m"},
		{"secret-added", `    sops.secrets."api/token"`, `    sops.secrets.smtp = { sopsFile = ./one.yaml; owner = "anna"; };` + "\n" + `    systemd.services.mail = daemon // { environment.PASSWORD_FILE = "/run/secrets/smtp"; };` + "\n" + `    sops.secrets."api/token"`},
		{"secret-changed", "./one.yaml", "./two.yaml"},
		{"secret-removed", `    sops.secrets."api/token" = { sopsFile = ./one.yaml; restartUnits = [ "api.service" ]; };` + "\n", ""},
		{"host-name", `networking.hostName = "machine"`, `networking.hostName = "www"`},
		{"state-version", `"25.11"`, `"26.05"`},
		{"deploy-user", "    networking.hostName", `    deployment.targetUser = "deploy";` + "\n    networking.hostName"},
	}
}

// evaluateChanges evaluates the base (as "base") and each change (by name)
// with a NixOS tree, as a plan does: restricted, or trusted to build them.
func evaluateChanges(t *testing.T, tree string, all []change, trusted bool) (*nix.Evaluator, map[string]plans.System) {
	t.Helper()
	base, err := os.ReadFile(filepath.Join("nixos", "testdata", "changes-base.nix"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const before = "base"
	names, hive := []string{before}, "{\n  base = ./base.nix;\n"
	write("base.nix", string(base))
	write("one.yaml", "one")
	write("two.yaml", "two")
	for _, c := range all {
		if strings.Count(string(base), c.old) == 0 {
			t.Fatalf("%s: the base does not hold %q", c.name, c.old)
		}
		write(c.name+".nix", strings.Replace(string(base), c.old, c.new, 1))
		names, hive = append(names, c.name), hive+fmt.Sprintf("  %s = ./%s.nix;\n", c.name, c.name)
	}
	write("hive.nix", hive+"}\n")
	e := nix.New(nix.Options{NixPath: "nixpkgs=" + tree})
	systems := map[string]plans.System{}
	for name, one := range e.Evaluate(t.Context(), nix.Source{Dir: dir, Hive: fleet.Hive{File: "hive.nix"}, Trusted: trusted}, names, nil) {
		if one.Err != nil {
			t.Fatalf("%s:\n%s", name, problem.Text(one.Err))
		}
		if one.System.Partial != "" {
			t.Fatalf("%s: partial: %s", name, one.System.Partial)
		}
		one.System.Host = "machine"
		systems[name] = one.System
	}
	return e, systems
}

func planOf(old, new plans.System, running []string) (hosts []plans.Host, missing []plans.Gap) {
	at := func(s plans.System) map[string]plans.Evaluation {
		return map[string]plans.Evaluation{"machine": {System: s}}
	}
	known := planner.Known{Logins: map[string]planner.Login{"machine": {
		User: new.Deployment.TargetUser, Port: new.Deployment.TargetPort,
		Keys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop deploy"},
	}}}
	if running != nil {
		known.Running = map[string][]string{"machine": running}
	}
	hosts, missing, _ = planner.Compare(at(old), at(new), known)
	return hosts, missing
}

// TestChanges shows the plan of each change in all forms, as evaluation of the
// small NixOS tree tells it.
func TestChanges(t *testing.T) {
	tree, err := filepath.Abs(filepath.Join("nixos", "tree"))
	if err != nil {
		t.Fatal(err)
	}
	all := changes()
	_, systems := evaluateChanges(t, tree, all, false)
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			hosts, missing := planOf(systems["base"], systems[c.name], nil)
			for i := range hosts { // hashes change with every file of the tree
				hosts[i].Old, hosts[i].New = storepath.Path{}, storepath.Path{}
			}
			plan := planner.Assemble(planner.Input{
				Fleet: "acme", Base: plans.Revision{Commit: strings.Repeat("a", 40)}, Head: plans.Revision{Commit: strings.Repeat("b", 40), Subject: c.name},
				Hosts: hosts, Missing: missing, Current: &plans.Current{},
			})
			var text, form bytes.Buffer
			if err := render.PlanText(&text, plan, render.Options{}); err != nil {
				t.Fatal(err)
			}
			if err := render.PlanJSON(&form, plan); err != nil {
				t.Fatal(err)
			}
			got := txtar.Format(&txtar.Archive{
				Comment: fmt.Appendf(nil, "-%s\n+%s\n\n", strings.ReplaceAll(strings.TrimRight(c.old, "\n"), "\n", "\n-"), strings.ReplaceAll(strings.TrimRight(c.new, "\n"), "\n", "\n+")),
				Files: []txtar.File{
					{Name: "plan.txt", Data: text.Bytes()},
					{Name: "plan.md", Data: []byte(render.PlanMarkdown(plan, render.Budget{}))},
					{Name: "plan.json", Data: form.Bytes()},
				},
			})
			file := filepath.Join("testdata", "changes", c.name+".txtar")
			if *update {
				if err := os.WriteFile(file, got, 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), string(got)); d != "" {
				t.Errorf("%s (-want +got), accept with: go test ./internal/lab -run TestChanges -update\n%s", file, d)
			}
		})
	}
	files, err := filepath.Glob(filepath.Join("testdata", "changes", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		if !slices.ContainsFunc(all, func(c change) bool { return c.name == name }) {
			t.Errorf("%s belongs to no change", file)
		}
	}
}
