package hetzner

import (
	"context"
	"fmt"
	"net"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// CreateNetwork makes a network with its subnets. One of that name that is the
// fleet's already is taken as it is, whatever its subnets.
func (c *Client) CreateNetwork(ctx context.Context, name string, n fleet.Network) (int64, error) {
	ipRange, err := cidr(n.IPRange)
	if err != nil {
		return 0, err
	}
	opts := hcloud.NetworkCreateOpts{Name: name, IPRange: ipRange, Labels: c.owned(n.Labels)}
	for _, s := range n.Subnets {
		subnet, err := hcloudSubnet(s)
		if err != nil {
			return 0, err
		}
		opts.Subnets = append(opts.Subnets, subnet)
	}
	var made *hcloud.Network
	r := request{what: fmt.Sprintf("creating the network %q", name)}
	r.settled = func(ctx context.Context) (bool, error) {
		found, err := listed(ctx, c, "looking for the network "+name,
			func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Network, *hcloud.Response, error) {
				return c.api.Network.List(ctx, hcloud.NetworkListOpts{ListOpts: o, Name: name})
			}, "")
		if err != nil || len(found) == 0 {
			return false, err
		}
		if !c.owns(found[0].Labels) {
			return false, c.taken("networks", name, found[0].Labels)
		}
		made = found[0]
		return true, nil
	}
	err = c.call(ctx, r, func(ctx context.Context) (*hcloud.Response, error) {
		created, resp, err := c.api.Network.Create(ctx, opts)
		made = created
		return resp, err
	})
	if err != nil {
		return 0, err
	}
	return made.ID, nil
}

func cidr(text string) (*net.IPNet, error) {
	_, ipRange, err := net.ParseCIDR(text)
	if err != nil {
		return nil, &problem.Problem{Summary: fmt.Sprintf("%q is not an address range such as 10.0.0.0/16", text), Cause: err}
	}
	return ipRange, nil
}

func hcloudSubnet(s fleet.Subnet) (hcloud.NetworkSubnet, error) {
	ipRange, err := cidr(s.IPRange)
	return hcloud.NetworkSubnet{
		Type: hcloud.NetworkSubnetType(s.Type), IPRange: ipRange, NetworkZone: hcloud.NetworkZone(s.NetworkZone),
	}, err
}

// network looks a network up; nil is "gone".
func (c *Client) network(ctx context.Context, what string, id int64) (*hcloud.Network, error) {
	var found *hcloud.Network
	err := c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		n, resp, err := c.api.Network.GetByID(ctx, id)
		found = n
		return resp, err
	})
	return found, err
}

// WidenNetwork extends a network's range in place: the same first address, a
// shorter mask.
func (c *Client) WidenNetwork(ctx context.Context, id int64, ipRange string) error {
	wide, err := cidr(ipRange)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("widening network %d to %s", id, ipRange)
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		n, err := c.network(ctx, what, id)
		return n != nil && n.IPRange.String() == wide.String(), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		a, resp, err := c.api.Network.ChangeIPRange(ctx, &hcloud.Network{ID: id}, hcloud.NetworkChangeIPRangeOpts{IPRange: wide})
		return []*hcloud.Action{a}, resp, err
	})
}

// UpdateNetworkLabels sets the user's labels of a network.
func (c *Client) UpdateNetworkLabels(ctx context.Context, id int64, labels map[string]string) error {
	what := fmt.Sprintf("changing the labels of network %d", id)
	found, err := c.network(ctx, what, id)
	if err != nil {
		return err
	}
	if found == nil || !c.owns(found.Labels) {
		return c.notOurs(what)
	}
	return c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		_, resp, err := c.api.Network.Update(ctx, found, hcloud.NetworkUpdateOpts{Labels: relabel(found.Labels, labels)})
		return resp, err
	})
}

// AddSubnet adds a subnet; one that is there already is taken as it is. Subnets
// of one network have to be added one after another.
func (c *Client) AddSubnet(ctx context.Context, networkID int64, s fleet.Subnet) error {
	subnet, err := hcloudSubnet(s)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("adding the subnet %s to network %d", s.IPRange, networkID)
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		return c.hasSubnet(ctx, what, networkID, subnet.IPRange.String())
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		a, resp, err := c.api.Network.AddSubnet(ctx, &hcloud.Network{ID: networkID}, hcloud.NetworkAddSubnetOpts{Subnet: subnet})
		return []*hcloud.Action{a}, resp, err
	})
}

func (c *Client) hasSubnet(ctx context.Context, what string, networkID int64, ipRange string) (bool, error) {
	n, err := c.network(ctx, what, networkID)
	if err != nil || n == nil {
		return false, err
	}
	for _, s := range n.Subnets {
		if s.IPRange.String() == ipRange {
			return true, nil
		}
	}
	return false, nil
}

// DeleteSubnet deletes a subnet; one that is gone counts as deleted. The API
// refuses while a server is in it.
func (c *Client) DeleteSubnet(ctx context.Context, networkID int64, s fleet.Subnet) error {
	ipRange := s.IPRange
	subnet, err := cidr(ipRange)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("deleting the subnet %s of network %d", ipRange, networkID)
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		has, err := c.hasSubnet(ctx, what, networkID, subnet.String())
		return !has && err == nil, err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		a, resp, err := c.api.Network.DeleteSubnet(ctx, &hcloud.Network{ID: networkID}, hcloud.NetworkDeleteSubnetOpts{
			Subnet: hcloud.NetworkSubnet{IPRange: subnet},
		})
		return []*hcloud.Action{a}, resp, unlessGone(err)
	})
}

// DeleteNetwork deletes a network with its subnets; the API detaches what is
// in it. One that is gone counts as deleted.
func (c *Client) DeleteNetwork(ctx context.Context, id int64) error {
	what := fmt.Sprintf("deleting network %d", id)
	found, err := c.network(ctx, what, id)
	if err != nil || found == nil {
		return err
	}
	if !c.owns(found.Labels) {
		return c.notOurs(what)
	}
	return c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		resp, err := c.api.Network.Delete(ctx, &hcloud.Network{ID: id})
		return resp, unlessGone(err)
	})
}
