package forge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Report is something to tell GitHub that nobody waits for.
type Report struct {
	// Lane holds reports that must come in order; a lane that fails does not
	// hold up another.
	Lane string
	// Key: a report of the same lane and key that still waits is dropped, as
	// the new one says all that it said. "": it is kept.
	Key string
	// What is done, for the log: "set the deployment's status to success".
	What string
	// Text is what the log gets if GitHub could not be told.
	Text string
	Send func(ctx context.Context) error
}

// Untold is a report that did not reach GitHub, and why.
type Untold struct {
	Report Report
	Err    error
}

// String is for the log: what was not done, why, and the text itself.
func (u Untold) String() string {
	text := fmt.Sprintf("GitHub was not told (%s): %s", u.Report.What, problem.Text(u.Err))
	if u.Report.Text != "" {
		text += u.Report.Text + "\n"
	}
	return text
}

const (
	// DefaultGrace is how long Close waits at most.
	DefaultGrace   = 2 * time.Minute
	firstPause     = 2 * time.Second
	longestPause   = time.Minute
	lostInShutdown = "there was no time left to tell it"
)

// Queue sends reports in the background, again and again while GitHub cannot be
// reached. What was not sent by the end comes back as texts for the log.
type Queue struct {
	ctx    context.Context //nolint:containedctx // the life of the background work, which outlives calls
	cancel context.CancelFunc
	wait   func(ctx context.Context, d time.Duration) error
	grace  time.Duration

	mu     sync.Mutex
	lanes  map[string][]Report // waiting; a lane that is there has a goroutine
	work   sync.WaitGroup
	closed bool
	untold []Untold
}

// QueueOptions set up a Queue.
type QueueOptions struct {
	Grace time.Duration                                    // how long Close waits at most; 0: DefaultGrace
	Wait  func(ctx context.Context, d time.Duration) error // nil: a timer
}

// NewQueue gives a queue that works until Close. Of ctx only the values are
// used: reports of a run that was cancelled are sent too.
func NewQueue(ctx context.Context, opt QueueOptions) *Queue {
	if opt.Grace <= 0 {
		opt.Grace = DefaultGrace
	}
	if opt.Wait == nil {
		opt.Wait = wait
	}
	q := &Queue{wait: opt.Wait, grace: opt.Grace, lanes: map[string][]Report{}}
	q.ctx, q.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return q
}

// Add takes a report and returns at once. After Close it is untold.
func (q *Queue) Add(r Report) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		q.untold = append(q.untold, Untold{r, errors.New(lostInShutdown)})
		return
	}
	waiting, works := q.lanes[r.Lane]
	kept := make([]Report, 0, len(waiting)+1)
	for _, old := range waiting {
		if r.Key == "" || old.Key != r.Key {
			kept = append(kept, old)
		}
	}
	q.lanes[r.Lane] = append(kept, r)
	if !works {
		q.work.Go(func() { q.run(r.Lane) })
	}
}

// run sends the reports of one lane until there are none.
func (q *Queue) run(lane string) {
	for {
		r, ok := q.next(lane)
		if !ok {
			return
		}
		if err := q.send(r); err != nil {
			q.mu.Lock()
			q.untold = append(q.untold, Untold{r, err})
			q.mu.Unlock()
		}
	}
}

// next takes the first report of a lane; false: the lane has ended.
func (q *Queue) next(lane string) (Report, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.lanes[lane]
	if len(waiting) == 0 {
		delete(q.lanes, lane)
		return Report{}, false
	}
	q.lanes[lane] = waiting[1:]
	return waiting[0], true
}

// send tries until it goes well, cannot go well, or the queue ends.
func (q *Queue) send(r Report) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if q.ctx.Err() != nil {
			return errors.New(lostInShutdown)
		}
		err := r.Send(q.ctx)
		var e *Error
		if err == nil || !errors.As(err, &e) || !e.Temporary {
			return err
		}
		if q.wait(q.ctx, max(pause, e.After)) != nil {
			return err
		}
	}
}

// Close waits until everything is told, at most for the grace that the queue
// has and for ctx, then gives up and returns what was not.
func (q *Queue) Close(ctx context.Context) []Untold {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	told := make(chan struct{})
	go func() {
		q.work.Wait()
		close(told)
	}()
	ctx, stop := context.WithTimeout(ctx, q.grace)
	defer stop()
	select {
	case <-told:
	case <-ctx.Done():
	}
	q.cancel()
	<-told // a Send obeys its context
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.untold
}

// Announce records a deployment through a queue and gives what sends its
// updates, in order, with the text that the log gets otherwise. One that
// succeeds takes the place of the environment's older ones.
func (c *Client) Announce(q *Queue, d Deployment) func(u Update, text string) {
	lane := "deployment " + d.Environment + " " + d.Run
	var id int64 // used by the lane's goroutine alone
	begin := func(ctx context.Context) (err error) {
		if id == 0 {
			id, err = c.StartDeployment(ctx, d)
		}
		return err
	}
	q.Add(Report{Lane: lane, What: "record the deployment to " + d.Environment, Send: begin})
	return func(u Update, text string) {
		q.Add(Report{
			Lane: lane, What: "set the status of the deployment to " + d.Environment + " to " + string(u.State), Text: text,
			Send: func(ctx context.Context) error {
				if err := begin(ctx); err != nil {
					return err
				}
				return c.UpdateDeployment(ctx, id, u)
			},
		})
		if u.State == Succeeded {
			q.Add(Report{
				Lane: lane, What: "make older deployments to " + d.Environment + " inactive",
				Send: func(ctx context.Context) error {
					if id == 0 {
						return nil // it could not be recorded, which is told already
					}
					return c.RetireDeployments(ctx, d.Environment, id)
				},
			})
		}
	}
}
