package nix

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/flotilla-nix/flotilla/internal/observe"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// memory finds results of one opened Source in the cache, and puts them there.
// A nil memory finds nothing and keeps nothing.
type memory struct {
	e       *Evaluator
	o       *opened
	vault   *vault
	shared  string    // digest of what all hosts depend on
	whole   wholeTree // of the repository; no digest: results are not found by it
	states  *states
	search  []string
	started time.Time // of the first evaluation; zero: none has begun

	mu    sync.Mutex
	scans *scans
}

// remember gives the memory of a Source; nil if there is no cache, or if it
// cannot be told what evaluating it depends on.
func (e *Evaluator) remember(ctx context.Context, o *opened) *memory {
	if e.opts.Cache.Dir == "" {
		return nil
	}
	m := &memory{e: e, o: o, vault: newVault(e.opts.Cache), states: newStates(o.dir)}
	var reading sync.WaitGroup
	// Where nothing but the tree can be read, the tree alone tells. A work tree
	// with its repository in it is another one all the time.
	if !o.Trusted && stateOf(filepath.Join(o.dir, ".git"), false) == absent {
		reading.Go(func() {
			if whole := hashTree(o.dir); !whole.clock {
				m.whole = whole
			}
		})
	}
	m.shared = e.sharedKey(ctx, o)
	reading.Wait()
	if m.shared == "" {
		return nil
	}
	for _, one := range localEntries(e.opts.NixPath) {
		m.search = append(m.search, one[strings.IndexByte(one, '=')+1:])
	}
	m.vault.sweep(time.Now())
	return m
}

// begin is called before something is evaluated. It waits until what was written
// before, an exported tree, can be told from what changes from now on.
func (m *memory) begin() {
	if m == nil || !m.started.IsZero() {
		return
	}
	time.Sleep(clockStep)
	m.started, m.states = time.Now(), newStates(m.o.dir)
}

// keys are the names under which the result for a host is found; "" is the
// hive as a whole.
func (m *memory) keys(host string) (inputs, tree string) {
	inputs = digestOf([]byte(m.shared + " " + host))
	if m.whole.digest != "" {
		var self map[string]any
		if m.o.flake != nil {
			self = m.o.flake.nodes[""].Info
		}
		tree = digestOfJSON([]any{inputs, m.whole.digest, m.o.Facts, self})
	}
	return inputs, tree
}

// find hands the digests of results that a host still has to take, until it
// could use one.
func (m *memory) find(host string, take func(digest string) bool) bool {
	if m == nil {
		return false
	}
	key, tree := m.keys(host)
	if tree != "" {
		if digest, ok := m.vault.ofTree(tree); ok && take(digest) {
			return true
		}
	}
	for _, one := range m.vault.entries(key) {
		if m.same(one) && take(one.Result) {
			return true
		}
	}
	return false
}

// system gives what was kept of a host. Those of base and head are mostly the
// same one, which is read once: nobody changes what evaluation gave.
func (m *memory) system(host, digest string) (plans.System, bool) {
	ids := &m.e.ids
	ids.mu.Lock()
	read := ids.systems[digest]
	if read == nil {
		read = sync.OnceValues(func() (plans.System, bool) {
			text, ok := m.vault.result(digest)
			if !ok {
				return plans.System{}, false
			}
			return readSystem(text)
		})
		ids.systems[digest] = read
	}
	ids.mu.Unlock()
	s, ok := read()
	return s, ok && s.Host == host
}

// same tells whether what an entry depends on is as it was.
func (m *memory) same(one entry) bool {
	if len(one.Inputs) == 0 || one.Names != "" && one.Names != m.names() {
		return false
	}
	for server, digest := range one.Servers {
		if facts, ok := m.o.Facts[server]; !ok || digestOfJSON(facts) != digest {
			return false
		}
	}
	for server, had := range one.Has {
		if _, has := m.o.Facts[server]; has != had {
			return false
		}
	}
	for name, digest := range one.Self {
		if m.self(name) != digest {
			return false
		}
	}
	return m.states.holds(one.Inputs)
}

func (m *memory) names() string { return digestOfJSON(slices.Sorted(maps.Keys(m.o.Facts))) }

// self is the digest of an attribute of a flake's own sourceInfo.
func (m *memory) self(name string) string {
	if m.o.flake == nil {
		return ""
	}
	return digestOfJSON(m.o.flake.nodes[""].Info[name])
}

// keep puts a result into the cache, if all that it depends on is known. files
// are those of the repository that we read for it ourselves.
func (m *memory) keep(host string, out output, files []string, drv storepath.Path, value any) {
	if m == nil {
		return
	}
	var one entry
	var known bool
	var looking sync.WaitGroup // at thousands of files, on both sides
	looking.Go(func() { one, known = m.entry(out, files) })
	text, err := json.Marshal(value)
	leaks := err != nil || m.leaks(text, drv)
	looking.Wait()
	if leaks {
		return
	}
	key, tree := m.keys(host)
	if !known {
		one = entry{}
	}
	if known || tree != "" {
		// What cannot be written is evaluated again.
		_ = m.vault.keep(key, tree, one, text)
	}
}

// entry tells what a result depends on; ok is false where that is not certain.
func (m *memory) entry(out output, files []string) (entry, bool) {
	i := reading{o: m.o, states: m.states, clocks: m.e.asksTime, search: m.search, started: m.started, found: map[string]string{}}
	i.all(out.seen)
	for _, rel := range files {
		i.follow(filepath.Join(m.o.dir, rel), true)
	}
	if i.doubt != "" || len(i.found) == 0 {
		return entry{}, false
	}
	one := entry{Inputs: i.found, Servers: map[string]string{}, Has: map[string]bool{}, Self: map[string]string{}}
	for _, server := range out.servers {
		one.Servers[server] = digestOfJSON(m.o.Facts[server])
	}
	for _, note := range out.notes {
		what, name, _ := strings.Cut(note, " ")
		switch what {
		case "names":
			one.Names = m.names()
		case "has":
			_, one.Has[name] = m.o.Facts[name]
		case "self":
			one.Self[name] = m.self(name)
		default:
			return entry{}, false
		}
	}
	return one, true
}

// leaks tells whether a result names a folder that evaluation happened to take
// place in. It would be another one elsewhere.
func (m *memory) leaks(text []byte, drv storepath.Path) bool {
	names := [][]byte{[]byte(m.o.dir), []byte(m.o.tool)}
	if m.o.root != "" {
		names = append(names, []byte(m.o.root))
	}
	if clean := filepath.Clean(m.o.Dir); clean != m.o.dir {
		names = append(names, []byte(clean))
	}
	if m.o.flake != nil {
		names = append(names, []byte(m.o.flake.source.Hash()))
	}
	if holdsAny(text, names) {
		return true
	}
	if drv.IsZero() {
		return false
	}
	if m.o.storeless() && !m.o.Trusted {
		return true // it may: there are no derivations to look through
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.scans == nil {
		m.scans = &scans{names: names, store: filepath.Join(m.o.storeRoot(), storepath.Dir), leaks: map[string]bool{}}
	}
	return m.scans.any(drv.Base())
}

// asksTime is namesClock for files that stay as they are.
func (e *Evaluator) asksTime(path string) bool {
	e.ids.mu.Lock()
	defer e.ids.mu.Unlock()
	asks, ok := e.ids.clocks[path]
	if !ok {
		asks = namesClock(path)
		e.ids.clocks[path] = asks
	}
	return asks
}

// watched starts a program so that what it looks at is known.
func (e *Evaluator) watched(c process.Command) (process.Command, *observe.Watch) {
	if len(e.opts.Cache.Watcher) == 0 {
		return c, nil
	}
	w, err := observe.Start()
	if err != nil {
		return c, nil // what it read is then not known
	}
	c.Args = slices.Concat(e.opts.Cache.Watcher[1:], []string{c.Program}, c.Args)
	c.Program, c.Stdin = e.opts.Cache.Watcher[0], w.Child()
	return c, w
}

// remembered gives the digests of the systems that need not be evaluated.
func (e *Evaluator) remembered(ctx context.Context, o *opened, m *memory, hosts []string) map[string]string {
	found := map[string]string{}
	if m == nil {
		return found
	}
	var mu sync.Mutex
	e.sideBySide(hosts, func(host string) {
		m.find(host, func(digest string) bool {
			if !m.vault.has(digest) {
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			found[host] = digest
			return true
		})
	})
	if o.Trusted {
		e.dropInvalid(ctx, o, m, found)
	}
	return found
}

// readSystem reads what was kept as what Nix prints is read.
func readSystem(text []byte) (plans.System, bool) {
	var s plans.System
	if err := json.Unmarshal(text, &s); err != nil || s.DrvPath.IsZero() || s.OutPath.IsZero() || s.Partial != "" {
		return s, false
	}
	for i, warning := range s.Warnings {
		s.Warnings[i] = clip(harmless(warning), maxMessageLines, maxMessageBytes)
	}
	return s, true
}

// dropInvalid leaves those out that could not be built: their derivations are
// not in the store any more.
func (e *Evaluator) dropInvalid(ctx context.Context, o *opened, m *memory, found map[string]string) {
	if len(found) == 0 {
		return
	}
	args := []string{"--check-validity", "--print-invalid"}
	drvs := map[string]string{}
	for host, digest := range found {
		if s, ok := m.system(host, digest); ok {
			drvs[host] = s.DrvPath.String()
			args = append(args, drvs[host])
		}
	}
	out, err := e.ask(ctx, o, "nix-store", args...)
	if err != nil {
		clear(found)
		return
	}
	gone := strings.Fields(string(out))
	maps.DeleteFunc(found, func(host, _ string) bool { return drvs[host] == "" || slices.Contains(gone, drvs[host]) })
}

// differs says how a result that was kept differs from a fresh one, nil if it
// does not.
func differs(subject string, kept, fresh any) *problem.Problem {
	fields := func(value any) (all map[string]json.RawMessage) {
		text, err := json.Marshal(value)
		if err != nil || json.Unmarshal(text, &all) != nil {
			return nil // differs from everything
		}
		return all
	}
	was, is := fields(kept), fields(fresh)
	var names []string
	for name := range is {
		if string(was[name]) != string(is[name]) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	return &problem.Problem{
		Summary: fmt.Sprintf("%s: the cached evaluation differs from a fresh one in %s", subject, strings.Join(names, ", ")),
		Hints:   []string{"Something that it depends on was not noticed. Please report it; until then --no-cache leaves the cache alone."},
	}
}
