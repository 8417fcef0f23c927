//go:build integration

// Package e2e tests the built program end to end, as a user runs it: against
// the lab's API and machines, with git, Nix and SSH, and with the controller or
// a host killed in the middle. What a host runs is read back from the host
// itself, past Flotilla.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/examples"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

const (
	labName    = "e2e"
	runTimeout = 4 * time.Minute
)

var program string // the built flotilla; set once by TestMain

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "flotilla-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "flotilla")
	build := exec.Command("go", "build", "-o", program, "../../cmd/flotilla")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "go build:", err)
		return 1
	}
	return m.Run()
}

// rig is a fleet repo and a lab of its own.
type rig struct {
	repo string
	env  []string
	lab  string
}

// newRig starts a lab and makes the example fleet's repo in it. edit changes
// files before the first commit.
func newRig(t *testing.T, lab string, edit func(r *rig)) *rig {
	t.Helper()
	r := &rig{repo: filepath.Join(t.TempDir(), "fleet"), lab: lab}
	// A run that was killed has left its lab, with keys that nobody has any more.
	if out, err := exec.Command(program, "lab", "down", "--name", lab).CombinedOutput(); err != nil {
		t.Fatalf("lab down: %v\n%s", err, out)
	}
	start := time.Now()
	if out, err := exec.Command(program, "lab", "up", "--name", lab).CombinedOutput(); err != nil {
		t.Fatalf("lab up: %v\n%s", err, out)
	}
	t.Logf("lab up took %s", time.Since(start).Round(time.Millisecond))
	t.Cleanup(func() {
		if out, err := exec.Command(program, "lab", "down", "--name", lab).CombinedOutput(); err != nil {
			t.Errorf("lab down: %v\n%s", err, out)
		}
	})
	out, err := exec.Command("sh", "-c", `eval "$("$0" lab env --name "$1")" && env -0`, program, lab).Output()
	if err != nil {
		t.Fatalf("lab env: %v", err)
	}
	r.env = strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	private, public := newKey(t)
	// Each rig keeps its own results: the user's are none of its business.
	r.env = append(r.env, "FLOTILLA_SSH_KEY="+private, "FLOTILLA_CACHE="+filepath.Join(filepath.Dir(r.repo), "cache"))

	example, err := fs.Sub(examples.TwoServers, "two-servers")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(r.repo, example); err != nil {
		t.Fatal(err)
	}
	text := r.read(t, "flotilla.yaml")
	_, rest, _ := strings.Cut(text, "public_key: ")
	old, _, _ := strings.Cut(rest, "\n")
	r.write(t, "flotilla.yaml", strings.Replace(text, old, public, 1))
	if edit != nil {
		edit(r)
	}
	r.git(t, "init", "-q", "-b", "main")
	r.commit(t, "Begin")
	return r
}

func newKey(t *testing.T) (private, public string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

func (r *rig) read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.repo, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func (r *rig) write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.repo, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// replace changes the first old in a file, which must be there.
func (r *rig) replace(t *testing.T, file, old, text string) {
	t.Helper()
	before := r.read(t, file)
	if !strings.Contains(before, old) {
		t.Fatalf("%s has no %q", file, old)
	}
	r.write(t, file, strings.Replace(before, old, text, 1))
}

func (r *rig) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.repo, "-c", "safe.directory=*"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *rig) commit(t *testing.T, subject string) string {
	t.Helper()
	r.git(t, "add", "--all")
	r.git(t, "commit", "-q", "-m", subject)
	return r.git(t, "rev-parse", "HEAD")
}

// run is one run of flotilla that has ended.
type run struct {
	code           int
	stdout, stderr string
	events         []progress.Event
}

func (r run) result(t *testing.T) plans.Result {
	t.Helper()
	var result plans.Result
	if err := json.Unmarshal([]byte(r.stdout), &result); err != nil {
		t.Fatalf("the result is not JSON: %v\n%s\n%s", err, r.stdout, r.stderr)
	}
	return result
}

func hostResult(t *testing.T, result plans.Result, host string) plans.HostResult {
	t.Helper()
	for _, h := range result.Hosts {
		if h.Host == host {
			return h
		}
	}
	t.Fatalf("no result of %s in %+v", host, result)
	return plans.HostResult{}
}

// flotilla runs the program to its end.
func (r *rig) flotilla(t *testing.T, args ...string) run {
	t.Helper()
	return r.watched(t, nil, args...)
}

// deploy runs a deploy with JSON results and wants an exit code.
func (r *rig) deploy(t *testing.T, code int, args ...string) plans.Result {
	t.Helper()
	ended := r.flotilla(t, append([]string{"deploy", "--yes", "--format", "json"}, args...)...)
	if ended.code != code {
		t.Fatalf("deploy ended with exit code %d, want %d\n%s\n%s", ended.code, code, ended.stdout, ended.stderr)
	}
	return ended.result(t)
}

// watched runs the program; each progress event goes to watch, with the
// process to do something to.
func (r *rig) watched(t *testing.T, watch func(progress.Event, *os.Process), args ...string) run {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, append(args, "--events", "json")...)
	cmd.Dir, cmd.Env = r.repo, r.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout = &stdout
	pipe, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := run{}
	reader := bufio.NewReader(pipe)
	for {
		line, err := reader.ReadString('\n')
		stderr.WriteString(line)
		var e progress.Event
		if json.Unmarshal([]byte(line), &e) == nil && e.Kind != "" {
			ended.events = append(ended.events, e)
			if watch != nil {
				watch(e, cmd.Process)
			}
		}
		if err != nil {
			break
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("flotilla %v: %v\n%s", args, err, stderr.String())
	}
	ended.code, ended.stdout, ended.stderr = cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()
	return ended
}

// client talks to the lab's API.
func (r *rig) client(t *testing.T) *hcloud.Client {
	t.Helper()
	get := func(key string) string {
		for _, e := range r.env {
			if v, ok := strings.CutPrefix(e, key+"="); ok {
				return v
			}
		}
		t.Fatalf("lab env has no %s", key)
		return ""
	}
	return hcloud.NewClient(hcloud.WithToken(get("HCLOUD_TOKEN")), hcloud.WithEndpoint(get("HCLOUD_ENDPOINT")))
}

// server gives a server from the lab's API.
func (r *rig) server(t *testing.T, name string) *hcloud.Server {
	t.Helper()
	server, _, err := r.client(t).Server.GetByName(t.Context(), name)
	if err != nil || server == nil {
		t.Fatalf("server %s: %v", name, err)
	}
	return server
}

func (r *rig) container(t *testing.T, host string) string {
	t.Helper()
	return fmt.Sprintf("flotilla-lab-%s-%d", r.lab, r.server(t, host).ID)
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("docker %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// runs reads back what a host runs, past Flotilla.
func (r *rig) runs(t *testing.T, host string) string {
	t.Helper()
	return docker(t, "exec", r.container(t, host), "readlink", "-f", "/run/current-system")
}

// boots reads back what a host's boot loader would start.
func (r *rig) boots(t *testing.T, host string) string {
	t.Helper()
	return docker(t, "exec", r.container(t, host), "sh", "-c", `sed -n 's,.* init=\(/nix/store/[^/]*\)/init$,\1,p' /boot/grub/grub.cfg | head -n 1`)
}

// page fetches web's page from its own address; "" when it is not served.
func (r *rig) page(t *testing.T) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+r.server(t, "web").PublicNet.IPv4.IP.String()+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "www.example.com"
	response, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return ""
	}
	return string(body)
}

// eventually waits for something to become true.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
		time.Sleep(300 * time.Millisecond)
	}
}
