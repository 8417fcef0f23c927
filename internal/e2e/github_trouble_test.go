//go:build integration

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

// tooLarge plans what no comment holds: totals stay, and the rest is elsewhere.
func (w *runner) tooLarge(t *testing.T) {
	const files = 1500
	p := w.open(t, "Write many files", "", func() {
		w.r.replace(t, "hosts/app.nix", `environment.etc."motd-of-app".text = "app";`, fmt.Sprintf(`environment.etc = builtins.listToAttrs (builtins.genList (n: {
    name = "many/a-file-whose-name-takes-some-room-in-a-comment-${toString n}";
    value.text = toString n;
  }) %d);`, files))
	})
	ended := w.do(t, 0, w.onPull(p, "opened"))
	c := w.comment(t, p, "plan")
	t.Logf("comment of %d bytes, summary of %d", len(c.Body), len(ended.summary))
	if len(c.Body) > github.CommentLimit || !strings.Contains(c.Body, "/actions/runs/") {
		t.Errorf("the comment has %d bytes, or does not lead to the whole plan", len(c.Body))
	}
	if last := fmt.Sprintf("a-comment-%d", files-1); !strings.Contains(ended.summary, last) && len(ended.summary) < 900_000 {
		t.Errorf("the summary of %d bytes does not have the whole plan", len(ended.summary))
	}
}

// unreviewed stops a deploy at what was pushed after the plan, tells it on the
// pull request, and goes on when somebody confirms it by hand.
func (w *runner) unreviewed(t *testing.T) {
	p := w.open(t, "Greet with a change", "", func() { w.r.greet(t, "A third try.") })
	w.do(t, 0, w.onPull(p, "opened"))
	w.again(t, p, "Slip something in", func() {
		w.r.replace(t, "hosts/web.nix", "allowedTCPPorts = [ 80 ];", "allowedTCPPorts = [ 80 8080 ];")
	})
	sha := w.merge(t, p, github.Squash)
	before := w.r.runs(t, "web")
	ended := w.do(t, 5, w.onPush(sha))
	if w.r.runs(t, "web") != before {
		t.Error("web was changed all the same")
	}
	number := fmt.Sprintf("#%d", p.number)
	if !strings.Contains(ended.summary, number) && !strings.Contains(ended.log, number) {
		t.Errorf("neither summary nor log name %s:\n%s\n%s", number, ended.summary, ended.log)
	}
	if c := w.comment(t, p, "deploy"); !strings.Contains(c.Body, "confirm") {
		t.Errorf("the pull request does not tell how to go on:\n%s", c.Body)
	}
	w.deployment(t, "deploy", sha, "in_progress", "error")
	w.do(t, 0, w.onDispatch(map[string]string{"command": "deploy", "confirm": "true"}))
	if page := w.r.page(t); !strings.Contains(page, "A third try.") {
		t.Errorf("the page says %q", page)
	}
}

// rerun refuses to take the fleet back to the commit of an old job.
func (w *runner) rerun(t *testing.T) {
	old := w.onPush(w.older)
	old.run, old.attempt = 1, 2
	before := w.r.runs(t, "web")
	ended := w.do(t, 5, old)
	if w.r.runs(t, "web") != before || !strings.Contains(ended.log, "re-run") {
		t.Errorf("web was changed, or the refusal does not say why:\n%s", ended.log)
	}
}

// rollback goes back by hand, is held until released, and says so meanwhile.
func (w *act) rollback(t *testing.T) {
	newest := w.r.runs(t, "web")
	ask := map[string]string{"command": "rollback", "on": "web", "reason": "looked wrong", "dry-run": "true"}
	w.do(t, 0, w.onDispatch(ask))
	if w.r.runs(t, "web") != newest {
		t.Fatal("a dry run changed web")
	}
	ask["dry-run"] = "false"
	log := w.workflow(t, "rollback.yml", w.onDispatch(ask))
	if w.r.runs(t, "web") == newest || !strings.Contains(w.r.page(t), "A second try.") {
		t.Errorf("web was not taken back: %q", w.r.page(t))
	}
	if !strings.Contains(log, "looked wrong") {
		t.Errorf("the log and its summary do not say why:\n%s", log)
	}
	w.deployment(t, "rollback", w.r.head("main"), "in_progress", "success")

	p := w.open(t, "Greet while web is held", "", func() { w.r.greet(t, "A fourth try.") })
	w.do(t, 0, w.onPull(p, "opened"))
	if c := w.comment(t, p, "plan"); !strings.Contains(c.Body, "held") {
		t.Errorf("the plan does not say that web is held:\n%s", c.Body)
	}
	sha := w.merge(t, p, github.Merge)
	held := w.do(t, 5, w.onPush(sha))
	if !strings.Contains(held.summary, "looked wrong") {
		t.Errorf("the deploy does not say why web is held:\n%s", held.summary)
	}
	w.do(t, 0, w.onDispatch(map[string]string{"command": "release", "on": "web"}))
	w.do(t, 0, w.onDispatch(map[string]string{"command": "deploy"}))
	if page := w.r.page(t); !strings.Contains(page, "A fourth try.") {
		t.Errorf("the page says %q", page)
	}
}

// drift opens one issue for what was changed by hand, keeps it, and closes it.
func (w *runner) drift(t *testing.T) {
	schedule := func() ran {
		return w.do(t, 0, job{event: "schedule", ref: "refs/heads/main", sha: w.r.head("main"), token: "drift", payload: map[string]any{"schedule": "17 3 * * *"}})
	}
	by := func(system string) {
		t.Helper()
		docker(t, "exec", w.r.container(t, "web"), system+"/bin/switch-to-configuration", "test")
	}
	if got := schedule().outputs["drift"]; got != "false" || len(w.issues()) != 0 {
		t.Fatalf("drift %q, issues %+v without any", got, w.issues())
	}
	deployed := w.r.runs(t, "web")
	by("/nix/var/nix/profiles/system-1-link")
	ended := schedule()
	issues := w.issues()
	if len(issues) != 1 || issues[0].State != "open" || !strings.Contains(issues[0].Body, "web") || ended.outputs["drift"] != "true" {
		t.Fatalf("issues: %+v, output %q\n%s", issues, ended.outputs["drift"], ended.log)
	}
	first := issues[0]
	client := w.r.client(t)
	action, _, err := client.Server.EnableBackup(t.Context(), w.r.server(t, "app"), "")
	if err == nil {
		err = client.Action.WaitFor(t.Context(), action)
	}
	if err != nil {
		t.Fatal(err)
	}
	schedule()
	if issues = w.issues(); len(issues) != 1 || issues[0].Number != first.Number || issues[0].Body == first.Body || !strings.Contains(issues[0].Body, "backup") {
		t.Errorf("issues: %+v", issues)
	}
	by(deployed)
	if action, _, err = client.Server.DisableBackup(t.Context(), w.r.server(t, "app")); err == nil {
		err = client.Action.WaitFor(t.Context(), action)
	}
	if err != nil {
		t.Fatal(err)
	}
	schedule()
	if issues = w.issues(); len(issues) != 1 || issues[0].State != "closed" {
		t.Errorf("issues: %+v", issues)
	}
}

// issues are the issues that are no pull requests.
func (w *runner) issues() []github.Issue { return w.api.Issues() }

// gitHubDown deploys what was reviewed while GitHub cannot be told: for a
// while, or for lack of rights. Told late is told; what is not is in the log.
func (w *runner) gitHubDown(t *testing.T) {
	for i, faults := range [][]github.Fault{
		{{Status: http.StatusInternalServerError, Times: 2}, {Drop: true, Times: 2}}, {{Status: http.StatusForbidden, Times: github.Always}},
	} {
		greeting := fmt.Sprintf("A fifth try, while GitHub is down in way %d.", i)
		p := w.open(t, fmt.Sprintf("Greet while GitHub is down %d", i), "", func() { w.r.greet(t, greeting) })
		w.do(t, 0, w.onPull(p, "opened"))
		sha := w.merge(t, p, github.Merge)
		for _, fault := range faults {
			for _, method := range []string{http.MethodPost, http.MethodPatch} {
				fault.Method, fault.Path = method, "^/repos/" // what is told; GraphQL asks
				if err := w.api.Inject(fault); err != nil {
					t.Fatal(err)
				}
			}
		}
		ended := w.do(t, 0, w.onPush(sha))
		w.api.Recover()
		if page := w.r.page(t); !strings.Contains(page, greeting) {
			t.Errorf("the page says %q", page)
		}
		if !strings.Contains(ended.summary, "web") {
			t.Errorf("summary:\n%s", ended.summary)
		}
		lost := strings.Contains(ended.log, "GitHub was not told")
		if faults[0].Times == github.Always {
			if !lost {
				t.Errorf("the log does not tell what GitHub was not told:\n%s", ended.log)
			}
			continue
		}
		if lost {
			t.Errorf("GitHub was down for a while, and was not told:\n%s", ended.log)
		}
		w.deployment(t, "deploy", sha, "in_progress", "success")
		w.comment(t, p, "deploy")
	}
}

// cancelled is a run that the runner ends: SIGINT, and 7.5 s later SIGTERM. It
// is over in time, and the next run settles what it left.
func (w *runner) cancelled(t *testing.T) {
	p := w.open(t, "Greet slowly", "", func() {
		w.r.replace(t, "flotilla.yaml", "  web:\n    health:\n", "  web:\n    health:\n      - command: {run: [sleep, \"6\"], within: 10s}\n")
		w.r.greet(t, "A try that is cancelled.")
	})
	w.do(t, 0, w.onPull(p, "opened"))
	sha := w.merge(t, p, github.Merge)
	old := w.r.runs(t, "web")
	container := w.r.container(t, "web")
	signalled := make(chan time.Time, 1)
	var begun sync.Once
	j := w.onPush(sha)
	j.watch = func(_ string, cmd *exec.Cmd) {
		begun.Do(func() {
			go func() {
				for t.Context().Err() == nil && runsOf(container) == old {
					time.Sleep(100 * time.Millisecond)
				}
				signalled <- time.Now()
				_ = cmd.Process.Signal(syscall.SIGINT)
				time.AfterFunc(7500*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
			}()
		})
	}
	ended := w.start(t, j)
	took := time.Since(<-signalled)
	if ended.code == 0 {
		t.Fatalf("the run was not cancelled: exit code %d\n%s", ended.code, ended.log)
	}
	t.Logf("exit code %d, %s after SIGINT", ended.code, took.Round(10*time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the run was over only %s after it was cancelled", took)
	}
	if ended.summary == "" || ended.outputs["result"] == "" {
		t.Errorf("summary or outputs are not there: %v", ended.outputs)
	}
	all := w.api.Deployments()
	states := all[len(all)-1].Statuses
	if last := states[len(states)-1].State; last == "in_progress" || last == "success" {
		t.Errorf("the deployment at GitHub is left as %s", last)
	}
	w.do(t, 0, w.onDispatch(map[string]string{"command": "deploy", "lock-timeout": "60s"}))
	if page := w.r.page(t); !strings.Contains(page, "A try that is cancelled.") {
		t.Errorf("the page says %q", page)
	}
}

// runsOf is what a host runs; "" if it cannot be told.
func runsOf(container string) string {
	out, err := exec.Command("docker", "exec", container, "readlink", "-f", "/run/current-system").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

// elsewhere is a pull request that has the plan ask a server of its own: it is
// told that this cannot be previewed, and nobody is asked.
func (w *runner) elsewhere(t *testing.T) {
	var heard atomic.Int64
	listener := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	listener.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			heard.Add(1)
		}
	}
	listener.Start()
	defer listener.Close()
	p := w.open(t, "Ask another provider", "", func() {
		w.r.replace(t, "flotilla.yaml", "    token: {env: HCLOUD_TOKEN}\n", "    token: {env: FLOTILLA_SSH_KEY}\n    endpoint: "+listener.URL+"/v1\n")
		w.r.replace(t, "flotilla.yaml", `http://www.example.com/`, listener.URL+"/health")
		w.r.greet(t, "From elsewhere.")
	})
	ended := w.do(t, 1, w.onPull(p, "opened")) // a plan with a gap is no green one
	comment := w.comment(t, p, "plan").Body
	for _, part := range []string{"provider", "hosts.web.health"} {
		if !strings.Contains(comment, part) || !strings.Contains(ended.log, part) {
			t.Errorf("%s is not named as what cannot be previewed:\n%s", part, comment)
		}
	}
	if !strings.Contains(comment, "cannot be previewed") || strings.Contains(comment, listener.URL) {
		t.Errorf("the comment does not say what cannot be previewed, or links to the listener:\n%s", comment)
	}
	w.again(t, p, "Fetch from there", func() { w.r.greet(t, "${builtins.readFile (builtins.fetchurl \""+listener.URL+"/page\")}") })
	if ended := w.do(t, 1, w.onPull(p, "synchronize")); !strings.Contains(ended.summary, "does not evaluate") {
		t.Errorf("the summary does not say what was refused:\n%s", ended.summary)
	}
	if n := heard.Load(); n != 0 {
		t.Errorf("the listener heard %d connections", n)
	}
}
