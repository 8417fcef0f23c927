package deploy

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

const reviewedFleet = `fleet: acme
provider: {hetzner: {token: {env: HCLOUD_TOKEN}, poll_interval: 10ms}}
ssh: {key: {env: FLOTILLA_SSH_KEY}}
servers:
  web: {server_type: cx22, image: debian-13, location: nbg1, ssh_keys: []}
`

// gapWith gives the gaps that hold all the words.
func gapWith(gaps []plans.Gap, words ...string) bool {
	return slices.ContainsFunc(gaps, func(g plans.Gap) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(g.Text, w) })
	})
}

// What a pull request writes where Flotilla reads what to do is named, and not
// done: nobody is called, and no variable of its choice is looked up.
func TestPullRequestDecidesNothing(t *testing.T) {
	api, evil := labAPI(t), listen(t)
	port := evil.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener
	hive := fmt.Sprintf(`{ meta.nixpkgs = <nixpkgs>; web = { deployment.targetHost = "127.0.0.1"; deployment.targetPort = %d; }; }`, port)
	f := newFleets(t)
	f.commit(map[string]string{"flotilla.yaml": reviewedFleet, "hive.nix": hive})
	url := "http://" + evil.Addr().String()
	provider := func(text string) string {
		return strings.Replace(reviewedFleet, "{token: {env: HCLOUD_TOKEN}, poll_interval: 10ms}", text, 1)
	}
	for name, c := range map[string]struct {
		yaml    string
		missing bool // the plan has a hole
		said    []string
	}{
		"endpoint":  {provider("{token: {env: HCLOUD_TOKEN}, endpoint: " + url + "}"), true, []string{"provider.hetzner.endpoint (flotilla.yaml:2:"}},
		"token":     {provider("{token: {env: EVIL_TOKEN}}"), true, []string{"provider.hetzner.token.env (flotilla.yaml:2:"}},
		"pace":      {provider("{token: {env: HCLOUD_TOKEN}, poll_interval: 1s}"), false, []string{"provider.hetzner.poll_interval (flotilla.yaml:2:"}},
		"key":       {strings.Replace(reviewedFleet, "FLOTILLA_SSH_KEY", "EVIL_KEY", 1), false, []string{"ssh.key.env (flotilla.yaml:3:"}},
		"login":     {strings.Replace(reviewedFleet, "ssh: {", fmt.Sprintf("ssh: {user: evil, port: %d, address: ipv6, ", port), 1), false, []string{"ssh.user", "ssh.port", "ssh.address (flotilla.yaml:3:"}},
		"health":    {reviewedFleet + "hosts:\n  web:\n    health: [{http: {url: \"" + url + "\", via: dns}}]\n", false, []string{"hosts (flotilla.yaml:6:"}},
		"address":   {reviewedFleet + "hosts: {web: {address: 127.0.0.1}}\n", false, []string{"hosts (flotilla.yaml:6:"}},
		"rollout":   {reviewedFleet + "rollout: {max_unavailable: 100}\n", false, []string{"rollout (flotilla.yaml:6:"}},
		"its name":  {strings.Replace(reviewedFleet, "fleet: acme", "fleet: other", 1), false, []string{"fleet (flotilla.yaml:1:"}},
		"a comment": {"# nothing of it\n" + reviewedFleet, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			head := f.pullRequest(map[string]string{"flotilla.yaml": c.yaml + "networks: {private: {ip_range: 10.0.0.0/16}}\n"})
			env := &environment{vars: map[string]string{
				"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": api.URL + "/v1", "NIX_PATH": nixPath(t),
				"EVIL_TOKEN": "never", "EVIL_KEY": "never",
			}}
			flow := &Flow{Dir: f.dir, Getenv: env.get, Sink: progress.Discard}
			plan, err := flow.Plan(t.Context(), PlanOptions{Head: head, Untrusted: true})
			if err != nil {
				t.Fatal(problem.Text(err))
			}
			if evil.heard.Load() != 0 {
				t.Error("somebody called the listener")
			}
			env.onlyAsked(t, "HCLOUD_TOKEN", "HCLOUD_ENDPOINT", "NIX_PATH", "FLOTILLA_SSH_KEY")
			gaps := plan.Warnings
			if c.missing {
				gaps = plan.Missing
			}
			if plan.Complete == c.missing {
				t.Errorf("complete: %v, missing: %+v", plan.Complete, plan.Missing)
			}
			for _, word := range c.said {
				if !gapWith(gaps, "cannot be previewed", word) {
					t.Errorf("nothing says that %s cannot be previewed: %+v", word, gaps)
				}
			}
			for _, g := range gaps {
				if strings.Contains(g.Text, "cannot be previewed") && (!g.Policy || g.At.File != "flotilla.yaml" || !strings.Contains(g.Text, g.At.String())) {
					t.Errorf("it is at %+v: %s", g.At, g.Text)
				}
			}
			if c.said == nil && gapWith(slices.Concat(plan.Missing, plan.Warnings), "cannot be previewed") {
				t.Errorf("something cannot be previewed: %+v", plan)
			}
			if !slices.ContainsFunc(plan.This.Resources, func(r plans.Resource) bool { return r.Kind == plans.KindNetwork && r.Action == plans.Create }) {
				t.Errorf("ordinary infrastructure is not shown: %+v", plan.This.Resources)
			}
			if plan.Fleet != "acme" {
				t.Errorf("it is a plan of %q", plan.Fleet)
			}
			if looked := plan.Current != nil; looked == c.missing {
				t.Errorf("looked at the account: %v", looked)
			}
		})
	}
}

// On a laptop, too, a head that goes to another account is not followed there.
func TestOtherAccountIsNotFollowed(t *testing.T) {
	evil := listen(t)
	f := newFleets(t)
	f.commit(map[string]string{"flotilla.yaml": reviewedFleet, "hive.nix": "{ }"})
	f.commit(map[string]string{"flotilla.yaml": strings.Replace(reviewedFleet, "poll_interval: 10ms", "endpoint: http://"+evil.Addr().String(), 1)})
	env := &environment{vars: map[string]string{"HCLOUD_TOKEN": labToken}}
	plan, err := (&Flow{Dir: f.dir, Getenv: env.get, Sink: progress.Discard}).Plan(t.Context(), PlanOptions{Only: OnlyInfra})
	if err != nil || plan.Complete || !gapWith(plan.Missing, "provider.hetzner.endpoint (flotilla.yaml:2:", "cannot be previewed") || evil.heard.Load() != 0 {
		t.Errorf("heard %d, %+v, %v", evil.heard.Load(), plan, err)
	}
	env.onlyAsked(t, "NIX_PATH")
}

// Neither what a fork does nor a repository's first fleet makes anything be
// looked up.
func TestNothingIsLookedUp(t *testing.T) {
	evil := listen(t)
	hive := `{ meta.nixpkgs = <nixpkgs>; web = { }; }`
	yaml := strings.Replace(reviewedFleet, "poll_interval: 10ms", "endpoint: http://"+evil.Addr().String(), 1)
	plan := func(f fleets, opts PlanOptions) plans.Plan {
		t.Helper()
		env := &environment{vars: map[string]string{"HCLOUD_TOKEN": labToken, "FLOTILLA_SSH_KEY": "never", "NIX_PATH": nixPath(t)}}
		p, err := (&Flow{Dir: f.dir, Getenv: env.get, Sink: progress.Discard}).Plan(t.Context(), opts)
		if err != nil {
			t.Fatal(problem.Text(err))
		}
		env.onlyAsked(t, "NIX_PATH")
		if !p.Complete || evil.heard.Load() != 0 || p.Current != nil || p.Pending.Cost != nil || p.This.Cost != nil {
			t.Errorf("heard %d, plan %+v", evil.heard.Load(), p)
		}
		return p
	}
	fork := newFleets(t)
	fork.commit(map[string]string{"flotilla.yaml": yaml, "hive.nix": hive})
	head := fork.pullRequest(map[string]string{"hive.nix": `{ meta.nixpkgs = <nixpkgs>; web = { environment.etc.motd.text = "hi"; }; new = { }; }`})
	p := plan(fork, PlanOptions{Head: head, Fork: true})
	if !gapWith(p.Warnings, "A fork's change gets no account state") || len(p.This.Hosts) != 2 {
		t.Errorf("%+v", p)
	}

	first := newFleets(t)
	first.commit(map[string]string{"README.md": "Nothing yet"})
	head = first.pullRequest(map[string]string{"flotilla.yaml": yaml, "hive.nix": hive})
	p = plan(first, PlanOptions{Head: head, Untrusted: true})
	if p.Fleet != "acme" || len(p.This.Hosts) != 1 || len(p.This.Resources) != 1 || !gapWith(p.Warnings, "everything is shown as new") {
		t.Errorf("%+v", p)
	}
}

// A commit's first parent is its author's choice unless the server merged it.
func TestBaseOfAPullRequest(t *testing.T) {
	f := newFleets(t)
	f.commit(map[string]string{"flotilla.yaml": raceFleet, "hive.nix": "{ }"})
	main := f.git("rev-parse", "HEAD")
	head := f.commit(map[string]string{"README.md": "1"})
	flow := &Flow{Dir: f.dir, Getenv: func(string) string { return "" }, Sink: progress.Discard}
	for _, opts := range []PlanOptions{{Untrusted: true}, {Head: head, Fork: true}} {
		if _, err := flow.Plan(t.Context(), opts); problem.CodeOf(err) != problem.Usage || !strings.Contains(problem.Text(err), "its base is not known") {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if p, err := flow.Plan(t.Context(), PlanOptions{Head: head, Base: main, Untrusted: true, Only: OnlyInfra}); err != nil || p.Base.Commit != main {
		t.Errorf("with a base: %+v, %v", p.Base, err)
	}
}

// Several fleets live in one repository, in folders; each plan is of its own.
func TestSeveralFleets(t *testing.T) {
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "flotilla.yaml"), []byte("fleet: outside\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFleets(t)
	yaml := func(name, servers string) string {
		return "fleet: " + name + "\nprovider: {hetzner: {token: {env: TOKEN}}}\nservers: {" + servers + "}\n"
	}
	const a, b = "a: {server_type: cx22, image: x, location: nbg1, ssh_keys: []}", "b: {server_type: cx22, image: x, location: nbg1, ssh_keys: []}"
	f.commit(map[string]string{
		"fleets/one/flotilla.yaml": yaml("one", a), "fleets/one/hive.nix": "{ }",
		"fleets/two/flotilla.yaml": yaml("two", b), "fleets/two/hive.nix": "{ }",
	})
	flow := &Flow{Dir: filepath.Join(f.dir, "fleets", "two"), Getenv: func(string) string { return "" }, Sink: progress.Discard}
	plan := func(head string) plans.Plan {
		t.Helper()
		p, err := flow.Plan(t.Context(), PlanOptions{Head: head, Untrusted: true, Only: OnlyInfra})
		if err != nil {
			t.Fatal(problem.Text(err))
		}
		return p
	}
	if p := plan(f.pullRequest(map[string]string{"fleets/one/flotilla.yaml": yaml("one", "")})); !p.This.Empty() || p.Fleet != "two" {
		t.Errorf("the other fleet's change shows up: %+v", p.This)
	}
	p := plan(f.pullRequest(map[string]string{"fleets/two/flotilla.yaml": yaml("two", b+", c: {server_type: cx22, image: x, location: nbg1, ssh_keys: []}") + "rollout: {max_parallel: 2}\n"}))
	if len(p.This.Resources) != 1 || !gapWith(p.Warnings, "rollout (fleets/two/flotilla.yaml:4:") {
		t.Errorf("%+v", p)
	}

	// A folder that becomes a link: to the other fleet, out of the repository.
	link := func(target string) string {
		t.Helper()
		f.git("checkout", "-q", "-B", "pr", "main")
		f.git("rm", "-q", "-r", "fleets/two")
		if err := os.Symlink(target, filepath.Join(f.dir, "fleets", "two")); err != nil {
			t.Fatal(err)
		}
		f.commit(nil)
		f.git("checkout", "-q", "-B", "merge", "main")
		f.git("merge", "-q", "--no-ff", "-m", "Merge", "pr")
		head := f.git("rev-parse", "HEAD")
		f.git("checkout", "-q", "main")
		return head
	}
	if p := plan(link("one")); p.Fleet != "two" || len(p.This.Resources) != 2 {
		t.Errorf("%s: %+v", p.Fleet, p.This)
	}
	_, err := flow.Plan(t.Context(), PlanOptions{Head: link(outside), Untrusted: true, Only: OnlyInfra})
	if problem.CodeOf(err) != problem.Usage || !strings.Contains(problem.Text(err), "leads out of the repository") {
		t.Errorf("%v", err)
	}
}

// A revision that is compared with itself is evaluated once.
func TestSameRevisionIsEvaluatedOnce(t *testing.T) {
	f := newFleets(t)
	f.commit(map[string]string{"flotilla.yaml": "fleet: acme\n", "hive.nix": `{ meta.nixpkgs = <nixpkgs>; a = { }; b = { }; }`})
	bin := t.TempDir()
	log := filepath.Join(bin, "log")
	program, err := exec.LookPath("nix-instantiate")
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho run >> %s\nexec %s \"$@\"\n", log, program)
	if err := os.WriteFile(filepath.Join(bin, "nix-instantiate"), []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	path := nixPath(t)
	flow := &Flow{Dir: f.dir, Getenv: func(name string) string {
		if name == "NIX_PATH" {
			return path
		}
		return ""
	}, Sink: progress.Discard}
	runs := func(do func() error) int {
		t.Helper()
		_ = os.Remove(log)
		if err := do(); err != nil {
			t.Fatal(problem.Text(err))
		}
		text, err := os.ReadFile(log) //nolint:gosec // the test's own
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "run")
	}
	alone := runs(func() error { _, err := flow.Evaluate(t.Context(), fleet.Selector{}, false); return err })
	both := runs(func() error { _, err := flow.Plan(t.Context(), PlanOptions{Base: "HEAD"}); return err })
	if alone == 0 || both != alone {
		t.Errorf("%d evaluations instead of %d", both, alone)
	}
}

// A plan of a fleet that exists opens nothing to its hosts, and asks one
// server: the provider's.
func TestPlanAsksTheProviderAlone(t *testing.T) {
	inner := labAPI(t)
	var asked atomic.Int32
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		asked.Add(1)
		inner.Config.Handler.ServeHTTP(w, r)
	}))
	defer api.Close()
	host := listen(t)
	f := newFleets(t)
	f.commit(map[string]string{"flotilla.yaml": reviewedFleet, "hive.nix": fmt.Sprintf(
		`{ meta.nixpkgs = <nixpkgs>; web = { deployment.targetHost = "127.0.0.1"; deployment.targetPort = %d; }; }`, host.Addr().(*net.TCPAddr).Port)}) //nolint:forcetypeassert // a TCP listener
	env := &environment{vars: map[string]string{"HCLOUD_TOKEN": labToken, "HCLOUD_ENDPOINT": api.URL + "/v1", "NIX_PATH": nixPath(t)}}
	flow := &Flow{Dir: f.dir, Getenv: env.get, Sink: progress.Discard}
	if p, err := flow.Plan(t.Context(), PlanOptions{Base: "HEAD"}); err != nil || p.Current == nil {
		t.Fatalf("%+v, %v", p, err)
	}
	if host.heard.Load() != 0 || asked.Load() == 0 {
		t.Errorf("the host heard %d, the provider %d", host.heard.Load(), asked.Load())
	}
}
