package closure

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Options tune a Pusher; the zero value is good.
type Options struct {
	Dir     string // for temporary files; "": the system's
	Limit   int64  // bytes of compressed paths kept there for other hosts; 0: 4 GiB
	Workers int    // paths that are read and compressed at the same time; 0: one per core, at most 4
}

const (
	defaultLimit = 4 << 30
	maxWorkers   = 4
)

// Pusher copies closures from one store to any number of hosts. It is safe
// for use by several goroutines.
type Pusher struct {
	source Opener
	dir    string
	spool  *spool
	idle   chan *worker

	mu       sync.Mutex
	closures map[storepath.Path]*closureOnce
}

// closureOnce is a closure that is read once, by whoever comes first.
type closureOnce struct {
	mu    sync.Mutex
	known []info
}

// NewPusher makes a Pusher that reads the store of source's "nix-store
// --serve". Close must be called.
func NewPusher(source Opener, o Options) (*Pusher, error) {
	dir, err := os.MkdirTemp(o.Dir, "flotilla-push-")
	if err != nil {
		return nil, fmt.Errorf("make a folder for compressed paths: %w", err)
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	if o.Workers == 0 {
		o.Workers = min(runtime.GOMAXPROCS(0), maxWorkers)
	}
	p := &Pusher{source: source, dir: dir, idle: make(chan *worker, o.Workers), closures: map[storepath.Path]*closureOnce{}}
	for range o.Workers {
		p.idle <- &worker{source: source}
	}
	p.spool = newSpool(dir, o.Limit, p.makeFrame)
	return p, nil
}

// Close stops what is under way and removes the temporary files.
func (p *Pusher) Close() error {
	p.spool.close()
	for range cap(p.idle) {
		(<-p.idle).reset()
	}
	return os.RemoveAll(p.dir)
}

// closure gives root's paths, references first.
func (p *Pusher) closure(ctx context.Context, root storepath.Path) ([]info, error) {
	p.mu.Lock()
	once, ok := p.closures[root]
	if !ok {
		once = &closureOnce{}
		p.closures[root] = once
	}
	p.mu.Unlock()

	once.mu.Lock()
	defer once.mu.Unlock()
	if once.known == nil {
		known, err := readClosure(ctx, p.source, root)
		if err != nil {
			return nil, err
		}
		once.known = known
	}
	return once.known, nil
}

// makeFrame writes one path's request and NAR as one zstd frame.
func (p *Pusher) makeFrame(ctx context.Context, i info, to io.Writer) error {
	var w *worker
	select {
	case w = <-p.idle:
	case <-ctx.Done():
		return errors.New("the pusher is closed")
	}
	defer func() { p.idle <- w }()
	if err := w.compress(ctx, i, to); err != nil {
		w.reset()
		return fmt.Errorf("read %s from the local store: %w", i.path, err)
	}
	return nil
}

// worker reads paths one after the other over one session with the source.
type worker struct {
	source  Opener
	session *session
	encoder *zstd.Encoder
}

func (w *worker) reset() {
	if w.session != nil {
		_ = w.session.stream.Close()
		w.session = nil
	}
}

func (w *worker) compress(ctx context.Context, i info, to io.Writer) error {
	if w.session == nil {
		stream, err := w.source.Open(ctx, "nix-store", "--serve")
		if err != nil {
			return err
		}
		w.session = newSession(stream)
	}
	if w.encoder == nil {
		encoder, err := newEncoder(to)
		if err != nil {
			return err
		}
		w.encoder = encoder
	}
	w.encoder.Reset(to)
	if _, err := w.encoder.Write(addRequest(i).Bytes()); err != nil {
		return err
	}
	nar, err := w.session.dump(i.path)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if _, err := io.CopyN(io.MultiWriter(sum, w.encoder), nar, i.size); err != nil {
		return w.session.failure(unexpected(err))
	}
	// The frame stays without its end, so useless, until the NAR has proved right.
	if got := sum.Sum(nil); string(got) != string(i.hash[:]) {
		return fmt.Errorf("its contents are not what was built: hash %x, recorded %x (nix-store --verify-path %s; nix-store --repair-path repairs it)", got, i.hash, i.path)
	}
	return w.encoder.Close()
}

func newEncoder(to io.Writer) (*zstd.Encoder, error) {
	return zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
}
