//go:build integration

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// The action's image plans a pull request as a GitHub job would run it: the
// workspace belongs to another user, HOME is read-only, HEAD is the test merge.
func TestAction(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-action", nil) // its base image is the action's too
	const image = "flotilla:e2e"
	if out, err := exec.Command("../../.ci/image", image).CombinedOutput(); err != nil {
		t.Fatalf("image: %v\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
	t.Cleanup(func() { docker(t, "rmi", "-f", image) })

	r.git(t, "switch", "-q", "-c", "topic")
	r.greet(t, "From a pull request.")
	r.git(t, "switch", "-q", "main")
	r.git(t, "merge", "-q", "--no-ff", "-m", "Merge topic into main", "topic")
	docker(t, "run", "--rm", "-v", r.repo+":/w", "--entrypoint", "chown", image, "-R", "1001:1001", "/w")

	files := t.TempDir()
	for _, name := range []string{"output", "summary", "event.json"} {
		text := ""
		if name == "event.json" {
			text = `{"number": 7, "repository": {"default_branch": "main"}}`
		}
		if err := os.WriteFile(filepath.Join(files, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nixpkgs := ""
	for _, e := range r.env {
		if v, ok := strings.CutPrefix(e, "NIX_PATH=nixpkgs="); ok {
			nixpkgs = v
		}
	}
	args := []string{"run", "--rm", "--network", "none", "--workdir", "/github/workspace",
		"-v", r.repo + ":/github/workspace", "-v", files + ":/github/files", "-v", nixpkgs + ":/nixpkgs:ro",
		"-e", "NIX_PATH=nixpkgs=/nixpkgs", "-e", "HOME=/proc", "-e", "GITHUB_ACTIONS=true", "-e", "GITHUB_EVENT_NAME=pull_request",
		"-e", "GITHUB_EVENT_PATH=/github/files/event.json", "-e", "GITHUB_OUTPUT=/github/files/output",
		"-e", "GITHUB_STEP_SUMMARY=/github/files/summary", "-e", "GITHUB_WORKSPACE=/github/workspace",
		"-e", "GITHUB_SHA=" + r.git(t, "rev-parse", "main"), "-e", "GITHUB_ACTOR=ada", "-e", "GITHUB_REPOSITORY=acme/fleet", image}
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("action: %v\n%s", err, out)
	}
	summary, err := os.ReadFile(filepath.Join(files, "summary"))
	if err != nil || !strings.Contains(string(summary), "nginx.service") {
		t.Errorf("summary (%v):\n%s", err, summary)
	}
	outputs, err := os.ReadFile(filepath.Join(files, "output"))
	if err != nil || !strings.Contains(string(outputs), `["web"]`) {
		t.Errorf("outputs (%v):\n%s", err, outputs)
	}
	text, err := os.ReadFile(filepath.Join(r.repo, "flotilla-plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	var plan plans.Plan
	if err := json.Unmarshal(text, &plan); err != nil || len(plan.This.Hosts) != 1 || !plan.Complete {
		t.Errorf("plan (%v): %s", err, text)
	}
}
