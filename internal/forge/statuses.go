package forge

import (
	"context"

	"github.com/google/go-github/v66/github"
)

// maxDescription is how long GitHub lets descriptions get, in characters.
const maxDescription = 140

// State is that of a commit's status.
type State string

// The states of a commit.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure" // it was judged, and found wanting
	Errored State = "error"   // it could not be judged
)

// Status is what stands beside a commit: the last one of a context counts.
type Status struct {
	State    State
	Context  string // "flotilla/plan acme"
	Headline string // cut at 140 characters
	URL      string // where Details leads; "": nowhere
}

// SetStatus puts a status on a commit.
func (c *Client) SetStatus(ctx context.Context, sha string, s Status) error {
	op := operation{what: "set the commit's status", needs: "statuses: write", repeats: true}
	return c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		state, headline := string(s.State), short(s.Headline)
		_, resp, err := rest.Repositories.CreateStatus(ctx, c.owner, c.name, sha, &github.RepoStatus{
			State: &state, Context: &s.Context, Description: &headline, TargetURL: optional(s.URL),
		})
		return resp, err
	})
}

// short cuts a text to the length of a description.
func short(text string) string {
	if runes := []rune(text); len(runes) > maxDescription {
		return string(runes[:maxDescription-1]) + "…"
	}
	return text
}

// optional is nil for "", which GitHub would take as a value.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
