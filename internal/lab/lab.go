// Package lab is the cloud on one's own machine: the API of package cloud, with
// containers behind it that boot systemd (package machine), base images, and a
// small NixOS tree to build systems from, offline.
//
// A lab has a name ("default"); several can run side by side. What it is made
// of, for those who want to break it by hand:
//
//	state        $XDG_STATE_HOME/flotilla/lab/<name> (~/.local/state/… by default)
//	             lab.json (tokens, images), serve.json (process, address), objects.json
//	             (servers, networks, …), serve.log, requests.log, nixpkgs/
//	containers   flotilla-lab-<name>-<server id>, label dev.flotilla.lab=<name>
//	network      flotilla-lab-<name>, a /24 of 10.213.0.0/16
//	faults       POST /_lab/faults at the API, see cloud.Fault
//	requests     GET /_lab/requests at the API, see cloud.Counts
//
// Rule: Down leaves nothing of a lab behind, even when its process was killed.
// Non-goals: limits of CPU and memory, other clouds. Product code never imports
// this package.
package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/machine"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// DefaultName is the lab that is meant when none is named.
const DefaultName = "default"

// lockLimit is longer than the slowest `lab up`, which builds images.
const lockLimit = 15 * time.Minute

// tokenLength is what the real API's tokens have.
const tokenLength = 64

// Say takes one line about what is being done.
type Say func(format string, args ...any)

// lab is one lab's place on disk.
type lab struct {
	name string
	root string // of all labs
	dir  string
}

// settings is lab.json: what a lab keeps for its whole life.
type settings struct {
	Token         string            `json:"token"`
	ReadOnlyToken string            `json:"read_only_token"`
	Images        map[string]string `json:"images"`  // os → docker image
	Address       string            `json:"address"` // host:port that was used last
}

// serving is serve.json: the process that serves, while it does.
type serving struct {
	Process processID `json:"process"`
	Address string    `json:"address"`
}

// find gives the place of a lab, which need not exist.
func find(name string) (lab, error) {
	if !regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,29})$`).MatchString(name) {
		return lab{}, &problem.Problem{
			Summary: fmt.Sprintf("%q cannot be the name of a lab", name), Code: problem.Usage,
			Hints: []string{"Use up to 30 lower-case letters, digits and dashes."},
		}
	}
	root := os.Getenv("XDG_STATE_HOME")
	if root == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return lab{}, fmt.Errorf("state directory of labs: %w", err)
		}
		root = filepath.Join(home, ".local", "state")
	}
	root = filepath.Join(root, "flotilla", "lab")
	return lab{name: name, root: root, dir: filepath.Join(root, name)}, nil
}

func (l lab) file(name string) string { return filepath.Join(l.dir, name) }

// ContainerName is the docker container of a server of a lab.
func ContainerName(lab string, server int64) string { return machine.ContainerName(lab, server) }

// settings reads lab.json; found is false when there is none.
func (l lab) settings() (s settings, found bool, err error) {
	found, err = readJSON(l.file("lab.json"), &s)
	return s, found, err
}

// prepare reads lab.json, or makes directory and tokens.
func (l lab) prepare() (settings, error) {
	s, found, err := l.settings()
	if err != nil || found {
		return s, err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return s, fmt.Errorf("state of lab %s: %w", l.name, err)
	}
	s.Token, s.ReadOnlyToken = newToken(), newToken()
	return s, l.keep(s)
}

func (l lab) keep(s settings) error { return writeJSON(l.file("lab.json"), s) }

// others tells whether there are other labs on this machine.
func (l lab) others() (bool, error) {
	entries, err := os.ReadDir(l.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("other labs: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && e.Name() != l.name {
			return true, nil
		}
	}
	return false, nil
}

// lock waits until no other process holds the file's lock, at most lockLimit;
// release gives it back.
func lock(ctx context.Context, file string) (release func(), err error) {
	var failure error
	held, err := until(ctx, lockLimit, func() bool {
		release, failure = tryLock(file)
		return release != nil || failure != nil
	})
	switch {
	case err != nil:
		return nil, err
	case !held:
		return nil, &problem.Problem{Summary: "another `flotilla lab` command does not end", Hints: []string{"It holds " + file + "."}}
	}
	return release, failure
}

// tryLock gives nil without an error when somebody else holds the lock.
func tryLock(file string) (release func(), err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the lab's own file
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		// Down removes the file; who opened one that is gone holds nothing.
		held, heldErr := f.Stat()
		if there, err := os.Stat(file); heldErr == nil && err == nil && os.SameFile(held, there) {
			return func() { _ = f.Close() }, nil // closing gives the lock back
		}
	}
	_ = f.Close()
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, fmt.Errorf("lock %s: %w", file, err)
	}
	return nil, nil
}

func newToken() string {
	text := ""
	for len(text) < tokenLength {
		text += rand.Text()
	}
	return text[:tokenLength]
}

func readJSON(file string, v any) (found bool, err error) {
	data, err := os.ReadFile(file) //nolint:gosec // the lab's own file
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("lab state: %w", err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, fmt.Errorf("lab state: %s is damaged: %w", file, err)
	}
	return true, nil
}

func writeJSON(file string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	if err := os.WriteFile(file+".new", append(data, '\n'), 0o600); err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	return nil
}

// noLab is the failure of a command that needs a lab which runs.
func noLab(name string, cause error) error {
	hint := "Start it with `flotilla lab up"
	if name != DefaultName {
		hint += " --name " + name
	}
	return &problem.Problem{Summary: fmt.Sprintf("lab %s does not run", name), Cause: cause, Hints: []string{hint + "`."}}
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
