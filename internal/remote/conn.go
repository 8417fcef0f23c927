package remote

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
)

// keepAliveRequest is answered by every SSH server, if only by a refusal.
const keepAliveRequest = "keepalive@openssh.com"

// Conn is a login on a host. It is safe for use by several goroutines; each
// program runs in a session of its own.
type Conn struct {
	host   string
	client *ssh.Client
	wire   *watched
	jump   *Conn
	key    ssh.PublicKey

	once   sync.Once
	ended  chan struct{} // closed with the connection
	reason error         // why it ended; set before ended is closed, nil: Close
}

// Host is the target's name.
func (c *Conn) Host() string { return c.host }

// RemoteKey is the host key that was verified.
func (c *Conn) RemoteKey() ssh.PublicKey { return c.key }

// LocalAddress is the address from which the host sees this connection come,
// as far as no jump host or NAT is in between.
func (c *Conn) LocalAddress() net.Addr { return c.wire.LocalAddr() }

// Close ends the connection, those of its jump hosts, and all that runs on it.
func (c *Conn) Close() error {
	c.end(nil)
	return nil
}

// end closes everything once. The socket goes first: a goodbye could block on
// a host that reads no more.
func (c *Conn) end(reason error) {
	c.once.Do(func() {
		c.reason = reason
		close(c.ended)
		_ = c.wire.Close()
		_ = c.client.Close()
		if c.jump != nil {
			c.jump.end(reason)
		}
	})
}

// why says what ended the connection; other is what the one who asks saw.
func (c *Conn) why(other error) error {
	select {
	case <-c.ended:
		if c.reason != nil {
			return c.reason
		}
		return net.ErrClosed
	default:
		return other
	}
}

// keepAlive asks a silent host for a sign of life, and ends the connection
// when none comes. Any byte counts: an answer may stand in line behind a
// long upload.
func (c *Conn) keepAlive(interval time.Duration) {
	gone := make(chan error, 1)
	go func() { gone <- c.client.Wait() }()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var asking atomic.Bool
	for {
		select {
		case err := <-gone:
			if err == nil {
				err = errors.New("closed by the host")
			}
			c.end(err)
			return
		case <-c.ended:
			return
		case <-ticker.C:
			silent := c.wire.silent()
			if silent >= deadAfter*interval {
				c.end(fmt.Errorf("no sign of life for %v", silent.Round(time.Second)))
				return
			}
			if silent >= interval && asking.CompareAndSwap(false, true) {
				go func() {
					defer asking.Store(false)
					// A refusal is an answer too; failures show in Wait.
					_, _, _ = c.client.SendRequest(keepAliveRequest, true, nil)
				}()
			}
		}
	}
}

// watched is a connection that knows when it last brought something.
type watched struct {
	net.Conn
	start time.Time
	last  atomic.Int64 // since start, nanoseconds on the monotonic clock
}

func watch(conn net.Conn) *watched { return &watched{Conn: conn, start: time.Now()} }

// Read implements io.Reader.
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 {
		w.last.Store(int64(time.Since(w.start)))
	}
	return n, err
}

func (w *watched) silent() time.Duration {
	return time.Since(w.start) - time.Duration(w.last.Load())
}
