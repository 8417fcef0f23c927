package deploy

import (
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/repo"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// serveGit serves a repository over HTTP with git's own program, to those who
// bring a token.
func serveGit(t *testing.T, f fleets, token string) string {
	t.Helper()
	core, err := exec.CommandContext(t.Context(), "git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	f.git("config", "uploadpack.allowAnySHA1InWant", "true") // as GitHub does
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(core)), "git-http-backend"), Root: "/acme",
		Env: []string{"GIT_PROJECT_ROOT=" + f.dir, "GIT_HTTP_EXPORT_ALL=1"},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); password != token {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/acme/.git"
}

// A job has the newest commit alone. The base of its change and what runs on
// the hosts come from the server.
func TestPlanOfAShallowClone(t *testing.T) {
	const token = "ghs_readonlytoken"
	api := labAPI(t)
	hive := func(text string) map[string]string {
		return map[string]string{"fleets/prod/flotilla.yaml": reviewedFleet, "fleets/prod/hive.nix": `{ meta.nixpkgs = <nixpkgs>; web.environment.etc.motd.text = "` + text + `"; }`}
	}
	f := newFleets(t)
	deployed := f.commit(hive("deployed"))
	base := f.commit(hive("merged"))
	env := map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": api.URL + "/v1", "NIX_PATH": nixPath(t)}
	getenv := func(name string) string { return env[name] }
	at := time.Date(2026, 11, 20, 14, 3, 0, 0, time.UTC)
	func() {
		flow := &Flow{Dir: filepath.Join(f.dir, "fleets", "prod"), Getenv: getenv, Sink: progress.Discard, By: "run"}
		if _, err := flow.Deploy(t.Context(), Options{Only: OnlyInfra}); err != nil {
			t.Fatal(problem.Text(err))
		}
		declared := fleet.Fleet{Name: "acme", Hetzner: &fleet.Hetzner{Token: fleet.EnvRef{Env: "HCLOUD_TOKEN"}}}
		client, err := flow.client(declared)
		if err != nil {
			t.Fatal(err)
		}
		account, err := client.Account(t.Context(), declared)
		if err != nil {
			t.Fatal(err)
		}
		if err := flow.publish(t.Context(), client, account, "web", func(p *fleet.Published) {
			p.SystemHash, p.Commit = strings.Repeat("0", 32), deployed
			nowHeld(p, &fleet.Hold{By: "ada", At: at})
			nowFailed(p, plans.HostResult{Reason: "nginx.service failed"}, base, at)
			p.FailedSystem = strings.Repeat("1", 32)
		}); err != nil {
			t.Fatal(err)
		}
	}()
	head := f.pullRequest(hive("proposed"))
	clone := filepath.Join(t.TempDir(), "clone")
	f.git("clone", "-q", "--depth=1", "--branch=merge", "file://"+f.dir, clone)
	var masked []string
	told := &notes{}
	flow := &Flow{
		Dir: filepath.Join(clone, "fleets", "prod"), Getenv: getenv, Sink: told,
		Secret: func(s secret.String) { masked = append(masked, s.Reveal()) },
	}
	if _, err := flow.Plan(t.Context(), PlanOptions{Untrusted: true}); err == nil || !strings.Contains(problem.Text(err), "fetch-depth: 0") {
		t.Errorf("without a server: %v", err)
	}
	flow.Fetch = repo.Remote{URL: serveGit(t, f, token), Token: secret.New(token)}
	plan, err := flow.Plan(t.Context(), PlanOptions{Untrusted: true})
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	if !plan.Complete || plan.Base.Commit != base || plan.Head.Commit != head || len(plan.This.Hosts) != 1 || len(plan.Pending.Hosts) != 1 {
		t.Fatalf("%+v", plan)
	}
	diff := func(h plans.Host) string { return h.Files[0].Diff }
	if this, pending := diff(plan.This.Hosts[0]), diff(plan.Pending.Hosts[0]); !strings.Contains(this, "-merged") || !strings.Contains(this, "+proposed") || !strings.Contains(pending, "-deployed") || !strings.Contains(pending, "+merged") {
		t.Errorf("this change:\n%s\nalso pending:\n%s", this, pending)
	}
	for _, note := range []string{
		"held since 2026-11-20 14:03 UTC by ada: a deploy does not touch it until it is released (flotilla release)",
		"last attempt here failed: " + base[:8] + ", 2026-11-20 14:03 UTC, nginx.service failed",
	} {
		if !slices.Contains(plan.This.Hosts[0].Notes, note) {
			t.Errorf("%q is not in %q", note, plan.This.Hosts[0].Notes)
		}
	}
	for _, commit := range []string{base, deployed} {
		if !slices.ContainsFunc(told.all, func(n string) bool { return strings.HasPrefix(n, "fetching commit "+commit[:12]) }) {
			t.Errorf("nothing tells that %s is fetched: %q", commit, told.all)
		}
	}
	if !slices.Contains(masked, token) {
		t.Error("the token was not masked")
	}
}
