package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var updateGolden = flag.Bool("update-options", false, "write the list of options in nixos/README.md anew")

// evaluate runs nix-instantiate on an expression that may use lib, types (from
// the tree) and tree (its path). It gives stdout, or the error text.
func evaluate(t *testing.T, expr string) (string, error) {
	t.Helper()
	tree, err := filepath.Abs(filepath.FromSlash(treeRoot))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	whole := fmt.Sprintf(`let tree = %s; lib = import (tree + "/lib"); inherit (lib) types mkOption mkIf mkMerge mkForce mkDefault mkBefore mkAfter mkOrder mkOverride;
		eval = modules: (lib.evalModules { inherit modules; }).config;
		host = modules: import (tree + "/nixos/lib/eval-config.nix") { system = "x86_64-linux"; inherit modules; };
		option = type: { options.x = mkOption { inherit type; }; };
		in %s`, tree, expr)
	cmd := exec.CommandContext(ctx, "nix-instantiate", "--eval", "--strict", "--json", "-E", whole)
	cmd.Env = append(os.Environ(), "NIX_REMOTE=dummy://")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatalf("nix-instantiate: %v", err)
		}
		return "", errors.New(stderr.String())
	}
	return strings.TrimSpace(stdout.String()), nil
}

func TestModuleSystem(t *testing.T) {
	tests := []struct{ name, expr, want string }{
		{"a plain definition", `(eval [ (option types.int) { x = 3; } ]).x`, `3`},
		{"default", `(eval [ { options.x = mkOption { type = types.str; default = "d"; }; } ]).x`, `"d"`},
		{"mkDefault beats default", `(eval [ { options.x = mkOption { type = types.str; default = "d"; }; } { x = mkDefault "m"; } ]).x`, `"m"`},
		{"plain beats mkDefault", `(eval [ (option types.str) { x = mkDefault "m"; } { x = "p"; } ]).x`, `"p"`},
		{"mkForce beats plain", `(eval [ (option types.str) { x = mkForce "f"; } { x = "p"; } ]).x`, `"f"`},
		{"mkOverride by number", `(eval [ (option types.str) { x = mkOverride 10 "o"; } { x = mkForce "f"; } ]).x`, `"o"`},
		{"mkIf true", `(eval [ (option types.int) { x = mkIf true 1; } ]).x`, `1`},
		{"mkIf false leaves the default", `(eval [ { options.x = mkOption { type = types.int; default = 7; }; } { x = mkIf false 1; } ]).x`, `7`},
		{"mkIf on a whole set", `(eval [ (option types.int) (mkIf true { x = 1; }) ]).x`, `1`},
		{"mkMerge", `(eval [ (option (types.listOf types.int)) { x = mkMerge [ [ 1 ] (mkIf false [ 2 ]) [ 3 ] ]; } ]).x`, `[1,3]`},
		{"order", `(eval [ (option (types.listOf types.int)) { x = mkAfter [ 3 ]; } { x = [ 2 ]; } { x = mkBefore [ 1 ]; } { x = mkOrder 1600 [ 4 ]; } ]).x`, `[1,2,3,4]`},
		{"order inside priority", `(eval [ (option (types.listOf types.int)) { x = mkForce (mkMerge [ [ 2 ] (mkBefore [ 1 ]) ]); } { x = [ 9 ]; } ]).x`, `[1,2]`},
		{"config from config", `(eval [ ({ config, ... }: { options = { x = mkOption { type = types.int; }; y = mkOption { type = types.int; }; }; config.y = config.x + 1; }) { x = 1; } ]).y`, `2`},
		{"imports: functions, sets, nested", `(eval [ { imports = [ ({ ... }: { imports = [ (option types.int) ]; }) ]; } { x = 1; } ]).x`, `1`},
		{"the same key once", `(eval [ (option (types.listOf types.int)) { key = "k"; x = [ 1 ]; } { key = "k"; x = [ 1 ]; } ]).x`, `[1]`},
		{"disabledModules", `(eval [ (option (types.listOf types.int)) { key = "k"; x = [ 1 ]; } { disabledModules = [ { key = "k"; } ]; x = [ 2 ]; } ]).x`, `[2]`},
		{"_module.args", `(eval [ (option types.int) { _module.args.n = 5; } ({ n, ... }: { x = n; }) ]).x`, `5`},
		{"specialArgs in imports", `(lib.evalModules { specialArgs.m = option types.int; modules = [ ({ m, ... }: { imports = [ m ]; x = 2; }) ]; }).config.x`, `2`},
		{"_module.check = false", `(eval [ (option types.int) { _module.check = false; x = 1; nowhere = 2; } ]).x`, `1`},
		{"freeform", `eval [ { freeformType = types.attrsOf types.int; options.x = mkOption { type = types.int; default = 1; }; } { y = 2; } ]`, `{"x":1,"y":2}`},
		{"freeform inside", `(eval [ { options.s = mkOption { default = { }; type = types.submodule { freeformType = types.attrsOf (types.attrsOf types.str); options.a = mkOption { type = types.int; default = 0; }; }; }; } { s.b.c = "d"; } { s.b.e = "f"; } ]).s`, `{"a":0,"b":{"c":"d","e":"f"}}`},
		{"submodule knows its name", `(eval [ (option (types.attrsOf (types.submodule ({ name, ... }: { options.n = mkOption { type = types.str; default = name; }; })))) { x.a = { }; x.b.n = "c"; } ]).x`, `{"a":{"n":"a"},"b":{"n":"c"}}`},
		{"submodule from a function", `(eval [ (option (types.submodule { options.n = mkOption { type = types.int; }; options.m = mkOption { type = types.int; }; })) { x = { config, ... }: { m = config.n + 1; }; } { x.n = 1; } ]).x`, `{"m":2,"n":1}`},
		{"two declarations of a submodule", `(eval [ (option (types.submodule { options.a = mkOption { type = types.int; }; })) (option (types.submodule { options.b = mkOption { type = types.int; }; })) { x = { a = 1; b = 2; }; } ]).x`, `{"a":1,"b":2}`},
		{"attrsOf drops mkIf false", `(eval [ (option (types.attrsOf types.int)) { x = { a = 1; b = mkIf false 2; }; } ]).x`, `{"a":1}`},
		{"lazyAttrsOf is lazy", `(eval [ (option (types.lazyAttrsOf types.int)) { x = { a = 1; b = throw "b"; }; } ]).x.a`, `1`},
		{"apply", `(eval [ { options.x = mkOption { type = types.int; apply = n: n * 2; }; } { x = 4; } ]).x`, `8`},
		{"lines", `(eval [ (option types.lines) { x = "b"; } { x = mkBefore "a"; } ]).x`, `"a\nb"`},
		{"separatedString", `(eval [ (option (types.separatedString ":")) { x = "a"; } { x = "b"; } ]).x`, `"a:b"`},
		{"nullOr", `map (v: (eval [ (option (types.nullOr types.int)) { x = v; } ]).x) [ null 1 ]`, `[null,1]`},
		{"enum", `(eval [ (option (types.enum [ "a" "b" ])) { x = "b"; } ]).x`, `"b"`},
		{"either", `map (v: (eval [ (option (types.either types.int (types.listOf types.int))) { x = v; } ]).x) [ 1 [ 2 ] ]`, `[1,[2]]`},
		{"oneOf", `map (v: (eval [ (option (types.oneOf [ types.int types.bool types.str ])) { x = v; } ]).x) [ 1 true "s" ]`, `[1,true,"s"]`},
		{"coercedTo", `(eval [ (option (types.coercedTo types.int toString types.str)) { x = 1; } ]).x`, `"1"`},
		{"functionTo", `(eval [ (option (types.functionTo (types.listOf types.int))) { x = n: [ n ]; } { x = n: [ (n + 1) ]; } ]).x 1`, `[1,2]`},
		{"anything merges sets", `(eval [ (option types.anything) { x.a.b = 1; } { x.a.c = 2; } ]).x`, `{"a":{"b":1,"c":2}}`},
		{"same strings agree", `(eval [ (option types.str) { x = "s"; } { x = "s"; } ]).x`, `"s"`},
		{"addCheck", `(eval [ (option (types.addCheck types.int (n: n > 2))) { x = 3; } ]).x`, `3`},
		{"options know where they come from", `(lib.evalModules { modules = [ (option types.int) { _file = "a.nix"; x = 1; } ]; }).options.x.files`, `["a.nix"]`},
		{"highestPrio", `(lib.evalModules { modules = [ (option types.int) { x = mkForce 1; } ]; }).options.x.highestPrio`, `50`},
		{"extendModules", `((lib.evalModules { modules = [ (option types.int) { x = 1; } ]; }).extendModules { modules = [ { x = mkForce 2; } ]; }).config.x`, `2`},
		{"renamed options", `(eval [ (option types.int) { options.warnings = mkOption { type = types.listOf types.str; }; } (lib.mkRenamedOptionModule [ "old" ] [ "x" ]) { old = 3; } ]).x`, `3`},
		{"order of snippets", `lib.textClosureList { a = { deps = [ "c" ]; text = "a"; }; b = { deps = [ "a" ]; text = "b"; }; c = { deps = [ ]; text = "c"; }; } [ "b" "a" ]`, `["c","a","b"]`},
		{"shell words", `lib.escapeShellArgs [ "a b" "it's" "plain" ]`, `"'a b' 'it'\\''s' plain"`},
		{"ini", `lib.generators.toINI { } { s = { a = 1; b = true; }; }`, `"[s]\na=1\nb=true\n"`},
		{"versions", `[ (lib.versionAtLeast "25.11" "25.05") (lib.versionAtLeast "24.11" "25.05") ]`, `[true,false]`},

		{"unit text", `(host [ { systemd.services.a = { description = "A"; after = [ "b.service" "c.service" ]; enableDefaultPath = false; serviceConfig = { ExecStart = [ "x" "y" ]; PrivateTmp = true; }; restartIfChanged = false; wantedBy = [ "multi-user.target" ]; environment.K = "a \"b\""; }; } ]).config.systemd.units."a.service".text`,
			`"[Unit]\nAfter=b.service c.service\nDescription=A\n\n[Service]\nEnvironment=\"K=a \\\"b\\\"\"\nX-RestartIfChanged=false\nExecStart=x\nExecStart=y\nPrivateTmp=true\n\n[Install]\nWantedBy=multi-user.target\n"`},
		{"startAt makes a timer", `(host [ { systemd.services.a = { startAt = "daily"; script = "true"; }; } ]).config.systemd.timers.a.timerConfig`, `{"OnCalendar":["daily"]}`},
		{"ports open, sorted, once", `(host [ { services.openssh.enable = true; networking.firewall.allowedTCPPorts = [ 443 80 443 ]; } ]).config.networking.firewall.allowedTCPPorts`, `[22,80,443]`},
		{"overlays", `(host [ ({ pkgs, ... }: { nixpkgs.overlays = [ (final: prev: { hello = prev.hello.overrideAttrs { version = "3"; }; }) ]; environment.systemPackages = [ pkgs.hello ]; }) ]).pkgs.hello.name`, `"hello-3"`},
		{"pkgs given", `(import (tree + "/nixos/lib/eval-config.nix") { modules = [ ({ pkgs, ... }: { networking.hostName = pkgs.mark; }) ]; pkgs = (import tree { }) // { mark = "m"; }; }).config.networking.hostName`, `"m"`},
		{"the library as a flake has it", `(lib.nixosSystem { modules = [ { networking.hostName = "f"; } ]; }).config.networking.hostName`, `"f"`},
	}
	var all strings.Builder
	for i, tt := range tests {
		fmt.Fprintf(&all, "t%d = %s;\n", i, tt.expr)
	}
	out, err := evaluate(t, "{ "+all.String()+" }")
	if err != nil {
		// One of them ends the evaluation of all: find out which.
		for _, tt := range tests {
			if _, err := evaluate(t, tt.expr); err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
		}
		t.FailNow()
	}
	got := map[string]json.RawMessage{}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	for i, tt := range tests {
		var g, w any
		if err := errors.Join(json.Unmarshal(got[fmt.Sprintf("t%d", i)], &g), json.Unmarshal([]byte(tt.want), &w)); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		gotText, _ := json.Marshal(g)
		wantText, _ := json.Marshal(w)
		if !bytes.Equal(gotText, wantText) {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, gotText, wantText)
		}
	}
}

func TestModuleSystemErrors(t *testing.T) {
	tests := []struct {
		name, expr string
		want       []string
	}{
		{"undeclared", `(eval [ (option types.int) { _file = "f.nix"; x = 1; y.z = 2; } ]).x`, []string{"The option `y' does not exist. Definition values:", "- In `f.nix'"}},
		{"undeclared below", `(host [ { _file = "f.nix"; services.nginx.virtualHost.a = { }; } ]).config.networking.hostName`, []string{"The option `services.nginx.virtualHost' does not exist", "`f.nix'"}},
		{"undeclared in a submodule", `(host [ { _file = "f.nix"; services.nginx.virtualHosts.a.rot = "/"; } ]).config.services.nginx.virtualHosts.a.root`, []string{"The option `services.nginx.virtualHosts.a.rot' does not exist", "`f.nix'"}},
		{"wrong type", `(eval [ (option types.int) { _file = "f.nix"; x = "1"; } ]).x`, []string{"A definition for option `x' is not of type `signed integer'. Definition values:", "- In `f.nix': \"1\""}},
		{"wrong type in a list", `(eval [ (option (types.listOf types.port)) { x = [ 70000 ]; } ]).x`, []string{`x."[definition 1-entry 1]"`, "16 bit unsigned integer", "70000"}},
		{"two values", `(eval [ (option types.str) { _file = "a.nix"; x = "a"; } { _file = "b.nix"; x = "b"; } ]).x`, []string{"The option `x' has conflicting definition values:", "- In `a.nix': \"a\"", "- In `b.nix': \"b\"", "Use `lib.mkForce value` or `lib.mkDefault value`"}},
		{"two packages", `(host [ { services.nginx.package = (import tree { }).nginx; } { services.nginx.package = (import tree { }).hello; } ]).config.services.nginx.package.name`, []string{"The option `services.nginx.package' is defined multiple times while it's expected to be unique."}},
		{"no value", `(eval [ (option types.int) ]).x`, []string{"The option `x' was accessed but has no value defined. Try setting the option."}},
		{"read-only twice", `(eval [ { options.x = mkOption { type = types.int; readOnly = true; }; } { x = 1; } { x = 2; } ]).x`, []string{"The option `x' is read-only, but it's set multiple times."}},
		{"declared twice", `(eval [ (option types.int) (option types.str) ]).x`, []string{"The option `x' in", "is already declared in"}},
		{"not an enum", `(eval [ (option (types.enum [ "a" "b" ])) { x = "c"; } ]).x`, []string{"one of \"a\", \"b\""}},
		{"null and not null", `(eval [ (option (types.nullOr types.int)) { x = null; } { x = 1; } ]).x`, []string{"is defined both null and not null"}},
		{"config beside other keys", `(eval [ (option types.int) { config.x = 1; y = 2; } ]).x`, []string{"has an unsupported attribute `y'"}},
		{"a value where a set of options is", `(host [ { _file = "f.nix"; services = 3; } ]).config.networking.hostName`, []string{"The option path `services' is an attribute set of options", "f.nix"}},
		{"an option in config", `(eval [ (option types.int) { config.z = mkOption { }; } ]).x`, []string{"trying to declare an option by placing it into `config' rather than `options'"}},
		{"not a module", `(eval [ 3 ])`, []string{"Expected a module, but found a value of type int"}},
		{"a condition that is none", `(eval [ (option types.int) { x = mkIf 1 1; } ]).x`, []string{"`mkIf' called with a non-Boolean condition"}},
		{"assertion", `(host [ { assertions = [ { assertion = false; message = "no such thing"; } ]; } ]).config.system.build.toplevel.drvPath`, []string{"Failed assertions:", "- no such thing"}},
		{"user without a group", `(host [ { users.users.a.isSystemUser = true; } ]).config.system.build.toplevel.drvPath`, []string{"users.users.a.group is unset"}},
		{"unknown argument", `(eval [ (option types.int) ({ nothing, ... }: { x = nothing; }) ]).x`, []string{"attribute 'nothing' missing"}},
		{"deployment is not the tree's", `(host [ { deployment.tags = [ "a" ]; } ]).config.networking.hostName`, []string{"The option `deployment' does not exist"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := evaluate(t, tt.expr)
			if err == nil {
				t.Fatalf("no error, but %s", out)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in\n%v", w, err)
				}
			}
		})
	}
}

// One host's evaluation is cheap: a fleet of them is evaluated in tests.
func TestEvaluationTime(t *testing.T) {
	best := time.Hour
	for range 3 {
		begun := time.Now()
		if _, err := evaluate(t, `(host [ { services.openssh.enable = true; services.nginx.enable = true; services.nginx.virtualHosts.a = { }; } ]).config.system.build.toplevel.drvPath`); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(begun))
	}
	t.Logf("one host: %v", best.Round(time.Millisecond))
	if best > time.Second {
		t.Errorf("one host takes %v, want less than a second", best)
	}
}

// The list of options in the README is what the tree has.
func TestOptionsInReadme(t *testing.T) {
	out, err := evaluate(t, `let e = host [ ]; in map (o: { inherit (o) name type; }) (lib.filter (o: !o.internal && o.visible) (lib.optionAttrSetToDocList e.options))`)
	if err != nil {
		t.Fatal(err)
	}
	var options []struct{ Name, Type string }
	if err := json.Unmarshal([]byte(out), &options); err != nil {
		t.Fatal(err)
	}
	if len(options) < 200 {
		t.Fatalf("only %d options", len(options))
	}
	list := "\n```\n"
	for _, o := range options {
		list += o.Name + ": " + strings.ReplaceAll(o.Type, "\n", `\n`) + "\n"
	}
	list += "```\n"
	file := filepath.Join("nixos", "README.md")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- options -->", "<!-- end of options -->"
	head, rest, found := strings.Cut(string(data), begin)
	old, tail, found2 := strings.Cut(rest, end)
	if !found || !found2 {
		t.Fatalf("%s has no %s … %s", file, begin, end)
	}
	if *updateGolden {
		if err := os.WriteFile(file, []byte(head+begin+list+end+tail), 0o644); err != nil { //nolint:gosec // documentation
			t.Fatal(err)
		}
		return
	}
	if old != list {
		t.Errorf("%s is out of date: run go test ./internal/lab -run TestOptionsInReadme -update-options", file)
	}
}
