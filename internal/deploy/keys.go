package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	// keyTimeout is for one keyCommand; somebody may have to unlock a store of
	// passwords for it.
	keyTimeout = 2 * time.Minute
	// maxKey bounds what one deployment key holds.
	maxKey = 1 << 20
	// keyReaders is how many hosts' keys are evaluated at a time.
	keyReaders = 2
)

// keyring reads what deployment.keys hold, on the machine that deploys and for
// trees that were merged alone. What several hosts share is read once.
type keyring struct {
	tree    tree
	work    string              // folder of flotilla.yaml in the work tree
	mask    func(secret.String) // may be nil
	printed map[string]secret.String
}

// readKeys fills keys: what every host is to have. All that is missing is told
// at once, before any host is touched.
func (d *deployment) readKeys(ctx context.Context) error {
	written, err := d.writtenKeys(ctx)
	if err != nil {
		return err
	}
	ring := keyring{tree: d.tree, work: d.flow.Dir, mask: d.flow.Secret, printed: map[string]secret.String{}}
	d.keys = map[string][]generation.Key{}
	var failed []error
	for _, host := range slices.Sorted(maps.Keys(written)) {
		d.keys[host] = []generation.Key{} // known to have none
		for _, name := range slices.Sorted(maps.Keys(written[host])) {
			key, err := ring.key(ctx, name, written[host][name])
			if err != nil {
				failed = append(failed, forHost(host, err))
				continue
			}
			d.keys[host] = append(d.keys[host], key)
		}
	}
	return joinProblems(failed)
}

// writtenKeys evaluates the keys of the hosts that have some.
func (d *deployment) writtenKeys(ctx context.Context) (map[string]map[string]nix.Key, error) {
	var (
		mu      sync.Mutex
		written = map[string]map[string]nix.Key{}
		failed  []error
		group   errgroup.Group
	)
	group.SetLimit(keyReaders)
	for _, host := range slices.Sorted(maps.Keys(d.hosts)) {
		if system, ok := d.systems[host]; ok && len(system.Keys) == 0 && system.Partial == "" {
			mu.Lock()
			written[host] = nil
			mu.Unlock()
			continue
		}
		group.Go(func() error {
			keys, err := d.evaluator.Keys(ctx, d.source(), host)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, relativeTo(err, d.tree.Root))
			} else {
				written[host] = keys
			}
			return nil
		})
	}
	_ = group.Wait() // failures are collected by host
	return written, joinProblems(failed)
}

// key reads one key and has it masked.
func (r *keyring) key(ctx context.Context, name string, k nix.Key) (generation.Key, error) {
	content, err := r.content(ctx, k)
	if err != nil {
		return generation.Key{}, &problem.Problem{
			Summary: fmt.Sprintf("deployment.keys.%s: %s", name, plainError(err)), Cause: cancelled(ctx, err),
			Hints: []string{"Keys are read on the machine that deploys: " + r.hint(k)},
		}
	}
	if r.mask != nil && strings.TrimSpace(content.Reveal()) != "" {
		r.mask(content)
	}
	key := generation.Key{
		Name: name, Path: filepath.Clean(k.Path), User: k.User, Group: k.Group, Mode: k.Permissions,
		Late: k.UploadAt == "post-activation", Content: content,
	}
	return key, key.Check()
}

func (r *keyring) content(ctx context.Context, k nix.Key) (secret.String, error) {
	switch {
	case len(k.Command) > 0:
		return r.print(ctx, k.Command)
	case k.File != "":
		return r.file(k.File)
	default:
		return k.Text, nil
	}
}

func (r *keyring) hint(k nix.Key) string {
	if len(k.Command) > 0 {
		return "the command runs in the folder of " + configFile + " and has to print the key within " + keyTimeout.String() + "."
	}
	return "the file has to be in the repository, in the work tree, or at an absolute path."
}

// print gives what a command prints.
func (r *keyring) print(ctx context.Context, argv []string) (secret.String, error) {
	id := strings.Join(argv, "\x00")
	if known, ok := r.printed[id]; ok {
		return known, nil
	}
	limited, cancel := context.WithTimeout(ctx, keyTimeout)
	defer cancel()
	var out bounded
	if _, err := process.Run(limited, process.Command{Program: argv[0], Args: argv[1:], Dir: r.tree.Dir, Stdout: &out}); err != nil {
		return secret.String{}, err
	}
	if out.over {
		return secret.String{}, errTooLong
	}
	r.printed[id] = secret.New(string(out.text))
	return r.printed[id], nil
}

var errTooLong = fmt.Errorf("more than %d KiB", maxKey>>10)

// file reads a file of the tree that is deployed, or the same one of the work
// tree: what must not be committed lies there alone.
func (r *keyring) file(name string) (secret.String, error) {
	f, err := os.Open(name) //nolint:gosec // the hive of a merged tree names it
	if rel, relErr := filepath.Rel(r.tree.Root, name); errors.Is(err, fs.ErrNotExist) && relErr == nil && filepath.IsLocal(rel) {
		if inFleet, relErr := filepath.Rel(r.tree.Dir, name); relErr == nil {
			f, err = os.Open(filepath.Join(r.work, inFleet)) //nolint:gosec // as above
		}
	}
	if err != nil {
		return secret.String{}, fmt.Errorf("keyFile cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxKey+1))
	switch {
	case err != nil:
		return secret.String{}, fmt.Errorf("keyFile cannot be read: %w", err)
	case len(text) > maxKey:
		return secret.String{}, errTooLong
	}
	return secret.New(string(text)), nil
}

// bounded keeps what a command prints, up to the limit.
type bounded struct {
	text []byte
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	room := maxKey - len(b.text)
	if len(p) > room {
		b.over = true
		b.text = append(b.text, p[:room]...)
		return len(p), nil
	}
	b.text = append(b.text, p...)
	return len(p), nil
}

// plainError says why a key could not be read. A command's words on the command
// line are the repository's; what it printed is not told.
func plainError(err error) string {
	var ended *process.Error
	if !errors.As(err, &ended) {
		return err.Error()
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("keyCommand %s took longer than %s", ended.Program, keyTimeout)
	case ended.ExitCode >= 0:
		text := fmt.Sprintf("keyCommand %s ended with exit code %d", ended.Program, ended.ExitCode)
		if lines := strings.Split(strings.TrimSpace(ended.Tail), "\n"); lines[len(lines)-1] != "" {
			text += ": " + lines[len(lines)-1]
		}
		return text
	default:
		return fmt.Sprintf("keyCommand %s does not run: %v", ended.Program, ended.Cause)
	}
}

// cancelled gives the context's error where it is the reason, so that the exit
// code tells of it; the text of another error is in the problem already.
func cancelled(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ctx.Err()
	}
	return nil
}

// forHost says of which host a problem is.
func forHost(host string, err error) error {
	var p *problem.Problem
	if errors.As(err, &p) {
		named := *p
		named.Summary = "host " + host + ": " + p.Summary
		return &named
	}
	return fmt.Errorf("host %s: %w", host, err)
}

// putKeys brings the keys of a host up to date whose system stays as it is.
func (h *hands) putKeys(ctx context.Context, a *hand) error {
	put, err := a.host.PutKeys(ctx, h.d.keys[a.name])
	a.result.Keys = put
	return err
}
