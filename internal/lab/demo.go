package lab

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/examples"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// DemoOptions say where the demo writes.
type DemoOptions struct {
	Out            string // folder for plan.md and plan.json
	Stdout, Stderr io.Writer
}

const (
	demoLab    = "demo"
	demoHost   = "www.example.com"
	pageBefore = "Hello from the fleet."
	pageAfter  = "Hello again from the fleet."
)

// Demo plans, deploys, breaks and rolls back the example fleet on this
// machine, with the flotilla program itself and git, as a user would. It
// returns an error at the first step that does not end as it should.
func Demo(ctx context.Context, o DemoOptions) error {
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find the flotilla program: %w", err)
	}
	dir, err := os.MkdirTemp("", "flotilla-demo-")
	if err != nil {
		return fmt.Errorf("cannot make a scratch folder: %w", err)
	}
	d := &demo{DemoOptions: o, program: program, dir: dir, repo: filepath.Join(dir, "fleet"), started: time.Now()}
	err = d.run(ctx)
	return errors.Join(err, d.cleanUp(ctx))
}

type demo struct {
	DemoOptions
	program string
	dir     string // scratch
	repo    string // the fleet repo
	env     []string
	started time.Time
	ready   time.Time // when the lab was up
	step    int
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []struct {
		title string
		run   func(context.Context) error
	}{
		{"A lab: a Hetzner-compatible API whose servers are containers on this machine", d.labUp},
		{"A fleet repo: two servers, one private network, nginx on web", d.makeRepo},
		{"Plan of the first commit", d.firstPlan},
		{"Deploy: servers are created, systems built, pushed, switched, checked", d.firstDeploy},
		{"A pull request changes one line; this is its plan comment", d.pullRequest},
		{"It is merged and deployed", d.merge},
		{"A merge breaks nginx: the health check fails and web goes back by itself", d.breakPage},
		{"A merge cuts its own SSH access: it is refused, and with leave the guard on the host brings it back", d.cutAccess},
		{"A rollback by hand: web goes back to the first deploy and is held there", d.rollback},
		{"Status and history", d.look},
	} {
		d.step++
		if err := d.titled(ctx, step.title, step.run); err != nil {
			return fmt.Errorf("demo step %d (%s): %w", d.step, step.title, err)
		}
	}
	now := time.Now()
	d.say("Done in %s, %s of it after the lab was up. The plan is in %s/plan.md and %s/plan.json.",
		now.Sub(d.started).Round(time.Second), now.Sub(d.ready).Round(time.Second), d.Out, d.Out)
	return nil
}

func (d *demo) titled(ctx context.Context, title string, run func(context.Context) error) error {
	_, _ = fmt.Fprintf(d.Stdout, "\n━━ %d. %s\n", d.step, title)
	begun := time.Now()
	err := run(ctx)
	_, _ = fmt.Fprintf(d.Stdout, "   (%s)\n", time.Since(begun).Round(100*time.Millisecond))
	return err
}

func (d *demo) labUp(ctx context.Context) error {
	// A demo that was killed has left its lab, with a key that is gone.
	if err := d.flotilla(ctx, 0, io.Discard, "lab", "down", "--name", demoLab); err != nil {
		return err
	}
	if err := d.flotilla(ctx, 0, d.Stdout, "lab", "up", "--name", demoLab); err != nil {
		return err
	}
	d.ready = time.Now()
	return nil
}

func (d *demo) makeRepo(ctx context.Context) error {
	private, public, err := newKey()
	if err != nil {
		return err
	}
	d.env = append(os.Environ(), "FLOTILLA_SSH_KEY="+private, "FLOTILLA_CACHE="+filepath.Join(d.dir, "cache"))
	example, err := fs.Sub(examples.TwoServers, "two-servers")
	if err != nil {
		return err
	}
	if err := os.CopyFS(d.repo, example); err != nil {
		return fmt.Errorf("cannot write the fleet repo: %w", err)
	}
	if err := d.edit("flotilla.yaml", func(text string) string {
		before, after, _ := strings.Cut(text, "public_key: ")
		_, after, _ = strings.Cut(after, "\n")
		// The demo has no time to wait for a deadline made for real hosts.
		after = strings.Replace(after, "activation_timeout: 2m", "activation_timeout: 20s\n  confirm_timeout: 10s", 1)
		return before + "public_key: " + public + "\n" + after
	}); err != nil {
		return err
	}
	if err := d.git(ctx, "init", "-q", "-b", "main"); err != nil {
		return err
	}
	return d.commit(ctx, "Begin the fleet")
}

func (d *demo) firstPlan(ctx context.Context) error {
	return d.flotilla(ctx, 0, d.Stdout, "plan")
}

func (d *demo) firstDeploy(ctx context.Context) error {
	if err := d.flotilla(ctx, 0, d.Stdout, "deploy", "--yes"); err != nil {
		return err
	}
	return d.pageSays(ctx, pageBefore)
}

func (d *demo) pullRequest(ctx context.Context) error {
	if err := d.git(ctx, "switch", "-q", "-c", "greeting"); err != nil {
		return err
	}
	if err := d.replace("hosts/web.nix", pageBefore, pageAfter); err != nil {
		return err
	}
	if err := d.commit(ctx, "Change the greeting"); err != nil {
		return err
	}
	if err := os.MkdirAll(d.Out, 0o750); err != nil {
		return fmt.Errorf("cannot make the folder for the plan: %w", err)
	}
	out, err := filepath.Abs(d.Out)
	if err != nil {
		return err
	}
	var markdown bytes.Buffer
	if err := d.flotilla(ctx, 0, io.MultiWriter(d.Stdout, &markdown), "plan", "--base", "main", "--format", "markdown", "--out", filepath.Join(out, "plan.json")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "plan.md"), markdown.Bytes(), 0o600)
}

func (d *demo) merge(ctx context.Context) error {
	if err := d.git(ctx, "switch", "-q", "main"); err != nil {
		return err
	}
	if err := d.git(ctx, "merge", "-q", "--no-ff", "-m", "Merge: change the greeting", "greeting"); err != nil {
		return err
	}
	if err := d.flotilla(ctx, 0, d.Stdout, "deploy", "--yes"); err != nil {
		return err
	}
	return d.pageSays(ctx, pageAfter)
}

func (d *demo) breakPage(ctx context.Context) error {
	if err := d.replace("hosts/web.nix", "root = page;", `root = "/nowhere";`); err != nil {
		return err
	}
	if err := d.commit(ctx, "Move the page (to a folder that does not exist)"); err != nil {
		return err
	}
	if err := d.flotilla(ctx, 3, d.Stdout, "deploy", "--yes"); err != nil {
		return err
	}
	d.say("Exit code 3: not deployed, every touched host verified on a good system.")
	if err := d.pageSays(ctx, pageAfter); err != nil {
		return err
	}
	return d.revert(ctx)
}

func (d *demo) cutAccess(ctx context.Context) error {
	if err := d.replace("hosts/web.nix", `deployment.tags = [ "web" ];`, `deployment.tags = [ "web" ];

  services.openssh.ports = [ 2222 ];`); err != nil {
		return err
	}
	if err := d.commit(ctx, "Move sshd (and forget the deploys)"); err != nil {
		return err
	}
	if err := d.flotilla(ctx, 5, d.Stdout, "deploy", "--yes"); err != nil {
		return err
	}
	d.say("Exit code 5: refused before anything was done. Somebody insists:")
	if err := d.flotilla(ctx, 3, d.Stdout, "deploy", "--yes", "--allow-lockout", "web"); err != nil {
		return err
	}
	d.say("Exit code 3 again: nobody could log in to confirm, so the host put itself back.")
	if err := d.pageSays(ctx, pageAfter); err != nil {
		return err
	}
	return d.revert(ctx)
}

func (d *demo) rollback(ctx context.Context) error {
	if err := d.flotilla(ctx, 0, d.Stdout, "rollback", "--on", "web", "--reason", "the old greeting was better", "--yes"); err != nil {
		return err
	}
	return d.pageSays(ctx, pageBefore)
}

func (d *demo) look(ctx context.Context) error {
	if err := d.flotilla(ctx, 0, d.Stdout, "status"); err != nil {
		return err
	}
	return d.flotilla(ctx, 0, d.Stdout, "history")
}

func (d *demo) cleanUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	err := d.flotilla(ctx, 0, d.Stdout, "lab", "down", "--name", demoLab)
	return errors.Join(err, os.RemoveAll(d.dir))
}

// pageSays fetches the page from web's own address.
func (d *demo) pageSays(ctx context.Context, want string) error {
	var out bytes.Buffer
	if err := d.quietly(ctx, 0, &out, "facts", "--format", "json"); err != nil {
		return err
	}
	var facts struct {
		Servers map[string]struct {
			IPv4 string `json:"ipv4"`
		} `json:"servers"`
	}
	if err := json.Unmarshal(out.Bytes(), &facts); err != nil {
		return fmt.Errorf("flotilla facts: %w", err)
	}
	page := "http://" + facts.Servers["web"].IPv4 + "/"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return err
	}
	request.Host = demoHost
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the page is not served: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("the page is not served: %w", err)
	}
	if response.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		return fmt.Errorf("the page answers %s: %q, want %q", response.Status, body, want)
	}
	d.say("%s says: %s", page, strings.TrimSpace(string(body)))
	return nil
}

func (d *demo) say(format string, args ...any) {
	_, _ = fmt.Fprintf(d.Stdout, "   "+format+"\n", args...)
}

// flotilla shows and runs the program in the fleet repo with the lab's
// environment, and checks its exit code.
func (d *demo) flotilla(ctx context.Context, code int, out io.Writer, args ...string) error {
	_, _ = fmt.Fprintf(d.Stdout, "   $ flotilla %s\n", strings.Join(args, " "))
	return d.quietly(ctx, code, out, args...)
}

func (d *demo) quietly(ctx context.Context, code int, out io.Writer, args ...string) error {
	command := process.Command{
		Program: d.program, Args: args, Dir: d.dir, Env: d.env, Stdout: out,
		Line: func(line string) { _, _ = fmt.Fprintln(d.Stderr, line) },
	}
	if args[0] != "lab" {
		// What `eval "$(flotilla lab env)"` does for a person.
		script := `env=$("$0" lab env --name ` + demoLab + `) && eval "$env" && exec "$0" "$@"`
		command.Program, command.Args, command.Dir = "/bin/sh", append([]string{"-c", script, d.program}, args...), d.repo
	}
	_, err := process.Run(ctx, command)
	var failed *process.Error
	got := 0
	if errors.As(err, &failed) {
		got = failed.ExitCode
	}
	if err != nil && got < 1 {
		return err
	}
	if got != code {
		return fmt.Errorf("flotilla %s ended with exit code %d, want %d", strings.Join(args, " "), got, code)
	}
	return nil
}

func (d *demo) git(ctx context.Context, args ...string) error {
	_, err := process.Run(ctx, process.Command{Program: "git", Args: append([]string{"-C", d.repo}, args...), Env: append(os.Environ(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")})
	return err
}

func (d *demo) commit(ctx context.Context, subject string) error {
	if err := d.git(ctx, "add", "--all"); err != nil {
		return err
	}
	d.say("commit: %s", subject)
	return d.git(ctx, "commit", "-q", "-m", subject)
}

func (d *demo) revert(ctx context.Context) error {
	d.say("commit: the change is reverted")
	return d.git(ctx, "revert", "--no-edit", "HEAD")
}

func (d *demo) edit(file string, change func(string) string) error {
	path := filepath.Join(d.repo, file)
	text, err := os.ReadFile(path) //nolint:gosec // a file of the demo's own making
	if err != nil {
		return err
	}
	changed := change(string(text))
	if changed == string(text) {
		return fmt.Errorf("%s does not have what the demo wants to change", file)
	}
	return os.WriteFile(path, []byte(changed), 0o600)
}

func (d *demo) replace(file, old, text string) error {
	return d.edit(file, func(s string) string { return strings.Replace(s, old, text, 1) })
}

// newKey makes a deploy key: private in PEM form, public as an authorized_keys line.
func newKey() (private, public string, err error) {
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(priv, "flotilla demo")
	if err != nil {
		return "", "", err
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", "", err
	}
	return string(pem.EncodeToMemory(block)), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key))), nil
}
