package job_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// merged is a rig in which a pull request was planned and merged, and the push
// of that. The deploy asks what it asks in earnest, calls begun, and gives res.
func merged(t *testing.T, outcome fleet.Outcome, begun func(*rig)) (*rig, *pull, event) {
	r := start(t)
	older := r.api.AddCommit("main", "Older")
	r.flow.onDeploy = deploys(result(t, older, map[string]fleet.Outcome{"web-1": fleet.Deployed}))
	r.run(r.onPush(older)).want(problem.OK)
	p := r.open("feature")
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	sha := r.merge(p, github.Squash)
	res := result(t, sha, map[string]fleet.Outcome{"web-1": outcome})
	r.flow.onDeploy = func(ctx context.Context, o deploy.Options) (plans.Result, error) {
		if newer, err := o.Superseded(ctx); err != nil || newer != "" {
			return refused(sha, err), err
		}
		if _, err := o.Reviews(ctx, []string{older}, o.Head); err != nil {
			return refused(sha, err), err
		}
		begun(r)
		return res, nil
	}
	r.api.ForgetRequests()
	return r, p, r.onPush(sha)
}

// transient are the ways in which one request goes wrong for a time.
func transient() map[string]github.Fault {
	return map[string]github.Fault{
		"500":                    {Status: 500},
		"502, done all the same": {Status: 502, After: true},
		"403, to come back":      {Status: 403, RetryAfter: 70},
		"429":                    {Status: 429, RetryAfter: 2},
		"dropped, but done":      {Drop: true, After: true},
	}
}

// TestOneFaultAtAnyCall: one request that goes wrong changes nothing of what a
// job does and tells.
func TestOneFaultAtAnyCall(t *testing.T) {
	for name, scenario := range map[string]func(*testing.T, func(*rig)) string{
		"plan": func(t *testing.T, fault func(*rig)) string {
			r := start(t)
			p := r.open("feature")
			r.plan(changes(t, p.head, "web-1"))
			r.run(r.onPull(p)).want(problem.OK)
			first, _ := r.note(p.number)
			r.push(p)
			fault(r)
			done := r.run(r.onPull(p))
			comment, header := r.note(p.number)
			return fmt.Sprint(done.exit, done.outputs["headline"], comment.ID == first.ID, header.Commit == p.head, r.status(p.head), done.said("warning"))
		},
		"first plan": func(t *testing.T, fault func(*rig)) string {
			r := start(t)
			p := r.open("feature")
			r.plan(changes(t, p.head, "web-1"))
			fault(r)
			done := r.run(r.onPull(p))
			_, header := r.note(p.number)
			return fmt.Sprint(done.exit, len(done.outputs), header, r.status(p.head), done.said("warning"))
		},
		"deploy": func(t *testing.T, fault func(*rig)) string {
			r, p, e := merged(t, fleet.Deployed, func(*rig) {})
			fault(r)
			done := r.run(e)
			r.wantResultOn(p.number, e.sha, "1 deployed")
			d, states := r.states()
			return fmt.Sprint(done.exit, done.outputs, len(r.api.Deployments()), d.SHA, slices.Compact(states), r.status(e.sha), r.api.Deployments()[0].Statuses[2].State, done.said("warning"))
		},
		"rollback": func(t *testing.T, fault func(*rig)) string {
			r := start(t)
			r.flow.onBack = func(o deploy.RollbackOptions) (plans.Result, error) { return back(t, o), nil }
			fault(r)
			done := r.run(r.onDispatch("rollback", r.begin, "command", "rollback", "on", "web-1"))
			d, states := r.states()
			return fmt.Sprint(done.exit, done.outputs, len(r.api.Deployments()), d.Task, slices.Compact(states), done.said("warning"))
		},
		"drift": func(t *testing.T, fault func(*rig)) string {
			r := start(t)
			r.drift(drifted(nil, "web-1"))
			fault(r)
			done := r.run(r.onSchedule())
			return fmt.Sprint(done.exit, done.outputs, r.api.Issues(), done.said("warning"))
		},
		"chat": func(t *testing.T, fault func(*rig)) string {
			r, p := chat(t)
			r.flow.onUnlock = func() (deploy.Unlocked, error) { return deploy.Unlocked{Fleet: "acme"}, nil }
			e := r.onComment(p, "ada", "/flotilla unlock")
			fault(r)
			done := r.run(e)
			answers := r.answers(p.number)
			return fmt.Sprint(done.exit, done.outputs, len(answers), answers[0].Body, r.reactions(e), done.said("warning"))
		},
		"plan again": func(t *testing.T, fault func(*rig)) string {
			r, p := chat(t)
			r.api.PutRun(github.Run{ID: 5, Status: "completed", SHA: p.head, Event: "pull_request", Workflow: "plan.yml"})
			e := r.onComment(p, "ada", "/flotilla plan")
			fault(r)
			done := r.run(e)
			return fmt.Sprint(done.exit, done.outputs, len(r.api.Runs()), r.reactions(e), done.said("warning"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			var good *rig
			want := scenario(t, func(r *rig) { good = r; r.api.ForgetRequests() })
			requests := good.api.Requests().Total()
			if requests < 4 {
				t.Fatalf("the job makes %d requests", requests)
			}
			for kind, fault := range transient() {
				for n := range requests {
					fault.Skip = n
					if got := scenario(t, func(r *rig) { r.inject(fault) }); got != want {
						t.Fatalf("%s at request %d:\n%s\nwant\n%s", kind, n, got, want)
					}
				}
			}
		})
	}
}

// TestGitHubGoesAwayDuringADeploy: whatever GitHub answers from when hosts are
// touched, the deploy ends as it would have, and the log has what was not told.
func TestGitHubGoesAwayDuringADeploy(t *testing.T) {
	always := map[string]func(r *rig, path string){}
	for name, fault := range map[string]github.Fault{
		"500":     {Status: 500},
		"403":     {Status: 403, Message: "Resource not accessible by integration"},
		"limited": {Status: 403, RetryAfter: 3600, Message: "You have exceeded a secondary rate limit."},
		"hanging": {Delay: github.Duration{Duration: time.Hour}, Status: 500},
		"dropped": {Drop: true},
	} {
		always[name] = func(r *rig, path string) {
			fault.Path, fault.Times = path, github.Always
			r.inject(fault)
		}
	}
	for _, outcome := range []fleet.Outcome{fleet.Deployed, fleet.RolledBack} {
		good, _, e := merged(t, outcome, func(*rig) {})
		want := good.run(e)
		for path, untold := range map[string]string{
			"":                     want.outputs["headline"],
			"/deployments":         want.outputs["headline"],
			"/deployments/.*":      "set the status of the deployment",
			"/statuses/[0-9a-f]*$": "set the status of the commit",
			"/comments":            "comment on pull request #1",
		} {
			for name, fault := range always {
				t.Run(fmt.Sprint(outcome, " ", path, " ", name), func(t *testing.T) {
					r, _, e := merged(t, outcome, func(r *rig) { fault(r, path) })
					e.grace = 100 * time.Millisecond
					done := r.run(e)
					if done.exit != want.exit || !maps.Equal(done.outputs, want.outputs) || len(done.summary) < len(want.summary)/2 {
						t.Errorf("exit %d, want %d; outputs %v, want %v", done.exit, want.exit, done.outputs, want.outputs)
					}
					wantIn(t, "the warnings", done.said("warning"), "GitHub was not told", untold)
					if done.took > 5*time.Second {
						t.Errorf("took %s", done.took)
					}
				})
			}
		}
	}
}

// TestRateLimitEndsInTime: a limit that is over soon is waited for.
func TestRateLimitEndsInTime(t *testing.T) {
	r, p, e := merged(t, fleet.Deployed, func(r *rig) { r.api.Throttle(token("deploy"), 0, 10*time.Minute) })
	done := r.run(e)
	done.want(problem.OK)
	if text := done.said("warning"); text != "" {
		t.Errorf("warnings: %s", text)
	}
	r.wantResultOn(p.number, e.sha, "1 deployed")
	if _, states := r.states(); states[len(states)-1] != "success" {
		t.Errorf("states %v", states)
	}
}

// TestGitHubIsDownBeforeADeploy: what was reviewed cannot be told, so nothing
// is begun; who deploys by hand with confirm does without.
func TestGitHubIsDownBeforeADeploy(t *testing.T) {
	r, _, e := merged(t, fleet.Deployed, func(r *rig) { r.Error("deployed what nobody could look up") })
	r.inject(github.Fault{Path: "/compare/", Status: 500, Times: github.Always})
	done := r.run(e)
	done.want(problem.Failed)
	wantIn(t, "the errors", done.said("error"), "compare the deployed revision", "githubstatus")
	if _, states := r.states(); !slices.Equal(states, []string{"in_progress", "error"}) {
		t.Errorf("states %v", states)
	}
	again := e
	again.attempt = 2
	r.inject(github.Fault{Path: "/deployments", Status: 500, Times: github.Always})
	again.grace = 50 * time.Millisecond
	r.run(again).want(problem.Failed, "cannot tell whether this re-run is older")
}

// TestCancelled: the runner kills a job ten seconds after it asks it to go.
func TestCancelled(t *testing.T) {
	cancel := func(e *event) { close(e.draining) }
	t.Run("GitHub is well", func(t *testing.T) {
		var e event
		r, p, onPush := merged(t, fleet.Deployed, func(*rig) { cancel(&e) })
		e = onPush
		e.draining = make(chan struct{})
		done := r.run(e)
		done.want(problem.OK)
		if text := done.said("warning"); text != "" || done.took > 1900*time.Millisecond {
			t.Errorf("took %s: %s", done.took, text)
		}
		r.wantResultOn(p.number, e.sha, "1 deployed")
	})
	hang := github.Fault{Delay: github.Duration{Duration: time.Hour}, Status: 500, Times: github.Always}
	for name, later := range map[string]time.Duration{"while it deploys": 0, "while it waits for GitHub": 300 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var e event
			r, _, onPush := merged(t, fleet.Deployed, func(r *rig) {
				r.inject(hang)
				if later == 0 {
					cancel(&e)
				} else {
					time.AfterFunc(later, func() { cancel(&e) })
				}
			})
			e = onPush
			e.draining = make(chan struct{})
			done := r.run(e)
			done.want(problem.OK)
			if done.took < time.Second || done.took > 4*time.Second {
				t.Errorf("took %s", done.took)
			}
			wantIn(t, "the warnings", done.said("warning"), "GitHub was not told", done.outputs["headline"])
		})
	}
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		r := start(t)
		ctx, stop := context.WithCancel(t.Context())
		stopped := &problem.Problem{Summary: "stopped", Code: problem.Cancelled}
		r.flow.onDeploy = func(context.Context, deploy.Options) (plans.Result, error) {
			stop()
			return refused(r.begin, stopped), stopped
		}
		e := r.onPush(r.begin)
		e.ctx = ctx
		done := r.run(e)
		done.want(problem.Cancelled)
		if _, states := r.states(); !slices.Equal(states, []string{"in_progress", "error"}) || strings.Contains(done.log, "not told") {
			t.Errorf("states %v: %s", states, done.log)
		}
		if len(done.outputs) == 0 || done.summary == "" {
			t.Errorf("outputs %v", done.outputs)
		}
	})
}

// TestUntoldIsHarmless: what GitHub says in place of an answer is data.
func TestUntoldIsHarmless(t *testing.T) {
	r, _, e := merged(t, fleet.Deployed, func(r *rig) {
		r.inject(github.Fault{Status: 422, Times: github.Always, Message: "x\n::error::pwned\n##[error]pwned " + token("deploy")})
	})
	done := r.run(e)
	done.want(problem.OK)
	for _, c := range done.commands {
		if c.text == "pwned" || c.name != "warning" && c.name != "add-mask" {
			t.Errorf("command %+v", c)
		}
	}
	wantIn(t, "the warnings", done.said("warning"), "(token)", string(forge.Succeeded))
}
