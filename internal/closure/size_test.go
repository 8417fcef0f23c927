package closure

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The sum of what Nix says of each path.
func TestSize(t *testing.T) {
	s := newStore(t)
	root := s.addSystem(t, 12, 21)
	var want int64
	for _, line := range strings.Fields(s.nix(t, append([]string{"nix-store", "-q", "--size"}, strings.Fields(s.nix(t, "nix-store", "-qR", root.String()))...)...)) {
		var n int64
		if _, err := fmt.Sscan(line, &n); err != nil {
			t.Fatal(err)
		}
		want += n
	}
	if got, err := Size(within(t, time.Minute), s, root); err != nil || got != want || want < 6_000_000 {
		t.Errorf("got %d, %v; Nix says %d", got, err, want)
	}
	missing := parse(t, "/nix/store/00000000000000000000000000000000-nothing")
	if _, err := Size(within(t, time.Minute), s, missing); err == nil || !strings.Contains(err.Error(), missing.String()) {
		t.Errorf("what is not there: %v", err)
	}
}
