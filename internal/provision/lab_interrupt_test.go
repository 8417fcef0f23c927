package provision_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// An apply of three servers meets trouble at every one of its requests: the
// process dies, or the connection does, before or after the request took
// effect. Run again (if it died), it ends as if nothing had happened, with
// nothing made twice.
func TestTroubleAtEveryRequest(t *testing.T) {
	ctx := context.Background()
	for _, how := range []struct {
		name        string
		kill, after bool
	}{
		{"killed before", true, false},
		{"killed after", true, true},
		{"cut before", false, false},
		{"cut after", false, true},
	} {
		t.Run(how.name, func(t *testing.T) {
			points := 0
			for n := 1; ; n++ {
				p := newProject(t)
				p.failAt, p.after = n, how.after
				runCtx, cancel := context.WithCancel(ctx)
				if how.kill {
					p.kill = cancel
				}
				_, err := apply(runCtx, p.client(t), three(), provision.Options{})
				cancel()
				reached := p.heal() >= n
				if !reached && err != nil || reached && !how.kill && err != nil {
					t.Fatalf("request %d: %s", n, problem.Text(err))
				}
				if _, err := apply(ctx, p.client(t), three(), provision.Options{}); err != nil {
					t.Fatalf("run again after trouble at request %d: %s", n, problem.Text(err))
				}
				settled(t, p.client(t), three())
				asDeclared(t, p, n)
				if !reached {
					break
				}
				points++
			}
			if points < 15 {
				t.Errorf("only %d requests met trouble", points)
			}
			t.Logf("%d requests met trouble", points)
		})
	}
}

func asDeclared(t *testing.T, p *project, n int) {
	t.Helper()
	a := account(t, p.client(t), three())
	got := fmt.Sprintf("%d servers, %d of them the fleet's, %d networks, %d keys", len(p.Servers()), len(a.Servers), len(a.Networks), len(a.SSHKeys))
	if want := "3 servers, 3 of them the fleet's, 2 networks, 1 keys"; got != want {
		t.Fatalf("trouble at request %d: %s, want %s", n, got, want)
	}
	for name, want := range three().Servers {
		s := a.Servers[name]
		if s.Networks["private"] != want.Networks["private"].IP || s.Networks["backup"] == "" || len(s.Published.HostKey) != 52 ||
			s.Status != "running" || s.DeleteProtection != want.DeleteProtection || s.Image != want.Image || s.Labels["env"] != "test" {
			t.Fatalf("trouble at request %d: %s is %+v", n, name, s)
		}
	}
}
