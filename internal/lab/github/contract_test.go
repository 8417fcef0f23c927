package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/lab/github/openapi"
)

// TestEveryOperation asks for everything that the stand-in serves once; the
// fixture holds each exchange against GitHub's description.
func TestEveryOperation(t *testing.T) {
	f := start(t, nil)
	f.api.AddCommit("main", "Begin", "flotilla.yaml")
	head := f.api.AddCommit("feature", "Change", "hosts/web.nix")
	number := f.api.OpenPull(github.Pull{Title: "A change", Head: "feature"})
	f.api.PutFile("dir/flotilla.yaml", []byte("fleet: acme\n"))
	f.api.PutPermission("octocat", "maintain")
	f.api.PutRun(github.Run{ID: 7, Status: "in_progress", SHA: head, Jobs: []github.Job{{Name: "deploy", Status: "in_progress"}, {Name: "test", Status: "completed", Conclusion: "success"}}})
	f.api.PutRun(github.Run{ID: 7, Attempt: 2, Status: "completed", Conclusion: "cancelled", SHA: head})
	comment := f.api.PutComment(number, "octocat", "/flotilla plan")
	f.want(201, "POST", root+"/deployments", `{"ref":"main","auto_merge":false,"required_contexts":[],"environment":"prod","payload":{"run":7}}`)
	deployment := f.api.Deployments()[0].ID
	f.want(201, "POST", root+"/check-runs", `{"name":"plan","head_sha":"`+head+`","status":"in_progress"}`)
	checks, _ := f.want(200, "GET", root+"/commits/"+head+"/check-runs", "").(map[string]any)
	runs, _ := checks["check_runs"].([]any)
	run, _ := runs[0].(map[string]any)

	for _, c := range []struct {
		status             int
		method, path, body string
	}{
		{200, "GET", "", ""},
		{201, "POST", "/issues", `{"title":"Drift","body":"b","labels":["flotilla"]}`},
		{200, "GET", "/issues?labels=flotilla&state=open&per_page=100", ""},
		{200, "GET", "/issues/2", ""},
		{200, "PATCH", "/issues/2", `{"state":"closed","state_reason":"completed"}`},
		{201, "POST", fmt.Sprintf("/issues/%d/comments", number), `{"body":"hello"}`},
		{200, "GET", fmt.Sprintf("/issues/%d/comments?per_page=100", number), ""},
		{200, "GET", fmt.Sprintf("/issues/comments/%d", comment), ""},
		{200, "PATCH", fmt.Sprintf("/issues/comments/%d", comment), `{"body":"changed"}`},
		{201, "POST", fmt.Sprintf("/issues/comments/%d/reactions", comment), `{"content":"eyes"}`},
		{200, "POST", fmt.Sprintf("/issues/comments/%d/reactions", comment), `{"content":"eyes"}`},
		{204, "DELETE", fmt.Sprintf("/issues/comments/%d", comment), ""},
		{200, "GET", "/pulls?state=all&base=main", ""},
		{200, "GET", fmt.Sprintf("/pulls/%d", number), ""},
		{200, "GET", fmt.Sprintf("/pulls/%d/commits", number), ""},
		{200, "GET", fmt.Sprintf("/pulls/%d/files", number), ""},
		{200, "GET", "/commits/" + head, ""},
		{200, "GET", "/commits/" + head + "/pulls", ""},
		{201, "POST", "/statuses/" + head, `{"state":"success","context":"flotilla/acme","description":"no changes"}`},
		{200, "GET", "/commits/" + head + "/statuses", ""},
		{200, "PATCH", fmt.Sprintf("/check-runs/%.0f", run["id"]), `{"conclusion":"success","output":{"title":"Plan","summary":"nothing"}}`},
		{200, "GET", "/compare/main..." + head, ""},
		{200, "GET", "/git/ref/heads/feature", ""},
		{200, "GET", "/contents/dir/flotilla.yaml?ref=main", ""},
		{200, "GET", "/deployments?environment=prod", ""},
		{200, "GET", fmt.Sprintf("/deployments/%d", deployment), ""},
		{201, "POST", fmt.Sprintf("/deployments/%d/statuses", deployment), `{"state":"success","log_url":"https://x.example/1","environment_url":"https://x.example"}`},
		{200, "GET", fmt.Sprintf("/deployments/%d/statuses", deployment), ""},
		{200, "GET", "/environments", ""},
		{200, "GET", "/environments/prod", ""},
		{200, "GET", "/actions/runs/7", ""},
		{200, "GET", "/actions/runs/7/attempts/1", ""},
		{200, "GET", "/actions/runs/7/jobs", ""},
		{200, "GET", "/actions/workflows/deploy.yml/runs?event=push&head_sha=" + head + "&per_page=1", ""},
		{201, "POST", "/actions/runs/7/rerun", ""},
		{200, "GET", "/collaborators/octocat/permission", ""},
	} {
		f.want(c.status, c.method, root+c.path, c.body)
	}
	counts := f.api.Requests()
	for _, operation := range openapi.Operations() {
		if counts[operation] == 0 {
			t.Errorf("%s was not asked for", operation)
		}
	}
}

func TestPermissions(t *testing.T) {
	f := start(t, nil)
	sha := f.api.AddCommit("main", "Begin")
	f.api.AddCommit("feature", "Change")
	number := f.api.OpenPull(github.Pull{Title: "A change", Head: "feature"})
	issue := f.api.PutIssue("octocat", "An issue", "")
	f.token = "none"
	for path, need := range map[string]string{
		fmt.Sprintf("POST /issues/%d/comments", number): "issues=write; pull_requests=write",
		"POST /statuses/" + sha:                         "statuses=write",
		"POST /deployments":                             "deployments=write",
		"GET /actions/runs/1":                           "actions=read",
		"POST /actions/runs/1/rerun":                    "actions=write",
		"GET /actions/workflows/plan.yml/runs":          "actions=read",
		"GET /compare/main...feature":                   "contents=read",
	} {
		method, path, _ := strings.Cut(path, " ")
		answer, text := f.call(method, root+path, "{}")
		if answer.StatusCode != http.StatusForbidden || !strings.Contains(text, "Resource not accessible by integration") ||
			answer.Header.Get("X-Accepted-GitHub-Permissions") != need {
			t.Errorf("%s: HTTP %d %s, needs %q", path, answer.StatusCode, text, answer.Header.Get("X-Accepted-GitHub-Permissions"))
		}
	}
	f.token = "wrong"
	f.want(http.StatusUnauthorized, "GET", root, "")

	// What is enough for a pull request is not for an issue.
	g := start(t, func(o *github.Options) {
		o.Tokens = []github.Token{{Value: "all", Permissions: map[string]string{"pull_requests": "write"}}}
	})
	if got := g.api.PutIssue("octocat", "An issue", ""); got != 1 {
		t.Fatalf("issue #%d, want 1 (in the other fixture #%d)", got, issue)
	}
	g.want(http.StatusForbidden, "POST", root+"/issues/1/comments", `{"body":"x"}`)
}

func TestPagesAndConditions(t *testing.T) {
	f := start(t, func(o *github.Options) { o.Limits.ContentsPerMinute = 500 })
	f.api.AddCommit("main", "Begin")
	number := f.api.OpenPull(github.Pull{Title: "A change", Head: "main"})
	for i := range 65 {
		f.api.PutComment(number, "octocat", fmt.Sprint(i))
	}
	path := fmt.Sprintf("%s/issues/%d/comments", root, number)
	for query, want := range map[string]struct {
		items int
		link  string
	}{
		"":                      {30, `rel="next"`},
		"?page=3":               {5, `rel="prev"`},
		"?per_page=100":         {65, ""},
		"?per_page=1000&page=2": {0, `rel="first"`},
	} {
		answer, text := f.call("GET", path+query, "")
		if got := strings.Count(text, `"node_id":"IC_`); got != want.items || !strings.Contains(answer.Header.Get("Link"), want.link) || (want.link == "") != (answer.Header.Get("Link") == "") {
			t.Errorf("%s: %d items, Link %q; want %d and %s", query, got, answer.Header.Get("Link"), want.items, want.link)
		}
	}

	f.want(422, "POST", path, `{"body":"`+strings.Repeat("ü", github.CommentLimit+1)+`"}`)
	f.want(201, "POST", path, `{"body":"`+strings.Repeat("ü", github.CommentLimit)+`"}`)
	f.want(422, "POST", path, `{}`)
	f.want(400, "POST", path, `{`)
	f.want(422, "POST", root+"/statuses/"+strings.Repeat("0", 40), `{"state":"success"}`)
	f.want(404, "GET", root+"/pulls/99", "")
	f.want(404, "GET", "/repos/other/repo", "")

	// Deployments: a red commit conflicts unless contexts are waived, an old
	// one would be merged unless that is waived.
	head := f.api.AddCommit("main", "More")
	f.want(201, "POST", root+"/statuses/"+head, `{"state":"pending","context":"ci"}`)
	f.want(409, "POST", root+"/deployments", `{"ref":"main"}`)
	f.api.AddCommit("old", "Aside")
	f.api.AddCommit("main", "Ahead")
	f.want(202, "POST", root+"/deployments", `{"ref":"old","required_contexts":[]}`)
	f.want(201, "POST", root+"/deployments", `{"ref":"old","required_contexts":[],"auto_merge":false}`)

	answer, _ := f.call("GET", root, "")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, f.server.URL+"/api/v3"+root, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer all")
	req.Header.Set("If-None-Match", answer.Header.Get("ETag"))
	again, err := f.server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Body.Close()
	if again.Header.Get("ETag") == "" {
		t.Errorf("no ETag below /api/v3: HTTP %d", again.StatusCode)
	}
}

func TestRateLimits(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := start(t, func(o *github.Options) {
		o.Limits.ContentsPerMinute = 2
		o.Now = func() time.Time { return now }
	})
	f.api.AddCommit("main", "Begin")
	number := f.api.OpenPull(github.Pull{Title: "A change", Head: "main"})
	path := fmt.Sprintf("%s/issues/%d/comments", root, number)
	f.want(201, "POST", path, `{"body":"1"}`)
	now = now.Add(20 * time.Second)
	f.want(201, "POST", path, `{"body":"2"}`)
	answer, text := f.call("POST", path, `{"body":"3"}`)
	if answer.StatusCode != 403 || answer.Header.Get("Retry-After") != "40" || !strings.Contains(text, "secondary rate limit") {
		t.Errorf("HTTP %d, Retry-After %q: %s", answer.StatusCode, answer.Header.Get("Retry-After"), text)
	}
	now = now.Add(40 * time.Second)
	f.want(201, "POST", path, `{"body":"3"}`)

	f.api.Throttle("all", 1, 10*time.Minute)
	f.want(200, "GET", root, "")
	answer, text = f.call("GET", root, "")
	if answer.StatusCode != 403 || answer.Header.Get("X-RateLimit-Remaining") != "0" || answer.Header.Get("X-RateLimit-Reset") != fmt.Sprint(now.Add(10*time.Minute).Unix()) {
		t.Errorf("HTTP %d %v: %s", answer.StatusCode, answer.Header, text)
	}
	now = now.Add(10 * time.Minute)
	f.want(200, "GET", root, "")
}

func TestFaults(t *testing.T) {
	f := start(t, nil)
	f.api.AddCommit("main", "Begin")
	number := f.api.OpenPull(github.Pull{Title: "A change", Head: "main"})
	path := fmt.Sprintf("%s/issues/%d/comments", root, number)
	f.want(201, "POST", "/_lab/faults", `{"method":"POST","path":"/comments$","status":502,"after":true}`)
	f.want(502, "POST", path, `{"body":"made"}`)
	if got := f.api.Comments(number); len(got) != 1 || got[0].Body != "made" {
		t.Errorf("comments after a lost answer: %v", got)
	}
	f.want(201, "POST", "/_lab/faults", `{"status":429,"retry_after":3,"skip":1}`)
	f.want(200, "GET", path, "")
	if answer, _ := f.call("GET", path, ""); answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "3" {
		t.Errorf("HTTP %d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
	}
	f.want(200, "GET", path, "")
	f.want(422, "POST", "/_lab/faults", `{"status":200}`)
	f.want(201, "POST", "/_lab/faults", `{"drop":true,"times":-1}`)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.server.URL+path, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := f.server.Client().Do(req); err == nil {
		answer.Body.Close()
		t.Errorf("a dropped connection answered HTTP %d", answer.StatusCode)
	}
	f.want(204, "DELETE", "/_lab/faults", "")
	f.want(200, "GET", path, "")
}

// TestMergedPulls holds the three ways to merge to what GitHub tells of them.
func TestMergedPulls(t *testing.T) {
	for _, c := range []struct {
		method  string
		last    bool
		commits int // on the default branch since the base, all parents
		linked  int // of these, how many lead to the pull request
		parents int // of the last one
	}{
		{method: github.Merge, commits: 3, linked: 3, parents: 2},
		{method: github.Squash, commits: 1, linked: 1, parents: 1},
		{method: github.Rebase, commits: 2, linked: 2, parents: 1},
		{method: github.Rebase, last: true, commits: 2, linked: 1, parents: 1},
	} {
		t.Run(fmt.Sprint(c.method, c.last), func(t *testing.T) {
			f := start(t, func(o *github.Options) { o.RebaseLinksLast = c.last })
			base := f.api.AddCommit("main", "Begin")
			f.api.AddCommit("feature", "One")
			f.api.AddCommit("feature", "Two")
			number := f.api.OpenPull(github.Pull{Title: "A change", Head: "feature"})
			f.api.AddCommit("main", "Meanwhile")
			sha, err := f.api.MergePull(number, c.method)
			if err != nil {
				t.Fatal(err)
			}
			compared, _ := f.want(200, "GET", root+"/compare/"+base+"...main", "").(map[string]any)
			commits, _ := compared["commits"].([]any)
			if len(commits) != c.commits+1 {
				t.Errorf("%d commits, want %d and the one meanwhile", len(commits), c.commits)
			}
			linked := 0
			for _, item := range commits {
				commit, _ := item.(map[string]any)
				pulls, _ := f.want(200, "GET", fmt.Sprintf("%s/commits/%s/pulls", root, commit["sha"]), "").([]any)
				linked += len(pulls)
				if parents, _ := commit["parents"].([]any); commit["sha"] == sha && len(parents) != c.parents {
					t.Errorf("%d parents, want %d", len(parents), c.parents)
				}
			}
			if linked != c.linked {
				t.Errorf("%d commits lead to the pull request, want %d", linked, c.linked)
			}
		})
	}
}

// TestRuns: a workflow's runs are listed newest first, by their last attempt,
// and run again only when they are over.
func TestRuns(t *testing.T) {
	f := start(t, nil)
	for _, run := range []github.Run{
		{ID: 3, Status: "completed", Conclusion: "failure", SHA: "a", Event: "pull_request", Workflow: "plan.yml"},
		{ID: 9, Status: "completed", Conclusion: "success", SHA: "a", Event: "pull_request", Workflow: "plan.yml"},
		{ID: 5, Status: "completed", Conclusion: "success", SHA: "b", Event: "pull_request", Workflow: "plan.yml"},
		{ID: 7, Status: "in_progress", SHA: "a"},
	} {
		f.api.PutRun(run)
	}
	ids := func(query string) string {
		t.Helper()
		answer, _ := f.want(200, "GET", root+"/actions/workflows/plan.yml/runs"+query, "").(map[string]any)
		runs, _ := answer["workflow_runs"].([]any)
		text := fmt.Sprintf("%v:", answer["total_count"])
		for _, item := range runs {
			run, _ := item.(map[string]any)
			text += fmt.Sprintf(" %v/%v %v", run["id"], run["run_attempt"], run["status"])
		}
		return text
	}
	f.want(201, "POST", root+"/actions/runs/3/rerun", "")
	f.want(403, "POST", root+"/actions/runs/3/rerun", "")
	f.want(403, "POST", root+"/actions/runs/7/rerun", "")
	f.want(404, "POST", root+"/actions/runs/8/rerun", "")
	f.want(404, "GET", root+"/actions/workflows/other.yml/runs", "")
	for query, want := range map[string]string{
		"":                            "3: 9/1 completed 5/1 completed 3/2 queued",
		"?head_sha=a":                 "2: 9/1 completed 3/2 queued",
		"?head_sha=a&event=push":      "0:",
		"?head_sha=b&per_page=1":      "1: 5/1 completed",
		"?event=pull_request&page=99": "3:",
	} {
		if got := ids(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	if all := f.api.Runs(); len(all) != 5 || all[4].ID != 3 || all[4].Attempt != 2 {
		t.Errorf("runs: %+v", all)
	}
}
