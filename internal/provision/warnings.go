package provision

import (
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Warnings tells what is worth knowing and no change: types that are about to
// go or sold out, resources that nobody declares, drift that no change mends.
func Warnings(desired fleet.Fleet, actual fleet.Account, c fleet.Catalog) []plans.Gap {
	return nil
}
