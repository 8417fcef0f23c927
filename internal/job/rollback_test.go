package job_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// back is what a rollback of web-1 did.
func back(t *testing.T, o deploy.RollbackOptions) plans.Result {
	r := result(t, "1111111111111111111111111111111111111111", map[string]fleet.Outcome{"web-1": fleet.Deployed})
	r.Command, r.Reason, r.DryRun, r.Hosts[0].Held = "rollback", o.Reason, o.DryRun, !o.DryRun
	return r
}

func TestRollbackByHand(t *testing.T) {
	r := start(t)
	var asked deploy.RollbackOptions
	r.flow.onBack = func(o deploy.RollbackOptions) (plans.Result, error) {
		asked = o
		return back(t, o), nil
	}
	nobody := r.run(r.onDispatch("rollback", r.begin, "command", "rollback"))
	nobody.want(problem.Usage, "input on is empty")
	if asked.To != "" || len(r.api.Deployments()) != 0 {
		t.Errorf("rolled back nobody: %+v", asked)
	}

	dry := r.run(r.onDispatch("rollback", r.begin, "command", "rollback", "on", "web-1", "to", "7", "dry-run", "true"))
	dry.want(problem.OK)
	if !asked.DryRun || asked.To != "7" || len(r.api.Deployments()) != 0 {
		t.Errorf("dry run: %+v, deployments %+v", asked, r.api.Deployments())
	}

	r.run(r.onPush(r.begin).with("dry-run", "true")).want(problem.Usage, "input dry-run")
	done := r.run(r.onDispatch("rollback", r.begin, "command", "rollback", "on", "web-*, !web-2", "to", "previous", "reason", "it is slow", "lock-timeout", "90s"))
	done.want(problem.OK)
	if asked.DryRun || asked.To != "previous" || asked.Reason != "it is slow" || asked.LockTimeout.Seconds() != 90 {
		t.Errorf("rolled back %+v", asked)
	}
	on, err := asked.On.Select(map[string][]string{"web-1": nil, "web-2": nil, "db": nil})
	if err != nil || fmt.Sprint(on) != "[web-1]" {
		t.Errorf("rolled back %v, %v", on, err)
	}
	d, states := r.states()
	if d.Task != "rollback" || d.SHA != r.begin || !slices.Equal(states, []string{"in_progress", "success"}) {
		t.Errorf("deployment %+v", d)
	}
	var payload struct {
		Data map[string]string `json:"data"`
	}
	if err := json.Unmarshal([]byte(d.Payload), &payload); err != nil || payload.Data["reason"] != "it is slow" || payload.Data["on"] != "web-*, !web-2" || payload.Data["by"] != "ada" {
		t.Errorf("payload %s: %v", d.Payload, err)
	}
	wantIn(t, "the summary", done.summary, "it is slow", "web-1")
	if done.outputs["changed-hosts"] != `["web-1"]` || done.outputs["result-file"] == "" {
		t.Errorf("outputs %v", done.outputs)
	}
	wantIn(t, "who", r.flow.by, "ada", fmt.Sprintf("run %d", r.runs))

	r.flow.onBack = func(deploy.RollbackOptions) (plans.Result, error) {
		err := &problem.Problem{Summary: "generation 9 is gone", Hints: []string{"History: flotilla history."}}
		return refused("", err), err
	}
	failed := r.run(r.onDispatch("rollback", r.begin, "command", "rollback", "on", "*", "to", "9"))
	failed.want(problem.Failed)
	wantIn(t, "the errors", failed.said("error"), "generation 9 is gone", "flotilla history")
	if _, states := r.states(); !slices.Equal(states, []string{"in_progress", "error"}) {
		t.Errorf("states %v", states)
	}
}

func TestReleaseAndUnlock(t *testing.T) {
	r := start(t)
	r.flow.onFree = func(fleet.Selector) (plans.Result, error) {
		res := result(t, r.begin, map[string]fleet.Outcome{"web-1": fleet.Unchanged})
		res.Command = "release"
		return res, nil
	}
	done := r.run(r.onDispatch("rollback", r.begin, "command", "release", "on", "*"))
	done.want(problem.OK)
	wantIn(t, "the summary", done.summary, "web-1")
	r.run(r.onDispatch("rollback", r.begin, "command", "release")).want(problem.Usage, "input on is empty")
	if all := r.api.Deployments(); len(all) != 0 {
		t.Errorf("deployments %+v", all)
	}

	r.flow.onUnlock = func() (deploy.Unlocked, error) {
		return deploy.Unlocked{Fleet: "acme", Held: true, Broken: true, Holder: "ada::error::pwned"}, nil
	}
	done = r.run(r.onDispatch("rollback", r.begin, "command", "unlock"))
	done.want(problem.OK, "Broke the lock")
	wantIn(t, "the summary", done.summary, "Broke the lock", "ada")
	if done.said("error") != "" {
		t.Errorf("errors: %s", done.said("error"))
	}
	r.flow.onUnlock = func() (deploy.Unlocked, error) { return deploy.Unlocked{Fleet: "acme"}, nil }
	r.run(r.onDispatch("rollback", r.begin, "command", "unlock")).want(problem.OK, "not locked")
}
