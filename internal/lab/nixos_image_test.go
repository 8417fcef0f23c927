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

// TestBootWithoutSystem: a boot default that is gone boots nothing, and the
// machine stays on until it is switched off.
func TestBootWithoutSystem(t *testing.T) {
	h := bootHost(t, "nothing")
	h.sh("sed -i 's,/nix/store/[^/]*,/nix/store/00000000000000000000000000000000-gone,' /boot/grub/grub.cfg")
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
