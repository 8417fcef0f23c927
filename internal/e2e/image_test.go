//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

const (
	megabyte     = 1_000_000
	maxImage     = 280 * megabyte
	maxAbove     = 20 * megabyte // the image above its parts
	maxFirstLine = time.Second
	base         = "debian:trixie-slim"
)

// buildImage builds the action's image under a name of this run's own.
func buildImage(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("flotilla-e2e:%d", os.Getpid())
	out, err := exec.Command("../../.ci/image", name).CombinedOutput()
	if err != nil {
		t.Fatalf("image: %v\n%s", err, out)
	}
	t.Cleanup(func() { docker(t, "rmi", "-f", name) })
	return name
}

// theImage checks how large the image is, in all and above its parts: the base,
// Nix and git with the libraries that they load, and the program.
func theImage(t *testing.T, image string) {
	size := func(name string) int {
		n, err := strconv.Atoi(docker(t, "image", "inspect", "-f", "{{.Size}}", name))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const libraries = `for p in "$@"; do ldd "$p" 2>/dev/null; done | sed -n 's,.*=> \(/[^ ]*\) .*,\1,p'`
	files := func(name, list string, args ...string) map[string]int {
		script := `{ ` + list + `; } | xargs -r readlink -f | sort -u | xargs -r stat -c '%F|%i|%s|%n' | sort -u -t'|' -k2,2`
		found := map[string]int{}
		all := append([]string{"run", "--rm", "--network", "none", "--entrypoint", "sh", name, "-c", script, "sh"}, args...)
		for line := range strings.Lines(docker(t, all...)) {
			parts := strings.Split(strings.TrimSpace(line), "|")
			if len(parts) != 4 || parts[0] != "regular file" {
				continue // a folder, or a word on stderr
			}
			n, err := strconv.Atoi(parts[2])
			if err != nil {
				t.Fatal(err)
			}
			found[parts[3]] = n
		}
		return found
	}
	inBase := files(base, `find /usr -type f`)
	sum := func(found map[string]int) int {
		total := 0
		for path, n := range found {
			if _, ok := inBase[path]; !ok {
				total += n
			}
		}
		return total
	}
	nix := files(image, `dpkg -L nix-bin; `+libraries, "/usr/bin/nix")
	git := files(image, `dpkg -L git; `+libraries, "/usr/bin/git", "/usr/lib/git-core/git-remote-http")
	for path := range nix {
		delete(git, path) // a library of both counts once
	}
	program := files(image, `echo /usr/local/bin/flotilla`)
	total, parts := size(image), size(base)+sum(nix)+sum(git)+sum(program)
	t.Logf("image %d MB: base %d, Nix %d, git %d, flotilla %d, above them %d", total/megabyte, size(base)/megabyte,
		sum(nix)/megabyte, sum(git)/megabyte, sum(program)/megabyte, (total-parts)/megabyte)
	if total > maxImage || total-parts > maxAbove {
		t.Errorf("the image has %d bytes, %d above its parts; at most %d and %d are allowed", total, total-parts, maxImage, maxAbove)
	}
	if sum(nix) < 10*megabyte || sum(git) < 5*megabyte || sum(program) < 5*megabyte {
		t.Error("the parts were not found")
	}

	config := docker(t, "image", "inspect", "-f", "{{json .Config.Entrypoint}} {{.Config.User}} {{.Config.WorkingDir}}", image)
	if strings.TrimSpace(config) != `["/usr/local/bin/flotilla","action"]` {
		t.Errorf("entry point, user and folder: %s", config)
	}
}

// starts checks how long a user waits for the first line. What docker alone
// takes on this machine, which may be slow or busy, is the other measure.
func (w *runner) starts(t *testing.T, j job) {
	var alone, first []time.Duration
	for range 3 {
		start := time.Now()
		docker(t, "run", "--rm", "--network", "host", "--entrypoint", "/bin/true", w.image)
		alone = append(alone, time.Since(start))
		first = append(first, w.start(t, j).first)
	}
	took, docker := slices.Min(first), slices.Min(alone)
	t.Logf("first line after %s; docker run … true takes %s", took.Round(time.Millisecond), docker.Round(time.Millisecond))
	if took == 0 || took > max(maxFirstLine, 2*docker) {
		t.Errorf("first line after %s", took)
	}
}

// alone plans a pull request with no network, a HOME that cannot be written and
// no event but the least: what a job on a closed runner has.
func (w *runner) alone(t *testing.T, p *pull) {
	workspace, files := w.checkout(t, fmt.Sprintf("refs/pull/%d/merge", p.number), p.merge), t.TempDir()
	for name, text := range map[string]string{"output": "", "summary": "", "event.json": `{"number": 7, "repository": {"default_branch": "main"}}`} {
		w.put(t, filepath.Join(files, name), text)
	}
	w.r.git(t, "-C", workspace, "fetch", "-q", "--unshallow", w.dir, "refs/pull/"+strconv.Itoa(p.number)+"/merge")
	own(t, workspace)
	env := w.environment(job{})
	nixpkgs := strings.TrimPrefix(env["NIX_PATH"], "nixpkgs=")
	out, err := exec.Command("docker", "run", "--rm", "--network", "none", "--workdir", "/github/workspace",
		"-v", workspace+":/github/workspace", "-v", files+":/github/files", "-v", nixpkgs+":/nixpkgs:ro",
		"-e", "NIX_PATH=nixpkgs=/nixpkgs", "-e", "HOME=/proc", "-e", "GITHUB_ACTIONS=true", "-e", "GITHUB_EVENT_NAME=pull_request",
		"-e", "GITHUB_EVENT_PATH=/github/files/event.json", "-e", "GITHUB_OUTPUT=/github/files/output",
		"-e", "GITHUB_STEP_SUMMARY=/github/files/summary", "-e", "GITHUB_WORKSPACE=/github/workspace",
		"-e", "GITHUB_SHA="+p.merge, "-e", "GITHUB_ACTOR=ada", "-e", "GITHUB_REPOSITORY=acme/fleet", w.image).CombinedOutput()
	if err != nil {
		t.Fatalf("action: %v\n%s", err, out)
	}
	if summary := read(t, filepath.Join(files, "summary")); !strings.Contains(summary, "nginx.service") {
		t.Errorf("summary:\n%s", summary)
	}
	found := outputs(t, read(t, filepath.Join(files, "output")))
	if found["changed-hosts"] != `["web"]` {
		t.Errorf("outputs: %v", found)
	}
	if plan := planOf(t, workspace, found["plan"]); len(plan.This.Hosts) != 1 || !plan.Complete {
		t.Errorf("plan: %+v", plan)
	}
}

// planOf reads the plan that a job left in its workspace.
func planOf(t *testing.T, workspace, file string) plans.Plan {
	t.Helper()
	var plan plans.Plan
	if err := json.Unmarshal([]byte(read(t, filepath.Join(workspace, file))), &plan); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return plan
}
