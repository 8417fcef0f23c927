package hetzner

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// CheckOrder tells what would keep a server from being ordered: a type, a
// location or an image that does not exist. It orders nothing, and does not
// know whether there is room. What it reads is read once per client.
func (c *Client) CheckOrder(ctx context.Context, s fleet.Server) error {
	offers, err := c.offers(ctx, s)
	if err != nil {
		return err
	}
	for _, o := range offers {
		if _, err := c.findImage(ctx, s.Image, o.serverType.Architecture); err != nil {
			return err
		}
	}
	return nil
}
