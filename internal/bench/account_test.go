//go:build bench

package bench

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const (
	token        = "wF5x0QmZt7RkJ3uYc9BvLh2NaPs8Dg1EiO6TqXyKzCrVbMnWjHfGdSlAeUoI4p00" //nolint:gosec // of the lab's API
	perPoll      = 25                                                                 // running actions that one poll may ask about
	pollInterval = 500 * time.Millisecond
)

// account is an account at the lab's API, on a port of its own, that notes who
// asks for running actions.
type account struct {
	*cloud.API
	t   *testing.T
	url string

	mu    sync.Mutex
	polls []poll
}

// poll is one request for running actions.
type poll struct {
	at      time.Time
	actions int
}

func newAccount(t *testing.T, latency time.Duration) *account {
	t.Helper()
	api, err := cloud.New(cloud.Options{Token: token, ActionLatency: latency, RateLimit: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	a := &account{API: api, t: t}
	server := httptest.NewServer(a)
	a.url = server.URL
	t.Cleanup(func() { server.Close(); api.Close() })
	return a
}

func (a *account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if isPoll(r.Method, r.URL.Path) {
		a.mu.Lock()
		a.polls = append(a.polls, poll{time.Now(), max(1, len(r.URL.Query()["id"]))})
		a.mu.Unlock()
	}
	a.API.ServeHTTP(w, r)
}

func isPoll(method, path string) bool {
	return method == http.MethodGet && strings.Contains(path+"/", "/actions/")
}

// slow makes every request wait; the ones before did not.
func (a *account) slow(by time.Duration) {
	a.t.Helper()
	if err := a.Inject(cloud.Fault{Times: cloud.Always, Delay: cloud.Duration{Duration: by}}); err != nil {
		a.t.Fatal(err)
	}
}

// asked is what a program asked of the account.
type asked struct {
	ended
	counts cloud.Counts
	polls  []poll
}

// measure counts the requests of a run.
func (a *account) measure(do func() ended) asked {
	a.ForgetRequests()
	a.mu.Lock()
	a.polls = nil
	a.mu.Unlock()
	one := do()
	a.mu.Lock()
	defer a.mu.Unlock()
	return asked{one, a.Requests(), a.polls}
}

// all counts the requests that are no polls.
func (s asked) all() int { return s.counts.Total() - len(s.polls) }

// ticks groups the polls that came one after the other without a pause, and
// gives how many more there were in the worst of them than their actions need.
func (s asked) ticks() (ticks, excess, actions int) {
	var last time.Time
	inTick, ids := 0, 0
	end := func() {
		excess = max(excess, inTick-(ids+perPoll-1)/perPoll)
		actions = max(actions, ids)
	}
	for _, p := range s.polls {
		if p.at.Sub(last) > pollInterval/2 {
			end()
			ticks, inTick, ids = ticks+1, 0, 0
		}
		last, inTick, ids = p.at, inTick+1, ids+p.actions
	}
	end()
	return ticks, excess, actions
}
