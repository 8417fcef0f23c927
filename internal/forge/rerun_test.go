package forge_test

import (
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

// rerunnable is a fixture with two runs of plan.yml for one commit.
func rerunnable(t *testing.T, permission string) *fixture {
	f := start(t, func(o *github.Options, _ *forge.Options) { o.Tokens[0].Permissions["actions"] = permission })
	for id, status := range map[int64]string{4: "in_progress", 5: "completed"} {
		f.api.PutRun(github.Run{ID: id, Attempt: 2, Status: status, SHA: f.begin, Event: "pull_request", Workflow: "plan.yml"})
	}
	return f
}

func (f *fixture) rerun() (forge.Run, error) {
	return f.client.Rerun(f.Context(), "plan.yml", "pull_request", f.begin)
}

func TestRerun(t *testing.T) {
	f := rerunnable(t, "write")
	for step := range 2 { // the second finds it running
		run, err := f.rerun()
		if ok(t, run, err); run.ID != 5 || run.Attempt != 3 || run.Over() || run.URL == "" {
			t.Errorf("step %d: %+v", step, run)
		}
	}
	if runs := f.api.Runs(); len(runs) != 3 {
		t.Errorf("runs: %+v", runs)
	}
	_, err := f.client.Rerun(t.Context(), "plan.yml", "pull_request", "0123456789abcdef")
	wantProblem(t, err, "To start it push a commit, or close the pull request and open it again.")
	_, err = f.client.Rerun(t.Context(), "plan.yml", "push", f.begin)
	wantProblem(t, err, "no run for push")
	_, err = f.client.Rerun(t.Context(), "other.yml", "push", f.begin)
	if wantProblem(t, err, `"other.yml"`); !forge.IsMissing(err) {
		t.Errorf("not missing: %v", err)
	}
}

func TestRerunWithoutPermission(t *testing.T) {
	f := rerunnable(t, "read")
	_, err := f.rerun()
	if wantProblem(t, err, "Write `actions: write` under `permissions:`"); !forge.IsDenied(err) {
		t.Errorf("not denied: %v", err)
	}
	f = rerunnable(t, "write")
	f.inject(github.Fault{Method: "POST", Status: 403, Message: "Unable to retry this workflow run because it was created over a month ago"})
	_, err = f.rerun()
	wantProblem(t, err, "over a month ago")
	wantProblem(t, err, "for 30 days and up to 50 times. After that push a commit")
	f = rerunnable(t, "")
	_, err = f.rerun()
	wantProblem(t, err, "Write `actions: read` under `permissions:`")
}

// TestRerunFaults: an answer that was lost begins no second attempt, and
// somebody who is faster is no failure.
func TestRerunFaults(t *testing.T) {
	for name, fault := range map[string]github.Fault{
		"500":                    {Status: 500},
		"502, done all the same": {Status: 502, After: true},
		"429":                    {Status: 429, RetryAfter: 2},
		"dropped":                {Drop: true},
		"dropped, but done":      {Drop: true, After: true},
	} {
		for _, method := range []string{"GET", "POST"} {
			f := rerunnable(t, "write")
			fault.Method = method
			f.inject(fault)
			run, err := f.rerun()
			if ok(t, run, err); run.ID != 5 || run.Attempt != 3 || run.Over() || len(f.api.Runs()) != 3 {
				t.Errorf("%s at %s: %+v, runs: %+v", name, method, run, f.api.Runs())
			}
		}
	}
	f := rerunnable(t, "write")
	f.inject(github.Fault{Method: "POST", Delay: github.Duration{Duration: 200 * time.Millisecond}})
	go func() {
		for f.api.Requests()["POST /repos/{owner}/{repo}/actions/runs/{run_id}/rerun"] == 0 {
			time.Sleep(time.Millisecond)
		}
		f.api.PutRun(github.Run{ID: 5, Attempt: 3, Status: "queued", SHA: f.begin, Event: "pull_request", Workflow: "plan.yml"})
	}()
	run, err := f.rerun()
	if ok(t, run, err); run.Attempt != 3 || run.Status != "queued" {
		t.Errorf("somebody else was faster: %+v", run)
	}
}
