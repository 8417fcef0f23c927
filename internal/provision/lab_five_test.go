package provision_test

import (
	"context"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// The real adapter and the lab's API come to the same end as the provider in
// memory: five servers with everything around them are made, changed and
// destroyed, and each time nothing is left to do.
func TestFiveInTheLab(t *testing.T) {
	p := newProject(t)
	c := p.client(t)
	for _, f := range []fleet.Fleet{checked(five()), checked(changed()), unprotected(checked(changed())), {Name: "acme"}} {
		catalog, err := c.Catalog(context.Background())
		if err != nil {
			t.Fatal(problem.Text(err))
		}
		o := provision.Options{AllowDestroy: everything(five(), changed()), Catalog: catalog}
		if _, ok := f.Servers["database"]; ok && f.Volumes["pgdata"].DeleteProtection {
			o.Replace = []string{"web-1"}
		}
		before := account(t, c, f)
		if _, err := apply(context.Background(), c, f, o); err != nil {
			t.Fatalf("%s\nplan %q", problem.Text(err), short(provision.Diff(f, before, o)))
		}
		settled(t, c, f)
	}
	if a := account(t, c, five()); len(a.Servers)+len(a.Networks)+len(a.Volumes)+len(a.PrimaryIPs)+len(a.LoadBalancers)+len(a.Unmanaged) > 0 {
		t.Errorf("left: %+v", a)
	}
}

// checked fills in what flotilla.yaml has defaults for, and keeps to what the
// lab sells.
func checked(f fleet.Fleet) fleet.Fleet {
	for _, lb := range f.LoadBalancers {
		for i := range lb.Services {
			lb.Services[i].HealthCheck = fleet.HealthCheck{Protocol: "tcp", Port: lb.Services[i].DestinationPort, Interval: 15, Timeout: 10, Retries: 3}
		}
	}
	if web, ok := f.Servers["web-1"]; ok {
		web.ServerType = "cx22" // the lab has no image for another architecture
		f.Servers["web-1"] = web
	}
	return f
}
