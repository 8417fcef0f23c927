package render

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/flotilla-nix/flotilla/internal/progress"
)

const (
	heartbeat = 30 * time.Second // between "still" lines of a step that runs on
	logWidth  = 2000             // characters of one relayed line
)

// Plain prints progress as lines: one when a step ended, "still" lines while
// one runs on, relayed output behind a bar. For job logs and pipes.
type Plain struct {
	mu    sync.Mutex
	w     io.Writer
	width int // of the host column
	steps map[stepKey]*runningStep
	done  bool
}

var _ progress.Sink = (*Plain)(nil)

type stepKey struct {
	host string
	step progress.Step
}

type runningStep struct {
	began  time.Time
	timer  *time.Timer
	counts []progress.Event // the last of each unit
}

// NewPlain prints to w. Close it: that ends the "still" lines.
func NewPlain(w io.Writer) *Plain {
	return &Plain{w: w, width: len("fleet"), steps: map[stepKey]*runningStep{}}
}

// Close ends the "still" lines; later events are not shown.
func (p *Plain) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done = true
	for _, s := range p.steps {
		s.timer.Stop()
	}
	p.steps = nil
	return nil
}

// Event implements progress.Sink. A writer that fails loses lines, not work.
func (p *Plain) Event(e progress.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		return
	}
	k := stepKey{e.Host, e.Step}
	switch e.Kind {
	case progress.Begin:
		p.end(k)
		s := &runningStep{began: time.Now()}
		s.timer = time.AfterFunc(heartbeat, func() { p.still(k, s) })
		p.steps[k] = s
	case progress.End:
		p.print(e.Host, e.Step, p.end(k))
	case progress.Fail:
		p.end(k)
		p.text(e.Host, e.Step, "failed: ", e.Text)
	case progress.Note:
		p.text(e.Host, e.Step, "", e.Text)
	case progress.Log:
		for _, l := range textLines(e.Text) {
			p.line(e.Host, "| "+cutNote(l, logWidth))
		}
	case progress.Ended: // the result tells it
	case progress.Count:
		if s, ok := p.steps[k]; ok {
			s.count(e)
		}
	}
}

// end forgets a step and gives what it did: counts and time.
func (p *Plain) end(k stepKey) string {
	s, ok := p.steps[k]
	if !ok {
		return ""
	}
	s.timer.Stop()
	delete(p.steps, k)
	parts := s.words(false)
	if d := time.Since(s.began); d >= time.Second {
		parts = append(parts, "in "+duration(d))
	}
	return strings.Join(parts, ", ")
}

func (p *Plain) still(k stepKey, s *runningStep) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done || p.steps[k] != s {
		return // it ended while this waited
	}
	parts := append([]string{"still running, " + duration(time.Since(s.began).Round(time.Second))}, s.words(true)...)
	p.print(k.host, k.step, strings.Join(parts, ", "))
	s.timer.Reset(heartbeat)
}

func (s *runningStep) count(e progress.Event) {
	for i, c := range s.counts {
		if c.Unit == e.Unit {
			s.counts[i] = e
			return
		}
	}
	s.counts = append(s.counts, e)
}

// words are the counts: "12 paths", while it runs also "4 of 12 paths".
func (s *runningStep) words(ofTotal bool) []string {
	var out []string
	for _, c := range s.counts {
		text := amount(c.Done, c.Unit)
		switch {
		case !ofTotal || c.Total <= c.Done:
		case c.Unit == "bytes":
			text += " of " + size(c.Total)
		default:
			text = fmt.Sprintf("%d of %s", c.Done, amount(c.Total, c.Unit))
		}
		out = append(out, text)
	}
	return out
}

func amount(n int64, unit string) string {
	if unit == "bytes" {
		return size(n)
	}
	return strings.TrimSpace(fmt.Sprintf("%d %s", n, oneLine(unit)))
}

// text prints text that may span lines.
func (p *Plain) text(host string, step progress.Step, before, text string) {
	lines := textLines(text)
	first := ""
	if len(lines) > 0 {
		first = lines[0]
	}
	p.print(host, step, before+cutNote(first, logWidth))
	for _, l := range lines[min(1, len(lines)):] {
		p.line(host, "| "+cutNote(l, logWidth))
	}
}

// print writes one line about a step.
func (p *Plain) print(host string, step progress.Step, text string) {
	if text == "" {
		text = "done"
	}
	const stepWidth = 10
	p.line(host, padRight(oneLine(string(step)), stepWidth)+text)
}

func (p *Plain) line(host, text string) {
	host = cut(oneLine(host), 40)
	if host == "" {
		host = "fleet"
	}
	p.width = max(p.width, utf8.RuneCountInString(host))
	_, _ = io.WriteString(p.w, harmless(strings.TrimRight(padRight(host, p.width)+"  "+text, " "))+"\n")
}

// cutNote cuts a line and says how much is gone.
func cutNote(s string, n int) string {
	r := utf8.RuneCountInString(s)
	if r <= n {
		return s
	}
	return fmt.Sprintf("%s… (%d more characters)", string([]rune(s)[:n]), r-n)
}

// JSONEvents prints progress as one JSON object per line.
type JSONEvents struct {
	mu sync.Mutex
	w  io.Writer
}

var _ progress.Sink = (*JSONEvents)(nil)

// NewJSON prints to w.
func NewJSON(w io.Writer) *JSONEvents { return &JSONEvents{w: w} }

// Event implements progress.Sink. A writer that fails loses lines, not work.
func (j *JSONEvents) Event(e progress.Event) {
	const maxText = 16_000
	e.Text = cutNote(e.Text, maxText)
	b, err := encodeJSON(e, "")
	if err != nil {
		return // plain values: cannot happen
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, _ = j.w.Write(b)
}
