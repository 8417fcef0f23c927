package github

import (
	"encoding/json"
	"maps"
	"net/http"
	"sync"
)

// serveControl answers what is below /_lab: the lab's own.
func (a *API) serveControl(w http.ResponseWriter, r *http.Request, body []byte) {
	done := success(http.StatusNoContent, nil)
	switch r.Method + " " + r.URL.Path {
	case "GET /_lab/faults":
		success(http.StatusOK, object{"faults": a.listFaults()}).write(w)
	case "DELETE /_lab/faults":
		a.Recover()
		done.write(w)
	case "POST /_lab/faults":
		var f Fault
		err := json.Unmarshal(body, &f)
		if err == nil {
			err = a.Inject(f)
		}
		if err != nil {
			refusal(http.StatusUnprocessableEntity, err.Error()).write(w)
			return
		}
		success(http.StatusCreated, object{"fault": f}).write(w)
	case "GET /_lab/requests":
		counts := a.Requests()
		success(http.StatusOK, object{"total": counts.Total(), "requests": counts}).write(w)
	case "DELETE /_lab/requests":
		a.ForgetRequests()
		done.write(w)
	default:
		refusal(http.StatusNotFound, "the lab has no "+r.Method+" "+r.URL.Path).write(w)
	}
}

// Counts are how many requests came, by operation:
// "POST /repos/{owner}/{repo}/issues/{issue_number}/comments".
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

func (c *counter) add(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = Counts{}
	}
	c.by[operation]++
}

// Requests counts the requests since the start or the last ForgetRequests,
// those that were refused included. GET /_lab/requests gives the same.
func (a *API) Requests() Counts {
	a.count.mu.Lock()
	defer a.count.mu.Unlock()
	counts := Counts{}
	maps.Copy(counts, a.count.by)
	return counts
}

// ForgetRequests begins to count anew.
func (a *API) ForgetRequests() {
	a.count.mu.Lock()
	defer a.count.mu.Unlock()
	a.count.by = nil
}
