package job_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// note is the one comment of a pull request, with its header.
func (r *rig) note(number int) (github.Comment, forge.Header) {
	r.Helper()
	all := r.api.Comments(number)
	if len(all) != 1 {
		r.Fatalf("comments on #%d: %+v", number, all)
	}
	h, ok, err := forge.ParseHeader(all[0].Body)
	if err != nil || !ok {
		r.Fatalf("no header in %s: %v", all[0].Body, err)
	}
	return all[0], h
}

// status is the last status of a commit.
func (r *rig) status(sha string) github.Status {
	r.Helper()
	all := r.api.Statuses(sha)
	if len(all) == 0 {
		r.Fatalf("commit %s has no status", sha)
	}
	return all[len(all)-1]
}

// writes counts the requests that change something.
func (r *rig) writes() int {
	n := 0
	for operation, count := range r.api.Requests() {
		if !strings.HasPrefix(operation, "GET ") && operation != "POST /graphql" {
			n += count
		}
	}
	return n
}

func TestPlanOfAPullRequest(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	plan := changes(t, p.head, "web-1", "web-2")
	r.flow.onPlan = func(o deploy.PlanOptions) (plans.Plan, error) {
		if o.Head != "0000000000000000000000000000000000000abc" || o.Base != "" || !o.Untrusted || o.Fork || o.Build {
			t.Errorf("planned %+v", o)
		}
		return plan, nil
	}
	done := r.run(r.onPull(p))
	done.want(problem.OK, "web-1")
	comment, header := r.note(p.number)
	if header.Kind != "plan" || header.Fleet != "acme" || header.Environment != "acme" || header.Commit != p.head {
		t.Errorf("header %+v", header)
	}
	wantIn(t, "the comment", comment.Body, "### Flotilla plan for `acme`", "2 hosts to switch", "https://github.example/acme/fleet/actions/runs/101/attempts/1")
	wantIn(t, "the summary", done.summary, "### Flotilla plan for `acme`", "web-2")
	s := r.status(p.head)
	if s.State != "success" || s.Context != "flotilla/plan acme" || s.TargetURL != "https://github.example/acme/fleet/actions/runs/101/attempts/1" {
		t.Errorf("status %+v", s)
	}
	wantIn(t, "the status", s.Description, "2 hosts to switch")
	for name, want := range map[string]string{
		"plan": "flotilla-plan.json", "plan-html": "flotilla-plan.html", "headline": s.Description, "changed-hosts": `["web-1","web-2"]`,
		"comment-url": fmt.Sprintf("/pull/%d#issuecomment-%d", p.number, comment.ID),
	} {
		if got := done.outputs[name]; !strings.HasSuffix(got, want) {
			t.Errorf("output %s is %q, want %q", name, got, want)
		}
	}
	var read plans.Plan
	if err := json.Unmarshal([]byte(r.read(filepath.Join(r.dir, done.outputs["plan"]))), &read); err != nil || len(read.This.Hosts) != 2 {
		t.Errorf("the plan's file: %v", err)
	}
	wantIn(t, "the page", r.read(filepath.Join(r.dir, done.outputs["plan-html"])), "<html", "web-2")
	if err := done.said("error") + done.said("warning"); err != "" {
		t.Errorf("annotations: %s", err)
	}
}

// TestPlanAgain: one comment per fleet and environment, whatever happens.
func TestPlanAgain(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	nothing := changes(t, p.head)
	r.plan(nothing)
	r.run(r.onPull(p)).want(problem.OK)
	if all := r.api.Comments(p.number); len(all) != 0 {
		t.Fatalf("a comment that nothing changes: %+v", all)
	}
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	first, _ := r.note(p.number)
	r.push(p)
	r.plan(changes(t, p.head, "web-1", "db"))
	r.run(r.onPull(p)).want(problem.OK)
	second, header := r.note(p.number)
	if second.ID != first.ID || header.Commit != p.head {
		t.Errorf("comment %d of %s, want %d of %s", second.ID, header.Commit, first.ID, p.head)
	}
	wantIn(t, "the comment", second.Body, "`db`")
	r.push(p)
	nothing.Head.Commit = p.head
	r.plan(nothing)
	done := r.run(r.onPull(p))
	done.want(problem.OK)
	third, header := r.note(p.number)
	if third.ID != first.ID || header.Commit != p.head {
		t.Errorf("comment %d of %s, want %d of %s", third.ID, header.Commit, first.ID, p.head)
	}
	wantIn(t, "the comment", third.Body, "No changes")
	wantOut(t, "the comment", third.Body, "web-1")
	if done.outputs["changed-hosts"] != "[]" {
		t.Errorf("outputs: %v", done.outputs)
	}
	if s := r.status(p.head); s.State != "success" || s.Description != "no changes" {
		t.Errorf("status %+v", s)
	}
}

func TestPlanOfManyHosts(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	var hosts []string
	for i := range 60 {
		hosts = append(hosts, fmt.Sprintf("web-%02d", i))
	}
	plan := changes(t, p.head, hosts...)
	for i := range plan.This.Hosts {
		h := &plan.This.Hosts[i]
		h.Units = nil
		for n := range 40 { // differing, so that hosts are no group
			h.Units = append(h.Units, plans.Unit{Name: fmt.Sprintf("service-%d-of-%s.service", n, h.Name), Effect: plans.EffectRestart, Certainty: plans.Will, Why: "ExecStart changed"})
		}
		h.Files = append(h.Files, plans.File{Path: "nginx.conf", Action: plans.Update, Diff: strings.Repeat("+ something of "+h.Name+"\n", 100)})
	}
	r.plan(plan)
	done := r.run(r.onPull(p))
	done.want(problem.OK)
	comment, _ := r.note(p.number)
	if len(comment.Body) > forge.CommentBytes || len(comment.Body) < 1000 {
		t.Errorf("the comment has %d bytes", len(comment.Body))
	}
	wantIn(t, "the comment", comment.Body, "60 hosts to switch")
	if len(done.summary) > 1_000_000 || len(done.summary) < len(comment.Body) {
		t.Errorf("the summary has %d bytes, the comment %d", len(done.summary), len(comment.Body))
	}
}

func TestPlanFails(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	broken := &problem.Problem{
		Summary: "unknown key server", Detail: "did you mean servers?", At: problem.Position{File: "flotilla.yaml", Line: 3, Column: 5}, Code: problem.Usage,
	}
	r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) { return plans.Plan{}, broken }
	done := r.run(r.onPull(p))
	done.want(problem.Usage)
	wantIn(t, "the summary", done.summary, "There is no plan", "did you mean")
	if all := r.api.Comments(p.number); len(all) != 0 { // the annotation and the status tell it
		t.Errorf("comments: %+v", all)
	}
	if s := r.status(p.head); s.State != "error" || !strings.Contains(s.Description, "unknown key server") {
		t.Errorf("status %+v", s)
	}
	if errs := done.said("error"); !strings.Contains(errs, "file=flotilla.yaml") || !strings.Contains(errs, "line=3") || !strings.Contains(errs, "did you mean") {
		t.Errorf("annotations: %s", errs)
	}
	// The comment of an earlier commit must not be taken for this one's.
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	first, _ := r.note(p.number)
	r.push(p)
	r.write("flotilla.yaml", "fleet: acme\nserver: {}\n")
	r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) { return plans.Plan{}, broken }
	r.run(r.onPull(p)).want(problem.Usage)
	second, header := r.note(p.number)
	if second.ID != first.ID || header.Commit != p.head || len(header.Data) != 0 {
		t.Errorf("comment %d with header %+v", second.ID, header)
	}
	wantIn(t, "the comment", second.Body, "There is no plan", p.head[:7], "unknown key server")
	wantOut(t, "the comment", second.Body, "web-1")
}

// TestPlanIsCancelled: a newer push ends the job, and has the comment.
func TestPlanIsCancelled(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	before, _ := r.note(p.number)
	r.push(p)
	ctx, stop := context.WithCancel(t.Context())
	r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) {
		stop()
		return plans.Plan{}, &problem.Problem{Summary: "stopped", Code: problem.Cancelled}
	}
	e := r.onPull(p)
	e.ctx = ctx
	done := r.run(e)
	done.want(problem.Cancelled, "stopped")
	wantOut(t, "the log", done.log, "GitHub")
	if after, _ := r.note(p.number); after.Body != before.Body {
		t.Errorf("the comment: %s", after.Body)
	}
}

// TestPlanWithHoles: what could not be planned is named and is no success.
func TestPlanWithHoles(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	plan := changes(t, p.head, "web-1")
	plan.Complete = false
	plan.Missing = []plans.Gap{{Subject: "db", Text: "error: undefined variable 'foo'\nat hosts/db.nix:7", At: problem.Position{File: "hosts/db.nix", Line: 7}}}
	plan.Warnings = []plans.Gap{{Subject: "web-1", Text: "the option x is deprecated"}}
	r.plan(plan)
	done := r.run(r.onPull(p))
	done.want(problem.Failed)
	comment, _ := r.note(p.number)
	wantIn(t, "the comment", comment.Body, "undefined variable", "web-1")
	if s := r.status(p.head); s.State != "failure" || !strings.Contains(s.Description, "incomplete") {
		t.Errorf("status %+v", s)
	}
	if errs := done.said("error"); !strings.Contains(errs, "file=hosts/db.nix") || !strings.Contains(errs, "line=7") || !strings.Contains(errs, "undefined variable") {
		t.Errorf("errors: %s", errs)
	}
	wantIn(t, "the warnings", done.said("warning"), "deprecated")
}

func TestPlanOfAMergeGroup(t *testing.T) {
	r := start(t)
	head := r.api.AddCommit("gh-readonly-queue/main/pr-1", "Merge")
	r.flow.onPlan = func(o deploy.PlanOptions) (plans.Plan, error) {
		if o.Base != r.begin || o.Head != head || !o.Untrusted {
			t.Errorf("planned %+v", o)
		}
		return changes(t, head, "web-1"), nil
	}
	r.run(event{
		name: "merge_group", ref: "refs/heads/gh-readonly-queue/main/pr-1", sha: head, token: "plan",
		payload: map[string]any{"action": "checks_requested", "repository": home(), "merge_group": map[string]any{"base_sha": r.begin, "head_sha": head}},
	}).want(problem.OK)
	if s := r.status(head); s.State != "success" || !strings.Contains(s.Description, "1 host to switch") {
		t.Errorf("status %+v", s)
	}
	if n := r.writes(); n != 1 {
		t.Errorf("%d writes: %v", n, r.api.Requests())
	}
}

func TestEnterpriseServer(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	r.plan(changes(t, p.head, "web-1"))
	e := r.onPull(p)
	e.enterprise = true
	for range 2 {
		r.run(e).want(problem.OK)
	}
	if _, header := r.note(p.number); header.Commit != p.head || r.status(p.head).State != "success" {
		t.Errorf("header %+v", header)
	}
}

// TestPlanOfTheBranch: what is merged is trusted, another branch is not.
func TestPlanOfTheBranch(t *testing.T) {
	r := start(t)
	trusted, base := false, ""
	r.flow.onPlan = func(o deploy.PlanOptions) (plans.Plan, error) {
		trusted, base = !o.Untrusted, o.Base
		return changes(t, o.Head), nil
	}
	e := r.onDispatch("plan", r.begin, "command", "plan")
	r.run(e).want(problem.OK)
	if !trusted || base != "" {
		t.Errorf("the default branch: trusted %v, base %q", trusted, base)
	}
	e.ref = "refs/heads/topic"
	r.run(e).want(problem.OK)
	if trusted || base != "main" {
		t.Errorf("another branch: trusted %v, base %q", trusted, base)
	}
	r.run(r.onPull(r.open("main-2")).with("branch", "main-2")).want(problem.OK)
	if trusted || base == "main-2" {
		t.Errorf("a pull request: trusted %v, base %q", trusted, base)
	}
}

func TestClosedPullRequest(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	p.closed = true
	r.run(r.onPull(p)).want(problem.OK, "closed")
	if n := r.api.Requests().Total(); n != 0 {
		t.Errorf("requests: %v", r.api.Requests())
	}
}

// TestTwoFleets: their comments stand side by side, and neither is taken for
// the other's, nor for an old one that nobody keeps.
func TestTwoFleets(t *testing.T) {
	r := start(t)
	r.write("eu/flotilla.yaml", "fleet: acme-eu\n")
	r.write("us/flotilla.yaml", "fleet: acme-us\n")
	p := r.open("feature")
	for push := range 3 {
		for _, dir := range []string{"eu", "us"} {
			plan := changes(t, p.head, "web-"+dir)
			plan.Fleet = "acme-" + dir
			r.plan(plan)
			r.run(r.onPull(p).with("fleet-dir", dir)).want(problem.OK)
			if r.flow.dir != filepath.Join(r.dir, dir) {
				t.Errorf("worked in %s", r.flow.dir)
			}
		}
		all := r.api.Comments(p.number)
		if len(all) != 2 {
			t.Fatalf("push %d: %+v", push, all)
		}
		for i, fleet := range []string{"acme-eu", "acme-us"} {
			h, _, err := forge.ParseHeader(all[i].Body)
			if err != nil || h.Kind != "plan" || h.Fleet != fleet || h.Commit != p.head || all[i].Minimized != "" {
				t.Errorf("push %d: %+v, %+v, %v", push, h, all[i], err)
			}
		}
		r.push(p)
	}
	statuses := map[string]bool{}
	for _, s := range r.api.Statuses(p.head) {
		statuses[s.Context] = true
	}
	// The same fleet in another environment is another comment, too.
	r.plan(changes(t, p.head, "web-eu"))
	r.run(r.onPull(p).with("fleet-dir", "eu", "environment", "staging")).want(problem.OK)
	if all := r.api.Comments(p.number); len(all) != 3 {
		t.Errorf("comments: %+v", all)
	}
}

// TestRenamedFleet: the comment of a fleet that is no more is hidden.
func TestRenamedFleet(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	r.write("flotilla.yaml", "fleet: new\n")
	r.push(p)
	plan := changes(t, p.head, "web-1")
	plan.Fleet = "new"
	r.plan(plan)
	r.run(r.onPull(p)).want(problem.OK)
	all := r.api.Comments(p.number)
	if len(all) != 2 || all[0].Minimized != "OUTDATED" || all[1].Minimized != "" {
		t.Errorf("comments: %+v", all)
	}
}
