package provision

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/pem"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/secret"
)

const hostKeyComment = "flotilla-first-contact"

// hostKey is the throw-away host key of a new server. It lives in memory and
// in the server's user data only; the host's own key takes its place after the
// first verified login.
type hostKey struct {
	private     secret.String // OpenSSH PEM
	public      string        // authorized_keys form
	fingerprint string        // fleet.Published.HostKey's form
}

func newHostKey() (hostKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return hostKey{}, fmt.Errorf("generating a host key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, hostKeyComment)
	if err != nil {
		return hostKey{}, fmt.Errorf("encoding a host key: %w", err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		return hostKey{}, fmt.Errorf("encoding a host key: %w", err)
	}
	line := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(sshKey))) + " " + hostKeyComment
	return hostKey{private: secret.New(string(pem.EncodeToMemory(block))), public: line, fingerprint: fingerprint(sshKey)}, nil
}

// fingerprint has the form of fleet.Published.HostKey.
func fingerprint(key ssh.PublicKey) string {
	sum := sha256.Sum256(key.Marshal())
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:]))
}

// cloudConfig is the user data that gives a server its host key. cloud-init
// deletes the image's keys by itself and, given keys, generates none.
func (k hostKey) cloudConfig() secret.String {
	var b strings.Builder
	b.WriteString("#cloud-config\n")
	b.WriteString("ssh_keys:\n")
	b.WriteString("  ed25519_private: |\n")
	for line := range strings.Lines(k.private.Reveal()) {
		b.WriteString("    " + line)
	}
	b.WriteString("  ed25519_public: " + k.public + "\n")
	return secret.New(b.String())
}
