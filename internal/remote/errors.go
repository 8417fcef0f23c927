package remote

import (
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Stage is how far a login came.
type Stage string

// The stages of a login.
const (
	StageTCP            Stage = "TCP connection"
	StageHandshake      Stage = "SSH handshake"
	StageAuthentication Stage = "authentication"
)

// UnreachableError is a host that did not answer, or that fell silent before
// the login was done. Trying again later may help.
type UnreachableError struct {
	Host    string
	Address string // host:port
	Stage   Stage
	Refused bool // the machine answers, but nothing listens on the port
	Cause   error
}

// Error implements error.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s: %s to %s: %v", e.Host, e.Stage, e.Address, e.Cause)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Cause }

// HandshakeError is a peer that answers, but not as an SSH server to work
// with: another protocol, or no algorithm in common.
type HandshakeError struct {
	Host    string
	Address string
	Cause   error
}

// Error implements error.
func (e *HandshakeError) Error() string {
	return fmt.Sprintf("%s: %s with %s: %v", e.Host, StageHandshake, e.Address, e.Cause)
}

// Unwrap gives the cause.
func (e *HandshakeError) Unwrap() error { return e.Cause }

// HostKeyError is a host that showed a key that is not pinned: another
// machine, or the same one with a new key. Nothing was sent to it.
type HostKeyError struct {
	Host     string
	Address  string
	Offered  string   // Fingerprint of the key it showed
	Type     string   // its type, for example ssh-ed25519
	Accepted []string // fingerprints that would have been taken
}

// Error implements error.
func (e *HostKeyError) Error() string {
	return fmt.Sprintf("%s: host key of %s is %s (%s), expected %s", e.Host, e.Address, OpenSSHFingerprint(e.Offered), e.Type, listed(e.Accepted))
}

// NotPinnedError is a host without any known host key.
type NotPinnedError struct{ Host string }

// Error implements error.
func (e *NotPinnedError) Error() string { return e.Host + ": no host key is known" }

// AuthError is a verified host that takes none of the keys.
type AuthError struct {
	Host    string
	Address string
	User    string
	Offered []string // fingerprints of the keys that were tried, OpenSSH's form
	Cause   error
}

// Error implements error.
func (e *AuthError) Error() string {
	return fmt.Sprintf("%s: %s as %s at %s: none of the keys offered was taken (%s): %v", e.Host, StageAuthentication, e.User, e.Address, strings.Join(e.Offered, ", "), e.Cause)
}

// Unwrap gives the cause.
func (e *AuthError) Unwrap() error { return e.Cause }

// SessionError is a working connection on which a program could not be
// started: the server refuses sessions.
type SessionError struct {
	Host    string
	Program string
	Cause   error
}

// Error implements error.
func (e *SessionError) Error() string {
	return fmt.Sprintf("%s: starting %s: %v", e.Host, e.Program, e.Cause)
}

// Unwrap gives the cause.
func (e *SessionError) Unwrap() error { return e.Cause }

// LostError is a connection that ended under a running program. Whether the
// program goes on is not known.
type LostError struct {
	Host    string
	Program string
	Tail    string // what the program last wrote to stderr
	Cause   error
}

// Error implements error.
func (e *LostError) Error() string {
	return fmt.Sprintf("%s: connection lost while running %s: %v", e.Host, e.Program, e.Cause)
}

// Unwrap gives the cause.
func (e *LostError) Unwrap() error { return e.Cause }

// OutputError is a program that wrote more to stdout than Run keeps.
type OutputError struct {
	Host    string
	Program string
	Limit   int // bytes
}

// Error implements error.
func (e *OutputError) Error() string {
	return fmt.Sprintf("%s: %s wrote more than %d MiB", e.Host, e.Program, e.Limit>>20)
}

func listed(fingerprints []string) string {
	forms := make([]string, len(fingerprints))
	for i, f := range fingerprints {
		forms[i] = OpenSSHFingerprint(f)
	}
	return strings.Join(forms, " or ")
}

func offered(signers []ssh.Signer) []string {
	prints := make([]string, len(signers))
	for i, s := range signers {
		prints[i] = ssh.FingerprintSHA256(s.PublicKey())
	}
	return prints
}

// explain makes a failure for people of a typed error; the typed error stays
// inside as its cause.
func explain(summary string, err error) error {
	p := &problem.Problem{Summary: summary, Cause: err}
	switch e := err.(type) { //nolint:errorlint // made just now by dial, not wrapped
	case *UnreachableError:
		p.Hints = []string{"Is the server running, is its address right, and does its firewall let " + e.Address + " through?"}
		if e.Refused {
			p.Hints = []string{"The machine answers, but nothing listens at " + e.Address + ": is sshd running there, on this port?"}
		}
	case *HandshakeError:
		p.Hints = []string{"Does an SSH server of this decade listen at " + e.Address + "?"}
	case *HostKeyError:
		p.Detail = "shown:    " + e.Offered + "\nexpected: " + strings.Join(e.Accepted, "\n          ")
		p.Hints = []string{
			"If the server was reinstalled or its key replaced by hand, pin the new key, after comparing it on the server's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub",
			"If nobody did, somebody may sit in between: do not go on.",
		}
	case *NotPinnedError:
		p.Hints = []string{
			"Flotilla pins the keys of servers that it creates. For another host, add its public host key (the text of /etc/ssh/ssh_host_ed25519_key.pub on it) to its settings, or connect once with ssh and check the fingerprint, so that it stands in ~/.ssh/known_hosts.",
		}
	case *AuthError:
		p.Hints = []string{"Is one of these keys in the authorized keys of " + e.User + " on the host? (ssh-keygen -lf FILE.pub prints a key's fingerprint.)"}
	}
	return p
}
