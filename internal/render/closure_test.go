package render

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestClosureText(t *testing.T) {
	for _, c := range []struct {
		closure *plans.Closure
		want    string
	}{
		{nil, ""},
		{&plans.Closure{After: 2_000_000}, "2.0 MB"},
		{&plans.Closure{Before: 1_500_000, After: 2_000_000}, "1.5 MB → 2.0 MB (+500.0 kB)"},
		{&plans.Closure{Before: 2_000_000, After: 1_500_000, Reached: true, Push: 0, Free: 3_000_000_000}, "2.0 MB → 1.5 MB (-500.0 kB), 0 B to push, 3.0 GB free on /nix"},
		{&plans.Closure{Before: 10, After: 10, Reached: true, Push: 7, Free: 9}, "10 B → 10 B, 7 B to push, 9 B free on /nix"},
	} {
		if got := closureText(c.closure); got != c.want {
			t.Errorf("%+v: %q, want %q", c.closure, got, c.want)
		}
	}
}
