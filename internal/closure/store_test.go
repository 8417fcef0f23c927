package closure

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nix-community/go-nix/pkg/nar"
	"github.com/nix-community/go-nix/pkg/nixbase32"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// store is a real Nix store below a folder of its own, whose paths are called
// /nix/store/… all the same.
type store struct {
	dir string
	Local
}

func newStore(t *testing.T) *store {
	t.Helper()
	dir := t.TempDir()
	// Nix takes write permission away from what is in a store.
	t.Cleanup(func() { _ = exec.Command("chmod", "-R", "u+w", dir).Run() })
	return &store{dir: dir, Local: Local{Env: append(os.Environ(),
		"NIX_REMOTE=local?root="+dir, "NIX_CONFIG=build-users-group =\nsandbox = false\nsubstituters =\nmin-free = 0\n",
	)}}
}

// nix runs a Nix program on the store.
func (s *store) nix(t *testing.T, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = s.Env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
	return string(out)
}

// has counts the paths that are there, valid or not.
func (s *store) has(t *testing.T) int {
	t.Helper()
	n := 0
	for _, which := range []string{"--print-live", "--print-dead"} {
		n += strings.Count("\n"+s.nix(t, "nix-store", "--gc", which), "\n"+storepath.Dir+"/")
	}
	return n
}

// sameAs compares a closure with the one in another store: metadata, contents,
// and what Nix itself says of their health.
func (s *store) sameAs(t *testing.T, other *store, root storepath.Path) {
	t.Helper()
	verify := s.nix(t, "nix-store", "--verify", "--check-contents")
	if strings.Contains(verify, "modified") || strings.Contains(verify, "disappeared") || strings.Contains(verify, "error") {
		t.Errorf("nix-store --verify says:\n%s", verify)
	}
	paths := strings.Fields(other.nix(t, "nix-store", "-qR", root.String()))
	for _, query := range [][]string{{"-qR", root.String()}, append([]string{"-q", "--hash"}, paths...), append([]string{"-q", "--references"}, paths...), append([]string{"-q", "--deriver"}, paths...)} {
		argv := append([]string{"nix-store"}, query...)
		if got, want := s.nix(t, argv...), other.nix(t, argv...); got != want {
			t.Errorf("%s %s differs: %d and %d bytes", argv[0], argv[1], len(got), len(want))
		}
	}
	for _, p := range paths {
		if out, err := exec.Command("diff", "-r", "--no-dereference", s.dir+p, other.dir+p).CombinedOutput(); err != nil {
			t.Errorf("%s differs: %v\n%s", p, err, out)
		}
	}
}

// addSystem puts a closure of n paths into the store: files, programs, links,
// folders, references to others and to themselves, one path of 6 MB. It gives
// the root.
func (s *store) addSystem(t *testing.T, n int, seed uint64) storepath.Path {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	stream, err := s.Open(context.Background(), "nix-store", "--serve", "--write")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	in := newSession(stream)
	var made []storepath.Path
	for k := range n {
		var id [16]byte
		binary.LittleEndian.PutUint64(id[:], seed)
		binary.LittleEndian.PutUint64(id[8:], uint64(k))
		sum := sha256.Sum256(id[:])
		p := parse(t, fmt.Sprintf("%s/%s-part-%d", storepath.Dir, nixbase32.EncodeToString(sum[:20]), k))
		i := info{path: p}
		refs := map[storepath.Path]bool{}
		if k > 0 {
			for range 1 + random.IntN(3) {
				refs[made[max(0, k-1-random.IntN(20))]] = true
			}
			refs[made[k-1]] = true // the last one needs them all
		}
		if k%5 == 0 {
			refs[p] = true
		}
		text := "part of a system\n"
		for ref := range refs {
			i.refs = append(i.refs, ref)
		}
		for _, ref := range i.refs {
			text += ref.String() + "\n"
		}
		size := random.IntN(20_000)
		if k == n/2 {
			size = 6_000_000
		}
		blob := make([]byte, size)
		for b := range blob {
			blob[b] = byte(random.Uint32()) & 0x3f // compresses a little
		}
		archive := narOf(t, k%7 == 3, text, blob)
		i.size, i.hash = int64(len(archive)), sha256.Sum256(archive)
		q := addRequest(i)
		q.Write(archive)
		if err := in.send(q); err != nil {
			t.Fatal(err)
		}
		if one, err := in.answer().number(); err != nil || one != 1 {
			t.Fatalf("add %s: %d, %v", p, one, in.failure(err))
		}
		made = append(made, p)
	}
	root := made[n-1]
	link := filepath.Join(s.dir, "nix/var/nix/gcroots/system")
	_ = os.Remove(link)
	if err := os.Symlink(root.String(), link); err != nil {
		t.Fatal(err)
	}
	return root
}

// narOf makes an archive: one file, or a folder with several kinds of things.
func narOf(t *testing.T, single bool, text string, blob []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := nar.NewWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, executable bool, content []byte) {
		if err := w.WriteHeader(&nar.Header{Path: name, Type: nar.TypeRegular, Size: int64(len(content)), Executable: executable}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if single {
		file("/", false, append([]byte(text), blob...))
	} else {
		folder := func(name string) {
			if err := w.WriteHeader(&nar.Header{Path: name, Type: nar.TypeDirectory}); err != nil {
				t.Fatal(err)
			}
		}
		folder("/")
		folder("/bin")
		file("/bin/run", true, []byte("#!/bin/sh\n"+text))
		file("/blob", false, blob)
		file("/empty", false, nil)
		if err := w.WriteHeader(&nar.Header{Path: "/link", Type: nar.TypeSymlink, LinkTarget: "bin/run"}); err != nil {
			t.Fatal(err)
		}
		folder("/nothing")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func parse(t *testing.T, s string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func newPusher(t *testing.T, source Opener, o Options) *Pusher {
	t.Helper()
	o.Dir = t.TempDir()
	p, err := NewPusher(source, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(o.Dir); len(left) > 0 {
			t.Errorf("%d temporary files were left", len(left))
		}
	})
	return p
}

func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// dumps counts how often each path is read from a store.
type dumps struct {
	Opener
	mu    sync.Mutex
	count map[string]int
}

// Open implements Opener.
func (d *dumps) Open(ctx context.Context, argv ...string) (Stream, error) {
	stream, err := d.Opener.Open(ctx, argv...)
	if err != nil {
		return nil, err
	}
	return &dumpStream{Stream: stream, dumps: d}, nil
}

type dumpStream struct {
	Stream
	dumps *dumps
}

// Write implements io.Writer; sessions write each request at once.
func (s *dumpStream) Write(p []byte) (int, error) {
	rest := bytes.TrimPrefix(p, greeting().Bytes())
	d := reader{bytes.NewReader(rest)}
	if command, err := d.number(); err == nil && command == cmdDumpStorePath {
		if path, err := d.text(); err == nil {
			s.dumps.mu.Lock()
			s.dumps.count[path]++
			s.dumps.mu.Unlock()
		}
	}
	return s.Stream.Write(p)
}

// tampered changes what goes to a host's uploads.
type tampered struct {
	Opener
	write func(n int64, s Stream, p []byte) (int, error) // n: bytes written before
}

// Open implements Opener.
func (o tampered) Open(ctx context.Context, argv ...string) (Stream, error) {
	stream, err := o.Opener.Open(ctx, argv...)
	if err != nil || strings.Contains(strings.Join(argv, " "), "flotilla-probe") {
		return stream, err
	}
	return &tamperedStream{Stream: stream, write: o.write}, nil
}

type tamperedStream struct {
	Stream
	n     int64
	write func(int64, Stream, []byte) (int, error)
}

// Write implements io.Writer.
func (s *tamperedStream) Write(p []byte) (int, error) {
	n, err := s.write(s.n, s.Stream, p)
	s.n += int64(n)
	return n, err
}

// scripted is a host that answers everything with the same bytes.
type scripted []byte

// Open implements Opener.
func (s scripted) Open(context.Context, ...string) (Stream, error) {
	return &scriptedStream{Reader: bytes.NewReader(s)}, nil
}

type scriptedStream struct{ io.Reader }

func (scriptedStream) Write(p []byte) (int, error) { return len(p), nil }
func (scriptedStream) CloseWrite() error           { return nil }
func (scriptedStream) Wait() error                 { return nil }
func (scriptedStream) Close() error                { return nil }
