package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestNamesOfLabs(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "/state")
	l, err := find("demo-1")
	if err != nil || l.dir != "/state/flotilla/lab/demo-1" {
		t.Errorf("find gives %+v, %v", l, err)
	}
	for _, bad := range []string{"", "-a", "A", "a b", "../x", "a/b", strings.Repeat("a", 31)} {
		if _, err := find(bad); problem.CodeOf(err) != problem.Usage {
			t.Errorf("%q: %v", bad, err)
		}
	}
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "/home/me")
	if l, err = find("x"); err != nil || l.dir != "/home/me/.local/state/flotilla/lab/x" {
		t.Errorf("find gives %+v, %v", l, err)
	}
}

func TestSettingsSurviveAndTokensDiffer(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	l, err := find("x")
	if err != nil {
		t.Fatal(err)
	}
	first, err := l.prepare()
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.prepare()
	if err != nil || second.Token != first.Token || len(first.Token) != 64 || len(first.ReadOnlyToken) != 64 || first.Token == first.ReadOnlyToken {
		t.Errorf("first %+v, second %+v, %v", first, second, err)
	}
	info, err := os.Stat(l.file("lab.json"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("lab.json: %v, %v", info, err)
	}
}

func TestLockIsExclusiveAlsoWhenItsFileIsRemoved(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a", "lock")
	release, err := lock(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan func(), 1)
	go func() {
		release, err := lock(context.Background(), file)
		if err != nil {
			t.Error(err)
		}
		second <- release
	}()
	select {
	case <-second:
		t.Fatal("two hold the lock")
	case <-time.After(50 * time.Millisecond):
	}
	if err := os.Remove(file); err != nil { // as Down does while it holds the lock
		t.Fatal(err)
	}
	release()
	(<-second)()
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	again, err := lock(context.Background(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer again()
	if _, err := lock(cancelled, file); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled wait for the lock ends with %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the second one locked a file that nobody else finds: %v", err)
	}
}

func TestLabsThatDoNotRun(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx := context.Background()
	_, err := Env(ctx, "x")
	if text := problem.Text(err); !strings.Contains(text, "lab x does not run") || !strings.Contains(text, "flotilla lab up --name x") {
		t.Errorf("env says %q", text)
	}
	status, err := StatusOf(ctx, DefaultName)
	if err != nil || status.API != "" || !strings.Contains(status.Text(), "does not run") {
		t.Errorf("status is %+v, %v", status, err)
	}
}

func TestTheLastPortIsKept(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if got := sameAddress(context.Background(), "127.0.0.1:0", address); got != "127.0.0.1:0" {
		t.Errorf("a port that is taken is kept: %s", got)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	for listen, want := range map[string]string{"127.0.0.1:0": address, "127.0.0.1:99": "127.0.0.1:99", "127.0.0.2:0": "127.0.0.2:0", "nonsense": "nonsense"} {
		if got := sameAddress(context.Background(), listen, address); got != want {
			t.Errorf("%s gives %s, want %s", listen, got, want)
		}
	}
}

// TestServeWithoutMachines serves as `flotilla lab serve --machines none` does,
// and lets a shell read what it prints.
func TestServeWithoutMachines(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	log := filepath.Join(t.TempDir(), "requests")
	out, in := io.Pipe()
	ended := make(chan error, 1)
	token := "it's a token"
	go func() {
		ended <- Serve(serving, ServeOptions{
			Name: DefaultName, Listen: "127.0.0.1:0", Machines: MachinesNone, RequestLog: log, Token: token, Out: in, Log: t.Logf,
		})
		_ = in.CloseWithError(errors.New("serve has ended"))
	}()
	lines := make([]byte, 4096)
	n, err := out.Read(lines)
	if err != nil {
		t.Fatal(err, <-ended)
	}
	shell := exec.Command("sh", "-c", string(lines[:n])+`printf '%s\n%s\n%s\n%s' "$HCLOUD_ENDPOINT" "$HCLOUD_TOKEN" "$HETZNER_ENDPOINT" "$FLOTILLA_LAB_READ_ONLY_TOKEN"`)
	answer, err := shell.Output()
	if err != nil {
		t.Fatal(err)
	}
	values := strings.Split(string(answer), "\n")
	if len(values) != 4 || values[1] != token || values[2] != values[0] || len(values[3]) != 64 {
		t.Fatalf("the shell reads %q", values)
	}
	client := hcloud.NewClient(hcloud.WithEndpoint(values[0]), hcloud.WithToken(values[1]),
		hcloud.WithPollOpts(hcloud.PollOpts{BackoffFunc: hcloud.ConstantBackoff(5 * time.Millisecond)}))
	result, _, err := client.Server.Create(ctx, hcloud.ServerCreateOpts{
		Name: "web", ServerType: &hcloud.ServerType{Name: "cx22"}, Image: &hcloud.Image{Name: "debian-13"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Action.WaitFor(ctx, append(result.NextActions, result.Action)...); err != nil {
		t.Fatal(err)
	}
	reader := hcloud.NewClient(hcloud.WithEndpoint(values[0]), hcloud.WithToken(values[3]))
	if all, err := reader.Server.All(ctx); err != nil || len(all) != 1 {
		t.Errorf("the read-only token reads %v, %v", all, err)
	}
	if _, _, err := reader.Server.DeleteWithResult(ctx, result.Server); !hcloud.IsError(err, hcloud.ErrorCodeForbidden) {
		t.Errorf("the read-only token deletes: %v", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("serve ended with %v", err)
	}
	data, err := os.ReadFile(log)
	if err != nil || !strings.HasPrefix(string(data), "POST /v1/servers\nGET /v1/actions?id=") {
		t.Errorf("request log: %q, %v", data, err)
	}
	if entries, err := os.ReadDir(os.Getenv("XDG_STATE_HOME")); err != nil || len(entries) > 0 {
		t.Errorf("an API without machines left %v, %v", entries, err)
	}
}

func TestServeRefuses(t *testing.T) {
	ctx := context.Background()
	err := Serve(ctx, ServeOptions{Listen: "127.0.0.1:0", Machines: "vms", Log: t.Logf})
	if problem.CodeOf(err) != problem.Usage {
		t.Errorf("machines vms: %v", err)
	}
	if err := Serve(ctx, ServeOptions{Listen: "256.0.0.1:0", Machines: MachinesNone, Log: t.Logf}); err == nil || !strings.Contains(problem.Text(err), "--listen") {
		t.Errorf("bad address: %v", err)
	}
}

func TestStatusText(t *testing.T) {
	s := Status{
		Name: "demo", API: "http://127.0.0.1:1", State: "/state", Engine: "not started by a lab", Images: map[string]string{"nixos": "img"},
		Servers: []ServerStatus{{ID: 7, Name: "web", Status: "running", Address: "10.213.0.10", Image: "NixOS (lab)", Container: "flotilla-lab-demo-7"}},
	}
	want := `lab demo
  API     http://127.0.0.1:1
  state   /state
  engine  not started by a lab
  image   img (nixos)

ID  NAME  STATUS   ADDRESS      IMAGE        CONTAINER
7   web   running  10.213.0.10  NixOS (lab)  flotilla-lab-demo-7
`
	if got := s.Text(); got != want {
		t.Errorf("text is\n%s\nwant\n%s", got, want)
	}
}
