package job_test

import (
	"context"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestSuperseded(t *testing.T) {
	r := start(t)
	old := r.api.AddCommit("main", "Old")
	ask := func(e event) (newer string, asked bool) {
		t.Helper()
		r.flow.onDeploy = func(ctx context.Context, o deploy.Options) (plans.Result, error) {
			var err error
			if asked = o.Superseded != nil; asked {
				newer, err = o.Superseded(ctx)
			}
			return result(t, o.Head, nil), err
		}
		r.run(e).want(problem.OK)
		return newer, asked
	}
	if newer, asked := ask(r.onPush(old)); !asked || newer != "" {
		t.Errorf("the newest is superseded by %q", newer)
	}
	head := r.api.AddCommit("main", "New")
	if newer, _ := ask(r.onPush(old)); newer != head {
		t.Errorf("superseded by %q, want %s", newer, head)
	}
	// Who deploys by hand wants what they started.
	if newer, asked := ask(r.onDispatch("deploy", old, "command", "deploy")); asked && newer != "" {
		t.Errorf("a dispatch is superseded by %q", newer)
	}
}

// TestRerun: an old deploy that is run again would take the fleet back.
func TestRerun(t *testing.T) {
	r := start(t)
	old := r.api.AddCommit("main", "Old")
	deploys := 0
	r.flow.onDeploy = func(_ context.Context, o deploy.Options) (plans.Result, error) {
		deploys++
		return result(t, o.Head, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil
	}
	first := r.onPush(old)
	first.run = 7
	r.run(first).want(problem.OK)
	again := first
	again.attempt = 2
	r.run(again).want(problem.OK) // nothing newer: a re-run is fine
	head := r.api.AddCommit("main", "New")
	r.run(r.onPush(head)).want(problem.OK)
	again.attempt = 3
	count := len(r.api.Deployments())
	done := r.run(again)
	done.want(problem.Refused)
	wantIn(t, "the errors", done.said("error"), "re-run", old[:12], head[:12], "confirm")
	if deploys != 3 || len(r.api.Deployments()) != count {
		t.Errorf("%d deploys, %d deployments", deploys, len(r.api.Deployments()))
	}
	// What others record in the environment hides ours from nobody.
	f := forgeOf(r, "deploy")
	if _, err := f.StartDeployment(t.Context(), forge.Deployment{SHA: old, Task: "deploy", Environment: "acme"}); err != nil {
		t.Fatal(err)
	}
	r.run(again).want(problem.Refused)
	r.run(again.with("confirm", "true")).want(problem.OK)
	if deploys != 4 {
		t.Errorf("%d deploys", deploys)
	}
}
