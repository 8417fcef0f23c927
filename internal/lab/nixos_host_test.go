//go:build integration

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// nixConfig makes builds of the tree work for root on a machine without build
// users and without a cache that could be asked.
var nixConfig = "NIX_CONFIG=build-users-group =\nsandbox = false\nsubstituters =\nfsync-metadata = false\nexperimental-features = nix-command flakes\n"

// builder builds systems of the tree with the machine's own Nix.
type builder struct {
	t    *testing.T
	tree string
}

func newBuilder(t *testing.T) builder {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "nixpkgs")
	if err := WriteTree(tree); err != nil {
		t.Fatal(err)
	}
	return builder{t, tree}
}

// system builds the system of the modules, each a Nix expression.
func (b builder) system(modules ...string) string {
	b.t.Helper()
	list := ""
	for _, m := range modules {
		list += " (" + m + ")"
	}
	expr := fmt.Sprintf("(import %s/nixos/lib/eval-config.nix { modules = [%s ]; }).config.system.build.toplevel", b.tree, list)
	out := b.nix("nix-build", "--no-out-link", "-E", expr)
	return strings.TrimSpace(out)
}

// file is a module of the test data.
func (b builder) file(name string) string {
	b.t.Helper()
	path, err := filepath.Abs(filepath.Join("nixos", "testdata", name))
	if err != nil {
		b.t.Fatal(err)
	}
	return "import " + path
}

func (b builder) nix(program string, args ...string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), nixConfig)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.t.Fatalf("%s %v: %v\n%s", program, args, err, stderr.String())
	}
	return string(out)
}

// host is a container of the NixOS image.
type host struct {
	t       *testing.T
	name    string
	address string
}

const hostNetwork = "flotilla-nixos-test"

// bootHost starts a machine of the lab's NixOS image and waits for it.
func bootHost(t *testing.T, suffix string) host {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	images, err := EnsureImages(ctx, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return startHost(ctx, t, suffix, images.NixOS, nil)
}

// startHost starts a machine of an image, with files put on its disk before.
func startHost(ctx context.Context, t *testing.T, suffix, image string, files map[string]string) host {
	t.Helper()
	h := host{t: t, name: hostNetwork + "-" + suffix}
	_, _ = docker(ctx, nil, "rm", "-f", h.name)
	if _, err := docker(ctx, nil, "network", "inspect", hostNetwork); err != nil {
		if out, err := docker(ctx, nil, "network", "create", hostNetwork); err != nil {
			t.Fatalf("network: %v %s", err, out)
		}
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_, _ = docker(ctx, nil, "rm", "-f", h.name)
		_, _ = docker(ctx, nil, "network", "rm", hostNetwork) // fails while another test's host is in it
	})
	out, err := docker(ctx, nil, "create", "--name", h.name, "--hostname", "machine", "--network", hostNetwork,
		"--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
		"--cgroupns=host", "--volume", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs", "/run", "--tmpfs", "/tmp",
		"--env", "container=docker", "--env", "SYSTEMD_PROC_CMDLINE=SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1", image)
	if err != nil {
		t.Fatalf("docker create: %v\n%s", err, out)
	}
	for path, text := range files {
		file := filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := docker(ctx, nil, "cp", file, h.name+":"+path); err != nil {
			t.Fatalf("docker cp: %v\n%s", err, out)
		}
	}
	if out, err := docker(ctx, nil, "start", h.name); err != nil {
		t.Fatalf("docker start: %v\n%s", err, out)
	}
	address, err := docker(ctx, nil, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", h.name)
	if err != nil {
		t.Fatal(err)
	}
	h.address = strings.TrimSpace(address)
	h.waitUp()
	return h
}

func docker(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin = stdin
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run gives output and exit code of a program on the host.
func (h host) run(args ...string) (string, int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := docker(ctx, nil, append([]string{"exec", h.name}, args...)...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out, exit.ExitCode()
	}
	if err != nil {
		h.t.Fatalf("docker exec %v: %v", args, err)
	}
	return out, 0
}

// sh gives the output of a command that must succeed.
func (h host) sh(script string) string {
	h.t.Helper()
	out, code := h.run("sh", "-c", script)
	if code != 0 {
		h.t.Fatalf("%s: exit code %d\n%s", script, code, out)
	}
	return strings.TrimSpace(out)
}

func (h host) waitUp() {
	h.t.Helper()
	deadline := time.Now().Add(time.Minute)
	state := ""
	for time.Now().Before(deadline) {
		out, _ := h.run("systemctl", "is-system-running")
		if state = strings.TrimSpace(out); state == "running" || state == "degraded" {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	h.t.Fatalf("the host does not come up: %q", state)
}

func (h host) restart() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := docker(ctx, nil, "restart", h.name); err != nil {
		h.t.Fatalf("restart: %v %s", err, out)
	}
	h.waitUp()
}

// push copies systems' closures into the host's store.
func (h host) push(b builder, systems ...string) {
	h.t.Helper()
	paths := strings.Fields(b.nix("nix-store", append([]string{"-qR"}, systems...)...))
	export := b.nix("nix-store", append([]string{"--export"}, paths...)...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if out, err := docker(ctx, strings.NewReader(export), "exec", "-i", h.name, "nix-store", "--import"); err != nil {
		h.t.Fatalf("nix-store --import: %v\n%s", err, out)
	}
}

// switchTo runs a system's switch-to-configuration.
func (h host) switchTo(system, action string) (string, int) {
	h.t.Helper()
	out, code := h.run(system+"/bin/switch-to-configuration", action)
	h.t.Logf("%s of %s: exit code %d\n%s", action, filepath.Base(system), code, out)
	return out, code
}

// boots is the system that the boot loader starts: entry 0 of its menu.
func (h host) boots() string {
	return h.sh(`sed -n 's,.* init=\(/nix/store/[^/]*\)/init$,\1,p' /boot/grub/grub.cfg | head -n 1`)
}

func (h host) current() string { h.t.Helper(); return h.sh("readlink /run/current-system") }

// mainPIDs gives the main process of each unit; 0 is none.
func (h host) mainPIDs(units ...string) map[string]string {
	h.t.Helper()
	pids := map[string]string{}
	for _, u := range units {
		pids[u] = h.sh("systemctl show -P MainPID " + u)
	}
	return pids
}

// get fetches a page from the host; an error counts as "".
func (h host) get(port int) string {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(h.address, strconv.Itoa(port)), http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// wantPage waits until a page says what it should: a server may answer a moment
// after its unit has started.
func (h host) wantPage(port int, want string) {
	h.t.Helper()
	got := ""
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if got = h.get(port); got == want {
			return
		}
	}
	h.t.Errorf("port %d says %q, want %q", port, got, want)
}

// banner is what a server on the port says first, "" if nothing does.
func (h host) banner(port int) string {
	h.t.Helper()
	dialer := net.Dialer{Timeout: 2 * time.Second}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(h.address, strconv.Itoa(port)))
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		h.t.Fatal(err)
	}
	buffer := make([]byte, 8)
	n, _ := conn.Read(buffer)
	return string(buffer[:n])
}
