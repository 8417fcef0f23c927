package closure

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

const systemSize = 300 // paths

func rootedNowhere(context.Context) error { return nil }

// push plans and sends, and expects that to go well.
func push(t *testing.T, p *Pusher, host Opener, root storepath.Path) *Transfer {
	t.Helper()
	transfer, err := p.Plan(within(t, time.Minute), host, root)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.Send(within(t, time.Minute), rootedNowhere, nil); err != nil {
		t.Fatal(err)
	}
	return transfer
}

func TestPush(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, systemSize, 1)
	p := newPusher(t, source, Options{})

	planning, cancel := context.WithCancel(context.Background())
	transfer, err := p.Plan(planning, host, root)
	if err != nil {
		t.Fatal(err)
	}
	cancel() // a plan outlives the step that made it
	if transfer.Total != systemSize || transfer.Paths != systemSize || transfer.NAR < 6_000_000 {
		t.Fatalf("Transfer = %d of %d paths, %d bytes", transfer.Paths, transfer.Total, transfer.NAR)
	}
	var lastPaths int
	var lastNAR int64
	report := func(paths, total int, nar, totalNAR int64) {
		if paths < lastPaths || nar < lastNAR || total != systemSize || totalNAR != transfer.NAR {
			t.Errorf("report went from %d/%d to %d/%d", lastPaths, lastNAR, paths, nar)
		}
		lastPaths, lastNAR = paths, nar
	}
	collected := false
	rooted := func(context.Context) error {
		collected = true
		// Nothing holds the paths but the sessions: a collection now must not take one.
		host.nix(t, "nix-store", "--gc")
		return os.Symlink(root.String(), filepath.Join(host.dir, "nix/var/nix/gcroots/system"))
	}
	pushed, err := transfer.Send(within(t, time.Minute), rooted, report)
	if err != nil {
		t.Fatal(err)
	}
	if !collected || lastPaths != systemSize || lastNAR != transfer.NAR {
		t.Errorf("rooted called: %v; last report %d paths, %d bytes", collected, lastPaths, lastNAR)
	}
	if pushed.Paths != systemSize || pushed.NAR != transfer.NAR || pushed.Wire == 0 || pushed.Wire >= pushed.NAR {
		t.Errorf("Pushed = %+v, want less on the wire than %d", pushed, transfer.NAR)
	}
	host.sameAs(t, source, root)
	host.nix(t, "nix-store", "--gc")
	if got := host.has(t); got != systemSize {
		t.Errorf("%d paths after a collection, want %d", got, systemSize)
	}

	t.Run("again", func(t *testing.T) {
		again, err := p.Plan(within(t, time.Minute), host, root)
		if err != nil || again.Paths != 0 || again.NAR != 0 {
			t.Fatalf("%+v, %v: want nothing to send", again, err)
		}
		rooted := false
		pushed, err := again.Send(within(t, time.Minute), func(context.Context) error { rooted = true; return nil }, nil)
		if err != nil || pushed.Paths != 0 || !rooted {
			t.Errorf("%+v, %v, rooted %v", pushed, err, rooted)
		}
	})
	t.Run("only what is new", func(t *testing.T) {
		longer := source.addSystem(t, systemSize+7, 1) // the same and seven more
		transfer := push(t, p, host, longer)
		if transfer.Paths != 7 || transfer.Total != systemSize+7 {
			t.Errorf("%d of %d paths", transfer.Paths, transfer.Total)
		}
		host.sameAs(t, source, longer)
	})
}

// What nobody roots may be collected once the transfer is closed: the sessions are really gone.
func TestCloseLetsGo(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, 10, 2)
	p := newPusher(t, source, Options{})
	push(t, p, host, root)
	host.nix(t, "nix-store", "--gc")
	if got := host.has(t); got != 0 {
		t.Errorf("%d paths are still held", got)
	}
}

// What a plan found on the host is still there when the rest is sent.
func TestPlanKeepsWhatIsThere(t *testing.T) {
	source, host := newStore(t), newStore(t)
	p := newPusher(t, source, Options{})
	push(t, p, host, source.addSystem(t, 20, 14))
	root := source.addSystem(t, 40, 14) // needs the first 20
	transfer, err := p.Plan(within(t, time.Minute), host, root)
	if err != nil {
		t.Fatal(err)
	}
	if transfer.Paths != 20 {
		t.Fatalf("%d paths are missing, want 20", transfer.Paths)
	}
	host.nix(t, "nix-store", "--gc") // nothing but the plan holds them
	if _, err := transfer.Send(within(t, time.Minute), rootedNowhere, nil); err != nil {
		t.Fatal(err)
	}
	host.sameAs(t, source, root)
}

func TestRootFails(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, 5, 2)
	transfer, err := newPusher(t, source, Options{}).Plan(within(t, time.Minute), host, root)
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("disk full")
	if _, err := transfer.Send(within(t, time.Minute), func(context.Context) error { return why }, nil); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}

func TestFanOutReadsOnce(t *testing.T) {
	source := newStore(t)
	counted := &dumps{Opener: source, count: map[string]int{}}
	p := newPusher(t, counted, Options{})
	hosts := []*store{newStore(t), newStore(t), newStore(t)}
	// The third host has a part already.
	push(t, newPusher(t, source, Options{}), hosts[2], source.addSystem(t, 20, 3))
	root := source.addSystem(t, systemSize, 3)
	var all sync.WaitGroup
	for n, host := range hosts {
		all.Go(func() {
			transfer, err := p.Plan(within(t, time.Minute), host, root)
			if err != nil {
				t.Error(err)
				return
			}
			if want := []int{systemSize, systemSize, systemSize - 20}[n]; transfer.Paths != want {
				t.Errorf("host %d lacks %d paths, want %d", n, transfer.Paths, want)
			}
			if _, err := transfer.Send(within(t, time.Minute), rootedNowhere, nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, host := range hosts {
		host.sameAs(t, source, root)
	}
	if len(counted.count) != systemSize {
		t.Errorf("%d paths were read, want %d", len(counted.count), systemSize)
	}
	for path, times := range counted.count {
		if times != 1 {
			t.Errorf("%s was read %d times", path, times)
		}
	}
}

// With hardly any room for frames, they are made again as needed, and all arrives.
func TestSpoolLimit(t *testing.T) {
	source, one, two := newStore(t), newStore(t), newStore(t)
	root := source.addSystem(t, 60, 4)
	counted := &dumps{Opener: source, count: map[string]int{}}
	p := newPusher(t, counted, Options{Limit: 1, Workers: 1})
	push(t, p, one, root)
	push(t, p, two, root)
	two.sameAs(t, source, root)
	total := 0
	for _, times := range counted.count {
		total += times
	}
	if total != 120 {
		t.Errorf("%d reads of 60 paths for two hosts one after the other, want 120", total)
	}
	if entries, err := os.ReadDir(p.dir); err != nil || len(entries) > 0 {
		t.Errorf("%d frames were kept beyond the limit, %v", len(entries), err)
	}
}

func TestKilledAndResumed(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, systemSize, 5)
	p := newPusher(t, source, Options{})
	killer := tampered{Opener: host, write: func(n int64, s Stream, b []byte) (int, error) {
		if n > 1_500_000 {
			_ = s.(*localStream).kill()
			_, _ = s.(*localStream).tail.Write([]byte("error: somebody pulled the plug\n"))
		}
		return s.Write(b)
	}}
	transfer, err := p.Plan(within(t, time.Minute), killer, root)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := transfer.Send(within(t, time.Minute), func(context.Context) error {
		t.Error("rooted was called after a failure")
		return nil
	}, nil)
	var at *PathError
	var failure *process.Error
	if !errors.As(err, &at) || !errors.As(err, &failure) || !strings.Contains(failure.Tail, "pulled the plug") {
		t.Fatalf("got %v, want a PathError with the program's last words", err)
	}
	again := push(t, p, host, root)
	if again.Paths == systemSize || again.Paths == 0 || again.Paths > systemSize-pushed.Paths {
		t.Errorf("%d paths were confirmed, then %d of %d were missing", pushed.Paths, again.Paths, systemSize)
	}
	host.sameAs(t, source, root)
}

// withoutZstd is an environment whose PATH has a shell and nix-store only.
func withoutZstd(t *testing.T, s *store) Local {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"sh", "nix-store"} {
		file, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(file, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return Local{Env: append(append([]string(nil), s.Env...), "PATH="+dir)}
}

func TestPushWithoutZstd(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, 100, 6)
	p := newPusher(t, source, Options{})
	transfer, err := p.Plan(within(t, time.Minute), withoutZstd(t, host), root)
	if err != nil {
		t.Fatal(err)
	}
	if transfer.programs.zstd != "" {
		t.Fatalf("found zstd at %s", transfer.programs.zstd)
	}
	pushed, err := transfer.Send(within(t, time.Minute), rootedNowhere, nil)
	if err != nil || pushed.Wire < pushed.NAR {
		t.Errorf("%+v, %v: want at least the NARs on the wire", pushed, err)
	}
	host.sameAs(t, source, root)
}

// A login that may run nothing but one command.
func TestPushToForcedCommand(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, 30, 7)
	p := newPusher(t, source, Options{})
	forced := OpenerFunc(func(ctx context.Context, _ ...string) (Stream, error) {
		return host.Open(ctx, "nix-store", "--serve", "--write")
	})
	push(t, p, forced, root)
	host.sameAs(t, source, root)

	readOnly := OpenerFunc(func(ctx context.Context, _ ...string) (Stream, error) {
		return host.Open(ctx, "nix-store", "--serve")
	})
	other := source.addSystem(t, 31, 8)
	transfer, err := p.Plan(within(t, time.Minute), readOnly, other)
	if err != nil {
		t.Fatal(err)
	}
	_, err = transfer.Send(within(t, time.Minute), rootedNowhere, nil)
	var at *PathError
	if !errors.As(err, &at) || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("got %v, want nix-store's own words", err)
	}
}

func TestUnknownRoot(t *testing.T) {
	source, host := newStore(t), newStore(t)
	source.addSystem(t, 3, 11)
	missing := parse(t, "/nix/store/00000000000000000000000000000000-nothing")
	_, err := newPusher(t, source, Options{}).Plan(within(t, time.Minute), host, missing)
	if err == nil || !strings.Contains(err.Error(), missing.String()) || !strings.Contains(err.Error(), "not valid") {
		t.Errorf("got %v", err)
	}
}

func TestNoNixOnTheHost(t *testing.T) {
	source := newStore(t)
	root := source.addSystem(t, 3, 12)
	dir := t.TempDir()
	_, err := newPusher(t, source, Options{}).Plan(within(t, time.Minute), Local{Env: []string{"PATH=" + dir}}, root)
	if err == nil || !strings.Contains(err.Error(), "no nix-store") {
		t.Errorf("got %v", err)
	}
}

// A host on which nothing moves must not hold a cancelled push.
func TestCancelled(t *testing.T) {
	source, host := newStore(t), newStore(t)
	root := source.addSystem(t, systemSize, 13)
	p := newPusher(t, source, Options{})
	transfer, err := p.Plan(within(t, time.Minute), host, root)
	if err != nil {
		t.Fatal(err)
	}
	transfer.host = OpenerFunc(func(ctx context.Context, _ ...string) (Stream, error) { return host.Open(ctx, "sleep", "50") })
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("enough")
	time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
	begin := time.Now()
	if _, err := transfer.Send(ctx, rootedNowhere, nil); !errors.Is(err, why) || time.Since(begin) > 20*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}

	ctx, cancel = context.WithCancelCause(context.Background())
	time.AfterFunc(300*time.Millisecond, func() { cancel(why) })
	begin = time.Now()
	silent := OpenerFunc(func(ctx context.Context, _ ...string) (Stream, error) { return host.Open(ctx, "sleep", "50") })
	if _, err := p.Plan(ctx, silent, root); !errors.Is(err, why) || time.Since(begin) > 20*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}
