package job_test

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// A comment's job is one of the default branch. Where the fleet is deployed from
// another one, it has nothing to deploy and nothing to take back.
func TestChatOnAnotherBranch(t *testing.T) {
	r, p := chat(t)
	r.merge(p, github.Merge)
	r.flow.onDeploy, r.flow.onBack, r.flow.onUnlock = nil, nil, nil // none may be called
	for _, text := range []string{"/flotilla deploy", "/flotilla deploy --confirm", "/flotilla rollback web-1", "/flotilla release web-1", "/flotilla unlock"} {
		e := r.onComment(p, "ada", text).with("branch", "release")
		r.run(e).want(problem.Usage, `the fleet is deployed from the branch "release" alone`)
		if got := r.reactions(e); got != "confused" {
			t.Errorf("%q: reactions %q", text, got)
		}
		all := r.answers(p.number)
		if len(all) == 0 || !strings.Contains(all[len(all)-1].Body, "release") {
			t.Errorf("%q: answers %+v", text, all)
		}
	}
}

// What is no clear word to us does nothing, whichever letters it is made of.
func TestChatOddWords(t *testing.T) {
	r, p := chat(t)
	r.merge(p, github.Merge)
	nothing := func(string) { t.Error("something is done") }
	r.flow.onBack = func(o deploy.RollbackOptions) (plans.Result, error) {
		nothing(o.To)
		return plans.Result{}, nil
	}
	r.flow.onFree = func(fleet.Selector) (plans.Result, error) { nothing(""); return plans.Result{}, nil }
	for _, text := range []string{
		"/flotilla deploy ,", "/flotilla deploy web-1,,web-2", "/flotilla rollback ,", "/flotilla release !",
		"/flotilla rollback --to", "/flotilla rollback --to= --dry-run=perhaps web-1", "/flotilla --confirm", "/flotilla --", "/flotilla -",
		"/flotilla deploy -h", "/flotilla help", "/flotilla deploy \u202eweb-1\u2066@x", "/flotilla deploy --\u00adconfirm", "/flotilla deploy --confirm=yes!",
		"/flotilla DEPLOY", "/flotilla\u00a0deploy\u200b", "/flotilla deploy " + strings.Repeat("[", 60000), "/flotilla deploy --on=web-1",
	} {
		e := r.onComment(p, "ada", text)
		done := r.run(e)
		if done.exit != problem.Usage {
			t.Errorf("%.80q: exit code %d: %v", text, done.exit, done.err)
		}
		for _, c := range r.answers(p.number) {
			if len(c.Body) > 65536 || strings.Contains(strings.ReplaceAll(c.Body, "/flotilla ", ""), "\u202e") {
				t.Errorf("%.80q: answer of %d bytes: %.300q", text, len(c.Body), c.Body)
			}
		}
	}
}
