package github

import (
	"net/http"
	"slices"
	"time"
)

type status struct {
	id                                  int64
	sha, state, context, text, url, who string
	created                             time.Time
}

// Status is what a test sees of a commit's status.
type Status struct{ SHA, State, Context, Description, TargetURL string }

// Statuses lists the statuses of a commit, oldest first.
func (a *API) Statuses(sha string) []Status {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Status
	for _, s := range a.repo.statuses {
		if s.sha == sha {
			list = append(list, Status{s.sha, s.state, s.context, s.text, s.url})
		}
	}
	return list
}

func (q *request) createStatus() *answer {
	c := q.repo.commits[q.params["sha"]]
	if c == nil {
		return q.noCommit(q.params["sha"])
	}
	var body struct {
		State       string `json:"state"`
		Context     string `json:"context"`
		Description string `json:"description"`
		TargetURL   string `json:"target_url"`
	}
	if wrong := q.decode(&body); wrong != nil {
		return wrong
	}
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, body.State) {
		return unprocessable("Status", "state", "invalid", "")
	}
	if len([]rune(body.Description)) > 140 {
		return unprocessable("Status", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if body.Context == "" {
		body.Context = "default"
	}
	s := &status{q.repo.id(), c.SHA, body.State, body.Context, body.Description, body.TargetURL, q.token.Login, q.api.opt.Now()}
	q.repo.statuses = append(q.repo.statuses, s)
	return success(http.StatusCreated, q.statusWire(s))
}

func (q *request) listStatuses() *answer {
	c := q.repo.resolve(q.params["ref"])
	if c == nil {
		return missing()
	}
	list := []any{}
	for _, s := range slices.Backward(q.repo.statuses) {
		if s.sha == c.SHA {
			list = append(list, q.statusWire(s))
		}
	}
	return page(q, list, nil)
}

func (q *request) statusWire(s *status) object {
	return object{
		"id": s.id, "node_id": "SC_1", "url": q.url("/statuses/" + s.sha), "avatar_url": nil, "state": s.state, "description": orNull(s.text),
		"target_url": orNull(s.url), "context": s.context, "created_at": at(s.created), "updated_at": at(s.created), "creator": q.userWire(s.who),
	}
}
