package examples

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The complete repository has the workflows that stand alone, and no other:
// ChatOps is for those who want it.
func TestWorkflowsAreTheSame(t *testing.T) {
	const folder = "two-servers/.github/workflows/"
	names := []string{"plan.yml", "deploy.yml", "rollback.yml", "drift.yml"}
	for _, name := range names {
		if read(t, folder+name) != read(t, "workflows/"+name) {
			t.Errorf("%s%s is not workflows/%s: cp one over the other", folder, name, name)
		}
	}
	if all, err := filepath.Glob(folder + "*"); err != nil || len(all) != len(names) {
		t.Errorf("there are %v (%v), want %v", all, err, names)
	}
}

// workflow is the part of a workflow that is looked at.
type workflow struct {
	On          map[string]any    `yaml:"on"`
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `yaml:"permissions"`
		Timeout     int               `yaml:"timeout-minutes"`
		Environment struct {
			Name       string `yaml:"name"`
			Deployment *bool  `yaml:"deployment"`
		} `yaml:"environment"`
		Concurrency struct {
			Group string `yaml:"group"`
			Queue string `yaml:"queue"`
		} `yaml:"concurrency"`
		Steps []struct {
			Uses string         `yaml:"uses"`
			With map[string]any `yaml:"with"`
			Env  map[string]any `yaml:"env"`
		} `yaml:"steps"`
	} `yaml:"jobs"`
}

// What the linters do not know: the workflows fit action.yml and the fleet.
func TestWorkflowsFitTheAction(t *testing.T) {
	var action struct {
		Inputs  map[string]any `yaml:"inputs"`
		Outputs map[string]any `yaml:"outputs"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "../action.yml")), &action); err != nil {
		t.Fatal(err)
	}
	var fleet struct {
		Fleet string `yaml:"fleet"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "two-servers/flotilla.yaml")), &fleet); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("workflows/*.yml")
	if err != nil || len(files) != 5 {
		t.Fatalf("workflows: %v, %v", files, err)
	}
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	output := regexp.MustCompile(`steps\.flotilla\.outputs\.([a-z-]+)`)
	for _, file := range files {
		text := read(t, file)
		var w workflow
		if err := yaml.Unmarshal([]byte(text), &w); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if w.Permissions == nil || len(w.Permissions) != 0 || w.On["pull_request_target"] != nil {
			t.Errorf("%s: gives all of its jobs %v, runs on %v", file, w.Permissions, w.On)
		}
		for _, found := range output.FindAllStringSubmatch(text, -1) {
			if _, ok := action.Outputs[found[1]]; !ok {
				t.Errorf("%s: the action has no output %s", file, found[1])
			}
		}
		for name, job := range w.Jobs {
			where := file + ", job " + name
			if job.Timeout == 0 || job.Permissions["contents"] != "read" {
				t.Errorf("%s: timeout %d, permissions %v", where, job.Timeout, job.Permissions)
			}
			if plans := file == "workflows/plan.yml"; !plans && (job.Environment.Name != fleet.Fleet || job.Environment.Deployment == nil || *job.Environment.Deployment) {
				t.Errorf("%s: environment %+v, want that of the fleet %s without a deployment of GitHub's own", where, job.Environment, fleet.Fleet)
			}
			changes := strings.Contains("workflows/deploy.yml workflows/rollback.yml workflows/chatops.yml", file)
			if changes && (!strings.Contains(job.Concurrency.Group, "flotilla-"+fleet.Fleet) || job.Concurrency.Queue != "max") {
				t.Errorf("%s: concurrency %+v", where, job.Concurrency)
			}
			for _, step := range job.Steps {
				ours := strings.HasPrefix(step.Uses, "flotilla-nix/flotilla@")
				if !ours && step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s is not pinned", where, step.Uses)
				}
				if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
					t.Errorf("%s: leaves the token in the checkout", where)
				}
				for input := range step.With {
					if _, ok := action.Inputs[input]; ours && !ok {
						t.Errorf("%s: the action has no input %s", where, input)
					}
				}
				if _, ssh := step.Env["FLOTILLA_SSH_KEY"]; ssh && file == "workflows/plan.yml" {
					t.Errorf("%s: hands the deploy key to a plan", where)
				}
			}
		}
	}
}
