package forge

import (
	"context"
	"errors"

	"github.com/google/go-github/v66/github"
)

// Label is on every issue of ours; by it they are found.
const Label = "flotilla"

// Issue is an issue that is kept in place: one open per kind, fleet and
// environment.
type Issue struct {
	Header Header
	Title  string
	Body   func(bytes int) string // Markdown of at most so many bytes
}

const canIssue = "issues: write"

// PutIssue opens the issue, or changes the one that is open.
func (c *Client) PutIssue(ctx context.Context, i Issue) (Posted, error) {
	open, err := c.openIssues(ctx, i.Header)
	if err != nil {
		return Posted{}, err
	}
	head := i.Header.String() + "\n"
	posted, err := c.putIssue(ctx, i, open, head+i.Body(CommentBytes-len(head)))
	var e *Error
	if errors.As(err, &e) && e.TooLong {
		return c.putIssue(ctx, i, open, head+i.Body((CommentBytes-len(head))/2))
	}
	return posted, err
}

func (c *Client) putIssue(ctx context.Context, i Issue, open []*github.Issue, text string) (Posted, error) {
	if len(open) == 0 {
		return once(ctx, c,
			func() (Posted, error) { return c.openIssue(ctx, i.Title, text) },
			func() (Posted, bool, error) {
				there, err := c.openIssues(ctx, i.Header)
				if err != nil || len(there) == 0 {
					return Posted{}, false, err
				}
				return postedIssue(Created, there[0]), true, nil
			})
	}
	if open[0].GetBody() == text && open[0].GetTitle() == i.Title {
		return postedIssue(Unchanged, open[0]), nil
	}
	err := c.editIssue(ctx, open[0].GetNumber(), &github.IssueRequest{Title: &i.Title, Body: &text})
	return postedIssue(Updated, open[0]), err
}

// CloseIssue closes the issue of a header as done, with a last text; Outcome
// None: none is open.
func (c *Client) CloseIssue(ctx context.Context, i Issue) (Posted, error) {
	open, err := c.openIssues(ctx, i.Header)
	if err != nil {
		return Posted{}, err
	}
	posted := Posted{Outcome: None}
	for n, issue := range open {
		state, reason := "closed", "completed"
		change := &github.IssueRequest{State: &state, StateReason: &reason}
		if n == 0 {
			head := i.Header.String() + "\n"
			text := head + i.Body(CommentBytes-len(head))
			change.Title, change.Body = &i.Title, &text
			posted = postedIssue(Closed, issue)
		}
		if err := c.editIssue(ctx, issue.GetNumber(), change); err != nil {
			return posted, err
		}
	}
	return posted, nil
}

func postedIssue(o Outcome, i *github.Issue) Posted {
	return Posted{Outcome: o, ID: int64(i.GetNumber()), URL: i.GetHTMLURL()}
}

// openIssues lists our open issues of a header, oldest first.
func (c *Client) openIssues(ctx context.Context, h Header) ([]*github.Issue, error) {
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	op := operation{what: "list issues", needs: "issues: read"}
	all, err := pages(ctx, c, op, func(ctx context.Context, rest *github.Client, page github.ListOptions) ([]*github.Issue, *github.Response, error) {
		return rest.Issues.ListByRepo(ctx, c.owner, c.name, &github.IssueListByRepoOptions{
			State: "open", Labels: []string{Label}, Creator: me, Sort: "created", Direction: "asc", ListOptions: page,
		})
	})
	if err != nil {
		return nil, err
	}
	var ours []*github.Issue
	for _, issue := range all {
		found, ok, err := ParseHeader(issue.GetBody())
		if issue.GetUser().GetLogin() == me && !issue.IsPullRequest() && ok && err == nil && found.same(h) {
			ours = append(ours, issue)
		}
	}
	return ours, nil
}

func (c *Client) openIssue(ctx context.Context, title, text string) (Posted, error) {
	var posted Posted
	err := c.call(ctx, operation{what: "open an issue", needs: canIssue}, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		made, resp, err := rest.Issues.Create(ctx, c.owner, c.name, &github.IssueRequest{Title: &title, Body: &text, Labels: &[]string{Label}})
		posted = postedIssue(Created, made)
		return resp, err
	})
	return posted, err
}

func (c *Client) editIssue(ctx context.Context, number int, change *github.IssueRequest) error {
	op := operation{what: "change an issue", needs: canIssue, repeats: true}
	return c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		_, resp, err := rest.Issues.Edit(ctx, c.owner, c.name, number, change)
		return resp, err
	})
}
