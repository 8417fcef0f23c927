//go:build integration

package generation_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/lab"
	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
	"github.com/flotilla-nix/flotilla/internal/lab/machine"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

const image = "flotilla-generation-test"

// labName is this run's own: two may run side by side.
var labName = fmt.Sprintf("%s%d", labPrefix, os.Getpid())

const (
	labPrefix = "generation-"
	runTime   = 15 * time.Minute
)

// systems are the stand-in's; testdata/host says what each does.
var systems = []string{
	"old", "good", "good2", "good3", "refuses", "needs-reboot", "panics", "hangs", "hangs-hard", "lies", "reexecs", "cuts",
	"drops-keeper", "breaks-helper", "reboots", "slow", "unit-fails", "flaps", "activation-fails", "other-fails",
	"boot-fails", "boot-slow", "boot-late", "old-stuck", "old-fails",
}

var machines *machine.Docker

// parallel is how many hosts run at a time: mostly they wait.
const parallel = "4"

func TestMain(m *testing.M) {
	code, err := withRig(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration rig:", err)
		code = 1
	}
	os.Exit(code)
}

func withRig(m *testing.M) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTime)
	defer cancel()
	say := func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	images, err := lab.EnsureImages(ctx, say)
	if err != nil {
		return 1, err
	}
	folder, err := os.MkdirTemp("", "flotilla-generation-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	if err := os.CopyFS(folder, os.DirFS("testdata/host")); err != nil {
		return 1, err
	}
	dockerfile := "FROM " + images.Debian + "\nCOPY . /tmp/host\nRUN sh /tmp/host/build.sh " + strings.Join(systems, " ") + "\n"
	if err := os.WriteFile(folder+"/Dockerfile", []byte(dockerfile), 0o600); err != nil {
		return 1, err
	}
	if r, err := process.Run(ctx, process.Command{
		Program: "docker", Args: []string{"build", "--quiet", "--tag", image, folder}, Env: append(os.Environ(), "DOCKER_BUILDKIT=0"),
	}); err != nil {
		return 1, fmt.Errorf("%w\n%s\n%s", err, r.Stdout, r.Stderr)
	}
	if err := sweep(ctx); err != nil {
		return 1, err
	}
	machines, err = machine.Open(ctx, labName, map[string]string{"test": image}, say)
	if err != nil {
		return 1, err
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		return 1, err
	}
	code := m.Run()
	_, err = machine.Cleanup(ctx, labName)
	return code, err
}

// sweep removes what runs left that were killed: their time is over.
func sweep(ctx context.Context) error {
	out, err := docker(ctx, nil, "network", "ls", "--filter", "label="+machine.Label, "--format", "{{.Name}}\t{{.CreatedAt}}")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(out.Stdout)) {
		name, created, _ := strings.Cut(strings.TrimSpace(line), "\t")
		dead, ours := strings.CutPrefix(name, machine.NetworkName(labPrefix))
		began, err := time.Parse("2006-01-02 15:04:05.999999999 -0700 MST", created)
		if !ours || err != nil || time.Since(began) < 2*runTime {
			continue
		}
		if _, err := machine.Cleanup(ctx, labPrefix+dead); err != nil {
			return err
		}
	}
	return nil
}

// rig is one host and the controller's way to it.
type rig struct {
	t      *testing.T
	id     int64
	name   string
	addr   netip.Addr
	cut    atomic.Bool // the network between all controllers and the host is cut
	mu     sync.Mutex
	events []string
	paths  map[string]storepath.Path
	onStep func(progress.Event)
	// reboots says that the host reboots by itself. nsenter stops with what
	// systemd stops before it, and keeps it waiting; docker exec does not.
	reboots bool
}

var (
	nextMu sync.Mutex
	nextID int64 = 100
)

func newRig(t *testing.T, keys ...string) *rig {
	t.Helper()
	t.Parallel()
	nextMu.Lock()
	nextID++
	id := nextID
	nextMu.Unlock()
	addr := machines.Prefix().Addr()
	for range id - 90 {
		addr = addr.Next()
	}
	r := &rig{t: t, id: id, name: machine.ContainerName(labName, id), addr: addr, paths: map[string]storepath.Path{}}
	ctx := t.Context()
	if err := machines.Create(ctx, cloud.Machine{ID: id, Name: fmt.Sprintf("host-%d", id), OS: "test", IPv4: addr, SSHKeys: keys}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		clean, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if t.Failed() {
			r.dump(clean)
		}
		if err := machines.Remove(clean, id); err != nil {
			t.Error(err)
		}
	})
	r.power(machines.Start)
	for line := range strings.Lines(r.sh("cd /systems; grep . *")) {
		name, path, _ := strings.Cut(strings.TrimSpace(line), ":")
		p, err := storepath.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		r.paths[name] = p
	}
	return r
}

// power switches the machine and waits until systemd has come up.
func (r *rig) power(change func(context.Context, int64) error) {
	r.t.Helper()
	if err := change(r.t.Context(), r.id); err != nil {
		r.t.Fatal(err)
	}
	r.booted()
}

func (r *rig) booted() {
	r.t.Helper()
	for range 150 {
		out, _ := docker(r.t.Context(), nil, "exec", r.name, "systemctl", "is-system-running")
		if state := strings.TrimSpace(string(out.Stdout)); state == "running" || state == "degraded" {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	r.t.Fatal("the host does not come up")
}

// sh runs a command on the host, whatever the controller can reach.
func (r *rig) sh(script string) string {
	r.t.Helper()
	out, err := docker(r.t.Context(), nil, "exec", r.name, "sh", "-c", script)
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, out.Stderr)
	}
	return strings.TrimSpace(string(out.Stdout))
}

func (r *rig) dump(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out, _ := docker(ctx, nil, "exec", r.name, "sh", "-c",
		`cat /run/switched; journalctl --no-pager -n 60 -u 'flotilla-*'; cd /var/lib/flotilla && tail -n 5 history bad; for d in deployments/* /run/flotilla/*; do [ -d $d ] || continue; for f in $d/*; do case $f in *.sh|*active*) ;; *) echo "== $f"; cat $f;; esac; done; ls -l $d; done`)
	r.t.Logf("events:\n%s\nhost:\n%s", strings.Join(r.events, "\n"), out.Stdout)
}

// host is a controller. Each has a lock token of its own.
func (r *rig) host() *generation.Host {
	h, _ := r.controller()
	return h
}

// controller gives a controller, and what kills it: it never reaches the host
// again.
func (r *rig) controller() (h *generation.Host, kill func()) {
	dead := new(atomic.Bool)
	h = generation.New("host", func(ctx context.Context) (generation.Session, error) { return r.dial(ctx, dead) }, progress.Func(func(e progress.Event) {
		r.mu.Lock()
		r.events = append(r.events, fmt.Sprintf("%s %s %s %s", e.Time.Format("05.000"), e.Kind, e.Step, e.Text))
		r.mu.Unlock()
		if r.onStep != nil {
			r.onStep(e)
		}
	}))
	h.Hasten()
	return h, func() { dead.Store(true) }
}

func (r *rig) request(name string) generation.Request {
	return generation.Request{
		ID: "d-" + name, New: r.paths[name], Kind: fleet.RecordDeploy, Commit: "c0ffee" + name, By: "test",
		// Long, for machines that are busy; tests that wait for an end shorten it.
		ActivationTimeout: 40 * time.Second, ConfirmTimeout: 40 * time.Second,
	}
}

// state reads the truth.
func (r *rig) expect(running, boots string) fleet.HostState {
	r.t.Helper()
	out := r.sh("readlink -f /run/current-system; readlink -f /nix/var/nix/profiles/system; sed -n 's,.*init=\\(.*\\)/init.*,\\1,p' /boot/grub/grub.cfg")
	lines := strings.Fields(out)
	if len(lines) != 3 || lines[0] != r.paths[running].String() {
		r.t.Errorf("runs %q, want %s", lines, running)
	}
	if len(lines) == 3 && (lines[1] != r.paths[boots].String() || lines[2] != r.paths[boots].String()) {
		r.t.Errorf("profile and loader are %q, want %s", lines[1:], boots)
	}
	if demo := r.sh("readlink -f /etc/systemd/system/demo.service; systemctl is-active demo.service || true"); !strings.Contains(demo, r.paths[running].String()) {
		r.t.Errorf("demo.service is %q, want that of %s", demo, running)
	}
	s, err := r.host().Look(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if s.Running != r.paths[running] || s.BootDefault != r.paths[boots] || s.Profile != r.paths[boots] {
		r.t.Errorf("look says %s, %s, %s", s.Running, s.Profile, s.BootDefault)
	}
	if busy := r.sh("systemctl list-units --all --plain --no-legend 'flotilla-*'"); busy != "" {
		r.t.Errorf("left over: %s", busy)
	}
	return s
}

// dial gives a session in the host's namespaces, which costs a tenth of docker exec.
func (r *rig) dial(ctx context.Context, dead *atomic.Bool) (generation.Session, error) {
	if r.cut.Load() || dead.Load() {
		return nil, errors.New("no route to host")
	}
	out, err := docker(ctx, nil, "inspect", "--format", "{{.State.Pid}}", r.name)
	pid := strings.TrimSpace(string(out.Stdout))
	if err != nil || pid == "0" {
		return nil, fmt.Errorf("connection refused: %w", err)
	}
	return &execSession{rig: r, dead: dead, pid: pid}, nil
}

type execSession struct {
	rig    *rig
	dead   *atomic.Bool
	pid    string
	broken atomic.Bool
}

var errBroken = errors.New("connection lost")

func (s *execSession) Run(ctx context.Context, stdin io.Reader, argv ...string) (process.Result, error) {
	if s.broken.Load() || s.dead.Load() || s.rig.cut.Load() {
		return process.Result{}, errBroken
	}
	// sshd would be gone by then, and systemd waits for whoever comes in.
	if comm, err := os.ReadFile("/proc/" + s.pid + "/comm"); err != nil || strings.HasPrefix(string(comm), "systemd-shutdow") {
		s.broken.Store(true)
		return process.Result{}, errBroken
	}
	result, err := s.rig.inside(ctx, stdin, s.pid, argv...)
	if s.rig.cut.Load() || s.dead.Load() {
		s.broken.Store(true)
		return process.Result{}, errBroken
	}
	var e *process.Error
	if errors.As(err, &e) && (strings.Contains(e.Tail, "nsenter: ") || strings.Contains(e.Tail, "Error response from daemon") || e.ExitCode == 137 && s.rig.reboots || e.ExitCode < 0) {
		s.broken.Store(true)
		return result, errBroken
	}
	return result, err
}

func (s *execSession) Close() error {
	s.broken.Store(true)
	return nil
}

// inside runs a program on the host.
func (r *rig) inside(ctx context.Context, stdin io.Reader, pid string, argv ...string) (process.Result, error) {
	if r.reboots {
		return docker(ctx, stdin, append([]string{"exec", "-i", r.name}, argv...)...)
	}
	enter := []string{"--target", pid, "--mount", "--uts", "--ipc", "--net", "--pid", "--wd=/", "/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return process.Run(ctx, process.Command{Program: "nsenter", Args: append(enter, argv...), Stdin: stdin})
}

func docker(ctx context.Context, stdin io.Reader, args ...string) (process.Result, error) {
	return process.Run(ctx, process.Command{Program: "docker", Args: args, Stdin: stdin})
}
