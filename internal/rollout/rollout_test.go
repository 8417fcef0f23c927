package rollout

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func selectors(t *testing.T, texts ...string) []fleet.Selector {
	t.Helper()
	var all []fleet.Selector
	for _, s := range texts {
		sel, err := fleet.ParseSelector(s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, sel)
	}
	return all
}

func TestWaves(t *testing.T) {
	hosts := map[string][]string{"web-1": {"web", "canary"}, "web-2": {"web"}, "db": nil, "aux": nil}
	for _, c := range []struct {
		order []string
		want  string
	}{
		{nil, "[[aux db web-1 web-2]]"},
		{[]string{"@canary", "@web"}, "[[web-1] [web-2] [aux db]]"},
		{[]string{"@none", "*"}, "[[aux db web-1 web-2]]"},
	} {
		if got := fmt.Sprint(Waves(selectors(t, c.order...), hosts)); got != c.want {
			t.Errorf("%v gives %s, want %s", c.order, got, c.want)
		}
	}
}

// script plays a rollout in which the named hosts end in a given way.
type script struct {
	mu       sync.Mutex
	outcomes map[string]fleet.Outcome
	prepare  map[string]fleet.Outcome
	log      []string
	inHand   int
	most     int
	during   func(host string)
}

func (s *script) steps() Steps {
	return Steps{
		Prepare: func(_ context.Context, host string) *plans.HostResult {
			if o, ok := s.prepare[host]; ok {
				return &plans.HostResult{Host: host, Outcome: o}
			}
			return nil
		},
		Switch: func(_ context.Context, host string) plans.HostResult {
			s.mu.Lock()
			s.log = append(s.log, host)
			s.inHand++
			s.most = max(s.most, s.inHand)
			s.mu.Unlock()
			if s.during != nil {
				s.during(host)
			}
			time.Sleep(5 * time.Millisecond)
			s.mu.Lock()
			s.inHand--
			s.mu.Unlock()
			o, ok := s.outcomes[host]
			if !ok {
				o = fleet.Deployed
			}
			return plans.HostResult{Host: host, Outcome: o}
		},
	}
}

func words(results []plans.HostResult) string {
	var out []string
	for _, r := range results {
		out = append(out, r.Host+":"+string(r.Outcome))
	}
	return strings.Join(out, " ")
}

func TestRun(t *testing.T) {
	waves := [][]string{{"a", "b"}, {"c", "d"}}
	for _, c := range []struct {
		name   string
		script *script
		policy fleet.FailurePolicy
		want   string
	}{
		{"all well", &script{}, fleet.RollbackHost, "a:deployed b:deployed c:deployed d:deployed"},
		{"a failure ends the waves", &script{outcomes: map[string]fleet.Outcome{"a": fleet.RolledBack, "b": fleet.RolledBack}}, fleet.RollbackHost, "c:failed d:failed"},
		{"continue goes on", &script{outcomes: map[string]fleet.Outcome{"a": fleet.RolledBack}}, fleet.Continue, "a:rolled-back b:deployed c:deployed d:deployed"},
		{"held does not stop", &script{prepare: map[string]fleet.Outcome{"b": fleet.HeldBack}}, fleet.RollbackHost, "a:deployed b:held c:deployed d:deployed"},
		{"unprepared stops later waves", &script{prepare: map[string]fleet.Outcome{"a": fleet.Failed, "b": fleet.Failed}}, fleet.RollbackHost, "a:failed b:failed c:failed d:failed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			results := Run(t.Context(), waves, c.script.steps(), Options{MaxParallel: 4, MaxUnavailable: 1, OnFailure: c.policy})
			if got := words(results); !strings.HasSuffix(got, c.want) || len(results) != 4 {
				t.Errorf("got %s, want …%s", got, c.want)
			}
			if c.script.most > 1 {
				t.Errorf("%d hosts in hand at a time, want 1", c.script.most)
			}
		})
	}
}

func TestWaveWaitsForTheOneBefore(t *testing.T) {
	s := &script{}
	Run(t.Context(), [][]string{{"a", "b", "c"}, {"d"}, {"e"}}, s.steps(), Options{MaxParallel: 9, MaxUnavailable: 3})
	if s.most < 2 || !slices.Equal(s.log[3:], []string{"d", "e"}) {
		t.Errorf("order %v, at most %d in hand", s.log, s.most)
	}
}

func TestDrainingLetsHostsInHandEnd(t *testing.T) {
	draining := make(chan struct{})
	s := &script{during: func(host string) {
		if host == "a" {
			close(draining)
		}
	}}
	got := words(Run(t.Context(), [][]string{{"a"}, {"b"}}, s.steps(), Options{MaxParallel: 1, MaxUnavailable: 1, Draining: draining}))
	if got != "a:deployed b:failed" {
		t.Errorf("got %s", got)
	}
}

func TestCancelledBeforeItBegan(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &script{}
	results := Run(ctx, [][]string{{"a", "b"}}, Steps{
		Prepare: func(ctx context.Context, host string) *plans.HostResult {
			<-ctx.Done()
			return notBegun(host, "cancelled")
		},
		Switch: s.steps().Switch,
	}, Options{MaxParallel: 1, MaxUnavailable: 1})
	if got := words(results); got != "a:failed b:failed" || len(s.log) > 0 {
		t.Errorf("got %s, switched %v", got, s.log)
	}
}
