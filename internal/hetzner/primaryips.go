package hetzner

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

const (
	familyIPv4     = "ipv4"
	familyIPv6     = "ipv6"
	assigneeServer = "server"
)

func describePrimaryIP(p *hcloud.PrimaryIP) meta {
	m := meta{id: p.ID, name: p.Name, labels: p.Labels}
	if p.Type == hcloud.PrimaryIPTypeIPv6 {
		m.ipv6 = firstAddress(p.IP)
	} else {
		m.ipv4 = p.IP
	}
	return m
}

func (c *Client) primaryIPs() kind {
	api := &c.api.PrimaryIP
	ref := func(id int64) *hcloud.PrimaryIP { return &hcloud.PrimaryIP{ID: id} }
	return kind{
		noun: "primary IP", get: by(api.GetByID, describePrimaryIP), named: by(api.GetByName, describePrimaryIP),
		running: runningOf(api.Action.ListFor, ref),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			opts := hcloud.PrimaryIPUpdateOpts{Name: name}
			if labels != nil {
				opts.Labels = &labels
			}
			_, resp, err := api.Update(ctx, ref(id), opts)
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			return none(api.Delete(ctx, ref(id)))
		},
		protect: func(ctx context.Context, id int64, on bool) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(api.ChangeProtection(ctx, hcloud.PrimaryIPChangeProtectionOpts{ID: id, Delete: on}))
		},
		rdns: func(id int64) hcloud.RDNSSupporter { return ref(id) },
	}
}

// CreatePrimaryIP makes a public address that no server has yet.
func (c *Client) CreatePrimaryIP(ctx context.Context, name string, p fleet.PrimaryIP) (int64, error) {
	id, _, err := c.create(ctx, c.primaryIPs(), name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		return primaryIPMade(c.api.PrimaryIP.Create(ctx, hcloud.PrimaryIPCreateOpts{
			Name: name, Type: hcloud.PrimaryIPType(p.Type), AssigneeType: assigneeServer, Location: p.Location,
			AutoDelete: &p.AutoDelete, Labels: c.owned(p.Labels),
		}))
	})
	if err != nil {
		return 0, c.explainLocation(ctx, p.Location, err)
	}
	return id, nil
}

func primaryIPMade(made *hcloud.PrimaryIPCreateResult, resp *hcloud.Response, err error) (int64, []*hcloud.Action, *hcloud.Response, error) {
	if err != nil {
		return 0, nil, resp, err
	}
	return made.PrimaryIP.ID, []*hcloud.Action{made.Action}, resp, nil
}

// EnablePublicNet gives a server that is off an automatic address of a family,
// "ipv4" or "ipv6": one that goes with the server, as the API makes them with
// new servers. So it has no labels either.
func (c *Client) EnablePublicNet(ctx context.Context, server int64, family string) error {
	if err := checkFamily(family); err != nil {
		return err
	}
	what := fmt.Sprintf("giving server %d an %s address", server, family)
	auto := true
	opts := hcloud.PrimaryIPCreateOpts{
		Name: fmt.Sprintf("server-%d-%s-%s", server, family, strings.ToLower(rand.Text()[:6])), Type: hcloud.PrimaryIPType(family),
		AssigneeType: assigneeServer, AssigneeID: &server, AutoDelete: &auto,
	}
	r := request{what: what, on: c.servers(), id: server, settled: func(ctx context.Context) (bool, error) {
		s, err := c.getServer(ctx, what, server)
		if err != nil {
			return false, err
		}
		return family == familyIPv4 && s.PublicNet.IPv4.ID != 0 || family == familyIPv6 && s.PublicNet.IPv6.ID != 0, nil
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		_, actions, resp, err := primaryIPMade(c.api.PrimaryIP.Create(ctx, opts))
		return actions, resp, err
	})
}

// SetAutoDelete says whether an address goes with its server.
func (c *Client) SetAutoDelete(ctx context.Context, primaryIP int64, on bool) error {
	what := fmt.Sprintf("changing auto_delete of primary IP %d", primaryIP)
	return c.call(ctx, request{what: what, on: c.primaryIPs(), id: primaryIP}, func(ctx context.Context) (*hcloud.Response, error) {
		_, resp, err := c.api.PrimaryIP.Update(ctx, &hcloud.PrimaryIP{ID: primaryIP}, hcloud.PrimaryIPUpdateOpts{AutoDelete: &on})
		return resp, err
	})
}

// AssignPrimaryIP gives an address to a server that is off.
func (c *Client) AssignPrimaryIP(ctx context.Context, primaryIP, server int64) error {
	return c.changePrimaryIP(ctx, fmt.Sprintf("assigning primary IP %d to server %d", primaryIP, server), primaryIP,
		func(p *hcloud.PrimaryIP) bool {
			return p != nil && p.AssigneeID == server && p.AssigneeType == assigneeServer
		},
		func(ctx context.Context) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.PrimaryIP.Assign(ctx, hcloud.PrimaryIPAssignOpts{ID: primaryIP, AssigneeID: server, AssigneeType: assigneeServer})
		})
}

// UnassignPrimaryIP takes an address from its server, which is off. An
// automatic one becomes the fleet's before that: on its own it would be
// nobody's, and stay for ever if the run ended before it is deleted.
func (c *Client) UnassignPrimaryIP(ctx context.Context, primaryIP int64) error {
	what := fmt.Sprintf("taking primary IP %d from its server", primaryIP)
	found, err := c.primaryIP(ctx, what, primaryIP)
	if err != nil || found == nil || found.AssigneeID == 0 {
		return err
	}
	if owner := found.Labels[labelFleet]; owner != c.fleet && (owner != "" || !found.AutoDelete) {
		return c.notOurs(what)
	}
	if !c.owns(found.Labels) {
		labels := maps.Clone(found.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[labelFleet] = c.fleet
		if err := c.writeLabels(ctx, c.primaryIPs(), what, primaryIP, labels); err != nil {
			return err
		}
	}
	return c.changePrimaryIP(ctx, what, primaryIP,
		func(p *hcloud.PrimaryIP) bool { return p == nil || p.AssigneeID == 0 },
		func(ctx context.Context) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.PrimaryIP.Unassign(ctx, primaryIP)
		})
}

func (c *Client) primaryIP(ctx context.Context, what string, id int64) (*hcloud.PrimaryIP, error) {
	return lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.PrimaryIP, *hcloud.Response, error) {
		return c.api.PrimaryIP.GetByID(ctx, id)
	})
}

func (c *Client) changePrimaryIP(ctx context.Context, what string, id int64, done func(*hcloud.PrimaryIP) bool,
	send func(context.Context) (*hcloud.Action, *hcloud.Response, error),
) error {
	r := request{what: what, on: c.primaryIPs(), id: id, settled: func(ctx context.Context) (bool, error) {
		p, err := c.primaryIP(ctx, what, id)
		return err == nil && done(p), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) { return one(send(ctx)) })
}

// checkFamily refuses what is neither of the two.
func checkFamily(family string) error {
	if family == familyIPv4 || family == familyIPv6 {
		return nil
	}
	return &problem.Problem{Summary: fmt.Sprintf("%q is neither %s nor %s", family, familyIPv4, familyIPv6)}
}
