package hetzner

import (
	"context"
	"fmt"
	"maps"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// The changes that all kinds of resources have.

// editLabels reads a resource's labels, changes them and writes them back if
// that makes a difference. It gives the resource as it was found.
func (c *Client) editLabels(ctx context.Context, k kind, what string, id int64, change func(found *meta, labels map[string]string) map[string]string) (*meta, error) {
	defer c.editing.lock(fmt.Sprintf("%s %d", k.noun, id))()
	found, err := c.ownedMeta(ctx, k, what, id)
	if err != nil {
		return nil, err
	}
	labels := maps.Clone(found.labels)
	for _, label := range found.stale {
		delete(labels, label)
	}
	labels = change(found, labels)
	if maps.Equal(labels, found.labels) {
		return found, nil
	}
	return found, c.writeLabels(ctx, k, what, id, labels)
}

func (c *Client) writeLabels(ctx context.Context, k kind, what string, id int64, labels map[string]string) error {
	return c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		return k.update(ctx, id, "", labels)
	})
}

// SetLabels sets the user's labels of a resource. Flotilla's own and those with
// the prefix of another tool stay.
func (c *Client) SetLabels(ctx context.Context, of plans.ResourceKind, id int64, labels map[string]string) error {
	k, err := c.kind(of)
	if err != nil {
		return err
	}
	_, err = c.editLabels(ctx, k, fmt.Sprintf("changing the labels of %s %d", k.noun, id), id,
		func(_ *meta, have map[string]string) map[string]string { return relabel(have, labels) })
	return err
}

// Rename gives a resource another name.
func (c *Client) Rename(ctx context.Context, of plans.ResourceKind, id int64, name string) error {
	k, err := c.kind(of)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("renaming %s %d to %q", k.noun, id, name)
	found, err := c.ownedMeta(ctx, k, what, id)
	if err != nil || found.name == name {
		return err
	}
	if of == plans.KindFirewall {
		return c.renameFirewall(ctx, what, id, name)
	}
	err = c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		return k.update(ctx, id, name, nil)
	})
	return c.renamed(ctx, k, what, name, err)
}

// renamed says who has a name that was refused.
func (c *Client) renamed(ctx context.Context, k kind, what, name string, err error) error {
	if !hasCode(err, hcloud.ErrorCodeUniquenessError) {
		return err
	}
	other, lookErr := lookUp(ctx, c, what, func(ctx context.Context) (*meta, *hcloud.Response, error) { return k.named(ctx, name) })
	if lookErr != nil || other == nil || c.owns(other.labels) {
		return err
	}
	return c.taken(k, name, other.labels)
}

// SetProtection switches the protection against deletion, and for servers that
// against rebuilding, which the API wants to be the same.
func (c *Client) SetProtection(ctx context.Context, of plans.ResourceKind, id int64, on bool) error {
	k, err := c.kind(of)
	if err != nil {
		return err
	}
	if k.protect == nil {
		return &problem.Problem{Summary: fmt.Sprintf("a %s has no protection against deletion", k.noun)}
	}
	return c.act(ctx, request{what: fmt.Sprintf("changing the delete protection of %s %d", k.noun, id), on: k, id: id},
		func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) { return k.protect(ctx, id, on) })
}

// Delete deletes a resource and waits until it is gone, so that its name and
// addresses are free. One that is gone counts as deleted.
func (c *Client) Delete(ctx context.Context, of plans.ResourceKind, id int64) error {
	k, err := c.kind(of)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("deleting %s %d", k.noun, id)
	found, err := c.look(ctx, k, what, id)
	if err != nil || found == nil {
		return err
	}
	if !c.owns(found.labels) {
		return c.notOurs(what)
	}
	r := request{what: what, gone: true}
	if of == plans.KindFirewall { // which is in use for some seconds after it was taken off its last server
		r.lags = []hcloud.ErrorCode{hcloud.ErrorCodeResourceInUse}
	}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) { return k.remove(ctx, id) })
}

// Adopt makes a resource the fleet's, with the parts of it that are declared:
// "subnet.10.0.1.0/24", "route.10.1.0.0/16", "service.443", "rdns.ipv4",
// "target.ip=192.0.2.4", "target.label_selector=env=web", "selector.env=web".
// It writes their labels and touches nothing else. What belongs to another
// fleet is refused.
func (c *Client) Adopt(ctx context.Context, of plans.ResourceKind, id int64, parts []string) error {
	k, err := c.kind(of)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("adopting %s %d", k.noun, id)
	defer c.editing.lock(fmt.Sprintf("%s %d", k.noun, id))()
	found, err := c.look(ctx, k, what, id)
	if err != nil {
		return err
	}
	if found == nil {
		return c.notOurs(what)
	}
	if owner := found.labels[labelFleet]; owner != "" && owner != c.fleet {
		return &problem.Problem{
			Summary: fmt.Sprintf("%s was refused: %q belongs to the fleet %q", what, found.name, owner), Code: problem.Refused,
			Hints: []string{fmt.Sprintf("Take its label %s off in the Cloud Console if that fleet has given it up.", labelFleet)},
		}
	}
	labels := maps.Clone(found.labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[labelFleet] = c.fleet
	for _, part := range parts {
		labels[declaredPart(part)] = ""
	}
	if !maps.Equal(labels, found.labels) {
		err = c.writeLabels(ctx, k, what, id, labels)
	}
	if err == nil {
		c.strangers.no(k.noun, id)
	}
	return err
}
