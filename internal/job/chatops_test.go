package job_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// chat is a rig in which ada may write and eve may not.
func chat(t *testing.T) (*rig, *pull) {
	r := start(t)
	r.api.PutPermission("ada", "write")
	r.api.PutPermission("eve", "triage")
	return r, r.open("feature")
}

// reactions are those to the comment of an event.
func (r *rig) reactions(e event) string {
	comment, _ := e.payload["comment"].(map[string]any)
	issue, _ := e.payload["issue"].(map[string]any)
	number, _ := issue["number"].(int)
	for _, c := range r.api.Comments(number) {
		if c.ID == comment["id"] {
			return strings.ReplaceAll(strings.Join(c.Reactions, ", "), " github-actions[bot]", "")
		}
	}
	return "the comment is gone"
}

// answers are our comments on a pull request.
func (r *rig) answers(number int) []github.Comment {
	return slices.DeleteFunc(r.api.Comments(number), func(c github.Comment) bool { return c.Author != "github-actions[bot]" })
}

// names selects hosts among three.
func names(t *testing.T, s fleet.Selector) string {
	t.Helper()
	if s.All() {
		return "all"
	}
	list, err := s.Select(map[string][]string{"web-1": {"web"}, "web-2": {"web"}, "db": nil})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(list, " ")
}

func TestChatDeploy(t *testing.T) {
	r, p := chat(t)
	open := r.onComment(p, "ada", "/flotilla deploy web-1")
	done := r.run(open)
	done.want(problem.Refused)
	if got := r.reactions(open); !strings.HasPrefix(got, "eyes") || strings.Contains(got, "rocket") {
		t.Errorf("reactions %q", got)
	}
	if all := r.answers(p.number); len(all) != 1 || !strings.Contains(all[0].Body, "is not merged") {
		t.Errorf("answers %+v", all)
	}
	head := r.merge(p, github.Merge)
	var asked deploy.Options
	r.flow.onDeploy = func(_ context.Context, o deploy.Options) (plans.Result, error) {
		asked = o
		return result(t, head, map[string]fleet.Outcome{"web-1": fleet.Deployed}), nil
	}
	for text, want := range map[string]string{
		"/flotilla deploy":                             "all false false",
		"/flotilla deploy web-1":                       "web-1 false false",
		"  /flotilla   deploy web-1 db\r\n\r\nplease":  "db web-1 false false",
		"/flotilla deploy @web --confirm":              "web-1 web-2 true false",
		"/flotilla deploy --retry-bad web-* --confirm": "web-1 web-2 true true",
	} {
		e := r.onComment(p, "ada", text)
		e.sha = head
		done := r.run(e)
		done.want(problem.OK)
		if got := fmt.Sprint(names(t, asked.On), " ", asked.Confirm, " ", asked.RetryBad); got != want || asked.Head != head {
			t.Errorf("%q deploys %s at %s, want %s", text, got, asked.Head, want)
		}
		if got := r.reactions(e); got != "eyes, rocket" {
			t.Errorf("%q: reactions %q", text, got)
		}
		d, states := r.states()
		if d.SHA != head || !slices.Equal(states, []string{"in_progress", "success"}) || !strings.Contains(d.Description, "ada") {
			t.Errorf("%q: deployment %+v", text, d)
		}
	}
	r.wantResultOn(p.number, head, "1 deployed")
	r.flow.onDeploy = deploys(result(t, head, map[string]fleet.Outcome{"web-1": fleet.RolledBack}))
	e := r.onComment(p, "ada", "/flotilla deploy web-1")
	r.run(e).want(problem.NotDeployed)
	r.wantResultOn(p.number, head, "rolled-back")
	if got := r.reactions(e); strings.Contains(got, "rocket") {
		t.Errorf("reactions %q", got)
	}
}

func TestChatRollback(t *testing.T) {
	r, p := chat(t)
	var asked deploy.RollbackOptions
	r.flow.onBack = func(o deploy.RollbackOptions) (plans.Result, error) {
		asked = o
		return back(t, o), nil
	}
	for text, want := range map[string]string{
		"/flotilla rollback web-1 --to previous":    "web-1 previous false",
		"/flotilla rollback web-1":                  "web-1 previous false",
		"/flotilla rollback --to=abcdef1 @web":      "web-1 web-2 abcdef1 false",
		"/flotilla rollback web-1 --dry-run --to 7": "web-1 7 true",
	} {
		count := len(r.api.Deployments())
		e := r.onComment(p, "ada", text)
		r.run(e).want(problem.OK)
		if got := fmt.Sprint(names(t, asked.On), " ", asked.To, " ", asked.DryRun); got != want {
			t.Errorf("%q rolls back %s, want %s", text, got, want)
		}
		if !strings.Contains(asked.Reason, fmt.Sprintf("#%d", p.number)) || r.reactions(e) != "eyes, rocket" {
			t.Errorf("%q: reason %q, reactions %q", text, asked.Reason, r.reactions(e))
		}
		if got := len(r.api.Deployments()) - count; (got == 0) != asked.DryRun {
			t.Errorf("%q: %d deployments", text, got)
		}
	}
	if all := r.answers(p.number); len(all) == 0 || !strings.Contains(all[len(all)-1].Body, "rollback") {
		t.Errorf("answers %+v", all)
	}
	e := r.onComment(p, "ada", "/flotilla rollback")
	done := r.run(e)
	done.want(problem.Usage)
	if got := r.reactions(e); strings.Contains(got, "rocket") {
		t.Errorf("reactions %q", got)
	}
	if all := r.answers(p.number); !strings.Contains(all[len(all)-1].Body, "Name the hosts") {
		t.Errorf("nobody is told that hosts are missing: %+v", all)
	}
	r.flow.onFree = func(on fleet.Selector) (plans.Result, error) {
		if names(t, on) != "web-1" {
			t.Errorf("released %s", names(t, on))
		}
		return result(t, r.begin, map[string]fleet.Outcome{"web-1": fleet.Unchanged}), nil
	}
	r.run(r.onComment(p, "ada", "/flotilla release web-1")).want(problem.OK)
}

// TestChatPlan: the pull request's own job plans, this one only starts it.
func TestChatPlan(t *testing.T) {
	r, p := chat(t)
	none := r.onComment(p, "ada", "/flotilla plan")
	r.run(none).want(problem.Failed)
	if all := r.answers(p.number); len(all) != 1 || !strings.Contains(all[0].Body, "plan.yml") {
		t.Errorf("answers %+v", all)
	}
	r.api.PutRun(github.Run{ID: 5, Status: "completed", Conclusion: "success", SHA: p.head, Event: "pull_request", Workflow: "my-plan.yml"})
	r.api.PutRun(github.Run{ID: 6, Status: "completed", Conclusion: "success", SHA: r.begin, Event: "pull_request", Workflow: "my-plan.yml"})
	e := r.onComment(p, "ada", "/flotilla plan").with("plan-workflow", "my-plan.yml")
	done := r.run(e)
	done.want(problem.OK)
	wantIn(t, "the notices", done.said("notice"), "/actions/runs/5")
	if all := r.api.Runs(); len(all) != 3 || all[2].ID != 5 || all[2].Attempt != 2 {
		t.Errorf("runs %+v", all)
	}
	if got := r.reactions(e); !strings.HasPrefix(got, "eyes") {
		t.Errorf("reactions %q", got)
	}
}

func TestChatUnlock(t *testing.T) {
	r, p := chat(t)
	r.flow.onUnlock = func() (deploy.Unlocked, error) {
		return deploy.Unlocked{Fleet: "acme", Held: true, Broken: true, Holder: "ada's laptop @everyone"}, nil
	}
	e := r.onComment(p, "ada", "/flotilla unlock")
	r.run(e).want(problem.OK)
	all := r.answers(p.number)
	if len(all) != 1 || !strings.Contains(all[0].Body, "Broke the lock") || strings.Contains(all[0].Body, " @everyone") || r.reactions(e) != "eyes, rocket" {
		t.Errorf("answers %+v, reactions %q", all, r.reactions(e))
	}
}

// TestChatNonsense is answered, each time where it was said.
func TestChatNonsense(t *testing.T) {
	r, p := chat(t)
	for _, text := range []string{"/flotilla", "/flotilla destroy all", "/flotilla deploy --force", "/flotilla deploy web-1 --dry-run", "/flotilla unlock web-1", "/flotilla rollback !@#$ --to", "/flotilla plan `x` @everyone ::error::x"} {
		e := r.onComment(p, "ada", text)
		done := r.run(e)
		done.want(problem.Usage)
		if got := r.reactions(e); got != "confused" {
			t.Errorf("%q: reactions %q", text, got)
		}
		comments := r.api.Comments(p.number)
		last := comments[len(comments)-1]
		if last.Author != "github-actions[bot]" || !strings.Contains(last.Body, "/flotilla plan, deploy") {
			t.Errorf("%q: the last comment is %+v", text, last)
		}
	}
	shown := 0
	for _, c := range r.answers(p.number) {
		if c.Minimized == "" {
			shown++
		}
	}
	if shown != 1 {
		t.Errorf("%d answers are not outdated", shown)
	}
}

// TestChatOfNobody: who may not write is told so and obeyed in nothing, and
// what is not said to us is not read.
func TestChatOfNobody(t *testing.T) {
	r, p := chat(t)
	for _, who := range []string{"eve", "stranger"} {
		e := r.onComment(p, who, "/flotilla unlock")
		done := r.run(e)
		done.want(problem.OK)
		wantIn(t, "the notices", done.said("notice"), "no write access")
		if got := r.reactions(e); got != "-1" {
			t.Errorf("%s: reactions %q", who, got)
		}
	}
	r.api.ForgetRequests()
	edited, bot, deleted := r.onComment(p, "ada", "/flotilla unlock"), r.onComment(p, "ada", "/flotilla unlock"), r.onComment(p, "ada", "/flotilla unlock")
	edited.payload["action"], deleted.payload["action"] = "edited", "deleted"
	comment, _ := bot.payload["comment"].(map[string]any)
	comment["user"] = map[string]any{"login": "renovate[bot]", "type": "Bot"}
	issue := r.onComment(p, "ada", "/flotilla unlock")
	issue.payload["issue"] = map[string]any{"number": r.api.PutIssue("ada", "An issue", "")}
	for name, e := range map[string]event{
		"edited": edited, "bot": bot, "deleted": deleted, "issue": issue, "talk": r.onComment(p, "ada", "Try /flotilla unlock"),
		"word": r.onComment(p, "ada", "/flotillas unlock"), "quote": r.onComment(p, "ada", "> /flotilla unlock"), "empty": r.onComment(p, "ada", ""),
	} {
		done := r.run(e)
		done.want(problem.OK)
		if n := r.api.Requests().Total(); n != 0 {
			t.Errorf("%s: requests %v", name, r.api.Requests())
		}
	}
	off := r.onComment(p, "ada", "/flotilla unlock").with("chatops", "false")
	r.run(off).want(problem.Refused, "chatops: true")
	r.run(off.with("chatops", "true", "command", "deploy")).want(problem.Usage, "the comment says what to do")
	if n := r.writes(); n != 0 {
		t.Errorf("%d writes", n)
	}
	none := r.onComment(p, "ada", "/flotilla unlock")
	none.token = ""
	r.run(none).want(problem.Usage, "token")
}

// TestChatWhenGitHubIsDown: who somebody is cannot be told, so nothing is done.
func TestChatWhenGitHubIsDown(t *testing.T) {
	r, p := chat(t)
	e := r.onComment(p, "ada", "/flotilla unlock")
	r.inject(github.Fault{Path: "/collaborators/", Status: 500, Times: github.Always})
	done := r.run(e)
	done.want(problem.Failed)
	wantIn(t, "the errors", done.said("error"), "what \"ada\" may do")
}
