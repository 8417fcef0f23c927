package provision_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// random makes fleets that a provider can have: fixed addresses differ between
// servers, and nothing hangs on a subnet that may come and go without one.
type random struct{ *rand.Rand }

func (r random) yes() bool { return r.IntN(2) == 0 }

func (r random) labels() map[string]string {
	labels := map[string]string{}
	for _, key := range []string{"env", "role", "other.tool/x"} {
		if r.yes() {
			labels[key] = fmt.Sprintf("v%d", r.IntN(2))
		}
	}
	return labels
}

func (r random) fleet() fleet.Fleet {
	f := fleet.Fleet{Name: "acme", Networks: map[string]fleet.Network{}, SSHKeys: map[string]fleet.SSHKey{}, Servers: map[string]fleet.Server{}}
	keys := []string{keyOne, keyTwo}
	if r.yes() {
		keys[1] = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc three@example.com"
	}
	for i, key := range keys {
		if r.yes() {
			f.SSHKeys[fmt.Sprintf("key-%d", i)] = fleet.SSHKey{PublicKey: key, Labels: r.labels()}
		}
	}
	if r.yes() { // a network for fixed addresses
		n := fleet.Network{IPRange: fmt.Sprintf("10.2.0.0/%d", 15+r.IntN(2)), Labels: r.labels()}
		n.Subnets = append(n.Subnets, fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.2.1.0/24"})
		if r.yes() {
			n.Subnets = append(n.Subnets, fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: "10.2.2.0/24"})
		}
		f.Networks["fixed"] = n
	}
	if r.yes() { // one for addresses that the provider chooses
		third := 4 + r.IntN(2)
		f.Networks["free"] = fleet.Network{IPRange: fmt.Sprintf("10.%d.0.0/16", third), Subnets: []fleet.Subnet{
			{Type: "cloud", NetworkZone: "eu-central", IPRange: fmt.Sprintf("10.%d.1.0/24", third)},
		}}
	}
	for i := range 4 {
		if r.yes() {
			f.Servers[fmt.Sprintf("server-%d", i)] = r.server(f, i)
		}
	}
	return f
}

func (r random) server(f fleet.Fleet, i int) fleet.Server {
	s := fleet.Server{
		ServerType: []string{"cx22", "cx32"}[r.IntN(2)], Image: []string{"debian-13", "os=nixos"}[r.IntN(2)],
		Locations: []string{"nbg1", "fsn1"}[r.IntN(2):], Networks: map[string]fleet.Attachment{}, Labels: r.labels(),
		DeleteProtection: r.yes(),
	}
	for name := range f.SSHKeys {
		if r.yes() {
			s.SSHKeys = append(s.SSHKeys, name)
		}
	}
	if n, ok := f.Networks["fixed"]; ok && r.yes() {
		s.Networks["fixed"] = fleet.Attachment{IP: fmt.Sprintf("10.2.%d.%d", 1+r.IntN(len(n.Subnets)), 10+i+100*r.IntN(2))}
	}
	if _, ok := f.Networks["free"]; ok && r.yes() {
		s.Networks["free"] = fleet.Attachment{}
	}
	return s
}

// unprotect lifts in the first fleet what would (rightly) keep the second from
// being applied.
func unprotect(first, second fleet.Fleet) {
	for name, s := range first.Servers {
		if _, stays := second.Servers[name]; !stays {
			s.DeleteProtection = false
			first.Servers[name] = s
		}
	}
	for name, s := range second.Servers {
		if before, exists := first.Servers[name]; exists && before.ServerType != s.ServerType {
			s.DeleteProtection = false
			second.Servers[name] = s
		}
	}
}

// Whatever was there and whatever is wanted: after an apply nothing is left to do.
func TestApplyOfAnyFleetOnAnyOther(t *testing.T) {
	ctx := context.Background()
	leave := provision.Options{AllowDestroy: []string{"fixed", "free", "server-0", "server-1", "server-2", "server-3"}}
	changed := 0
	for seed := range uint64(200) {
		r := random{rand.New(rand.NewPCG(seed, 7))}
		first, second := r.fleet(), r.fleet()
		unprotect(first, second)
		p := newProject(t)
		c := p.client(t)
		for _, f := range []fleet.Fleet{first, second} {
			before := provision.Diff(f, account(t, c, f), provision.Options{})
			if err := provision.Check(f, account(t, c, f), leave); err != nil {
				t.Fatalf("seed %d: refused: %s", seed, problem.Text(err))
			}
			results, err := apply(ctx, c, f, leave)
			if err != nil {
				t.Fatalf("seed %d: %s\nplan %q\nfirst %+v\nsecond %+v", seed, problem.Text(err), short(before), first, second)
			}
			for _, result := range results {
				if !result.Done || result.Error != "" {
					t.Fatalf("seed %d: result %+v", seed, result)
				}
			}
			settled(t, c, f)
			changed += len(results)
			if len(p.Servers()) != len(f.Servers) {
				t.Fatalf("seed %d: %d servers, want %d", seed, len(p.Servers()), len(f.Servers))
			}
			if left := provision.Diff(f, provision.Applied(f), provision.Options{}); len(left) > 0 {
				t.Fatalf("seed %d: applied, and still: %q", seed, short(left))
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	if changed < 2000 {
		t.Errorf("only %d changes in all", changed)
	}
}
