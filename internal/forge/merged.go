package forge

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-github/v66/github"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// MaxCommits is how many commits MergedSince looks at, one request each. The
// token of a job has 1,000 requests an hour.
const MaxCommits = 250

// Merged is how a branch came from one revision to another.
type Merged struct {
	// Way is ahead, identical, behind or diverged: head seen from base. With
	// behind there is nothing to list; with diverged base has commits of its own.
	Way    string
	Pulls  []Pull   // merged into the branch, oldest first
	Direct []Commit // pushed without a pull request into it, oldest first
}

// MergedSince finds the pull requests that brought a branch from base to head,
// whichever way they were merged, and the commits that none brought. It follows
// first parents: what a merge commit brings in belongs to its pull request.
func (c *Client) MergedSince(ctx context.Context, base, head, branch string) (Merged, error) {
	m, chain, err := c.firstParents(ctx, base, head)
	if err != nil {
		return Merged{}, err
	}
	if len(chain) > MaxCommits {
		return Merged{}, &problem.Problem{
			Summary: fmt.Sprintf("%d commits on %s since the deployed revision are too many to look up their pull requests", len(chain), branch),
			Hints:   []string{fmt.Sprintf("At most %d are looked up. Look at the plan and deploy with `confirm`.", MaxCommits)},
			Code:    problem.Refused,
		}
	}
	found := map[int]bool{}
	direct := map[string]bool{}
	for _, commit := range chain {
		pulls, err := c.PullsOf(ctx, commit.GetSHA())
		if err != nil {
			return Merged{}, err
		}
		brought := false
		for _, p := range pulls {
			// One that was merged elsewhere was reviewed for elsewhere.
			if p.Merged.IsZero() || p.BaseRef != branch {
				continue
			}
			brought = true
			if !found[p.Number] {
				found[p.Number] = true
				m.Pulls = append(m.Pulls, p)
			}
		}
		direct[commit.GetSHA()] = !brought
	}
	if err := c.claimRebased(ctx, m.Pulls, chain, direct); err != nil {
		return Merged{}, err
	}
	for _, commit := range chain {
		if direct[commit.GetSHA()] {
			m.Direct = append(m.Direct, commitOf(commit))
		}
	}
	return m, nil
}

// firstParents lists the commits of base..head on head's own line, oldest first.
func (c *Client) firstParents(ctx context.Context, base, head string) (Merged, []*github.RepositoryCommit, error) {
	m, last := Merged{}, ""
	op := operation{what: "compare the deployed revision with the new one", needs: "contents: read"}
	commits, err := pages(ctx, c, op, func(ctx context.Context, rest *github.Client, page github.ListOptions) ([]*github.RepositoryCommit, *github.Response, error) {
		got, resp, err := rest.Repositories.CompareCommits(ctx, c.owner, c.name, base, head, &page)
		if err != nil {
			return nil, resp, err
		}
		m.Way = got.GetStatus()
		if n := len(got.Commits); n > 0 {
			last = got.Commits[n-1].GetSHA()
		}
		return got.Commits, resp, nil
	})
	if err != nil {
		return Merged{}, nil, err
	}
	by := map[string]*github.RepositoryCommit{}
	for _, commit := range commits {
		by[commit.GetSHA()] = commit
	}
	var chain []*github.RepositoryCommit
	for commit := by[last]; commit != nil; {
		chain = append(chain, commit)
		delete(by, commit.GetSHA())
		if len(commit.Parents) == 0 {
			break
		}
		commit = by[commit.Parents[0].GetSHA()]
	}
	slices.Reverse(chain)
	return m, chain, nil
}

// claimRebased gives pull requests the commits that they brought by a rebase,
// should only the last one lead to them: the ones before it on the line with
// the message, author and date of the pull request's own.
func (c *Client) claimRebased(ctx context.Context, pulls []Pull, chain []*github.RepositoryCommit, direct map[string]bool) error {
	place := map[string]int{}
	for i, commit := range chain {
		place[commit.GetSHA()] = i
	}
	for _, p := range pulls {
		last, ok := place[p.MergeCommit]
		if !ok || last == 0 || !direct[chain[last-1].GetSHA()] || len(chain[last].Parents) != 1 {
			continue
		}
		op := operation{what: "list the commits of a pull request", needs: canRead}
		own, err := pages(ctx, c, op, func(ctx context.Context, rest *github.Client, page github.ListOptions) ([]*github.RepositoryCommit, *github.Response, error) {
			return rest.PullRequests.ListCommits(ctx, c.owner, c.name, p.Number, &page)
		})
		if err != nil {
			return err
		}
		for i, commit := range slices.Backward(own) {
			at := last - (len(own) - 1 - i)
			if at < 0 || !sameWork(commit, chain[at]) {
				break
			}
			direct[chain[at].GetSHA()] = false
		}
	}
	return nil
}

// sameWork tells whether a commit is another one moved: a rebase keeps these.
func sameWork(a, b *github.RepositoryCommit) bool {
	x, y := a.GetCommit(), b.GetCommit()
	return x.GetMessage() == y.GetMessage() && x.GetAuthor().GetEmail() == y.GetAuthor().GetEmail() &&
		x.GetAuthor().GetDate().Equal(y.GetAuthor().GetDate())
}
