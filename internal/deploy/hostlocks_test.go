package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// hostLocks are hosts that have nothing but a lock.
type hostLocks struct {
	mu     sync.Mutex
	holder map[string]string
	log    []string
	gone   map[string]bool // hosts that do not answer
}

// host gives one of them as a run sees it.
func (l *hostLocks) host(by string) func(string) (*generation.Host, error) {
	return func(name string) (*generation.Host, error) {
		if name == "nowhere" {
			return nil, errors.New("no address")
		}
		return generation.New(name, func(context.Context) (generation.Session, error) {
			if l.gone[name] {
				return nil, errors.New("no route to host")
			}
			return lockSession{l, name, by}, nil
		}, nil), nil
	}
}

type lockSession struct {
	locks    *hostLocks
	name, by string
}

func (s lockSession) Run(_ context.Context, _ io.Reader, argv ...string) (process.Result, error) {
	s.locks.mu.Lock()
	defer s.locks.mu.Unlock()
	holder := s.locks.holder[s.name]
	switch {
	case slices.Contains(argv, "unlock"):
		delete(s.locks.holder, s.name)
		s.locks.log = append(s.locks.log, s.by+" frees "+s.name)
	case holder != "" && holder != s.by:
		return process.Result{Stdout: fmt.Appendf(nil, "held 30 %s\n", holder)}, nil
	default:
		if holder == "" {
			s.locks.log = append(s.locks.log, s.by+" locks "+s.name)
		}
		s.locks.holder[s.name] = s.by
	}
	return process.Result{Stdout: []byte("taken\n")}, nil
}

func (lockSession) Close() error { return nil }

// Without a provider all hosts' locks come first, in sorted order: two runs
// never hold what the other one waits for.
func TestHostLocksInSortedOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := &hostLocks{holder: map[string]string{}, gone: map[string]bool{"off": true}}
		var runs sync.WaitGroup
		for _, by := range []string{"ada", "bob"} {
			runs.Go(func() {
				f := &Flow{By: by}
				held, err := f.holdHosts(t.Context(), []string{"web", "nowhere", "db", "off", "app"}, time.Hour, locks.host(by))
				if err != nil {
					t.Errorf("%s: %v", by, err)
					return
				}
				if _, ok := held.take("off"); ok || len(held.of) != 3 {
					t.Errorf("%s holds %v", by, held.of)
				}
				time.Sleep(10 * time.Minute) // it is alive, and renews
				web, ok := held.take("web")
				if !ok || web.unlock(t.Context()) != nil {
					t.Errorf("%s: web was not held", by)
				}
				if _, again := held.take("web"); again {
					t.Errorf("%s got web twice", by)
				}
				held.free(t.Context(), f)
			})
		}
		runs.Wait()
		first, second := "ada", "bob"
		if locks.log[0] == "bob locks app" {
			first, second = second, first
		}
		taken := slices.DeleteFunc(slices.Clone(locks.log), func(line string) bool { return strings.Contains(line, "frees") })
		want := []string{first + " locks app", first + " locks db", first + " locks web", second + " locks app", second + " locks db", second + " locks web"}
		if !slices.Equal(taken, want) || len(locks.holder) != 0 {
			t.Errorf("got %v, still held %v", locks.log, locks.holder)
		}
	})
}

// One lock that cannot be had gives back all others.
func TestHostLocksAllOrNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := &hostLocks{holder: map[string]string{"db": "ada"}}
		f := &Flow{By: "bob"}
		began := time.Now()
		held, err := f.holdHosts(t.Context(), []string{"app", "db", "web"}, 0, locks.host("bob"))
		if problem.CodeOf(err) != problem.Refused || held != nil || !strings.Contains(err.Error(), "db is locked by ada") {
			t.Errorf("%+v, %v", held, err)
		}
		if took := time.Since(began); took < lockTTL || took > 2*lockTTL {
			t.Errorf("waited %s for a holder that may be dead", took)
		}
		if locks.holder["app"] != "" || locks.holder["web"] != "" {
			t.Errorf("still held: %v", locks.holder)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		if _, err := f.holdHosts(ctx, []string{"app", "db"}, time.Hour, locks.host("bob")); !errors.Is(err, context.Canceled) || locks.holder["app"] != "" {
			t.Errorf("cancelled: %v, still held %v", err, locks.holder)
		}
	})
}
