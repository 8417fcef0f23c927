package hetzner

import (
	"context"
	"fmt"
	"net"
	"sync"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// meta is what the kinds of resources have in common.
type meta struct {
	id         int64
	name       string
	labels     map[string]string
	ipv4, ipv6 net.IP   // that reverse DNS is set for; nil: none
	parts      []string // labels of the parts that it has and that only their maker may take
	stale      []string // labels that no longer hold, to be taken off with the next change
}

// kind is how one kind of resource is found and changed. What a kind does not
// have is nil.
type kind struct {
	noun    string // for people: "SSH key"
	get     func(ctx context.Context, id int64) (*meta, *hcloud.Response, error)
	named   func(ctx context.Context, name string) (*meta, *hcloud.Response, error)
	update  func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) // "" and nil: as it is
	remove  func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error)
	protect func(ctx context.Context, id int64, on bool) ([]*hcloud.Action, *hcloud.Response, error)
	running func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) // its actions that have not ended
	rdns    func(id int64) hcloud.RDNSSupporter
}

// by makes get or named of the library's calls.
func by[Key, T any](find func(context.Context, Key) (*T, *hcloud.Response, error), describe func(*T) meta) func(context.Context, Key) (*meta, *hcloud.Response, error) {
	return func(ctx context.Context, key Key) (*meta, *hcloud.Response, error) {
		found, resp, err := find(ctx, key)
		if err != nil || found == nil {
			return nil, resp, err
		}
		m := describe(found)
		return &m, resp, nil
	}
}

// runningOf makes running of the library's calls.
func runningOf[R any](list func(context.Context, R, hcloud.ActionListOpts) ([]*hcloud.Action, *hcloud.Response, error), resource func(int64) R) func(context.Context, int64) ([]*hcloud.Action, *hcloud.Response, error) {
	return func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
		return list(ctx, resource(id), hcloud.ActionListOpts{
			ListOpts: hcloud.ListOpts{Page: 1, PerPage: pageSize}, Status: []hcloud.ActionStatus{hcloud.ActionStatusRunning},
		})
	}
}

// one is what the library answers where a call starts a single action.
func one(a *hcloud.Action, resp *hcloud.Response, err error) ([]*hcloud.Action, *hcloud.Response, error) {
	if err != nil || a == nil {
		return nil, resp, err
	}
	return []*hcloud.Action{a}, resp, nil
}

// none is what the library answers where a call starts no action.
func none(resp *hcloud.Response, err error) ([]*hcloud.Action, *hcloud.Response, error) {
	return nil, resp, err
}

func (c *Client) kind(k plans.ResourceKind) (kind, error) {
	switch k {
	case plans.KindSSHKey:
		return c.keys(), nil
	case plans.KindNetwork:
		return c.networks(), nil
	case plans.KindServer:
		return c.servers(), nil
	case plans.KindFirewall:
		return c.firewalls(), nil
	case plans.KindPlacementGroup:
		return c.groups(), nil
	case plans.KindVolume:
		return c.volumes(), nil
	case plans.KindPrimaryIP:
		return c.primaryIPs(), nil
	case plans.KindLoadBalancer:
		return c.balancers(), nil
	case plans.KindSubnet, plans.KindRoute: // parts, which have no ID
	}
	return kind{}, &problem.Problem{Summary: fmt.Sprintf("%q is no kind of resource that has an ID at Hetzner Cloud", k)}
}

// owned looks a resource up; it is an error when it is gone or not the fleet's.
func (c *Client) ownedMeta(ctx context.Context, k kind, what string, id int64) (*meta, error) {
	found, err := c.look(ctx, k, what, id)
	if err == nil && (found == nil || !c.owns(found.labels)) {
		err = c.notOurs(what)
	}
	return found, err
}

// look gives nil for a resource that is gone.
func (c *Client) look(ctx context.Context, k kind, what string, id int64) (*meta, error) {
	return lookUp(ctx, c, what, func(ctx context.Context) (*meta, *hcloud.Response, error) { return k.get(ctx, id) })
}

// settle waits for the actions that run on a resource. It is for when an answer
// was lost, and with it which actions there are.
func (c *Client) settle(ctx context.Context, k kind, what string, id int64) error {
	if k.running == nil {
		return nil
	}
	var actions []*hcloud.Action
	err := c.call(ctx, request{what: what, gone: true}, func(ctx context.Context) (*hcloud.Response, error) {
		found, resp, err := k.running(ctx, id)
		actions = found
		return resp, err
	})
	if err != nil {
		return err
	}
	for _, a := range actions {
		// One that failed is of no interest here: what it should have made is
		// looked at afterwards.
		if err := c.actions.wait(ctx, a); err != nil && ctx.Err() != nil {
			return c.problem(what, err)
		}
	}
	return nil
}

// create sends an order and waits for what it starts. A resource of that name
// which is the fleet's already, left by an answer that was lost, is taken as it
// is; lost says that it was.
func (c *Client) create(ctx context.Context, k kind, name string,
	send func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error),
) (id int64, lost bool, err error) {
	what := fmt.Sprintf("creating the %s %q", k.noun, name)
	var actions []*hcloud.Action
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		found, err := lookUp(ctx, c, what, func(ctx context.Context) (*meta, *hcloud.Response, error) { return k.named(ctx, name) })
		if err != nil || found == nil {
			return false, err
		}
		if !c.owns(found.labels) {
			return false, c.taken(k, name, found.labels)
		}
		id, lost, actions = found.id, true, nil
		return true, c.settle(ctx, k, what, id)
	}}
	err = c.call(ctx, r, func(ctx context.Context) (resp *hcloud.Response, err error) {
		id, actions, resp, err = send(ctx)
		return resp, err
	})
	if err != nil {
		return 0, false, err
	}
	if err := c.actions.wait(ctx, actions...); err != nil {
		return 0, false, c.problem(what, err)
	}
	return id, lost, nil
}

// taken is the error about a name that something else in the project has.
func (c *Client) taken(k kind, name string, labels map[string]string) *problem.Problem {
	p := &problem.Problem{
		Summary: fmt.Sprintf("the name %q is taken: the project has a %s of that name that is not this fleet's", name, k.noun),
		Detail:  fmt.Sprintf("It has no label %s=%s, so Flotilla leaves it alone.", labelFleet, c.fleet),
		Hints:   []string{"Give yours another name in flotilla.yaml, or rename the other one."},
		Code:    problem.Refused,
	}
	if owner := labels[labelFleet]; owner != "" {
		p.Detail = fmt.Sprintf("It belongs to the fleet %q (label %s), so Flotilla leaves it alone.", owner, labelFleet)
		p.Hints = []string{"Names are unique in a project: give one of the two another name in its flotilla.yaml, or use a project of its own."}
	}
	return p
}

// notOurs is the error about a resource that vanished, or lost our label,
// between looking and changing.
func (c *Client) notOurs(what string) error {
	return &problem.Problem{
		Summary: what + " was refused: it no longer exists or no longer belongs to the fleet",
		Detail:  fmt.Sprintf("Somebody deleted it or took off its label %s=%s since it was looked at.", labelFleet, c.fleet),
		Hints:   []string{"Run the same command again: it looks afresh."},
		Code:    problem.Refused,
	}
}

// stranger is a resource that is neither the fleet's nor referred to.
type stranger struct {
	noun string
	id   int64
}

// strangers are those that the last look at the project found. A change of one
// is refused without a request: its caller is wrong.
type strangers struct {
	mu  sync.Mutex
	all map[stranger]bool
}

func (s *strangers) are(all []stranger) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = map[stranger]bool{}
	for _, one := range all {
		s.all[one] = true
	}
}

func (s *strangers) has(noun string, id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[stranger{noun, id}]
}

func (s *strangers) no(noun string, id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, stranger{noun, id})
}

// locks are one mutex per resource: labels are read, changed and written back,
// and two who do that at once would lose one change.
type locks struct {
	mu sync.Mutex
	of map[string]*sync.Mutex
}

func (l *locks) lock(key string) (unlock func()) {
	l.mu.Lock()
	if l.of == nil {
		l.of = map[string]*sync.Mutex{}
	}
	m := l.of[key]
	if m == nil {
		m = &sync.Mutex{}
		l.of[key] = m
	}
	l.mu.Unlock()
	m.Lock()
	return m.Unlock
}
