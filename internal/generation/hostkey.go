package generation

import (
	"context"
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// PrepareHostKey lets the host make an SSH host key of its own, beside the one
// in use, and gives the public half in authorized_keys form. The private half
// never leaves the host. An interrupted replacement gives the same key again.
func (h *Host) PrepareHostKey(ctx context.Context) (publicKey string, err error) {
	w := h.wire()
	defer w.close()
	out, err := w.run(ctx, hostKeyPrepareCommand())
	if err != nil {
		return "", &problem.Problem{Summary: fmt.Sprintf("%s could not make a host key: %s", h.name, said(err)), Cause: err}
	}
	key := strings.TrimSpace(out)
	if !strings.HasPrefix(key, "ssh-ed25519 ") || strings.Contains(key, "\n") {
		return "", &problem.Problem{Summary: fmt.Sprintf("%s gave no public key", h.name), Source: plain(key)}
	}
	return key, nil
}

// ActivateHostKey puts the prepared key in place, removes host keys of other
// types, and lets sshd read it. It may be repeated. Logins that follow see the
// new key.
func (h *Host) ActivateHostKey(ctx context.Context) error {
	return h.tell(ctx, hostKeyActivateCommand(), "replace the host key of")
}
