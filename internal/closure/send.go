package closure

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

const (
	// stallLimit ends an upload in which nothing moves, neither bytes there nor
	// answers back. The import of one big path on a slow disk must fit in.
	stallLimit = 10 * time.Minute
	ahead      = 8 // paths that are made ready beyond the one that is being sent
	chunk      = 256 << 10
)

// Send copies the missing paths, lets rooted make a root for Root on the host,
// and only then ends the sessions that keep the paths alive. report, which
// may be nil, is called as the host confirms paths, from another goroutine. The
// result is of use with an error too: it counts what went over the wire. The
// error is a *PathError where one path is to blame.
func (t *Transfer) Send(
	ctx context.Context, rooted func(context.Context) error, report func(donePaths, totalPaths int, doneNAR, totalNAR int64),
) (plans.Pushed, error) {
	defer t.Close()
	if report == nil {
		report = func(int, int, int64, int64) {}
	}
	u := &upload{transfer: t, report: report}
	err := u.run(ctx)
	pushed := plans.Pushed{Paths: int(u.acked.Load()), Wire: t.wire.bytes.Load()}
	for _, i := range t.missing[:pushed.Paths] {
		pushed.NAR += i.size
	}
	if err != nil {
		return pushed, err
	}
	if err := t.verify(ctx); err != nil {
		return pushed, err
	}
	pushed.Wire = t.wire.bytes.Load()
	if err := rooted(ctx); err != nil {
		return pushed, err
	}
	return pushed, nil
}

// verify asks over the session that was there before: it also proves that the
// lock held all the while.
func (t *Transfer) verify(ctx context.Context) error {
	cause := make(chan error, 1)
	stop := obey(ctx, func(err error) {
		cause <- err
		t.cancel(err)
	}, queryLimit, "the host did not confirm its paths")
	defer stop()
	valid, err := t.session.validPaths(pathsOf(t.closure))
	if err != nil {
		select {
		case err = <-cause:
		default:
		}
		return fmt.Errorf("confirm that all paths arrived: %w", err)
	}
	for _, i := range t.closure {
		if !valid[i.path] {
			return &PathError{Path: i.path, Cause: errors.New("the host took it, but does not have it")}
		}
	}
	return nil
}

// upload is one stream of paths and the answers to it.
type upload struct {
	transfer *Transfer
	report   func(donePaths, totalPaths int, doneNAR, totalNAR int64)
	session  *session
	acked    atomic.Int64
	moved    atomic.Int64 // unix nanoseconds of the last byte or answer
	broken   bool         // a write failed; of the sending goroutine
}

func (u *upload) run(ctx context.Context) error {
	t := u.transfer
	u.report(0, t.Paths, 0, t.NAR)
	if t.Paths == 0 {
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	argv := []string{t.programs.store, "--serve", "--write"}
	if t.programs.zstd != "" {
		// The status of the pipe is that of nix-store, whose stdin ends early if zstd fails.
		argv = []string{"sh", "-c", `"$1" -dc | "$0" --serve --write`, t.programs.store, t.programs.zstd}
	}
	stream, err := t.host.Open(ctx, argv...)
	if err != nil {
		return err
	}
	defer stream.Close() //nolint:errcheck // all answers are in, or another error tells more
	u.session = newSession(t.wire.count(stream))
	u.session.greet = false
	u.touch()
	go u.watch(ctx, cancel)

	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if err := u.receive(); err != nil {
			cancel(err) // ends the sending
		}
	}()
	sendErr := u.send(ctx)
	if sendErr == nil {
		sendErr = stream.CloseWrite()
	}
	if sendErr != nil {
		if u.broken {
			// Why the host stopped reading comes with its answers, and soon.
			select {
			case <-answered:
			case <-time.After(2 * lastWords):
			}
		}
		cancel(sendErr)
		_ = stream.Close()
	}
	<-answered
	return context.Cause(ctx) // the first failure
}

func (u *upload) touch() { u.moved.Store(time.Now().UnixNano()) }

// watch ends an upload in which nothing moves.
func (u *upload) watch(ctx context.Context, cancel context.CancelCauseFunc) {
	ticker := time.NewTicker(stallLimit / 20)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if time.Since(time.Unix(0, u.moved.Load())) > stallLimit {
				cancel(fmt.Errorf("nothing moved for %v", stallLimit))
				return
			}
		}
	}
}

// receive reads the answers: one per path, in order.
func (u *upload) receive() error {
	t := u.transfer
	if err := u.session.readGreeting(); err != nil {
		return u.session.failure(err)
	}
	var done int64
	for n, i := range t.missing {
		answer, err := u.session.answer().number()
		if err == nil && answer != 1 {
			err = fmt.Errorf("the host answered %d where 1 means done", answer)
		}
		if err != nil {
			return &PathError{Path: i.path, Cause: u.session.failure(err)}
		}
		done += i.size
		u.acked.Store(int64(n + 1))
		u.touch()
		u.report(n+1, t.Paths, done, t.NAR)
	}
	return nil
}

// send writes all paths, the next few of which are always in the making.
func (u *upload) send(ctx context.Context) error {
	t := u.transfer
	out := bufio.NewWriterSize(&mover{u}, chunk)
	if err := u.hello(out); err != nil {
		return err
	}
	var pinned []*frame
	defer func() {
		for _, f := range pinned {
			t.pusher.spool.unpin(f)
		}
	}()
	next := 0
	for n := range t.missing {
		for ; next < len(t.missing) && next <= n+ahead; next++ {
			f, err := t.pusher.spool.pin(t.missing[next])
			if err != nil {
				return err
			}
			pinned = append(pinned, f)
		}
		if err := u.copyFrame(ctx, out, pinned[0]); err != nil {
			return err
		}
		t.pusher.spool.unpin(pinned[0])
		pinned = pinned[1:]
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return out.Flush()
}

func (u *upload) hello(out io.Writer) error {
	hello := greeting().Bytes()
	if u.transfer.programs.zstd != "" {
		encoder, err := newEncoder(nil)
		if err != nil {
			return err
		}
		hello = encoder.EncodeAll(hello, nil)
	}
	_, err := out.Write(hello)
	return err
}

func (u *upload) copyFrame(ctx context.Context, out io.Writer, f *frame) error {
	compressed := f.open(ctx)
	defer compressed.Close() //nolint:errcheck // was only read
	if u.transfer.programs.zstd != "" {
		_, err := io.CopyBuffer(out, onlyReader{compressed}, make([]byte, chunk))
		return err
	}
	plain, err := zstd.NewReader(compressed, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer plain.Close()
	_, err = io.CopyBuffer(out, onlyReader{plain}, make([]byte, chunk))
	return err
}

// onlyReader hides other methods, so that the given buffer is used.
type onlyReader struct{ io.Reader }

// mover writes to the host and notes that something moved.
type mover struct{ *upload }

// Write implements io.Writer.
func (m *mover) Write(p []byte) (int, error) {
	n, err := m.session.stream.Write(p)
	if n > 0 {
		m.touch()
	}
	m.broken = m.broken || err != nil
	return n, err
}

// counter counts the bytes that go to a host.
type counter struct{ bytes atomic.Int64 }

func (c *counter) count(s Stream) Stream { return &countedStream{Stream: s, counter: c} }

type countedStream struct {
	Stream
	counter *counter
}

// Write implements io.Writer.
func (s *countedStream) Write(p []byte) (int, error) {
	n, err := s.Stream.Write(p)
	s.counter.bytes.Add(int64(n))
	return n, err
}
