package hetzner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	defaultShutdown = 90 * time.Second // that a guest has to shut down by itself
	restartLimit    = 2 * time.Minute  // until the API starts a server whose type changed
	clockSlack      = 5 * time.Second  // between a time of ours and one that the API writes down
)

// PowerOn starts a server and then takes off the label that says that Flotilla
// switched it off.
func (c *Client) PowerOn(ctx context.Context, server int64) error {
	what := fmt.Sprintf("switching on server %d", server)
	err := c.act(ctx, request{what: what, on: c.servers(), id: server}, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(c.api.Server.Poweron(ctx, &hcloud.Server{ID: server}))
	})
	if _, fresh := c.ordered.LoadAndDelete(server); err != nil || fresh {
		return err
	}
	return c.unmark(ctx, c.servers(), what, server, labelOff)
}

// PowerOff asks the guest to shut down and cuts the power when it has not after
// a while. A label remembers that it was Flotilla, unless the server was off
// already.
func (c *Client) PowerOff(ctx context.Context, server int64) error {
	what := fmt.Sprintf("switching off server %d", server)
	s, err := c.getServer(ctx, what, server)
	if err != nil || s.Status == hcloud.ServerStatusOff {
		return err
	}
	_, err = c.editServerLabels(ctx, what, server, func(labels map[string]string) map[string]string {
		labels[labelOff] = ""
		return labels
	})
	if err != nil {
		return err
	}
	c.ordered.Delete(server)
	off := func(s *hcloud.Server) bool { return s.Status == hcloud.ServerStatusOff }
	err = c.act(ctx, request{what: what, on: c.servers(), id: server}, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(c.api.Server.Shutdown(ctx, &hcloud.Server{ID: server}))
	})
	if err == nil {
		_, err = c.awaitServer(ctx, what, server, c.shutdown, off)
	}
	if err == nil || ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = c.act(ctx, request{what: what, on: c.servers(), id: server}, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(c.api.Server.Poweroff(ctx, &hcloud.Server{ID: server}))
	})
	if err != nil {
		return err
	}
	_, err = c.awaitServer(ctx, what, server, restartLimit, off)
	return err
}

// Reset cuts a server's power and starts it again: it boots its boot default.
func (c *Client) Reset(ctx context.Context, serverID int64) error {
	return c.act(ctx, request{what: fmt.Sprintf("resetting server %d", serverID), on: c.servers(), id: serverID},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(c.api.Server.Reset(ctx, &hcloud.Server{ID: serverID}))
		})
}

// ChangeType makes a server that is off another type. The API starts it
// afterwards; what it does not start is started here. Without keepDisk the disk
// grows with the type, which is for ever.
func (c *Client) ChangeType(ctx context.Context, server int64, serverType string, keepDisk bool) error {
	if _, err := c.serverType(ctx, serverType); err != nil {
		return err
	}
	what := fmt.Sprintf("changing the type of server %d to %s", server, serverType)
	r := request{what: what, on: c.servers(), id: server, limit: diskLimit, settled: func(ctx context.Context) (bool, error) {
		s, err := c.getServer(ctx, what, server)
		return err == nil && s.ServerType != nil && s.ServerType.Name == serverType, err
	}}
	err := c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(c.api.Server.ChangeType(ctx, &hcloud.Server{ID: server}, hcloud.ServerChangeTypeOpts{
			ServerType: &hcloud.ServerType{Name: serverType}, UpgradeDisk: !keepDisk,
		}))
	})
	if err != nil {
		return err
	}
	_, err = c.awaitServer(ctx, what, server, c.restart, func(s *hcloud.Server) bool { return s.Status == hcloud.ServerStatusRunning && !s.Locked })
	switch {
	case err == nil:
		return c.unmark(ctx, c.servers(), what, server, labelOff)
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		return c.PowerOn(ctx, server)
	}
	return err
}

// Rebuild wipes a server's disk and boots the order's image on it. The new host
// key is published before, beside the old one, and the rest of the order's
// labels after; what the old system had published goes before.
func (c *Client) Rebuild(ctx context.Context, server int64, order fleet.ServerOrder, userData secret.String) error {
	what := fmt.Sprintf("rebuilding the server %q", order.Name)
	s, err := c.getServer(ctx, what, server)
	if err != nil {
		return err
	}
	image, err := c.findImage(ctx, order.Server.Image, s.ServerType.Architecture)
	if err != nil {
		return err
	}
	_, err = c.editServerLabels(ctx, what, server, func(labels map[string]string) map[string]string {
		return publish(labels, fleet.Published{HostKey: labels[labelHostKey], NextHostKey: order.HostKey})
	})
	if err != nil {
		return err
	}
	data := userData.Reveal()
	r := request{what: what, limit: diskLimit, settled: func(ctx context.Context) (bool, error) {
		s, err := c.getServer(ctx, what, server)
		return err == nil && s.Status == hcloud.ServerStatusRebuilding, err
	}}
	err = c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		result, resp, err := c.api.Server.RebuildWithResult(ctx, s, hcloud.ServerRebuildOpts{Image: image, UserData: &data})
		return one(result.Action, resp, err)
	})
	if err != nil {
		return err
	}
	_, err = c.awaitServer(ctx, what, server, actionLimit, func(s *hcloud.Server) bool { return s.Status == hcloud.ServerStatusRunning && !s.Locked })
	if err != nil {
		return err
	}
	_, err = c.editServerLabels(ctx, what, server, func(labels map[string]string) map[string]string {
		delete(labels, labelOff)
		return imaged(labels, order)
	})
	return err
}
