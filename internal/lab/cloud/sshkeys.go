package cloud

import (
	"net/http"
	"strings"

	"golang.org/x/crypto/ssh"
)

// SSHKey is a public key.
type SSHKey struct {
	Meta
	Fingerprint string `json:"fingerprint"` // MD5, as the API gives it
	PublicKey   string `json:"public_key"`  // as it came, with its last newline
}

func sshKeyKind() kind[*SSHKey] {
	k := kind[*SSHKey]{
		one: "ssh_key", many: "ssh_keys",
		all:    func(o *objects) []*SSHKey { return o.SSHKeys },
		show:   func(_ *objects, v *SSHKey) any { return *v },
		match:  map[string]func(*SSHKey, string) bool{"fingerprint": func(v *SSHKey, want string) bool { return v.Fingerprint == want }},
		update: func(*request, *SSHKey) error { return nil },
		remove: func(q *request, v *SSHKey) (reply, error) {
			q.obj.SSHKeys = without(q.obj.SSHKeys, v)
			return reply{status: http.StatusNoContent}, nil
		},
	}
	k.create = func(q *request) (reply, error) {
		var body struct {
			Name      string            `json:"name"`
			PublicKey string            `json:"public_key"`
			Labels    map[string]string `json:"labels"`
		}
		if err := q.decode(&body); err != nil {
			return reply{}, err
		}
		key, _, _, rest, err := ssh.ParseAuthorizedKey([]byte(body.PublicKey))
		if err != nil || len(strings.TrimSpace(string(rest))) > 0 {
			return reply{}, invalid("public_key", "must be one OpenSSH public key")
		}
		v := &SSHKey{Fingerprint: ssh.FingerprintLegacyMD5(key), PublicKey: body.PublicKey}
		for _, other := range q.obj.SSHKeys {
			if other.Fingerprint == v.Fingerprint {
				return reply{}, taken("SSH key with the same fingerprint")
			}
		}
		if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
			return reply{}, err
		}
		q.obj.SSHKeys = append(q.obj.SSHKeys, v)
		return k.answer(q, http.StatusCreated, v), nil
	}
	return k
}

// without gives items less one of them.
func without[T comparable](items []T, gone T) []T {
	var left []T
	for _, v := range items {
		if v != gone {
			left = append(left, v)
		}
	}
	return left
}
