package hetzner

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// CreateServer makes a server in the first location that has room and waits
// until it was started. A server of that name that is the fleet's already, left
// by an answer that was lost, is taken as it is.
func (c *Client) CreateServer(ctx context.Context, order fleet.ServerOrder, userData secret.String) (fleet.AccountServer, error) {
	what := fmt.Sprintf("creating the server %q", order.Name)
	serverType, err := c.serverType(ctx, order.Server.ServerType)
	if err != nil {
		return fleet.AccountServer{}, err
	}
	image, err := c.findImage(ctx, order.Server.Image, serverType.Architecture)
	if err != nil {
		return fleet.AccountServer{}, err
	}
	opts := hcloud.ServerCreateOpts{
		Name: order.Name, ServerType: &hcloud.ServerType{Name: serverType.Name}, Image: &hcloud.Image{ID: image.ID},
		UserData: userData.Reveal(), Labels: c.orderLabels(order),
	}
	for _, id := range order.SSHKeys {
		opts.SSHKeys = append(opts.SSHKeys, &hcloud.SSHKey{ID: id})
	}
	for _, id := range order.Networks {
		opts.Networks = append(opts.Networks, &hcloud.Network{ID: id})
	}
	locations := order.Server.Locations
	if len(locations) == 0 {
		locations = []string{""} // the API chooses
	}
	var made *hcloud.Server
	for i, location := range locations {
		opts.Location = nil
		if location != "" {
			opts.Location = &hcloud.Location{Name: location}
		}
		made, err = c.createServer(ctx, what, opts)
		full := hasCode(err, hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError)
		if !full || i == len(locations)-1 {
			break
		}
	}
	if err != nil {
		return fleet.AccountServer{}, c.whereTried(err, locations)
	}
	return c.server(made, nil, order.Server.Image), nil
}

func (c *Client) orderLabels(order fleet.ServerOrder) map[string]string {
	labels := c.owned(order.Server.Labels)
	labels[labelImage] = encodeLabel(order.Server.Image)
	labels[labelKeys] = order.KeysDigest
	return publish(labels, fleet.Published{HostKey: order.HostKey})
}

// createServer sends one order and waits for what it starts.
func (c *Client) createServer(ctx context.Context, what string, opts hcloud.ServerCreateOpts) (*hcloud.Server, error) {
	var id int64
	var actions []*hcloud.Action
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		found, err := c.serverNamed(ctx, opts.Name)
		if err != nil || found == nil {
			return false, err
		}
		if !c.owns(found.Labels) {
			return false, c.taken("servers", opts.Name, found.Labels)
		}
		id = found.ID
		return true, nil
	}}
	err := c.call(ctx, r, func(ctx context.Context) (*hcloud.Response, error) {
		result, resp, err := c.api.Server.Create(ctx, opts)
		if err == nil {
			id, actions = result.Server.ID, append(result.NextActions, result.Action)
		}
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	if err := c.actions.wait(ctx, actions...); err != nil {
		return nil, c.problem(what, err)
	}
	return c.started(ctx, what, id)
}

// started waits until a server is no longer being made. One that was found by
// name has actions that nobody told us of.
func (c *Client) started(ctx context.Context, what string, id int64) (*hcloud.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, actionLimit)
	defer cancel()
	for {
		s, err := c.getServer(ctx, what, id)
		if err != nil {
			return nil, err
		}
		if s.Status != hcloud.ServerStatusInitializing && s.Status != hcloud.ServerStatusStarting && !s.Locked {
			return s, nil
		}
		if !sleep(ctx, c.actions.interval) {
			return nil, c.problem(what, fmt.Errorf("the server is still %s: %w", s.Status, ctx.Err()))
		}
	}
}

// whereTried says in which locations there was no room.
func (c *Client) whereTried(err error, locations []string) error {
	p, ok := err.(*problem.Problem) //nolint:errorlint // only the Problem that this package has just made
	if ok && len(locations) > 1 && hasCode(err, hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError) {
		p.Detail = strings.TrimPrefix(p.Detail+"\nTried in this order: "+strings.Join(locations, ", ")+".", "\n")
	}
	return err
}

func (c *Client) serverNamed(ctx context.Context, name string) (*hcloud.Server, error) {
	found, err := listed(ctx, c, "looking for the server "+name,
		func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Server, *hcloud.Response, error) {
			return c.api.Server.List(ctx, hcloud.ServerListOpts{ListOpts: o, Name: name})
		}, "")
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// getServer looks a server up; it is an error when it is gone or not ours.
func (c *Client) getServer(ctx context.Context, what string, id int64) (*hcloud.Server, error) {
	found, err := c.lookUpServer(ctx, what, id)
	if err == nil && found == nil {
		err = c.notOurs(what)
	}
	return found, err
}

// lookUpServer gives nil for a server that is gone; one that is not ours is an
// error.
func (c *Client) lookUpServer(ctx context.Context, what string, id int64) (*hcloud.Server, error) {
	var found *hcloud.Server
	err := c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		s, resp, err := c.api.Server.GetByID(ctx, id)
		found = s
		return resp, err
	})
	if err != nil {
		return nil, err
	}
	if found != nil && !c.owns(found.Labels) {
		return nil, c.notOurs(what)
	}
	return found, nil
}

// relabelServer reads a server's labels, changes them and writes them back if
// that makes a difference.
func (c *Client) relabelServer(ctx context.Context, what string, id int64, change func(map[string]string) map[string]string) error {
	found, err := c.getServer(ctx, what, id)
	if err != nil {
		return err
	}
	labels := change(found.Labels)
	if maps.Equal(labels, found.Labels) {
		return nil
	}
	return c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		_, resp, err := c.api.Server.Update(ctx, found, hcloud.ServerUpdateOpts{Labels: labels})
		return resp, err
	})
}

// UpdateServerLabels sets the user's labels of a server.
func (c *Client) UpdateServerLabels(ctx context.Context, id int64, labels map[string]string) error {
	return c.relabelServer(ctx, fmt.Sprintf("changing the labels of server %d", id), id,
		func(have map[string]string) map[string]string { return relabel(have, labels) })
}

// Publish writes what a host runs on its server's labels. All other labels stay.
func (c *Client) Publish(ctx context.Context, serverID int64, p fleet.Published) error {
	return c.relabelServer(ctx, fmt.Sprintf("writing what server %d runs on its labels", serverID), serverID,
		func(have map[string]string) map[string]string { return publish(have, p) })
}

// SetProtection switches a server's protection against deletion (and rebuild,
// which the API wants to be the same).
func (c *Client) SetProtection(ctx context.Context, kind plans.ResourceKind, id int64, on bool) error {
	if kind != plans.KindServer {
		return notYet("SetProtection")
	}
	return c.act(ctx, request{what: fmt.Sprintf("changing the delete protection of server %d", id)},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			a, resp, err := c.api.Server.ChangeProtection(ctx, &hcloud.Server{ID: id}, hcloud.ServerChangeProtectionOpts{Delete: &on, Rebuild: &on})
			return []*hcloud.Action{a}, resp, err
		})
}

// AttachNetwork puts a server into a network, at the given address or, for "",
// at one that the API chooses.
func (c *Client) AttachNetwork(ctx context.Context, serverID, networkID int64, at fleet.Attachment) error {
	ip := at.IP
	opts := hcloud.ServerAttachToNetworkOpts{Network: &hcloud.Network{ID: networkID}}
	if ip != "" {
		if opts.IP = net.ParseIP(ip); opts.IP == nil {
			return &problem.Problem{Summary: fmt.Sprintf("%q is not an IP address", ip)}
		}
	}
	what := fmt.Sprintf("attaching server %d to network %d", serverID, networkID)
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		at, err := c.attachedAt(ctx, what, serverID, networkID)
		return at != nil && (opts.IP == nil || opts.IP.Equal(at)), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		a, resp, err := c.api.Server.AttachToNetwork(ctx, &hcloud.Server{ID: serverID}, opts)
		return []*hcloud.Action{a}, resp, err
	})
}

// attachedAt is the server's address in a network, nil if it is not in it.
func (c *Client) attachedAt(ctx context.Context, what string, serverID, networkID int64) (net.IP, error) {
	s, err := c.getServer(ctx, what, serverID)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.PrivateNet, func(n hcloud.ServerPrivateNet) bool { return n.Network.ID == networkID })
	if i < 0 {
		return nil, nil
	}
	return s.PrivateNet[i].IP, nil
}

// DetachNetwork takes a server out of a network; one that is not in it is fine.
func (c *Client) DetachNetwork(ctx context.Context, serverID, networkID int64) error {
	what := fmt.Sprintf("detaching server %d from network %d", serverID, networkID)
	at, err := c.attachedAt(ctx, what, serverID, networkID)
	if err != nil || at == nil {
		return err
	}
	r := request{what: what, settled: func(ctx context.Context) (bool, error) {
		at, err := c.attachedAt(ctx, what, serverID, networkID)
		return at == nil && err == nil, err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		a, resp, err := c.api.Server.DetachFromNetwork(ctx, &hcloud.Server{ID: serverID},
			hcloud.ServerDetachFromNetworkOpts{Network: &hcloud.Network{ID: networkID}})
		return []*hcloud.Action{a}, resp, err
	})
}

// Reset cuts a server's power and starts it again: it boots its boot default.
func (c *Client) Reset(ctx context.Context, serverID int64) error {
	return c.act(ctx, request{what: fmt.Sprintf("resetting server %d", serverID)},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			a, resp, err := c.api.Server.Reset(ctx, &hcloud.Server{ID: serverID})
			return []*hcloud.Action{a}, resp, err
		})
}

// DeleteServer deletes a server with its disk and waits until it is gone, so
// that its name and addresses are free. One that is gone counts as deleted.
func (c *Client) DeleteServer(ctx context.Context, id int64) error {
	what := fmt.Sprintf("deleting server %d", id)
	if found, err := c.lookUpServer(ctx, what, id); err != nil || found == nil {
		return err
	}
	return c.act(ctx, request{what: what},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			result, resp, err := c.api.Server.DeleteWithResult(ctx, &hcloud.Server{ID: id})
			if err != nil {
				return nil, resp, unlessGone(err)
			}
			return []*hcloud.Action{result.Action}, resp, nil
		})
}
