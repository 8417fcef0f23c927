package provision_test

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

const (
	keyOne   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc one@example.com"
	keyTwo   = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc two@example.com"
	keyThree = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc three@example.com"
)

// catalog is what the fake sells.
func catalog() fleet.Catalog {
	at := map[string]fleet.CatalogAt{"nbg1": {Monthly: 4_000_000, Available: true}, "fsn1": {Monthly: 5_000_000, Available: true}}
	c := fleet.Catalog{Currency: "EUR", ServerTypes: map[string]fleet.CatalogType{}, LoadBalancerTypes: map[string]fleet.CatalogType{
		"lb11": {At: at}, "lb21": {At: at},
	}, VolumeGB: 44_000, BackupPercent: 20, PrimaryIPs: map[string]map[string]fleet.Money{"ipv4": {"nbg1": 500_000, "fsn1": 600_000}}}
	for name, disk := range fakeDisks {
		arch := "x86"
		if name == "cax11" {
			arch = "arm"
		}
		c.ServerTypes[name] = fleet.CatalogType{Architecture: arch, Disk: disk, At: at}
	}
	return c
}

// everything may be destroyed.
func everything(fleets ...fleet.Fleet) []string {
	var names []string
	for _, f := range fleets {
		for section, all := range map[string][]string{
			"servers": slices.Collect(maps.Keys(f.Servers)), "volumes": slices.Collect(maps.Keys(f.Volumes)),
			"networks": slices.Collect(maps.Keys(f.Networks)), "primary_ips": slices.Collect(maps.Keys(f.PrimaryIPs)),
			"load_balancers": slices.Collect(maps.Keys(f.LoadBalancers)),
		} {
			for _, name := range all {
				names = append(names, section+"/"+name)
			}
		}
	}
	return names
}

// apply does what a deploy does with healthy hosts.
func apply(ctx context.Context, p provision.Provider, f fleet.Fleet, o provision.Options) ([]plans.ResourceResult, error) {
	account, err := p.Account(ctx, f)
	if err != nil {
		return nil, err
	}
	after, done, err := provision.Expand(ctx, p, f, account, o, progress.Discard)
	if err != nil {
		return done, err
	}
	if w, ok := p.(*fake); ok {
		w.ending = true
		defer func() { w.ending = false }()
	}
	gone, err := provision.Contract(ctx, p, f, after, o, progress.Discard)
	return append(done, gone...), err
}

func account(t *testing.T, p provision.Provider, f fleet.Fleet) fleet.Account {
	t.Helper()
	a, err := p.Account(context.Background(), f)
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	return a
}

// settled fails the test unless the account is what the fleet declares.
func settled(t *testing.T, p provision.Provider, f fleet.Fleet) {
	t.Helper()
	for _, r := range provision.Diff(f, account(t, p, f), provision.Options{Catalog: catalog()}) {
		if provision.Changes(r) {
			t.Errorf("still to do: %+v", r)
		}
	}
}

// applied is a fake in which the fleet stands.
func applied(t *testing.T, f fleet.Fleet) *fake {
	t.Helper()
	w := newFake()
	if _, err := apply(context.Background(), w, f, provision.Options{}); err != nil {
		t.Fatal(problem.Text(err))
	}
	settled(t, w, f)
	w.sound(t)
	return w
}

// sound fails the test if something was tried that must never be.
func (w *fake) sound(t *testing.T) {
	t.Helper()
	for _, v := range w.violations {
		t.Errorf("violation: %s", v)
	}
	if len(w.off) > 0 {
		t.Errorf("servers were left off: %v", w.off)
	}
}
