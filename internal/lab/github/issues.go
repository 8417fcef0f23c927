package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

type issue struct {
	number           int
	title, body      string
	author           string
	state, reason    string
	labels           []string
	created, updated time.Time
	closed           time.Time
	isPull           bool
}

// Issue is what a test sees of one.
type Issue struct {
	Number             int
	Title, Body, State string
	Labels             []string
}

// Issues lists the issues that are no pull requests, oldest first.
func (a *API) Issues() []Issue {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Issue
	for _, i := range a.repo.issues {
		if !i.isPull {
			list = append(list, Issue{i.number, i.title, i.body, i.state, slices.Clone(i.labels)})
		}
	}
	return list
}

// PutIssue opens an issue as somebody else and gives its number.
func (a *API) PutIssue(author, title, body string, labels ...string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opt.Now()
	i := &issue{number: len(a.repo.issues) + 1, title: title, body: body, author: author, state: "open", labels: labels, created: now, updated: now}
	a.repo.issues = append(a.repo.issues, i)
	return i.number
}

func (r *repository) issue(number int) *issue {
	for _, i := range r.issues {
		if i.number == number {
			return i
		}
	}
	return nil
}

// mayTalk tells whether the token may write on an issue or pull request; for
// one that is no pull request only the permission for issues counts.
func (q *request) mayTalk(i *issue) *answer {
	needs := []string{"issues:write", "pull_requests:write"}
	if !i.isPull {
		needs = one("issues:write")
	}
	if !q.token.mayAny(needs) {
		return forbidden(needs)
	}
	return nil
}

func (q *request) listIssues() *answer {
	list := []any{}
	for _, i := range slices.Backward(q.repo.issues) {
		if !wanted(q.query.Get("state"), i.state) || q.query.Get("creator") != "" && q.query.Get("creator") != i.author {
			continue
		}
		matches := true
		for _, label := range strings.FieldsFunc(q.query.Get("labels"), func(r rune) bool { return r == ',' }) {
			matches = matches && slices.Contains(i.labels, label)
		}
		if matches {
			list = append(list, q.issueWire(i))
		}
	}
	return page(q, list, nil)
}

func (q *request) getIssue() *answer {
	i := q.repo.issue(int(q.number("issue_number")))
	if i == nil {
		return missing()
	}
	return success(http.StatusOK, q.issueWire(i))
}

type issueChange struct {
	Title       *string   `json:"title"`
	Body        *string   `json:"body"`
	State       *string   `json:"state"`
	StateReason *string   `json:"state_reason"`
	Labels      *[]string `json:"labels"`
}

// apply changes an issue, or says why not.
func (c *issueChange) apply(i *issue, now time.Time) *answer {
	if c.Body != nil && tooLong(*c.Body) {
		return bodyTooLong("Issue")
	}
	if c.Title != nil && len([]rune(*c.Title)) > 256 {
		return unprocessable("Issue", "title", "custom", "title is too long (maximum is 256 characters)")
	}
	if c.State != nil && *c.State != "open" && *c.State != "closed" {
		return unprocessable("Issue", "state", "invalid", "")
	}
	for _, f := range []struct{ from, to *string }{{c.Title, &i.title}, {c.Body, &i.body}, {c.State, &i.state}, {c.StateReason, &i.reason}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if c.Labels != nil {
		i.labels = *c.Labels
	}
	i.updated, i.closed = now, time.Time{}
	if i.state == "closed" {
		i.closed = now
	}
	return nil
}

func (q *request) createIssue() *answer {
	var c issueChange
	if wrong := q.decode(&c); wrong != nil {
		return wrong
	}
	if c.Title == nil || *c.Title == "" {
		return unprocessable("Issue", "title", "missing_field", "")
	}
	now := q.api.opt.Now()
	i := &issue{number: len(q.repo.issues) + 1, author: q.token.Login, state: "open", created: now}
	if wrong := c.apply(i, now); wrong != nil {
		return wrong
	}
	q.repo.issues = append(q.repo.issues, i)
	return success(http.StatusCreated, q.issueWire(i))
}

func (q *request) updateIssue() *answer {
	i := q.repo.issue(int(q.number("issue_number")))
	if i == nil {
		return missing()
	}
	if wrong := q.mayTalk(i); wrong != nil {
		return wrong
	}
	var c issueChange
	if wrong := q.decode(&c); wrong != nil {
		return wrong
	}
	if wrong := c.apply(i, q.api.opt.Now()); wrong != nil {
		return wrong
	}
	return success(http.StatusOK, q.issueWire(i))
}

func (q *request) issueWire(i *issue) object {
	url := q.url(fmt.Sprintf("/issues/%d", i.number))
	labels, comments := []any{}, 0
	for n, name := range i.labels {
		labels = append(labels, object{"id": n + 1, "node_id": "LA_1", "url": q.url("/labels/" + name), "name": name, "description": nil, "color": "ededed", "default": false})
	}
	for _, c := range q.repo.comments {
		if c.issue == i.number {
			comments++
		}
	}
	o := object{
		"id": 9000 + i.number, "node_id": fmt.Sprintf("I_%d", i.number), "number": i.number, "title": i.title, "body": orNull(i.body),
		"state": i.state, "state_reason": orNull(i.reason), "user": q.userWire(i.author), "labels": labels, "assignee": nil, "milestone": nil, "locked": false,
		"comments": comments, "created_at": at(i.created), "updated_at": at(i.updated), "closed_at": at(i.closed), "author_association": "NONE",
		"url": url, "repository_url": q.url(""), "labels_url": url + "/labels", "comments_url": url + "/comments", "events_url": url + "/events",
		"html_url": q.html(fmt.Sprintf("/issues/%d", i.number)),
	}
	if i.isPull {
		o["pull_request"] = object{"url": url, "html_url": url, "diff_url": url, "patch_url": url}
	}
	return o
}
