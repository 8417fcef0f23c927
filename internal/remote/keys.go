package remote

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	agentListLimit = 5 * time.Second
	agentSignLimit = time.Minute // the agent may ask its user
)

// Fingerprint is the base32 form (RFC 4648, lower case, no padding, 52
// characters) of a public key's SHA-256: fit for a label's value.
func Fingerprint(key ssh.PublicKey) string {
	sum := sha256.Sum256(key.Marshal())
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// OpenSSHFingerprint gives OpenSSH's SHA256:… form of a Fingerprint, or the
// text itself if it is none.
func OpenSSHFingerprint(fingerprint string) string {
	sum, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ToUpper(fingerprint))
	if err != nil || len(sum) != sha256.Size {
		return fingerprint
	}
	return opensshForm(sum)
}

// Signers collects the private keys to log in with: key (PEM, zero for none),
// those of the agent at SSH_AUTH_SOCK if wanted, and those in files, each kept
// once and in this order. A key that is given but cannot be used is an error;
// a file with a passphrase is passed over while something else is left to try.
// No key at all is an error. ctx bounds the search alone: the signers outlive
// it, because what a cancel leaves on hosts is tidied up with logins after it.
func Signers(ctx context.Context, key secret.String, useAgent bool, files []string) ([]ssh.Signer, error) {
	var found signerSet
	var passed []string
	if !key.IsZero() {
		signer, err := parseKey(key)
		if err != nil {
			return nil, keyProblem("the SSH key cannot be used", key, err)
		}
		found.add(signer)
	}
	if useAgent {
		signers, err := agentSigners(ctx, os.Getenv("SSH_AUTH_SOCK"))
		if err != nil {
			passed = append(passed, "ssh-agent: "+err.Error())
		}
		found.add(signers...)
	}
	for _, file := range files {
		pem, err := os.ReadFile(file) //nolint:gosec // the files are the user's choice
		if err != nil {
			return nil, &problem.Problem{Summary: "an SSH key file cannot be read", Cause: err}
		}
		content := secret.New(string(pem))
		signer, err := parseKey(content)
		var locked *ssh.PassphraseMissingError
		switch {
		case errors.As(err, &locked):
			passed = append(passed, file+": has a passphrase")
		case err != nil:
			return nil, keyProblem("the SSH key in "+file+" cannot be used", content, err)
		default:
			found.add(signer)
		}
	}
	if len(found.signers) == 0 {
		return nil, &problem.Problem{
			Summary: "no SSH key to log in with",
			Detail:  strings.Join(passed, "\n"),
			Hints:   []string{"Set ssh.key in flotilla.yaml (for example {env: FLOTILLA_SSH_KEY}), or add a key to a running ssh-agent."},
		}
	}
	return found.signers, nil
}

// DefaultKeyFiles lists the private keys that OpenSSH would try in a home
// directory, those that exist.
func DefaultKeyFiles(home string) []string {
	var files []string
	for _, name := range []string{"id_ed25519", "id_ecdsa", "id_rsa"} {
		file := filepath.Join(home, ".ssh", name)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			files = append(files, file)
		}
	}
	return files
}

// signerSet keeps each key once.
type signerSet struct {
	signers []ssh.Signer
	seen    map[string]bool
}

func (s *signerSet) add(signers ...ssh.Signer) {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	for _, signer := range signers {
		blob := string(signer.PublicKey().Marshal())
		if !s.seen[blob] {
			s.seen[blob] = true
			s.signers = append(s.signers, signer)
		}
	}
}

func parseKey(key secret.String) (ssh.Signer, error) {
	// Secrets pasted through web forms arrive with CRLF, or without the last newline.
	text := strings.TrimSpace(strings.ReplaceAll(key.Reveal(), "\r\n", "\n")) + "\n"
	return ssh.ParsePrivateKey([]byte(text))
}

func keyProblem(summary string, key secret.String, err error) error {
	p := &problem.Problem{Summary: summary, Cause: err}
	text := strings.TrimSpace(key.Reveal())
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		p.Hints = []string{"The key has a passphrase, and nobody can type it here: use a key without one, kept as a secret (ssh-keygen -t ed25519 -N '')."}
	case strings.HasPrefix(text, "ssh-") || strings.HasPrefix(text, "ecdsa-"):
		p.Hints = []string{"This is a public key; the private one is wanted (the file without .pub)."}
	case strings.HasPrefix(text, "-----BEGIN") && !strings.Contains(text, "\n"):
		p.Hints = []string{"The key's line breaks are lost: store the file as it is, with all its lines."}
	default:
		p.Hints = []string{"A private key in PEM form is wanted; its first line is -----BEGIN OPENSSH PRIVATE KEY-----."}
	}
	return p
}

// agentSigner asks the agent anew for each signature, so that no connection
// to it has to be kept and closed.
type agentSigner struct {
	socket string
	key    ssh.PublicKey
}

var _ ssh.AlgorithmSigner = (*agentSigner)(nil)

func agentSigners(ctx context.Context, socket string) ([]ssh.Signer, error) {
	if socket == "" {
		return nil, errors.New("SSH_AUTH_SOCK is not set")
	}
	var signers []ssh.Signer
	err := withAgent(ctx, socket, agentListLimit, func(a agent.ExtendedAgent) error {
		keys, err := a.List()
		for _, key := range keys {
			public, err := ssh.ParsePublicKey(key.Blob)
			if err != nil {
				continue // of a kind that this library does not know
			}
			signers = append(signers, &agentSigner{socket: socket, key: public})
		}
		return err
	})
	return signers, err
}

func withAgent(ctx context.Context, socket string, limit time.Duration, use func(agent.ExtendedAgent) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is written behind the last answer
	// The library's client knows no contexts: whatever ends ctx ends its reads.
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	return use(agent.NewClient(conn))
}

// PublicKey implements ssh.Signer.
func (s *agentSigner) PublicKey() ssh.PublicKey { return s.key }

// Sign implements ssh.Signer.
func (s *agentSigner) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return s.SignWithAlgorithm(rand, data, "")
}

// SignWithAlgorithm implements ssh.AlgorithmSigner; RSA keys sign with SHA-2
// only when told so.
func (s *agentSigner) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	var flags agent.SignatureFlags
	switch algorithm {
	case ssh.KeyAlgoRSASHA256:
		flags = agent.SignatureFlagRsaSha256
	case ssh.KeyAlgoRSASHA512:
		flags = agent.SignatureFlagRsaSha512
	}
	var signature *ssh.Signature
	// ssh.AlgorithmSigner has no context; the limit ends the wait.
	err := withAgent(context.Background(), s.socket, agentSignLimit, func(a agent.ExtendedAgent) (err error) {
		signature, err = a.SignWithFlags(s.key, data, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("ssh-agent: %w", err)
	}
	return signature, nil
}
