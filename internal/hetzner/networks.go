package hetzner

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func describeNetwork(n *hcloud.Network) meta { return meta{id: n.ID, name: n.Name, labels: n.Labels} }

func (c *Client) networks() kind {
	api := &c.api.Network
	ref := func(id int64) *hcloud.Network { return &hcloud.Network{ID: id} }
	return kind{
		noun: "network", get: by(api.GetByID, describeNetwork), named: by(api.GetByName, describeNetwork),
		running: runningOf(api.Action.ListFor, ref),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, ref(id), hcloud.NetworkUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			return none(api.Delete(ctx, ref(id)))
		},
		protect: func(ctx context.Context, id int64, on bool) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(api.ChangeProtection(ctx, ref(id), hcloud.NetworkChangeProtectionOpts{Delete: &on}))
		},
	}
}

// CreateNetwork makes a network with its subnets, without routes.
func (c *Client) CreateNetwork(ctx context.Context, name string, n fleet.Network) (int64, error) {
	ipRange, err := cidr(n.IPRange)
	if err != nil {
		return 0, err
	}
	opts := hcloud.NetworkCreateOpts{
		Name: name, IPRange: ipRange, Labels: c.owned(n.Labels), ExposeRoutesToVSwitch: n.ExposeRoutesToVSwitch,
	}
	for _, s := range n.Subnets {
		subnet, err := hcloudSubnet(s)
		if err != nil {
			return 0, err
		}
		opts.Subnets = append(opts.Subnets, subnet)
		opts.Labels[subnetLabel(s.IPRange)] = ""
	}
	id, _, err := c.create(ctx, c.networks(), name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		made, resp, err := c.api.Network.Create(ctx, opts)
		if err != nil {
			return 0, nil, resp, err
		}
		return made.ID, nil, resp, nil
	})
	return id, err
}

func cidr(text string) (*net.IPNet, error) {
	_, ipRange, err := net.ParseCIDR(text)
	if err != nil {
		return nil, &problem.Problem{Summary: fmt.Sprintf("%q is not an address range such as 10.0.0.0/16", text), Cause: err}
	}
	return ipRange, nil
}

// address reads an IP address; "" is nil.
func address(text string) (net.IP, error) {
	if text == "" {
		return nil, nil
	}
	if ip := net.ParseIP(text); ip != nil {
		return ip, nil
	}
	return nil, &problem.Problem{Summary: fmt.Sprintf("%q is not an IP address", text)}
}

func addresses(texts []string) ([]net.IP, error) {
	ips := []net.IP{}
	for _, text := range texts {
		ip, err := address(text)
		if err != nil {
			return nil, err
		}
		ips = append(ips, ip)
	}
	return ips, nil
}

// network looks a network up; nil is "gone".
func (c *Client) network(ctx context.Context, what string, id int64) (*hcloud.Network, error) {
	return lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.Network, *hcloud.Response, error) {
		return c.api.Network.GetByID(ctx, id)
	})
}

// changeNetwork makes a change that done recognises.
func (c *Client) changeNetwork(ctx context.Context, what string, id int64, done func(*hcloud.Network) bool,
	send func(context.Context, *hcloud.Network) (*hcloud.Action, *hcloud.Response, error),
) error {
	r := request{what: what, on: c.networks(), id: id, settled: func(ctx context.Context) (bool, error) {
		n, err := c.network(ctx, what, id)
		return err == nil && done(n), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(send(ctx, &hcloud.Network{ID: id}))
	})
}

// WidenNetwork extends a network's range in place: the same first address, a
// shorter mask.
func (c *Client) WidenNetwork(ctx context.Context, id int64, ipRange string) error {
	wide, err := cidr(ipRange)
	if err != nil {
		return err
	}
	return c.changeNetwork(ctx, fmt.Sprintf("widening network %d to %s", id, ipRange), id,
		func(n *hcloud.Network) bool { return n != nil && n.IPRange.String() == wide.String() },
		func(ctx context.Context, n *hcloud.Network) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Network.ChangeIPRange(ctx, n, hcloud.NetworkChangeIPRangeOpts{IPRange: wide})
		})
}

// ExposeRoutes says whether a network's routes reach its vSwitch.
func (c *Client) ExposeRoutes(ctx context.Context, id int64, on bool) error {
	what := fmt.Sprintf("changing expose_routes_to_vswitch of network %d", id)
	return c.call(ctx, request{what: what, on: c.networks(), id: id}, func(ctx context.Context) (*hcloud.Response, error) {
		_, resp, err := c.api.Network.Update(ctx, &hcloud.Network{ID: id}, hcloud.NetworkUpdateOpts{ExposeRoutesToVSwitch: &on})
		return resp, err
	})
}

// AddSubnet adds a subnet. Subnets of one network have to be added one after
// another.
func (c *Client) AddSubnet(ctx context.Context, network int64, s fleet.Subnet) error {
	subnet, err := hcloudSubnet(s)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("adding the subnet %s to network %d", s.IPRange, network)
	if _, err := c.mark(ctx, c.networks(), what, network, subnetLabel(s.IPRange)); err != nil {
		return err
	}
	return c.changeNetwork(ctx, what, network,
		func(n *hcloud.Network) bool {
			return n != nil && slices.ContainsFunc(n.Subnets, func(have hcloud.NetworkSubnet) bool { return sameSubnet(have, subnet) })
		},
		func(ctx context.Context, n *hcloud.Network) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Network.AddSubnet(ctx, n, hcloud.NetworkAddSubnetOpts{Subnet: subnet})
		})
}

func hcloudSubnet(s fleet.Subnet) (hcloud.NetworkSubnet, error) {
	ipRange, err := cidr(s.IPRange)
	return hcloud.NetworkSubnet{
		Type: hcloud.NetworkSubnetType(s.Type), IPRange: ipRange, NetworkZone: hcloud.NetworkZone(s.NetworkZone), VSwitchID: s.VSwitchID,
	}, err
}

func sameSubnet(a, b hcloud.NetworkSubnet) bool {
	return a.IPRange.String() == b.IPRange.String() && a.Type == b.Type && a.NetworkZone == b.NetworkZone && a.VSwitchID == b.VSwitchID
}

// DeleteSubnet deletes a subnet. The API refuses while a server is in it.
func (c *Client) DeleteSubnet(ctx context.Context, network int64, s fleet.Subnet) error {
	ipRange, err := cidr(s.IPRange)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("deleting the subnet %s of network %d", s.IPRange, network)
	err = c.changeNetwork(ctx, what, network,
		func(n *hcloud.Network) bool {
			return n == nil || !slices.ContainsFunc(n.Subnets, func(s hcloud.NetworkSubnet) bool { return s.IPRange.String() == ipRange.String() })
		},
		func(ctx context.Context, n *hcloud.Network) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Network.DeleteSubnet(ctx, n, hcloud.NetworkDeleteSubnetOpts{Subnet: hcloud.NetworkSubnet{IPRange: ipRange}})
		})
	if err != nil {
		return err
	}
	return c.unmark(ctx, c.networks(), what, network, subnetLabel(s.IPRange))
}

// AddRoute adds a route. Guests learn of it at their next boot.
func (c *Client) AddRoute(ctx context.Context, network int64, r fleet.Route) error {
	route, err := hcloudRoute(r)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("adding the route to %s by %s to network %d", r.Destination, r.Gateway, network)
	if _, err := c.mark(ctx, c.networks(), what, network, routeLabel(r.Destination)); err != nil {
		return err
	}
	return c.changeNetwork(ctx, what, network,
		func(n *hcloud.Network) bool { return n != nil && hasRoute(n, route) },
		func(ctx context.Context, n *hcloud.Network) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Network.AddRoute(ctx, n, hcloud.NetworkAddRouteOpts{Route: route})
		})
}

func hcloudRoute(r fleet.Route) (hcloud.NetworkRoute, error) {
	destination, err := cidr(r.Destination)
	if err != nil {
		return hcloud.NetworkRoute{}, err
	}
	gateway, err := address(r.Gateway)
	return hcloud.NetworkRoute{Destination: destination, Gateway: gateway}, err
}

func hasRoute(n *hcloud.Network, r hcloud.NetworkRoute) bool {
	return slices.ContainsFunc(n.Routes, func(have hcloud.NetworkRoute) bool {
		return have.Destination.String() == r.Destination.String() && have.Gateway.Equal(r.Gateway)
	})
}

// DeleteRoute deletes a route.
func (c *Client) DeleteRoute(ctx context.Context, network int64, r fleet.Route) error {
	route, err := hcloudRoute(r)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("deleting the route to %s of network %d", r.Destination, network)
	err = c.changeNetwork(ctx, what, network,
		func(n *hcloud.Network) bool { return n == nil || !hasRoute(n, route) },
		func(ctx context.Context, n *hcloud.Network) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Network.DeleteRoute(ctx, n, hcloud.NetworkDeleteRouteOpts{Route: route})
		})
	if err != nil {
		return err
	}
	return c.unmark(ctx, c.networks(), what, network, routeLabel(r.Destination))
}
