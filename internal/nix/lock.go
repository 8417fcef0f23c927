package nix

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// lockFile is flake.lock, versions 5 to 7.
type lockFile struct {
	Nodes   map[string]lockNode `json:"nodes"`
	Root    string              `json:"root"`
	Version int                 `json:"version"`
}

type lockNode struct {
	Inputs map[string]lockRef `json:"inputs"`
	Locked map[string]any     `json:"locked"`
	Flake  *bool              `json:"flake"`
	Parent *[]string          `json:"parent"` // Nix 2.26: whose folder a relative path starts from
}

// lockRef names a node, by its key or by the way to it from the root ("follows").
type lockRef struct {
	key    string
	follow []string // nil: key
}

// UnmarshalJSON takes both forms.
func (r *lockRef) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &r.key); err == nil {
		return nil
	}
	return json.Unmarshal(b, &r.follow)
}

// node is an input of a flake, or the flake itself, as flake.nix takes it.
type node struct {
	Inputs  map[string]string `json:"inputs"` // name → key
	Flake   bool              `json:"flake"`
	Path    string            `json:"path"`   // of the source in the store; "": not there
	Dir     string            `json:"dir"`    // folder of flake.nix in it
	Within  *string           `json:"within"` // key of the node whose source this one is a folder of
	Folder  string            `json:"folder"`
	Copied  bool              `json:"copied"` // the folder is a source of its own, as Nix before 2.26 has it
	Info    map[string]any    `json:"info"`   // what sourceInfo has beside outPath
	Missing *said             `json:"missing"`

	locked map[string]any
}

// said are words for people.
type said struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

// lockProblem is an error in flake.lock.
func lockProblem(format string, args ...any) *problem.Problem {
	return &problem.Problem{
		Summary: fmt.Sprintf(format, args...),
		Hints:   []string{"Run nix flake lock and commit what it writes."},
	}
}

// parseLock turns flake.lock into nodes by key; "" is the flake itself, whose
// source is the caller's to fill in. dir is its folder in the repository. No
// text is a flake without inputs.
func parseLock(text string, dir string) (map[string]*node, error) {
	nodes := map[string]*node{"": {Inputs: map[string]string{}, Flake: true, Dir: dir, Info: map[string]any{}}}
	if text == "" {
		return nodes, nil
	}
	var file lockFile
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		p := lockProblem("flake.lock is not understood")
		p.Cause = err
		return nil, p
	}
	if file.Version < 5 || file.Version > 7 {
		return nil, lockProblem("flake.lock has version %d; 5 to 7 are known", file.Version)
	}
	if _, ok := file.Nodes[file.Root]; !ok {
		return nil, lockProblem("flake.lock has no node %q", file.Root)
	}
	l := locker{file: file, nodes: nodes}
	for _, key := range slices.Sorted(maps.Keys(file.Nodes)) {
		if err := l.add(key); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(nodes)) {
		if err := l.place(key, 0); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

type locker struct {
	file  lockFile
	nodes map[string]*node
}

// ours gives the key of a node in the result.
func (l *locker) ours(key string) string {
	if key == l.file.Root {
		return ""
	}
	return key
}

func (l *locker) add(key string) error {
	from := l.file.Nodes[key]
	n := l.nodes[""]
	if key != l.file.Root {
		if key == "" || len(from.Locked) == 0 {
			return lockProblem("the node %q of flake.lock is not locked", key)
		}
		n = &node{Inputs: map[string]string{}, Flake: from.Flake == nil || *from.Flake, locked: from.Locked, Info: info(from.Locked)}
		n.Dir = path.Clean("/" + text(from.Locked, "dir"))[1:]
		l.nodes[key] = n
	}
	for name, ref := range from.Inputs {
		target, err := l.resolve(ref, 0)
		if err != nil {
			return err
		}
		n.Inputs[name] = l.ours(target)
	}
	return nil
}

// resolve follows a reference to a key of the file.
func (l *locker) resolve(ref lockRef, depth int) (string, error) {
	if depth > 100 {
		return "", lockProblem("inputs in flake.lock follow each other in a circle")
	}
	if ref.follow == nil {
		if _, ok := l.file.Nodes[ref.key]; !ok {
			return "", lockProblem("flake.lock has no node %q", ref.key)
		}
		return ref.key, nil
	}
	key := l.file.Root
	for _, name := range ref.follow {
		next, ok := l.file.Nodes[key].Inputs[name]
		if !ok {
			return "", lockProblem("the node %q of flake.lock has no input %q, which another follows", key, name)
		}
		var err error
		if key, err = l.resolve(next, depth+1); err != nil {
			return "", err
		}
	}
	return key, nil
}

// place finds the source of a node that is a folder of another's.
func (l *locker) place(key string, depth int) error {
	n := l.nodes[key]
	if key == "" || n.Within != nil || text(n.locked, "type") != "path" || filepath.IsAbs(text(n.locked, "path")) {
		return nil
	}
	if depth > 100 {
		return lockProblem("relative inputs in flake.lock lie in each other")
	}
	from, err := l.parent(key)
	if err != nil {
		return err
	}
	if err := l.place(from, depth+1); err != nil {
		return err
	}
	parent := l.nodes[from]
	folder := path.Join(parent.Folder, parent.Dir, text(n.locked, "path"))
	if !filepath.IsLocal(folder) {
		return lockProblem("the input %q (path:%s) leads out of the repository", key, text(n.locked, "path"))
	}
	n.Folder, n.Within = folder, &from
	if parent.Within != nil {
		n.Within = parent.Within
	}
	n.Copied = l.file.Nodes[key].Parent == nil
	return nil
}

// parent gives the node whose flake.nix a relative path was written in.
func (l *locker) parent(key string) (string, error) {
	if way := l.file.Nodes[key].Parent; way != nil {
		target, err := l.resolve(lockRef{follow: append([]string{}, *way...)}, 0)
		return l.ours(target), err
	}
	for _, from := range slices.Sorted(maps.Keys(l.nodes)) {
		if slices.Contains(slices.Collect(maps.Values(l.nodes[from].Inputs)), key) && from != key {
			return from, nil
		}
	}
	return "", nil
}

func text(attrs map[string]any, name string) string {
	s, _ := attrs[name].(string) // "" if it is none
	return s
}

// info gives the attributes of a flake's sourceInfo that the lock knows.
func info(locked map[string]any) map[string]any {
	known := map[string]any{}
	for _, name := range []string{"narHash", "rev", "lastModified", "revCount"} {
		if v, ok := locked[name]; ok {
			known[name] = v
		}
	}
	if seconds, ok := locked["lastModified"].(float64); ok {
		addTime(known, time.Unix(int64(seconds), 0))
	}
	if rev := text(locked, "rev"); rev != "" {
		addRevision(known, rev)
	}
	return known
}

func addTime(known map[string]any, at time.Time) {
	known["lastModified"] = at.Unix()
	known["lastModifiedDate"] = at.UTC().Format("20060102150405")
}

func addRevision(known map[string]any, rev string) {
	known["rev"], known["shortRev"] = rev, rev[:min(7, len(rev))]
}

// named gives a locked input as people write it.
func (n *node) named() string {
	part := func(name string) string { return text(n.locked, name) }
	switch kind := part("type"); kind {
	case "github", "gitlab", "sourcehut":
		return strings.TrimSuffix(fmt.Sprintf("%s:%s/%s/%.12s", kind, part("owner"), part("repo"), part("rev")), "/")
	case "path":
		return "path:" + part("path")
	default:
		return kind + " " + part("url")
	}
}
