package hetzner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

const (
	actionLimit   = 20 * time.Minute // longest wait for one action
	diskLimit     = 3 * time.Hour    // and for one that copies a disk
	actionsAtOnce = 25               // IDs in one request, so that they fit into its URL and one page
	maxVanished   = 3                // polls without an action before it counts as gone
	actionRetries = 4                // further tries of a change whose action failed because another one ran
)

// waiter waits for actions. All waits of a client share one poll, so that
// fifty servers cost two requests per interval and not fifty.
type waiter struct {
	interval time.Duration
	poll     func(ctx context.Context, ids []int64) ([]*hcloud.Action, error)

	mu      sync.Mutex
	waiting map[int64]*wait
	running bool
}

type wait struct {
	done   chan error // buffered: the poller never blocks
	misses int
}

func newWaiter(interval time.Duration, poll func(context.Context, []int64) ([]*hcloud.Action, error)) *waiter {
	return &waiter{interval: interval, poll: poll, waiting: map[int64]*wait{}}
}

// wait blocks until all actions have ended; the error joins those of the
// actions that failed.
func (w *waiter) wait(ctx context.Context, actions ...*hcloud.Action) error {
	return w.waitFor(ctx, actionLimit, actions...)
}

func (w *waiter) waitFor(ctx context.Context, limit time.Duration, actions ...*hcloud.Action) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var failed []error
	pending := map[int64]*wait{}
	for _, a := range actions {
		switch {
		case a == nil:
		case a.Status == hcloud.ActionStatusRunning:
			pending[a.ID] = w.add(ctx, a.ID)
		case a.Status == hcloud.ActionStatusError:
			failed = append(failed, a.Error())
		}
	}
	for id, p := range pending {
		select {
		case err := <-p.done:
			failed = append(failed, err)
		case <-ctx.Done():
			w.remove(id)
			failed = append(failed, fmt.Errorf("action %d has not ended: %w", id, ctx.Err()))
		}
	}
	return errors.Join(failed...)
}

func (w *waiter) add(ctx context.Context, id int64) *wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &wait{done: make(chan error, 1)}
	w.waiting[id] = p
	if !w.running {
		w.running = true
		go w.run(context.WithoutCancel(ctx)) // serves the waits of others too; ends with the last one
	}
	return p
}

func (w *waiter) remove(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, id)
}

func (w *waiter) ids() []int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]int64, 0, len(w.waiting))
	for id := range w.waiting {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		w.running = false
	}
	slices.Sort(ids)
	return ids
}

func (w *waiter) run(ctx context.Context) {
	for {
		sleep(ctx, w.interval)
		ids := w.ids()
		if len(ids) == 0 {
			return
		}
		for chunk := range slices.Chunk(ids, actionsAtOnce) {
			actions, err := w.poll(ctx, chunk)
			w.tell(chunk, actions, err)
		}
	}
}

// tell hands the result of a poll to those who wait for it.
func (w *waiter) tell(ids []int64, actions []*hcloud.Action, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := map[int64]*hcloud.Action{}
	for _, a := range actions {
		seen[a.ID] = a
	}
	for _, id := range ids {
		p, ok := w.waiting[id]
		if !ok {
			continue
		}
		a := seen[id]
		switch {
		case err != nil:
			p.done <- err
		case a == nil:
			if p.misses++; p.misses < maxVanished {
				continue
			}
			p.done <- fmt.Errorf("action %d is no longer known to the API", id)
		case a.Status == hcloud.ActionStatusRunning:
			p.misses = 0
			continue
		default:
			p.done <- a.Error()
		}
		delete(w.waiting, id)
	}
}

// poll asks for actions by their IDs, in one request.
func (c *Client) poll(ctx context.Context, ids []int64) ([]*hcloud.Action, error) {
	if c.limit.scarce() {
		sleep(ctx, 4*c.actions.interval)
	}
	var actions []*hcloud.Action
	err := c.call(ctx, request{what: "looking at running actions"}, func(ctx context.Context) (*hcloud.Response, error) {
		found, resp, err := c.api.Action.List(ctx, hcloud.ActionListOpts{ID: ids, ListOpts: hcloud.ListOpts{Page: 1, PerPage: pageSize}})
		actions = found
		return resp, err
	})
	return actions, err
}

// act makes a change and waits until its actions have ended. An action that
// failed because another one held the resource is asked for again.
func (c *Client) act(ctx context.Context, r request,
	send func(context.Context) ([]*hcloud.Action, *hcloud.Response, error),
) error {
	for tries := 1; ; tries++ {
		var actions []*hcloud.Action // stays empty when the change turns out to be made
		err := c.call(ctx, r, func(ctx context.Context) (*hcloud.Response, error) {
			started, resp, err := send(ctx)
			if err == nil {
				actions = started
			}
			return resp, err
		})
		if err != nil {
			return err
		}
		err = c.actions.waitFor(ctx, positive(r.limit, actionLimit), actions...)
		if err == nil {
			return nil
		}
		again := hasCode(err, hcloud.ErrorCodeLocked, hcloud.ErrorCodeConflict) && tries <= actionRetries
		if !again || !sleep(ctx, c.pause(tries, err)) {
			return c.problem(r.what, err)
		}
	}
}
