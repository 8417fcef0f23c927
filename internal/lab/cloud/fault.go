package cloud

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"
)

// Fault makes the next requests that match it go wrong. POST it as JSON to
// /_lab/faults; GET lists the ones that are left, DELETE drops all.
//
//	{"method":"POST","path":"^/servers$","status":423,"code":"locked","times":2}
type Fault struct {
	Method  string   `json:"method"`  // "": any
	Path    string   `json:"path"`    // regular expression over the path below /v1, e.g. ^/servers/[0-9]+$
	Times   int      `json:"times"`   // how many requests; 0: one
	Status  int      `json:"status"`  // HTTP status of the answer; 0: only Delay
	Code    string   `json:"code"`    // error code of the answer, or of the action
	Message string   `json:"message"` // "": a standard text
	Delay   Duration `json:"delay"`   // wait before anything else
	After   bool     `json:"after"`   // do what was asked, then answer with the error
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

func (f *Fault) err() *Error { return fail(f.Status, f.Code, f.Message) }

func (f *Fault) check() error {
	var err error
	if f.pattern, err = regexp.Compile(f.Path); err != nil {
		return invalid("path", "%v", err)
	}
	if f.Times == 0 {
		f.Times = 1
	}
	if f.Times < 0 || f.Status != 0 && (f.Status < 400 || f.Status > 599) {
		return invalid("status", "needs times > 0 and an HTTP status from 400 to 599")
	}
	if f.After && f.Status == 0 {
		return invalid("status", "is required with after")
	}
	if f.Code == "" && (f.Status != 0 || f.Action) {
		return invalid("code", "is required")
	}
	if f.Message == "" {
		f.Message = "fault injected by the lab"
	}
	return nil
}

type faults struct {
	mu   sync.Mutex
	list []*Fault
}

// take finds the first fault for a request and uses it up by one.
func (f *faults) take(method, path string) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, fault := range f.list {
		if fault.Method != "" && fault.Method != method || !fault.pattern.MatchString(path) {
			continue
		}
		fault.Times--
		if fault.Times == 0 {
			f.list = append(f.list[:i:i], f.list[i+1:]...)
		}
		return fault
	}
	return nil
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

func (a *API) serveControl(w http.ResponseWriter, r *http.Request, body []byte) {
	switch r.Method + " " + r.URL.Path {
	case "GET /_lab/ready":
		writeReply(w, reply{http.StatusOK, map[string]any{"ready": true}})
	case "GET /_lab/faults":
		a.faults.mu.Lock()
		list := make([]Fault, len(a.faults.list)) // values: Times changes under the lock only
		for i, f := range a.faults.list {
			list[i] = *f
		}
		a.faults.mu.Unlock()
		writeReply(w, reply{http.StatusOK, map[string]any{"faults": list}})
	case "DELETE /_lab/faults":
		a.faults.mu.Lock()
		a.faults.list = nil
		a.faults.mu.Unlock()
		writeReply(w, reply{http.StatusNoContent, nil})
	case "POST /_lab/faults":
		var f Fault
		if err := json.Unmarshal(body, &f); err != nil {
			writeError(w, fail(http.StatusBadRequest, "json_error", err.Error()))
			return
		}
		if err := a.Inject(f); err != nil {
			writeError(w, err)
			return
		}
		writeReply(w, reply{http.StatusCreated, map[string]any{"fault": f}})
	default:
		writeError(w, notFound("the lab has no "+r.Method+" "+r.URL.Path))
	}
}
