package hetzner

import (
	"net/http"
	"sync"
	"time"
)

// clock tells the API's time by the Date header of its answers: machines that
// look at one lock do not agree on the time, but they all ask the same API.
type clock struct {
	next http.RoundTripper

	mu     sync.Mutex
	known  bool
	offset time.Duration // to add to this machine's time
}

// RoundTrip implements http.RoundTripper.
func (c *clock) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		c.mu.Lock()
		c.known, c.offset = true, time.Until(date)
		c.mu.Unlock()
	}
	return resp, nil
}

// now is the API's time, to the second or so; this machine's while the API has
// told none.
func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *clock) isKnown() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known
}
