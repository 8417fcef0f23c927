package nix

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/observe"
)

// maxOutput bounds what one evaluation may print.
const maxOutput = 128 << 20

var errTooMuch = errors.New("it printed more than 128 MiB")

// newMark gives a word that an evaluated tree cannot know.
func newMark() string { return "flotilla-" + rand.Text() + " " }

// output is what one evaluation left.
type output struct {
	json    []byte
	servers []string // servers whose facts were read, sorted
	notes   []string // what else of the facts and of the flake itself was read
	seen    observe.Seen
}

// failure is an evaluation that ended with an error. Its messages are Nix's own, unchecked.
type failure struct {
	message message // zero if Nix printed none
	last    string  // the last error that Nix told in plain words
	memory  int64   // bytes that it might use; 0: no limit
	cause   error   // the program's error
}

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// message is a line of Nix's internal-json log.
type message struct {
	Action string  `json:"action"`
	Level  int     `json:"level"`
	Msg    string  `json:"msg"`
	Raw    *string `json:"raw_msg"` // errors only
	place
	Trace []struct { // innermost first
		Raw string `json:"raw_msg"`
		place
	} `json:"trace"`
}

type place struct {
	File   string `json:"file"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// Some versions of Nix put line and column behind the file's name too.
var withPosition = regexp.MustCompile(`:\d+:\d+$`)

func (p *place) clean() {
	p.File = withPosition.ReplaceAllString(p.File, "")
}

// memoryOf gives the limit that a failed evaluation had.
func memoryOf(err error) int64 {
	var f *failure
	if errors.As(err, &f) {
		return f.memory
	}
	return 0
}

// outOfMemory tells whether an evaluation ended because it was refused more
// memory. Nix says so in plain words and by nothing else.
func outOfMemory(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.memory > 0 && strings.HasSuffix(f.last, "out of memory")
}

// messages reads Nix's log.
type messages struct {
	mark string

	mu      sync.Mutex
	failed  message
	last    string
	servers []string
	notes   []string
}

func (m *messages) line(line string) {
	text, ok := strings.CutPrefix(line, "@nix ")
	if !ok {
		return
	}
	var msg message
	if err := json.Unmarshal([]byte(text), &msg); err != nil || msg.Action != "msg" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if msg.Raw != nil && msg.Level == 0 {
		msg.clean()
		for i := range msg.Trace {
			msg.Trace[i].clean()
		}
		m.failed = msg // the last one ends the evaluation
		return
	}
	if msg.Level == 0 && msg.Msg != "" {
		m.last = msg.Msg
	}
	// eval.nix's own traces name servers; others lack the mark.
	if name, ok := strings.CutPrefix(msg.Msg, "trace: "+m.mark); ok {
		if note, is := strings.CutPrefix(name, "/"); is { // no server is called so
			m.notes = append(m.notes, note)
		} else if !slices.Contains(m.servers, name) {
			m.servers = append(m.servers, name)
		}
	}
}

// readServers gives the servers whose facts were read, sorted.
func (m *messages) readServers() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(slices.Values(m.servers))
}

// limited is a buffer that refuses more than max bytes.
type limited struct {
	bytes.Buffer
	max  int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > l.max {
		l.over = true
		return 0, fmt.Errorf("evaluation: %w", errTooMuch)
	}
	return l.Buffer.Write(p)
}
