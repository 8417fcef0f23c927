package job_test

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// drifted is a drift of hosts; what is missing could not be looked at.
func drifted(missing []plans.Gap, hosts ...string) plans.Drift {
	d := plans.Drift{Fleet: "acme", Missing: missing, Looked: plans.Looked{Account: true, Hosts: 3}}
	for _, h := range hosts {
		d.Hosts = append(d.Hosts, plans.HostDrift{Host: h, Findings: []string{"runs a system that nobody deployed @everyone"}})
	}
	d.Conclude()
	return d
}

func (r *rig) drift(d plans.Drift) {
	r.flow.onDrift = func(deploy.DriftOptions) (plans.Drift, error) { return d, nil }
}

// onSchedule is the event of a schedule, which has no payload to speak of.
func (r *rig) onSchedule() event {
	return event{name: "schedule", ref: "refs/heads/main", sha: r.begin, token: "drift", payload: map[string]any{"schedule": "17 3 * * *"}}
}

// TestDriftKeepsOneIssue opens, changes, leaves, closes and opens anew.
func TestDriftKeepsOneIssue(t *testing.T) {
	r := start(t)
	gap := []plans.Gap{{Subject: "db", Text: "no route to host"}}
	for _, step := range []struct {
		name   string
		drift  plans.Drift
		exit   problem.Code
		issues []string // their states
		in     string   // the text of the last
		output string
	}{
		{"none", drifted(nil), problem.OK, nil, "", "false"},
		{"opened", drifted(nil, "web-1"), problem.OK, []string{"open"}, "web-1", "true"},
		{"changed", drifted(nil, "web-1", "web-2"), problem.OK, []string{"open"}, "web-2", "true"},
		{"seen in part", drifted(gap, "web-2"), problem.Failed, []string{"open"}, "web-2", "true"},
		{"not seen", drifted(gap), problem.Failed, []string{"open"}, "web-2", "false"},
		{"gone", drifted(nil), problem.OK, []string{"closed"}, "", "false"},
		{"still gone", drifted(nil), problem.OK, []string{"closed"}, "", "false"},
		{"again", drifted(nil, "web-3"), problem.OK, []string{"closed", "open"}, "web-3", "true"},
	} {
		r.drift(step.drift)
		done := r.run(r.onSchedule())
		done.want(step.exit)
		all := r.api.Issues()
		if len(all) != len(step.issues) {
			t.Fatalf("%s: %+v", step.name, all)
		}
		for i, state := range step.issues {
			if all[i].State != state || all[i].Title != "Drift in fleet acme" {
				t.Errorf("%s: %+v", step.name, all[i])
			}
		}
		if n := len(all); n > 0 {
			wantIn(t, step.name, all[n-1].Body, step.in)
		}
		if done.outputs["drift"] != step.output {
			t.Errorf("%s: outputs %v", step.name, done.outputs)
		}
		if step.exit != problem.OK {
			wantIn(t, step.name, done.said("error"), "no route to host")
		}
	}
	r.flow.onDrift = func(deploy.DriftOptions) (plans.Drift, error) {
		return plans.Drift{}, &problem.Problem{Summary: "no token"}
	}
	r.run(r.onSchedule()).want(problem.Failed, "no token")
	if all := r.api.Issues(); all[1].State != "open" {
		t.Errorf("closed by a drift that could not be looked for: %+v", all)
	}
}

// TestDriftOfTwoFleets: each has its issue, and one that somebody else planted
// is none.
func TestDriftOfTwoFleets(t *testing.T) {
	r := start(t)
	r.write("eu/flotilla.yaml", "fleet: acme-eu\n")
	r.drift(drifted(nil, "web-1"))
	r.run(r.onSchedule()).want(problem.OK)
	r.run(r.onSchedule().with("fleet-dir", "eu")).want(problem.OK)
	planted := r.api.PutIssue("mallory", "Drift in fleet acme", r.api.Issues()[0].Body, "flotilla")
	r.drift(drifted(nil))
	r.run(r.onSchedule().with("fleet-dir", "eu")).want(problem.OK)
	states := ""
	for _, i := range r.api.Issues() {
		states += i.State + " "
	}
	if states != "open closed open " {
		t.Errorf("issues: %s(planted is #%d)", states, planted)
	}
}

// TestDriftKnowsWhatIsDeployed: it is the newest success that is compared.
func TestDriftKnowsWhatIsDeployed(t *testing.T) {
	r := start(t)
	good, bad := r.api.AddCommit("main", "Good"), r.api.AddCommit("main", "Bad")
	for sha, outcome := range map[string]fleet.Outcome{good: fleet.Deployed, bad: fleet.RolledBack} {
		r.flow.onDeploy = deploys(result(t, sha, map[string]fleet.Outcome{"web-1": outcome}))
		r.run(r.onPush(sha))
	}
	asked := ""
	r.flow.onDrift = func(o deploy.DriftOptions) (plans.Drift, error) {
		asked = o.Deployed
		return drifted(nil), nil
	}
	r.run(r.onSchedule()).want(problem.OK)
	if asked != good {
		t.Errorf("compared with %q, want %s", asked, good)
	}
	// GitHub is down: the servers' labels have to do.
	r.inject(github.Fault{Path: "/deployments", Status: 500, Times: github.Always})
	done := r.run(r.onSchedule())
	done.want(problem.OK)
	wantIn(t, "the warnings", done.said("warning"), "list deployments")
	if asked != "" {
		t.Errorf("compared with %q", asked)
	}
}
