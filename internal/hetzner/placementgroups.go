package hetzner

import (
	"context"
	"fmt"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func describeGroup(g *hcloud.PlacementGroup) meta {
	return meta{id: g.ID, name: g.Name, labels: g.Labels}
}

func (c *Client) groups() kind {
	api := &c.api.PlacementGroup
	return kind{
		noun: "placement group", get: by(api.GetByID, describeGroup), named: by(api.GetByName, describeGroup),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, &hcloud.PlacementGroup{ID: id}, hcloud.PlacementGroupUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			return none(api.Delete(ctx, &hcloud.PlacementGroup{ID: id}))
		},
	}
}

// CreatePlacementGroup makes a placement group.
func (c *Client) CreatePlacementGroup(ctx context.Context, name string, g fleet.PlacementGroup) (int64, error) {
	id, _, err := c.create(ctx, c.groups(), name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		made, resp, err := c.api.PlacementGroup.Create(ctx, hcloud.PlacementGroupCreateOpts{
			Name: name, Type: hcloud.PlacementGroupType(g.Type), Labels: c.owned(g.Labels),
		})
		if err != nil {
			return 0, nil, resp, err
		}
		return made.PlacementGroup.ID, nil, resp, nil
	})
	return id, err
}

// JoinPlacementGroup puts a server, which is off, into a placement group.
func (c *Client) JoinPlacementGroup(ctx context.Context, server, group int64) error {
	return c.changeServer(ctx, fmt.Sprintf("putting server %d into placement group %d", server, group), server,
		func(s *hcloud.Server) bool {
			return s != nil && s.PlacementGroup != nil && s.PlacementGroup.ID == group
		},
		func(ctx context.Context, s *hcloud.Server) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Server.AddToPlacementGroup(ctx, s, &hcloud.PlacementGroup{ID: group})
		})
}

// LeavePlacementGroup takes a server, which is off, out of its placement group.
func (c *Client) LeavePlacementGroup(ctx context.Context, server int64) error {
	return c.changeServer(ctx, fmt.Sprintf("taking server %d out of its placement group", server), server,
		func(s *hcloud.Server) bool { return s == nil || s.PlacementGroup == nil },
		func(ctx context.Context, s *hcloud.Server) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Server.RemoveFromPlacementGroup(ctx, s)
		})
}
