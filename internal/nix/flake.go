package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// flake is the flake of an opened Source.
type flake struct {
	source storepath.Path // the exported tree in the store
	nodes  map[string]*node

	mu     sync.Mutex // held while inputs are looked for and fetched
	listed map[string]bool
}

// openFlake puts the exported tree into the store, as Nix does with a flake,
// and looks for the inputs that flake.lock names. Evaluation starts from the
// store, so that a system is the same wherever its tree was exported to.
func (e *Evaluator) openFlake(ctx context.Context, o *opened) error {
	rel := filepath.Join(o.Prefix, o.Hive.Flake)
	lock, err := o.lockText(filepath.Join(rel, "flake.lock"))
	if err != nil {
		return err
	}
	nodes, err := parseLock(lock, strings.Trim(path.Clean("/"+filepath.ToSlash(rel)), "/"))
	if err != nil {
		return o.atLock(err, rel)
	}
	source, hash, err := e.addSource(ctx, o)
	if err != nil {
		return err
	}
	o.flake = &flake{source: source, nodes: nodes, listed: map[string]bool{}}
	self := nodes[""]
	self.Path = source.String()
	self.Info["narHash"] = hash
	addTime(self.Info, o.CommitTime)
	if o.CommitTime.IsZero() {
		self.Info["lastModified"], self.Info["lastModifiedDate"] = 0, "19700101000000"
	}
	if o.Commit != "" {
		addRevision(self.Info, o.Commit)
	}
	o.file = filepath.Join(source.String(), rel, "flake.nix")
	o.roots = append(o.roots, source.String())
	for key, n := range nodes {
		if key != "" && n.Within == nil {
			o.find(key, n)
		}
	}
	return nil
}

// lockText reads flake.lock; "" where there is none.
func (o *opened) lockText(rel string) (string, error) {
	if _, err := os.Lstat(filepath.Join(o.dir, rel)); errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	text, ok := o.text(rel)
	if !ok {
		return "", o.atLock(lockProblem("flake.lock is no text that can be read"), filepath.Dir(rel))
	}
	return text, nil
}

func (o *opened) atLock(err error, rel string) error {
	var p *problem.Problem
	if errors.As(err, &p) {
		p.At = problem.Position{File: filepath.Join(rel, "flake.lock")}
	}
	return err
}

// addSource adds the exported tree to the machine's store and gives its path
// and hash. It is what Nix does with every flake: a copy of what is committed,
// nothing of which runs.
func (e *Evaluator) addSource(ctx context.Context, o *opened) (storepath.Path, string, error) {
	const expression = `{ dir }: builtins.path { path = /. + dir; name = "source"; }`
	out, err := e.ask(ctx, o, "nix-instantiate", "--eval", "--read-write-mode", "--json", "-E", expression, "--argstr", "dir", o.dir)
	if err != nil {
		return storepath.Path{}, "", storeProblem("the fleet repository cannot be added to the Nix store", err)
	}
	var name string
	if err := json.Unmarshal(out, &name); err != nil {
		return storepath.Path{}, "", fmt.Errorf("add the repository to the store: %w", err)
	}
	added, err := storepath.Parse(name)
	if err != nil {
		return storepath.Path{}, "", fmt.Errorf("add the repository to the store: %w", err)
	}
	if out, err = e.ask(ctx, o, "nix-store", "--query", "--hash", name); err != nil {
		return storepath.Path{}, "", storeProblem("the fleet repository is not in the Nix store", err)
	}
	hash, err := sri(strings.TrimSpace(string(out)))
	return added, hash, err
}

// ask runs one of Nix's programs on the machine's store, without anything of
// the evaluated tree's.
func (e *Evaluator) ask(ctx context.Context, o *opened, program string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	r, err := process.Run(ctx, process.Command{Program: program, Args: args, Dir: o.tool, Env: trustedEnvironment()})
	if err != nil {
		return nil, missingNix(err)
	}
	return r.Stdout, nil
}

func storeProblem(summary string, err error) error {
	var p *problem.Problem
	if errors.As(err, &p) {
		return p
	}
	var ended *process.Error
	if errors.As(err, &ended) && ended.ExitCode >= 0 {
		return &problem.Problem{Summary: summary, Detail: clip(harmless(ended.Tail), maxMessageLines, maxMessageBytes)}
	}
	return &problem.Problem{Summary: summary, Cause: err}
}

// find notes where in the store an input is, or what is to be said of it.
func (o *opened) find(key string, n *node) {
	n.Path, n.Missing = "", nil
	hash := text(n.locked, "narHash")
	expected, err := sourcePath(hash)
	switch {
	case hash == "":
		n.Missing = &said{
			fmt.Sprintf("the input %s (%s) has no narHash in flake.lock", key, n.named()),
			"Run nix flake update " + key + " and commit flake.lock: only what is locked by its content can be reviewed.",
		}
	case err != nil:
		n.Missing = &said{fmt.Sprintf("the input %s has a narHash in flake.lock that is none", key), "Run nix flake lock and commit flake.lock."}
	default:
		if _, err := os.Lstat(expected.String()); err == nil {
			n.Path = expected.String()
			return
		}
		n.Missing = &said{fmt.Sprintf("the input %s (%s) is not in the store", key, n.named()), n.advice()}
	}
}

// advice says how to bring a missing input to where an untrusted evaluation finds it.
func (n *node) advice() string {
	if text(n.locked, "type") == "path" {
		return "A change that nobody merged is evaluated with inputs from the repository and from the store alone: write a path inside the repository (path:./folder), or put it into the store before: nix flake archive."
	}
	return "A change that nobody merged fetches only from GitHub, GitLab and SourceHut, by revision and hash. Fetch the inputs before, in a step that runs the merged code: nix flake archive."
}

// inputProblem tells whether an evaluation ended because an input was not in
// the store, and which.
func (o *opened) inputMissing(err error) string {
	if o.flake == nil {
		return ""
	}
	if w, ok := o.ownWords(err); ok {
		return w.Input
	}
	return ""
}

// fetch brings an input into the store. What nobody reviewed is fetched by
// name of forge, repository and revision, checked against its hash, by a
// process that has no secrets; anything else only for a trusted tree.
func (e *Evaluator) fetch(ctx context.Context, o *opened, key string) error {
	o.flake.mu.Lock()
	defer o.flake.mu.Unlock()
	n, ok := o.flake.nodes[key]
	if !ok || n.Within != nil || key == "" {
		return fmt.Errorf("flake.lock has no input %q", key)
	}
	if o.find(key, n); n.Path == "" {
		if n.locked["narHash"] == nil || !o.Trusted && !fromForge(n.locked) {
			return o.said(n.Missing)
		}
		if err := e.fetchTree(ctx, o, key, n); err != nil {
			return err
		}
	}
	if !o.Trusted {
		if err := e.show(ctx, o, n.Path); err != nil {
			return err
		}
	}
	return o.writeInput()
}

func (o *opened) said(s *said) error {
	rel := filepath.Join(o.Prefix, o.Hive.Flake)
	return &problem.Problem{Summary: s.Message, At: problem.Position{File: filepath.Join(rel, "flake.lock")}, Hints: []string{s.Hint}}
}

func (e *Evaluator) fetchTree(ctx context.Context, o *opened, key string, n *node) error {
	attrs := map[string]any{}
	for name, v := range n.locked {
		if name != "dir" && !strings.HasPrefix(name, "__") {
			attrs[name] = v
		}
	}
	wanted, err := json.Marshal(attrs)
	if err != nil {
		return fmt.Errorf("fetch the input %s: %w", key, err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.opts.Timeout)
	defer cancel()
	env := trustedEnvironment()
	if !o.Trusted {
		env = o.fetchEnvironment()
	}
	_, err = process.Run(ctx, process.Command{
		Program: "nix-instantiate", Dir: o.tool, Env: env,
		Args: []string{
			"--eval", "--read-write-mode", "--json", "--option", "extra-experimental-features", "nix-command flakes", "--option", "connect-timeout", "15",
			"-E", "{ locked }: (builtins.fetchTree (builtins.fromJSON locked)).outPath", "--argstr", "locked", string(wanted),
		},
	})
	if err != nil {
		p := &problem.Problem{Summary: fmt.Sprintf("the input %s (%s) could not be fetched", key, n.named()), Cause: missingNix(err)}
		var ended *process.Error
		if errors.As(err, &ended) && ended.ExitCode >= 0 {
			p.Cause, p.Detail = nil, clip(o.relative(harmless(ended.Tail)), maxMessageLines, maxMessageBytes)
		}
		p.At = problem.Position{File: filepath.Join(o.Prefix, o.Hive.Flake, "flake.lock")}
		p.Hints = []string{"Is the network there, and may this machine read it? Inputs that are in the store already (nix flake archive) are not fetched."}
		return p
	}
	if o.find(key, n); n.Path == "" {
		return &problem.Problem{
			Summary: fmt.Sprintf("the input %s (%s) is not what flake.lock says: its content has another hash", key, n.named()),
			Hints:   []string{"Run nix flake update " + key + " and look at what changed before you commit flake.lock."},
		}
	}
	return nil
}

// fetchEnvironment has no home, no configuration and no variable that could
// hold a secret.
func (o *opened) fetchEnvironment() []string {
	env := []string{"HOME=" + o.home, "NIX_CONF_DIR=" + o.home}
	for _, name := range []string{
		"PATH", "NIX_REMOTE", "SSL_CERT_FILE", "NIX_SSL_CERT_FILE", "SSL_CERT_DIR",
		"http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
	} {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

var (
	forgeName = regexp.MustCompile(`^[A-Za-z0-9~_][A-Za-z0-9._-]*$`)
	fullRev   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// fromForge tells whether a locked input names a revision of a repository at
// one of the public forges, and no other server.
func fromForge(locked map[string]any) bool {
	switch text(locked, "type") {
	case "github", "gitlab", "sourcehut":
	default:
		return false
	}
	if _, other := locked["host"]; other {
		return false
	}
	return forgeName.MatchString(text(locked, "owner")) && forgeName.MatchString(text(locked, "repo")) && fullRev.MatchString(text(locked, "rev"))
}
