package provision_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// Beyond one call per server and one per fixed private address, a server costs
// nothing: two looks at the account and one at what equal orders ask for. A
// second apply costs nothing but a look.
func TestCallsPerServer(t *testing.T) {
	for _, n := range []int{20, 300} {
		f := five()
		s := fleet.Server{
			ServerType: "cx22", Image: "os=nixos", SSHKeys: []string{"deploy"}, Firewalls: []string{"ssh"}, PlacementGroup: "spread",
			PublicNet: fleet.PublicNet{EnableIPv4: true, EnableIPv6: true}, Labels: map[string]string{"a": "b"}, SnapshotBeforeDestroy: true,
		}
		f.LoadBalancers, f.Volumes, f.Servers = nil, nil, map[string]fleet.Server{}
		private := f.Networks["private"]
		private.Subnets, private.Routes = subnets("10.0.0.0/16"), nil
		f.Networks["private"] = private
		w := applied(t, f)
		before := w.calls
		for i := range n {
			s.Networks = map[string]fleet.Attachment{"private": {IP: fmt.Sprintf("10.0.%d.%d", 100+i/100, i%100+1)}}
			f.Servers[fmt.Sprintf("server-%d", i)] = s
		}
		if _, err := apply(context.Background(), w, f, provision.Options{}); err != nil {
			t.Fatal(problem.Text(err))
		}
		if got, want := w.calls-before, 2*n+3; got != want {
			t.Errorf("%d servers: %d calls, want %d", n, got, want)
		}
		settled(t, w, f)
		before = w.calls
		if results, err := apply(context.Background(), w, f, provision.Options{}); err != nil || len(results) > 0 || w.calls-before != 1 {
			t.Errorf("again: %v, %d results, %d calls", err, len(results), w.calls-before)
		}
	}
}
