package remote

import (
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/closure"
)

// BenchmarkPush pushes one closure to three empty hosts, side by side with
// "nix copy" to the same hosts at the same time. It reports the ratio of the
// times: above 1, nix copy takes longer.
func BenchmarkPush(b *testing.B) {
	for name, delay := range map[string]time.Duration{"loopback": 0, "40ms": 20 * time.Millisecond} {
		b.Run(name, func(b *testing.B) { benchmarkPush(b, delay) })
	}
}

// benchmarkPush has bytes take delay each way.
func benchmarkPush(b *testing.B, delay time.Duration) {
	source, root := chain(b)
	var hosts []*server
	var stores [][]string
	for range 3 {
		s, env := hostWithStore(b)
		if delay > 0 {
			s.port = slowPort(b, s.address(), delay)
		}
		hosts, stores = append(hosts, s), append(stores, env)
	}
	var ours, theirs time.Duration
	for range b.N {
		empty(b, stores)
		ours += atOnce(b, hosts, func() func(*server) error {
			pusher, err := closure.NewPusher(closure.Local{Env: source}, closure.Options{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = pusher.Close() })
			return func(s *server) error {
				conn, err := Dial(b.Context(), s.target("web"))
				if err != nil {
					return err
				}
				defer conn.Close()
				transfer, err := pusher.Plan(b.Context(), opener(conn), root)
				if err != nil {
					return err
				}
				_, err = transfer.Send(b.Context(), func(context.Context) error { return nil }, nil)
				return err
			}
		}())
		empty(b, stores)
		theirs += atOnce(b, hosts, func(s *server) error {
			s.write(b, "known_hosts", "[127.0.0.1]:"+strconv.Itoa(s.port)+" "+string(ssh.MarshalAuthorizedKey(s.hostKey.PublicKey())))
			cmd := exec.CommandContext(b.Context(), "nix", "--extra-experimental-features", "nix-command", "copy", "--derivation", "--no-check-sigs", "--to", "ssh://root@127.0.0.1", root.String())
			cmd.Env = append(append([]string(nil), source...),
				"NIX_SSHOPTS=-p "+strconv.Itoa(s.port)+" -i "+s.dir+"/user_key -o UserKnownHostsFile="+s.dir+"/known_hosts")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("nix copy: %w\n%s", err, out)
			}
			return nil
		})
	}
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "nix-copy/push")
}

// slowPort gives a port behind which a server is far away.
func slowPort(b *testing.B, to string, delay time.Duration) int {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go late(near, far, delay)
			go late(far, near, delay)
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

// late copies bytes, each after a delay.
func late(to io.WriteCloser, from io.Reader, delay time.Duration) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	onTheWay := make(chan piece, 1<<12)
	go func() {
		defer close(onTheWay)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			onTheWay <- piece{b[:n], time.Now().Add(delay)}
		}
	}()
	for p := range onTheWay {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	_ = to.Close()
}

// atOnce does the same for all hosts in parallel and gives the time of all.
func atOnce(b *testing.B, hosts []*server, do func(*server) error) time.Duration {
	b.Helper()
	begin := time.Now()
	var all sync.WaitGroup
	for _, s := range hosts {
		all.Go(func() {
			if err := do(s); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	return time.Since(begin)
}

// empty removes everything from stores.
func empty(b *testing.B, stores [][]string) {
	b.Helper()
	for _, env := range stores {
		for _, v := range env {
			if dir, ok := strings.CutPrefix(v, "NIX_REMOTE=local?root="); ok {
				if out, err := exec.Command("sh", "-c", `chmod -R u+w "$1"; rm -rf "$1"/*`, "sh", dir).CombinedOutput(); err != nil {
					b.Fatalf("empty %s: %v %s", dir, err, out)
				}
			}
		}
	}
}
