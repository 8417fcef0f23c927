package remote

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/closure"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// A Stream is what pushes run over; floors forbid to say so outside of tests.
var _ closure.Stream = (*Stream)(nil)

func opener(c *Conn) closure.Opener {
	return closure.OpenerFunc(func(ctx context.Context, argv ...string) (closure.Stream, error) { return c.Open(ctx, argv...) })
}

const chainLength = 120

// chain makes a store with a closure that Nix itself has made: derivations of
// which each needs the one before, and a source of 4 MB.
func chain(t testing.TB) (env []string, root storepath.Path) {
	t.Helper()
	env = storeEnv(t)
	dir := t.TempDir()
	random := make([]byte, 4<<20)
	f, err := os.Open("/dev/urandom")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := io.ReadFull(f, random); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "source"), random, 0o600); err != nil {
		t.Fatal(err)
	}
	expression := `let make = n: before: derivation { name = "link-${toString n}"; system = "x86_64-linux"; builder = "/bin/sh"; inherit before; };
in builtins.foldl' (before: n: make n before) (make 0 ./source) (builtins.genList (n: n + 1) ` + strconv.Itoa(chainLength-1) + `)`
	if err := os.WriteFile(filepath.Join(dir, "chain.nix"), []byte(expression), 0o600); err != nil {
		t.Fatal(err)
	}
	out := nixOutput(t, env, "nix-instantiate", filepath.Join(dir, "chain.nix"))
	root, err = storepath.Parse(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	return env, root
}

// storeEnv is the environment of programs that work on an empty store of their own.
func storeEnv(t testing.TB) []string {
	t.Helper()
	dir := t.TempDir()
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", dir).Run() })
	return append(os.Environ(), "NIX_REMOTE=local?root="+dir, "NIX_CONFIG=substituters =")
}

func nixOutput(t testing.TB, env []string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(argv, " "), err)
	}
	return string(out)
}

// hostWithStore is a server whose logins work on a store of their own.
func hostWithStore(t testing.TB) (*server, []string) {
	t.Helper()
	env := storeEnv(t)
	var set []string
	for _, v := range env[len(env)-2:] {
		name, value, _ := strings.Cut(v, "=")
		set = append(set, name+`="`+value+`"`)
	}
	return startSSHD(t, "SetEnv "+strings.Join(set, " ")), env
}

func TestPushOverSSH(t *testing.T) {
	source, root := chain(t)
	pusher, err := closure.NewPusher(closure.Local{Env: source}, closure.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer pusher.Close()
	want := nixOutput(t, source, "nix-store", "-qR", root.String())

	t.Run("whole", func(t *testing.T) {
		s, env := hostWithStore(t)
		conn := s.dial(t)
		transfer, err := pusher.Plan(within(t, time.Minute), opener(conn), root)
		if err != nil {
			t.Fatal(err)
		}
		if transfer.Paths != chainLength+1 {
			t.Errorf("%d paths to send, want %d", transfer.Paths, chainLength+1)
		}
		pushed, err := transfer.Send(within(t, time.Minute), func(ctx context.Context) error {
			_, err := conn.Run(ctx, nil, "nix-store", "-q", "--hash", root.String())
			return err
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if pushed.Paths != transfer.Paths || pushed.Wire < 4<<20 {
			t.Errorf("Pushed = %+v", pushed)
		}
		if got := nixOutput(t, env, "nix-store", "-qR", root.String()); got != want {
			t.Errorf("the host has\n%s\nwant\n%s", got, want)
		}
		verify := exec.Command("nix-store", "--verify", "--check-contents")
		verify.Env = env
		if out, err := verify.CombinedOutput(); err != nil {
			t.Errorf("nix-store --verify: %v\n%s", err, out)
		}
	})
	t.Run("connection killed, then resumed", func(t *testing.T) {
		s, env := hostWithStore(t)
		transfer, err := pusher.Plan(within(t, time.Minute), opener(s.dial(t)), root)
		if err != nil {
			t.Fatal(err)
		}
		killed := false
		_, err = transfer.Send(within(t, time.Minute), func(context.Context) error {
			// The connection dies when all has been sent and nothing is rooted yet at the latest.
			return errors.New("came to its end")
		}, func(done, _ int, _, _ int64) {
			if done == 0 && !killed {
				killed = true
				for _, pid := range s.connections() {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}
		})
		var lost *LostError
		if !errors.As(err, &lost) {
			t.Fatalf("got %v, want a LostError", err)
		}
		again, err := pusher.Plan(within(t, time.Minute), opener(s.dial(t)), root)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := again.Send(within(t, time.Minute), func(context.Context) error { return nil }, nil); err != nil {
			t.Fatal(err)
		}
		if got := nixOutput(t, env, "nix-store", "-qR", root.String()); got != want {
			t.Errorf("the host has\n%s\nwant\n%s", got, want)
		}
	})
	t.Run("frozen host", func(t *testing.T) {
		s, _ := hostWithStore(t)
		target := s.target("web")
		target.KeepAlive = 300 * time.Millisecond
		transfer, err := pusher.Plan(within(t, time.Minute), opener(mustDial(t, target)), root)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		_, err = transfer.Send(within(t, time.Minute), func(context.Context) error { return nil }, func(int, int, int64, int64) { s.freeze() })
		var lost *LostError
		if !errors.As(err, &lost) || time.Since(begin) > 20*time.Second {
			t.Errorf("got %v after %v, want a LostError", err, time.Since(begin))
		}
	})
}
