package github

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

type comment struct {
	id               int64
	issue            int
	author, body     string
	minimized        string // the reason, "" if it is not
	created, updated time.Time
	reactions        []string // content, with who gave it: "eyes octocat"
}

// Comment is what a test sees of one.
type Comment struct {
	ID           int64
	Issue        int
	Author, Body string
	Minimized    string   // the reason in capitals, "" if it is not
	Reactions    []string // "eyes octocat"
}

// Comments lists the comments of an issue or pull request, oldest first.
func (a *API) Comments(number int) []Comment {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Comment
	for _, c := range a.repo.comments {
		if c.issue == number {
			list = append(list, Comment{c.id, c.issue, c.author, c.body, c.minimized, slices.Clone(c.reactions)})
		}
	}
	return list
}

// PutComment writes a comment as somebody else and gives its number.
func (a *API) PutComment(issue int, author, body string) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.opt.Now()
	c := &comment{id: a.repo.id(), issue: issue, author: author, body: body, created: now, updated: now}
	a.repo.comments = append(a.repo.comments, c)
	return c.id
}

func (r *repository) comment(id int64) *comment {
	for _, c := range r.comments {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (q *request) listComments() *answer {
	number := int(q.number("issue_number"))
	if q.repo.issue(number) == nil {
		return missing()
	}
	list := []any{}
	for _, c := range q.repo.comments {
		if c.issue == number {
			list = append(list, q.commentWire(c))
		}
	}
	return page(q, list, nil)
}

// text reads the body of a comment's request.
func (q *request) text() (string, *answer) {
	var body struct {
		Body *string `json:"body"`
	}
	if wrong := q.decode(&body); wrong != nil {
		return "", wrong
	}
	switch {
	case body.Body == nil || *body.Body == "":
		return "", unprocessable("IssueComment", "body", "missing_field", "")
	case tooLong(*body.Body):
		return "", bodyTooLong("IssueComment")
	}
	return *body.Body, nil
}

func (q *request) createComment() *answer {
	i := q.repo.issue(int(q.number("issue_number")))
	if i == nil {
		return missing()
	}
	if wrong := q.mayTalk(i); wrong != nil {
		return wrong
	}
	text, wrong := q.text()
	if wrong != nil {
		return wrong
	}
	now := q.api.opt.Now()
	c := &comment{id: q.repo.id(), issue: i.number, author: q.token.Login, body: text, created: now, updated: now}
	q.repo.comments = append(q.repo.comments, c)
	return success(http.StatusCreated, q.commentWire(c))
}

// own finds the comment of a request, which the token must be allowed to change.
func (q *request) own() (*comment, *answer) {
	c := q.repo.comment(q.number("comment_id"))
	if c == nil {
		return nil, missing()
	}
	if i := q.repo.issue(c.issue); i != nil {
		if wrong := q.mayTalk(i); wrong != nil {
			return nil, wrong
		}
	}
	return c, nil
}

func (q *request) getComment() *answer {
	c := q.repo.comment(q.number("comment_id"))
	if c == nil {
		return missing()
	}
	return success(http.StatusOK, q.commentWire(c))
}

func (q *request) updateComment() *answer {
	c, wrong := q.own()
	if wrong != nil {
		return wrong
	}
	text, wrong := q.text()
	if wrong != nil {
		return wrong
	}
	c.body, c.updated = text, q.api.opt.Now()
	return success(http.StatusOK, q.commentWire(c))
}

func (q *request) deleteComment() *answer {
	c, wrong := q.own()
	if wrong != nil {
		return wrong
	}
	q.repo.comments = slices.DeleteFunc(q.repo.comments, func(other *comment) bool { return other == c })
	return success(http.StatusNoContent, nil)
}

func (q *request) react() *answer {
	c, wrong := q.own()
	if wrong != nil {
		return wrong
	}
	var body struct {
		Content string `json:"content"`
	}
	if wrong := q.decode(&body); wrong != nil {
		return wrong
	}
	if !slices.Contains([]string{"+1", "-1", "laugh", "confused", "heart", "hooray", "rocket", "eyes"}, body.Content) {
		return unprocessable("Reaction", "content", "invalid", "")
	}
	status, reaction := http.StatusOK, body.Content+" "+q.token.Login
	if !slices.Contains(c.reactions, reaction) {
		status, c.reactions = http.StatusCreated, append(c.reactions, reaction)
	}
	return success(status, object{
		"id": 1, "node_id": "RE_1", "user": q.userWire(q.token.Login), "content": body.Content, "created_at": at(q.api.opt.Now()),
	})
}

func (q *request) commentWire(c *comment) object {
	url := q.url(fmt.Sprintf("/issues/comments/%d", c.id))
	return object{
		"id": c.id, "node_id": fmt.Sprintf("IC_%d", c.id), "url": url, "html_url": q.html(fmt.Sprintf("/pull/%d#issuecomment-%d", c.issue, c.id)),
		"issue_url": q.url(fmt.Sprintf("/issues/%d", c.issue)), "body": c.body, "user": q.userWire(c.author),
		"created_at": at(c.created), "updated_at": at(c.updated), "author_association": "NONE",
	}
}
