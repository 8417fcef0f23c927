package forge

import (
	"context"
	"strings"
	"time"

	"github.com/google/go-github/v66/github"
)

// Pull is a pull request.
type Pull struct {
	Number           int
	Title            string
	Author           string // login
	URL              string
	Open, Draft      bool
	Merged           time.Time // zero: it is not
	MergeCommit      string    // the merge or squash commit, or the last one rebased
	HeadRef, HeadSHA string
	BaseRef          string
	Fork             bool // its head is in another repository, or in one that is gone
}

// Commit is a commit of the default branch.
type Commit struct {
	SHA     string
	Subject string // first line of the message; not to be trusted
	Author  string // login, or the name in the commit
	URL     string
}

// Pull gives a pull request.
func (c *Client) Pull(ctx context.Context, number int) (Pull, error) {
	var pull Pull
	op := operation{what: "read a pull request", needs: canRead, repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		got, resp, err := rest.PullRequests.Get(ctx, c.owner, c.name, number)
		pull = pullOf(got)
		return resp, err
	})
	return pull, err
}

// PullsOf lists the pull requests of a commit: the merged one that brought it to
// the default branch, or the open ones that hold it. GitHub may name those of
// other repositories that share the commit, whose numbers mean nothing here.
func (c *Client) PullsOf(ctx context.Context, sha string) ([]Pull, error) {
	op := operation{what: "find the pull request of a commit", needs: canRead}
	got, err := pages(ctx, c, op, func(ctx context.Context, rest *github.Client, page github.ListOptions) ([]*github.PullRequest, *github.Response, error) {
		return rest.PullRequests.ListPullRequestsWithCommit(ctx, c.owner, c.name, sha, &page)
	})
	if err != nil {
		return nil, err
	}
	pulls := []Pull{}
	for _, p := range got {
		if strings.EqualFold(p.GetBase().GetRepo().GetFullName(), c.owner+"/"+c.name) {
			pulls = append(pulls, pullOf(p))
		}
	}
	return pulls, nil
}

func pullOf(p *github.PullRequest) Pull {
	base, head := p.GetBase().GetRepo().GetFullName(), p.GetHead().GetRepo().GetFullName()
	return Pull{
		Number: p.GetNumber(), Title: p.GetTitle(), Author: p.GetUser().GetLogin(), URL: p.GetHTMLURL(),
		Open: p.GetState() == "open", Draft: p.GetDraft(), Merged: p.GetMergedAt().Time, MergeCommit: p.GetMergeCommitSHA(),
		HeadRef: p.GetHead().GetRef(), HeadSHA: p.GetHead().GetSHA(), BaseRef: p.GetBase().GetRef(),
		Fork: head == "" || !strings.EqualFold(head, base),
	}
}

func commitOf(c *github.RepositoryCommit) Commit {
	subject, _ := cutLine(c.GetCommit().GetMessage())
	author := c.GetAuthor().GetLogin()
	if author == "" {
		author = c.GetCommit().GetAuthor().GetName()
	}
	return Commit{SHA: c.GetSHA(), Subject: subject, Author: author, URL: c.GetHTMLURL()}
}
