package remote

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hostKeyAlgorithms is what servers are asked for, best first. The hosts that
// Flotilla sets up have ed25519 keys. Certificates are not taken.
var hostKeyAlgorithms = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

func opensshForm(sum []byte) string {
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum)
}

// ParseHostKeys reads public keys, one a line in OpenSSH's form ("ssh-ed25519
// AAAA… comment"), for Target.KnownHosts. Empty lines and # comments are
// allowed.
func ParseHostKeys(text string) ([]ssh.PublicKey, error) {
	var keys []ssh.PublicKey
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
		if err != nil || len(options) > 0 {
			return nil, fmt.Errorf("host key in line %d: want a public key as in /etc/ssh/ssh_host_ed25519_key.pub", i+1)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// KnownHosts looks up the host keys of an address in OpenSSH known_hosts
// files, hashed names included. Files that do not exist are passed over, as
// are revoked keys and certificate authorities.
func KnownHosts(files []string, address string, port int) ([]ssh.PublicKey, error) {
	var existing []string
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			existing = append(existing, file)
		}
	}
	if len(existing) == 0 {
		return nil, nil
	}
	check, err := knownhosts.New(existing...)
	if err != nil {
		return nil, fmt.Errorf("known_hosts: %w", err)
	}
	// The package tells the keys of a host only as an answer to a wrong one.
	name := net.JoinHostPort(address, strconv.Itoa(port))
	from := &net.TCPAddr{IP: net.IPv4zero, Port: port}
	var wrong *knownhosts.KeyError
	if err := check(name, from, noKey{}); !errors.As(err, &wrong) {
		return nil, err
	}
	var keys []ssh.PublicKey
	for _, known := range wrong.Want {
		if err := check(name, from, known.Key); err == nil {
			keys = append(keys, known.Key)
		}
	}
	return keys, nil
}

// noKey is a public key that no host has.
type noKey struct{}

func (noKey) Type() string                        { return "none" }
func (noKey) Marshal() []byte                     { return nil }
func (noKey) Verify([]byte, *ssh.Signature) error { return errors.New("no key") }

// accepts tells whether a host key is one of the pinned ones.
func (t Target) accepts(key ssh.PublicKey) bool {
	if slices.Contains(t.HostKeys, Fingerprint(key)) {
		return true
	}
	blob := key.Marshal()
	return slices.ContainsFunc(t.KnownHosts, func(known ssh.PublicKey) bool { return bytes.Equal(known.Marshal(), blob) })
}

// accepted lists the fingerprints of all pinned keys.
func (t Target) accepted() []string {
	all := slices.Clone(t.HostKeys)
	for _, key := range t.KnownHosts {
		all = append(all, Fingerprint(key))
	}
	return all
}

// algorithmsFor puts the types of pinned keys first, so that a server with
// several keys shows the one that is known, and leaves out those of the key
// types in without.
func (t Target) algorithmsFor(without []string) []string {
	types := make([]string, 0, len(t.KnownHosts))
	for _, key := range t.KnownHosts {
		types = append(types, key.Type())
	}
	rank := func(algorithm string) int {
		if slices.Contains(types, keyType(algorithm)) {
			return 0
		}
		return 1
	}
	algorithms := slices.DeleteFunc(slices.Clone(hostKeyAlgorithms), func(a string) bool { return slices.Contains(without, keyType(a)) })
	slices.SortStableFunc(algorithms, func(a, b string) int { return rank(a) - rank(b) })
	return algorithms
}

// keyType is the type of the keys that a signature algorithm belongs to.
func keyType(algorithm string) string {
	switch algorithm {
	case ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512:
		return ssh.KeyAlgoRSA
	default:
		return algorithm
	}
}
