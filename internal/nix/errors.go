package nix

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

const (
	maxMessageLines = 40
	maxMessageBytes = 6000
)

// HostError is the failure of one host; the others may be well.
type HostError struct {
	Host    string
	Problem *problem.Problem
}

// Error implements error with the problem's text.
func (e *HostError) Error() string { return e.Problem.Error() }

// Unwrap gives the problem.
func (e *HostError) Unwrap() error { return e.Problem }

// ByHost sorts an error of Hosts: failures by host, and what concerns the
// whole hive (nil if nothing does).
func ByHost(err error) (hosts map[string]*problem.Problem, rest error) {
	hosts = map[string]*problem.Problem{}
	if err == nil {
		return hosts, nil
	}
	list := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		list = joined.Unwrap()
	}
	var others []error
	for _, one := range list {
		var h *HostError
		if errors.As(one, &h) {
			hosts[h.Host] = h.Problem
		} else {
			others = append(others, one)
		}
	}
	return hosts, errors.Join(others...)
}

// joinHosts makes one error of failures by host, in the hosts' order.
func joinHosts(failed map[string]*problem.Problem) error {
	var list []error
	for _, host := range slices.Sorted(maps.Keys(failed)) {
		list = append(list, &HostError{Host: host, Problem: failed[host]})
	}
	return errors.Join(list...)
}

// own is an error in eval.nix's own words.
type own struct {
	said
	Input string `json:"input"` // of the flake, that is not in the store
	place
}

// ownWords finds them in a failure.
func (o *opened) ownWords(err error) (own, bool) {
	var w own
	var f *failure
	if !errors.As(err, &f) || f.message.Raw == nil {
		return w, false
	}
	_, text, ok := strings.Cut(harmless(*f.message.Raw), o.mark)
	return w, ok && json.Unmarshal([]byte(text), &w) == nil
}

// explain turns a failed evaluation into a problem: Nix's message, the place
// in the user's files that it leads to, and what to do. host is "" where the
// whole hive is concerned.
func (o *opened) explain(host string, err error) *problem.Problem {
	subject := "the hive does not evaluate"
	if host != "" {
		subject = fmt.Sprintf("host %s does not evaluate", host)
	}
	var p *problem.Problem
	if errors.As(err, &p) {
		return p
	}
	var f *failure
	if !errors.As(err, &f) || f.message.Raw == nil {
		return unexplained(subject, err)
	}
	if w, ok := o.ownWords(err); ok {
		return o.inOwnWords(w)
	}
	raw := o.relative(strings.TrimSpace(harmless(*f.message.Raw)))
	first, rest, _ := strings.Cut(raw, "\n")
	at := o.where(host, f.message)
	return &problem.Problem{
		Summary: subject + ": " + clip(first, 1, 1000),
		At:      at,
		Source:  o.sourceLines(at),
		Detail:  o.detail(rest, f.message, at),
		Hints:   o.hints(raw, o.sourceLines(at)),
	}
}

func (o *opened) inOwnWords(w own) *problem.Problem {
	at := o.position(w.File, w.Line, w.Column)
	first, rest, _ := strings.Cut(o.relative(harmless(w.Message)), "\n")
	p := &problem.Problem{Summary: first, Detail: rest, At: at, Source: o.sourceLines(at)}
	if w.Hint != "" {
		p.Hints = []string{harmless(w.Hint)}
	}
	return p
}

func unexplained(subject string, err error) *problem.Problem {
	p := &problem.Problem{Summary: subject}
	var ended *process.Error
	switch {
	case errors.Is(err, errTooMuch):
		p.Cause = errTooMuch
		return p
	case outOfMemory(err):
		p.Summary += fmt.Sprintf(": it needs more than %d MiB of memory", memoryOf(err)>>20)
		p.Hints = []string{"Allow one evaluation more memory, evaluate fewer hosts at a time, or look for a list or a recursion without an end."}
		return p
	case errors.Is(err, context.Canceled):
		p.Cause, p.Code = context.Canceled, problem.Cancelled
		return p
	case errors.Is(err, context.DeadlineExceeded):
		p.Summary += ": it took too long and was ended"
		p.Hints = []string{"Look for an endless loop; a large fleet on a small machine may need --workers 1."}
		return p
	case errors.As(err, &ended):
		tail := clip(harmless(ended.Tail), maxMessageLines, maxMessageBytes)
		if text, ok := strings.CutPrefix(tail, "error: "); ok && !strings.Contains(text, "\n") {
			p.Summary += ": " + text // the evaluator died with plain words, of a stack overflow for example
			return p
		}
		p.Summary += fmt.Sprintf(": Nix ended with exit code %d and without a message", ended.ExitCode)
		p.Detail = tail
		if ended.ExitCode < 0 {
			p.Summary = subject + ": Nix was killed"
			p.Hints = []string{"It may have used up the memory: evaluate fewer hosts at a time, or add memory or swap."}
		}
		return p
	}
	p.Cause = err
	return p
}

// assertions is the problem of a host whose assertions fail, all at once.
func (o *opened) assertions(host string, failed []string) *problem.Problem {
	count := "an assertion fails"
	if len(failed) > 1 {
		count = fmt.Sprintf("%d assertions fail", len(failed))
	}
	var b strings.Builder
	for _, message := range failed {
		text := clip(strings.TrimSpace(o.relative(harmless(message))), maxMessageLines, maxMessageBytes)
		b.WriteString("- " + strings.ReplaceAll(text, "\n", "\n  ") + "\n")
	}
	return &problem.Problem{Summary: fmt.Sprintf("host %s: %s", host, count), Detail: clip(b.String(), 200, 4*maxMessageBytes)}
}

// hints looks up advice for a message and the line that it is about. It decides nothing.
func (o *opened) hints(message, source string) []string {
	has := func(words ...string) bool {
		for _, w := range words {
			if !strings.Contains(message, w) {
				return false
			}
		}
		return true
	}
	switch {
	case has("Nix search path") && o.flake != nil:
		return []string{"A flake is evaluated with its inputs and without NIX_PATH: name it in inputs, and hand it to the host."}
	case has("Nix search path"):
		return []string{"Set NIX_PATH (nixpkgs=/path/to/nixpkgs), or give meta.nixpkgs a pinned path."}
	case has("is forbidden in restricted mode") && o.flake != nil:
		return []string{"A flake is evaluated with its own files and its inputs alone: put what it needs into the repository."}
	case has("is forbidden in restricted mode"):
		return []string{"A change that nobody merged is evaluated without network, and reads only the repository and NIX_PATH: put what it needs there."}
	case has("allow-import-from-derivation"), has("cannot build", "during evaluation"), !o.Trusted && has("is not valid", "/nix/store/"):
		return []string{"A change that nobody merged is evaluated without building anything: replace the import from a derivation by a file in the repository."}
	case has("infinite recursion"):
		return []string{"Something is defined by itself; often `config` or `nodes` decides what is in `imports`, or two hosts read the same setting of each other."}
	case has("The option `", "does not exist"):
		return []string{"Check the spelling of the option, and that the module which declares it is imported."}
	case has("attribute '", "missing") && strings.Contains(source, "servers"):
		return []string{"fleet.servers has: " + strings.Join(slices.Sorted(maps.Keys(o.Facts)), ", ") + "."}
	case has("'outputs'", "called with unexpected argument"):
		return []string{"outputs of flake.nix gets self and every input: write { self, nixpkgs, ... }:."}
	case has("called without required argument"), has("called with unexpected argument"):
		return []string{"A hive gets the argument `fleet`; modules get name, nodes, fleet, meta.specialArgs and what NixOS gives them."}
	case has("No such file or directory"), has("does not exist", "path '"):
		return []string{"Is the file committed? Only what is in git is evaluated."}
	}
	return nil
}
