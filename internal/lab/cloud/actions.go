package cloud

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	actionRunning = "running"
	actionSuccess = "success"
	actionFailed  = "error"
	// actionLimit is the longest that an action may take.
	actionLimit = 3 * time.Minute
	// closeGrace is how long Close lets running actions end by themselves.
	closeGrace = 10 * time.Second
)

// Action is work that takes time.
type Action struct {
	ID        int64        `json:"id"`
	Command   string       `json:"command"`
	Status    string       `json:"status"`
	Progress  int          `json:"progress"`
	Started   time.Time    `json:"started"`
	Finished  *time.Time   `json:"finished"`
	Resources []Subject    `json:"resources"`
	Error     *ActionError `json:"error"`
	// Locks are the resources that take no other action while this one runs.
	Locks []Subject `json:"-"`
}

// Subject is a resource that an action is about.
type Subject struct {
	ID   int64  `json:"id"`
	Type string `json:"type"`
}

// ActionError is why an action failed.
type ActionError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// about tells whether the action concerns a resource; id 0: any of the type.
func (a *Action) about(kind string, id int64) bool { return among(a.Resources, kind, id) }

func among(subjects []Subject, kind string, id int64) bool {
	for _, s := range subjects {
		if s.Type == kind && (id == 0 || s.ID == id) {
			return true
		}
	}
	return false
}

func (a *Action) finish(now time.Time, failure *ActionError) {
	now = now.UTC().Truncate(time.Second)
	a.Finished, a.Progress, a.Status, a.Error = &now, 100, actionSuccess, failure
	if failure != nil {
		a.Status = actionFailed
	}
}

// running gives an action that locks a resource, or nil.
func (o *objects) running(kind string, id int64) *Action {
	for _, a := range o.Actions {
		if a.Status == actionRunning && among(a.Locks, kind, id) {
			return a
		}
	}
	return nil
}

// job is one action to run: work without the API's lock (nil: nothing but the
// latency), then done under it, with what work came to.
type job struct {
	command string
	about   []Subject
	locks   []Subject
	work    func(ctx context.Context) error
	done    func(o *objects, err error)
	// cuts says that the work ends a guest that is still shutting down; other
	// work waits for that guest.
	cuts bool
}

// begin starts jobs that run one after another; when one fails, the later ones
// fail without having run. It gives their actions as they are now.
func (q *request) begin(jobs ...job) []Action {
	live := make([]*Action, len(jobs))
	now := make([]Action, len(jobs))
	for i, j := range jobs {
		live[i] = &Action{
			ID: q.obj.newID(), Command: j.command, Status: actionRunning, Started: q.now(), Resources: j.about, Locks: j.locks,
		}
		now[i] = *live[i]
		q.obj.Actions = append(q.obj.Actions, live[i])
	}
	q.obj.forget()
	a, injected := q.api, q.failAction
	a.work.Add(1)
	go func() {
		defer a.work.Done()
		var err error
		for i, j := range jobs {
			if err == nil {
				err = a.perform(j, injected)
			}
			a.complete(live[i], j, err)
		}
	}()
	return now
}

func (a *API) perform(j job, injected *ActionError) error {
	ctx, cancel := context.WithTimeout(a.ctx, actionLimit)
	defer cancel()
	begun := time.Now()
	var err error
	switch {
	case injected != nil:
		err = &Error{Code: injected.Code, Message: injected.Message}
	case j.work != nil:
		if err = a.awaitFarewells(ctx, j); err == nil {
			err = j.work(ctx)
		}
	}
	pause(ctx, a.opt.ActionLatency-time.Since(begun))
	return err
}

func (a *API) complete(act *Action, j job, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if j.done != nil {
		j.done(a.obj, err)
	}
	var failure *ActionError
	if err != nil {
		failure = &ActionError{Code: "action_failed", Message: err.Error()}
		var e *Error
		if errors.As(err, &e) {
			failure = &ActionError{Code: e.Code, Message: e.Message}
		}
		a.opt.Log("%s %d failed: %s", act.Command, act.ID, failure.Message)
	}
	act.finish(a.opt.Now(), failure)
	a.save()
}

func (o *objects) forget() {
	for i := 0; len(o.Actions) > keptActions && i < len(o.Actions); {
		if o.Actions[i].Status == actionRunning {
			i++
			continue
		}
		o.Actions = append(o.Actions[:i], o.Actions[i+1:]...)
	}
}

// actionReply answers a call that started exactly one action.
func actionReply(status int, actions []Action) reply {
	return reply{status, map[string]any{"action": actions[0]}}
}

// actionKind serves /actions, whose list needs the ids that are asked for.
type actionKind struct{}

func (actionKind) serve(q *request) (reply, error) {
	switch {
	case q.method != http.MethodGet || len(q.rest) > 1:
		return reply{}, notFound("no such endpoint")
	case len(q.rest) == 1:
		return showAction(q, q.rest[0])
	}
	if !q.query.Has("id") {
		return reply{}, fail(http.StatusGone, "deprecated_api_endpoint", "listing all actions is not supported, ask for ids")
	}
	wanted := map[int64]bool{}
	for _, text := range q.query["id"] {
		id, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return reply{}, invalid("id", "must be a number, not %q", text)
		}
		wanted[id] = true
	}
	return listActions(q, func(a *Action) bool { return wanted[a.ID] })
}

// listActions answers a list of actions, filtered by status. They are kept in
// the order of their ids, and by ids they are sorted whatever was asked.
func listActions(q *request, keep func(*Action) bool) (reply, error) {
	statuses := map[string]bool{}
	// "sort" values that name a field are accepted as they come; clients use
	// sort=status and sort=id, whose order no client may rely on.
	for _, s := range q.query["status"] {
		statuses[s] = true
	}
	items := []*Action{}
	for _, a := range q.obj.Actions {
		if keep(a) && (len(statuses) == 0 || statuses[a.Status]) {
			items = append(items, a)
		}
	}
	items, p, err := page(q.query, items)
	if err != nil {
		return reply{}, err
	}
	now := make([]Action, len(items)) // values: the answer is written without the lock
	for i, a := range items {
		now[i] = *a
	}
	return listReply("actions", now, p), nil
}

func showAction(q *request, text string) (reply, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		for _, a := range q.obj.Actions {
			if a.ID == id {
				return reply{http.StatusOK, map[string]any{"action": *a}}, nil
			}
		}
	}
	return reply{}, notFound("action with ID '" + text + "' not found")
}
