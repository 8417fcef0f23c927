package remote

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// server is a real OpenSSH server on a loopback port, with files of its own.
type server struct {
	dir     string
	port    int
	hostKey ssh.Signer
	userKey ssh.Signer
	log     *bytes.Buffer
	cmd     *exec.Cmd
}

// startSSHD starts a server; extra are lines of its configuration.
func startSSHD(t testing.TB, extra ...string) *server {
	t.Helper()
	s := &server{dir: t.TempDir(), log: &bytes.Buffer{}}
	s.hostKey = s.newKey(t, "host_key")
	s.userKey = s.newKey(t, "user_key")
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(s.userKey.PublicKey())))
	s.port = freePort(t)
	// sshd wants this folder, which its service would make.
	if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
		t.Fatal(err)
	}
	lines := append([]string{
		"ListenAddress 127.0.0.1:" + strconv.Itoa(s.port),
		"HostKey " + filepath.Join(s.dir, "host_key"),
		"AuthorizedKeysFile " + filepath.Join(s.dir, "authorized_keys"),
		"PidFile none", "StrictModes no", "UsePAM no", "PermitRootLogin yes", "PasswordAuthentication no", "LogLevel ERROR",
	}, extra...)
	s.write(t, "config", strings.Join(lines, "\n")+"\n")
	t.Cleanup(func() { s.kill() })
	s.start(t)
	return s
}

func (s *server) start(t testing.TB) {
	t.Helper()
	s.cmd = exec.Command("/usr/sbin/sshd", "-D", "-e", "-f", filepath.Join(s.dir, "config"))
	s.cmd.Stderr, s.cmd.WaitDelay = s.log, time.Second
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("start sshd (Debian package openssh-server): %v", err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		conn, err := net.Dial("tcp", s.address())
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("sshd does not listen: %v\n%s", err, s.log)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// kill ends the server and all its connections at once.
func (s *server) kill() {
	all := append(s.connections(), s.cmd.Process.Pid)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGCONT)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	_ = s.cmd.Wait()
}

// freeze stops the server and its connections without ending them.
func (s *server) freeze() {
	for _, pid := range append(s.connections(), s.cmd.Process.Pid) {
		_ = syscall.Kill(pid, syscall.SIGSTOP)
	}
}

// connections are the sshd processes below the listening one.
func (s *server) connections() []int {
	parents := map[int]int{}
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range entries {
		b, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(b, []byte("(sshd")) {
			continue
		}
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parents[pid], _ = strconv.Atoi(fields[1])
	}
	var found []int
	for pid := range parents {
		for p := parents[pid]; p > 1; p = parents[p] {
			if p == s.cmd.Process.Pid {
				found = append(found, pid)
				break
			}
		}
	}
	return found
}

func (s *server) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

func (s *server) target(name string) Target {
	return Target{
		Host: name, Address: "127.0.0.1", Port: s.port, Signers: []ssh.Signer{s.userKey},
		HostKeys: []string{Fingerprint(s.hostKey.PublicKey())},
	}
}

func (s *server) dial(t testing.TB) *Conn {
	t.Helper()
	return mustDial(t, s.target("web"))
}

func mustDial(t testing.TB, target Target) *Conn {
	t.Helper()
	conn, err := Dial(within(t, 20*time.Second), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (s *server) write(t testing.TB, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *server) newKey(t testing.TB, name string) ssh.Signer {
	t.Helper()
	signer, text := newKey(t)
	s.write(t, name, text)
	return signer
}

// newKey makes a key and its PEM text.
func newKey(t testing.TB) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "test")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(context.Background(), d, fmt.Errorf("test limit of %v", d))
	t.Cleanup(cancel)
	return ctx
}
