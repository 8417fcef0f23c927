package openapi_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
)

func TestCheck(t *testing.T) {
	v, err := openapi.New()
	if err != nil {
		t.Fatal(err)
	}
	const (
		permission = "GET /repos/{owner}/{repo}/collaborators/{username}/permission"
		statuses   = "POST /repos/{owner}/{repo}/statuses/{sha}"
		goodStatus = `{"id":1,"node_id":"x","url":"https://x.example","avatar_url":null,"state":"success","description":null,"target_url":null,
			"context":"c","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:05Z","creator":null}`
	)
	for name, c := range map[string]struct {
		operation, query, request string
		status                    int
		response                  string
		want                      string // part of the error; "": none
	}{
		"good":              {statuses, "", `{"state":"success"}`, 201, goodStatus, ""},
		"missing field":     {statuses, "", `{"context":"c"}`, 201, goodStatus, "request"},
		"wrong enum":        {statuses, "", `{"state":"green"}`, 201, goodStatus, "request"},
		"unknown field":     {statuses, "", `{"state":"success","colour":"red"}`, 201, goodStatus, `field "colour"`},
		"unknown query":     {statuses, "?page=1", `{"state":"success"}`, 201, goodStatus, `query parameter "page"`},
		"bad answer":        {statuses, "", `{"state":"success"}`, 201, `{"id":1}`, "response"},
		"wrong type":        {statuses, "", `{"state":"success"}`, 201, strings.Replace(goodStatus, `"id":1`, `"id":"1"`, 1), "response"},
		"status":            {statuses, "", `{"state":"success"}`, 200, goodStatus, "status 200"},
		"refused":           {statuses, "", `{}`, 403, `{"message":"no"}`, ""},
		"operation":         {"GET /nothing", "", "", 200, "{}", "no such operation"},
		"null user allowed": {permission, "", "", 200, `{"permission":"none","role_name":"none","user":null}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			method, _, _ := strings.Cut(c.operation, " ")
			r := httptest.NewRequestWithContext(t.Context(), method, "/x"+c.query, nil)
			r.Header.Set("Content-Type", "application/json")
			err := v.Check(github.Exchange{
				Operation: c.operation, Request: r, RequestBody: []byte(c.request), Status: c.status, Header: http.Header{}, ResponseBody: []byte(c.response),
				PathParams: map[string]string{"owner": "acme", "repo": "fleet", "sha": "0", "username": "octocat", "_path": "/x"},
			})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}
