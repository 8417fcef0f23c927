package remote

import (
	"context"
	"errors"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestDialShowsTheVerifiedKey(t *testing.T) {
	s := startSSHD(t)
	conn := s.dial(t)
	if got, want := Fingerprint(conn.RemoteKey()), Fingerprint(s.hostKey.PublicKey()); got != want {
		t.Errorf("RemoteKey = %s, want %s", got, want)
	}
	known := s.target("known")
	known.HostKeys, known.KnownHosts = nil, []ssh.PublicKey{s.hostKey.PublicKey()}
	mustDial(t, known)
}

func TestDialRefusesWrongHostKey(t *testing.T) {
	s := startSSHD(t)
	other, _ := newKey(t)
	target := s.target("web")
	target.HostKeys = []string{Fingerprint(other.PublicKey())}
	_, err := Dial(within(t, 20*time.Second), target)
	var wrong *HostKeyError
	if !errors.As(err, &wrong) {
		t.Fatalf("got %v, want a HostKeyError", err)
	}
	if wrong.Offered != Fingerprint(s.hostKey.PublicKey()) || wrong.Accepted[0] != target.HostKeys[0] {
		t.Errorf("HostKeyError = %+v", wrong)
	}
	text := problem.Text(err)
	for _, want := range []string{
		ssh.FingerprintSHA256(s.hostKey.PublicKey()), ssh.FingerprintSHA256(other.PublicKey()), wrong.Offered, wrong.Accepted[0], "hint:",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the message lacks %q:\n%s", want, text)
		}
	}
}

func TestDialRefusesUnpinnedHost(t *testing.T) {
	s := startSSHD(t)
	target := s.target("web")
	target.HostKeys = nil
	_, err := Dial(within(t, 20*time.Second), target)
	var unpinned *NotPinnedError
	if !errors.As(err, &unpinned) {
		t.Fatalf("got %v, want a NotPinnedError", err)
	}
	if text := problem.Text(err); !strings.Contains(text, "hint:") {
		t.Errorf("no hint in:\n%s", text)
	}
}

// A fingerprint does not tell its key's type: each key of the server gets its chance.
func TestDialFindsThePinnedKeyAmongSeveral(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rsa")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", file).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v %s", err, out)
	}
	s := startSSHD(t, "HostKey "+file)
	text, err := exec.Command("cat", file+".pub").Output()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseHostKeys(string(text))
	if err != nil {
		t.Fatal(err)
	}
	target := s.target("web")
	target.HostKeys = []string{Fingerprint(keys[0])}
	if got := mustDial(t, target).RemoteKey().Type(); got != ssh.KeyAlgoRSA {
		t.Errorf("verified key is %s", got)
	}
	target.HostKeys, target.KnownHosts = nil, keys
	if got := mustDial(t, target).RemoteKey().Type(); got != ssh.KeyAlgoRSA {
		t.Errorf("verified key is %s", got)
	}
}

func TestDialWrongUserKey(t *testing.T) {
	s := startSSHD(t)
	other, _ := newKey(t)
	target := s.target("web")
	target.Signers = []ssh.Signer{other}
	_, err := Dial(within(t, 20*time.Second), target)
	var auth *AuthError
	if !errors.As(err, &auth) {
		t.Fatalf("got %v, want an AuthError", err)
	}
	if want := ssh.FingerprintSHA256(other.PublicKey()); auth.User != "root" || !strings.Contains(err.Error(), want) {
		t.Errorf("%v: want user root and key %s", err, want)
	}
}

// More keys than the server has patience for: still a refused login, not a lost connection.
func TestDialTooManyKeys(t *testing.T) {
	s := startSSHD(t, "MaxAuthTries 2")
	target := s.target("web")
	target.Signers = nil
	for range 5 {
		k, _ := newKey(t)
		target.Signers = append(target.Signers, k)
	}
	_, err := Dial(within(t, 20*time.Second), target)
	var auth *AuthError
	if !errors.As(err, &auth) {
		t.Fatalf("got %v, want an AuthError", err)
	}
}

func TestDialUnreachable(t *testing.T) {
	signer, _ := newKey(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	target := Target{
		Host: "web", Address: "127.0.0.1", Signers: []ssh.Signer{signer}, HostKeys: []string{Fingerprint(signer.PublicKey())},
		ConnectTimeout: 500 * time.Millisecond,
	}
	for _, c := range []struct {
		name    string
		port    int
		stage   Stage
		refused bool
	}{
		{"refused", freePort(t), StageTCP, true},
		{"silent", silent.Addr().(*net.TCPAddr).Port, StageHandshake, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			target := target
			target.Port = c.port
			begin := time.Now()
			_, err := Dial(within(t, 20*time.Second), target)
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) {
				t.Fatalf("got %v, want an UnreachableError", err)
			}
			if unreachable.Stage != c.stage || unreachable.Refused != c.refused {
				t.Errorf("stage %q refused %v, want %q %v", unreachable.Stage, unreachable.Refused, c.stage, c.refused)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestDialNotSSH(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte(strings.Repeat("HTTP/1.1 400 Bad Request ", 1000)))
			defer c.Close()
		}
	}()
	signer, _ := newKey(t)
	_, err = Dial(within(t, 20*time.Second), Target{
		Host: "web", Address: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Signers: []ssh.Signer{signer},
		HostKeys: []string{Fingerprint(signer.PublicKey())},
	})
	var handshake *HandshakeError
	if !errors.As(err, &handshake) {
		t.Fatalf("got %v, want a HandshakeError", err)
	}
}

func TestDialFrozenServer(t *testing.T) {
	s := startSSHD(t)
	s.freeze()
	target := s.target("web")
	target.ConnectTimeout = time.Second
	begin := time.Now()
	_, err := Dial(within(t, 20*time.Second), target)
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Stage != StageHandshake {
		t.Fatalf("got %v, want an UnreachableError in the handshake", err)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestDialCancelled(t *testing.T) {
	s := startSSHD(t)
	s.freeze()
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("somebody pressed Ctrl-C")
	time.AfterFunc(200*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	_, err := Dial(ctx, s.target("web"))
	if !errors.Is(err, why) || time.Since(begin) > 5*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

func TestJumpHost(t *testing.T) {
	bastion, inner := startSSHD(t), startSSHD(t)
	jump := bastion.target("bastion")
	target := inner.target("web")
	target.Jump = &jump
	conn := mustDial(t, target)
	result, err := conn.Run(within(t, 20*time.Second), nil, "sh", "-c", "echo $SSH_CONNECTION")
	if err != nil {
		t.Fatal(err)
	}
	if fields := strings.Fields(string(result.Stdout)); len(fields) != 4 || fields[3] != strings.TrimPrefix(inner.address(), "127.0.0.1:") {
		t.Errorf("SSH_CONNECTION = %q", result.Stdout)
	}

	t.Run("each hop is verified", func(t *testing.T) {
		other, _ := newKey(t)
		bad := jump
		bad.HostKeys = []string{Fingerprint(other.PublicKey())}
		through := target
		through.Jump = &bad
		_, err := Dial(within(t, 20*time.Second), through)
		var wrong *HostKeyError
		if !errors.As(err, &wrong) || wrong.Host != "bastion" {
			t.Errorf("got %v, want a HostKeyError of bastion", err)
		}
		through = target
		through.HostKeys = []string{Fingerprint(other.PublicKey())}
		_, err = Dial(within(t, 20*time.Second), through)
		if !errors.As(err, &wrong) || wrong.Host != "web" {
			t.Errorf("got %v, want a HostKeyError of web", err)
		}
		through = target
		through.Jump = &Target{Host: "bastion", Address: jump.Address, Port: jump.Port, Signers: jump.Signers}
		_, err = Dial(within(t, 20*time.Second), through)
		var unpinned *NotPinnedError
		if !errors.As(err, &unpinned) || unpinned.Host != "bastion" {
			t.Errorf("got %v, want a NotPinnedError of bastion", err)
		}
	})
	t.Run("inner host down", func(t *testing.T) {
		inner.kill()
		_, err := Dial(within(t, 20*time.Second), target)
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || unreachable.Host != "web" || unreachable.Stage != StageTCP {
			t.Errorf("got %v, want web unreachable", err)
		}
	})
	t.Run("jump host in a circle", func(t *testing.T) {
		loop := jump
		loop.Jump = &loop
		_, err := Dial(within(t, 20*time.Second), loop)
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) {
			t.Errorf("got %v, want an UnreachableError", err)
		}
	})
}

func TestWaitReachable(t *testing.T) {
	s := startSSHD(t)
	quick := waiter{pause: 50 * time.Millisecond, patience: time.Second, limit: 10 * time.Second}

	t.Run("comes up later", func(t *testing.T) {
		s.kill()
		restarted := false
		conn, err := quick.wait(context.Background(), s.target("web"), func(err error) {
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) || !unreachable.Refused {
				t.Errorf("reported %v", err)
			}
			if !restarted {
				restarted = true
				s.start(t)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
		if !restarted {
			t.Error("nothing was reported")
		}
	})
	t.Run("key in place later", func(t *testing.T) {
		s.write(t, "authorized_keys", "")
		tries := 0
		conn, err := quick.wait(context.Background(), s.target("web"), func(err error) {
			var auth *AuthError
			if !errors.As(err, &auth) {
				t.Errorf("reported %v", err)
			}
			if tries++; tries == 2 {
				s.write(t, "authorized_keys", string(ssh.MarshalAuthorizedKey(s.userKey.PublicKey())))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	})
	t.Run("key never in place", func(t *testing.T) {
		target := s.target("web")
		other, _ := newKey(t)
		target.Signers = []ssh.Signer{other}
		begin := time.Now()
		_, err := quick.wait(context.Background(), target, nil)
		var auth *AuthError
		if took := time.Since(begin); !errors.As(err, &auth) || took < quick.patience || took > 8*time.Second {
			t.Errorf("got %v after %v", err, took)
		}
	})
	t.Run("wrong host key ends at once", func(t *testing.T) {
		target := s.target("web")
		other, _ := newKey(t)
		target.HostKeys = []string{Fingerprint(other.PublicKey())}
		_, err := quick.wait(context.Background(), target, func(err error) { t.Errorf("tried again after %v", err) })
		var wrong *HostKeyError
		if !errors.As(err, &wrong) {
			t.Errorf("got %v, want a HostKeyError", err)
		}
	})
	t.Run("never comes up", func(t *testing.T) {
		s.kill()
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		_, err := quick.wait(ctx, s.target("web"), nil)
		var unreachable *UnreachableError
		if !errors.As(err, &unreachable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the last failure and the deadline", err)
		}
	})
}
