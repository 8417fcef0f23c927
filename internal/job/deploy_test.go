package job_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// deploysTo lets a deploy give a result, after it has asked what was reviewed
// since base.
func (r *rig) deploysTo(base string, give func(deploy.Options) (plans.Result, error)) *plans.Reviewed {
	seen := &plans.Reviewed{}
	r.flow.onDeploy = func(ctx context.Context, o deploy.Options) (plans.Result, error) {
		found, err := o.Reviews(ctx, []string{base}, o.Head)
		if err != nil {
			return refused(o.Head, err), err
		}
		*seen = found
		return give(o)
	}
	return seen
}

// states are those of the newest deployment.
func (r *rig) states() (github.Deployment, []string) {
	r.Helper()
	all := r.api.Deployments()
	if len(all) == 0 {
		r.Fatal("no deployment was recorded")
	}
	var list []string
	last := all[len(all)-1]
	for _, s := range last.Statuses {
		list = append(list, s.State)
	}
	return last, list
}

// TestDeployOnMerge: whichever way a pull request was merged, its plan counts
// and its conversation gets the result.
func TestDeployOnMerge(t *testing.T) {
	for _, method := range []string{github.Merge, github.Squash, github.Rebase, "rebase that links the last"} {
		t.Run(method, func(t *testing.T) {
			r := start(t, func(o *github.Options) { o.RebaseLinksLast = strings.Contains(method, "last") })
			p := r.open("feature")
			r.push(p)
			plan := changes(t, p.head, "web-1")
			r.plan(plan)
			r.run(r.onPull(p)).want(problem.OK)
			other := r.open("other") // its plan must not count: it is not merged
			r.plan(changes(t, other.head, "db"))
			r.run(r.onPull(other)).want(problem.OK)
			sha := r.merge(p, strings.Fields(method)[0])
			seen := r.deploysTo(r.begin, func(o deploy.Options) (plans.Result, error) {
				if o.Head != sha || o.Confirm || o.RetryBad {
					t.Errorf("deployed %+v", o)
				}
				_, states := r.states()
				if !slices.Equal(states, []string{"in_progress"}) && !slices.Equal(states, nil) { // it is told meanwhile
					t.Errorf("states while it works: %v", states)
				}
				return result(t, sha, map[string]fleet.Outcome{"web-1": fleet.Deployed, "db": fleet.Unchanged}), nil
			})
			done := r.run(r.onPush(sha).with("environment-url", "https://www.example.com"))
			done.want(problem.OK)
			if len(seen.Direct) != 0 || len(seen.Unplanned) != 0 || fmt.Sprint(seen.Seen) != fmt.Sprint(plans.Digests(plan.This)) {
				t.Errorf("reviewed: %+v", seen)
			}
			d, states := r.states()
			if d.SHA != sha || d.Task != "deploy" || d.Environment != "acme" || !slices.Equal(states, []string{"in_progress", "success"}) {
				t.Errorf("deployment %+v", d)
			}
			last := d.Statuses[1]
			if last.EnvironmentURL != "https://www.example.com" || last.LogURL != fmt.Sprintf("https://github.example/acme/fleet/actions/runs/%d/attempts/1", r.runs) {
				t.Errorf("status %+v", last)
			}
			if s := r.status(sha); s.State != "success" || s.Context != "flotilla/deploy acme" || s.Description != last.Description {
				t.Errorf("commit status %+v, deployment's %+v", s, last)
			}
			r.wantResultOn(p.number, sha, "1 deployed")
			if all := r.api.Comments(other.number); len(all) != 1 {
				t.Errorf("comments on the other: %+v", all)
			}
			var read plans.Result
			if err := json.Unmarshal([]byte(done.outputs["result"]), &read); err != nil || len(read.Hosts) != 2 {
				t.Errorf("output result: %v in %q", err, done.outputs["result"])
			}
			if file := r.read(filepath.Join(r.dir, done.outputs["result-file"])); file != done.outputs["result"]+"\n" && file != done.outputs["result"] {
				t.Errorf("the file is %q, the output %q", file, done.outputs["result"])
			}
			if done.outputs["changed-hosts"] != `["web-1"]` || done.outputs["rolled-back-hosts"] != "[]" || done.outputs["headline"] != last.Description {
				t.Errorf("outputs %v", done.outputs)
			}
			wantIn(t, "the summary", done.summary, "web-1", "db")
		})
	}
}

// wantResultOn is one comment on a pull request beside its plan's.
func (r *rig) wantResultOn(number int, sha string, parts ...string) {
	r.Helper()
	found := 0
	for _, c := range r.api.Comments(number) {
		h, ok, err := forge.ParseHeader(c.Body)
		if err != nil || !ok || h.Kind != "deploy" {
			continue
		}
		found++
		if h.Commit != sha || h.Fleet != "acme" || c.Author != "github-actions[bot]" {
			r.Errorf("header %+v of %s", h, c.Author)
		}
		wantIn(r, "the comment", c.Body, parts...)
	}
	if found != 1 {
		r.Errorf("%d comments with a result on #%d: %+v", found, number, r.api.Comments(number))
	}
}

// TestReviewed: what counts as reviewed, and what does not.
func TestReviewed(t *testing.T) {
	r := start(t)
	open := func(branch string, hosts ...string) *pull {
		t.Helper()
		p := r.open(branch)
		r.plan(changes(t, p.head, hosts...))
		r.run(r.onPull(p)).want(problem.OK)
		return p
	}
	merge := func(p *pull) { t.Helper(); r.merge(p, github.Merge) }
	good := open("good", "web-1")
	stale := open("stale", "web-2")
	r.push(stale) // merged before its plan was made
	unplanned := r.open("unplanned")
	planted := r.open("planted")
	header := forge.Header{Kind: "plan", Version: 1, Fleet: "acme", Environment: "acme", Commit: planted.head, Data: plans.PackDigests(plans.Digests(changes(t, planted.head, "db").This), 60_000)}
	r.api.PutComment(planted.number, "mallory", header.String()+"\nAll is well.")
	staging := r.open("staging") // planned, but not for this environment
	r.plan(changes(t, staging.head, "db"))
	r.run(r.onPull(staging).with("environment", "staging")).want(problem.OK)
	other := r.open("other") // planned, but not for this fleet
	r.write("other/flotilla.yaml", "fleet: other\n")
	r.plan(changes(t, other.head, "db"))
	r.run(r.onPull(other).with("fleet-dir", "other", "environment", "acme")).want(problem.OK)
	failed := open("failed", "db") // planned once; the plan of what was merged failed
	r.push(failed)
	r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) { return plans.Plan{}, errors.New("broken") }
	r.run(r.onPull(failed)).want(problem.Failed)
	before := open("before", "web-3")
	merge(before)
	base := r.api.AddCommit("main", "Deployed")
	for _, p := range []*pull{good, stale, unplanned, planted, staging, other, failed} {
		merge(p)
	}
	elsewhere := open("elsewhere", "web-4")
	head := r.api.AddCommit("main", "Pushed\n\nwithout a review")
	seen := r.deploysTo(base, func(deploy.Options) (plans.Result, error) {
		err := &problem.Problem{Summary: "nobody has seen what this would do", Hints: []string{"Look at it and deploy with confirm."}, Code: problem.Refused}
		return refused(head, err), err
	})
	done := r.run(r.onPush(head))
	done.want(problem.Refused)
	if want := plans.Digests(changes(t, good.head, "web-1").This); fmt.Sprint(seen.Seen) != fmt.Sprint(want) {
		t.Errorf("seen %v, want %v", seen.Seen, want)
	}
	if len(seen.Direct) != 1 || seen.Direct[0].Commit != head || seen.Direct[0].Subject != "Pushed" || seen.Direct[0].Author != "octocat" {
		t.Errorf("direct: %+v", seen.Direct)
	}
	why := map[int]string{stale.number: "its plan is of commit", unplanned.number: "no plan", planted.number: "no plan", staging.number: "no plan", other.number: "no plan", failed.number: "could be made"}
	for _, u := range seen.Unplanned {
		if part, known := why[u.Number]; !known || u.Why == "" || !strings.Contains(u.Why, part) {
			t.Errorf("unplanned: %+v", u)
		}
		delete(why, u.Number)
	}
	if len(why) != 0 {
		t.Errorf("not unplanned: %v", why)
	}
	// It is told where people look: on each pull request, in the deployment.
	for _, p := range []*pull{good, stale, unplanned, planted} {
		r.wantResultOn(p.number, head, "nobody has seen")
	}
	for _, p := range []*pull{before, elsewhere} {
		if all := r.api.Comments(p.number); len(all) != 1 {
			t.Errorf("comments on #%d: %+v", p.number, all)
		}
	}
	_, states := r.states()
	if !slices.Equal(states, []string{"in_progress", "error"}) {
		t.Errorf("states %v", states)
	}
	if s := r.status(head); s.State != "error" && s.State != "failure" || !strings.Contains(s.Description, "nobody has seen") {
		t.Errorf("status %+v", s)
	}
	wantIn(t, "the errors", done.said("error"), "nobody has seen", "deploy with confirm")
	// With confirm it is deployed all the same.
	r.flow.onDeploy = func(_ context.Context, o deploy.Options) (plans.Result, error) {
		if !o.Confirm {
			t.Errorf("deployed %+v", o)
		}
		return result(t, head, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil
	}
	r.run(r.onDispatch("deploy", head, "command", "deploy", "confirm", "true")).want(problem.OK)
}

// TestReviewedSinceSeveralRevisions: hosts are at different revisions, and each
// is asked about on its own. Every pull request is read and told once.
func TestReviewedSinceSeveralRevisions(t *testing.T) {
	r := start(t)
	var pulls []*pull
	bases := []string{r.begin}
	for _, host := range []string{"web-1", "web-2", "db"} {
		p := r.open(host)
		r.plan(changes(t, p.head, host))
		r.run(r.onPull(p)).want(problem.OK)
		bases = append(bases, r.merge(p, github.Squash))
		pulls = append(pulls, p)
	}
	head := bases[3]
	r.flow.onDeploy = func(ctx context.Context, o deploy.Options) (plans.Result, error) {
		for i, base := range bases {
			found, err := o.Reviews(ctx, []string{base}, o.Head)
			if err != nil || len(found.Seen) != 3-i {
				t.Errorf("since %d: %+v, %v", i, found, err)
			}
		}
		return result(t, head, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil
	}
	r.api.ForgetRequests()
	r.run(r.onPush(head)).want(problem.OK)
	for _, p := range pulls {
		r.wantResultOn(p.number, head, "1 deployed")
	}
	// Once to read what was shown, once to find the comment to write.
	if n := r.api.Requests()["GET /repos/{owner}/{repo}/issues/{issue_number}/comments"]; n != 6 {
		t.Errorf("comments were listed %d times", n)
	}
}

// TestReviewedOfAFreshFleet: where nothing is deployed yet, the pull request
// that brought the head counts.
func TestReviewedOfAFreshFleet(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	sha := r.merge(p, github.Squash)
	ask := func(head string) (found plans.Reviewed) {
		t.Helper()
		r.flow.onDeploy = func(ctx context.Context, o deploy.Options) (_ plans.Result, err error) {
			found, err = o.Reviews(ctx, nil, o.Head)
			return result(t, head, nil), err
		}
		r.run(r.onPush(head)).want(problem.OK)
		return found
	}
	if found := ask(sha); len(found.Seen) == 0 || len(found.Direct) != 0 {
		t.Errorf("reviewed: %+v", found)
	}
	if found := ask(r.api.AddCommit("main", "Pushed")); len(found.Seen) != 0 || len(found.Direct) != 1 {
		t.Errorf("reviewed: %+v", found)
	}
}

// TestDeployEnds: each end has its state, and the older success is over when a
// newer one is there and not before.
func TestDeployEnds(t *testing.T) {
	r := start(t)
	first := r.api.AddCommit("main", "First")
	give := func(res plans.Result, err error) {
		r.flow.onDeploy = func(context.Context, deploy.Options) (plans.Result, error) { return res, err }
	}
	give(result(t, first, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil)
	r.run(r.onPush(first)).want(problem.OK)
	bad := &problem.Problem{Summary: "the lock is taken", Code: problem.Refused}
	for _, c := range []struct {
		name   string
		result func(sha string) plans.Result
		err    error
		exit   problem.Code
		state  string
		commit string // its status
	}{
		{"put back", func(sha string) plans.Result {
			return result(t, sha, map[string]fleet.Outcome{"web-1": fleet.RolledBack, "web-2": fleet.Deployed})
		}, nil, problem.NotDeployed, "failure", "failure"},
		{"unknown", func(sha string) plans.Result { return result(t, sha, map[string]fleet.Outcome{"web-1": fleet.Unknown}) }, nil, problem.Unknown, "failure", "failure"},
		{"held", func(sha string) plans.Result {
			return result(t, sha, map[string]fleet.Outcome{"web-1": fleet.HeldBack})
		}, nil, problem.Refused, "error", "failure"},
		{"refused", func(sha string) plans.Result { return refused(sha, bad) }, bad, problem.Refused, "error", "failure"},
		{"broken", func(sha string) plans.Result { return refused(sha, errors.New("no Nix")) }, errors.New("no Nix"), problem.Failed, "error", "failure"},
		{"superseded", func(sha string) plans.Result {
			res := result(t, sha, nil)
			res.Superseded = strings.Repeat("f", 40)
			return res
		}, nil, problem.OK, "inactive", "success"},
	} {
		t.Run(c.name, func(t *testing.T) {
			sha := r.api.AddCommit("main", c.name)
			give(c.result(sha), c.err)
			done := r.run(r.onPush(sha))
			done.TB = t
			done.want(c.exit)
			d, states := r.states()
			if d.SHA != sha || !slices.Equal(states, []string{"in_progress", c.state}) {
				t.Errorf("deployment of %s: %v", d.SHA, states)
			}
			if s := r.status(sha); s.State != c.commit {
				t.Errorf("status %+v", s)
			}
			if done.outputs["result-file"] == "" || done.summary == "" {
				t.Errorf("outputs %v, summary %q", done.outputs, done.summary)
			}
			if c.name == "put back" && (done.outputs["rolled-back-hosts"] != `["web-1"]` || done.outputs["changed-hosts"] != `["web-2"]`) {
				t.Errorf("outputs %v", done.outputs)
			}
			if s := r.api.Deployments()[0].Statuses; s[len(s)-1].State != "success" {
				t.Errorf("what is deployed shows as %v", s)
			}
		})
	}
	last := r.api.AddCommit("main", "Last")
	give(result(t, last, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil)
	r.run(r.onPush(last)).want(problem.OK)
	if s := r.api.Deployments()[0].Statuses; s[len(s)-1].State != "inactive" {
		t.Errorf("the older one shows as %v", s)
	}
}

// TestLargeResult: the comment fits, and what is too large for an output is in
// the file.
func TestLargeResult(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	sha := r.merge(p, github.Squash)
	outcomes := map[string]fleet.Outcome{}
	for i := range 60 {
		outcomes[fmt.Sprintf("web-%02d", i)] = []fleet.Outcome{fleet.RolledBack, fleet.Unknown, fleet.Deployed}[i%3]
	}
	res := result(t, sha, outcomes)
	for i := range res.Hosts {
		res.Hosts[i].Reason = strings.Repeat("it is not healthy: "+res.Hosts[i].Host+" ", 30)
		res.Hosts[i].Log = slices.Repeat([]string{strings.Repeat("x", 200)}, 50)
	}
	r.deploysTo(r.begin, func(deploy.Options) (plans.Result, error) { return res, nil })
	done := r.run(r.onPush(sha))
	done.want(problem.Unknown)
	r.wantResultOn(p.number, sha, "20 deployed", "20 rolled-back", "20 unknown")
	for _, c := range r.api.Comments(p.number) {
		if len(c.Body) > forge.CommentBytes {
			t.Errorf("the comment has %d bytes", len(c.Body))
		}
	}
	if done.outputs["result"] != "" || done.outputs["result-file"] == "" {
		t.Errorf("the output has %d bytes", len(done.outputs["result"]))
	}
	var read plans.Result
	if err := json.Unmarshal([]byte(r.read(filepath.Join(r.dir, done.outputs["result-file"]))), &read); err != nil || len(read.Hosts) != 60 {
		t.Errorf("the file: %v", err)
	}
	if len(done.summary) > 1_000_000 {
		t.Errorf("the summary has %d bytes", len(done.summary))
	}
}
