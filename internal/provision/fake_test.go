package provision_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// fake is a provider in memory. It refuses what Hetzner Cloud refuses, and
// notes as a violation what Flotilla must never even try.
type fake struct {
	mu   sync.Mutex
	next int64
	all  map[int64]*thing

	calls      int
	log        []string
	violations []string
	busy       map[string]string // what is being changed → by which call
	off        map[int64]bool    // servers that were switched off
	mostOff    int               // at a time
	ending     bool              // the hosts are done

	failAt int  // the call that fails
	after  bool // after it took effect
	dies   bool // and nothing gets through any more: the process died
	dead   bool
}

var _ provision.Provider = (*fake)(nil)

// thing is a resource of any kind; fields of other kinds are zero.
type thing struct {
	ID     int64
	Kind   plans.ResourceKind
	Name   string
	Fleet  string // owner, "" for none
	Labels map[string]string

	Protected bool
	DNS       map[string]string

	Key string // public key

	Range   string
	Expose  bool
	Subnets []fleet.Subnet
	Routes  []fleet.Route
	Foreign []string // subnets, routes, selectors, services that are not the fleet's

	Server        fleet.ServerOrder // as ordered
	Type          string
	Location      string
	Status        string
	SwitchedOff   bool
	Nets          map[int64]fleet.Attachment
	Auto          map[string]int64 // family → address that came with the server
	Firewalls     []int64
	Group         int64
	Backups       bool
	Shut, Snap    bool
	Built         int // how often its disk was made
	Snapshots     int
	DigestKeys    string
	DigestData    string
	ImageName     string
	PublicHostKey string

	Rules []fleet.FirewallRule
	Apply []string

	Size   int
	Format string
	On     int64 // server that a volume or primary IP is on

	Family     string
	AutoDelete bool
	FromServer bool // a primary IP that came with a server

	Algorithm string
	Public    bool
	Services  []fleet.LoadBalancerService
	Targets   []fakeTarget
}

type fakeTarget struct {
	fleet.LoadBalancerTarget
	ID int64
}

func newFake() *fake {
	return &fake{next: 100, all: map[int64]*thing{}, busy: map[string]string{}, off: map[int64]bool{}}
}

var (
	errCut  = errors.New("connection reset by peer")
	errDead = errors.New("the process is dead")
)

func refusedf(format string, args ...any) error { return fmt.Errorf("fake: "+format, args...) }

// call does one request. holds names what it changes.
func (w *fake) call(ctx context.Context, what string, holds []string, f func() error) error {
	w.mu.Lock()
	if err := ctx.Err(); err != nil || w.dead {
		w.mu.Unlock()
		return errors.Join(err, errDead)
	}
	w.calls++
	n := w.calls
	w.log = append(w.log, what)
	if n == w.failAt && !w.after {
		w.dead = w.dies
		w.mu.Unlock()
		return errCut
	}
	for _, h := range holds {
		if other, taken := w.busy[h]; taken {
			w.violations = append(w.violations, fmt.Sprintf("%s while %s is being changed by %s", what, h, other))
		}
		w.busy[h] = what
	}
	w.mu.Unlock()
	runtime.Gosched() // a chance for whoever does not wait
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range holds {
		delete(w.busy, h)
	}
	if err := f(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n == w.failAt {
		w.dead = w.dies
		return errCut
	}
	return nil
}

func (w *fake) violate(format string, args ...any) {
	w.violations = append(w.violations, fmt.Sprintf(format, args...))
}

func hold(kind plans.ResourceKind, id int64) string { return fmt.Sprintf("%s %d", kind, id) }

// heal ends the trouble and tells how many calls there were.
func (w *fake) heal() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.calls
	w.failAt, w.dead, w.busy, w.off, w.mostOff = 0, false, map[string]string{}, map[int64]bool{}, 0
	return n
}

func (w *fake) named(kind plans.ResourceKind, name string) *thing {
	for _, id := range slices.Sorted(maps.Keys(w.all)) {
		if t := w.all[id]; t.Kind == kind && t.Name == name {
			return t
		}
	}
	return nil
}

// get finds a resource of the fleet.
func (w *fake) get(kind plans.ResourceKind, id int64) (*thing, error) {
	t := w.all[id]
	if t == nil || t.Kind != kind {
		return nil, refusedf("no %s %d", kind, id)
	}
	if t.Fleet != "acme" && !t.FromServer {
		w.violate("changes %s %s, which is not the fleet's", kind, t.Name)
		return nil, refusedf("%s %s is not the fleet's", kind, t.Name)
	}
	return t, nil
}

// refer finds a resource that may also be another's.
func (w *fake) refer(kind plans.ResourceKind, id int64) (*thing, error) {
	t := w.all[id]
	if t == nil || t.Kind != kind {
		return nil, refusedf("no %s %d", kind, id)
	}
	return t, nil
}

// create makes a thing, or finds the fleet's own of that name.
func (w *fake) create(ctx context.Context, kind plans.ResourceKind, name string, labels map[string]string, fill func(*thing) error) (int64, error) {
	var id int64
	err := w.call(ctx, "create "+string(kind)+" "+name, nil, func() error {
		if old := w.named(kind, name); old != nil {
			if old.Fleet != "acme" {
				return refusedf("%s %s: uniqueness_error", kind, name)
			}
			id = old.ID
			return nil
		}
		t := &thing{ID: w.next + 1, Kind: kind, Name: name, Fleet: "acme", Labels: maps.Clone(labels), DNS: map[string]string{}}
		if err := fill(t); err != nil {
			return err
		}
		w.next = max(w.next, t.ID)
		w.all[t.ID] = t
		id = t.ID
		return nil
	})
	return id, err
}

// change changes a thing of the fleet.
func (w *fake) change(ctx context.Context, what string, kind plans.ResourceKind, id int64, f func(*thing) error) error {
	return w.call(ctx, what, []string{hold(kind, id)}, func() error {
		t, err := w.get(kind, id)
		if err != nil {
			return err
		}
		return f(t)
	})
}

func (w *fake) Rename(ctx context.Context, kind plans.ResourceKind, id int64, name string) error {
	return w.change(ctx, "rename", kind, id, func(t *thing) error {
		if other := w.named(kind, name); other != nil && other != t {
			return refusedf("name %s is taken", name)
		}
		t.Name = name
		return nil
	})
}

func (w *fake) SetLabels(ctx context.Context, kind plans.ResourceKind, id int64, labels map[string]string) error {
	return w.change(ctx, "labels of "+string(kind), kind, id, func(t *thing) error {
		next := maps.Clone(labels)
		if next == nil {
			next = map[string]string{}
		}
		for k, v := range t.Labels {
			if _, set := labels[k]; strings.Contains(k, "/") && !set {
				next[k] = v
			}
		}
		t.Labels = next
		return nil
	})
}

func (w *fake) SetProtection(ctx context.Context, kind plans.ResourceKind, id int64, on bool) error {
	return w.change(ctx, fmt.Sprintf("protection of %s %v", kind, on), kind, id, func(t *thing) error {
		if on && t.AutoDelete {
			return refusedf("protection wants auto_delete=false")
		}
		t.Protected = on
		return nil
	})
}

func (w *fake) SetDNSPtr(ctx context.Context, kind plans.ResourceKind, id int64, address, name string) error {
	return w.change(ctx, "dns of "+string(kind), kind, id, func(t *thing) error {
		if kind == plans.KindServer && w.address(t, address) == nil {
			return refusedf("%s has no %s", t.Name, address)
		}
		delete(t.DNS, address)
		if name != "" {
			t.DNS[address] = name
		}
		return nil
	})
}

func (w *fake) Adopt(ctx context.Context, kind plans.ResourceKind, id int64, _ []string) error {
	return w.call(ctx, "adopt "+string(kind), nil, func() error {
		t := w.all[id]
		if t == nil || t.Fleet != "" {
			return refusedf("%s %d cannot be adopted", kind, id)
		}
		t.Fleet, t.FromServer = "acme", false
		return nil
	})
}

// Delete enforces what has to be gone first.
func (w *fake) Delete(ctx context.Context, kind plans.ResourceKind, id int64) error {
	return w.call(ctx, "delete "+string(kind), []string{hold(kind, id)}, func() error {
		if w.all[id] == nil {
			return nil
		}
		t, err := w.get(kind, id)
		if err != nil {
			return err
		}
		if t.Protected {
			return refusedf("%s %s is protected", kind, t.Name)
		}
		switch kind {
		case plans.KindServer:
			w.deleteServer(t)
		case plans.KindNetwork:
			w.deleteNetwork(t)
		case plans.KindVolume, plans.KindPrimaryIP:
			if t.On != 0 {
				return refusedf("%s %s is on a server", kind, t.Name)
			}
		case plans.KindFirewall:
			for _, s := range w.all {
				if slices.Contains(s.Firewalls, id) {
					return refusedf("firewall %s is on %s: resource_in_use", t.Name, s.Name)
				}
			}
			if len(t.Apply) > 0 {
				return refusedf("firewall %s has selectors: resource_in_use", t.Name)
			}
		case plans.KindPlacementGroup:
			for _, s := range w.all {
				if s.Group == id {
					w.violate("placement group %s is deleted with %s in it", t.Name, s.Name)
				}
			}
		case plans.KindSSHKey, plans.KindLoadBalancer, plans.KindSubnet, plans.KindRoute:
		}
		delete(w.all, id)
		return nil
	})
}

func (w *fake) deleteServer(t *thing) {
	for _, o := range w.all {
		for _, target := range o.Targets {
			if target.ID == t.ID {
				w.violate("server %s is deleted while %s sends it traffic", t.Name, o.Name)
			}
		}
		if o.On != t.ID {
			continue
		}
		o.On = 0
		if o.Kind == plans.KindPrimaryIP && o.AutoDelete {
			delete(w.all, o.ID)
		}
	}
	delete(w.off, t.ID)
}

func (w *fake) deleteNetwork(t *thing) {
	for _, o := range w.all {
		if _, in := o.Nets[t.ID]; !in {
			continue
		}
		if o.Fleet != "acme" {
			w.violate("network %s is deleted with %s in it", t.Name, o.Name)
		}
		for _, target := range o.Targets {
			if target.UsePrivateIP {
				w.violate("network %s is deleted while %s reaches targets through it", t.Name, o.Name)
			}
		}
		delete(o.Nets, t.ID)
	}
}

func (w *fake) CreateSSHKey(ctx context.Context, name string, k fleet.SSHKey) (int64, error) {
	return w.create(ctx, plans.KindSSHKey, name, k.Labels, func(t *thing) error {
		for _, o := range w.all {
			if o.Kind == plans.KindSSHKey && o.Key == k.PublicKey {
				return refusedf("the key is there as %s: uniqueness_error", o.Name)
			}
		}
		t.Key = k.PublicKey
		return nil
	})
}

func (w *fake) CreatePlacementGroup(ctx context.Context, name string, g fleet.PlacementGroup) (int64, error) {
	return w.create(ctx, plans.KindPlacementGroup, name, g.Labels, func(t *thing) error {
		t.Type = g.Type
		return nil
	})
}
