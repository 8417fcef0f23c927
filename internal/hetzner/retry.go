package hetzner

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

const (
	maxLost    = 5                // tries of a request whose answer was lost
	maxBusy    = 12               // tries of a request that was put off; with doubling waits about five minutes
	maxLagging = 6                // tries of a request that waits for the end of another change; about half a minute
	maxBackoff = 40 * time.Second // between two tries
	maxRefill  = 2 * time.Minute  // wait for requests to become available again

	tellAfter = 3                // tries after which people are told
	tellEvery = 30 * time.Second // and how often at most, for all requests
)

// request describes one change or question to the API.
type request struct {
	what string // for people: "creating server web-1"

	// settled looks whether the change was made although its answer was lost or
	// says "exists already". nil: the request may simply be sent again.
	settled func(context.Context) (bool, error)

	// on and id are the resource that is changed, which must not be a stranger,
	// and whose actions have to end before settled looks; 0: a new one, a question.
	on kind
	id int64

	gone  bool               // not_found counts as done
	lags  []hcloud.ErrorCode // codes that pass within seconds, after another change has ended
	limit time.Duration      // for the actions; 0: actionLimit
}

// pointless are the refusals after which nobody needs to look whether the
// change was made all the same.
func pointless(err error) bool {
	return hasCode(err, hcloud.ErrorCodeUnauthorized, hcloud.ErrorCodeForbidden, codeTokenReadOnly, hcloud.ErrorCodeProtected,
		hcloud.ErrorCodeResourceLocked, hcloud.ErrorCodeResourceLimitExceeded, hcloud.ErrorCodeResourceUnavailable,
		hcloud.ErrorCodePlacementError, hcloud.ErrorCodeJSONError)
}

// look tells whether a change was made.
func (c *Client) made(ctx context.Context, r request) (bool, error) {
	if r.id != 0 {
		if err := c.settle(ctx, r.on, r.what, r.id); err != nil {
			return false, err
		}
	}
	return r.settled(ctx)
}

// call sends a request until it is answered for good, at most for some
// minutes: again when the API puts it off, after a look when the answer was
// lost, and never when it was refused. Its error is a Problem.
func (c *Client) call(ctx context.Context, r request, send func(context.Context) (*hcloud.Response, error)) error {
	if r.id != 0 && c.strangers.has(r.on.noun, r.id) {
		return c.notOurs(r.what)
	}
	var unsure bool
	for tries, lostTries := 1, 0; ; tries++ {
		resp, err := send(ctx)
		if err == nil || r.gone && hasCode(err, hcloud.ErrorCodeNotFound) {
			return nil
		}
		if ctx.Err() != nil {
			return c.problem(r.what, fmt.Errorf("interrupted: %w", ctx.Err()))
		}
		how := judge(resp, err)
		if how == refused && tries < maxLagging && hasCode(err, r.lags...) {
			how = busy
		}
		if how == lost {
			unsure = true
			lostTries++
		}
		if r.settled != nil && (how == lost || how == refused && (unsure || !pointless(err))) {
			done, lookErr := c.made(ctx, r)
			if lookErr != nil || done {
				return lookErr
			}
		}
		if how == refused || tries >= maxBusy || lostTries >= maxLost {
			return c.problem(r.what, err)
		}
		if tries >= tellAfter {
			c.patience.tell(r.what, err)
		}
		if !sleep(ctx, c.pause(tries, err)) {
			return c.problem(r.what, fmt.Errorf("interrupted: %w", ctx.Err()))
		}
	}
}

// pause tells how long to wait before the next try.
func (c *Client) pause(tries int, err error) time.Duration {
	wait := min(c.backoff<<min(tries-1, 10), max(maxBackoff, c.backoff))
	wait = wait/2 + rand.N(wait/2+1) //nolint:gosec // jitter, no secret
	if hasCode(err, hcloud.ErrorCodeRateLimitExceeded) {
		wait = max(wait, min(c.limit.refill(tries), maxRefill))
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// rateLimit remembers what the last answer said of the project's request
// budget: a bucket that refills steadily and is full at reset.
type rateLimit struct {
	next http.RoundTripper

	mu        sync.Mutex
	total     int
	remaining int
	reset     time.Time
}

// RoundTrip implements http.RoundTripper.
func (l *rateLimit) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	total, errTotal := strconv.Atoi(resp.Header.Get("RateLimit-Limit"))
	remaining, errRemaining := strconv.Atoi(resp.Header.Get("RateLimit-Remaining"))
	reset, errReset := strconv.ParseInt(resp.Header.Get("RateLimit-Reset"), 10, 64)
	if errTotal == nil && errRemaining == nil && errReset == nil && total > 0 {
		l.mu.Lock()
		l.total, l.remaining, l.reset = total, remaining, time.Unix(reset, 0)
		l.mu.Unlock()
	}
	return resp, nil
}

// refill is the time in which n requests become available.
func (l *rateLimit) refill(n int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := l.total - l.remaining
	if missing <= 0 {
		return 0
	}
	return max(time.Until(l.reset), 0) * time.Duration(n) / time.Duration(missing)
}

// scarce tells whether less than a tenth of the budget is left.
func (l *rateLimit) scarce() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total > 0 && l.remaining < l.total/10
}
