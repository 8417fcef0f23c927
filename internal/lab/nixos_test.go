//go:build integration

package lab

import (
	"strings"
	"testing"
)

// hasLine tells whether a switch said exactly this line.
func hasLine(out, line string) bool {
	for l := range strings.Lines(out) {
		if strings.TrimSpace(l) == line {
			return true
		}
	}
	return false
}

func wantLines(t *testing.T, out string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !hasLine(out, l) {
			t.Errorf("no line %q in\n%s", l, out)
		}
	}
}

// TestSwitch: what a switch does to each unit, file, user and port, and that it
// does what the dry run said.
func TestSwitch(t *testing.T) {
	b := newBuilder(t)
	older, newer := b.system(b.file("units-old.nix")), b.system(b.file("units-new.nix"))
	h := bootHost(t, "switch")
	snapshot := h.current()
	h.push(b, older)
	h.push(b, newer)

	if out, code := h.switchTo(older, "test"); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	if h.sh("hostname") != "switch" || h.current() != older {
		t.Errorf("runs %s as %s", h.current(), h.sh("hostname"))
	}
	h.sh("echo mine > /etc/lab/mine; systemctl is-active ticking.timer socketed.socket mnt-kept.mount mnt-gone.mount; id early")
	h.sh("systemctl start socketed.service")
	h.wantPage(80, "old")
	if got := h.get(8080); got != "" {
		t.Errorf("the firewall lets port 8080 through: %q", got)
	}
	if got := h.sh("curl -s http://127.0.0.1:8080"); got != "closed" {
		t.Errorf("port 8080 on the host itself: %q", got)
	}
	if h.banner(22) == "" || h.banner(2222) != "" {
		t.Error("sshd should answer on port 22 alone")
	}

	units := []string{
		"stopstart", "inplace", "reloaded", "kept", "triggered", "described", "unchanged", "stays", "instance@x", "sshd", "nginx", "dbus",
	}
	pids := h.mainPIDs(units...)

	dry, code := h.switchTo(newer, "dry-activate")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	stopped := "instance@x.service, masked.service, mnt-gone.mount, nginx.service, removed.service, socketed.service, socketed.socket, stopstart.service, systemd-tmpfiles-resetup.service"
	started := "instance@x.service, nginx.service, socketed.socket, stopstart.service, systemd-tmpfiles-resetup.service"
	wantLines(t, dry,
		"would stop the following units: "+stopped,
		"would NOT stop the following changed units: kept.service",
		"would activate the configuration...",
		"would reload the following units: firewall.service, mnt-kept.mount, reloaded.service, triggered.service",
		"would restart the following units: inplace.service, sshd.service, ticking.timer",
		"would start the following units: "+started,
	)
	if h.current() != older || h.mainPIDs("stopstart")["stopstart"] != pids["stopstart"] || h.get(80) != "old" {
		t.Error("a dry run changed something")
	}

	out, code := h.switchTo(newer, "test")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	wantLines(t, out,
		"stopping the following units: "+stopped,
		"NOT restarting the following changed units: kept.service",
		"activating the configuration...",
		"restarting sysinit-reactivation.target",
		"reloading the following units: firewall.service, mnt-kept.mount, reloaded.service, triggered.service",
		"restarting the following units: inplace.service, sshd.service, ticking.timer",
		"starting the following units: "+started,
		"the following new units were started: added.service, mnt-added.mount",
	)
	after := h.mainPIDs(units...)
	for unit, replaced := range map[string]bool{
		"stopstart": true, "inplace": true, "reloaded": false, "kept": false, "triggered": false, "described": false,
		"unchanged": false, "stays": false, "instance@x": true, "sshd": true, "nginx": true, "dbus": false,
	} {
		if after[unit] == "0" {
			t.Errorf("%s does not run", unit)
		}
		if got := after[unit] != pids[unit]; got != replaced {
			t.Errorf("%s: process replaced %v, want %v", unit, got, replaced)
		}
	}
	for _, gone := range []string{"removed", "masked", "idle"} {
		if out, code := h.run("systemctl", "is-active", gone); code == 0 {
			t.Errorf("%s is %s", gone, out)
		}
	}
	if got := h.sh("wc -l < /run/reloaded; wc -l < /run/triggered"); got != "1\n1" {
		t.Errorf("reloads: %q", got)
	}
	if got := h.sh("cat /etc/lab/same /etc/lab/changed /etc/lab/added /etc/lab/copied; cat /etc/lab/mine; stat -c %a /etc/lab/copied; ls -d /etc/lab/removed /etc/lab-gone 2>/dev/null || echo none"); got != "samenewnewnewmine\n640\nnone" {
		t.Errorf("/etc: %q", got)
	}
	h.sh("id -nG late | grep -w wheel && ! id early 2>/dev/null && test -d /var/lib/from-new && test -d /home/early")
	h.wantPage(80, "new")
	h.wantPage(8080, "closed")
	if h.banner(22) == "" || h.banner(2222) == "" {
		t.Error("sshd should answer on both ports")
	}

	// What is activated by a socket waits for its socket.
	h.sh("test -S /run/socketed.sock && systemctl is-active socketed.socket && ! systemctl is-active socketed.service")
	if got := h.sh("findmnt -n -o OPTIONS /mnt/kept; findmnt -n -o TARGET /mnt/added; findmnt /mnt/gone || echo gone"); !strings.Contains(got, "size=2048k") || !strings.HasSuffix(got, "/mnt/added\ngone") {
		t.Errorf("mounts: %s", got)
	}

	// The same system again changes nothing.
	out, code = h.switchTo(newer, "test")
	if code != 0 || strings.Contains(out, "ing the following") {
		t.Errorf("exit code %d: %s", code, out)
	}

	// test never made it the boot default.
	h.restart()
	if got := h.current(); got != snapshot {
		t.Errorf("after a restart runs %s, want %s", got, snapshot)
	}
	if got := h.sh("cat /etc/lab/mine; ls /etc/lab"); got != "mine\nmine" {
		t.Errorf("/etc/lab: %q", got)
	}
	if out, code := h.switchTo(newer, "boot"); code != 0 || h.current() != snapshot {
		t.Errorf("boot: exit code %d, runs %s: %s", code, h.current(), out)
	}
	bootID := h.sh("cat /proc/sys/kernel/random/boot_id")
	h.restart()
	if h.current() != newer || h.sh("readlink /run/booted-system") != newer {
		t.Errorf("after a restart runs %s", h.current())
	}
	h.wantPage(80, "new")
	if h.sh("cat /proc/sys/kernel/random/boot_id") == bootID {
		t.Error("the boot id stayed")
	}
	if out := h.sh("systemctl --failed --no-legend"); out != "" {
		t.Errorf("failed units: %s", out)
	}
}

// TestSwitchExitCodes: each exit code, and what it leaves behind.
func TestSwitchExitCodes(t *testing.T) {
	b := newBuilder(t)
	base := `{ networking.hostName = "codes"; services.openssh.enable = true; }`
	h := bootHost(t, "codes")
	snapshot := h.current()

	tests := []struct {
		name, module, action string
		code                 int
		lines                []string
		runs                 bool // whether it runs afterwards
		boots                bool // whether it is the boot default afterwards
	}{
		{"good", `{ }`, "test", 0, []string{"activating the configuration..."}, true, false},
		{"usage", `{ }`, "nonsense", 1, nil, false, false},
		{
			"refused by a check", `{ system.preSwitchChecks.never = "echo no; exit 1"; }`, "switch", 1,
			[]string{"Pre-switch check 'never' failed", "Pre-switch checks failed"}, false, false,
		},
		{
			"check alone", `{ environment.etc.unused.text = ""; }`, "check", 0, nil, false, false,
		},
		{
			"loader hook fails", `{ boot.loader.external = { enable = true; installHook = "/bin/false"; }; }`, "switch", 1,
			[]string{"Failed to install bootloader"}, false, false,
		},
		{
			"snippet fails", `{ system.activationScripts.bad = "echo bad; false"; }`, "test", 2,
			[]string{"Activation script snippet 'bad' failed (1)", "Failed to run activate script"}, true, false,
		},
		{
			"unit fails", `{ systemd.services.bad = { script = "exit 3"; wantedBy = [ "multi-user.target" ]; serviceConfig.Type = "oneshot"; }; }`, "switch", 4,
			[]string{"warning: the following units failed: bad.service"}, true, true,
		},
		{"nginx", `{ services.nginx.enable = true; }`, "test", 0, []string{"the following new units were started: nginx.service"}, true, false},
		{
			"nginx with a broken configuration", `{ services.nginx.enable = true; services.nginx.appendConfig = "nonsense"; }`, "test", 4,
			[]string{"starting the following units: nginx.service"}, true, false,
		},
		{
			"init interface", `{ pkgs, ... }: { systemd.package = pkgs.systemd // { interfaceVersion = 3; }; }`, "test", 100, nil, false, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t, b.t = t, t
			system := b.system(base, tt.module)
			h.push(b, system)
			was, booted := h.current(), h.boots()
			out, code := h.switchTo(system, tt.action)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			wantLines(t, out, tt.lines...)
			want := was
			if tt.runs {
				want = system
			}
			if got := h.current(); got != want {
				t.Errorf("runs %s, want %s", got, want)
			}
			want = booted
			if tt.boots {
				want = system
			}
			if got := h.boots(); got != want {
				t.Errorf("boots %s, want %s", got, want)
			}
		})
	}
	h.t, b.t = t, t

	if _, code := h.run("flock", "/run/nixos/switch-to-configuration.lock", snapshot+"/bin/switch-to-configuration", "test"); code != 11 {
		t.Errorf("with the lock taken: exit code %d, want 11", code)
	}

	// As the product does it: in a transient unit, over a re-exec of systemd,
	// with the loader's hook called.
	system := b.system(base, `{
		systemd.settings.Manager.DefaultTimeoutStopSec = "17s";
		boot.loader.external = { enable = true; installHook = "/root/hook"; };
	}`)
	h.push(b, system)
	h.sh(`printf '#!/bin/sh\necho "$1" > /root/hooked\n' > /root/hook && chmod 755 /root/hook`)
	out, code := h.run("systemd-run", "--wait", "--collect", "--service-type=exec", "-p", "StandardError=append:/var/log/switch",
		system+"/bin/switch-to-configuration", "switch")
	if code != 0 {
		t.Errorf("in a unit: exit code %d: %s", code, out)
	}
	wantLines(t, h.sh("cat /var/log/switch"), "restarting systemd...")
	if got := h.sh("systemctl show -P DefaultTimeoutStopUSec; cat /root/hooked"); got != "17s\n"+system || h.boots() != system {
		t.Errorf("after the switch: %s", got)
	}

	// Back to where it came from, in one go.
	if out, code := h.switchTo(snapshot, "switch"); code != 0 || h.current() != snapshot {
		t.Errorf("exit code %d: %s", code, out)
	}
}

// TestSwitchHooks: what activation scripts may ask for, and what a killed
// switch leaves to the next one.
func TestSwitchHooks(t *testing.T) {
	b := newBuilder(t)
	base := `{
		networking.hostName = "hooks";
		services.openssh.enable = true;
		systemd.services.asked = { script = "exec sleep infinity"; wantedBy = [ "multi-user.target" ]; };
		systemd.services.reloads = { script = "exec sleep infinity"; reload = "touch /run/reloaded-by-request"; wantedBy = [ "multi-user.target" ]; };
	}`
	asking := `{
		system.activationScripts.ask = {
			supportsDryActivation = true;
			text = ''
				prefix=
				if [ "$NIXOS_ACTION" = dry-activate ]; then prefix=dry-; fi
				echo asked.service > /run/nixos/''${prefix}activation-restart-list
				echo reloads.service > /run/nixos/''${prefix}activation-reload-list
			'';
		};
	}`
	slow := `{ system.activationScripts.slow = "sleep 60"; systemd.services.asked.environment.V = "2"; }`
	h := bootHost(t, "hooks")
	plain, asks, hangs := b.system(base), b.system(base, asking), b.system(base, slow)
	for _, s := range []string{plain, asks, hangs} {
		h.push(b, s)
	}
	if out, code := h.switchTo(plain, "test"); code != 0 {
		t.Fatalf("exit code %d: %s", code, out)
	}
	pids := h.mainPIDs("asked", "reloads")
	out, code := h.switchTo(asks, "dry-activate")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantLines(t, out, "would restart the following units: asked.service", "would reload the following units: reloads.service")
	out, code = h.switchTo(asks, "test")
	if code != 0 {
		t.Errorf("exit code %d", code)
	}
	wantLines(t, out, "restarting the following units: asked.service", "reloading the following units: reloads.service")
	now := h.mainPIDs("asked", "reloads")
	if now["asked"] == pids["asked"] || now["reloads"] != pids["reloads"] {
		t.Errorf("processes: %v, before: %v", now, pids)
	}
	h.sh("test -e /run/reloaded-by-request")

	// Killed while it activates: the changed unit is down, the list says so,
	// and the way back starts it.
	h.sh("systemd-run --unit=switch-test --service-type=exec " + hangs + "/bin/switch-to-configuration test")
	h.sh("for i in $(seq 100); do pgrep -x sleep -a | grep -q '^[0-9]* sleep 60' && exit 0; sleep 0.1; done; exit 1")
	h.sh("systemctl kill --signal=KILL switch-test")
	if got, code := h.run("systemctl", "is-active", "asked"); code == 0 {
		t.Errorf("asked.service is %s", got)
	}
	if got := h.sh("cat /run/nixos/start-list"); !strings.Contains(got, "asked.service") {
		t.Errorf("start-list: %q", got)
	}
	if out, code := h.switchTo(asks, "test"); code != 0 {
		t.Errorf("exit code %d: %s", code, out)
	}
	h.sh("systemctl is-active asked; ! test -e /run/nixos/start-list")
}
