//go:build integration

package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lines are what a switch says, without what activation scripts add.
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
			was, booted := h.current(), h.sh("cat /boot/loader/default")
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
			if got := h.sh("cat /boot/loader/default"); got != want {
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
	if got := h.sh("systemctl show -P DefaultTimeoutStopUSec; cat /root/hooked /boot/loader/default"); got != "17s\n"+system+"\n"+system {
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

// TestBootWithoutSystem: a boot default that is gone boots nothing, and the
// machine stays on until it is switched off.
func TestBootWithoutSystem(t *testing.T) {
	h := bootHost(t, "nothing")
	h.sh("echo /nix/store/00000000000000000000000000000000-gone > /boot/loader/default")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if out, err := docker(ctx, nil, "restart", h.name); err != nil {
		t.Fatalf("restart: %v %s", err, out)
	}
	if got := h.sh("cat /proc/1/comm"); got != "lab-init" {
		t.Errorf("process 1 is %s", got)
	}
	if h.banner(22) != "" {
		t.Error("sshd answers")
	}
	begun := time.Now()
	if out, err := docker(ctx, nil, "stop", h.name); err != nil {
		t.Fatalf("stop: %v %s", err, out)
	}
	if took := time.Since(begun); took > 8*time.Second {
		t.Errorf("switched off only after %v", took)
	}
}

// TestFirstBoot: what a provider puts on the disk counts from the first boot
// on, in both images, and the commands run once.
func TestFirstBoot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	images, err := EnsureImages(ctx, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(ctx, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/key").CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v %s", err, out)
	}
	key, err := os.ReadFile(dir + "/key") //nolint:gosec // the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(dir + "/key.pub") //nolint:gosec // the test's own folder
	if err != nil {
		t.Fatal(err)
	}
	for name, image := range map[string]string{"debian": images.Debian, "nixos": images.NixOS} {
		t.Run(name, func(t *testing.T) {
			h := startHost(ctx, t, "first-"+name, image, map[string]string{
				"/etc/ssh/ssh_host_ed25519_key":     string(key),
				"/etc/ssh/ssh_host_ed25519_key.pub": string(public),
				"/root/.ssh/authorized_keys":        string(public),
				"/var/lib/lab/addresses":            "# private\n10.11.12.13/24\n",
				"/var/lib/cloud/scripts/runcmd":     "#!/bin/sh\necho once >> /root/ran\necho said\n",
			})
			if out := h.sh("ip -o address show eth0"); !strings.Contains(out, "10.11.12.13/24") {
				t.Errorf("addresses: %s", out)
			}
			if out := h.sh("systemctl --failed --no-legend"); out != "" {
				t.Errorf("failed units: %s", out)
			}
			if out, code := h.run("systemctl", "is-active", "nginx"); code == 0 {
				t.Errorf("nginx is %s", out)
			}
			login := func() {
				t.Helper()
				known := dir + "/known"
				if err := os.WriteFile(known, []byte(h.address+" "+string(public)), 0o600); err != nil {
					t.Fatal(err)
				}
				out, err := exec.CommandContext(ctx, "ssh", "-o", "UserKnownHostsFile="+known, "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes", //nolint:gosec // the test's own host
					"-i", dir+"/key", "root@"+h.address, "command -v nix-store && cat /root/ran").CombinedOutput()
				if err != nil || !strings.HasSuffix(string(out), "/nix-store\nonce\n") {
					t.Errorf("login: %v %s", err, out)
				}
			}
			login()
			h.restart()
			login()
			if out := h.sh("cat /var/log/cloud-init-output.log"); out != "said" {
				t.Errorf("log of the commands: %q", out)
			}
			if first, second := h.sh("cat /etc/machine-id"), h.sh("wc -c < /etc/machine-id"); len(first) != 32 || second != "33" {
				t.Errorf("machine id %q (%s)", first, second)
			}
		})
	}
}

// TestSystemLayout: what a system holds, and how little of it a small change
// makes anew.
func TestSystemLayout(t *testing.T) {
	b := newBuilder(t)
	base := `{
		networking.hostName = "layout";
		services.openssh.enable = true;
		services.nginx.enable = true;
	}`
	page := func(text string) string {
		return `{ services.nginx.virtualHosts."_" = { default = true; locations."/".return = "200 ` + text + `"; }; }`
	}
	system := b.system(base, page("one"))
	for name, want := range map[string]string{
		"nixos-version": "25.11.lab", "system": "x86_64-linux", "init-interface-version": "systemd 2", "kernel-params": "", "switch-inhibitors": "",
	} {
		data, err := os.ReadFile(filepath.Join(system, name)) //nolint:gosec // a store path
		if name == "system" && strings.HasSuffix(string(data), "-linux") {
			want = string(data)
		}
		if err != nil || string(data) != want {
			t.Errorf("%s: %q, want %q (%v)", name, data, want, err)
		}
	}
	for _, name := range []string{
		"activate", "dry-activate", "init", "bin/switch-to-configuration", "sw/bin", "systemd/bin", "etc/systemd/system/nginx.service",
		"etc/systemd/system/multi-user.target.wants/nginx.service", "etc/systemd/system/default.target", "etc/fstab",
	} {
		if _, err := os.Stat(filepath.Join(system, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Lstat(filepath.Join(system, "kernel")); err == nil {
		t.Error("a container's system has a kernel")
	}
	if base := filepath.Base(system); !strings.HasSuffix(base, "-nixos-system-layout-25.11.lab") {
		t.Errorf("the system is called %s", base)
	}

	had := map[string]bool{}
	for _, p := range strings.Fields(b.nix("nix-store", "-qR", system)) {
		had[p] = true
	}
	changed := b.system(base, page("two"))
	var fresh []string
	for _, p := range strings.Fields(b.nix("nix-store", "-qR", changed)) {
		if !had[p] {
			fresh = append(fresh, p)
		}
	}
	// configuration, pre-start script, unit, unit folder, etc, system
	if len(fresh) == 0 || len(fresh) > 6 {
		t.Errorf("%d new paths: %s", len(fresh), strings.Join(fresh, "\n"))
	}

	withKernel := b.system(base, `{ pkgs, ... }: { boot.kernelPackages = pkgs.linuxPackages_latest; boot.kernelParams = [ "quiet" ]; }`)
	if _, err := os.Stat(filepath.Join(withKernel, "kernel-modules", "lib", "modules", "6.17.7")); err != nil {
		t.Error(err)
	}
	if to, err := filepath.EvalSymlinks(filepath.Join(withKernel, "kernel")); err != nil || !strings.HasSuffix(to, "-linux-6.17.7/bzImage") {
		t.Errorf("kernel: %s %v", to, err)
	}
}
