package render

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

func system(t *testing.T, hash string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse(storepath.Dir + "/" + hash + "-nixos-system-x")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestStatusGolden(t *testing.T) {
	now := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	one, two := system(t, "1111111111111111111111111111111a"), system(t, "2222222222222222222222222222222b")
	const commit = "3f2a1bc9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3"
	status := []plans.HostStatus{
		{Host: "web-1", Address: "203.0.113.7", Reachable: true, Running: one, BootDefault: one, Generation: 42, Commit: commit, DeployedAt: now.Add(-3 * time.Hour)},
		{Host: "web-2", Address: "203.0.113.8", Reachable: true, Running: two, BootDefault: one, Generation: 41, Commit: commit, DeployedAt: now.Add(-72 * time.Hour),
			Pending: true, Hold: &fleet.Hold{By: "anna", At: now.Add(-50 * time.Hour), Reason: "checkout errors"}, FailedUnits: []string{"app.service"}},
		{Host: "db", Address: "2001:db8::9", Reachable: true, Running: two, Generation: 9, Drift: []string{"the running system is in no record"}, LockedBy: "run 17"},
		{Host: "lab", Address: "203.0.113.9", Problem: "dial tcp 203.0.113.9:22: i/o timeout"},
	}
	history := []plans.HostHistory{
		{Host: "web-1", Records: []fleet.Record{
			{ID: "b", Kind: fleet.RecordDeploy, Outcome: fleet.RolledBack, System: two, Old: one, Commit: commit, By: "github-actions", At: now.Add(-time.Hour), Reason: "health check http did not hold within 60s"},
			{ID: "a", Kind: fleet.RecordRollback, Outcome: fleet.Deployed, System: one, Old: two, Generation: 42, Commit: commit, By: "anna", At: now.Add(-96 * time.Hour)},
		}},
		{Host: "web-2"},
		{Host: "lab", Problem: "dial tcp 203.0.113.9:22: i/o timeout"},
	}
	facts := fleet.Facts{
		"web-1": {IPv4: "203.0.113.7", IPv6: "2001:db8::1", Private: map[string]string{"private": "10.0.1.3"}, ServerType: "cx22", Location: "nbg1", Known: true},
		"web-2": {IPv4: "192.0.2.1", Private: map[string]string{"private": "10.0.1.4"}, ServerType: "cx22", Location: "nbg1"},
	}
	broken := CheckReport{Fleet: "acme", Warnings: []plans.Gap{{Subject: "web-1", Text: "an old option"}}, Err: &problem.Problem{
		Summary: `unknown key "server_typ"`, At: problem.Position{File: "flotilla.yaml", Line: 12, Column: 5},
		Source: "    server_typ: cx22", Hints: []string{"Did you mean server_type?"}, Cause: errors.New("strict")}}
	for name, write := range map[string]func(io.Writer) error{
		"status.txt":       func(w io.Writer) error { return StatusText(w, status, now, Options{}) },
		"status-color.txt": func(w io.Writer) error { return StatusText(w, status, now, Options{Color: true}) },
		"status.json":      func(w io.Writer) error { return StatusJSON(w, status) },
		"history.txt":      func(w io.Writer) error { return HistoryText(w, history, now, Options{}) },
		"history.json":     func(w io.Writer) error { return HistoryJSON(w, history) },
		"facts.txt":        func(w io.Writer) error { return FactsText(w, facts, Options{}) },
		"facts.json":       func(w io.Writer) error { return FactsJSON(w, facts) },
		"check-broken.txt": func(w io.Writer) error { return CheckText(w, broken, Options{}) },
		"check.json":       func(w io.Writer) error { return CheckJSON(w, broken) },
		"check-ok.txt": func(w io.Writer) error {
			return CheckText(w, CheckReport{Fleet: "acme", Checked: []string{"2 servers", "2 hosts"}}, Options{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := write(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+name, b.Bytes())
		})
	}
}
