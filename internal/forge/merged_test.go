package forge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

func numbers(pulls []forge.Pull) []int {
	var list []int
	for _, p := range pulls {
		list = append(list, p.Number)
	}
	return list
}

func subjects(commits []forge.Commit) string {
	var list []string
	for _, c := range commits {
		list = append(list, c.Subject)
	}
	return strings.Join(list, ", ")
}

func TestMergedSince(t *testing.T) {
	for _, last := range []bool{false, true} {
		for _, method := range []string{github.Merge, github.Squash, github.Rebase} {
			t.Run(fmt.Sprint(method, " last only ", last), func(t *testing.T) {
				f := start(t, func(o *github.Options, _ *forge.Options) { o.RebaseLinksLast = last })
				one := f.pull("one", "One\n\nwith a body", "Two", "Three")
				f.api.AddCommit("main", "Straight to main")
				two := f.pull("two", "Four")
				for _, number := range []int{one, two} {
					if _, err := f.api.MergePull(number, method); err != nil {
						t.Fatal(err)
					}
				}
				got, err := f.client.MergedSince(t.Context(), f.begin, "main", "main")
				ok(t, got, err)
				if got.Way != "ahead" || !slices.Equal(numbers(got.Pulls), []int{one, two}) || subjects(got.Direct) != "Straight to main" {
					t.Errorf("%s, pulls %v, direct %q", got.Way, numbers(got.Pulls), subjects(got.Direct))
				}
				if p := got.Pulls[0]; p.Merged.IsZero() || p.Open || p.Fork || p.BaseRef != "main" || p.HeadRef != "one" || p.Title != "Change one" {
					t.Errorf("pull %+v", p)
				}
				if d := got.Direct[0]; d.Author != "octocat" || len(d.SHA) != 40 {
					t.Errorf("direct %+v", d)
				}
			})
		}
	}
}

func TestMergedSinceWithoutPulls(t *testing.T) {
	f := start(t, nil)
	same, err := f.client.MergedSince(t.Context(), "main", "main", "main")
	if ok(t, same, err); same.Way != "identical" || len(same.Pulls)+len(same.Direct) != 0 {
		t.Errorf("%+v", same)
	}
	// An open pull request that holds the commit has not brought it.
	f.pull("open", "In review")
	ahead, err := f.client.MergedSince(t.Context(), f.begin, "open", "main")
	if ok(t, ahead, err); len(ahead.Pulls) != 0 || subjects(ahead.Direct) != "In review" {
		t.Errorf("%+v", ahead)
	}
	// One that was merged into another branch was not reviewed for this one.
	f.api.AddCommit("develop", "Develop")
	f.api.AddCommit("topic", "Topic")
	number := f.api.OpenPull(github.Pull{Title: "Topic", Head: "topic", Base: "develop"})
	sha, err := f.api.MergePull(number, github.Squash)
	if ok(t, sha, err); sha == "" {
		t.Fatal("not merged")
	}
	other, err := f.client.MergedSince(t.Context(), f.begin, "develop", "main")
	if ok(t, other, err); len(other.Pulls) != 0 || subjects(other.Direct) != "Develop, Topic (#"+fmt.Sprint(number)+")" {
		t.Errorf("pulls %v, direct %q", numbers(other.Pulls), subjects(other.Direct))
	}
	f.api.AddCommit("main", "Aside")
	apart, err := f.client.MergedSince(t.Context(), "main", "develop", "main")
	if ok(t, apart, err); apart.Way != "diverged" {
		t.Errorf("way %s, want diverged", apart.Way)
	}
	behind, err := f.client.MergedSince(t.Context(), "main", f.begin, "main")
	if ok(t, behind, err); behind.Way != "behind" || len(behind.Direct) != 0 {
		t.Errorf("%+v", behind)
	}
}

func TestMergedSinceOfTooMany(t *testing.T) {
	f := start(t, nil)
	for i := range forge.MaxCommits + 1 {
		f.api.AddCommit("main", fmt.Sprint("Commit ", i))
	}
	_, err := f.client.MergedSince(t.Context(), f.begin, "main", "main")
	wantProblem(t, err, "251 commits on main")
	within, err := f.client.MergedSince(t.Context(), f.begin, "main~1", "main")
	if err == nil {
		t.Errorf("a revision that GitHub does not know: %+v", within)
	}
	if n := f.api.Requests()["GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls"]; n != 0 {
		t.Errorf("%d commits were looked up all the same", n)
	}
}

func TestPull(t *testing.T) {
	f := start(t, nil)
	f.api.AddCommit("theirs", "Theirs")
	number := f.api.OpenPull(github.Pull{Title: "From a fork", Author: "mallory", Head: "theirs", Fork: true})
	gone := f.api.OpenPull(github.Pull{Title: "From nowhere", Author: "mallory", Head: "theirs", Fork: true, ForkDeleted: true})
	own := f.pull("own", "Own")
	for n, fork := range map[int]bool{number: true, own: false} {
		p, err := f.client.Pull(t.Context(), n)
		if ok(t, p, err); p.Fork != fork || !p.Open || !p.Merged.IsZero() || p.HeadSHA == "" {
			t.Errorf("#%d: %+v", n, p)
		}
	}
	p, err := f.client.Pull(t.Context(), gone)
	if ok(t, p, err); !p.Fork {
		t.Errorf("a pull request whose fork is gone: %+v", p)
	}
	_, err = f.client.Pull(t.Context(), 99)
	if wantProblem(t, err, "`pull-requests: read`"); !forge.IsMissing(err) {
		t.Errorf("not missing: %v", err)
	}
}
