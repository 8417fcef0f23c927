package hetzner

import (
	"context"
	"fmt"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// CreateSSHKey makes a public key. One of that name that is the fleet's already
// and holds the same key is taken as it is.
func (c *Client) CreateSSHKey(ctx context.Context, name string, key fleet.SSHKey) (int64, error) {
	var made *hcloud.SSHKey
	r := request{what: fmt.Sprintf("creating the SSH key %q", name)}
	r.settled = func(ctx context.Context) (bool, error) {
		found, err := c.sshKeyNamed(ctx, name)
		if err != nil {
			return false, err
		}
		if found == nil {
			return false, c.sameKey(ctx, name, key.PublicKey)
		}
		if !c.owns(found.Labels) || !sameKey(found.PublicKey, key.PublicKey) {
			return false, c.taken("SSH keys", name, found.Labels)
		}
		made = found
		return true, nil
	}
	err := c.call(ctx, r, func(ctx context.Context) (*hcloud.Response, error) {
		k, resp, err := c.api.SSHKey.Create(ctx, hcloud.SSHKeyCreateOpts{Name: name, PublicKey: key.PublicKey, Labels: c.owned(key.Labels)})
		made = k
		return resp, err
	})
	if err != nil {
		return 0, err
	}
	return made.ID, nil
}

func (c *Client) sshKeyNamed(ctx context.Context, name string) (*hcloud.SSHKey, error) {
	keys, err := listed(ctx, c, "looking for the SSH key "+name,
		func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.SSHKey, *hcloud.Response, error) {
			return c.api.SSHKey.List(ctx, hcloud.SSHKeyListOpts{ListOpts: o, Name: name})
		}, "")
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return keys[0], nil
}

// sameKey is the error when the project has the same key under another name:
// the API wants each key once.
func (c *Client) sameKey(ctx context.Context, name, publicKey string) error {
	all, err := listed(ctx, c, "listing the SSH keys", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.SSHKey, *hcloud.Response, error) {
		return c.api.SSHKey.List(ctx, hcloud.SSHKeyListOpts{ListOpts: o})
	}, "")
	if err != nil {
		return err
	}
	for _, k := range all {
		if sameKey(k.PublicKey, publicKey) {
			return &problem.Problem{
				Summary: fmt.Sprintf("the SSH key %q exists in the project already, under the name %q", name, k.Name),
				Detail:  "Hetzner Cloud holds each public key only once per project.",
				Hints:   []string{fmt.Sprintf("Refer to it in flotilla.yaml: ssh_keys: {%s: {existing: true}}", k.Name)},
			}
		}
	}
	return nil
}

// sameKey compares public keys without their comments.
func sameKey(a, b string) bool {
	one, two := strings.Fields(a), strings.Fields(b)
	return len(one) >= 2 && len(two) >= 2 && one[0] == two[0] && one[1] == two[1]
}

// UpdateSSHKeyLabels sets the user's labels of a key.
func (c *Client) UpdateSSHKeyLabels(ctx context.Context, id int64, labels map[string]string) error {
	what := fmt.Sprintf("changing the labels of SSH key %d", id)
	var found *hcloud.SSHKey
	err := c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		k, resp, err := c.api.SSHKey.GetByID(ctx, id)
		found = k
		return resp, err
	})
	if err != nil {
		return err
	}
	if found == nil || !c.owns(found.Labels) {
		return c.notOurs(what)
	}
	return c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		_, resp, err := c.api.SSHKey.Update(ctx, found, hcloud.SSHKeyUpdateOpts{Labels: relabel(found.Labels, labels)})
		return resp, err
	})
}

// DeleteSSHKey deletes a key; one that is gone counts as deleted.
func (c *Client) DeleteSSHKey(ctx context.Context, id int64) error {
	return c.call(ctx, request{what: fmt.Sprintf("deleting SSH key %d", id)}, func(ctx context.Context) (*hcloud.Response, error) {
		resp, err := c.api.SSHKey.Delete(ctx, &hcloud.SSHKey{ID: id})
		return resp, unlessGone(err)
	})
}

// unlessGone drops the error of deleting what does not exist.
func unlessGone(err error) error {
	if hasCode(err, hcloud.ErrorCodeNotFound) {
		return nil
	}
	return err
}

// notOurs is the error about a resource that vanished, or lost our label,
// between looking and changing.
func (c *Client) notOurs(what string) error {
	return &problem.Problem{
		Summary: what + " was refused: it no longer exists or no longer belongs to the fleet",
		Detail:  fmt.Sprintf("Somebody deleted it or took off its label %s=%s since it was looked at.", labelFleet, c.fleet),
		Hints:   []string{"Run the same command again: it looks afresh."},
		Code:    problem.Refused,
	}
}
