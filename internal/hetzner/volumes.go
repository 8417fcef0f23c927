package hetzner

import (
	"context"
	"fmt"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func describeVolume(v *hcloud.Volume) meta { return meta{id: v.ID, name: v.Name, labels: v.Labels} }

func (c *Client) volumes() kind {
	api := &c.api.Volume
	ref := func(id int64) *hcloud.Volume { return &hcloud.Volume{ID: id} }
	return kind{
		noun: "volume", get: by(api.GetByID, describeVolume), named: by(api.GetByName, describeVolume),
		running: runningOf(api.Action.ListFor, ref),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, ref(id), hcloud.VolumeUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			return none(api.Delete(ctx, ref(id)))
		},
		protect: func(ctx context.Context, id int64, on bool) ([]*hcloud.Action, *hcloud.Response, error) {
			return one(api.ChangeProtection(ctx, ref(id), hcloud.VolumeChangeProtectionOpts{Delete: &on}))
		},
	}
}

// CreateVolume makes a volume, attached to a server if that is not 0, else in
// its location. Volumes of one server have to be made one after another.
func (c *Client) CreateVolume(ctx context.Context, name string, v fleet.Volume, server int64) (int64, error) {
	opts := hcloud.VolumeCreateOpts{Name: name, Size: v.Size, Labels: c.owned(v.Labels)}
	if v.Format != "" {
		opts.Format = &v.Format
	}
	location := ""
	if server != 0 {
		opts.Server = &hcloud.Server{ID: server}
		if v.Format != "" { // without one there is nothing to mount
			opts.Automount = &v.Automount
		}
	} else {
		location = v.Location
		opts.Location = &hcloud.Location{Name: location}
	}
	id, lost, err := c.create(ctx, c.volumes(), name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		made, resp, err := c.api.Volume.Create(ctx, opts)
		if err != nil {
			return 0, nil, resp, err
		}
		return made.Volume.ID, append(made.NextActions, made.Action), resp, nil
	})
	if err != nil {
		return 0, c.explainLocation(ctx, location, err)
	}
	if lost && server != 0 {
		return id, c.AttachVolume(ctx, id, server, v.Automount && v.Format != "")
	}
	return id, nil
}

// ResizeVolume makes a volume bigger, to so many GB.
func (c *Client) ResizeVolume(ctx context.Context, id int64, size int) error {
	return c.changeVolume(ctx, fmt.Sprintf("making volume %d bigger, %d GB", id, size), id,
		func(v *hcloud.Volume) bool { return v != nil && v.Size == size },
		func(ctx context.Context, v *hcloud.Volume) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Volume.Resize(ctx, v, size)
		})
}

// AttachVolume attaches a volume to a server. Volumes of one server have to be
// attached one after another.
func (c *Client) AttachVolume(ctx context.Context, id, server int64, automount bool) error {
	return c.changeVolume(ctx, fmt.Sprintf("attaching volume %d to server %d", id, server), id,
		func(v *hcloud.Volume) bool { return v != nil && v.Server != nil && v.Server.ID == server },
		func(ctx context.Context, v *hcloud.Volume) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Volume.AttachWithOpts(ctx, v, hcloud.VolumeAttachOpts{Server: &hcloud.Server{ID: server}, Automount: &automount})
		})
}

// DetachVolume detaches a volume from its server.
func (c *Client) DetachVolume(ctx context.Context, id int64) error {
	return c.changeVolume(ctx, fmt.Sprintf("detaching volume %d", id), id,
		func(v *hcloud.Volume) bool { return v == nil || v.Server == nil },
		func(ctx context.Context, v *hcloud.Volume) (*hcloud.Action, *hcloud.Response, error) {
			return c.api.Volume.Detach(ctx, v)
		})
}

func (c *Client) changeVolume(ctx context.Context, what string, id int64, done func(*hcloud.Volume) bool,
	send func(context.Context, *hcloud.Volume) (*hcloud.Action, *hcloud.Response, error),
) error {
	r := request{what: what, on: c.volumes(), id: id, settled: func(ctx context.Context) (bool, error) {
		v, err := lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.Volume, *hcloud.Response, error) {
			return c.api.Volume.GetByID(ctx, id)
		})
		return err == nil && done(v), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return one(send(ctx, &hcloud.Volume{ID: id}))
	})
}
