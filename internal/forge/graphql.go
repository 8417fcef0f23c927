package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/google/go-github/v66/github"
)

const maxAnswer = 1 << 20

// graphql asks what REST has no operation for. Its refusals come with HTTP 200.
func (c *Client) graphql(ctx context.Context, op operation, query string, variables map[string]any, into any) error {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return op.fail(&Error{Message: "the question cannot be written as JSON"})
	}
	var answer struct {
		Data   json.RawMessage `json:"data"`
		Errors []struct {
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	err = c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.graphqlURL, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := rest.BareDo(ctx, req)
		if err != nil {
			return resp, err
		}
		defer resp.Body.Close()
		return resp, json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&answer)
	})
	if err != nil {
		return err
	}
	if len(answer.Errors) > 0 {
		e := answer.Errors[0]
		status := http.StatusUnprocessableEntity
		switch e.Type {
		case "FORBIDDEN", "INSUFFICIENT_SCOPES":
			status = http.StatusForbidden
		case "NOT_FOUND":
			status = http.StatusNotFound
		}
		return op.fail(&Error{Status: status, Message: c.harmless(e.Message)})
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(answer.Data, into); err != nil {
		return op.fail(&Error{Status: http.StatusOK, Message: "the answer has an unexpected form"})
	}
	return nil
}

// me is whose comments are ours.
func (c *Client) me(ctx context.Context) (string, error) {
	c.mu.Lock()
	login := c.login
	c.mu.Unlock()
	if login != "" {
		return login, nil
	}
	var answer struct {
		Viewer struct {
			Login string `json:"login"`
		} `json:"viewer"`
	}
	op := operation{what: "ask who the token is", repeats: true}
	if err := c.graphql(ctx, op, "query { viewer { login } }", nil, &answer); err != nil {
		return "", err
	}
	if answer.Viewer.Login == "" {
		return "", op.fail(&Error{Status: http.StatusOK, Message: "the answer names nobody"})
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.login = answer.Viewer.Login
	return c.login, nil
}

// minimize hides a comment as outdated.
func (c *Client) minimize(ctx context.Context, node string) error {
	const mutation = `mutation($id: ID!, $classifier: ReportedContentClassifiers!) {
  minimizeComment(input: {subjectId: $id, classifier: $classifier}) { minimizedComment { isMinimized } }
}`
	op := operation{what: "minimise an outdated comment", needs: "pull-requests: write", repeats: true}
	return c.graphql(ctx, op, mutation, map[string]any{"id": node, "classifier": "OUTDATED"}, nil)
}
