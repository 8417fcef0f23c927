package deploy

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/remote"
)

func TestLockoutIsRefused(t *testing.T) {
	open := plans.SSHD{Enabled: true, Ports: []int{22}}
	for _, c := range []struct {
		name   string
		change func(*deployment, *plans.System)
		want   string // part of the refusal
		code   problem.Code
	}{
		{name: "well", change: func(*deployment, *plans.System) {}},
		{name: "SSH is off", change: func(_ *deployment, s *plans.System) { s.SSHD = plans.SSHD{} }, want: "the SSH daemon is off", code: problem.Refused},
		{name: "SSH moves away", change: func(_ *deployment, s *plans.System) { s.SSHD.Ports = []int{2222} }, want: "SSH does not listen on port 22", code: problem.Refused},
		{name: "SSH moves and the hive says so", change: func(d *deployment, s *plans.System) {
			s.SSHD.Ports = []int{2222}
			d.hosts["web"] = plans.Deployment{TargetPort: 2222}
		}},
		{name: "its facts are not known", change: func(_ *deployment, s *plans.System) { s.SSHD, s.Partial = plans.SSHD{}, "an error" }},
		{name: "allowed", change: func(d *deployment, s *plans.System) {
			s.SSHD, d.opts.AllowLockout = plans.SSHD{}, []string{"web"}
		}},
		{name: "another is allowed", change: func(d *deployment, s *plans.System) {
			s.SSHD, d.opts.AllowLockout = plans.SSHD{}, []string{"db"}
		}, want: "the SSH daemon is off", code: problem.Refused},
		{name: "nobody of this name", change: func(d *deployment, _ *plans.System) { d.opts.AllowLockout = []string{"wbe"} }, want: "no such host", code: problem.Usage},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &deployment{
				flow: &Flow{}, tree: tree{Fleet: fleet.Fleet{SSH: fleet.SSH{User: "root", Port: 22}}},
				tags: map[string][]string{"web": nil, "db": nil}, hosts: map[string]plans.Deployment{"web": {}},
			}
			system := plans.System{Host: "web", SSHD: open}
			c.change(d, &system)
			d.systems = map[string]plans.System{"web": system}
			err := d.checkLockout(t.Context())
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || problem.CodeOf(err) != c.code {
				t.Errorf("got %v (%d), want %q", err, problem.CodeOf(err), c.want)
			}
		})
	}
}

// TestWay: while SSH moves, the old port serves until the new one answers, and
// the proof is asked for at the new one alone.
func TestWay(t *testing.T) {
	head, old := remote.Target{Host: "web", Port: 2222}, remote.Target{Host: "web", Port: 22}
	listens := 22
	asked := 0
	var tried []int
	w := &way{
		targets: []remote.Target{head},
		former:  func(context.Context) []remote.Target { asked++; return []remote.Target{old} },
		dialer: func(_ context.Context, target remote.Target) (*remote.Conn, error) {
			tried = append(tried, target.Port)
			if target.Port == listens {
				return &remote.Conn{}, nil
			}
			return nil, &problem.Problem{Summary: "cannot log in", Cause: &remote.UnreachableError{Stage: remote.StageTCP, Cause: errors.New("refused")}}
		},
	}
	expect := func(what string, ports string, well bool, moving bool) {
		t.Helper()
		tried = nil
		_, err := w.connect(t.Context())
		if got := fmt.Sprint(tried); got != ports || (err == nil) != well || (w.proof() != nil) != moving {
			t.Errorf("%s: tried %s, want %s; %v; proof asked for elsewhere: %v", what, got, ports, err, w.proof() != nil)
		}
	}
	expect("before", "[2222 22]", true, true)
	expect("and again", "[22]", true, true)
	listens = 2222
	expect("after the switch", "[22 2222]", true, false)
	listens = 22
	expect("it was put back", "[2222 22]", true, true)
	listens = 0
	expect("it is off", "[22 2222]", false, true)
	if asked != 1 {
		t.Errorf("asked %d times for the former way", asked)
	}
}

// A host that answered once where the revision says is not looked for elsewhere,
// and neither is one that refuses the login.
func TestWayStays(t *testing.T) {
	var fails error
	w := &way{
		targets: []remote.Target{{Port: 2222}},
		former:  func(context.Context) []remote.Target { t.Error("asked for the former way"); return nil },
		dialer:  func(context.Context, remote.Target) (*remote.Conn, error) { return &remote.Conn{}, fails },
	}
	fails = &problem.Problem{Summary: "cannot log in", Cause: &remote.AuthError{}}
	if _, err := w.connect(t.Context()); err == nil {
		t.Error("no error")
	}
	fails = nil
	if _, err := w.connect(t.Context()); err != nil || w.proof() != nil {
		t.Error(err)
	}
	fails = &remote.UnreachableError{Stage: remote.StageTCP, Cause: errors.New("timeout")}
	if _, err := w.connect(t.Context()); !errors.Is(err, fails) {
		t.Error(err)
	}
}
