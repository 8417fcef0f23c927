package hetzner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// findImage finds an image by its name, or the newest snapshot that a label
// selector (it has a "=") matches. It is found once per client, so that all
// servers of one run get the same.
func (c *Client) findImage(ctx context.Context, image string, architecture hcloud.Architecture) (*hcloud.Image, error) {
	return c.sold.image(image, architecture).get(ctx, func(ctx context.Context) (*hcloud.Image, error) {
		opts := hcloud.ImageListOpts{Architecture: []hcloud.Architecture{architecture}}
		selector := ""
		if strings.Contains(image, "=") {
			selector = image
			opts.Type = []hcloud.ImageType{hcloud.ImageTypeSnapshot}
			opts.Status = []hcloud.ImageStatus{hcloud.ImageStatusAvailable}
			opts.Sort = []string{"created:desc"}
		} else {
			opts.Name, opts.IncludeDeprecated = image, true
		}
		found, err := c.images(ctx, fmt.Sprintf("looking for the image %q", image), opts, selector)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 {
			return nil, c.noImage(ctx, image, architecture)
		}
		return slices.MaxFunc(found, func(a, b *hcloud.Image) int { return a.Created.Compare(b.Created) }), nil
	})
}

func (c *Client) images(ctx context.Context, what string, opts hcloud.ImageListOpts, selector string) ([]*hcloud.Image, error) {
	return listed(ctx, c, what, func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Image, *hcloud.Response, error) {
		opts := opts // pages are asked for side by side
		opts.ListOpts = o
		opts.LabelSelector = selector
		return c.api.Image.List(ctx, opts)
	})
}

func (c *Client) noImage(ctx context.Context, image string, architecture hcloud.Architecture) error {
	if strings.Contains(image, "=") {
		return &problem.Problem{
			Summary: fmt.Sprintf("no available snapshot with the labels %q for the architecture %s", image, architecture),
			Hints:   []string{"List the snapshots with: hcloud image list --type snapshot --selector " + image},
		}
	}
	p := &problem.Problem{Summary: fmt.Sprintf("no image %q for the architecture %s", image, architecture)}
	all, err := c.images(ctx, "listing the images", hcloud.ImageListOpts{
		Architecture: []hcloud.Architecture{architecture}, Type: []hcloud.ImageType{hcloud.ImageTypeSystem, hcloud.ImageTypeApp},
	}, "")
	var names []string
	for _, i := range all {
		names = append(names, i.Name)
	}
	if slices.Sort(names); err == nil && len(names) > 0 {
		p.Hints = append(p.Hints, "It has: "+strings.Join(slices.Compact(names), ", ")+".")
	}
	p.Hints = append(p.Hints, "A snapshot is named by its labels, for example image: os=nixos.")
	return p
}
