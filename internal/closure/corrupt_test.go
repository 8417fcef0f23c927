package closure

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Bytes that change on the way are noticed by the host, and told with its words.
func TestHashMismatchOnTheHost(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, 50, 9)
	p := newPusher(t, source, Options{})
	var flipped atomic.Bool
	flip := tampered{Opener: withoutZstd(t, host), write: func(n int64, s Stream, b []byte) (int, error) {
		if n > 3_000_000 && len(b) > 1000 && flipped.CompareAndSwap(false, true) { // inside the big file
			b = append([]byte(nil), b...)
			b[500] ^= 1
		}
		return s.Write(b)
	}}
	transfer, err := p.Plan(within(t, time.Minute), flip, root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Send(within(t, time.Minute), rootedNowhere, nil)
	var at *PathError
	if !errors.As(err, &at) || !strings.Contains(err.Error(), "hash mismatch") || at.Path.Name() != "part-25" {
		t.Fatalf("got %v, want a hash mismatch of the big path", err)
	}
	push(t, p, host, root)
	host.sameAs(t, source, root)
}

// A path that rotted in the local store is named, and is not handed on.
func TestHashMismatchHere(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, 50, 10)
	var big string
	for _, p := range strings.Fields(source.nix(t, "nix-store", "-qR", root.String())) {
		if strings.HasSuffix(p, "-part-25") {
			big = p
		}
	}
	blob := filepath.Join(source.dir+big, "blob")
	content, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.Chmod(blob, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(blob, content, 0o600); err != nil {
		t.Fatal(err)
	}
	p := newPusher(t, source, Options{})
	transfer, err := p.Plan(within(t, time.Minute), host, root)
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Send(within(t, time.Minute), rootedNowhere, nil)
	if err == nil || !strings.Contains(err.Error(), big) || !strings.Contains(err.Error(), "not what was built") {
		t.Errorf("got %v, want %s named", err, big)
	}
	check := exec.Command("nix-store", "--check-validity", big)
	check.Env = host.Env
	if err := check.Run(); err == nil {
		t.Error("the host took the rotten path")
	}
}
