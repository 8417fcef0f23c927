package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// Always as Fault.Times: the fault stays until faults are dropped.
const Always = -1

// Fault makes the next requests that match it go wrong. POST it as JSON to
// /_lab/faults; GET lists the ones that are left, DELETE drops all.
//
//	{"method":"POST","path":"^/servers$","code":"locked","times":2}
//	{"method":"POST","path":"^/servers$","after":true,"drop":true}    the server is made, no answer comes
//	{"path":"/poweron$","action":true,"code":"action_failed"}         the action fails
//	{"delay":"50ms","times":-1}                                       every request is slow
//
// The first fault that matches a request is used up by it. One that only delays
// adds its delay to what comes after it in the list.
type Fault struct {
	Method  string   `json:"method"`  // "": any
	Path    string   `json:"path"`    // regular expression over the path below /v1, e.g. ^/servers/[0-9]+$
	Times   int      `json:"times"`   // how many requests; 0: one; Always: all
	Status  int      `json:"status"`  // HTTP status of the answer; 0: the one that goes with Code
	Code    string   `json:"code"`    // error code of the answer, or of the action
	Message string   `json:"message"` // "": a standard text
	Delay   Duration `json:"delay"`   // wait before anything else
	After   bool     `json:"after"`   // do what was asked, then answer with the error
	Drop    bool     `json:"drop"`    // close the connection in place of an answer
	Action  bool     `json:"action"`  // accept the request; the action it starts ends with Code and Message

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
func (f *Fault) delays() bool { return f.Code == "" && !f.Drop }

func (f *Fault) check() error {
	var err error
	if f.pattern, err = regexp.Compile(f.Path); err != nil {
		return invalid("path", "%v", err)
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Message == "" {
		f.Message = "fault injected by the lab"
	}
	if f.Status == 0 && f.Code != "" && !f.Action {
		f.Status = statusOf(f.Code)
	}
	switch {
	case f.Times < Always || f.Status != 0 && (f.Status < 400 || f.Status > 599):
		return invalid("status", "needs times > 0 or -1, and an HTTP status from 400 to 599")
	case f.Code == "" && (f.Status != 0 || f.Action):
		return invalid("code", "is required")
	case f.Code != "" && f.Status == 0 && !f.Action:
		return invalid("status", "is required with the code %q", f.Code)
	case f.Action && (f.After || f.Drop || f.Status != 0):
		return invalid("action", "goes with a code and a delay only")
	case f.delays() && (f.After || f.Delay.Duration <= 0):
		return invalid("delay", "a fault needs a code, drop or a delay")
	}
	return nil
}

// statusOf is the HTTP status that the API answers an error code with; 0 if the
// code is not one of those that any request can meet.
func statusOf(code string) int {
	return map[string]int{
		"unauthorized": http.StatusUnauthorized, "forbidden": http.StatusForbidden, "not_found": http.StatusNotFound,
		"json_error": http.StatusBadRequest, "invalid_input": http.StatusUnprocessableEntity, "uniqueness_error": http.StatusConflict,
		"conflict": http.StatusConflict, "locked": http.StatusLocked, "resource_locked": http.StatusLocked, "protected": http.StatusForbidden,
		"resource_limit_exceeded": http.StatusForbidden, "resource_unavailable": http.StatusPreconditionFailed,
		"placement_error": http.StatusUnprocessableEntity, "service_error": http.StatusUnprocessableEntity,
		"unsupported_error": http.StatusUnprocessableEntity, "maintenance": http.StatusServiceUnavailable, "unavailable": http.StatusServiceUnavailable,
		"server_error": http.StatusInternalServerError, "unknown_error": http.StatusInternalServerError, "bad_gateway": http.StatusBadGateway,
		"timeout": http.StatusGatewayTimeout, "rate_limit_exceeded": http.StatusTooManyRequests,
	}[code]
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
		drop(w)
		return
	}
	if f.Status == http.StatusTooManyRequests {
		w.Header().Set("RateLimit-Remaining", "0")
	}
	writeError(w, fail(f.Status, f.Code, f.Message))
}

// drop ends the connection without an answer, as a proxy or a network that
// fails does.
func drop(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		writeError(w, fail(http.StatusGatewayTimeout, "timeout", "the lab could not drop the connection: "+err.Error()))
		return
	}
	_ = conn.Close() // what it was opened for is lost on purpose
}
