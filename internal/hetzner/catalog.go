package hetzner

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// imageKey is what an image is found by.
type imageKey struct {
	image        string // name or label selector
	architecture hcloud.Architecture
}

// serverType finds a server type by name; the list is read once per client.
func (c *Client) serverType(ctx context.Context, name string) (*hcloud.ServerType, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.types == nil {
		all, err := listed(ctx, c, "listing the server types",
			func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.ServerType, *hcloud.Response, error) {
				return c.api.ServerType.List(ctx, hcloud.ServerTypeListOpts{ListOpts: o})
			}, "")
		if err != nil {
			return nil, err
		}
		types := map[string]*hcloud.ServerType{}
		for _, t := range all {
			types[t.Name] = t
		}
		c.types = types
	}
	if t, ok := c.types[name]; ok {
		return t, nil
	}
	var names []string
	for n := range c.types {
		names = append(names, n)
	}
	slices.Sort(names)
	return nil, &problem.Problem{
		Summary: fmt.Sprintf("Hetzner Cloud has no server type %q", name),
		Hints:   []string{"It has: " + strings.Join(names, ", ") + "."},
	}
}

// findImage finds an image by its name, or the newest snapshot that a label
// selector (it has a "=") matches. It is found once per client, so that all
// servers of one run get the same.
func (c *Client) findImage(ctx context.Context, image string, architecture hcloud.Architecture) (*hcloud.Image, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := imageKey{image, architecture}
	if found, ok := c.image[key]; ok {
		return found, nil
	}
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
	found, err := listed(ctx, c, fmt.Sprintf("looking for the image %q", image),
		func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Image, *hcloud.Response, error) {
			opts.ListOpts = o
			return c.api.Image.List(ctx, opts)
		}, selector)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, noImage(image, architecture)
	}
	newest := slices.MaxFunc(found, func(a, b *hcloud.Image) int { return a.Created.Compare(b.Created) })
	c.image[key] = newest
	return newest, nil
}

func noImage(image string, architecture hcloud.Architecture) error {
	p := &problem.Problem{
		Summary: fmt.Sprintf("no image %q for the architecture %s", image, architecture),
		Hints:   []string{"List the names with: hcloud image list --type system --architecture " + string(architecture) + "; a snapshot is named by its labels, for example image: os=nixos."},
	}
	if strings.Contains(image, "=") {
		p.Summary = fmt.Sprintf("no available snapshot with the labels %q for the architecture %s", image, architecture)
		p.Hints = []string{"List the snapshots with: hcloud image list --type snapshot --selector " + image}
	}
	return p
}
