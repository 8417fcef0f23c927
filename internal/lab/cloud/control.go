package cloud

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// serveControl answers what is below /_lab: the lab's own, which the provider
// does not have.
func (a *API) serveControl(w http.ResponseWriter, r *http.Request, body []byte) {
	done := reply{http.StatusNoContent, nil}
	switch r.Method + " " + r.URL.Path {
	case "GET /_lab/ready":
		writeReply(w, reply{http.StatusOK, map[string]any{"ready": true}})
	case "GET /_lab/faults":
		writeReply(w, reply{http.StatusOK, map[string]any{"faults": a.listFaults()}})
	case "DELETE /_lab/faults":
		a.Recover()
		writeReply(w, done)
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
	case "GET /_lab/requests":
		counts := a.Requests()
		writeReply(w, reply{http.StatusOK, map[string]any{"total": counts.Total(), "requests": counts}})
	case "DELETE /_lab/requests":
		a.ForgetRequests()
		writeReply(w, done)
	case "PUT /_lab/limit":
		var limit struct {
			Remaining int `json:"remaining"`
		}
		if err := json.Unmarshal(body, &limit); err != nil {
			writeError(w, fail(http.StatusBadRequest, "json_error", err.Error()))
			return
		}
		a.Throttle(limit.Remaining)
		writeReply(w, done)
	default:
		writeError(w, notFound("the lab has no "+r.Method+" "+r.URL.Path))
	}
}

// Counts are how many requests came, by method and path below /v1 with {id} in
// the place of numbers: "POST /servers/{id}/actions/poweron".
type Counts map[string]int

// Total is how many there were in all.
func (c Counts) Total() int {
	n := 0
	for _, count := range c {
		n += count
	}
	return n
}

type counter struct {
	mu sync.Mutex
	by Counts
}

func (c *counter) add(method, path string) {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if _, err := strconv.ParseInt(s, 10, 64); err == nil {
			segments[i] = "{id}"
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = Counts{}
	}
	c.by[method+" "+strings.Join(segments, "/")]++
}

// Requests counts the requests since the start or the last ForgetRequests,
// those that were refused included. GET /_lab/requests gives the same.
func (a *API) Requests() Counts {
	a.count.mu.Lock()
	defer a.count.mu.Unlock()
	counts := Counts{}
	for what, n := range a.count.by {
		counts[what] = n
	}
	return counts
}

// ForgetRequests begins to count anew.
func (a *API) ForgetRequests() {
	a.count.mu.Lock()
	defer a.count.mu.Unlock()
	a.count.by = nil
}

// Throttle sets how many requests are left in the rate limit's bucket, which
// goes on to refill.
func (a *API) Throttle(remaining int) { a.bucket.leave(remaining) }
