package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// What a pull request has shown is deployed; what came beside it stops the
// whole deploy before anything is changed.
func TestDeployStopsAtWhatNobodySaw(t *testing.T) {
	r := newRig(t, true)
	first := r.git("rev-parse", "HEAD")
	seen := r.plan(map[string]string{"hive.nix": hive(openPort+unit, ""), "flotilla.yaml": strings.Replace(rigFleet, "db: {server_type: cx22", "db: {server_type: cx32", 1)})
	var asked []string
	reviews := func(_ context.Context, deployed []string, head string) (plans.Reviewed, error) {
		asked = append(asked, deployed...)
		if head != r.git("rev-parse", "HEAD") {
			t.Errorf("asked for %s", head)
		}
		return plans.Reviewed{Seen: seen, Unplanned: []plans.Unplanned{{Number: 12, Why: "it has no plan comment"}}}, nil
	}
	if result, err := r.review(Options{Reviews: reviews}); err != nil || len(result.Unreviewed) != 0 || !slices.Equal(asked, []string{first}) {
		t.Fatalf("what was shown: %v, %s, asked since %v", err, texts(result.Unreviewed), asked)
	}

	r.commit(map[string]string{"hive.nix": hive(openPort+unit+mallory, motd), "flotilla.yaml": strings.Replace(rigFleet, "server_type: cx22", "server_type: cx32", 2)})
	result, err := r.flow.Deploy(t.Context(), Options{Reviews: reviews})
	want := `host db: update
host web: update (user mallory created, user mallory group wheel added, user mallory kind normal user) [access]
server web: update (set server_type = cx32) [power-off]`
	if result.ExitCode != problem.Refused || problem.CodeOf(err) != problem.Refused || texts(result.Unreviewed) != want {
		t.Fatalf("exit code %d, %v\n%s", result.ExitCode, err, texts(result.Unreviewed))
	}
	for _, word := range []string{"3 changes would be made that no merged pull request has shown", want[:40], "#12: it has no plan comment", "confirm: true", "--base " + first} {
		if !strings.Contains(strings.ReplaceAll(problem.Text(err), "\n  ", "\n"), word) {
			t.Errorf("it does not say %q:\n%s", word, problem.Text(err))
		}
	}
	if len(r.changed) != 0 || len(result.Hosts) != 0 {
		t.Errorf("changed: %v, hosts %+v", r.changed, result.Hosts)
	}
	result, err = r.review(Options{Reviews: reviews, Confirm: true})
	if err != nil || texts(result.Unreviewed) != want || r.told.count("is done with leave: server web: update") != 1 {
		t.Errorf("with leave: %v\n%s\n%v", err, texts(result.Unreviewed), r.told.all)
	}
}

// A deploy carries out several pull requests at once, some of which take back
// what others did.
func TestSeveralPullRequests(t *testing.T) {
	r := newRig(t, true)
	var seen []plans.Digest
	for _, web := range []string{openPort + mallory, unit, strings.Replace(unit, "/bin/app", "/bin/other", 1) + motd} {
		seen = append(seen, r.plan(map[string]string{"hive.nix": hive(web, "")})...)
	}
	if result, err := r.review(Options{Reviews: saw(seen...)}); err != nil {
		t.Errorf("%v\n%s", err, texts(result.Unreviewed))
	}
	if result, err := r.review(Options{Reviews: saw(seen[0])}); problem.CodeOf(err) != problem.Refused || texts(result.Unreviewed) != "host web: update (start app.service)" {
		t.Errorf("the first alone: %v\n%s", err, texts(result.Unreviewed))
	}
}

// Hosts may be deployed from different revisions: each is held against what
// came since its own. One that is held has no business here.
func TestEachHostHasItsOwnRevision(t *testing.T) {
	r := newRig(t, true)
	first := r.git("rev-parse", "HEAD")
	one := r.plan(map[string]string{"hive.nix": hive(openPort, openPort)})
	second := r.git("rev-parse", "HEAD")
	r.publish("web", second)
	two := r.plan(map[string]string{"hive.nix": hive(unit, openPort)})
	bySince := map[string][]plans.Digest{first: append(slices.Clone(one), two...), second: two}
	var asked []string
	reviews := func(_ context.Context, deployed []string, _ string) (plans.Reviewed, error) {
		asked = append(asked, strings.Join(deployed, "+"))
		return plans.Reviewed{Seen: bySince[deployed[0]]}, nil
	}
	if result, err := r.review(Options{Reviews: reviews}); err != nil {
		t.Errorf("%v\n%s", err, texts(result.Unreviewed))
	}
	if slices.Sort(asked); !slices.Equal(asked, slices.Sorted(slices.Values([]string{first, second}))) {
		t.Errorf("asked since %v", asked)
	}
	// db's port was shown before web was deployed: that is no leave for web.
	r.commit(map[string]string{"hive.nix": hive(unit+`networking.firewall.allowedTCPPorts = [ 443 80 ];`, openPort)})
	if result, err := r.review(Options{Reviews: reviews}); err == nil || texts(result.Unreviewed) != "host web: update (open tcp 80) [port opened]" {
		t.Errorf("%v\n%s", err, texts(result.Unreviewed))
	}
	d, done := r.begin(Options{})
	defer done()
	if err := r.flow.publish(t.Context(), d.client, d.account, "web", func(p *fleet.Published) { p.Held = true }); err != nil {
		t.Fatal(err)
	}
	if result, err := r.review(Options{Reviews: reviews}); err != nil {
		t.Errorf("held: %v\n%s", err, texts(result.Unreviewed))
	}
}

// Commits that no pull request brought follow the policy, and cannot loosen it
// for themselves.
func TestDirectPushes(t *testing.T) {
	direct := func(context.Context, []string, string) (plans.Reviewed, error) {
		return plans.Reviewed{Direct: []plans.DirectPush{{Commit: strings.Repeat("a", 40), Subject: "Hotfix", Author: "bob"}}}, nil
	}
	r := newRig(t, true)
	r.commit(map[string]string{"hive.nix": hive(motd+unit, "")})
	result, err := r.review(Options{Reviews: direct})
	if err != nil || len(result.Unreviewed) != 1 || r.told.count("came without a pull request: host web: update") != 1 {
		t.Errorf("without a risk: %v\n%s", err, texts(result.Unreviewed))
	}
	if _, err := r.review(Options{Reviews: saw()}); err == nil {
		t.Error("without a direct push the policy is none")
	}
	r.commit(map[string]string{"hive.nix": hive(mallory, ""), "flotilla.yaml": rigFleet + "review: {direct_push: allow}\n"})
	result, err = r.review(Options{Reviews: direct})
	if err == nil || len(result.Unreviewed) == 0 || !strings.Contains(problem.Text(err), "pushed without a pull request: aaaaaaaaaaaa Hotfix, by bob") {
		t.Errorf("mallory: %v\n%s", err, texts(result.Unreviewed))
	}
}

func TestPoliciesForDirectPushes(t *testing.T) {
	harmless, risky := plans.Digest{Subject: "host/web"}, plans.Digest{Subject: "host/web", Risks: []plans.Risk{plans.RiskStop}}
	for _, c := range []struct {
		head, deployed  fleet.DirectPush
		harmless, risky bool
	}{
		{fleet.DirectAllow, fleet.DirectAllow, true, true},
		{fleet.DirectAllow, "", true, false},
		{fleet.DirectAllow, fleet.DirectStopOnRisk, true, false},
		{fleet.DirectStopOnRisk, fleet.DirectAllow, true, false},
		{fleet.DirectAllow, fleet.DirectRefuse, false, false},
		{fleet.DirectRefuse, fleet.DirectAllow, false, false},
	} {
		policy := c.head.Stricter(c.deployed)
		if mayPass(policy, harmless) != c.harmless || mayPass(policy, risky) != c.risky {
			t.Errorf("%s, deployed %q: %s", c.head, c.deployed, policy)
		}
	}
}

// What creates everything passes as a first deployment, but not what came
// unseen after a deployment that GitHub knows of.
func TestFirstDeploymentOf(t *testing.T) {
	direct, unplanned := []plans.DirectPush{{}}, []plans.Unplanned{{}}
	for name, c := range map[string]struct {
		seen plans.Reviewed
		want bool
	}{
		"new":                      {plans.Reviewed{}, true},
		"new, pushed":              {plans.Reviewed{Direct: direct}, true},
		"lost and back":            {plans.Reviewed{Since: "a"}, true},
		"no hosts, pushed":         {plans.Reviewed{Since: "a", Direct: direct}, false},
		"no hosts, without a plan": {plans.Reviewed{Since: "a", Unplanned: unplanned}, false},
	} {
		if got := firstDeployment(c.seen); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// GitHub is asked only if something would change, and who cannot be asked does
// not count as having said yes.
func TestReviewsThatCannotBeKnown(t *testing.T) {
	r := newRig(t, true)
	down := func(context.Context, []string, string) (plans.Reviewed, error) {
		return plans.Reviewed{}, errors.New("GitHub is down")
	}
	r.commit(map[string]string{"README.md": "nothing of it"})
	if _, err := r.review(Options{Reviews: down}); err != nil {
		t.Errorf("nothing changes: %v", err)
	}
	r.commit(map[string]string{"hive.nix": hive(motd, "")})
	if _, err := r.review(Options{Reviews: down}); problem.CodeOf(err) != problem.Refused || !strings.Contains(err.Error(), "GitHub is down") {
		t.Errorf("it is down: %v", err)
	}
	if _, err := r.review(Options{Reviews: down, Confirm: true}); err != nil || r.told.count("GitHub is down") != 1 {
		t.Errorf("with leave: %v", err)
	}
	if _, err := r.review(Options{}); err != nil {
		t.Errorf("nobody to ask: %v", err)
	}
}

// The first deployment of a fleet creates everything, which no pull request has
// shown; what else it does is held against the reviews as always.
func TestFirstDeployment(t *testing.T) {
	r := newRig(t, false)
	var asked [][]string
	reviews := func(_ context.Context, deployed []string, _ string) (plans.Reviewed, error) {
		asked = append(asked, deployed)
		return plans.Reviewed{}, nil
	}
	result, err := r.review(Options{Reviews: reviews})
	if err != nil || len(result.Unreviewed) != 2 || len(asked) != 1 || len(asked[0]) != 0 || r.told.count("the first deployment") != 2 {
		t.Errorf("%v\n%s\nasked since %v, told %v", err, texts(result.Unreviewed), asked, r.told.all)
	}
	r.commit(map[string]string{"flotilla.yaml": strings.Replace(rigFleet, "server_type: cx22", "server_type: cx32", 1)})
	if _, err := r.review(Options{Reviews: reviews}); problem.CodeOf(err) != problem.Refused || !strings.Contains(problem.Text(err), "server web: update (set server_type = cx32)") {
		t.Errorf("a change of what exists: %v", err)
	}
	// One host was deployed: another one that never was is held against the same revision.
	r.publish("web", r.git("rev-parse", "HEAD"))
	r.commit(map[string]string{"hive.nix": hive("", openPort)})
	result, err = r.review(Options{Reviews: reviews, Only: OnlyHosts})
	if err == nil || texts(result.Unreviewed) != "host db: update (open tcp 443) [port opened]" {
		t.Errorf("%v\n%s", err, texts(result.Unreviewed))
	}
}

// What was rebuilt or replaced by name has its leave; nothing that was not there
// when reviews were looked at is destroyed afterwards.
func TestLeaveByName(t *testing.T) {
	r := newRig(t, true)
	r.commit(map[string]string{"hive.nix": hive(motd, "")})
	seen := plans.Digest{Subject: "host/web", Action: plans.Update}
	d, done := r.begin(Options{Reviews: saw(seen), Replace: []string{"db"}})
	defer done()
	if _, err := d.evaluate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.review(t.Context()); err != nil {
		t.Error(problem.Text(err))
	}
	if shown := d.leave().Shown; len(shown) != 1 || shown[0].Action != plans.Replace {
		t.Errorf("%+v", shown)
	}
}

func TestSuperseded(t *testing.T) {
	r := newRig(t, true)
	head := r.commit(map[string]string{"flotilla.yaml": strings.Replace(rigFleet, "cx22", "cx32", 1)})
	answer := func(newer string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return newer, err }
	}
	result, err := r.flow.Deploy(t.Context(), Options{Only: OnlyInfra, Superseded: answer(strings.Repeat("b", 40), nil)})
	if err != nil || result.ExitCode != problem.OK || result.Superseded != strings.Repeat("b", 40) || len(r.changed) != 0 || len(result.Resources) != 0 {
		t.Errorf("%v, %+v, changed %v", err, result, r.changed)
	}
	refused := &problem.Problem{Summary: "a newer deployment exists", Code: problem.Refused}
	result, err = r.flow.Deploy(t.Context(), Options{Only: OnlyInfra, Superseded: answer("", fmt.Errorf("this job: %w", refused))})
	if result.ExitCode != problem.Refused || !errors.Is(err, refused) || len(r.changed) != 0 {
		t.Errorf("%v, %+v, changed %v", err, result, r.changed)
	}
	// A newer one after the lock was taken and before anything is made.
	asked := 0
	result, err = r.flow.Deploy(t.Context(), Options{Only: OnlyInfra, Superseded: func(context.Context) (string, error) {
		if asked++; asked == 1 {
			return head, nil
		}
		return "c", nil
	}})
	if err != nil || result.Superseded != "c" || len(r.changed) != 0 {
		t.Errorf("%v, %+v, changed %v", err, result, r.changed)
	}
	result, err = r.flow.Deploy(t.Context(), Options{Only: OnlyInfra, Confirm: true, Superseded: answer("", refused)})
	if err != nil || result.ExitCode != problem.OK || len(result.Resources) != 1 {
		t.Errorf("with leave: %v, %+v", err, result)
	}
	if _, err = r.flow.Deploy(t.Context(), Options{Only: OnlyInfra, Superseded: answer("", errors.New("GitHub is down"))}); err != nil || r.told.count("cannot tell whether a newer commit") == 0 {
		t.Errorf("it is down: %v", err)
	}
}

// Real addresses make other systems: these are held against the reviews, too,
// before a host is touched.
func TestReviewedOnceMoreWithRealAddresses(t *testing.T) {
	r := newRig(t, true)
	yaml := rigFleet + "  new: {server_type: cx22, image: debian-13, location: nbg1, ssh_keys: []}\n"
	r.pullRequest(map[string]string{"flotilla.yaml": yaml})
	r.git("checkout", "-q", "pr")
	d, done := r.begin(Options{Only: OnlyInfra})
	placeholder := d.facts()["new"].IPv4
	done()
	r.git("checkout", "-q", "main")
	reads := func(more string) map[string]string {
		own := `environment.etc.motd.text = fleet.servers.new.ipv4; ` + more
		return map[string]string{"flotilla.yaml": yaml, "hive.nix": "{ fleet, ... }: " + hive(own, "")}
	}
	trap := reads(fmt.Sprintf(`users.users = if fleet.servers.new.ipv4 == %q then { } else { mallory = { isNormalUser = true; }; };`, placeholder))
	for name, c := range map[string]struct {
		files map[string]string
		left  string
	}{
		"the address alone": {reads(""), ""},
		"a trap":            {trap, "host web: update (user mallory created, user mallory kind normal user) [access]"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, true)
			seen := r.plan(c.files)
			d, done := r.begin(Options{Reviews: saw(seen...)})
			defer done()
			steps := []func(context.Context) error{
				func(ctx context.Context) error { _, err := d.evaluate(ctx); return err },
				d.review, d.expand,
				func(ctx context.Context) error { _, err := d.evaluate(ctx); return err },
			}
			for _, step := range steps {
				if err := step(t.Context()); err != nil {
					t.Fatal(problem.Text(err))
				}
			}
			err := d.review(t.Context())
			if (err == nil) != (c.left == "") || texts(d.result.Unreviewed) != c.left {
				t.Errorf("%v\n%s", err, texts(d.result.Unreviewed))
			}
		})
	}
}
