package actions

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

func runner(t *testing.T, env map[string]string, event string) (*Runner, func(string) string, *bytes.Buffer) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(event), 0o600); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{
		"GITHUB_EVENT_PATH": path, "GITHUB_SHA": "1111111111111111111111111111111111111111", "GITHUB_ACTOR": "ada",
		"GITHUB_REPOSITORY": "acme/fleet", "GITHUB_RUN_ID": "42", "GITHUB_RUN_ATTEMPT": "2",
	}
	for k, v := range env {
		all[k] = v
	}
	getenv := func(k string) string { return all[k] }
	var out bytes.Buffer
	return New(getenv, &out), getenv, &out
}

func TestJob(t *testing.T) {
	const push = `{"ref":"refs/heads/main","repository":{"default_branch":"main"}}`
	for _, c := range []struct {
		name, event string
		env         map[string]string
		payload     string
		command     string
		base        string
		code        problem.Code
	}{
		{"pull request plans", "pull_request", nil, `{"number":7}`, "plan", "", 0},
		{"push to main deploys", "push", map[string]string{"GITHUB_REF": "refs/heads/main"}, push, "deploy", "", 0},
		{"push elsewhere is refused", "push", map[string]string{"GITHUB_REF": "refs/heads/topic"}, push, "", "", problem.Usage},
		{"deleted branch", "push", map[string]string{"GITHUB_REF": "refs/heads/main"}, `{"deleted":true,"repository":{"default_branch":"main"}}`, "", "", problem.Usage},
		{"merge queue plans", "merge_group", nil, `{"merge_group":{"base_sha":"2222222222222222222222222222222222222222","head_sha":"3333333333333333333333333333333333333333"}}`, "plan", "2222222222222222222222222222222222222222", 0},
		{"dispatch needs a command", "workflow_dispatch", nil, `{}`, "", "", problem.Usage},
		{"dispatch rolls back", "workflow_dispatch", map[string]string{"INPUT_COMMAND": "rollback", "GITHUB_REF": "refs/heads/main"}, push, "rollback", "", 0},
		{"dispatch elsewhere", "workflow_dispatch", map[string]string{"INPUT_COMMAND": "deploy", "GITHUB_REF": "refs/heads/topic"}, push, "", "", problem.Usage},
		{"dispatch on a named branch", "workflow_dispatch", map[string]string{"INPUT_COMMAND": "deploy", "INPUT_BRANCH": "topic", "GITHUB_REF": "refs/heads/topic"}, push, "deploy", "", 0},
		{"schedule looks for drift", "schedule", nil, `{}`, "drift", "", 0},
		{"comments are off", "issue_comment", nil, `{}`, "", "", problem.Refused},
		{"unknown command", "workflow_dispatch", map[string]string{"INPUT_COMMAND": "destroy-all"}, `{}`, "", "", problem.Usage},
		{"pull request never deploys", "pull_request", map[string]string{"INPUT_COMMAND": "deploy"}, `{}`, "", "", problem.Usage},
		{"pull_request_target is refused", "pull_request_target", nil, `{}`, "", "", problem.Refused},
		{"odd boolean", "pull_request", map[string]string{"INPUT_RETRY-BAD": "yes"}, `{}`, "", "", problem.Usage},
		{"odd half", "push", map[string]string{"GITHUB_REF": "refs/heads/main", "INPUT_ONLY": "servers"}, push, "", "", problem.Usage},
		{"odd time", "push", map[string]string{"GITHUB_REF": "refs/heads/main", "INPUT_LOCK-TIMEOUT": "soon"}, push, "", "", problem.Usage},
		{"no job", "", nil, `{}`, "", "", problem.Usage},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"GITHUB_EVENT_NAME": c.event}
			for k, v := range c.env {
				env[k] = v
			}
			r, getenv, _ := runner(t, env, c.payload)
			job, err := r.Job(getenv)
			if got := problem.CodeOf(err); got != c.code {
				t.Fatalf("code %d (%v), want %d", got, err, c.code)
			}
			if job.Command != c.command || job.Base != c.base {
				t.Errorf("got %+v", job)
			}
			if err == nil && job.GitHub.By() != "ada (acme/fleet run 42 attempt 2)" {
				t.Errorf("by %q", job.GitHub.By())
			}
		})
	}
}

func TestMaskNamesEachLine(t *testing.T) {
	r, _, out := runner(t, nil, `{}`)
	r.Mask(secret.New("-----BEGIN KEY-----\nfirst-line\nsecond-line\n-----END KEY-----\n"))
	got := out.String()
	if !strings.Contains(got, "::add-mask::first-line\n") || !strings.Contains(got, "::add-mask::second-line\n") || strings.Contains(got, "BEGIN") {
		t.Errorf("got %q", got)
	}
}

func TestAnnotateEscapes(t *testing.T) {
	r, _, out := runner(t, nil, `{}`)
	r.Annotate(&problem.Problem{Summary: "bad\n::set-output name=x::y", At: problem.Position{File: "hive.nix", Line: 3}})
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "file=hive.nix,line=3") {
		t.Errorf("got %q", got)
	}
}

func FuzzEvent(f *testing.F) {
	f.Add("push", `{"repository":{"default_branch":"main"}}`)
	f.Add("merge_group", `{"merge_group":null}`)
	f.Add("pull_request", `[]`)
	f.Fuzz(func(t *testing.T, event, payload string) {
		path := filepath.Join(t.TempDir(), "event.json")
		if err := os.WriteFile(path, []byte(payload), 0o600); err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"GITHUB_EVENT_NAME": event, "GITHUB_EVENT_PATH": path}
		getenv := func(k string) string { return env[k] }
		job, err := New(getenv, io.Discard).Job(getenv)
		if err == nil && job.Command != "plan" && job.Command != "deploy" && job.Command != "drift" {
			t.Errorf("event %q asks for %q", event, job.Command)
		}
	})
}

func TestInfrastructureInputs(t *testing.T) {
	r, getenv, _ := runner(t, map[string]string{
		"GITHUB_EVENT_NAME": "workflow_dispatch", "INPUT_COMMAND": "deploy", "INPUT_ONLY": "infra",
		"INPUT_ALLOW-DESTROY": "db, pgdata\nold", "INPUT_REBUILD": "web", "INPUT_LOCK-TIMEOUT": "15m", "GITHUB_REF": "refs/heads/main",
	}, `{"repository":{"default_branch":"main"}}`)
	job, err := r.Job(getenv)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(job.AllowDestroy, "|"); job.Only != "infra" || got != "db|pgdata|old" || len(job.Rebuild) != 1 || len(job.Replace) != 0 || job.LockTimeout != 15*time.Minute {
		t.Errorf("got %+v", job)
	}
}
