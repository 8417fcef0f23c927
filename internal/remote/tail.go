package remote

import (
	"bytes"
	"strings"
	"sync"
)

const (
	tailLines = 20
	tailLine  = 4 << 10 // longer lines are cut; the host is not trusted with our memory
)

// tail keeps the last lines of what is written to it.
type tail struct {
	mu    sync.Mutex
	lines []string
	part  []byte
}

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	rest := p
	for {
		line, after, found := bytes.Cut(rest, []byte{'\n'})
		t.part = append(t.part, line[:min(len(line), tailLine-len(t.part))]...)
		if !found {
			return len(p), nil
		}
		t.push()
		rest = after
	}
}

func (t *tail) push() {
	t.lines = append(t.lines, strings.TrimSuffix(string(t.part), "\r"))
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
	t.part = t.part[:0]
}

// String gives the lines, a last one without newline included.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	if len(t.part) > 0 {
		lines = append(lines[:len(lines):len(lines)], string(t.part))
	}
	return strings.Join(lines, "\n")
}
