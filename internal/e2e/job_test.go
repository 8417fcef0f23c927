//go:build integration

package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

// job is one job with the action as its step, as a workflow describes it.
type job struct {
	event   string
	payload map[string]any
	ref     string
	sha     string
	inputs  map[string]string
	token   string // plan, deploy, rollback, drift or fork: which rights and secrets the job has
	run     int    // number of the workflow's run; 0: the next one
	attempt int
	watch   func(string, *exec.Cmd)        // sees each line of the log
	env     map[string]string              // more
	prepare func(t *testing.T, dir string) // changes the workspace before the step
}

// ran is a job that has ended.
type ran struct {
	code      int
	log       string
	summary   string
	outputs   map[string]string
	workspace string
	first     time.Duration // until the first line of the log
	took      time.Duration
}

// runner runs jobs in the action's image.
type runner struct {
	*hub
	image string
	runs  int

	reviewed *pull  // an open one whose plan is up to date
	older    string // a commit of main that a newer one is deployed over
}

// onPull is the job of a pull request's event: opened or synchronize.
func (w *runner) onPull(p *pull, action string) job {
	home := map[string]any{"full_name": repository, "fork": false, "private": true}
	head := home
	if p.fork != "" {
		head = map[string]any{"full_name": p.fork + "/fleet", "fork": true, "private": true}
	}
	j := job{
		event: "pull_request", ref: fmt.Sprintf("refs/pull/%d/merge", p.number), sha: p.merge, token: "plan",
		payload: map[string]any{
			"action": action, "number": p.number, "sender": map[string]any{"login": "octocat"},
			"pull_request": map[string]any{
				"number": p.number, "state": "open", "draft": false, "merged": false, "merge_commit_sha": p.merge,
				"head": map[string]any{"ref": p.branch, "sha": p.head, "repo": head},
				"base": map[string]any{"ref": "main", "sha": w.r.head("main"), "repo": home},
			},
		},
	}
	if p.fork != "" {
		j.token = "fork"
	}
	return j
}

// onPush is the job of a push to main.
func (w *runner) onPush(sha string) job {
	return job{
		event: "push", ref: "refs/heads/main", sha: sha, token: "deploy",
		payload: map[string]any{
			"ref": "refs/heads/main", "after": sha, "before": strings.Repeat("0", 40), "deleted": false, "forced": false,
			"sender": map[string]any{"login": "octocat"},
		},
	}
}

// onDispatch is a job that somebody starts by hand on main.
func (w *runner) onDispatch(inputs map[string]string) job {
	as := inputs["command"]
	if as == "release" {
		as = "rollback" // they share a workflow
	}
	return job{
		event: "workflow_dispatch", ref: "refs/heads/main", sha: w.r.head("main"), token: as, inputs: inputs,
		payload: map[string]any{"ref": "refs/heads/main", "inputs": inputs, "sender": map[string]any{"login": "octocat"}},
	}
}

func (r *rig) head(branch string) string {
	out, err := exec.Command("git", "-C", r.repo, "rev-parse", branch).Output()
	if err != nil {
		return "" // no commit of that name: the job fails on it
	}
	return strings.TrimSpace(string(out))
}

// do runs a job to its end and wants an exit code.
func (w *runner) do(t *testing.T, code int, j job) ran {
	t.Helper()
	ended := w.start(t, j)
	if ended.code != code {
		t.Fatalf("%s ended with exit code %d, want %d\n%s", j.event, ended.code, code, ended.log)
	}
	t.Logf("%s %v: exit code %d in %s", j.event, j.inputs, ended.code, ended.took.Round(10*time.Millisecond))
	return ended
}

// start runs a job as the runner does: facts of GitHub's runner are in how it
// calls docker, what it mounts and to whom that belongs.
func (w *runner) start(t *testing.T, j job) ran {
	t.Helper()
	j, over := w.begin(j)
	ended := ran{workspace: w.checkout(t, j.ref, j.sha), outputs: map[string]string{}}
	if j.prepare != nil {
		j.prepare(t, ended.workspace)
	}
	files := t.TempDir()
	for _, dir := range []string{"home", "workflow", "file_commands", "runner_temp"} {
		if err := os.Mkdir(filepath.Join(files, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"set_output", "step_summary", "set_env", "save_state", "add_path"} {
		w.put(t, filepath.Join(files, "file_commands", file), "")
	}
	w.put(t, filepath.Join(files, "workflow", "event.json"), w.event(t, j))
	own(t, files)

	name := w.container(j)
	env := w.environment(j)
	args := []string{"run", "--name", name, "--rm", "--network", "host", "--workdir", "/github/workspace", "-v", ended.workspace + ":/github/workspace"}
	for _, dir := range []string{"home", "workflow", "file_commands", "runner_temp"} {
		args = append(args, "-v", filepath.Join(files, dir)+":/github/"+dir)
	}
	nixpkgs := strings.TrimPrefix(env["NIX_PATH"], "nixpkgs=")
	args = append(args, "-v", nixpkgs+":"+nixpkgs+":ro")
	for key := range env {
		args = append(args, "-e", key)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", append(args, w.image)...)
	cmd.Env = os.Environ()
	for key, value := range env {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	start := time.Now()
	ended.log, ended.code = follow(t, cmd, func(line string, cmd *exec.Cmd) {
		if ended.first == 0 {
			ended.first = time.Since(start)
		}
		if j.watch != nil {
			j.watch(line, cmd)
		}
	})
	ended.took = time.Since(start)
	over(ended.code)
	if left, err := exec.Command("docker", "ps", "-aq", "--filter", "name=^"+name+"$").Output(); err != nil || len(left) > 0 {
		docker(t, "rm", "-f", name)
		if j.watch == nil {
			t.Errorf("the job's container was left (%v)", err)
		}
	}
	ended.summary = read(t, filepath.Join(files, "file_commands", "step_summary"))
	ended.outputs = outputs(t, read(t, filepath.Join(files, "file_commands", "set_output")))
	w.secretsKept(t, ended, env)
	return ended
}

// container is the name of a job's container.
func (w *runner) container(j job) string {
	return fmt.Sprintf("flotilla-job-%s-%d-%d", w.r.lab, j.run, j.attempt)
}

// follow runs a command and gives its output, both streams in one.
func follow(t *testing.T, cmd *exec.Cmd, watch func(string, *exec.Cmd)) (string, int) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	cmd.Stdout, cmd.Stderr = writer, writer
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close() // the command has its own
	var log strings.Builder
	lines := bufio.NewReader(reader)
	for {
		line, err := lines.ReadString('\n')
		log.WriteString(line)
		if line != "" {
			watch(strings.TrimRight(line, "\n"), cmd)
		}
		if err != nil {
			break
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v\n%s", cmd.Args[:2], err, log.String())
	}
	return log.String(), cmd.ProcessState.ExitCode()
}

// begin numbers a job's run and has GitHub know it; over says that it ended.
func (w *runner) begin(j job) (numbered job, over func(code int)) {
	if j.run == 0 {
		w.runs++
		j.run = w.runs
	}
	j.attempt = max(j.attempt, 1)
	run := github.Run{ID: int64(j.run), Attempt: j.attempt, Status: "in_progress", SHA: j.sha, Event: j.event}
	w.api.PutRun(run)
	return j, func(code int) {
		run.Status, run.Conclusion = "completed", "success"
		if code != 0 {
			run.Conclusion = "failure"
		}
		w.api.PutRun(run)
	}
}

// environment is that of the step.
func (w *runner) environment(j job) map[string]string {
	env := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "HOME": "/github/home", "GITHUB_WORKSPACE": "/github/workspace", "RUNNER_TEMP": "/github/runner_temp",
		"GITHUB_EVENT_PATH": "/github/workflow/event.json", "GITHUB_OUTPUT": "/github/file_commands/set_output",
		"GITHUB_STEP_SUMMARY": "/github/file_commands/step_summary", "GITHUB_ENV": "/github/file_commands/set_env",
		"GITHUB_STATE": "/github/file_commands/save_state", "GITHUB_PATH": "/github/file_commands/add_path",
		"GITHUB_API_URL": w.url + "/api/v3", "GITHUB_GRAPHQL_URL": w.url + "/api/graphql", "GITHUB_SERVER_URL": w.url,
		"GITHUB_REPOSITORY": repository, "GITHUB_REPOSITORY_OWNER": "acme", "GITHUB_EVENT_NAME": j.event, "GITHUB_REF": j.ref, "GITHUB_SHA": j.sha,
		"GITHUB_ACTOR": "octocat", "GITHUB_TRIGGERING_ACTOR": "octocat", "GITHUB_JOB": "flotilla", "GITHUB_WORKFLOW": "flotilla",
		"GITHUB_RUN_ID": strconv.Itoa(j.run), "GITHUB_RUN_NUMBER": strconv.Itoa(j.run), "GITHUB_RUN_ATTEMPT": strconv.Itoa(j.attempt),
		"INPUT_TOKEN": token(j.token),
	}
	for name, value := range j.inputs {
		env["INPUT_"+strings.ToUpper(name)] = value
	}
	for _, e := range w.r.env {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "NIX_PATH", "NIX_CONFIG", "HCLOUD_ENDPOINT":
			env[name] = value
		case "HCLOUD_TOKEN", "FLOTILLA_SSH_KEY":
			if j.token != "plan" && j.token != "fork" {
				env[name] = value
			}
		case "FLOTILLA_LAB_READ_ONLY_TOKEN":
			if j.token == "plan" {
				env["HCLOUD_TOKEN"] = value
			}
		}
	}
	maps.Copy(env, j.env)
	return env
}

// event is the event's file: what j says, and what each event says.
func (w *runner) event(t *testing.T, j job) string {
	t.Helper()
	payload := map[string]any{
		"repository": map[string]any{
			"full_name": repository, "name": "fleet", "default_branch": "main", "private": true, "owner": map[string]any{"login": "acme"},
			"html_url": w.url + "/" + repository,
		},
	}
	maps.Copy(payload, j.payload)
	text, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (w *runner) put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// outputs reads the file of a step's outputs as the runner does.
func outputs(t *testing.T, text string) map[string]string {
	t.Helper()
	found := map[string]string{}
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		name, end, block := strings.Cut(lines[i], "<<")
		if key, value, ok := strings.Cut(lines[i], "="); ok && !block {
			found[key] = value
			continue
		}
		if !block {
			continue
		}
		var value []string
		for i++; i < len(lines) && lines[i] != end; i++ {
			value = append(value, lines[i])
		}
		if i == len(lines) {
			t.Errorf("output %s has no end", name)
		}
		found[name] = strings.Join(value, "\n")
	}
	return found
}

// secretsKept checks that no secret is in what people see.
func (w *runner) secretsKept(t *testing.T, ended ran, env map[string]string) {
	t.Helper()
	for _, name := range []string{"HCLOUD_TOKEN", "FLOTILLA_SSH_KEY", "INPUT_TOKEN"} {
		for line := range strings.Lines(env[name]) {
			if line = strings.TrimSpace(line); len(line) < 8 || strings.HasPrefix(line, "-----") {
				continue
			}
			if strings.Contains(ended.summary, line) || strings.Contains(fmt.Sprint(ended.outputs), line) {
				t.Errorf("%s is in the summary or the outputs", name)
			}
			for said := range strings.Lines(ended.log) {
				if strings.Contains(said, line) && !strings.HasPrefix(said, "::add-mask::") {
					t.Errorf("%s is in the log: %s", name, said)
				}
			}
		}
	}
}
