package hetzner

import (
	"fmt"
	"sync"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

// patience tells people what a run waits for, so that minutes of trying again
// are not minutes of silence.
type patience struct {
	say func(string) // nil: nobody listens

	mu   sync.Mutex
	told time.Time
}

// tell says that a request is tried again, if nothing was said for a while.
func (p *patience) tell(what string, err error) {
	if p.say == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.told) < tellEvery {
		return
	}
	p.told = time.Now()
	why := "cannot be reached or has trouble"
	switch {
	case hasCode(err, hcloud.ErrorCodeRateLimitExceeded):
		why = "takes no more requests of this project for now"
	case hasCode(err, hcloud.ErrorCodeMaintenance):
		why = "is in maintenance"
	case hasCode(err, hcloud.ErrorCodeLocked, hcloud.ErrorCodeConflict):
		why = "is at work on it for somebody else"
	}
	p.say(fmt.Sprintf("Hetzner Cloud %s; %s is tried again, for some minutes at most", why, what))
}
