package config

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

func (c *checker) sshKeys(section *node) {
	if section == nil {
		return
	}
	owner := map[string]string{} // key → name
	for _, f := range section.fields {
		if f.value.bad {
			continue
		}
		k, where := c.file.SSHKeys[f.name], join("ssh_keys", f.name)
		public := f.value.get("public_key")
		if c.existing(f, where, "an SSH key", k.Existing) {
			continue
		}
		if public == nil && !bad(f.value.get("existing")) {
			c.report(f.value.key, where+" has no public_key", "Add public_key: ssh-ed25519 AAAA…, or existing: true for a key of that name that is already at the provider.")
		}
		c.name(f.value.key, "an SSH key of the fleet", f.name)
		c.labels(f.value.good("labels"), k.Labels)
		if public == nil || public.bad {
			continue
		}
		key, err := publicKey(k.PublicKey)
		if err != nil {
			c.badKey(public, where+".public_key", err)
			continue
		}
		wire := string(key.Marshal())
		if other, ok := owner[wire]; ok {
			c.report(public.value, fmt.Sprintf("%s is the same key as %s", where, join("ssh_keys", other)), "The provider holds each key once: remove one and use the other's name.")
			continue
		}
		owner[wire] = f.name
	}
}

func bad(n *node) bool { return n != nil && n.bad }

var (
	errPrivateKey  = errors.New("this is a private key")
	errManyKeys    = errors.New("more than one key")
	errKeyOptions  = errors.New("options stand before the key")
	errCertificate = errors.New("this is a certificate, not a key")
	errNotKey      = errors.New("not a public key")
)

// publicKey parses one key in authorized_keys form, without options.
func publicKey(text string) (ssh.PublicKey, error) {
	if strings.Contains(text, "PRIVATE KEY") {
		return nil, errPrivateKey
	}
	if strings.Contains(strings.TrimSpace(text), "\n") {
		return nil, errManyKeys
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(text))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errNotKey, err)
	case len(options) > 0:
		return nil, errKeyOptions
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return nil, errCertificate
	}
	return key, nil
}

func (c *checker) badKey(n *node, where string, err error) {
	hint := "Copy the whole line of a .pub file, for example ~/.ssh/id_ed25519.pub: ssh-ed25519 AAAA… name"
	switch {
	case errors.Is(err, errPrivateKey):
		p := c.add(n.key, where+" holds a private key", hint, "If it was committed, make a new key: this one stays in the git history.")
		p.Source = ""
		return
	case errors.Is(err, errManyKeys):
		hint = "Make one entry per key."
	case errors.Is(err, errKeyOptions):
		hint = "Remove what stands before the key's type, so that it begins with for example ssh-ed25519."
	}
	c.report(n.value, where+" is not one public SSH key", hint)
}

// trimKey is a key as the provider stores it.
func trimKey(s string) string { return strings.TrimSpace(s) }
