package github

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Pull is a pull request to open.
type Pull struct {
	Title, Body string
	Author      string // login; "": octocat
	Head        string // branch
	HeadSHA     string // of a fork, whose branches are not the repository's
	Base        string // branch; "": the default one
	Fork        bool   // the head is in somebody else's repository
	ForkDeleted bool   // which is gone: head.repo is null
}

type pull struct {
	Pull
	number           int
	state            string // open, closed
	headSHA, baseSHA string
	mergeSHA         string
	opened, closed   time.Time
	merged           time.Time
}

// OpenPull opens a pull request and gives its number.
func (a *API) OpenPull(p Pull) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.Author == "" {
		p.Author = "octocat"
	}
	if p.Base == "" {
		p.Base = a.opt.Branch
	}
	now := a.opt.Now()
	i := &issue{number: len(a.repo.issues) + 1, title: p.Title, body: p.Body, author: p.Author, state: "open", created: now, updated: now, isPull: true}
	a.repo.issues = append(a.repo.issues, i)
	made := &pull{
		Pull: p, number: i.number, state: "open", opened: now,
		headSHA: p.HeadSHA, baseSHA: a.repo.branches[p.Base],
	}
	a.repo.head(made)
	a.repo.pulls = append(a.repo.pulls, made)
	return made.number
}

// The ways to merge a pull request.
const (
	Merge  = "merge"
	Squash = "squash"
	Rebase = "rebase"
)

// MergePull merges a pull request as one of Merge, Squash, Rebase and gives the
// commit that its base branch then is at.
func (a *API) MergePull(number int, method string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.repo.pull(number)
	if p == nil || p.state != "open" {
		return "", fmt.Errorf("lab GitHub: no open pull request #%d", number)
	}
	a.repo.head(p)
	now, base := a.opt.Now(), a.repo.branches[p.Base]
	commits := a.repo.between(base, p.headSHA)
	var brought []string
	switch method {
	case Merge:
		for _, c := range commits {
			brought = append(brought, c.SHA)
		}
		brought = append(brought, a.repo.put(p.Base, &Commit{
			Parents: []string{base, p.headSHA}, At: now, Author: p.Author,
			Message: fmt.Sprintf("Merge pull request #%d from %s\n\n%s", number, p.Head, p.Title),
		}))
	case Squash:
		c := &Commit{Parents: []string{base}, At: now, Author: p.Author, Message: fmt.Sprintf("%s (#%d)", p.Title, number)}
		for _, part := range commits {
			c.Files = append(c.Files, part.Files...)
		}
		brought = append(brought, a.repo.put(p.Base, c))
	case Rebase:
		for _, c := range commits {
			anew := *c
			anew.SHA, anew.Parents = "", []string{a.repo.branches[p.Base]}
			brought = append(brought, a.repo.put(p.Base, &anew))
		}
		if a.opt.RebaseLinksLast {
			brought = brought[max(0, len(brought)-1):]
		}
	default:
		return "", fmt.Errorf("lab GitHub: no way to merge called %q", method)
	}
	a.repo.close(p, a.repo.branches[p.Base], now, brought)
	return p.mergeSHA, nil
}

// MarkMerged closes a pull request that was merged elsewhere, in a real git
// repository: the commit that its base branch is at, and all that it brought.
func (a *API) MarkMerged(number int, mergeSHA string, brought ...string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.repo.pull(number)
	if p == nil || p.state != "open" {
		return fmt.Errorf("lab GitHub: no open pull request #%d", number)
	}
	a.repo.close(p, mergeSHA, a.opt.Now(), append(brought, mergeSHA))
	return nil
}

func (r *repository) close(p *pull, mergeSHA string, now time.Time, brought []string) {
	r.head(p) // from now on it stays where its branch is
	p.state, p.mergeSHA, p.merged, p.closed = "closed", mergeSHA, now, now
	for _, sha := range brought {
		r.introduced[sha] = append(r.introduced[sha], p.number)
	}
	if i := r.issue(p.number); i != nil {
		i.state, i.closed = "closed", now
	}
}

func (r *repository) pull(number int) *pull {
	for _, p := range r.pulls {
		if p.number == number {
			return p
		}
	}
	return nil
}

// head is the commit that a pull request is at: an open one follows its branch.
func (r *repository) head(p *pull) string {
	if sha, ok := r.branches[p.Head]; ok && p.state == "open" && p.HeadSHA == "" {
		p.headSHA = sha
	}
	return p.headSHA
}

// pullCommits are the commits that a pull request proposes.
func (r *repository) pullCommits(p *pull) []*Commit { return r.between(p.baseSHA, r.head(p)) }

func (q *request) listPulls() *answer {
	state := q.query.Get("state")
	list := []any{}
	for _, p := range slices.Backward(q.repo.pulls) {
		if wanted(state, p.state) && (q.query.Get("base") == "" || q.query.Get("base") == p.Base) &&
			(q.query.Get("head") == "" || q.query.Get("head") == q.repo.owner+":"+p.Head) {
			list = append(list, q.pullWire(p, false))
		}
	}
	return page(q, list, nil)
}

// wanted tells whether a state is that of a filter; without one only open ones are.
func wanted(filter, state string) bool {
	return filter == "all" || filter == state || filter == "" && state == "open"
}

func (q *request) getPull() *answer {
	p := q.repo.pull(int(q.number("pull_number")))
	if p == nil {
		return missing()
	}
	return success(http.StatusOK, q.pullWire(p, true))
}

func (q *request) listPullCommits() *answer {
	p := q.repo.pull(int(q.number("pull_number")))
	if p == nil {
		return missing()
	}
	list := []any{}
	for _, c := range q.repo.pullCommits(p) {
		list = append(list, q.commitWire(c))
	}
	return page(q, list[:min(len(list), 250)], nil) // GitHub lists no more
}

func (q *request) listPullFiles() *answer {
	p := q.repo.pull(int(q.number("pull_number")))
	if p == nil {
		return missing()
	}
	return page(q, q.filesWire(q.repo.pullCommits(p)), nil)
}

// listCommitPulls answers with the merged pull request that brought a commit to
// the default branch; for a commit that is not there, with the open ones that
// hold it.
func (q *request) listCommitPulls() *answer {
	c := q.repo.resolve(q.params["commit_sha"])
	if c == nil {
		return q.noCommit(q.params["commit_sha"])
	}
	list := []any{}
	for _, number := range q.repo.introduced[c.SHA] {
		list = append(list, q.pullWire(q.repo.pull(number), false))
	}
	if !q.repo.reach(q.repo.branches[q.api.opt.Branch])[c.SHA] {
		for _, p := range q.repo.pulls {
			if p.state == "open" && slices.Contains(q.repo.pullCommits(p), c) {
				list = append(list, q.pullWire(p, false))
			}
		}
	}
	return page(q, list, nil)
}

func (q *request) pullWire(p *pull, full bool) object {
	url, html := q.url(fmt.Sprintf("/pulls/%d", p.number)), q.html(fmt.Sprintf("/pull/%d", p.number))
	links := object{}
	for _, name := range []string{"self", "html", "issue", "comments", "review_comments", "review_comment", "commits", "statuses"} {
		links[name] = object{"href": url + "/" + name}
	}
	o := object{
		"id": 5000 + p.number, "node_id": fmt.Sprintf("PR_%d", p.number), "number": p.number, "state": p.state, "title": p.Title, "body": orNull(p.Body),
		"user": q.userWire(p.Author), "labels": []any{}, "milestone": nil, "locked": false, "draft": false, "assignee": nil, "auto_merge": nil,
		"created_at": at(p.opened), "updated_at": at(p.opened), "closed_at": at(p.closed), "merged_at": at(p.merged),
		"merge_commit_sha": orNull(p.mergeSHA), "author_association": "MEMBER", "_links": links,
		"head": q.sideWire(p, q.repo.head(p), p.Head, p.Fork), "base": q.sideWire(p, p.baseSHA, p.Base, false),
		"url": url, "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch",
		"issue_url": q.url(fmt.Sprintf("/issues/%d", p.number)), "comments_url": q.url(fmt.Sprintf("/issues/%d/comments", p.number)),
		"commits_url": url + "/commits", "review_comments_url": url + "/comments", "review_comment_url": url + "/comments{/number}", "statuses_url": url + "/statuses",
	}
	if full {
		o["merged"], o["mergeable"], o["mergeable_state"], o["merged_by"] = !p.merged.IsZero(), nil, "unknown", nil
		o["comments"], o["review_comments"], o["maintainer_can_modify"] = 0, 0, false
		o["commits"], o["additions"], o["deletions"], o["changed_files"] = len(q.repo.pullCommits(p)), 1, 1, len(q.filesWire(q.repo.pullCommits(p)))
	}
	return o
}

// sideWire is the head or base of a pull request.
func (q *request) sideWire(p *pull, sha, branch string, fork bool) object {
	owner, repo := q.repo.owner, q.repositoryWire(false)
	var home any = repo
	if fork {
		owner = p.Author
		repo["full_name"], repo["fork"], repo["owner"], repo["id"] = owner+"/"+q.repo.name, true, q.userWire(owner), 2
		if p.ForkDeleted {
			home = nil
		}
	}
	return object{"label": owner + ":" + branch, "ref": branch, "sha": sha, "user": q.userWire(owner), "repo": home}
}
