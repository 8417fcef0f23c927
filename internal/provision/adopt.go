package provision

import (
	"context"
	"errors"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Adopter takes a resource over: it writes the label of ownership, and those
// of the parts that have no labels, and touches nothing else.
type Adopter interface {
	Adopt(ctx context.Context, kind plans.ResourceKind, id int64, parts []string) error
}

// Adopt makes resources that nobody owns (Account.Unmanaged) the fleet's, by
// the names under which they are declared. It touches nothing but their labels.
func Adopt(ctx context.Context, p Adopter, desired fleet.Fleet, actual fleet.Account, names []string, sink progress.Sink) (
	[]plans.ResourceResult, error,
) {
	return nil, errors.New("adopt is not built yet")
}
