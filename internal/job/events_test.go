package job_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// pull is a pull request.
type pull struct {
	number int
	branch string
	head   string
	fork   bool
	gone   bool // the fork was deleted
	closed bool
}

// open opens a pull request with one commit.
func (r *rig) open(branch string) *pull {
	p := &pull{branch: branch, head: r.api.AddCommit(branch, "Change "+branch, "hosts/"+branch+".nix")}
	p.number = r.api.OpenPull(github.Pull{Title: "Change " + branch, Head: branch})
	return p
}

// push adds a commit to a pull request.
func (r *rig) push(p *pull) {
	p.head = r.api.AddCommit(p.branch, "More of "+p.branch, "hosts/more.nix")
}

func home() map[string]any {
	return map[string]any{"full_name": repository, "default_branch": "main", "private": true}
}

// onPull is the event of a pull request. The checkout is a merge commit that
// no branch has.
func (r *rig) onPull(p *pull) event {
	head := any(home())
	e := event{name: "pull_request", ref: fmt.Sprintf("refs/pull/%d/merge", p.number), sha: "0000000000000000000000000000000000000abc", token: "plan"}
	if p.fork {
		head, e.token = map[string]any{"full_name": "mallory/fleet", "fork": true}, "fork"
	}
	if p.gone {
		head = nil
	}
	state := "open"
	if p.closed {
		state = "closed"
	}
	e.payload = map[string]any{
		"action": "synchronize", "number": p.number, "repository": home(),
		"pull_request": map[string]any{
			"number": p.number, "state": state, "merged": false,
			"head": map[string]any{"ref": p.branch, "sha": p.head, "repo": head},
			"base": map[string]any{"ref": "main", "sha": r.begin, "repo": home()},
		},
	}
	return e
}

// onPush is the event of a push to main.
func (r *rig) onPush(sha string) event {
	return event{
		name: "push", ref: "refs/heads/main", sha: sha, token: "deploy",
		payload: map[string]any{"ref": "refs/heads/main", "before": r.begin, "after": sha, "repository": home()},
	}
}

// onDispatch is the event of a workflow that was started by hand.
func (r *rig) onDispatch(token, sha string, inputs ...string) event {
	e := event{
		name: "workflow_dispatch", ref: "refs/heads/main", sha: sha, token: token,
		payload: map[string]any{"ref": "refs/heads/main", "inputs": map[string]any{}, "repository": home()},
	}
	return e.with(inputs...)
}

// onComment is the event of a comment that somebody writes on a pull request.
func (r *rig) onComment(p *pull, author, text string) event {
	id := r.api.PutComment(p.number, author, text)
	return event{
		name: "issue_comment", ref: "refs/heads/main", sha: r.begin, token: "chatops", actor: author,
		inputs: map[string]string{"chatops": "true"},
		payload: map[string]any{
			"action": "created", "repository": home(),
			"issue":   map[string]any{"number": p.number, "pull_request": map[string]any{"url": "x"}},
			"comment": map[string]any{"id": id, "body": text, "user": map[string]any{"login": author, "type": "User"}},
		},
	}
}

// merge merges a pull request and gives what main is at then.
func (r *rig) merge(p *pull, method string) string {
	r.Helper()
	sha, err := r.api.MergePull(p.number, method)
	if err != nil {
		r.Fatal(err)
	}
	return sha
}

// forgeOf is GitHub as a job with that token sees it.
func forgeOf(r *rig, name string) *forge.Client {
	r.Helper()
	c, err := forge.New(forge.Options{API: r.server.URL, Repository: repository, Token: secret.New(token(name)), Wait: r.wait})
	if err != nil {
		r.Fatal(err)
	}
	return c
}

// system is some store path.
func system(t testing.TB, name string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-" + name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// changes is a plan that switches hosts.
func changes(t testing.TB, head string, hosts ...string) plans.Plan {
	t.Helper()
	p := plans.Plan{
		Version: plans.Version, Fleet: "acme", Complete: true, Base: plans.Revision{Commit: "1111111111111111111111111111111111111111"},
		Head: plans.Revision{Commit: head, Subject: "A change"},
	}
	for _, name := range hosts {
		p.This.Hosts = append(p.This.Hosts, plans.Host{
			Name: name, Action: plans.Update, Old: system(t, name+"-old"), New: system(t, name+"-new"),
			Units: []plans.Unit{{Name: "nginx.service", Effect: plans.EffectRestart, Certainty: plans.Will, Why: "ExecStart changed"}},
			Risks: []plans.Risk{plans.RiskStop},
		})
	}
	return p
}

// plan lets the flow give a plan.
func (r *rig) plan(p plans.Plan) {
	r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) { return p, nil }
}

// result is what a deploy did, host by host: "web-1", deployed, ….
func result(t testing.TB, commit string, hosts map[string]fleet.Outcome) plans.Result {
	t.Helper()
	r := plans.Result{Version: plans.Version, Command: "deploy", Fleet: "acme", Revision: plans.Revision{Commit: commit, Subject: "A change"}}
	var all []fleet.Outcome
	for name, outcome := range hosts {
		all = append(all, outcome)
		h := plans.HostResult{Host: name, Outcome: outcome, Wanted: system(t, name+"-new"), Was: system(t, name+"-old"), Runs: system(t, name+"-new")}
		if outcome == fleet.RolledBack {
			h.Runs, h.Reason = h.Was, "nginx.service failed"
		}
		r.Hosts = append(r.Hosts, h)
	}
	r.ExitCode = plans.CodeOf(all)
	return r
}

// refused is a result that did not come to the hosts.
func refused(commit string, err error) plans.Result {
	return plans.Result{
		Version: plans.Version, Command: "deploy", Fleet: "acme", Revision: plans.Revision{Commit: commit},
		Failure: problem.Text(err), ExitCode: problem.CodeOf(err),
	}
}

// deploys is a deploy that gives a result.
func deploys(res plans.Result) func(context.Context, deploy.Options) (plans.Result, error) {
	return func(context.Context, deploy.Options) (plans.Result, error) { return res, nil }
}
