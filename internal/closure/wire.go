package closure

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/nix-community/go-nix/pkg/wire"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Bounds of what a peer may make us hold.
const (
	maxText  = 64 << 10 // bytes of one string
	maxPaths = 1 << 20  // paths of a local closure
	maxRefs  = 1 << 16  // references of a path
	maxSigs  = 1 << 10  // signatures of a path
)

// request collects one request, to be sent in one write.
type request struct{ bytes.Buffer }

// Writing to a bytes.Buffer cannot fail, so the errors below are none.

func (q *request) number(n uint64) { _ = wire.WriteUint64(q, n) }

func (q *request) flag(b bool) { _ = wire.WriteBool(q, b) }

func (q *request) text(s string) { _ = wire.WriteString(q, s) }

func (q *request) texts(all []string) {
	q.number(uint64(len(all)))
	for _, s := range all {
		q.text(s)
	}
}

func (q *request) paths(all []storepath.Path) {
	q.number(uint64(len(all)))
	for _, p := range all {
		q.text(p.String())
	}
}

// reader decodes answers. It never allocates more than a bound, or than what
// has really arrived.
type reader struct{ r io.Reader }

func (d reader) number() (uint64, error) {
	n, err := wire.ReadUint64(d.r)
	if err != nil {
		return 0, unexpected(err)
	}
	return n, nil
}

func (d reader) text() (string, error) {
	n, err := d.number()
	if err != nil {
		return "", err
	}
	if n > maxText {
		return "", fmt.Errorf("a string of %d bytes, more than the %d allowed", n, maxText)
	}
	padded := make([]byte, (n+7)&^7)
	if _, err := io.ReadFull(d.r, padded); err != nil {
		return "", unexpected(err)
	}
	for _, b := range padded[n:] {
		if b != 0 {
			return "", errors.New("a string's padding is not zero")
		}
	}
	return string(padded[:n]), nil
}

func (d reader) texts(limit uint64) ([]string, error) {
	n, err := d.number()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("a list of %d elements, more than the %d allowed", n, limit)
	}
	var all []string // grows with what arrives, not with what is announced
	for range n {
		s, err := d.text()
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func (d reader) paths(limit uint64) ([]storepath.Path, error) {
	n, err := d.number()
	if err != nil {
		return nil, err
	}
	if n > limit {
		return nil, fmt.Errorf("a list of %d paths, more than the %d allowed", n, limit)
	}
	var all []storepath.Path
	for range n {
		s, err := d.text()
		if err != nil {
			return nil, err
		}
		p, err := storepath.Parse(s)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// unexpected makes an end inside the protocol recognisable as such.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
