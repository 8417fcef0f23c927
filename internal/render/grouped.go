package render

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/progress"
)

const (
	liveWidth = 200       // characters of a line while work runs
	logBytes  = 256 << 10 // kept of one host before a part of its log is written
	keptBytes = 8 << 20   // kept of all hosts
)

// Grouped prints progress for a GitHub job. While work runs there is a short
// line at the end of each step; what programs and hosts print is kept, and
// written as one log group when the host has ended: hosts run side by side, and
// groups do not nest. Of the fleet's own steps, each one's output is a group.
//
// Nothing in a log can be a command to the runner: a group's content stands
// between stop-commands and a token that was drawn for it, and no line begins
// like one. Commands of others (masks, annotations) must be written to the same
// stream, or the runner could read them while it has stopped to listen.
type Grouped struct {
	live *Plain
	w    *lockedWriter

	mu   sync.Mutex
	kept map[stepKey]*keptLog
	all  int // bytes in kept
	done bool
}

var _ progress.Sink = (*Grouped)(nil)

// keptLog is what is to be written of a host, or of one of the fleet's steps.
type keptLog struct {
	text    bytes.Buffer
	relayed bool // holds more than was said live
	parts   int  // written already
}

// lockedWriter keeps whole what is written at once.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

// NewGrouped prints to w. Close it: that writes what is still kept.
func NewGrouped(w io.Writer) *Grouped {
	locked := &lockedWriter{w: w}
	return &Grouped{live: NewPlain(locked), w: locked, kept: map[stepKey]*keptLog{}}
}

// Event implements progress.Sink. A writer that fails loses lines, not work.
func (g *Grouped) Event(e progress.Event) {
	if e.Kind != progress.Log && e.Kind != progress.Ended {
		said := e
		if lines := textLines(e.Text); len(lines) > 0 {
			said.Text = cutNote(lines[0], liveWidth)
		}
		g.live.Event(said)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done {
		return
	}
	k := stepKey{host: e.Host}
	if e.Host == "" {
		k.step = e.Step
	}
	switch e.Kind {
	case progress.Begin:
		g.keep(k, e, "begins", false)
	case progress.End:
		g.keep(k, e, "done", false)
	case progress.Fail:
		g.keep(k, e, "failed: "+e.Text, true)
	case progress.Note:
		g.keep(k, e, e.Text, false)
	case progress.Log:
		g.keep(k, e, "| "+e.Text, true)
	case progress.Ended:
		g.keep(k, e, e.Text, false)
		g.write(k, e.Text)
	case progress.Count:
	}
	if e.Host == "" && (e.Kind == progress.End || e.Kind == progress.Fail) {
		g.writeIfRelayed(k, string(e.Kind))
	}
}

// Close ends the lines and writes what is still kept; later events are not shown.
func (g *Grouped) Close() error {
	err := g.live.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.done {
		return err
	}
	g.done = true
	g.flush()
	return err
}

// Flush writes what is still kept, for the end of a part of the work: what is
// printed next would else stand before it.
func (g *Grouped) Flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.done {
		g.flush()
	}
}

func (g *Grouped) flush() {
	for _, k := range slices.SortedFunc(maps.Keys(g.kept), func(a, b stepKey) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.step, b.step))
	}) {
		g.writeIfRelayed(k, "")
	}
}

func (g *Grouped) keep(k stepKey, e progress.Event, text string, relayed bool) {
	log := g.kept[k]
	if log == nil {
		log = &keptLog{}
		g.kept[k] = log
	}
	log.relayed = log.relayed || relayed
	before := log.text.Len()
	const stepWidth = 10
	step := padRight(cut(oneLine(string(e.Step)), liveWidth), stepWidth)
	for i, l := range textLines(text) {
		if i > 0 {
			l = "| " + l
		}
		if !e.Time.IsZero() {
			l = e.Time.UTC().Format(time.TimeOnly) + "  " + step + l
		} else {
			l = step + l
		}
		log.text.WriteString(harmless(cutNote(strings.TrimRight(l, " "), logWidth)) + "\n")
	}
	g.all += log.text.Len() - before
	switch {
	case log.text.Len() > logBytes:
		g.write(k, "it goes on")
	case g.all > keptBytes:
		g.write(g.largest(), "it goes on")
	}
}

func (g *Grouped) largest() stepKey {
	var most stepKey
	size := -1
	for k, log := range g.kept {
		if log.text.Len() > size {
			most, size = k, log.text.Len()
		}
	}
	return most
}

// writeIfRelayed leaves out logs that say no more than what was said live.
func (g *Grouped) writeIfRelayed(k stepKey, how string) {
	if log := g.kept[k]; log != nil && !log.relayed && log.parts == 0 {
		g.all -= log.text.Len()
		delete(g.kept, k)
		return
	}
	g.write(k, how)
}

// write writes what is kept as one group, at once.
func (g *Grouped) write(k stepKey, how string) {
	log := g.kept[k]
	if log == nil || log.text.Len() == 0 {
		delete(g.kept, k)
		return
	}
	title := "host " + k.host
	if k.host == "" {
		title = "fleet: " + string(k.step)
	}
	if log.parts > 0 {
		title += fmt.Sprintf(", part %d", log.parts+1)
	}
	if how != "" {
		title += ": " + how
	}
	title = strings.ReplaceAll(harmless(cut(oneLine(title), liveWidth)), "%", "%25")
	token := stopToken()
	var b bytes.Buffer
	b.WriteString("::group::" + title + "\n::stop-commands::" + token + "\n")
	g.all -= log.text.Len()
	_, _ = log.text.WriteTo(&b)
	b.WriteString("::" + token + "::\n::endgroup::\n")
	_, _ = g.w.Write(b.Bytes())
	if how == "it goes on" {
		log.parts++
		log.text = bytes.Buffer{} // its memory, too
		return
	}
	delete(g.kept, k)
}

// stopToken cannot be guessed by what is printed before it is used.
func stopToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
