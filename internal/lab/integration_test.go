//go:build integration

package lab_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/lab"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

// TestMain lets the test binary stand for the flotilla binary that Up starts as
// `flotilla lab serve …`.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "lab" && os.Args[2] == "serve" {
		os.Exit(serveMain(os.Args[3:]))
	}
	os.Exit(m.Run())
}

func serveMain(args []string) int {
	opt := lab.ServeOptions{Log: func(format string, args ...any) { _, _ = fmt.Fprintf(os.Stderr, format+"\n", args...) }}
	f := flag.NewFlagSet("serve", flag.ExitOnError)
	f.Bool("quiet", false, "")
	f.StringVar(&opt.Name, "name", "", "")
	f.StringVar(&opt.Listen, "listen", "", "")
	f.StringVar(&opt.Machines, "machines", "", "")
	f.StringVar(&opt.RequestLog, "request-log", "", "")
	f.DurationVar(&opt.ActionLatency, "action-latency", 0, "")
	_ = f.Parse(args) // exits by itself
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if err := lab.Serve(ctx, opt); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// world is a running lab with a client.
type world struct {
	t    *testing.T
	ctx  context.Context
	name string
	*hcloud.Client
	key ssh.Signer // for root on the servers
}

func up(t *testing.T) *world {
	t.Helper()
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, name: fmt.Sprintf("test-%d", os.Getpid())}
	t.Cleanup(func() {
		if err := lab.Down(context.WithoutCancel(ctx), lab.DownOptions{Name: w.name, Say: t.Logf}); err != nil {
			t.Errorf("down: %v", err)
		}
	})
	w.up()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	w.must(err)
	w.key, err = ssh.NewSignerFromKey(private)
	w.must(err)
	return w
}

// up starts the lab and reads its environment as a shell would.
func (w *world) up() {
	w.t.Helper()
	w.must(lab.Up(w.ctx, lab.UpOptions{Name: w.name, Listen: "127.0.0.1:0", ActionLatency: 10 * time.Millisecond, Say: w.t.Logf}))
	env, err := lab.Env(w.ctx, w.name)
	w.must(err)
	shell := exec.Command("sh", "-c", env+`printf '%s\n%s\n%s\n%s' "$HCLOUD_ENDPOINT" "$HCLOUD_TOKEN" "$NIX_PATH" "$NIX_CONFIG"`)
	out, err := shell.Output()
	w.must(err)
	values := strings.SplitN(string(out), "\n", 4)
	tree := strings.TrimPrefix(values[2], "nixpkgs=")
	if _, err := os.Stat(filepath.Join(tree, "default.nix")); err != nil {
		w.t.Errorf("NIX_PATH names no tree: %v", err)
	}
	if !strings.Contains(values[3], "\nsandbox = false\n") || len(values[1]) != 64 {
		w.t.Errorf("environment is %q", values)
	}
	w.Client = hcloud.NewClient(hcloud.WithEndpoint(values[0]), hcloud.WithToken(values[1]),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(50 * time.Millisecond)}))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) do(action *hcloud.Action, _ *hcloud.Response, err error) {
	w.t.Helper()
	w.must(err)
	w.must(w.Action.WaitFor(w.ctx, action))
}

func (w *world) create(opts hcloud.ServerCreateOpts) *hcloud.Server {
	w.t.Helper()
	opts.ServerType = &hcloud.ServerType{Name: "cx22"}
	result, _, err := w.Server.Create(w.ctx, opts)
	w.must(err)
	w.must(w.Action.WaitFor(w.ctx, append(result.NextActions, result.Action)...))
	return result.Server
}

func (w *world) status(s *hcloud.Server) hcloud.ServerStatus {
	w.t.Helper()
	now, _, err := w.Server.GetByID(w.ctx, s.ID)
	w.must(err)
	return now.Status
}

// soon waits until a condition holds.
func (w *world) soon(what string, condition func() bool) {
	w.t.Helper()
	for begun := time.Now(); !condition(); time.Sleep(100 * time.Millisecond) {
		if time.Since(begun) > 20*time.Second {
			w.t.Fatalf("%s does not come true", what)
		}
	}
}

// run runs a command on a server whose host key is known; it waits for sshd.
func (w *world) run(s *hcloud.Server, host ssh.PublicKey, command string) string {
	w.t.Helper()
	config := &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(w.key)}, Timeout: 3 * time.Second,
		HostKeyCallback: ssh.FixedHostKey(host), HostKeyAlgorithms: []string{host.Type()},
	}
	var client *ssh.Client
	var err error
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(100 * time.Millisecond) {
		if client, err = ssh.Dial("tcp", net.JoinHostPort(s.PublicNet.IPv4.IP.String(), "22"), config); err == nil {
			break
		}
	}
	w.must(err)
	defer func() { _ = client.Close() }()
	session, err := client.NewSession()
	w.must(err)
	out, err := session.CombinedOutput(command)
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return strings.TrimSpace(string(out))
}

const (
	addresses = `ip -4 -o addr show eth0 | awk '{print $4}' | tr '\n' ' '`
	bootID    = `cat /proc/sys/kernel/random/boot_id`
)

// userData brings a host key, files and commands.
func userData(t *testing.T) (string, ssh.PublicKey) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return `#cloud-config
ssh_keys:
  ed25519_private: |
    ` + strings.ReplaceAll(strings.TrimSpace(string(pem.EncodeToMemory(block))), "\n", "\n    ") + `
  ed25519_public: ` + string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key))) + `
hostname: webhost
packages: [nothing]
write_files:
  - {path: /etc/made/here, content: aGVsbG8K, encoding: b64, permissions: '0640', owner: "sshd:root"}
runcmd:
  - echo once >> /root/ran
`, key
}

func TestLabWithMachines(t *testing.T) {
	w := up(t)
	key, _, err := w.SSHKey.Create(w.ctx, hcloud.SSHKeyCreateOpts{Name: "me", PublicKey: string(ssh.MarshalAuthorizedKey(w.key.PublicKey()))})
	w.must(err)
	keys := []*hcloud.SSHKey{key}
	_, ipRange, _ := net.ParseCIDR("10.0.0.0/16")
	_, subnet, _ := net.ParseCIDR("10.0.1.0/24")
	private, _, err := w.Network.Create(w.ctx, hcloud.NetworkCreateOpts{Name: "private", IPRange: ipRange})
	w.must(err)
	w.do(w.Network.AddSubnet(w.ctx, private, hcloud.NetworkAddSubnetOpts{
		Subnet: hcloud.NetworkSubnet{Type: hcloud.NetworkSubnetTypeCloud, NetworkZone: hcloud.NetworkZoneEUCentral, IPRange: subnet},
	}))
	snapshots, err := w.Image.AllWithOpts(w.ctx, hcloud.ImageListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "os=nixos"}})
	if w.must(err); len(snapshots) != 1 || snapshots[0].ID != cloud.ImageNixOS {
		t.Fatalf("snapshots: %v", snapshots)
	}
	data, host := userData(t)
	web := w.create(hcloud.ServerCreateOpts{Name: "web", Image: snapshots[0], SSHKeys: keys, UserData: data})
	db := w.create(hcloud.ServerCreateOpts{Name: "db", Image: &hcloud.Image{Name: "debian-13"}, SSHKeys: keys, Networks: []*hcloud.Network{private}})
	dbHost := w.hostKey(db)

	// First boot: user data, addresses, systemd.
	w.is("user data", w.run(web, host, "hostname; cat /etc/made/here; stat -c '%a %U' /etc/made/here; sleep 0.5; cat /root/ran; cat /var/log/cloud-init.log"),
		"webhost\nhello\n640 sshd\nonce\nunknown key packages is ignored")
	w.is("NixOS", w.run(web, host, "test -x /run/current-system/bin/switch-to-configuration && echo yes"), "yes")
	w.is("systemd", w.run(web, host, "systemctl is-system-running --wait"), "running")
	w.is("systemd on Debian", w.run(db, dbHost, "systemctl is-system-running --wait"), "running")
	ip4, dbIP4 := web.PublicNet.IPv4.IP.String(), db.PublicNet.IPv4.IP.String()
	w.is("addresses of db", w.run(db, dbHost, addresses), dbIP4+"/24 10.0.1.1/16")

	// Private network, hot.
	w.do(w.Server.AttachToNetwork(w.ctx, web, hcloud.ServerAttachToNetworkOpts{Network: private, IP: net.ParseIP("10.0.1.3")}))
	w.is("attached", w.run(web, host, addresses), ip4+"/24 10.0.1.3/16")
	w.is("private way", w.run(web, host, "timeout 3 bash -c 'echo > /dev/tcp/10.0.1.1/22' && echo open"), "open")

	// Power, and a disk that survives it.
	w.run(web, host, "echo kept > /root/mark; sync")
	boot := w.run(web, host, bootID)
	again := func(what string) {
		t.Helper()
		now := w.run(web, host, bootID)
		if now == boot {
			t.Errorf("%s: the boot id is still %s", what, now)
		}
		boot = now
		w.is(what, w.run(web, host, "cat /root/mark /root/ran; "+addresses), "kept\nonce\n"+ip4+"/24 10.0.1.3/16")
	}
	w.do(w.Server.Reboot(w.ctx, web))
	again("reboot")
	w.do(w.Server.Reset(w.ctx, web))
	again("reset")
	w.do(w.Server.Poweroff(w.ctx, web))
	if w.status(web) != hcloud.ServerStatusOff || w.containerState(web) != "exited" {
		t.Errorf("after poweroff: %s, container %s", w.status(web), w.containerState(web))
	}
	w.do(w.Server.DetachFromNetwork(w.ctx, web, hcloud.ServerDetachFromNetworkOpts{Network: private})) // while it is off
	w.do(w.Server.AttachToNetwork(w.ctx, web, hcloud.ServerAttachToNetworkOpts{Network: private, IP: net.ParseIP("10.0.1.3")}))
	w.do(w.Server.Poweron(w.ctx, web))
	again("poweron")
	w.do(w.Server.Shutdown(w.ctx, web))
	w.soon("status off after a shutdown", func() bool { return w.status(web) == hcloud.ServerStatusOff })
	w.do(w.Server.Poweron(w.ctx, web))
	again("shutdown and poweron")
	container := lab.ContainerName(w.name, web.ID)
	since := func() string { return w.docker("inspect", "--format", "{{.State.StartedAt}}", container) }
	started := since()
	w.run(web, host, "systemd-run --no-block sh -c 'sleep 0.3; systemctl reboot'") // the guest's own will
	w.soon("a reboot from within", func() bool { return since() != started })
	again("reboot from within")
	w.do(w.Server.DetachFromNetwork(w.ctx, web, hcloud.ServerDetachFromNetworkOpts{Network: private}))
	w.is("detached", w.run(web, host, addresses), ip4+"/24")

	// Faults by hand are seen by the API, and reset cures them.
	w.docker("kill", container)
	w.soon("status off after a kill", func() bool { return w.status(web) == hcloud.ServerStatusOff })
	w.docker("start", container)
	w.soon("status running", func() bool { return w.status(web) == hcloud.ServerStatusRunning })
	w.docker("pause", container)
	w.do(w.Server.Reset(w.ctx, web))
	w.is("reset of a host that hangs", w.run(web, host, "cat /root/mark"), "kept")

	// The process of the lab dies; the servers do not.
	w.killServe()
	if status, err := lab.StatusOf(w.ctx, w.name); err != nil || status.API != "" {
		t.Errorf("status after the kill: %+v, %v", status, err)
	}
	w.is("server without a lab", w.run(web, host, "cat /root/mark"), "kept")
	w.up()
	status, err := lab.StatusOf(w.ctx, w.name)
	if w.must(err); len(status.Servers) != 2 || status.Servers[0].Address != ip4 || status.Servers[0].Status != "running" {
		t.Errorf("status after going on: %+v", status)
	}

	// Rebuild wipes, delete removes.
	result, _, err := w.Server.RebuildWithResult(w.ctx, web, hcloud.ServerRebuildOpts{Image: &hcloud.Image{Name: "debian-13"}})
	w.must(err)
	w.must(w.Action.WaitFor(w.ctx, result.Action))
	w.is("rebuilt", w.run(web, host, "ls /root/mark 2>/dev/null; test -e /run/current-system || echo debian"), "debian")
	deleted, _, err := w.Server.DeleteWithResult(w.ctx, db)
	w.must(err)
	w.must(w.Action.WaitFor(w.ctx, deleted.Action))
	if state := w.containerState(db); state != "" {
		t.Errorf("the deleted server's container is %s", state)
	}

	// One process per name, and no lab on top of another's containers.
	serve := lab.ServeOptions{Name: w.name, Listen: "127.0.0.1:0", Machines: lab.MachinesDocker, Log: t.Logf}
	if err := lab.Serve(w.ctx, serve); err == nil || !strings.Contains(err.Error(), "served already") {
		t.Errorf("a second process: %v", err)
	}
	w.killServe()
	state := os.Getenv("XDG_STATE_HOME")
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	err = lab.Up(w.ctx, lab.UpOptions{Name: w.name, Listen: "127.0.0.1:0", Say: t.Logf})
	if err == nil || !strings.Contains(err.Error(), "1 containers of another lab") {
		t.Errorf("a lab that begins anew: %v", err)
	}
	t.Setenv("XDG_STATE_HOME", state)
	w.must(lab.Down(w.ctx, lab.DownOptions{Name: w.name, Say: t.Logf}))
	w.nothingIsLeft()
}

func (w *world) is(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func (w *world) docker(args ...string) string {
	w.t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (w *world) containerState(s *hcloud.Server) string {
	w.t.Helper()
	return w.docker("ps", "--all", "--filter", "name=^/"+lab.ContainerName(w.name, s.ID)+"$", "--format", "{{.State}}")
}

// hostKey reads the key that a machine made for itself.
func (w *world) hostKey(s *hcloud.Server) ssh.PublicKey {
	w.t.Helper()
	file := "/etc/ssh/ssh_host_ed25519_key.pub"
	container := lab.ContainerName(w.name, s.ID)
	w.soon("a host key of its own", func() bool { return exec.Command("docker", "exec", container, "test", "-s", file).Run() == nil })
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(w.docker("exec", container, "cat", file)))
	w.must(err)
	return key
}

// killServe kills the process behind the API, and nothing else.
func (w *world) killServe() {
	w.t.Helper()
	dir := filepath.Join(os.Getenv("XDG_STATE_HOME"), "flotilla", "lab", w.name)
	data, err := os.ReadFile(filepath.Join(dir, "serve.json"))
	w.must(err)
	var pid int
	_, rest, _ := strings.Cut(string(data), `"pid": `)
	_, err = fmt.Sscanf(rest, "%d", &pid)
	w.must(err)
	w.must(syscall.Kill(pid, syscall.SIGKILL))
	w.soon("end of the lab's process", func() bool {
		status, err := lab.StatusOf(w.ctx, w.name)
		return err == nil && status.API == ""
	})
}

func (w *world) nothingIsLeft() {
	w.t.Helper()
	label := "label=dev.flotilla.lab=" + w.name
	if left := w.docker("ps", "--all", "--quiet", "--filter", label) + w.docker("network", "ls", "--quiet", "--filter", label); left != "" {
		w.t.Errorf("left in docker: %s", left)
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("XDG_STATE_HOME"), "flotilla", "lab")); !os.IsNotExist(err) {
		w.t.Errorf("left of the state: %v", err)
	}
	w.soon("end of all the lab's processes", func() bool {
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range files {
			if line, err := os.ReadFile(file); err == nil && strings.Contains(string(line), w.name) {
				return false
			}
		}
		return true
	})
}
