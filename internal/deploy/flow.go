// Package deploy holds the ways of a plan, a deploy and a rollback (DESIGN.md
// chapters 5 and 6), each as one function that reads from top to bottom. It
// opens and closes connections and hands data from one package to the next; it
// renders nothing and asks nobody.
package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/config"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/repo"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// configFile is the name of the fleet's file.
const configFile = "flotilla.yaml"

// Flow is what every command works with.
type Flow struct {
	Dir    string              // folder of flotilla.yaml, in a git work tree
	Getenv func(string) string // gives the secrets that {env: NAME} refers to
	Secret func(secret.String) // told of each secret before its first use (masks); may be nil
	Sink   progress.Sink       // takes progress
	By     string              // who runs this, for locks and records
	Now    func() time.Time    // the clock; nil: time.Now

	Cache      nix.Cache        // results of evaluations; its Proposed is set here
	Evaluation fleet.Evaluation // what is not zero beats the evaluation section of flotilla.yaml
	Fetch      repo.Remote      // where commits come from that a shallow clone lacks; zero: nowhere

	// Run names the job that runs this, "1234/1" (run and attempt), and RunURL is
	// where people can watch it; both stand in the fleet's lock. "": no job.
	Run, RunURL string
	// RunOver tells whether the job that a lock names is over or dead: the lock is
	// broken at once then. nil: locks are waited for until they end.
	RunOver func(ctx context.Context, run string) (bool, error)
	// CancelGrace bounds what is done after ctx has ended: what is not over by
	// then is left to the hosts' guards and to the next run, and the result says
	// so. 0: as long as it takes.
	CancelGrace time.Duration
}

// tree is one revision of the fleet repo, exported to a folder of its own.
type tree struct {
	Revision plans.Revision
	Root     string // exported repository
	Dir      string // folder of flotilla.yaml below Root
	Prefix   string // Dir relative to Root
	Fleet    fleet.Fleet
	Made     time.Time // when the commit was made, where the hive is a flake; zero: not known
	Empty    bool      // the revision does not exist or has no flotilla.yaml
}

// source gives what nix evaluates of a tree.
func (t tree) source(facts fleet.Facts, trusted bool) nix.Source {
	return nix.Source{
		Dir: t.Root, Prefix: t.Prefix, Hive: t.Fleet.Hive, Facts: facts, Trusted: trusted,
		Commit: t.Revision.Commit, CommitTime: t.Made,
	}
}

// workspace is the scratch folder of one run.
type workspace struct {
	*scratch
	repo *repo.Repo

	mu      sync.Mutex
	written map[string]func() error // commit → writes its tree, once
}

func (f *Flow) open(ctx context.Context) (*workspace, error) {
	if f.Secret != nil && !f.Fetch.Token.IsZero() {
		f.Secret(f.Fetch.Token)
	}
	remote := f.Fetch
	if remote.Note == nil {
		remote.Note = func(text string) { f.progress().Note(progress.Evaluate, text) }
	}
	r, err := repo.Open(ctx, f.Dir, remote)
	if err != nil {
		return nil, err
	}
	s, err := newScratch(os.TempDir())
	if err != nil {
		r.Close()
		return nil, err
	}
	return &workspace{scratch: s, repo: r, written: map[string]func() error{}}, nil
}

// close removes the scratch folder.
func (w *workspace) close() {
	w.repo.Close()
	w.remove()
}

// export writes a revision to the workspace and reads its flotilla.yaml. A
// zero revision, and one without the file, is an empty tree.
func (w *workspace) export(ctx context.Context, rev plans.Revision) (tree, error) {
	t := tree{Revision: rev, Prefix: w.repo.Prefix(), Empty: true}
	if rev.Commit == "" {
		return t, nil
	}
	t.Root = filepath.Join(w.dir, rev.Commit)
	t.Dir = filepath.Join(t.Root, t.Prefix)
	if err := w.write(ctx, rev.Commit, t.Root); err != nil {
		return tree{}, err
	}
	if err := staysInside(t); err != nil {
		return tree{}, err
	}
	file := filepath.Join(t.Dir, configFile)
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		return t, nil
	}
	parsed, err := config.LoadIn(t.Root, file)
	if err != nil {
		return tree{}, relativeTo(err, t.Root)
	}
	t.Fleet, t.Empty = parsed, false
	if parsed.Hive.Flake != "" {
		t.Made, err = w.repo.Time(ctx, rev.Commit)
	}
	return t, err
}

// write writes a commit's tree, if that was not done yet.
func (w *workspace) write(ctx context.Context, commit, root string) error {
	w.mu.Lock()
	once := w.written[commit]
	if once == nil {
		once = sync.OnceValue(func() error { return w.repo.Export(ctx, commit, root) })
		w.written[commit] = once
	}
	w.mu.Unlock()
	return once()
}

// mustExport is export for a revision that has to have a flotilla.yaml.
func (w *workspace) mustExport(ctx context.Context, rev plans.Revision) (tree, error) {
	t, err := w.export(ctx, rev)
	if err != nil {
		return tree{}, err
	}
	if t.Empty {
		return tree{}, &problem.Problem{
			Summary: fmt.Sprintf("commit %.12s has no %s", rev.Commit, filepath.Join(t.Prefix, configFile)),
			Hints:   []string{"Commit the file, or name its folder with --config or the input fleet-dir."},
			Code:    problem.Usage,
		}
	}
	return t, nil
}

// checkNames refuses a flotilla.yaml that names hosts which the hive does not
// have: a health check or a wave for nobody is almost always a typing error.
func checkNames(f fleet.Fleet, tags map[string][]string) error {
	var failed []error
	check := func(where string, s fleet.Selector) {
		if _, err := s.Select(tags); err != nil {
			failed = append(failed, &problem.Problem{
				Summary: fmt.Sprintf("%s: %s: %v in the hive", configFile, where, err),
				Hints:   []string{"The hive has: " + strings.Join(slices.Sorted(maps.Keys(tags)), ", ") + "."},
				Code:    problem.Usage,
			})
		}
	}
	for _, h := range f.Hosts {
		check("hosts", h.Selector)
	}
	for _, wave := range f.Rollout.Waves {
		check("rollout.waves", wave)
	}
	return errors.Join(failed...)
}

// checkAddresses refuses hosts that nothing tells how to reach, before anything
// is bought for the others.
func checkAddresses(f fleet.Fleet, hosts map[string]plans.Deployment) error {
	var failed []error
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		settings, err := f.HostSettings(host, hosts[host].Tags)
		if err != nil {
			failed = append(failed, err)
			continue
		}
		if _, declared := f.Servers[host]; !declared && hosts[host].TargetHost == "" && settings.Address == "" {
			failed = append(failed, &problem.Problem{
				Summary: fmt.Sprintf("host %s has neither a server nor an address", host),
				Hints:   []string{fmt.Sprintf("Declare servers.%s in %s, or set deployment.targetHost in the hive and hosts.%s.host_key.", host, configFile, host)},
				Code:    problem.Usage,
			})
		}
	}
	return errors.Join(failed...)
}

// relativeTo makes the positions of err relative to the exported tree, as the
// user knows them.
func relativeTo(err error, root string) error {
	for _, p := range problem.All(err) {
		if rel, relErr := filepath.Rel(root, p.At.File); relErr == nil && p.At.File != "" && filepath.IsLocal(rel) {
			p.At.File = rel
		}
	}
	return err
}

// client gives the provider's client, nil when the fleet has none or its token
// is not set.
func (f *Flow) client(fl fleet.Fleet) (*hetzner.Client, error) {
	if fl.Hetzner == nil {
		return nil, nil
	}
	token := f.secret(fl.Hetzner.Token)
	if token.IsZero() {
		return nil, nil
	}
	endpoint := fl.Hetzner.Endpoint
	if endpoint == "" {
		endpoint = f.Getenv("HCLOUD_ENDPOINT")
	}
	return hetzner.New(hetzner.Options{Token: token, Endpoint: endpoint, PollInterval: fl.Hetzner.PollInterval, Fleet: fl.Name, Waiting: func(text string) { f.progress().Note(progress.Provision, text) }})
}

// mustClient is client for a command that cannot do without the provider when
// the fleet declares one.
func (f *Flow) mustClient(fl fleet.Fleet) (*hetzner.Client, error) {
	c, err := f.client(fl)
	if err == nil && c == nil && fl.Hetzner != nil {
		return nil, &problem.Problem{
			Summary: fmt.Sprintf("the Hetzner Cloud token is not set: environment variable %s is empty", fl.Hetzner.Token.Env),
			Hints:   []string{"In a GitHub job hand it over in the step's env: from a secret; on a laptop export it."},
		}
	}
	return c, err
}

// secret looks up what {env: NAME} refers to and has it masked.
func (f *Flow) secret(ref fleet.EnvRef) secret.String {
	if ref.Env == "" {
		return secret.String{}
	}
	s := secret.New(f.Getenv(ref.Env))
	if f.Secret != nil && !s.IsZero() {
		f.Secret(s)
	}
	return s
}

// evaluator gives Nix with the search path of the environment, within what the
// file and the command line let it have. roots is a folder that keeps what it
// builds from the garbage collector; "" for none.
func (f *Flow) evaluator(bounds fleet.Evaluation, roots string) *nix.Evaluator {
	return nix.New(nix.Options{
		NixPath: f.Getenv("NIX_PATH"), RootsDir: roots,
		Workers: cmp.Or(f.Evaluation.Workers, bounds.Workers),
		Memory:  cmp.Or(f.Evaluation.Memory, bounds.Memory),
		Timeout: cmp.Or(f.Evaluation.Timeout, bounds.Timeout),
		Cache:   f.Cache,
	})
}

func (f *Flow) now() time.Time {
	if f.Now != nil {
		return f.Now()
	}
	return time.Now()
}

// oneLine gives an error's problems on one line, for a reason or a warning.
func oneLine(err error) string {
	var parts []string
	for _, p := range problem.All(err) {
		text := p.Error()
		if p.Detail != "" {
			text += " (" + strings.Join(strings.Fields(p.Detail), " ") + ")"
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, "; ")
}
