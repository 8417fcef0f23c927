package closure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// spool keeps each path's frame (request and NAR, compressed) in a file, made
// once for all hosts. Beyond its limit the frames that nobody has asked for
// longest are dropped; a host that still needs one has it made again.
type spool struct {
	dir   string
	limit int64
	makes func(ctx context.Context, i info, to io.Writer) error // reads and compresses one path

	ctx    context.Context // of the making: outlives any one host
	cancel context.CancelFunc
	making sync.WaitGroup

	mu     sync.Mutex
	frames map[storepath.Path]*frame
	used   int64 // bytes on disk
	clock  int64 // counts uses
}

// frame is one file of the spool, readable while it grows.
type frame struct {
	spool *spool
	path  storepath.Path

	// Under spool.mu:
	pins    int   // users that need it kept
	use     int64 // clock at the last use
	size    int64
	done    bool
	err     error
	changed chan struct{} // closed and replaced when size, done or err change
}

func newSpool(dir string, limit int64, makes func(context.Context, info, io.Writer) error) *spool {
	ctx, cancel := context.WithCancel(context.Background())
	return &spool{dir: dir, limit: limit, makes: makes, ctx: ctx, cancel: cancel, frames: map[storepath.Path]*frame{}}
}

// close stops the making; the folder is its owner's.
func (s *spool) close() {
	s.cancel()
	s.making.Wait()
}

// pin gives a path's frame, which is kept until unpin. If nobody has it made
// yet, its making begins.
func (s *spool) pin(i info) (*frame, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, errors.New("the pusher is closed")
	}
	s.clock++
	if f, ok := s.frames[i.path]; ok {
		f.pins++
		f.use = s.clock
		return f, nil
	}
	f := &frame{spool: s, path: i.path, pins: 1, use: s.clock, changed: make(chan struct{})}
	s.frames[i.path] = f
	s.making.Go(func() {
		err := s.create(f, i)
		s.mu.Lock()
		defer s.mu.Unlock()
		f.done, f.err = true, err
		f.announce()
		if err != nil && s.frames[f.path] == f {
			delete(s.frames, f.path) // the next one who asks tries anew
			s.used -= f.size
			_ = os.Remove(s.file(f))
		}
	})
	return f, nil
}

func (s *spool) file(f *frame) string { return s.dir + "/" + f.path.Base() }

func (s *spool) create(f *frame, i info) error {
	file, err := os.OpenFile(s.file(f), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = s.makes(s.ctx, i, &frameWriter{frame: f, file: file})
	return errors.Join(err, file.Close())
}

func (s *spool) unpin(f *frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.pins--
	s.evict()
}

// evict drops frames until the limit holds again; mu is held.
func (s *spool) evict() {
	for s.used > s.limit {
		var oldest *frame
		for _, f := range s.frames {
			if f.pins == 0 && f.done && (oldest == nil || f.use < oldest.use) {
				oldest = f
			}
		}
		if oldest == nil {
			return
		}
		delete(s.frames, oldest.path)
		s.used -= oldest.size
		_ = os.Remove(s.file(oldest))
	}
}

// announce wakes all who wait for more; mu is held.
func (f *frame) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

type frameWriter struct {
	frame *frame
	file  *os.File
}

// Write implements io.Writer.
func (w *frameWriter) Write(p []byte) (int, error) {
	n, err := w.file.Write(p)
	s := w.frame.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	w.frame.size += int64(n)
	s.used += int64(n)
	w.frame.announce()
	s.evict()
	return n, err
}

// frameReader reads a pinned frame from its beginning, waiting for what is
// still being made.
type frameReader struct {
	ctx   context.Context
	frame *frame
	file  *os.File
	at    int64
}

func (f *frame) open(ctx context.Context) *frameReader { return &frameReader{ctx: ctx, frame: f} }

// Read implements io.Reader.
func (r *frameReader) Read(p []byte) (int, error) {
	s := r.frame.spool
	for {
		s.mu.Lock()
		size, done, err, changed := r.frame.size, r.frame.done, r.frame.err, r.frame.changed
		s.mu.Unlock()
		switch {
		case err != nil:
			return 0, err
		case r.at < size:
			return r.readFile(p[:min(int64(len(p)), size-r.at)])
		case done:
			return 0, io.EOF
		}
		select {
		case <-changed:
		case <-r.ctx.Done():
			return 0, context.Cause(r.ctx)
		}
	}
}

func (r *frameReader) readFile(p []byte) (int, error) {
	if r.file == nil {
		file, err := os.Open(r.frame.spool.file(r.frame))
		if err != nil {
			return 0, err
		}
		r.file = file
	}
	n, err := r.file.ReadAt(p, r.at)
	r.at += int64(n)
	if n == 0 && err != nil {
		return 0, fmt.Errorf("the spooled frame of %s is shorter than it was: %w", r.frame.path, err)
	}
	return n, nil
}

// Close implements io.Closer.
func (r *frameReader) Close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
