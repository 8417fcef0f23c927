//go:build integration

package generation_test

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func TestDeploys(t *testing.T) {
	r := newRig(t)
	result := r.host().Switch(t.Context(), r.request("good"))
	if result.Outcome != fleet.Deployed {
		t.Fatalf("%+v", result)
	}
	r.expect("good", "good")
}
