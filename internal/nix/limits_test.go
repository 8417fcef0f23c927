package nix

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// greedy is a hive with a host that needs some 300 MB.
const greedy = `{
  large = { environment.etc.x.text = toString (builtins.length (builtins.filter (x: x.a != "") (builtins.genList (i: { a = toString i; b = i; }) 1000000))); };
  small = { environment.etc.x.text = "small"; };
}`

func TestMemoryLimit(t *testing.T) {
	s := hive(t, greedy)
	e := evaluator(t, Options{Memory: 128 << 20, Workers: 2})
	got := e.Evaluate(t.Context(), s, []string{"large", "small"}, nil)
	if got["small"].Err != nil {
		t.Error(problem.Text(got["small"].Err))
	}
	if err := got["large"].Err; err == nil || !strings.Contains(err.Summary, "host large does not evaluate: it needs more than 128 MiB of memory") || len(err.Hints) == 0 {
		t.Errorf("large: %+v", got["large"])
	}
	// A host that needs more than its share gets all there is, alone.
	e.alone = 4 << 30
	if got := e.Evaluate(t.Context(), s, []string{"large", "small"}, nil); got["large"].Err != nil || got["small"].Err != nil {
		t.Errorf("alone: %+v", got)
	}
}

func TestTimeLimit(t *testing.T) {
	s := hive(t, `{ endless = { environment.etc.x.text = let f = n: if n < 0 then "" else f (n + 1); in f 0; }; }`)
	start := time.Now()
	got := evaluator(t, Options{Timeout: 300 * time.Millisecond}).Evaluate(t.Context(), s, []string{"endless"}, nil)["endless"]
	if got.Err == nil || time.Since(start) > 20*time.Second {
		t.Errorf("after %v: %+v", time.Since(start), got)
	}
}

// A host's result is there before the others are.
func TestResultsAreStreamed(t *testing.T) {
	s := hive(t, `{ a = { }; b = { }; c = { nonsense = 1; }; }`)
	var begun atomic.Int32
	sink := progress.Func(func(ev progress.Event) {
		if ev.Kind == progress.Begin && ev.Host != "" {
			begun.Add(1)
		}
	})
	var taken, early int
	evaluator(t, Options{Workers: 1}).Each(t.Context(), s, []string{"a", "b", "c"}, sink, func(host string, one plans.Evaluation) {
		taken++
		if int(begun.Load()) < 3 {
			early++
		}
		if (one.Err != nil) != (host == "c") {
			t.Errorf("%s: %v", host, one.Err)
		}
	})
	if taken != 3 || early < 1 {
		t.Errorf("%d results, %d before the last host had begun", taken, early)
	}
}
