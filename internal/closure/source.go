package closure

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// readClosure asks the source store for all paths that root needs, references
// first.
func readClosure(ctx context.Context, source Opener, root storepath.Path) ([]info, error) {
	stream, err := source.Open(ctx, "nix-store", "--serve")
	if err != nil {
		return nil, fmt.Errorf("read the closure of %s: %w", root, err)
	}
	s := newSession(stream)
	defer s.finish() //nolint:errcheck // all answers are in, or another error tells more
	paths, err := s.queryClosure(root)
	if err != nil {
		return nil, fmt.Errorf("read the closure of %s: %w", root, err)
	}
	infos, err := s.pathInfos(paths)
	if err != nil {
		return nil, fmt.Errorf("read the closure of %s: %w", root, err)
	}
	return order(root, infos)
}

// order sorts a closure so that each path comes after its references, the same
// way each time.
func order(root storepath.Path, infos map[storepath.Path]info) ([]info, error) {
	sorted := make([]info, 0, len(infos))
	const (
		entered = 1
		done    = 2
	)
	state := make(map[storepath.Path]int, len(infos))
	type step struct {
		info
		next int
	}
	var stack []step // chains of references may be long: no recursion
	enter := func(p, from storepath.Path) error {
		i, ok := infos[p]
		if !ok {
			return fmt.Errorf("the closure of %s is not complete: %s, needed by %s, is not valid here", root, p, from)
		}
		slices.SortFunc(i.refs, func(a, b storepath.Path) int { return strings.Compare(a.String(), b.String()) })
		state[p] = entered
		stack = append(stack, step{info: i})
		return nil
	}
	if err := enter(root, root); err != nil {
		return nil, err
	}
	for len(stack) > 0 {
		top := &stack[len(stack)-1]
		if top.next == len(top.refs) {
			state[top.path] = done
			sorted = append(sorted, top.info)
			stack = stack[:len(stack)-1]
			continue
		}
		ref, from := top.refs[top.next], top.path
		top.next++
		switch {
		case ref == from, state[ref] == done:
		case state[ref] == entered:
			return nil, fmt.Errorf("the closure of %s has a circle of references at %s", root, ref)
		default:
			if err := enter(ref, from); err != nil {
				return nil, err
			}
		}
	}
	return sorted, nil
}
