package repo

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
)

// MergeBase gives the best common ancestor of two commits. None is an error.
func (r *Repo) MergeBase(ctx context.Context, a, b string) (string, error) {
	if err := r.have(ctx, a, b); err != nil {
		return "", err
	}
	base, err := r.git.line(ctx, "merge-base", a, b)
	if r.cut(ctx, err) {
		var dir string
		if dir, err = r.server.history(ctx, a, b); err != nil {
			return "", err
		}
		base, err = r.server.look(ctx, dir, "merge-base", a, b)
	}
	if exitCode(err) == 1 {
		return "", r.missing(ctx, fmt.Sprintf("commits %s and %s have no common ancestor here", short(a), short(b)), a)
	}
	if err != nil {
		return "", fmt.Errorf("common ancestor of %s and %s: %w", short(a), short(b), err)
	}
	return base, nil
}

// Contains tells whether ancestor is commit or was made before it on its
// history. Where a shallow clone cannot tell and there is no Remote, that is an
// error.
func (r *Repo) Contains(ctx context.Context, commit, ancestor string) (bool, error) {
	if err := r.have(ctx, commit, ancestor); err != nil {
		return false, err
	}
	_, err := r.git.run(ctx, nil, nil, "merge-base", "--is-ancestor", ancestor, commit)
	if r.cut(ctx, err) {
		var dir string
		if dir, err = r.server.history(ctx, commit, ancestor); err != nil {
			return false, err
		}
		_, err = r.server.look(ctx, dir, "merge-base", "--is-ancestor", ancestor, commit)
		if exitCode(err) == 1 {
			return false, nil // the server's history is whole
		}
	}
	if err == nil {
		return true, nil
	}
	if exitCode(err) != 1 {
		return false, fmt.Errorf("is %s an ancestor of %s: %w", short(ancestor), short(commit), err)
	}
	shallow, err := r.shallow(ctx)
	if err != nil {
		return false, err
	}
	if shallow {
		return false, r.missing(ctx, fmt.Sprintf("cannot tell whether commit %s holds %s: the history between them is not here", short(commit), short(ancestor)), ancestor)
	}
	return false, nil
}

// cut tells whether git may have failed because history is missing that the
// server has. Beside fetched commits, which have no parents here, git fails
// where it says no otherwise.
func (r *Repo) cut(ctx context.Context, err error) bool {
	if r.server == nil || exitCode(err) <= 0 {
		return false
	}
	shallow, lookErr := r.shallow(ctx)
	return lookErr == nil && (shallow || exitCode(err) > 1)
}

// back is a way back in history: ^, ^2, ~3, one after the other.
var (
	back = regexp.MustCompile(`^([^^~]+)((?:[\^~][0-9]*)+)$`)
	step = regexp.MustCompile(`[\^~][0-9]*`)
	name = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
)

// maxSteps bounds how far history is walked one fetch at a time.
const maxSteps = 20

// resolveElsewhere resolves with the server's help: a full hash, a branch or a
// tag, or a way back from what is known. "" is unknown there as well.
func (r *Repo) resolveElsewhere(ctx context.Context, rev string) (string, error) {
	if hashPattern.MatchString(rev) {
		_, err := r.commit(ctx, rev)
		return rev, err
	}
	if m := back.FindStringSubmatch(rev); m != nil {
		from, err := r.Resolve(ctx, m[1])
		if err != nil {
			return "", err
		}
		return r.walk(ctx, from.Commit, step.FindAllString(m[2], -1))
	}
	if !name.MatchString(rev) {
		return "", nil
	}
	found, err := r.server.names(ctx, rev)
	for _, ref := range []string{"refs/heads/" + rev, "refs/tags/" + rev + "^{}", "refs/tags/" + rev} {
		if hash, ok := found[ref]; ok && err == nil {
			_, err := r.commit(ctx, hash)
			return hash, err
		}
	}
	return "", err
}

// walk goes back from a commit; "" is before the first one.
func (r *Repo) walk(ctx context.Context, hash string, steps []string) (string, error) {
	walked := 0
	for _, s := range steps {
		n := 1
		if len(s) > 1 {
			var err error
			if n, err = strconv.Atoi(s[1:]); err != nil {
				return "", nil //nolint:nilerr // a number that is none names nothing
			}
		}
		parent, times := n, 1
		if s[0] == '~' {
			parent, times = 1, n
		}
		if walked += times; walked > maxSteps {
			return "", nil
		}
		for range times {
			c, err := r.commit(ctx, hash)
			if err != nil {
				return "", err
			}
			if parent == 0 {
				continue
			}
			if parent > len(c.parents) {
				return "", nil
			}
			hash = c.parents[parent-1]
		}
	}
	_, err := r.commit(ctx, hash)
	return hash, err
}

// Tip gives the commit that a branch points to on the server, "" if it has no
// such branch. It is an error without a Remote.
func (r *Repo) Tip(ctx context.Context, branch string) (string, error) {
	if r.server == nil || !name.MatchString(branch) {
		return "", fmt.Errorf("the branch %q cannot be looked up: no server is known", branch)
	}
	found, err := r.server.names(ctx, branch)
	return found["refs/heads/"+branch], err
}
