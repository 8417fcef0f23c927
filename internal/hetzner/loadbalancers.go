package hetzner

import (
	"context"
	"fmt"
	"slices"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func describeBalancer(l *hcloud.LoadBalancer) meta {
	m := meta{id: l.ID, name: l.Name, labels: l.Labels, ipv4: l.PublicNet.IPv4.IP, ipv6: l.PublicNet.IPv6.IP}
	for _, s := range l.Services {
		m.parts = append(m.parts, serviceLabel(s.ListenPort))
	}
	return m
}

func (c *Client) balancers() kind {
	api := &c.api.LoadBalancer
	ref := func(id int64) *hcloud.LoadBalancer { return &hcloud.LoadBalancer{ID: id} }
	return kind{
		noun: "load balancer", get: by(api.GetByID, describeBalancer), named: by(api.GetByName, describeBalancer),
		running: runningOf(api.Action.ListFor, ref),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, ref(id), hcloud.LoadBalancerUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			result, resp, err := api.DeleteWithResult(ctx, ref(id))
			return one(result.Action, resp, err)
		},
		protect: func(ctx context.Context, id int64, on bool) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(api.ChangeProtection(ctx, ref(id), hcloud.LoadBalancerChangeProtectionOpts{Delete: &on}))
		},
		rdns: func(id int64) hcloud.RDNSSupporter { return ref(id) },
	}
}

// CreateLoadBalancer makes a load balancer without services, targets and
// networks.
func (c *Client) CreateLoadBalancer(ctx context.Context, order fleet.LoadBalancerOrder) (int64, error) {
	want := order.LoadBalancer
	opts := hcloud.LoadBalancerCreateOpts{
		Name: order.Name, LoadBalancerType: &hcloud.LoadBalancerType{Name: want.Type}, Labels: c.owned(want.Labels),
		NetworkZone: hcloud.NetworkZone(want.NetworkZone), PublicInterface: &want.PublicInterface,
	}
	if want.Location != "" {
		opts.Location, opts.NetworkZone = &hcloud.Location{Name: want.Location}, ""
	}
	if want.Algorithm != "" {
		opts.Algorithm = &hcloud.LoadBalancerAlgorithm{Type: hcloud.LoadBalancerAlgorithmType(want.Algorithm)}
	}
	id, _, err := c.create(ctx, c.balancers(), order.Name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		made, resp, err := c.api.LoadBalancer.Create(ctx, opts)
		if err != nil {
			return 0, nil, resp, err
		}
		return made.LoadBalancer.ID, []*hcloud.Action{made.Action}, resp, nil
	})
	if err != nil {
		return 0, c.explainBalancerType(ctx, want.Type, c.explainLocation(ctx, want.Location, err))
	}
	return id, nil
}

// changeBalancer makes a change that done recognises.
func (c *Client) changeBalancer(ctx context.Context, what string, id int64, done func(*hcloud.LoadBalancer) bool,
	send func(context.Context, *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error),
) error {
	r := request{what: what, on: c.balancers(), id: id, settled: func(ctx context.Context) (bool, error) {
		l, err := lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.LoadBalancer, *hcloud.Response, error) {
			return c.api.LoadBalancer.GetByID(ctx, id)
		})
		return err == nil && done(l), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(send(ctx, &hcloud.LoadBalancer{ID: id}))
	})
}

// ChangeLoadBalancerType makes a load balancer bigger or smaller.
func (c *Client) ChangeLoadBalancerType(ctx context.Context, id int64, loadBalancerType string) error {
	err := c.changeBalancer(ctx, fmt.Sprintf("changing the type of load balancer %d to %s", id, loadBalancerType), id,
		func(l *hcloud.LoadBalancer) bool {
			return l != nil && l.LoadBalancerType != nil && l.LoadBalancerType.Name == loadBalancerType
		},
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.LoadBalancer.ChangeType(ctx, l, hcloud.LoadBalancerChangeTypeOpts{LoadBalancerType: &hcloud.LoadBalancerType{Name: loadBalancerType}})
		})
	return c.explainBalancerType(ctx, loadBalancerType, err)
}

// SetAlgorithm changes how a load balancer chooses a target.
func (c *Client) SetAlgorithm(ctx context.Context, id int64, algorithm string) error {
	return c.changeBalancer(ctx, fmt.Sprintf("changing the algorithm of load balancer %d to %s", id, algorithm), id,
		func(l *hcloud.LoadBalancer) bool { return l != nil && string(l.Algorithm.Type) == algorithm },
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.LoadBalancer.ChangeAlgorithm(ctx, l, hcloud.LoadBalancerChangeAlgorithmOpts{Type: hcloud.LoadBalancerAlgorithmType(algorithm)})
		})
}

// SetPublicInterface switches a load balancer's public addresses on or off; off
// needs a network.
func (c *Client) SetPublicInterface(ctx context.Context, id int64, on bool) error {
	send := c.api.LoadBalancer.DisablePublicInterface
	if on {
		send = c.api.LoadBalancer.EnablePublicInterface
	}
	return c.changeBalancer(ctx, fmt.Sprintf("switching the public interface of load balancer %d", id), id,
		func(l *hcloud.LoadBalancer) bool { return l != nil && l.PublicNet.Enabled == on }, send)
}

// AttachLoadBalancer puts a load balancer into a network, at an address or, for
// "", at one that the API chooses.
func (c *Client) AttachLoadBalancer(ctx context.Context, id, network int64, ip string) error {
	at, err := address(ip)
	if err != nil {
		return err
	}
	return c.changeBalancer(ctx, fmt.Sprintf("attaching load balancer %d to network %d", id, network), id,
		func(l *hcloud.LoadBalancer) bool {
			return l != nil && slices.ContainsFunc(l.PrivateNet, func(n hcloud.LoadBalancerPrivateNet) bool {
				return n.Network.ID == network && (at == nil || at.Equal(n.IP))
			})
		},
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.LoadBalancer.AttachToNetwork(ctx, l, hcloud.LoadBalancerAttachToNetworkOpts{Network: &hcloud.Network{ID: network}, IP: at})
		})
}

// DetachLoadBalancer takes a load balancer out of a network.
func (c *Client) DetachLoadBalancer(ctx context.Context, id, network int64) error {
	return c.changeBalancer(ctx, fmt.Sprintf("detaching load balancer %d from network %d", id, network), id,
		func(l *hcloud.LoadBalancer) bool {
			return l == nil || !slices.ContainsFunc(l.PrivateNet, func(n hcloud.LoadBalancerPrivateNet) bool { return n.Network.ID == network })
		},
		func(ctx context.Context, l *hcloud.LoadBalancer) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.LoadBalancer.DetachFromNetwork(ctx, l, hcloud.LoadBalancerDetachFromNetworkOpts{Network: &hcloud.Network{ID: network}})
		})
}
