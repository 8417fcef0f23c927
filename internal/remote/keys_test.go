package remote

import (
	"encoding/base32"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v %s", err, out)
	}
	line, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseHostKeys("# comment\n\n" + string(line))
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	print := Fingerprint(keys[0])
	if len(print) != 52 || strings.ToLower(print) != print {
		t.Errorf("fingerprint %q", print)
	}
	if _, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(print)); err != nil {
		t.Error(err)
	}
	out, err := exec.Command("ssh-keygen", "-lf", file+".pub").Output()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := OpenSSHFingerprint(print), strings.Fields(string(out))[1]; got != want {
		t.Errorf("OpenSSH form %s, ssh-keygen says %s", got, want)
	}
	if got := OpenSSHFingerprint("no fingerprint"); got != "no fingerprint" {
		t.Errorf("got %q", got)
	}
}

func TestSigners(t *testing.T) {
	signer, text := newKey(t)
	dir := t.TempDir()
	plain, locked := filepath.Join(dir, "plain"), filepath.Join(dir, "locked")
	if err := os.WriteFile(plain, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "sesame", "-f", locked).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v %s", err, out)
	}
	lockedText, err := os.ReadFile(locked)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSH_AUTH_SOCK", "")
	for _, c := range []struct {
		name  string
		key   string
		agent bool
		files []string
		count int
		says  string // of the error's text
	}{
		{name: "key", key: text, count: 1},
		{name: "key with CRLF and without its last newline", key: strings.TrimSpace(strings.ReplaceAll(text, "\n", "\r\n")), count: 1},
		{name: "the same key twice", key: text, files: []string{plain}, count: 1},
		{name: "a locked file beside another", files: []string{locked, plain}, count: 1},
		{name: "only a locked file", files: []string{locked}, says: "has a passphrase"},
		{name: "locked key", key: string(lockedText), says: "passphrase"},
		{name: "public key", key: string(ssh.MarshalAuthorizedKey(signer.PublicKey())), says: "public key"},
		{name: "line breaks lost", key: strings.ReplaceAll(text, "\n", " "), says: "line breaks"},
		{name: "nonsense", key: "hello", says: "BEGIN OPENSSH"},
		{name: "nothing", says: "ssh.key"},
		{name: "no agent", agent: true, says: "SSH_AUTH_SOCK"},
		{name: "missing file", files: []string{filepath.Join(dir, "none")}, says: "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			signers, err := Signers(t.Context(), secret.New(c.key), c.agent, c.files)
			if c.says == "" {
				if err != nil || len(signers) != c.count {
					t.Errorf("%d signers, %v", len(signers), err)
				}
				return
			}
			if err == nil {
				t.Fatal("no error")
			}
			shown := problem.Text(err)
			if !strings.Contains(shown, c.says) {
				t.Errorf("%q is not in:\n%s", c.says, shown)
			}
			for _, line := range strings.Split(c.key, "\n") {
				if len(line) > 4 && !strings.Contains(line, "-----") && strings.Contains(shown, line) {
					t.Errorf("the error shows the key:\n%s", shown)
				}
			}
		})
	}
}

// A real agent, a real server: the key never comes to us.
func TestAgent(t *testing.T) {
	s := startSSHD(t)
	dir, err := os.MkdirTemp("", "agent") // socket names must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	agent := exec.Command("ssh-agent", "-D", "-a", socket)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Process.Kill(); _ = agent.Wait() })
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	rsa := filepath.Join(dir, "rsa")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", rsa).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v %s", err, out)
	}
	t.Setenv("SSH_AUTH_SOCK", socket)
	if out, err := exec.Command("ssh-add", "-q", rsa).CombinedOutput(); err != nil {
		t.Fatalf("ssh-add: %v %s", err, out)
	}
	signers, err := Signers(t.Context(), secret.String{}, true, nil)
	if err != nil || len(signers) != 1 {
		t.Fatalf("%d signers, %v", len(signers), err)
	}
	s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(signers[0].PublicKey())))
	target := s.target("web")
	target.Signers = signers
	mustDial(t, target)
}

func TestKnownHosts(t *testing.T) {
	one, _ := newKey(t)
	two, _ := newKey(t)
	revoked, _ := newKey(t)
	line := func(names string, key ssh.Signer) string {
		return names + " " + string(ssh.MarshalAuthorizedKey(key.PublicKey()))
	}
	file := filepath.Join(t.TempDir(), "known_hosts")
	text := line("web.example.com,192.0.2.1", one) + line("[web.example.com]:2222", two) +
		line("192.0.2.9", revoked) + line("@revoked *", revoked)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-H", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen -H: %v %s", err, out)
	}
	for _, c := range []struct {
		address string
		port    int
		want    ssh.Signer
	}{
		{"web.example.com", 22, one}, {"192.0.2.1", 22, one}, {"web.example.com", 2222, two}, {"192.0.2.9", 22, nil}, {"other.example.com", 22, nil},
	} {
		keys, err := KnownHosts([]string{file, file + ".none"}, c.address, c.port)
		if err != nil {
			t.Errorf("%s:%d: %v", c.address, c.port, err)
			continue
		}
		switch {
		case c.want == nil && len(keys) > 0:
			t.Errorf("%s:%d: found a key", c.address, c.port)
		case c.want != nil && (len(keys) != 1 || Fingerprint(keys[0]) != Fingerprint(c.want.PublicKey())):
			t.Errorf("%s:%d: found %d keys", c.address, c.port, len(keys))
		}
	}
	if _, err := ParseHostKeys("command=\"x\" " + string(ssh.MarshalAuthorizedKey(one.PublicKey()))); err == nil {
		t.Error("a line with options was taken for a host key")
	}
	if _, err := ParseHostKeys("nonsense"); err == nil {
		t.Errorf("nonsense: %v", err)
	}
}
