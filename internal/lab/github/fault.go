package github

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// Always as Fault.Times: the fault stays until faults are dropped.
const Always = -1

// Fault makes the next requests that match it go wrong. POST it as JSON to
// /_lab/faults; GET lists the ones that are left, DELETE drops all.
//
//	{"status":500}                                                  the next request fails
//	{"method":"POST","path":"/comments$","status":502,"after":true} the comment is made, the answer is 502
//	{"status":429,"retry_after":2,"times":3}                        three times, with Retry-After
//	{"drop":true,"skip":4}                                          the fifth request from now is dropped
//	{"delay":"50ms","times":-1}                                     every request is slow
//
// The first fault that matches a request is used up by it. One that only delays
// adds its delay to what comes after it in the list.
type Fault struct {
	Method     string   `json:"method"`      // "": any
	Path       string   `json:"path"`        // regular expression over the path, without /api/v3
	Skip       int      `json:"skip"`        // how many matching requests pass first
	Times      int      `json:"times"`       // how many requests; 0: one; Always: all
	Status     int      `json:"status"`      // HTTP status of the answer
	Message    string   `json:"message"`     // "": a standard text
	RetryAfter int      `json:"retry_after"` // seconds, in the header of that name; 0: no header
	Delay      Duration `json:"delay"`       // wait before anything else
	After      bool     `json:"after"`       // do what was asked, then answer with the error
	Drop       bool     `json:"drop"`        // close the connection in place of an answer

	pattern *regexp.Regexp
}

// Duration is a time.Duration that reads and writes as "1.5s" in JSON.
type Duration struct{ time.Duration }

// UnmarshalJSON reads a string like "200ms".
func (d *Duration) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return fmt.Errorf("a duration like \"200ms\" was expected: %w", err)
	}
	var err error
	d.Duration, err = time.ParseDuration(text)
	return err
}

// MarshalJSON writes a string like "200ms".
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// delays tells whether the fault only makes requests slow.
func (f *Fault) delays() bool { return f.Status == 0 && !f.Drop }

func (f *Fault) check() error {
	var err error
	if f.pattern, err = regexp.Compile(f.Path); err != nil {
		return fmt.Errorf("fault: path: %w", err)
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Message == "" {
		f.Message = "fault injected by the lab"
	}
	switch {
	case f.Times < Always || f.Skip < 0:
		return errors.New("fault: times must be positive or -1, skip not negative")
	case f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return errors.New("fault: status must be from 400 to 599")
	case f.delays() && (f.After || f.Delay.Duration <= 0):
		return errors.New("fault: needs a status, drop or a delay")
	}
	return nil
}

type faults struct {
	mu   sync.Mutex
	list []*Fault
}

// take finds the first fault for a request that does more than delay, and how
// long the request is to wait; all that it took are used up by one.
func (f *faults) take(method, path string) (*Fault, time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hit *Fault
	var delay time.Duration
	var left []*Fault
	for _, fault := range f.list {
		if hit == nil && (fault.Method == "" || fault.Method == method) && fault.pattern.MatchString(path) {
			if fault.Skip > 0 {
				fault.Skip--
				left = append(left, fault)
				continue
			}
			delay += fault.Delay.Duration
			if !fault.delays() {
				hit = fault
			}
			if fault.Times > 0 {
				fault.Times--
			}
		}
		if fault.Times != 0 {
			left = append(left, fault)
		}
	}
	f.list = left
	return hit, delay
}

// Inject adds a fault, for tests in the same process.
func (a *API) Inject(f Fault) error {
	if err := f.check(); err != nil {
		return err
	}
	a.faults.mu.Lock()
	defer a.faults.mu.Unlock()
	a.faults.list = append(a.faults.list, &f)
	return nil
}

// Recover drops all faults.
func (a *API) Recover() {
	a.faults.mu.Lock()
	defer a.faults.mu.Unlock()
	a.faults.list = nil
}

func (a *API) listFaults() []Fault {
	a.faults.mu.Lock()
	defer a.faults.mu.Unlock()
	list := make([]Fault, len(a.faults.list)) // values: Times changes under the lock only
	for i, f := range a.faults.list {
		list[i] = *f
	}
	return list
}

// answer is what the client gets in place of the API's answer.
func (f *Fault) answer(w http.ResponseWriter) {
	if f.Drop {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			refusal(http.StatusGatewayTimeout, "the lab could not drop the connection").write(w)
			return
		}
		_ = conn.Close() // what it was opened for is lost on purpose
		return
	}
	ans := refusal(f.Status, f.Message)
	if f.RetryAfter > 0 {
		ans.header.Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	ans.write(w)
}
