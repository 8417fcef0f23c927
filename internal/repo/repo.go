// Package repo reads the git repository that holds the fleet: which commits
// there are, what changed between two of them, and whole trees of them as
// folders.
//
// Its rule: the real git program, reading only, and nothing that the repository
// chooses is run. A pull request is a stranger's work, so git gets an
// environment of its own, no hooks, no filters, no file system monitor, no
// network, and objects are read raw instead of being checked out. What a shallow
// clone lacks is fetched from the one server that the caller names (Remote),
// into a folder of our own.
//
// It does not write to the repository or know what is in the files.
package repo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// Repo is a git repository with a work tree. Its methods may be called by
// several goroutines.
type Repo struct {
	root   string
	prefix string
	git    git
	server *server // nil: nothing is fetched
}

// Open finds the repository that dir is in. A repository that belongs to
// another user is taken as well: what makes such a one dangerous is not run.
// Commits that are not in it come from remote. Close frees what was fetched.
func Open(ctx context.Context, dir string, remote Remote) (*Repo, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open git repository: %w", err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if err == nil {
			err = fmt.Errorf("%s is not a folder", dir)
		}
		return nil, &problem.Problem{Summary: "cannot open the git repository", Cause: err, Hints: []string{"Name the folder that holds flotilla.yaml."}}
	}
	holder, _ := enclosing(physical(dir))
	g := git{dir: dir, safe: holder}
	top, err := g.line(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return nil, notOpened(dir, err)
	}
	if top == "" {
		return nil, &problem.Problem{Summary: fmt.Sprintf("the git repository at %s has no work tree", dir), Hints: []string{"Clone it without --bare."}}
	}
	prefix, err := g.line(ctx, "rev-parse", "--show-prefix")
	if err != nil {
		return nil, notOpened(dir, err)
	}
	r := &Repo{root: top, prefix: strings.TrimSuffix(prefix, "/"), git: git{dir: top, safe: holder}}
	if way, ok := written(top, dir); ok {
		r.prefix = way
	}
	if r.git.programs, err = programs(ctx, r.git); err != nil {
		return nil, notOpened(dir, err)
	}
	if remote.URL == "" {
		return r, nil
	}
	format, err := r.git.line(ctx, "rev-parse", "--show-object-format")
	if err != nil {
		return nil, notOpened(dir, err)
	}
	if r.server, err = newServer(ctx, remote, format); err != nil {
		return nil, err
	}
	r.git.objects = r.server.objects()
	return r, nil
}

// Close frees what was fetched.
func (r *Repo) Close() { r.server.close() }

// physical is a path without symbolic links, as git sees its folders; the path
// itself where that cannot be told.
func physical(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// written gives the way from the work tree's top to dir as it was written.
// git follows symbolic links on it, and where they lead is for each commit to
// say, not for the one that is checked out.
func written(top, dir string) (way string, ok bool) {
	at, err := os.Stat(top)
	if err != nil {
		return "", false
	}
	for folder := dir; ; folder = filepath.Dir(folder) {
		if info, err := os.Stat(folder); err == nil && os.SameFile(info, at) {
			way, err := filepath.Rel(folder, dir)
			if way == "." {
				way = ""
			}
			return filepath.ToSlash(way), err == nil
		}
		if folder == filepath.Dir(folder) {
			return "", false
		}
	}
}

// notOpened explains why git did not find or take the repository.
func notOpened(dir string, err error) error {
	var failure *process.Error
	if errors.Is(err, exec.ErrNotFound) {
		return &problem.Problem{Summary: "the program git is not installed", Cause: err, Hints: []string{"Install git 2.38 or newer."}}
	}
	if !errors.As(err, &failure) || failure.ExitCode < 0 {
		return &problem.Problem{Summary: fmt.Sprintf("cannot open the git repository at %s", dir), Cause: err}
	}
	top, owner := enclosing(dir)
	if top == "" {
		return &problem.Problem{
			Summary: fmt.Sprintf("%s is not in a git repository", dir),
			Hints:   []string{"Flotilla compares commits: run it in the fleet repo, or make one with git init, git add . and git commit."},
		}
	}
	p := &problem.Problem{
		Summary: fmt.Sprintf("git refuses the repository at %s", top),
		Cause:   failure, Detail: failure.Tail,
		Hints: []string{"Run git status in that folder: it says the same, and must work first."},
	}
	if owner >= 0 && owner != os.Geteuid() {
		p.Hints = []string{fmt.Sprintf("The folder belongs to user %d, you are user %d, and git before 2.38 refuses that: install a newer git, or run as the owner.", owner, os.Geteuid())}
	}
	return p
}

// Root is the absolute path of the work tree's top.
func (r *Repo) Root() string { return r.root }

// Prefix is the folder given to Open, relative to Root with slashes: "" at the top.
func (r *Repo) Prefix() string { return r.prefix }

// Resolve gives the commit that a revision names: a branch, a tag, HEAD~2, a
// hash or the start of one.
func (r *Repo) Resolve(ctx context.Context, rev string) (plans.Revision, error) {
	if rev == "" || strings.ContainsRune("-^", rune(rev[0])) || strings.ContainsFunc(rev, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return plans.Revision{}, &problem.Problem{
			Summary: fmt.Sprintf("%q is not a git revision", rev), Code: problem.Usage,
			Hints: []string{"Write a branch, a tag or a commit, for example main, HEAD~1 or 1a2b3c4."},
		}
	}
	hash, err := r.git.line(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", rev+"^{commit}")
	if exitCode(err) > 0 && r.server != nil {
		hash, err = r.resolveElsewhere(ctx, rev)
		if err == nil && hash == "" {
			return plans.Revision{}, r.missing(ctx, fmt.Sprintf("git revision %q is neither in this repository nor on its server", rev), rev)
		}
		if err != nil {
			return plans.Revision{}, err
		}
	}
	if err != nil {
		if exitCode(err) > 0 {
			return plans.Revision{}, r.missing(ctx, fmt.Sprintf("git revision %q is not in this repository", rev), rev)
		}
		return plans.Revision{}, fmt.Errorf("resolve git revision %q: %w", rev, err)
	}
	c, err := r.commit(ctx, hash)
	if err != nil {
		return plans.Revision{}, err
	}
	return plans.Revision{Commit: hash, Subject: c.subject}, nil
}

// missing is the error for a commit that is not here, with what helps in this
// clone.
func (r *Repo) missing(ctx context.Context, summary, rev string) error {
	p := &problem.Problem{Summary: summary}
	if _, err := r.git.line(ctx, "rev-parse", "--verify", "--quiet", "HEAD^{commit}"); exitCode(err) > 0 {
		p.Hints = append(p.Hints, "The current branch has no commit yet: git add the files and git commit.")
		return p
	}
	if !hashPattern.MatchString(rev) {
		if _, err := r.git.line(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", "refs/remotes/origin/"+rev+"^{commit}"); err == nil {
			p.Hints = append(p.Hints, fmt.Sprintf("Did you mean %q?", "origin/"+rev))
		}
	}
	shallow, err := r.shallow(ctx)
	switch {
	case err != nil:
	case shallow:
		p.Detail = "This is a shallow clone: it holds the newest commits alone."
		p.Hints = append(p.Hints, "In a GitHub workflow, give actions/checkout the input fetch-depth: 0. By hand: git fetch --unshallow")
	case len(p.Hints) == 0:
		p.Hints = append(p.Hints, "Look at git branch --all and git log for what there is; git fetch brings what the server has.")
	}
	return p
}

func (r *Repo) shallow(ctx context.Context) (bool, error) {
	s, err := r.git.line(ctx, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return false, fmt.Errorf("look for a shallow clone: %w", err)
	}
	return s == "true", nil
}

// Parents gives the parents of a commit, as it names them: those that a shallow
// clone does not hold, too.
func (r *Repo) Parents(ctx context.Context, commit string) ([]string, error) {
	c, err := r.commit(ctx, commit)
	return c.parents, err
}

// FirstParent gives the first parent of a commit, "" for one without parents.
// A parent that a shallow clone does not hold is fetched; without a Remote it
// is an error.
func (r *Repo) FirstParent(ctx context.Context, commit string) (string, error) {
	c, err := r.commit(ctx, commit)
	if err != nil || len(c.parents) == 0 {
		return "", err
	}
	if _, err := r.commit(ctx, c.parents[0]); err != nil {
		return "", err
	}
	return c.parents[0], nil
}

// commitObject is what is used of a commit.
type commitObject struct {
	tree    string
	parents []string
	subject string
	time    time.Time // of the committer; zero: not readable
}

// hashPattern is a full SHA-1 or SHA-256 name.
var hashPattern = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

func (r *Repo) have(ctx context.Context, commits ...string) error {
	for _, c := range commits {
		if _, err := r.commit(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// commit reads a commit by its full hash.
func (r *Repo) commit(ctx context.Context, hash string) (commitObject, error) {
	if !hashPattern.MatchString(hash) {
		return commitObject{}, fmt.Errorf("%q is not the full hash of a commit", hash)
	}
	out, err := r.git.run(ctx, nil, nil, "cat-file", "commit", hash)
	if exitCode(err) > 0 && r.server != nil {
		if err := r.server.commit(ctx, hash); err != nil {
			return commitObject{}, err
		}
		out, err = r.git.run(ctx, nil, nil, "cat-file", "commit", hash)
	}
	if exitCode(err) > 0 {
		return commitObject{}, r.missing(ctx, fmt.Sprintf("commit %s is not in this repository", short(hash)), hash)
	}
	if err != nil {
		return commitObject{}, fmt.Errorf("read commit %s: %w", short(hash), err)
	}
	return parseCommit(string(out)), nil
}

// parseCommit reads the raw form: headers, an empty line, the message. The
// subject is its first paragraph as one line, of printable text.
func parseCommit(text string) commitObject {
	var c commitObject
	header, message, _ := strings.Cut(text, "\n\n")
	for line := range strings.SplitSeq(header, "\n") {
		if tree, ok := strings.CutPrefix(line, "tree "); ok {
			c.tree = tree
		}
		if parent, ok := strings.CutPrefix(line, "parent "); ok {
			c.parents = append(c.parents, parent)
		}
		if committer, ok := strings.CutPrefix(line, "committer "); ok {
			c.time = committed(committer)
		}
	}
	paragraph, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n\n")
	c.subject = strings.Join(strings.Fields(strings.ToValidUTF8(paragraph, "\ufffd")), " ")
	return c
}

// committed reads the time at the end of "name <address> seconds zone".
func committed(line string) time.Time {
	words := strings.Fields(line[strings.LastIndexByte(line, '>')+1:])
	if len(words) == 0 {
		return time.Time{}
	}
	seconds, err := strconv.ParseInt(words[0], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// Time gives when a commit was made; zero if it does not say so.
func (r *Repo) Time(ctx context.Context, commit string) (time.Time, error) {
	c, err := r.commit(ctx, commit)
	return c.time, err
}

func short(hash string) string {
	if len(hash) > 12 {
		return hash[:12]
	}
	return hash
}
