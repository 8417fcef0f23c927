//go:build integration

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	actProgram = "github.com/nektos/act@v0.2.89"
	// actionName is how the example workflows use the action.
	actionName = "flotilla-nix/flotilla"
)

// unknownToAct are keys that GitHub has since 2026 and act refuses.
var unknownToAct = regexp.MustCompile(`(?m)^ +(deployment: false|queue: max).*\n`)

// uploadAction fails unless each file that it is to upload is there.
const uploadAction = `name: Upload
inputs:
  name: {required: true}
  path: {required: true}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        FILES: ${{ inputs.path }}
      run: |
        while read -r file; do
          [ -z "$file" ] || { [ -s "$file" ] && echo "uploads $file"; } || exit 1
        done <<<"$FILES"
`

// cacheAction finds nothing, as the first job that asks does.
const cacheAction = `name: Cache
inputs:
  path: {required: true}
  key: {required: true}
  restore-keys: {required: false}
runs:
  using: composite
  steps:
    - shell: bash
      env:
        FOLDER: ${{ inputs.path }}
      run: '[ -n "$FOLDER" ] && echo "keeps $FOLDER"'
`

// act runs whole workflows in the place of GitHub's runner.
type act struct {
	*runner
	program string
	home    string
	actions map[string]string // folders of the actions that are not checkout
}

// newAct installs act and makes the action as a release has it: action.yml with
// the image's name in the place of the Dockerfile.
func newAct(t *testing.T, w *runner) *act {
	t.Helper()
	a := &act{runner: w, home: t.TempDir(), actions: map[string]string{}}
	install := exec.Command("go", "install", actProgram)
	install.Env = append(os.Environ(), "GOBIN="+filepath.Join(a.home, "bin"), "GOFLAGS=")
	start := time.Now()
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("go install %s: %v\n%s", actProgram, err, out)
	}
	t.Logf("go install act took %s", time.Since(start).Round(time.Millisecond))
	a.program = filepath.Join(a.home, "bin", "act")
	text := read(t, "../../action.yml")
	image := regexp.MustCompile(`(?m)^  image: .*$`)
	if !image.MatchString(text) {
		t.Fatalf("action.yml names no image:\n%s", text)
	}
	for name, text := range map[string]string{
		actionName: image.ReplaceAllString(text, "  image: docker://"+w.image), "actions/upload-artifact": uploadAction, "actions/cache": cacheAction,
	} {
		a.actions[name] = t.TempDir()
		w.put(t, filepath.Join(a.actions[name], "action.yml"), text)
	}
	t.Cleanup(func() { a.cleanUp(t) })
	return a
}

// cleanUp removes what act keeps for its next run.
func (a *act) cleanUp(t *testing.T) {
	t.Helper()
	if left := docker(t, "ps", "-aq", "--filter", "name=^act-flotilla"); left != "" {
		t.Errorf("act left containers: %s", left)
		docker(t, append([]string{"rm", "-f"}, strings.Fields(left)...)...)
	}
	for _, volume := range strings.Fields(docker(t, "volume", "ls", "-q", "--filter", "name=^act-")) {
		_ = exec.Command("docker", "volume", "rm", volume).Run() // one that is in use is somebody else's
	}
}

// workflow runs one of the example workflows for a job's event to a good end
// and gives its log. The images, where GitHub is, and what act does not know are other than there.
func (a *act) workflow(t *testing.T, file string, j job) string {
	t.Helper()
	j, over := a.begin(j)
	dir, files := a.checkout(t, j.ref, j.sha), t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".github", "workflows"), 0o755); err != nil {
		t.Fatal(err)
	}
	text := read(t, filepath.Join("../../examples/workflows", file))
	text = unknownToAct.ReplaceAllString(text, "")
	a.put(t, filepath.Join(dir, ".github", "workflows", file), text)
	event := filepath.Join(files, "event.json")
	a.put(t, event, a.event(t, j))
	env := a.environment(j)
	nixpkgs := strings.TrimPrefix(env["NIX_PATH"], "nixpkgs=")

	args := []string{j.event, "-C", dir, "-W", ".github/workflows/" + file, "-e", event, "-P", "ubuntu-24.04=" + base, "--pull=false", "--rm",
		"--container-daemon-socket", "-", "--container-options", "-v " + nixpkgs + ":" + nixpkgs + ":ro"}
	for name, dir := range a.actions {
		for _, use := range regexp.MustCompile(regexp.QuoteMeta(name)+`@[\w.-]+`).FindAllString(text, -1) {
			args = append(args, "--local-repository", use+"="+dir)
		}
	}
	for _, name := range []string{"GITHUB_API_URL", "GITHUB_GRAPHQL_URL", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_REPOSITORY_OWNER",
		"GITHUB_RUN_ID", "GITHUB_RUN_NUMBER", "GITHUB_RUN_ATTEMPT", "GITHUB_ACTOR", "HCLOUD_ENDPOINT", "NIX_PATH"} {
		args = append(args, "--env", name+"="+env[name])
	}
	cmdEnv := append(os.Environ(), "HOME="+a.home, "XDG_CONFIG_HOME="+a.home, "XDG_CACHE_HOME="+a.home)
	for name, value := range a.secrets(j) {
		args = append(args, "-s", name)
		cmdEnv = append(cmdEnv, name+"="+value)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, a.program, args...)
	cmd.Env = cmdEnv
	start := time.Now()
	log, code := follow(t, cmd, func(string, *exec.Cmd) {})
	over(code)
	if code != 0 {
		t.Fatalf("act %s ended with exit code %d\n%s", file, code, log)
	}
	t.Logf("act %s: in %s", file, time.Since(start).Round(10*time.Millisecond))
	for _, line := range a.secretLines(j) {
		if strings.Contains(log, line) {
			t.Errorf("a secret is in act's log: %s", fmt.Sprintf("%.8s…", line))
		}
	}
	return log
}

// secrets are those of the repository, by their names in the example workflows.
func (a *act) secrets(j job) map[string]string {
	found := map[string]string{"GITHUB_TOKEN": token(j.token)}
	for _, e := range a.r.env {
		switch name, value, _ := strings.Cut(e, "="); name {
		case "HCLOUD_TOKEN", "FLOTILLA_SSH_KEY":
			found[name] = value
		case "FLOTILLA_LAB_READ_ONLY_TOKEN":
			found["HCLOUD_READ_TOKEN"] = value
		}
	}
	return found
}

func (a *act) secretLines(j job) []string {
	var lines []string
	for _, value := range a.secrets(j) {
		for line := range strings.Lines(value) {
			if line = strings.TrimSpace(line); len(line) >= 8 && !strings.HasPrefix(line, "-----") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}
