package github

import (
	"crypto/sha1" //nolint:gosec // names of commits look like git's; nothing is protected by them
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// repository is all that the stand-in knows.
type repository struct {
	owner, name  string
	lastID       int64
	branches     map[string]string  // → commit
	commits      map[string]*Commit // by hash
	files        map[string][]byte  // contents, by path; the same at every commit
	pulls        []*pull
	issues       []*issue // pull requests have an entry here too, of the same number
	comments     []*comment
	statuses     []*status
	checks       []*checkRun
	deployments  []*deployment
	environments []string
	runs         []*Run
	permissions  map[string]string // role by login
	introduced   map[string][]int  // merged pull requests, by the commits they brought
}

func newRepository(owner, name string) *repository {
	return &repository{
		owner: owner, name: name, branches: map[string]string{}, commits: map[string]*Commit{}, files: map[string][]byte{},
		permissions: map[string]string{}, introduced: map[string][]int{},
	}
}

func (r *repository) id() int64 {
	r.lastID++
	return r.lastID + 1000
}

// Commit is one commit of the repository.
type Commit struct {
	SHA     string
	Parents []string // hashes
	Message string
	Author  string // login
	At      time.Time
	Files   []string // paths that it modifies
}

// AddCommit puts a commit on a branch, which begins at the default branch's
// head when it is new, and gives its hash.
func (a *API) AddCommit(branch, message string, files ...string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	head, ok := a.repo.branches[branch]
	if !ok {
		head = a.repo.branches[a.opt.Branch]
	}
	c := &Commit{Message: message, Author: "octocat", At: a.opt.Now(), Files: files}
	if head != "" {
		c.Parents = []string{head}
	}
	return a.repo.put(branch, c)
}

// PutCommit records a commit of a real git repository under its own hash and
// moves the branch there; "" moves none.
func (a *API) PutCommit(branch string, c Commit) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repo.put(branch, &c)
}

// PutFile makes a file that the contents operation finds, at every commit.
func (a *API) PutFile(path string, data []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repo.files[path] = data
}

// PutPermission gives a user a role: admin, maintain, write, triage, read, none.
func (a *API) PutPermission(login, role string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.repo.permissions[login] = role
}

// put records a commit, with a hash made of what it says if it has none.
func (r *repository) put(branch string, c *Commit) string {
	if c.SHA == "" {
		sum := sha1.Sum(fmt.Appendf(nil, "%d %v %s %s", len(r.commits), c.Parents, c.Message, c.Author)) //nolint:gosec // see the import
		c.SHA = hex.EncodeToString(sum[:])
	}
	r.commits[c.SHA] = c
	if branch != "" {
		r.branches[branch] = c.SHA
	}
	return c.SHA
}

// resolve finds the commit that a branch, refs/heads/…, or (part of) a hash names.
func (r *repository) resolve(ref string) *Commit {
	name := strings.TrimPrefix(strings.TrimPrefix(ref, "refs/"), "heads/")
	if sha, ok := r.branches[name]; ok {
		return r.commits[sha]
	}
	if c, ok := r.commits[ref]; ok {
		return c
	}
	if len(ref) < 7 {
		return nil
	}
	for sha, c := range r.commits {
		if strings.HasPrefix(sha, ref) {
			return c
		}
	}
	return nil
}

// reach is every commit that can be reached from sha, itself included.
func (r *repository) reach(sha string) map[string]bool {
	seen := map[string]bool{}
	for todo := []string{sha}; len(todo) > 0; {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if c := r.commits[next]; c != nil && !seen[next] {
			seen[next] = true
			todo = append(todo, c.Parents...)
		}
	}
	return seen
}

// between lists the commits that head has and base has not, parents first.
func (r *repository) between(base, head string) []*Commit {
	old, listed := r.reach(base), map[string]bool{}
	var list []*Commit
	var visit func(sha string)
	visit = func(sha string) {
		c := r.commits[sha]
		if c == nil || old[sha] || listed[sha] {
			return
		}
		listed[sha] = true
		for _, parent := range c.Parents {
			visit(parent)
		}
		list = append(list, c)
	}
	visit(head)
	return list
}

// mergeBase is the last commit that both have, by the first parents of head.
func (r *repository) mergeBase(base, head string) *Commit {
	old := r.reach(base)
	for todo := []string{head}; len(todo) > 0; todo = todo[1:] {
		if old[todo[0]] {
			return r.commits[todo[0]]
		}
		if c := r.commits[todo[0]]; c != nil {
			for _, parent := range c.Parents {
				if !slices.Contains(todo, parent) {
					todo = append(todo, parent)
				}
			}
		}
	}
	return nil
}
