package nix

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// identities are what an Evaluator found out about things that stay as they are
// while it works.
type identities struct {
	mu      sync.Mutex
	version string
	units   map[string]string                      // real path → what it holds
	clocks  map[string]bool                        // file outside the repository → asks what time it is
	systems map[string]func() (plans.System, bool) // digest → result, read once
}

// identify gives Nix's version, and for each entry of the search path what is
// there; ok is false if that cannot be told.
func (e *Evaluator) identify(ctx context.Context, trusted bool) (version string, search []string, ok bool) {
	e.ids.mu.Lock()
	defer e.ids.mu.Unlock()
	local := localEntries(e.opts.NixPath)
	if trusted && len(local) != len(splitSearchPath(e.opts.NixPath)) {
		return "", nil, false // fetched, or relative
	}
	var asking sync.WaitGroup // a program's start takes as long as to read nixpkgs
	if e.ids.version == "" {
		asking.Go(func() {
			if v, err := e.Version(ctx); err == nil {
				e.ids.version = v
			}
		})
	}
	for _, one := range local {
		path := one[strings.IndexByte(one, '=')+1:]
		if _, known := e.ids.units[path]; !known {
			e.ids.units[path] = unitIdentity(ctx, path)
		}
	}
	asking.Wait()
	if e.ids.version == "" {
		return "", nil, false
	}
	for _, one := range local {
		path := one[strings.IndexByte(one, '=')+1:]
		if e.ids.units[path] == "" {
			return "", nil, false
		}
		search = append(search, one+" "+e.ids.units[path])
	}
	return e.ids.version, search, true
}

// unitIdentity tells what an entry of the search path holds, as a whole: by its
// name in the store, by the revision of a clean clone, else by its content. ""
// is neither.
func unitIdentity(ctx context.Context, path string) string {
	if _, below := storeBase(path); below {
		return "store"
	}
	info, err := os.Stat(path)
	if err != nil {
		return "" // may be there at any time
	}
	if !info.IsDir() {
		return stateOf(path, true)
	}
	if _, err := os.Lstat(filepath.Join(path, ".git")); err == nil {
		return cleanRevision(ctx, path)
	}
	if t := hashTree(path); t.digest != "" {
		return "tree " + t.digest
	}
	return ""
}

// cleanRevision gives the commit of a clone that has not a file beside it.
func cleanRevision(ctx context.Context, dir string) string {
	git := func(args ...string) (string, bool) {
		r, err := process.Run(ctx, process.Command{Program: "git", Args: append([]string{"-C", dir, "--no-optional-locks"}, args...)})
		return strings.TrimSpace(string(r.Stdout)), err == nil
	}
	changes, ok := git("status", "--porcelain", "--ignored", "--untracked-files=all")
	if !ok || changes != "" {
		return ""
	}
	// Files that git was told not to look at, or not to write out, are not as
	// the revision has them.
	files, ok := git("ls-files", "-v")
	if !ok || slices.ContainsFunc(strings.Split(files, "\n"), func(line string) bool { return line != "" && !strings.HasPrefix(line, "H ") }) {
		return ""
	}
	rev, ok := git("rev-parse", "HEAD")
	if !ok || !fullRev.MatchString(rev) {
		return ""
	}
	return "commit " + rev
}

// storeBase gives the store path's name that a path starts with.
func storeBase(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, storepath.Dir+"/")
	base, _, _ := strings.Cut(rest, "/")
	if !ok {
		return "", false
	}
	_, err := storepath.Parse(storepath.Dir + "/" + base)
	return base, err == nil
}

// sharedKey is the digest of all that hosts of a source depend on beside its
// files and facts; "" if it is not known.
func (e *Evaluator) sharedKey(ctx context.Context, o *opened) string {
	version, search, ok := e.identify(ctx, o.Trusted)
	if !ok {
		return ""
	}
	key := map[string]any{
		"format": cacheFormat, "expressions": expressionsDigest(), "nix": version, "trusted": o.Trusted,
		"system": runtime.GOARCH + "-" + runtime.GOOS, "prefix": o.Prefix, "hive": o.Hive, "search": search,
	}
	if o.Trusted {
		// Nix's own configuration files are recorded like other files.
		key["environment"] = slices.DeleteFunc(slices.Sorted(slices.Values(e.environment(o))), func(v string) bool { return strings.HasPrefix(v, "SSH_AUTH_SOCK=") })
	}
	if o.flake != nil {
		lock := maps.Clone(o.flake.nodes)
		delete(lock, "") // itself: see Self
		inputs := map[string]any{}
		for name, n := range lock {
			inputs[name] = []any{n.Inputs, n.Flake, n.Dir, n.Within, n.Folder, n.Copied, n.Info, n.locked}
		}
		key["lock"], key["inputs"], key["dir"] = inputs, o.flake.nodes[""].Inputs, o.flake.nodes[""].Dir
	}
	text, err := json.Marshal(key)
	if err != nil {
		return ""
	}
	return digestOf(text)
}

// expressionsDigest is that of our own expressions.
func expressionsDigest() string {
	var all []string
	entries, err := expressions.ReadDir("expr")
	for _, entry := range entries {
		text, readErr := expressions.ReadFile("expr/" + entry.Name())
		if err != nil || readErr != nil {
			return ""
		}
		all = append(all, entry.Name(), digestOf(text))
	}
	return strings.Join(all, " ")
}
