package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// maxEtcText bounds the text of one /etc entry that is kept for review.
const maxEtcText = 256 << 10

// Evaluate gives the system of each named host, or why it has none; every
// name is in the result. A trusted Source has its derivations written to the
// store, ready for Build. Hosts are reported to sink as they end.
func (e *Evaluator) Evaluate(ctx context.Context, s Source, hosts []string, sink progress.Sink) map[string]plans.Evaluation {
	result := make(map[string]plans.Evaluation, len(hosts))
	e.Each(ctx, s, hosts, sink, func(host string, one plans.Evaluation) { result[host] = one })
	return result
}

// Each is Evaluate that hands on every host's result as soon as it is there,
// one at a time.
func (e *Evaluator) Each(ctx context.Context, s Source, hosts []string, sink progress.Sink, take func(host string, one plans.Evaluation)) {
	o, err := e.open(ctx, s)
	if err != nil {
		p := asProblem(err)
		for _, h := range hosts {
			take(h, plans.Evaluation{Err: p})
		}
		return
	}
	defer o.close()
	m := e.remember(ctx, o)
	o.keeps = m != nil
	e.turn.Lock()
	e.each(ctx, o, m, hosts, nil, sink, take)
}

// each evaluates hosts of an opened Source. only is the evaluation of the only
// host; nil: it has not begun, or there are several. It is the caller's turn,
// which ends as soon as nothing is left to be evaluated.
func (e *Evaluator) each(ctx context.Context, o *opened, m *memory, hosts []string, only *begun, sink progress.Sink, take func(host string, one plans.Evaluation)) {
	known := e.remembered(ctx, o, m, hosts)
	var kept, fresh []string
	for _, host := range hosts {
		if known[host] == "" || e.opts.Cache.Verify {
			fresh = append(fresh, host)
		} else {
			kept = append(kept, host)
		}
	}
	whole := progress.For(sink, "")
	if len(known) > 0 {
		whole.Note(progress.Evaluate, fmt.Sprintf("%d of %d hosts read nothing that changed", len(known), len(hosts)))
	}
	if len(fresh) > 0 {
		if err := e.ready(ctx, o, m); err != nil {
			e.turn.Unlock()
			p := asProblem(o.explain("", err))
			for _, h := range hosts {
				take(h, plans.Evaluation{Err: p})
			}
			return
		}
	}
	var (
		mu   sync.Mutex
		done int64
	)
	counted := func(host string, one plans.Evaluation) {
		mu.Lock()
		defer mu.Unlock()
		take(host, one)
		done++
		whole.Count(progress.Evaluate, done, int64(len(hosts)), "hosts")
	}
	reported := func(host string) {
		var one plans.Evaluation
		// The failure is in the result; the reporter shows it.
		_ = progress.For(sink, host).Do(progress.Evaluate, func() error {
			one = e.checked(ctx, o, m, known[host], host, only)
			if one.Err != nil {
				return one.Err
			}
			return nil
		})
		counted(host, one)
	}
	var reading sync.WaitGroup
	reading.Go(func() { e.readKept(ctx, o, m, kept, known, counted, reported) })
	e.sideBySide(fresh, reported)
	e.turn.Unlock()
	reading.Wait()
}

// readKept reads what was kept of hosts. What is damaged is evaluated, when
// nothing else is.
func (e *Evaluator) readKept(ctx context.Context, o *opened, m *memory, hosts []string, known map[string]string, take func(string, plans.Evaluation), evaluate func(host string)) {
	e.sideBySide(hosts, func(host string) {
		s, ok := m.system(host, known[host])
		if ok {
			take(host, plans.Evaluation{System: s})
			return
		}
		e.turn.Lock()
		defer e.turn.Unlock()
		if err := e.ready(ctx, o, m); err != nil {
			take(host, plans.Evaluation{Err: asProblem(o.explain("", err))})
			return
		}
		evaluate(host)
	})
}

// sideBySide does something for each host, as many at a time as there are workers.
func (e *Evaluator) sideBySide(hosts []string, do func(host string)) {
	var group errgroup.Group
	group.SetLimit(e.opts.Workers)
	for _, host := range hosts {
		group.Go(func() error { do(host); return nil })
	}
	_ = group.Wait() // none fails
}

func asProblem(err error) *problem.Problem {
	var p *problem.Problem
	if errors.As(err, &p) {
		return p
	}
	return &problem.Problem{Summary: err.Error()}
}

// wire is what eval.nix says of one host.
type wire struct {
	Failed []string `json:"failed"` // messages of assertions
	System struct {
		plans.System
		Units map[string]struct {
			plans.UnitText
			Uses []string `json:"uses"` // derivations and files in the store
		} `json:"units"`
	} `json:"system"`
	Files struct {
		Etc  map[string]string   `json:"etc"`  // target → file in a tree
		Keys map[string][]string `json:"keys"` // user → files with keys
	} `json:"files"`
	keyFiles []string // of deployment.keys, absolute
}

// checked evaluates a host, and compares with what was kept of it, if anything.
func (e *Evaluator) checked(ctx context.Context, o *opened, m *memory, digest, host string, first *begun) plans.Evaluation {
	one := e.one(ctx, o, m, host, first)
	if one.Err != nil || digest == "" || !e.opts.Cache.Verify {
		return one
	}
	if kept, ok := m.system(host, digest); ok {
		if p := differs("host "+host, kept, one.System); p != nil {
			return plans.Evaluation{Err: p}
		}
	}
	return one
}

// one evaluates a host; first is what was done of that already, or nil.
func (e *Evaluator) one(ctx context.Context, o *opened, m *memory, host string, first *begun) plans.Evaluation {
	if err := ctx.Err(); err != nil {
		return plans.Evaluation{Err: &problem.Problem{Summary: fmt.Sprintf("host %s was not evaluated", host), Cause: err, Code: problem.Cancelled}}
	}
	if first == nil {
		out, err := e.eval(ctx, o, "system", host)
		first = &begun{out, err}
	}
	out, err := first.out, first.err
	if err != nil && ctx.Err() == nil {
		if stored := e.withStore(ctx, o); stored != nil {
			// Some hosts read what they put into the store themselves. m does not
			// know that store, so nothing is kept.
			o, m = stored, nil
			out, err = e.eval(ctx, o, "system", host)
		}
	}
	var missing string
	if err != nil && ctx.Err() == nil {
		// A review fact may be what fails, on a tree that is older or newer than
		// expected. The system alone then still evaluates.
		failed := o.explain(host, err)
		out, err = e.eval(ctx, o, "bare", host)
		if err == nil {
			missing = failed.Error()
		}
	}
	if err != nil {
		return plans.Evaluation{Err: o.explain(host, err)}
	}
	w, p := o.read(host, out.json)
	if p != nil {
		return plans.Evaluation{Err: p}
	}
	w.System.ReadServers = out.servers
	if w.System.Partial = missing; missing == "" {
		m.keep(host, out, o.filesOf(&w), w.System.DrvPath, w.System.System)
	}
	e.texts.share(&w.System.System)
	return plans.Evaluation{System: w.System.System}
}

// read takes what eval.nix printed of a host, and adds what it left to us.
func (o *opened) read(host string, printed []byte) (wire, *problem.Problem) {
	var w wire
	if err := json.Unmarshal(printed, &w); err != nil {
		return w, &problem.Problem{Summary: fmt.Sprintf("host %s: what Nix printed is not understood", host), Cause: err}
	}
	if len(w.Failed) > 0 {
		return w, o.assertions(host, w.Failed)
	}
	if w.System.DrvPath.IsZero() || w.System.OutPath.IsZero() {
		return w, &problem.Problem{Summary: fmt.Sprintf("host %s: evaluation gave no system", host)}
	}
	o.readFiles(&w)
	o.readGenerated(&w)
	for i, text := range w.System.Warnings {
		w.System.Warnings[i] = clip(o.relative(harmless(text)), maxMessageLines, maxMessageBytes)
	}
	return w, nil
}

// maxKeySource bounds what is shown of a key's source. Its digest is of the whole.
const maxKeySource = 2 << 10

// readFiles adds the texts that eval.nix left to us: files of the repository.
func (o *opened) readFiles(w *wire) {
	for name, key := range w.System.Keys {
		if key.Source == "keyFile" {
			key.Digest = ""
			w.keyFiles = append(w.keyFiles, key.From)
			if text, ok := o.absolute(key.From); ok {
				key.Digest = digestOf([]byte(text))
			}
		}
		key.From = clip(o.relative(harmless(key.From)), maxMessageLines, maxKeySource)
		w.System.Keys[name] = key
	}
	for target, file := range w.Files.Etc {
		entry := w.System.Etc[target]
		if text, ok := o.absolute(file); ok && len(text) <= maxEtcText {
			entry.Text = &text
			w.System.Etc[target] = entry
		}
	}
	for name, files := range w.Files.Keys {
		user, ok := w.System.Users[name]
		if !ok {
			continue
		}
		for _, file := range files {
			text, ok := o.absolute(file)
			if !ok {
				// Known to exist, but not what it holds: the file's name stands for its keys.
				user.Keys = append(user.Keys, "file "+o.relative(file))
				continue
			}
			for line := range strings.SplitSeq(text, "\n") {
				if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
					user.Keys = append(user.Keys, line)
				}
			}
		}
		w.System.Users[name] = user
	}
}

// filesOf lists the files of the repository that readFiles reads.
func (o *opened) filesOf(w *wire) []string {
	var files []string
	add := func(file string) {
		if rel, ok := o.inRepo(file); ok {
			files = append(files, rel)
		}
	}
	for _, file := range w.Files.Etc {
		add(file)
	}
	for _, list := range w.Files.Keys {
		for _, file := range list {
			add(file)
		}
	}
	for _, file := range w.keyFiles {
		add(file)
	}
	return files
}

func (o *opened) absolute(file string) (string, bool) {
	rel, ok := o.inRepo(file)
	if !ok {
		return "", false
	}
	return o.text(rel)
}
