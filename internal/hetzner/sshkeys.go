package hetzner

import (
	"context"
	"fmt"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

func describeKey(k *hcloud.SSHKey) meta { return meta{id: k.ID, name: k.Name, labels: k.Labels} }

func (c *Client) keys() kind {
	api := &c.api.SSHKey
	return kind{
		noun: "SSH key", get: by(api.GetByID, describeKey), named: by(api.GetByName, describeKey),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, &hcloud.SSHKey{ID: id}, hcloud.SSHKeyUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			return none(api.Delete(ctx, &hcloud.SSHKey{ID: id}))
		},
	}
}

// CreateSSHKey makes a public key.
func (c *Client) CreateSSHKey(ctx context.Context, name string, k fleet.SSHKey) (int64, error) {
	id, lost, err := c.create(ctx, c.keys(), name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		made, resp, err := c.api.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: name, PublicKey: k.PublicKey, Labels: c.owned(k.Labels)})
		if err != nil {
			return 0, nil, resp, err
		}
		return made.ID, nil, resp, nil
	})
	switch {
	case hasCode(err, hcloud.ErrorCodeUniquenessError):
		return 0, c.sameKey(ctx, name, k.PublicKey, err)
	case err != nil || !lost:
		return id, err
	}
	found, err := lookUp(ctx, c, "looking at the SSH key "+name, func(ctx context.Context) (*hcloud.SSHKey, *hcloud.Response, error) {
		return c.api.SSHKey.GetByID(ctx, id)
	})
	if err == nil && (found == nil || !sameKey(found.PublicKey, k.PublicKey)) {
		err = &problem.Problem{
			Summary: fmt.Sprintf("the fleet has an SSH key %q already, and it is another one", name),
			Hints:   []string{"Run the same command again: it looks afresh."},
		}
	}
	return id, err
}

// sameKey explains a refusal where the project has the same key under another
// name: the API wants each key once.
func (c *Client) sameKey(ctx context.Context, name, publicKey string, refusal error) error {
	all, err := listed(ctx, c, "listing the SSH keys", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.SSHKey, *hcloud.Response, error) {
		return c.api.SSHKey.List(ctx, hcloud.SSHKeyListOpts{ListOpts: o})
	})
	if err != nil {
		return err
	}
	for _, k := range all {
		if sameKey(k.PublicKey, publicKey) {
			return &problem.Problem{
				Summary: fmt.Sprintf("the SSH key %q exists in the project already, under the name %q", name, k.Name),
				Detail:  "Hetzner Cloud holds each public key only once per project.",
				Hints:   []string{fmt.Sprintf("Refer to it in flotilla.yaml: ssh_keys: {%s: {existing: true}}", k.Name)},
				Code:    problem.Refused,
			}
		}
	}
	return refusal
}

// sameKey compares public keys without their comments.
func sameKey(a, b string) bool {
	one, two := strings.Fields(a), strings.Fields(b)
	return len(one) >= 2 && len(two) >= 2 && one[0] == two[0] && one[1] == two[1]
}
