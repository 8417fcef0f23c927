package remote

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	defaultPort           = 22
	defaultUser           = "root"
	defaultConnectTimeout = 20 * time.Second
	defaultKeepAlive      = 10 * time.Second
	deadAfter             = 3 // keepalive intervals without a byte
)

// Target is a host and how to log in to it.
type Target struct {
	Host           string          // name, for messages
	Address        string          // IP address or DNS name
	Port           int             // 0: 22
	User           string          // "": root
	Signers        []ssh.Signer    // keys to log in with, tried in this order
	HostKeys       []string        // Fingerprints of host keys that are taken
	KnownHosts     []ssh.PublicKey // host keys that are taken, for hosts whose public key is known
	Jump           *Target         // the host to go through, nil: none
	ConnectTimeout time.Duration   // for one hop, TCP to login; 0: 20 s
	KeepAlive      time.Duration   // a connection that is silent for three of these is lost; 0: 10 s
}

func (t Target) address() string {
	return net.JoinHostPort(t.Address, strconv.Itoa(cmp.Or(t.Port, defaultPort)))
}

func (t Target) user() string { return cmp.Or(t.User, defaultUser) }

// ciphers are in order of speed on today's machines; all of them are sound.
var ciphers = []string{
	ssh.CipherAES128GCM, ssh.CipherAES256GCM, ssh.CipherChaCha20Poly1305, ssh.CipherAES256CTR, ssh.CipherAES128CTR,
}

// Dial logs in. The error is a problem.Problem around an *UnreachableError,
// *HandshakeError, *HostKeyError, *NotPinnedError or *AuthError, whose Host
// may be that of a jump host; or ctx's error.
func Dial(ctx context.Context, t Target) (*Conn, error) {
	conn, err := dial(ctx, t, 0)
	if err == nil {
		return conn, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("log in to %s: %w", t.Host, context.Cause(ctx))
	}
	return nil, explain("cannot log in to "+t.Host, err)
}

// maxJumps ends chains that bite their own tail.
const maxJumps = 8

func dial(ctx context.Context, t Target, depth int) (*Conn, error) {
	if len(t.HostKeys) == 0 && len(t.KnownHosts) == 0 {
		return nil, &NotPinnedError{Host: t.Host}
	}
	if depth > maxJumps {
		return nil, &UnreachableError{Host: t.Host, Address: t.address(), Stage: StageTCP, Cause: errors.New("too many jump hosts, or a circle of them")}
	}
	var jump *Conn
	if t.Jump != nil {
		var err error
		if jump, err = dial(ctx, *t.Jump, depth+1); err != nil {
			return nil, err
		}
	}
	conn, err := login(ctx, t, jump)
	if err != nil {
		if jump != nil {
			_ = jump.Close()
		}
		return nil, err
	}
	return conn, nil
}

// login tries the key types of the server one after the other when only
// fingerprints are pinned: they do not tell of which type their key is.
func login(ctx context.Context, t Target, jump *Conn) (*Conn, error) {
	var first *HostKeyError
	var without []string
	for {
		algorithms := t.algorithmsFor(without)
		if len(algorithms) == 0 {
			return nil, first
		}
		conn, err := handshake(ctx, t, jump, algorithms)
		var wrong *HostKeyError
		var auth *AuthError
		switch {
		case err == nil || errors.As(err, &auth): // the host key was a pinned one
			return conn, err
		case errors.As(err, &wrong) && len(t.HostKeys) > 0:
			if first == nil {
				first = wrong
			}
			without = append(without, wrong.Type)
		case first != nil:
			return nil, first // it has no key of another type
		default:
			return nil, err
		}
	}
}

// handshake makes one connection and logs in on it, within ConnectTimeout.
func handshake(ctx context.Context, t Target, jump *Conn, algorithms []string) (*Conn, error) {
	timeout := cmp.Or(t.ConnectTimeout, defaultConnectTimeout)
	limited, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no answer within %v", timeout))
	defer cancel()

	stage := StageTCP
	unreachable := func(err error) error {
		if limited.Err() != nil {
			err = context.Cause(limited)
		}
		return &UnreachableError{
			Host: t.Host, Address: t.address(), Stage: stage, Refused: errors.Is(err, syscall.ECONNREFUSED), Cause: err,
		}
	}
	plain, err := open(limited, t.address(), jump)
	if err != nil {
		return nil, unreachable(err)
	}
	wire := watch(plain)
	// Connections through a jump host know no deadlines: closing is what ends a wait on every kind.
	stop := context.AfterFunc(limited, func() { _ = wire.Close() })

	stage = StageHandshake
	var shown hostKeyCheck
	config := &ssh.ClientConfig{
		Config: ssh.Config{Ciphers: ciphers},
		User:   t.user(),
		Auth:   []ssh.AuthMethod{ssh.PublicKeys(t.Signers...)},
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if t.accepts(key) {
				shown.set(key, nil)
				return nil
			}
			wrong := &HostKeyError{Host: t.Host, Address: t.address(), Offered: Fingerprint(key), Type: key.Type(), Accepted: t.accepted()}
			shown.set(nil, wrong)
			return wrong
		},
		HostKeyAlgorithms: algorithms,
	}
	sshConn, channels, requests, err := ssh.NewClientConn(wire, t.address(), config)
	stopped := stop()
	key, wrong := shown.get()
	if key != nil {
		stage = StageAuthentication
	}
	if err == nil && !stopped {
		_ = sshConn.Close()
		return nil, unreachable(context.Cause(limited))
	}
	var network net.Error
	switch {
	case err == nil:
	case wrong != nil:
		return nil, wrong
	case limited.Err() != nil, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.As(err, &network):
		_ = wire.Close()
		return nil, unreachable(err)
	case stage == StageAuthentication:
		_ = wire.Close()
		return nil, &AuthError{Host: t.Host, Address: t.address(), User: t.user(), Offered: offered(t.Signers), Cause: err}
	default:
		_ = wire.Close()
		return nil, &HandshakeError{Host: t.Host, Address: t.address(), Cause: err}
	}
	conn := &Conn{
		host: t.Host, client: ssh.NewClient(sshConn, channels, requests), wire: wire, jump: jump, key: key,
		ended: make(chan struct{}),
	}
	go conn.keepAlive(cmp.Or(t.KeepAlive, defaultKeepAlive))
	return conn, nil
}

// hostKeyCheck is what the host key callback found; it runs in a goroutine of
// the SSH library, and again at each renewal of the session key.
type hostKeyCheck struct {
	mu    sync.Mutex
	key   ssh.PublicKey
	wrong *HostKeyError
}

func (h *hostKeyCheck) set(key ssh.PublicKey, wrong *HostKeyError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.key, h.wrong = key, wrong
}

func (h *hostKeyCheck) get() (ssh.PublicKey, *HostKeyError) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.key, h.wrong
}

// open makes the byte stream below SSH: TCP from here, or from the jump host.
func open(ctx context.Context, address string, jump *Conn) (net.Conn, error) {
	if jump != nil {
		conn, err := jump.client.DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("from jump host %s: %w", jump.host, err)
		}
		return conn, nil
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}
