//go:build integration

package e2e

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

// permissions are those that the example workflows give their jobs, and a
// fork's, which GitHub makes read-only whatever the workflow says.
func permissions(t *testing.T) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{"fork": {}}
	for _, name := range []string{"plan", "deploy", "rollback", "drift"} {
		var workflow struct {
			Jobs map[string]struct {
				Permissions map[string]string `yaml:"permissions"`
			} `yaml:"jobs"`
		}
		if err := yaml.Unmarshal([]byte(read(t, "../../examples/workflows/"+name+".yml")), &workflow); err != nil {
			t.Fatal(err)
		}
		all[name] = map[string]string{}
		for scope, level := range workflow.Jobs[name].Permissions {
			all[name][strings.ReplaceAll(scope, "-", "_")] = level
		}
		if all[name]["contents"] != "read" {
			t.Fatalf("%s.yml gives its job %v", name, all[name])
		}
	}
	for scope := range all["plan"] {
		all["fork"][scope] = "read"
	}
	return all
}

// The action in its image, as jobs of one repository in order: what people see
// at GitHub, and what the hosts run.
func TestGitHub(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-github", func(r *rig) {
		r.replace(t, "flotilla.yaml", "activation_timeout: 2m", "activation_timeout: 60s\n  confirm_timeout: 40s\n\nreview:\n  direct_push: refuse")
	})
	w := &runner{hub: newHub(t, r, permissions(t)), image: buildImage(t)}
	a := newAct(t, w)
	step := func(name string, run func(t *testing.T)) {
		t.Helper()
		if !t.Run(name, func(t *testing.T) { run(t); w.sound(t) }) {
			t.FailNow() // what comes after stands on it
		}
	}
	step("the image", func(t *testing.T) { theImage(t, w.image) })
	step("without a network", w.offline)
	step("first deploy", w.firstDeploy)
	step("a direct push", w.directPush)
	step("plan comment", a.planComment)
	step("merged by merge", a.mergedGreen)
	step("forks", w.forks)
	step("merged by squash, unhealthy", w.unhealthy)
	step("two merges in a row", w.twoMerges)
	step("an old job runs again", w.rerun)
	step("unreviewed", w.unreviewed)
	step("rollback, hold, release", a.rollback)
	step("drift", w.drift)
	step("GitHub is down", w.gitHubDown)
	step("a plan too large", w.tooLarge)
	step("another endpoint", w.elsewhere)
	step("cancelled", w.cancelled)
}

// offline plans a pull request with next to nothing, and measures the start.
func (w *runner) offline(t *testing.T) {
	p := w.open(t, "Greet without a network", "", func() { w.r.greet(t, "From a closed network.") })
	w.alone(t, p)
	w.starts(t, w.onPull(p, "opened"))
}

// firstDeploy makes the fleet: what no pull request could have compared with
// anything is told and not refused.
func (w *runner) firstDeploy(t *testing.T) {
	sha := w.r.head("main")
	ended := w.do(t, 0, w.onPush(sha))
	if page := w.r.page(t); !strings.Contains(page, "Hello from the fleet.") {
		t.Errorf("the page says %q", page)
	}
	if got := ended.outputs["changed-hosts"]; got != `["app","web"]` || !strings.Contains(ended.log, "first deployment") {
		t.Errorf("changed hosts: %s\n%s", got, ended.log)
	}
	w.deployment(t, "deploy", sha, "in_progress", "success")
}

// directPush is refused by the fleet's policy.
func (w *runner) directPush(t *testing.T) {
	before := w.r.runs(t, "web")
	w.r.greet(t, "Pushed past review.")
	sha := w.push(t, "main")
	ended := w.do(t, 5, w.onPush(sha))
	if w.r.runs(t, "web") != before || !strings.Contains(ended.summary, sha[:7]) || !strings.Contains(ended.summary, "Pushed past review.") {
		t.Errorf("web was changed, or the summary does not name the commit:\n%s", ended.summary)
	}
	w.deployment(t, "deploy", sha, "in_progress", "error")
	w.r.git(t, "revert", "--no-edit", "HEAD")
	w.push(t, "main")
}

// deployment checks the newest deployment at GitHub and its states in order.
func (w *runner) deployment(t *testing.T, task, sha string, states ...string) {
	t.Helper()
	all := w.api.Deployments()
	if len(all) == 0 {
		t.Fatal("there is no deployment at GitHub")
	}
	last := all[len(all)-1]
	var got []string
	for _, s := range last.Statuses {
		got = append(got, s.State)
		if !strings.HasPrefix(s.LogURL, w.url+"/"+repository+"/actions/runs/") {
			t.Errorf("status %s leads to %q", s.State, s.LogURL)
		}
	}
	if last.Task != task || last.SHA != sha || last.Environment != "example" || strings.Join(got, " ") != strings.Join(states, " ") {
		t.Errorf("the deployment at GitHub: %s of %s to %s, states %v, want %s of %s, %v", last.Task, last.SHA, last.Environment, got, task, sha, states)
	}
}

// comment gives the only comment on a pull request of a kind of ours.
func (w *runner) comment(t *testing.T, p *pull, kind string) github.Comment {
	t.Helper()
	var found []github.Comment
	for _, c := range w.api.Comments(p.number) {
		if strings.HasPrefix(c.Body, "<!-- flotilla:"+kind+" ") {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d %s comments on #%d", len(found), kind, p.number)
	}
	return found[0]
}

// planComment keeps one comment through two pushes.
func (w *act) planComment(t *testing.T) {
	p := w.open(t, "Greet twice", "", func() { w.r.greet(t, "A first try.") })
	log := w.workflow(t, "plan.yml", w.onPull(p, "opened"))
	first := w.comment(t, p, "plan")
	for name, text := range map[string]string{"comment": first.Body, "log": log} {
		if !strings.Contains(text, "nginx.service") {
			t.Errorf("the %s does not tell what restarts:\n%s", name, text)
		}
	}
	for _, file := range []string{"flotilla-plan.json", "flotilla-plan.html"} {
		if !strings.Contains(log, "uploads "+file) {
			t.Errorf("%s is not uploaded:\n%s", file, log)
		}
	}
	if states := w.api.Statuses(p.head); len(states) != 1 || states[0].State != "success" {
		t.Errorf("statuses of the head: %+v", states)
	}

	w.again(t, p, "Install more", func() {
		w.r.replace(t, "hosts/app.nix", `deployment.tags = [ "app" ];`, "deployment.tags = [ \"app\" ];\n  environment.etc.\"motd-of-app\".text = \"app\";")
	})
	pushed := w.do(t, 0, w.onPull(p, "synchronize"))
	second := w.comment(t, p, "plan")
	plan := planOf(t, pushed.workspace, pushed.outputs["plan"])
	if len(plan.This.Hosts) != 2 || !plan.Complete || !strings.Contains(pushed.summary, "nginx.service") {
		t.Errorf("plan: %+v\nsummary:\n%s", plan, pushed.summary)
	}
	if got := pushed.outputs["changed-hosts"]; got != `["app","web"]` {
		t.Errorf("changed hosts: %s", got)
	}
	if second.ID != first.ID || !strings.Contains(second.Body, "motd-of-app") {
		t.Errorf("comment %d became %d:\n%s", first.ID, second.ID, second.Body)
	}
	w.reviewed = p
}

// mergedGreen deploys what was reviewed: told at GitHub from begin to end.
func (w *act) mergedGreen(t *testing.T) {
	p := w.reviewed
	sha := w.merge(t, p, github.Merge)
	log := w.workflow(t, "deploy.yml", w.onPush(sha))
	if page := w.r.page(t); !strings.Contains(page, "A first try.") {
		t.Errorf("the page says %q", page)
	}
	w.deployment(t, "deploy", sha, "in_progress", "success")
	if c := w.comment(t, p, "deploy"); !strings.Contains(c.Body, "web") {
		t.Errorf("the comment on the merged pull request:\n%s", c.Body)
	}
	for _, want := range []string{`set-output:: changed-hosts=["app","web"]`, "set-output:: rolled-back-hosts=[]", `"outcome": "deployed"`, "uploads flotilla-result.json", "host web: deployed"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log has no %s:\n%s", want, log)
		}
	}
}

// forks get a plan in the summary, and nothing else.
func (w *runner) forks(t *testing.T) {
	p := w.open(t, "Greet from a fork", "mallory", func() { w.r.greet(t, "From a fork.") })
	ended := w.do(t, 0, w.onPull(p, "opened"))
	if !strings.Contains(ended.summary, "nginx.service") {
		t.Errorf("summary:\n%s", ended.summary)
	}
	if comments := w.api.Comments(p.number); len(comments) != 0 || len(w.api.Statuses(p.head)) != 0 {
		t.Errorf("a fork's job told GitHub something: %+v", comments)
	}
}

// unhealthy is a reviewed change that does not come up: put back, and told so.
func (w *runner) unhealthy(t *testing.T) {
	good := w.r.runs(t, "web")
	p := w.open(t, "Move the page", "", func() { w.r.replace(t, "hosts/web.nix", "root = page;", `root = "/nowhere";`) })
	w.do(t, 0, w.onPull(p, "opened"))
	sha := w.merge(t, p, github.Squash)
	ended := w.do(t, 3, w.onPush(sha))
	if w.r.runs(t, "web") != good || w.r.boots(t, "web") != good {
		t.Errorf("web runs %s and boots %s, want %s", w.r.runs(t, "web"), w.r.boots(t, "web"), good)
	}
	w.deployment(t, "deploy", sha, "in_progress", "failure")
	if got := ended.outputs["rolled-back-hosts"]; got != `["web"]` {
		t.Errorf("rolled back: %s", got)
	}
	if c := w.comment(t, p, "deploy"); !strings.Contains(c.Body, "rolled") || !strings.Contains(c.Body, "www.example.com") {
		t.Errorf("the comment on the merged pull request does not tell what failed:\n%s", c.Body)
	}
}

// twoMerges leaves the older run of two superseded; the newer one takes both.
func (w *runner) twoMerges(t *testing.T) {
	back := w.open(t, "Move the page back", "", func() { w.r.replace(t, "hosts/web.nix", `root = "/nowhere";`, "root = page;") })
	w.do(t, 0, w.onPull(back, "opened"))
	older := w.onPush(w.merge(t, back, github.Merge))
	more := w.open(t, "Greet again", "", func() { w.r.greet(t, "A second try.") })
	w.do(t, 0, w.onPull(more, "opened"))
	newer := w.onPush(w.merge(t, more, github.Rebase))

	w.older = older.sha
	before := w.r.runs(t, "web")
	ended := w.do(t, 0, older)
	if !strings.Contains(ended.summary, "uperseded") || w.r.runs(t, "web") != before {
		t.Errorf("the older run of two changed web, or does not say that it is superseded:\n%s", ended.summary)
	}

	// The newer run dies with its machine; run again it does not wait for the
	// lock that the dead one left.
	newer.run, newer.attempt = w.runs+1, 1
	w.runs++
	dying := newer
	dying.watch = func(line string, _ *exec.Cmd) {
		if strings.Contains(line, " evaluate ") {
			_ = exec.Command("docker", "kill", w.container(dying)).Run() // the end is seen by the code
		}
	}
	if died := w.start(t, dying); died.code != 137 {
		t.Fatalf("the killed run ended with exit code %d\n%s", died.code, died.log)
	}
	newer.attempt = 2
	again := w.do(t, 0, newer)
	if page := w.r.page(t); !strings.Contains(page, "A second try.") || !strings.Contains(again.log, "breaks the lock of") {
		t.Errorf("the page says %q, the log:\n%s", page, again.log)
	}
	for _, p := range []*pull{back, more} {
		w.comment(t, p, "deploy")
	}
}
