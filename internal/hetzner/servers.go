package hetzner

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func describeServer(s *hcloud.Server) meta {
	m := meta{id: s.ID, name: s.Name, labels: s.Labels}
	if s.Status == hcloud.ServerStatusRunning {
		m.stale = []string{labelOff}
	}
	if s.PublicNet.IPv4.ID != 0 {
		m.ipv4 = s.PublicNet.IPv4.IP
	}
	if s.PublicNet.IPv6.ID != 0 {
		m.ipv6 = firstAddress(s.PublicNet.IPv6.IP)
	}
	return m
}

// firstAddress is the server's own address in its IPv6 network.
func firstAddress(base net.IP) net.IP {
	ip := slices.Clone(base.To16())
	if len(ip) > 0 {
		ip[len(ip)-1] |= 1
	}
	return ip
}

func (c *Client) servers() kind {
	api := &c.api.Server
	ref := func(id int64) *hcloud.Server { return &hcloud.Server{ID: id} }
	return kind{
		noun: "server", get: by(api.GetByID, describeServer), named: by(api.GetByName, describeServer),
		running: runningOf(api.Action.ListFor, ref),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, ref(id), hcloud.ServerUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			result, resp, err := api.DeleteWithResult(ctx, ref(id))
			if err != nil {
				return nil, resp, err
			}
			return one(result.Action, resp, nil)
		},
		protect: func(ctx context.Context, id int64, on bool) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(api.ChangeProtection(ctx, ref(id), hcloud.ServerChangeProtectionOpts{Delete: &on, Rebuild: &on}))
		},
		rdns: func(id int64) hcloud.RDNSSupporter { return ref(id) },
	}
}

// getServer looks a server up; it is an error when it is gone or not ours.
func (c *Client) getServer(ctx context.Context, what string, id int64) (*hcloud.Server, error) {
	found, err := lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.Server, *hcloud.Response, error) {
		return c.api.Server.GetByID(ctx, id)
	})
	if err == nil && (found == nil || !c.owns(found.Labels)) {
		err = c.notOurs(what)
	}
	return found, err
}

// changeServer makes a change that done recognises; to it a server that is gone
// is nil.
func (c *Client) changeServer(ctx context.Context, what string, id int64, done func(*hcloud.Server) bool,
	send func(context.Context, *hcloud.Server) (*hcloud.Action, *hcloud.Response, error),
) error {
	r := request{what: what, on: c.servers(), id: id, settled: func(ctx context.Context) (bool, error) {
		s, err := lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.Server, *hcloud.Response, error) {
			return c.api.Server.GetByID(ctx, id)
		})
		return err == nil && done(s), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(send(ctx, &hcloud.Server{ID: id}))
	})
}

// Publish writes what a host runs on its server's labels. All other labels stay.
func (c *Client) Publish(ctx context.Context, serverID int64, p fleet.Published) error {
	_, err := c.editServerLabels(ctx, fmt.Sprintf("writing what server %d runs on its labels", serverID), serverID,
		func(labels map[string]string) map[string]string { return publish(labels, p) })
	return err
}

// SetDeletionLabels remembers how a server is to be deleted, for when
// flotilla.yaml has it no more.
func (c *Client) SetDeletionLabels(ctx context.Context, server int64, shutdown, snapshot bool) error {
	_, err := c.editServerLabels(ctx, fmt.Sprintf("writing how server %d is to be deleted on its labels", server), server,
		func(labels map[string]string) map[string]string { return deletion(labels, shutdown, snapshot) })
	return err
}

func deletion(labels map[string]string, shutdown, snapshot bool) map[string]string {
	put(labels, labelShutdown, yes(shutdown))
	put(labels, labelSnapshot, yes(snapshot))
	return labels
}

func yes(on bool) string {
	if on {
		return "true"
	}
	return ""
}

func (c *Client) editServerLabels(ctx context.Context, what string, id int64, change func(map[string]string) map[string]string) (*meta, error) {
	return c.editLabels(ctx, c.servers(), what, id, func(_ *meta, labels map[string]string) map[string]string { return change(labels) })
}

// AttachNetwork puts a server into a network, at the given address or, without
// one, at one that the API chooses.
func (c *Client) AttachNetwork(ctx context.Context, server, network int64, at fleet.Attachment) error {
	opts := hcloud.ServerAttachToNetworkOpts{Network: &hcloud.Network{ID: network}}
	var err error
	if opts.IP, err = address(at.IP); err != nil {
		return err
	}
	if opts.AliasIPs, err = addresses(at.AliasIPs); err != nil {
		return err
	}
	what := fmt.Sprintf("attaching server %d to network %d", server, network)
	return c.changeServer(ctx, what, server,
		func(s *hcloud.Server) bool {
			have := attachment(s, network)
			return have != nil && (opts.IP == nil || opts.IP.Equal(have.IP)) && sameAddresses(have.Aliases, opts.AliasIPs)
		},
		func(ctx context.Context, s *hcloud.Server) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Server.AttachToNetwork(ctx, s, opts)
		})
}

func attachment(s *hcloud.Server, network int64) *hcloud.ServerPrivateNet {
	if s == nil {
		return nil
	}
	i := slices.IndexFunc(s.PrivateNet, func(n hcloud.ServerPrivateNet) bool { return n.Network.ID == network })
	if i < 0 {
		return nil
	}
	return &s.PrivateNet[i]
}

func sameAddresses(a, b []net.IP) bool {
	texts := func(ips []net.IP) []string {
		var all []string
		for _, ip := range ips {
			all = append(all, ip.String())
		}
		slices.Sort(all)
		return all
	}
	return slices.Equal(texts(a), texts(b))
}

// ChangeAliasIPs replaces a server's further addresses in a network.
func (c *Client) ChangeAliasIPs(ctx context.Context, server, network int64, ips []string) error {
	aliases, err := addresses(ips)
	if err != nil {
		return err
	}
	return c.act(ctx, request{what: fmt.Sprintf("changing the alias addresses of server %d in network %d", server, network), on: c.servers(), id: server},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(c.api.Server.ChangeAliasIPs(ctx, &hcloud.Server{ID: server},
				hcloud.ServerChangeAliasIPsOpts{Network: &hcloud.Network{ID: network}, AliasIPs: aliases}))
		})
}

// DetachNetwork takes a server out of a network.
func (c *Client) DetachNetwork(ctx context.Context, server, network int64) error {
	return c.changeServer(ctx, fmt.Sprintf("detaching server %d from network %d", server, network), server,
		func(s *hcloud.Server) bool { return attachment(s, network) == nil },
		func(ctx context.Context, s *hcloud.Server) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Server.DetachFromNetwork(ctx, s, hcloud.ServerDetachFromNetworkOpts{Network: &hcloud.Network{ID: network}})
		})
}

// SetBackups switches a server's daily backups on or off. Off deletes them.
func (c *Client) SetBackups(ctx context.Context, server int64, on bool) error {
	return c.changeServer(ctx, fmt.Sprintf("switching the backups of server %d", server), server,
		func(s *hcloud.Server) bool { return s != nil && (s.BackupWindow != "") == on },
		func(ctx context.Context, s *hcloud.Server) (*hcloud.Action, *hcloud.Response, error) {
			if on {
				return c.api.Server.EnableBackup(ctx, s, "")
			}
			return c.api.Server.DisableBackup(ctx, s)
		})
}

// Snapshot makes an image of a server's disk, labelled with fleet and server.
// It takes minutes.
func (c *Client) Snapshot(ctx context.Context, server int64, description string) error {
	what := fmt.Sprintf("making a snapshot of server %d", server)
	s, err := c.getServer(ctx, what, server)
	if err != nil {
		return err
	}
	labels := map[string]string{labelFleet: c.fleet, labelServer: encodeLabel(s.Name)}
	began := c.clock.now()
	r := request{what: what, on: c.servers(), id: server, limit: diskLimit, settled: func(ctx context.Context) (bool, error) {
		all, err := c.images(ctx, what, hcloud.ImageListOpts{Type: []hcloud.ImageType{hcloud.ImageTypeSnapshot}},
			labelFleet+"="+c.fleet+","+labelServer+"="+encodeLabel(s.Name))
		made := slices.ContainsFunc(all, func(i *hcloud.Image) bool {
			return i.Description == description && i.Status == hcloud.ImageStatusAvailable && !i.Created.Before(began.Add(-clockSlack))
		})
		return made, err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		result, resp, err := c.api.Server.CreateImage(ctx, s, &hcloud.ServerCreateImageOpts{
			Type: hcloud.ImageTypeSnapshot, Description: &description, Labels: labels,
		})
		return one(result.Action, resp, err)
	})
}
