package hetzner

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// UpdateSSHKeyLabels is SetLabels of an SSH key.
func (c *Client) UpdateSSHKeyLabels(ctx context.Context, id int64, labels map[string]string) error {
	return c.SetLabels(ctx, plans.KindSSHKey, id, labels)
}

// UpdateNetworkLabels is SetLabels of a network.
func (c *Client) UpdateNetworkLabels(ctx context.Context, id int64, labels map[string]string) error {
	return c.SetLabels(ctx, plans.KindNetwork, id, labels)
}

// UpdateServerLabels is SetLabels of a server.
func (c *Client) UpdateServerLabels(ctx context.Context, id int64, labels map[string]string) error {
	return c.SetLabels(ctx, plans.KindServer, id, labels)
}

// DeleteSSHKey is Delete of an SSH key.
func (c *Client) DeleteSSHKey(ctx context.Context, id int64) error {
	return c.Delete(ctx, plans.KindSSHKey, id)
}

// DeleteNetwork is Delete of a network.
func (c *Client) DeleteNetwork(ctx context.Context, id int64) error {
	return c.Delete(ctx, plans.KindNetwork, id)
}

// DeleteServer is Delete of a server.
func (c *Client) DeleteServer(ctx context.Context, id int64) error {
	return c.Delete(ctx, plans.KindServer, id)
}
