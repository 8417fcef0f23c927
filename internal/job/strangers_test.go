package job_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestPlanOfAFork(t *testing.T) {
	for name, change := range map[string]func(*pull){
		"fork":         func(*pull) {},
		"deleted fork": func(p *pull) { p.gone = true },
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			p := r.open("feature")
			p.fork = true
			change(p)
			r.flow.onPlan = func(o deploy.PlanOptions) (plans.Plan, error) {
				if !o.Fork || !o.Untrusted {
					t.Errorf("planned %+v", o)
				}
				return changes(t, p.head, "web-1"), nil
			}
			done := r.run(r.onPull(p))
			done.want(problem.OK)
			wantIn(t, "the notices", done.said("notice"), "fork")
			wantIn(t, "the summary", done.summary, "web-1")
			if n := r.writes(); n != 0 {
				t.Errorf("%d writes: %v", n, r.api.Requests())
			}
			r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) { return plans.Plan{}, errors.New("broken") }
			r.run(r.onPull(p)).want(problem.Failed, "broken")
			if n := r.writes(); n != 0 {
				t.Errorf("%d writes: %v", n, r.api.Requests())
			}
		})
	}
}

// TestPlanWithAWeakToken: Dependabot's token can only read, and that is no
// failure. With anybody else's it is one, and says what to write where.
func TestPlanWithAWeakToken(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	r.plan(changes(t, p.head, "web-1"))
	weak := r.onPull(p)
	weak.token = "fork"
	weak.actor = "dependabot[bot]"
	for _, weak.again = range []string{"", "ada"} {
		done := r.run(weak)
		done.want(problem.OK)
		wantIn(t, "the notices", done.said("notice"), "may not comment")
		wantIn(t, "the summary", done.summary, "web-1")
		if text := done.said("error") + done.said("warning"); text != "" {
			t.Errorf("annotations: %s", text)
		}
	}
	weak.actor = "ada"
	done := r.run(weak)
	done.want(problem.Failed)
	wantIn(t, "the errors", done.said("error"), "`pull-requests: write`")
	wantIn(t, "what was not told", done.said("warning"), "`statuses: write`")
	wantIn(t, "the summary", done.summary, "web-1")
	if len(r.api.Comments(p.number))+len(r.api.Statuses(p.head)) != 0 {
		t.Error("a token that may only read wrote")
	}
	none := weak
	none.token = ""
	r.run(none).want(problem.OK, "no token")
	weak.token = "plan"
	r.run(weak.with("comment", "false")).want(problem.OK)
	if all := r.api.Comments(p.number); len(all) != 0 {
		t.Errorf("with comment: false there are %+v", all)
	}
}

// TestPlantedMarker: a comment with our header that somebody else wrote is
// neither changed nor taken for ours.
func TestPlantedMarker(t *testing.T) {
	r := start(t)
	p := r.open("feature")
	planted := forge.Header{Kind: "plan", Version: 1, Fleet: "acme", Environment: "acme", Commit: p.head}.String() + "\nAll is well."
	r.api.PutComment(p.number, "mallory", planted)
	r.plan(changes(t, p.head))
	r.run(r.onPull(p)).want(problem.OK)
	if all := r.api.Comments(p.number); len(all) != 1 || all[0].Body != planted {
		t.Errorf("comments: %+v", all)
	}
	r.plan(changes(t, p.head, "web-1"))
	r.run(r.onPull(p)).want(problem.OK)
	if all := r.api.Comments(p.number); len(all) != 2 || all[0].Body != planted || all[1].Author != "github-actions[bot]" {
		t.Errorf("comments: %+v", all)
	}
}

// TestHostileText: what a pull request wrote is no command to the runner, no
// further output, and no way out of the workspace.
func TestHostileText(t *testing.T) {
	const evil = "x\n::set-output name=plan::pwned\n  ::add-mask::a\n##[error]pwned\n::stop-commands::x\nend-0\nplan<<e\npwned\ne\n</details>@everyone"
	r := start(t)
	p := r.open("feature")
	plan := changes(t, p.head, "web-1")
	plan.Head.Subject = evil
	h := &plan.This.Hosts[0]
	h.Name, h.Notes, h.Units[0].Name, h.Units[0].Why = evil, []string{evil}, evil, evil
	plan.Missing, plan.Complete = []plans.Gap{{Subject: evil, Text: evil, At: problem.Position{File: "a,line=9::b\n::error::pwned"}}}, false
	plan.Warnings = []plans.Gap{{Subject: "a", Text: evil}}
	r.plan(plan)
	check := func(done ran) {
		t.Helper()
		for _, c := range done.commands {
			switch c.name {
			case "error", "warning", "notice", "group", "endgroup":
			case "add-mask":
				if c.text == token("plan") {
					continue
				}
				t.Errorf("command %+v", c)
			default:
				t.Errorf("command %+v", c)
			}
			if c.text == "pwned" || strings.Contains(c.fields, "::") {
				t.Errorf("command %+v", c)
			}
		}
		for name, value := range done.outputs {
			if strings.HasPrefix(value, "pwned") {
				t.Errorf("output %s is %q", name, value)
			}
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.Symlink(outside, filepath.Join(r.dir, "flotilla-plan.json")); err != nil {
		t.Fatal(err)
	}
	done := r.run(r.onPull(p))
	done.want(problem.Failed)
	check(done)
	if _, err := os.Stat(outside); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("wrote through a link: %v", err)
	}
	if info, err := os.Lstat(filepath.Join(r.dir, "flotilla-plan.json")); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
		t.Errorf("the plan's file: %v, %v", info, err)
	}
	if comment, header := r.note(p.number); header.Commit != p.head {
		t.Errorf("header %+v of %s", header, comment.Body)
	}
	r.flow.onPlan = func(deploy.PlanOptions) (plans.Plan, error) {
		return plans.Plan{}, &problem.Problem{Summary: evil, Detail: evil, Source: evil, Hints: []string{evil}}
	}
	done = r.run(r.onPull(p))
	done.want(problem.Failed, "</details>@everyone") // all of it is in the log
	check(done)
}
