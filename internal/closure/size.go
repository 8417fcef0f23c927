package closure

import (
	"context"
	"fmt"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Size gives the bytes that root's closure takes in the store of a machine
// which has it, as NARs: about what it takes on the disk.
func Size(ctx context.Context, machine Opener, root storepath.Path) (int64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := obey(ctx, cancel, queryLimit, "the store did not say how large a closure is")
	defer stop()
	programs, err := findPrograms(ctx, machine)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", root, err)
	}
	stream, err := machine.Open(ctx, programs.store, "--serve")
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", root, err)
	}
	s := newSession(stream)
	defer s.finish() //nolint:errcheck // all answers are in, or another error tells more
	paths, err := s.queryClosure(root)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", root, err)
	}
	infos, err := s.pathInfos(paths)
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", root, err)
	}
	if _, has := infos[root]; !has {
		return 0, fmt.Errorf("size of %s: it is not in the store", root)
	}
	var total int64
	for _, i := range infos {
		total += i.size
	}
	return total, nil
}
