package github

import (
	"fmt"
	"net/http"
	"strings"
)

// graphql serves the three questions that REST has no answer to: who the token
// is (viewer), whether comments are minimized (nodes), and minimizeComment with
// its opposite. Errors come with HTTP 200, as they do at the real one.
func (q *request) graphql() *answer {
	var body struct {
		Query     string `json:"query"`
		Variables struct {
			ID         string   `json:"id"`
			IDs        []string `json:"ids"`
			Classifier string   `json:"classifier"`
		} `json:"variables"`
	}
	if wrong := q.decode(&body); wrong != nil {
		return wrong
	}
	has := func(word string) bool { return strings.Contains(body.Query, word) }
	switch {
	case has("unminimizeComment"):
		return q.minimize(body.Variables.ID, "", "unminimizeComment", "unminimizedComment")
	case has("minimizeComment"):
		if body.Variables.Classifier == "" {
			return graphqlError("BAD_USER_INPUT", "classifier is required")
		}
		return q.minimize(body.Variables.ID, body.Variables.Classifier, "minimizeComment", "minimizedComment")
	case has("nodes"):
		return q.nodes(body.Variables.IDs)
	case has("viewer"):
		return success(http.StatusOK, object{"data": object{"viewer": object{"login": q.token.Login}}})
	default:
		return graphqlError("undefinedField", "the lab does not know this query")
	}
}

func graphqlError(kind, message string) *answer {
	return success(http.StatusOK, object{"data": nil, "errors": []any{object{"type": kind, "message": message, "path": []any{}}}})
}

func (q *request) node(id string) *comment {
	for _, c := range q.repo.comments {
		if fmt.Sprintf("IC_%d", c.id) == id {
			return c
		}
	}
	return nil
}

// minimize hides a comment or, without a reason, shows it again. On a pull
// request the permission for issues is not enough.
func (q *request) minimize(id, reason, mutation, field string) *answer {
	c := q.node(id)
	if c == nil {
		return graphqlError("NOT_FOUND", "Could not resolve to a node with the global id of '"+id+"'")
	}
	need := "issues:write"
	if i := q.repo.issue(c.issue); i != nil && i.isPull {
		need = "pull_requests:write"
	}
	if !q.token.mayAny(one(need)) {
		return graphqlError("FORBIDDEN", "Resource not accessible by integration")
	}
	c.minimized = reason
	return success(http.StatusOK, object{"data": object{mutation: object{field: object{"isMinimized": reason != ""}}}})
}

func (q *request) nodes(ids []string) *answer {
	if !q.token.mayAny([]string{"issues:read", "pull_requests:read"}) {
		return graphqlError("FORBIDDEN", "Resource not accessible by integration")
	}
	list := []any{}
	for _, id := range ids {
		if c := q.node(id); c != nil {
			list = append(list, object{"id": id, "isMinimized": c.minimized != ""})
		} else {
			list = append(list, nil)
		}
	}
	return success(http.StatusOK, object{"data": object{"nodes": list}})
}
