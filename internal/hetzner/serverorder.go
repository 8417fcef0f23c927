package hetzner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// stoppedFor is how long a server that was made stopped counts as switched off
// by Flotilla. PowerOn leaves that label to the next change of labels, which
// saves a request per new server; a run that died is resumed well before.
const stoppedFor = 72 * time.Hour

// offer is one thing that may be ordered.
type offer struct {
	serverType *hcloud.ServerType
	location   string // "": the API chooses
}

// CreateServer makes a server in the first location that has room for its type,
// or for the next of its fallback types, and waits until it was started. What
// it answers comes from the order's answer: addresses in networks are not
// known yet.
func (c *Client) CreateServer(ctx context.Context, order fleet.ServerOrder, userData secret.String) (fleet.AccountServer, error) {
	offers, err := c.offers(ctx, order.Server)
	if err != nil {
		return fleet.AccountServer{}, err
	}
	var tried []string
	for _, o := range offers {
		opts, err := c.serverOpts(ctx, order, o, userData)
		if err != nil {
			return fleet.AccountServer{}, err
		}
		made, err := c.createServer(ctx, opts, order.Stopped)
		if err == nil {
			return newView(c, fleet.Fleet{Servers: map[string]fleet.Server{order.Name: order.Server}}).server(made), nil
		}
		tried = append(tried, strings.TrimSuffix(o.serverType.Name+" in "+o.location, " in "))
		if !hasCode(err, hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError) || len(tried) == len(offers) {
			return fleet.AccountServer{}, withTried(err, tried)
		}
	}
	return fleet.AccountServer{}, &problem.Problem{Summary: fmt.Sprintf("the server %q has no server_type", order.Name)}
}

// offers lists what may be ordered, best first. A location that does not exist
// is an error; one that does not sell a type is passed over if another does.
func (c *Client) offers(ctx context.Context, s fleet.Server) ([]offer, error) {
	locations := s.Locations
	if len(locations) == 0 {
		locations = []string{""}
	}
	if err := c.checkLocations(ctx, s.Locations); err != nil {
		return nil, err
	}
	var offers []offer
	var sold []string
	for _, name := range append([]string{s.ServerType}, s.FallbackTypes...) {
		t, err := c.serverType(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, p := range t.Pricings {
			sold = append(sold, t.Name+" in "+p.Location.Name)
		}
		for _, location := range locations {
			if location == "" || sells(t, location) {
				offers = append(offers, offer{t, location})
			}
		}
	}
	if len(offers) == 0 {
		return nil, &problem.Problem{
			Summary: fmt.Sprintf("Hetzner Cloud does not sell %s in %s", s.ServerType, strings.Join(s.Locations, ", ")),
			Hints:   []string{"It sells: " + strings.Join(sold, ", ") + "."},
		}
	}
	return offers, nil
}

// sells tells whether a type is sold in a location at all, sold out or not.
func sells(t *hcloud.ServerType, location string) bool {
	return len(t.Pricings) == 0 || slices.ContainsFunc(t.Pricings, func(p hcloud.ServerTypeLocationPricing) bool {
		return p.Location != nil && p.Location.Name == location
	})
}

func (c *Client) serverOpts(ctx context.Context, order fleet.ServerOrder, o offer, userData secret.String) (hcloud.ServerCreateOpts, error) {
	image, err := c.findImage(ctx, order.Server.Image, o.serverType.Architecture)
	if err != nil {
		return hcloud.ServerCreateOpts{}, err
	}
	start := !order.Stopped
	opts := hcloud.ServerCreateOpts{
		Name: order.Name, ServerType: &hcloud.ServerType{Name: o.serverType.Name}, Image: &hcloud.Image{ID: image.ID},
		UserData: userData.Reveal(), Labels: c.orderLabels(order), StartAfterCreate: &start,
		PublicNet: &hcloud.ServerCreatePublicNet{EnableIPv4: order.Server.PublicNet.EnableIPv4, EnableIPv6: order.Server.PublicNet.EnableIPv6},
	}
	if o.location != "" {
		opts.Location = &hcloud.Location{Name: o.location}
	}
	for _, id := range order.SSHKeys {
		opts.SSHKeys = append(opts.SSHKeys, &hcloud.SSHKey{ID: id})
	}
	for _, id := range order.Networks {
		opts.Networks = append(opts.Networks, &hcloud.Network{ID: id})
	}
	for _, id := range order.Firewalls {
		opts.Firewalls = append(opts.Firewalls, &hcloud.ServerCreateFirewall{Firewall: hcloud.Firewall{ID: id}})
	}
	for _, id := range order.Volumes {
		opts.Volumes = append(opts.Volumes, &hcloud.Volume{ID: id})
	}
	if order.PlacementGroup != 0 {
		opts.PlacementGroup = &hcloud.PlacementGroup{ID: order.PlacementGroup}
	}
	if order.IPv4 != 0 {
		opts.PublicNet.IPv4 = &hcloud.PrimaryIP{ID: order.IPv4}
	}
	if order.IPv6 != 0 {
		opts.PublicNet.IPv6 = &hcloud.PrimaryIP{ID: order.IPv6}
	}
	return opts, nil
}

func (c *Client) orderLabels(order fleet.ServerOrder) map[string]string {
	labels := deletion(c.owned(order.Server.Labels), order.Server.ShutdownBeforeDeletion, order.Server.SnapshotBeforeDestroy)
	if order.Stopped {
		labels[labelOff] = strconv.FormatInt(c.clock.now().Add(stoppedFor).Unix(), 10)
	}
	return imaged(labels, order)
}

// imaged writes what counts when a disk is made: image, keys, user data, host
// key. What was published of an earlier disk goes.
func imaged(labels map[string]string, order fleet.ServerOrder) map[string]string {
	labels[labelImage] = encodeLabel(order.Server.Image)
	put(labels, labelKeys, order.KeysDigest)
	put(labels, labelUserData, order.UserDataDigest)
	return publish(labels, fleet.Published{HostKey: order.HostKey})
}

// createServer sends one order and waits for what it starts.
func (c *Client) createServer(ctx context.Context, opts hcloud.ServerCreateOpts, stopped bool) (*hcloud.Server, error) {
	var made *hcloud.Server
	id, lost, err := c.create(ctx, c.servers(), opts.Name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		result, resp, err := c.api.Server.Create(ctx, opts)
		if err != nil {
			return 0, nil, resp, err
		}
		made = result.Server
		return made.ID, append(result.NextActions, result.Action), resp, nil
	})
	what := fmt.Sprintf("creating the server %q", opts.Name)
	if made != nil && !stopped && hasCode(err, hcloud.ErrorCodeLocked, hcloud.ErrorCodeConflict) {
		return c.startAfterAll(ctx, what, made.ID, err)
	}
	if err != nil {
		return nil, err
	}
	if stopped {
		c.ordered.Store(id, true)
	}
	switch {
	case lost:
		return c.started(ctx, what, id)
	case stopped:
		made.Status = hcloud.ServerStatusOff
	default:
		made.Status = hcloud.ServerStatusRunning
	}
	return made, nil
}

// startAfterAll starts a new server of which one action met another: the server
// may have been made and not started.
func (c *Client) startAfterAll(ctx context.Context, what string, id int64, failure error) (*hcloud.Server, error) {
	s, err := c.started(ctx, what, id)
	if err != nil {
		return nil, failure //nolint:nilerr // there is no such server; why is what counts
	}
	if s.Status == hcloud.ServerStatusOff {
		if err := c.PowerOn(ctx, id); err != nil {
			return nil, err
		}
		s.Status = hcloud.ServerStatusRunning
	}
	return s, nil
}

// started waits until a server is no longer being made. One that was found by
// name has actions that nobody told us of.
func (c *Client) started(ctx context.Context, what string, id int64) (*hcloud.Server, error) {
	return c.awaitServer(ctx, what, id, actionLimit, func(s *hcloud.Server) bool {
		return s.Status != hcloud.ServerStatusInitializing && s.Status != hcloud.ServerStatusStarting && !s.Locked
	})
}

// awaitServer looks at a server until it is as it should be.
func (c *Client) awaitServer(ctx context.Context, what string, id int64, limit time.Duration, done func(*hcloud.Server) bool) (*hcloud.Server, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		s, err := c.getServer(ctx, what, id)
		if err != nil {
			return nil, err
		}
		if done(s) {
			return s, nil
		}
		if !sleep(ctx, c.actions.interval) {
			return s, c.problem(what, fmt.Errorf("the server is still %s: %w", s.Status, ctx.Err()))
		}
	}
}

// withTried says what had no room.
func withTried(err error, tried []string) error {
	var p *problem.Problem
	if !errors.As(err, &p) || len(tried) < 2 || !hasCode(err, hcloud.ErrorCodeResourceUnavailable, hcloud.ErrorCodePlacementError) {
		return err
	}
	more := *p
	more.Detail = strings.TrimPrefix(p.Detail+"\nTried in this order: "+strings.Join(tried, ", ")+".", "\n")
	return &more
}
