package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/process"
)

// exitGrace is how long children of a program that has ended may keep its
// output open without writing to it.
const exitGrace = 5 * time.Second

// closeGrace is how long Wait lingers for last words after this side or the
// connection ended the session.
const closeGrace = time.Second

// Stream is a running program on a host: Write is its stdin, Read its stdout;
// stderr is collected. It is for one reader and one writer at a time.
type Stream struct {
	conn    *Conn
	ch      ssh.Channel
	argv    []string
	tail    *tail
	detach  func() bool   // stops obeying the context
	exited  chan struct{} // the program's end is known, or the session ended
	closed  chan struct{} // the session ended
	drained chan struct{} // all of stderr was read

	begun   time.Time
	waiting atomic.Int64 // since when, after begun, the reader waits; nanoseconds, 0: it does not

	once  sync.Once
	left  chan struct{} // closed once this side has ended the session
	cause error         // why it did, nil: Close; set before

	status *exitStatus // set before exited is closed; nil: never told
}

type exitStatus struct {
	code   int
	signal string // "" or without SIG, for example TERM
}

// Open starts a program. When ctx ends the stream is closed, so ctx must live
// as long as the stream. The program is sent SIGTERM then, but sshd does not
// pass that on in logins of root: there, what neither reads stdin nor writes
// goes on. The error is a *SessionError, a *LostError, or ctx's cause.
func (c *Conn) Open(ctx context.Context, argv ...string) (*Stream, error) {
	if len(argv) == 0 {
		return nil, &SessionError{Host: c.host, Program: "nothing", Cause: errors.New("no program given")}
	}
	type opened struct {
		stream *Stream
		err    error
	}
	result := make(chan opened, 1)
	go func() {
		s, err := c.start(argv)
		result <- opened{s, err}
	}()
	abandon := func() {
		if o := <-result; o.err == nil {
			_ = o.stream.Close()
		}
	}
	select {
	case o := <-result:
		if o.err != nil {
			return nil, o.err
		}
		o.stream.detach = context.AfterFunc(ctx, func() { o.stream.cancel(context.Cause(ctx)) })
		return o.stream, nil
	case <-ctx.Done():
		go abandon()
		return nil, fmt.Errorf("%s: starting %s: %w", c.host, path.Base(argv[0]), context.Cause(ctx))
	case <-c.ended:
		go abandon()
		return nil, &LostError{Host: c.host, Program: path.Base(argv[0]), Cause: c.why(io.EOF)}
	}
}

func (c *Conn) start(argv []string) (*Stream, error) {
	program := path.Base(argv[0])
	failed := func(err error) error {
		var refused *ssh.OpenChannelError
		if errors.As(err, &refused) {
			return &SessionError{Host: c.host, Program: program, Cause: err}
		}
		return &LostError{Host: c.host, Program: program, Cause: c.why(err)}
	}
	ch, requests, err := c.client.OpenChannel("session", nil)
	if err != nil {
		return nil, failed(err)
	}
	s := &Stream{
		conn: c, begun: time.Now(), ch: ch, argv: argv, tail: &tail{},
		exited: make(chan struct{}), closed: make(chan struct{}), drained: make(chan struct{}),
		left: make(chan struct{}), detach: func() bool { return true },
	}
	go s.follow(requests)
	go func() {
		defer close(s.drained)
		_, _ = io.Copy(s.tail, ch.Stderr())
	}()
	ok, err := ch.SendRequest("exec", true, ssh.Marshal(struct{ Command string }{Quote(argv...)}))
	if err != nil {
		_ = ch.Close()
		return nil, failed(err)
	}
	if !ok {
		_ = ch.Close()
		return nil, &SessionError{Host: c.host, Program: program, Cause: errors.New("the server refuses to run programs")}
	}
	return s, nil
}

// follow waits for the program's end. A child that was left behind keeps the
// channel open after it; it gets a grace.
func (s *Stream) follow(requests <-chan *ssh.Request) {
	defer close(s.closed)
	var once sync.Once
	known := func(status *exitStatus) {
		once.Do(func() {
			s.status = status
			close(s.exited)
			if status != nil {
				go s.letGo()
			}
		})
	}
	for request := range requests {
		switch request.Type {
		case "exit-status":
			var m struct{ Status uint32 }
			if ssh.Unmarshal(request.Payload, &m) == nil {
				known(&exitStatus{code: int(m.Status & 0xff)})
			}
		case "exit-signal":
			var m struct {
				Signal     string
				CoreDumped bool
				Message    string
				Language   string
			}
			if ssh.Unmarshal(request.Payload, &m) == nil {
				known(&exitStatus{code: -1, signal: m.Signal})
			}
		}
		if request.WantReply {
			_ = request.Reply(false, nil)
		}
	}
	known(nil)
}

// letGo ends the session of a program that has ended, when a child of it keeps
// stdout open and silent. What is still on its way must not be cut off: the
// reader has to have waited for a while, and the host to answer after that.
func (s *Stream) letGo() {
	ticker := time.NewTicker(exitGrace / 5)
	defer ticker.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-ticker.C:
		}
		since := s.waiting.Load()
		if since == 0 || time.Since(s.begun)-time.Duration(since) < exitGrace {
			continue
		}
		if _, _, err := s.conn.client.SendRequest(keepAliveRequest, true, nil); err != nil {
			return
		}
		if s.waiting.Load() == since {
			_ = s.ch.Close()
			return
		}
	}
}

// Read reads the program's stdout.
func (s *Stream) Read(p []byte) (int, error) {
	s.waiting.Store(int64(time.Since(s.begun)))
	defer s.waiting.Store(0)
	return s.ch.Read(p)
}

// Write writes to the program's stdin; io.EOF when it reads no more.
func (s *Stream) Write(p []byte) (int, error) { return s.ch.Write(p) }

// CloseWrite ends the program's stdin.
func (s *Stream) CloseWrite() error { return s.ch.CloseWrite() }

// Close ends the session at once. sshd does not end the program; it usually
// ends by its closed stdin and stdout.
func (s *Stream) Close() error {
	s.detach()
	s.shut(nil, false)
	return nil
}

// cancel asks the program to end, then closes.
func (s *Stream) cancel(cause error) { s.shut(cause, true) }

func (s *Stream) shut(cause error, terminate bool) {
	s.once.Do(func() {
		select {
		case <-s.exited: // it had ended before
		default:
			s.cause = cause
		}
		close(s.left)
		go func() { // writing could block on a host that reads no more
			if terminate {
				_, _ = s.ch.SendRequest("signal", false, ssh.Marshal(struct{ Signal string }{string(ssh.SIGTERM)}))
			}
			_ = s.ch.Close()
		}()
	})
}

// Wait waits for the program's end. Somebody must read stdout meanwhile, or a
// program that writes much never ends. A failed program is a *process.Error
// with the tail of its stderr, a lost connection a *LostError.
func (s *Stream) Wait() error {
	select {
	case <-s.closed:
	case <-s.conn.ended:
	case <-s.left:
	}
	// The host's side of the end follows soon, or never: sshd closes a session
	// only when its program has ended.
	end := time.NewTimer(closeGrace)
	defer end.Stop()
	for _, last := range []chan struct{}{s.closed, s.drained} {
		select {
		case <-last:
		case <-end.C:
			end.Reset(0)
		}
	}
	var status *exitStatus
	select {
	case <-s.exited:
		status = s.status
	default:
	}
	_ = s.Close() // from here on the context changes nothing
	failure := &process.Error{Program: path.Base(s.argv[0]), Args: s.argv[1:], ExitCode: -1, Tail: s.tail.String()}
	switch {
	case s.cause != nil:
		failure.Cause = s.cause
	case status == nil:
		// When the whole connection ended, its reason tells more.
		select {
		case <-s.conn.ended:
		case <-time.After(time.Second):
		}
		return &LostError{Host: s.conn.host, Program: failure.Program, Tail: failure.Tail, Cause: s.conn.why(errNoStatus)}
	case status.signal != "":
		failure.Cause = fmt.Errorf("killed by SIG%s", status.signal)
	case status.code != 0:
		failure.ExitCode = status.code
	default:
		return nil
	}
	return failure
}

var errNoStatus = errors.New("the session ended without an exit status")
