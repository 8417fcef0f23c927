package forge_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

func TestStatus(t *testing.T) {
	f := start(t, nil)
	status := forge.Status{State: forge.Success, Context: "flotilla/plan acme", Headline: strings.Repeat("ü", 200), URL: "https://x.example/run"}
	done(t, f.client.SetStatus(t.Context(), f.begin, status))
	status.State, status.Headline, status.URL = forge.Failure, "1 host fails", ""
	done(t, f.client.SetStatus(t.Context(), f.begin, status))
	got := f.api.Statuses(f.begin)
	if len(got) != 2 || got[0].State != "success" || len([]rune(got[0].Description)) != 140 || got[0].TargetURL != "https://x.example/run" ||
		got[1].State != "failure" || got[1].Description != "1 host fails" || got[1].Context != "flotilla/plan acme" {
		t.Errorf("statuses: %+v", got)
	}
}

func deployment(f *fixture, run string) forge.Deployment {
	return forge.Deployment{
		SHA: f.begin, Task: "deploy", Environment: "prod", Description: strings.Repeat("d", 200), Production: true,
		Run: run, Data: json.RawMessage(`{"hosts":["web"]}`),
	}
}

func TestDeployments(t *testing.T) {
	f := start(t, nil)
	// A red status and a newer commit on main are no reasons not to.
	done(t, f.client.SetStatus(t.Context(), f.begin, forge.Status{State: forge.Failure, Context: "ci"}))
	f.api.AddCommit("main", "Newer")
	var ids []int64
	for _, run := range []string{"1/1", "2/1"} {
		id, err := f.client.StartDeployment(t.Context(), deployment(f, run))
		ids = append(ids, ok(t, id, err))
		for _, state := range []forge.Progress{forge.Queued, forge.InProgress, forge.Succeeded} {
			done(t, f.client.UpdateDeployment(t.Context(), id, forge.Update{
				State: state, Description: strings.Repeat("s", 200), LogURL: "https://x.example/log", EnvironmentURL: "https://x.example",
			}))
		}
	}
	done(t, f.client.RetireDeployments(t.Context(), "prod", ids[1]))
	list, err := f.client.Deployments(t.Context(), "prod", 10)
	ok(t, list, err)
	if len(list) != 2 || list[0].ID != ids[1] || list[0].State != forge.Succeeded || list[1].State != forge.Inactive {
		t.Fatalf("deployments: %+v", list)
	}
	if d := list[0]; d.SHA != f.begin || d.Task != "deploy" || d.Run != "2/1" || string(d.Data) != `{"hosts":["web"]}` || d.Created.IsZero() {
		t.Errorf("deployment: %+v", d)
	}
	last := f.api.Deployments()[1].Statuses[2]
	if last.LogURL != "https://x.example/log" || last.EnvironmentURL != "https://x.example" || len([]rune(last.Description)) != 140 {
		t.Errorf("status: %+v", last)
	}
	none, err := f.client.Deployments(t.Context(), "other", 10)
	if ok(t, none, err); len(none) != 0 {
		t.Errorf("of another environment: %+v", none)
	}
}

func TestIssue(t *testing.T) {
	f := start(t, nil)
	planted := f.api.PutIssue("mallory", "Drift of acme", note("drift", "").Header.String()+"\nplanted", forge.Label)
	step := func(name string, want forge.Outcome, call func(context.Context, forge.Issue) (forge.Posted, error), text string) forge.Posted {
		t.Helper()
		got, err := call(t.Context(), issue(text))
		if ok(t, got, err); got.Outcome != want {
			t.Errorf("%s: %s, want %s", name, got.Outcome, want)
		}
		return got
	}
	step("close none", forge.None, f.client.CloseIssue, "")
	opened := step("open", forge.Created, f.client.PutIssue, "one host")
	step("same", forge.Unchanged, f.client.PutIssue, "one host")
	if again := step("change", forge.Updated, f.client.PutIssue, "two hosts"); again.ID != opened.ID || opened.ID == int64(planted) {
		t.Errorf("issue %d, want %d", again.ID, opened.ID)
	}
	step("close", forge.Closed, f.client.CloseIssue, "no drift any more")
	step("close again", forge.None, f.client.CloseIssue, "")
	if next := step("open anew", forge.Created, f.client.PutIssue, "again"); next.ID == opened.ID {
		t.Error("the closed issue was opened again")
	}
	all := f.api.Issues()
	if len(all) != 3 || all[0].State != "open" || all[1].State != "closed" || !strings.HasSuffix(all[1].Body, "\nno drift any more") || all[2].State != "open" {
		t.Errorf("issues: %+v", all)
	}
}

func TestPeopleAndRuns(t *testing.T) {
	f := start(t, nil)
	for role, can := range map[string]bool{"admin": true, "maintain": true, "write": true, "triage": false, "read": false, "none": false} {
		f.api.PutPermission("some-"+role, role)
		access, err := f.client.AccessOf(t.Context(), "some-"+role)
		if ok(t, access, err); access.CanWrite() != can {
			t.Errorf("%s is %s", role, access)
		}
	}
	f.api.PutRun(github.Run{ID: 7, Status: "completed", Conclusion: "failure"})
	f.api.PutRun(github.Run{ID: 7, Attempt: 2, Status: "in_progress"})
	for attempt, over := range map[int]bool{0: false, 1: true, 2: false} {
		run, err := f.client.RunAttempt(t.Context(), 7, attempt)
		if ok(t, run, err); run.Over() != over || run.URL == "" {
			t.Errorf("attempt %d: %+v", attempt, run)
		}
	}
	_, err := f.client.RunAttempt(t.Context(), 8, 0)
	if wantProblem(t, err, "`actions: read`"); !forge.IsMissing(err) {
		t.Errorf("not missing: %v", err)
	}
	head := f.api.AddCommit("release/1.0", "One")
	sha, err := f.client.BranchHead(t.Context(), "release/1.0")
	if ok(t, sha, err); sha != head {
		t.Errorf("branch is at %s, want %s", sha, head)
	}
	comment := f.api.PutComment(f.pull("own", "Own"), "octocat", "/flotilla plan")
	done(t, f.client.React(t.Context(), comment, "eyes"))
	done(t, f.client.React(t.Context(), comment, "eyes"))
}

// TestMissingPermission: each call says which line is missing in the workflow.
func TestMissingPermission(t *testing.T) {
	for name, c := range map[string]struct {
		needs string
		call  func(context.Context, *forge.Client, *fixture) error
	}{
		"note": {"pull-requests: write", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			_, err := c.PutNote(ctx, 1, note("plan", "x"))
			return err
		}},
		"notes": {"pull-requests: read", func(ctx context.Context, c *forge.Client, _ *fixture) error { _, err := c.Notes(ctx, 1); return err }},
		"status": {"statuses: write", func(ctx context.Context, c *forge.Client, f *fixture) error {
			return c.SetStatus(ctx, f.begin, forge.Status{State: forge.Success, Context: "x"})
		}},
		"deployment": {"deployments: write", func(ctx context.Context, c *forge.Client, f *fixture) error {
			_, err := c.StartDeployment(ctx, deployment(f, "1"))
			return err
		}},
		"update": {"deployments: write", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			return c.UpdateDeployment(ctx, 1, forge.Update{State: forge.Queued})
		}},
		"deploys": {"deployments: read", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			_, err := c.Deployments(ctx, "prod", 5)
			return err
		}},
		"merged": {"contents: read", func(ctx context.Context, c *forge.Client, f *fixture) error {
			_, err := c.MergedSince(ctx, f.begin, "main", "main")
			return err
		}},
		"pulls": {"pull-requests: read", func(ctx context.Context, c *forge.Client, f *fixture) error {
			_, err := c.PullsOf(ctx, f.begin)
			return err
		}},
		"issue": {"issues: read", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			_, err := c.PutIssue(ctx, issue("x"))
			return err
		}},
		"run": {"actions: read", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			_, err := c.RunAttempt(ctx, 1, 0)
			return err
		}},
		"branch": {"contents: read", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			_, err := c.BranchHead(ctx, "main")
			return err
		}},
		"reaction": {"pull-requests: write", func(ctx context.Context, c *forge.Client, _ *fixture) error { return c.React(ctx, 1, "eyes") }},
		"retire": {"pull-requests: write", func(ctx context.Context, c *forge.Client, _ *fixture) error {
			_, err := c.Retire(ctx, 1, "plan", func(forge.Header) bool { return false })
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *github.Options, _ *forge.Options) {
				o.Tokens[0].Permissions = map[string]string{}
				switch name {
				case "note", "retire": // reading it may
					o.Tokens[0].Permissions["pull_requests"] = "read"
				}
			})
			number := f.pull("feature", "One")
			f.api.PutComment(number, "github-actions[bot]", note("plan", "").Header.String())
			err := c.call(t.Context(), f.client, f)
			wantProblem(t, err, "Write `"+c.needs+"` under `permissions:`")
			if !forge.IsDenied(err) {
				t.Errorf("not denied: %v", err)
			}
			if f.waits() != 0 {
				t.Errorf("waited %s for what does not change", f.waits())
			}
		})
	}
}

func TestRateLimits(t *testing.T) {
	t.Run("soon over", func(t *testing.T) {
		f := start(t, nil)
		f.api.Throttle(token, 0, 40*time.Second)
		done(t, f.client.SetStatus(t.Context(), f.begin, forge.Status{State: forge.Success, Context: "x"}))
		if w := f.waits(); w < 40*time.Second || w > 45*time.Second {
			t.Errorf("waited %s", w)
		}
	})
	t.Run("not soon over", func(t *testing.T) {
		f := start(t, nil)
		f.api.Throttle(token, 0, 40*time.Minute)
		err := f.client.SetStatus(t.Context(), f.begin, forge.Status{State: forge.Success, Context: "x"})
		wantProblem(t, err, "GitHub asks to wait 40m")
		if f.waits() != 0 {
			t.Errorf("waited %s", f.waits())
		}
	})
	t.Run("secondary", func(t *testing.T) {
		f := start(t, func(o *github.Options, _ *forge.Options) { o.Limits.ContentsPerMinute = 1 })
		for range 3 {
			done(t, f.client.SetStatus(t.Context(), f.begin, forge.Status{State: forge.Success, Context: "x"}))
		}
		if w := f.waits(); w < 119*time.Second || w > 122*time.Second {
			t.Errorf("waited %s for two more minutes", w)
		}
	})
	t.Run("asked again and again", func(t *testing.T) {
		f := start(t, nil)
		f.inject(github.Fault{Status: 429, RetryAfter: 10, Times: github.Always})
		err := f.client.SetStatus(t.Context(), f.begin, forge.Status{State: forge.Success, Context: "x"})
		wantProblem(t, err, "HTTP 429")
		if n := f.api.Requests().Total(); n < 2 || n > 6 || f.waits() > forge.DefaultPatience {
			t.Errorf("%d requests, waited %s", n, f.waits())
		}
	})
	t.Run("no header says how long", func(t *testing.T) {
		f := start(t, nil)
		f.inject(github.Fault{Status: 429})
		done(t, f.client.SetStatus(t.Context(), f.begin, forge.Status{State: forge.Success, Context: "x"}))
		if f.waits() != time.Minute {
			t.Errorf("waited %s", f.waits())
		}
	})
}
