package forge

import (
	"context"
	"errors"

	"github.com/google/go-github/v66/github"
)

// CommentBytes is how long a comment or issue gets in bytes, header included:
// GitHub's limit is 65,536 characters.
const CommentBytes = 65_000

// Note is a comment that is kept in place: one per kind, fleet and environment.
type Note struct {
	Header Header
	// Body gives Markdown of at most so many bytes.
	Body func(bytes int) string
	// OnlyUpdate changes one that exists and makes none: there is nothing new
	// to say.
	OnlyUpdate bool
}

// Outcome is what became of a Note or an Issue.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	Closed    Outcome = "closed"
	None      Outcome = "none" // there is none, and none was wanted
)

// Posted is a comment or an issue at GitHub.
type Posted struct {
	Outcome Outcome
	ID      int64 // of a comment; the number of an issue
	URL     string
}

// Found is a comment of ours.
type Found struct {
	Header Header
	ID     int64
	URL    string
	node   string
	body   string
}

const (
	canComment = "pull-requests: write"
	canRead    = "pull-requests: read"
)

// PutNote writes a note on a pull request or issue: the comment of the same
// header that we wrote is changed, the first one if there are several, whose
// others are deleted; otherwise a new one is made. A text that GitHub finds too
// long is asked for once more at half the length.
func (c *Client) PutNote(ctx context.Context, number int, n Note) (Posted, error) {
	old, err := c.noted(ctx, number, n.Header)
	if err != nil {
		return Posted{}, err
	}
	if len(old) == 0 && n.OnlyUpdate {
		return Posted{Outcome: None}, nil
	}
	for _, duplicate := range old[min(1, len(old)):] {
		if err := c.deleteComment(ctx, duplicate.ID); err != nil {
			return Posted{}, err
		}
	}
	head := n.Header.String() + "\n"
	posted, err := c.putComment(ctx, number, n.Header, old, head+n.Body(CommentBytes-len(head)))
	var e *Error
	if errors.As(err, &e) && e.TooLong {
		return c.putComment(ctx, number, n.Header, old, head+n.Body((CommentBytes-len(head))/2))
	}
	return posted, err
}

func (c *Client) putComment(ctx context.Context, number int, h Header, old []Found, text string) (Posted, error) {
	if len(old) == 0 {
		return once(ctx, c,
			func() (Posted, error) { return c.createComment(ctx, number, text) },
			func() (Posted, bool, error) {
				found, err := c.noted(ctx, number, h)
				if err != nil || len(found) == 0 {
					return Posted{}, false, err
				}
				return Posted{Outcome: Created, ID: found[0].ID, URL: found[0].URL}, true, nil
			})
	}
	posted := Posted{Outcome: Unchanged, ID: old[0].ID, URL: old[0].URL}
	if old[0].body == text {
		return posted, nil
	}
	posted.Outcome = Updated
	return posted, c.editComment(ctx, posted.ID, text)
}

func (c *Client) createComment(ctx context.Context, number int, text string) (Posted, error) {
	var posted Posted
	err := c.call(ctx, operation{what: "write a comment", needs: canComment}, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		made, resp, err := rest.Issues.CreateComment(ctx, c.owner, c.name, number, &github.IssueComment{Body: &text})
		posted = Posted{Outcome: Created, ID: made.GetID(), URL: made.GetHTMLURL()}
		return resp, err
	})
	return posted, err
}

func (c *Client) editComment(ctx context.Context, id int64, text string) error {
	op := operation{what: "change a comment", needs: canComment, repeats: true}
	return c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		_, resp, err := rest.Issues.EditComment(ctx, c.owner, c.name, id, &github.IssueComment{Body: &text})
		return resp, err
	})
}

// deleteComment deletes a comment; one that is gone already is no failure.
func (c *Client) deleteComment(ctx context.Context, id int64) error {
	op := operation{what: "delete a second comment", needs: canComment, repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		return rest.Issues.DeleteComment(ctx, c.owner, c.name, id)
	})
	if IsMissing(err) {
		return nil
	}
	return err
}

func (c *Client) noted(ctx context.Context, number int, h Header) ([]Found, error) {
	all, err := c.Notes(ctx, number)
	var same []Found
	for _, f := range all {
		if f.Header.same(h) {
			same = append(same, f)
		}
	}
	return same, err
}

// Notes lists our comments on a pull request or issue, oldest first: written by
// whom the token is, with a header that can be read.
func (c *Client) Notes(ctx context.Context, number int) ([]Found, error) {
	me, err := c.me(ctx)
	if err != nil {
		return nil, err
	}
	op := operation{what: "list comments", needs: canRead}
	comments, err := pages(ctx, c, op, func(ctx context.Context, rest *github.Client, page github.ListOptions) ([]*github.IssueComment, *github.Response, error) {
		return rest.Issues.ListComments(ctx, c.owner, c.name, number, &github.IssueListCommentsOptions{ListOptions: page})
	})
	if err != nil {
		return nil, err
	}
	var ours []Found
	for _, comment := range comments {
		h, ok, err := ParseHeader(comment.GetBody())
		if comment.GetUser().GetLogin() == me && ok && err == nil {
			ours = append(ours, Found{h, comment.GetID(), comment.GetHTMLURL(), comment.GetNodeID(), comment.GetBody()})
		}
	}
	return ours, nil
}

// outdated is put before the kind of a note that is not kept any more.
const outdated = "outdated-"

// Retire minimises our notes of a kind on a pull request that keep does not
// want, and marks them so that they are nobody's any more. It gives their number.
func (c *Client) Retire(ctx context.Context, number int, kind string, keep func(Header) bool) (int, error) {
	all, err := c.Notes(ctx, number)
	if err != nil {
		return 0, err
	}
	retired := 0
	for _, f := range all {
		if f.Header.Kind != kind || keep(f.Header) {
			continue
		}
		// Hidden first: if the second half fails, both are done again.
		if err := c.minimize(ctx, f.node); err != nil {
			return retired, err
		}
		line := f.Header
		line.Kind, line.Data = outdated+kind, nil
		_, rest := cutLine(f.body)
		if err := c.editComment(ctx, f.ID, line.String()+"\n"+rest); err != nil {
			return retired, err
		}
		retired++
	}
	return retired, nil
}
