// Package progress holds the typed events of long work and the interface of
// whoever shows them. Events say what happened, never how it looks.
package progress

import (
	"time"
)

// Kind is what an Event tells.
type Kind string

// The kinds of events.
const (
	Begin Kind = "begin" // a step begins
	End   Kind = "end"   // a step ended well
	Fail  Kind = "fail"  // a step failed; Text says why
	Note  Kind = "note"  // something worth knowing; Text says what
	Log   Kind = "log"   // one line of output of a program or host (untrusted text)
	Count Kind = "count" // Done of Total Unit
	Ended Kind = "ended" // no more is to come of this host; Text is its outcome
)

// Step names the stations of a deploy. Each is one word, shown as it is.
type Step string

// The steps, in the order in which a deploy takes them.
const (
	Provision Step = "provision"
	Wait      Step = "wait"     // for a server to answer
	HostKey   Step = "host-key" // replace the throw-away host key
	Evaluate  Step = "evaluate"
	Review    Step = "review" // hold what would change against what was reviewed
	Build     Step = "build"
	Connect   Step = "connect"
	Look      Step = "look"
	Settle    Step = "settle" // what an earlier run left unfinished
	Lock      Step = "lock"
	Push      Step = "push"
	Guard     Step = "guard"
	Keys      Step = "keys" // deployment.keys, before or after the activation
	Activate  Step = "activate"
	Confirm   Step = "confirm"
	Commit    Step = "commit"
	Return    Step = "return"
	Verify    Step = "verify"
	Publish   Step = "publish"
)

// Event is one thing that happened.
type Event struct {
	Time  time.Time `json:"time"`
	Kind  Kind      `json:"kind"`
	Step  Step      `json:"step"`
	Host  string    `json:"host,omitempty"` // host or resource, "" for the fleet
	Text  string    `json:"text,omitempty"`
	Done  int64     `json:"done,omitempty"`
	Total int64     `json:"total,omitempty"`
	Unit  string    `json:"unit,omitempty"` // "bytes", "paths", …
}

// Sink takes events. Implementations are safe for use by several goroutines
// and never block for long.
type Sink interface {
	Event(e Event)
}

// Func makes a Sink of a function, which must be safe for several goroutines.
type Func func(Event)

// Event implements Sink.
func (f Func) Event(e Event) { f(e) }

// Discard is a Sink that shows nothing.
var Discard Sink = Func(func(Event) {})

// Reporter emits events for one host.
type Reporter struct {
	sink Sink
	host string
}

// For gives a Reporter for a host or resource ("" for the fleet).
func For(sink Sink, host string) Reporter {
	if sink == nil {
		sink = Discard
	}
	return Reporter{sink: sink, host: host}
}

// Do runs f as a step: Begin, then End or Fail.
func (r Reporter) Do(step Step, f func() error) error {
	r.emit(Event{Kind: Begin, Step: step})
	if err := f(); err != nil {
		r.emit(Event{Kind: Fail, Step: step, Text: err.Error()})
		return err
	}
	r.emit(Event{Kind: End, Step: step})
	return nil
}

// Note tells something worth knowing.
func (r Reporter) Note(step Step, text string) { r.emit(Event{Kind: Note, Step: step, Text: text}) }

// Ended tells that no more is to come of the host, and what became of it.
func (r Reporter) Ended(step Step, outcome string) {
	r.emit(Event{Kind: Ended, Step: step, Text: outcome})
}

// Log hands on a line of output.
func (r Reporter) Log(step Step, line string) { r.emit(Event{Kind: Log, Step: step, Text: line}) }

// Count tells how far a step is.
func (r Reporter) Count(step Step, done, total int64, unit string) {
	r.emit(Event{Kind: Count, Step: step, Done: done, Total: total, Unit: unit})
}

func (r Reporter) emit(e Event) {
	e.Time, e.Host = time.Now().UTC(), r.host
	r.sink.Event(e)
}
