package hetzner

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Account reads what exists and belongs to the fleet, with one list per kind.
// f says which keys the fleet only refers to and which names it is going to
// use: a name that something else in the project has is an error, here and not
// halfway through a deploy.
func (c *Client) Account(ctx context.Context, f fleet.Fleet) (fleet.Account, error) {
	var keys []*hcloud.SSHKey
	var networks []*hcloud.Network
	var servers []*hcloud.Server
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		keys, err = c.listSSHKeys(ctx, f)
		return err
	})
	group.Go(func() (err error) {
		networks, err = listFor(ctx, c, "networks", f.Networks, c.api.Network.List, hcloudNetwork)
		return err
	})
	group.Go(func() (err error) {
		servers, err = listFor(ctx, c, "servers", f.Servers, c.api.Server.List, hcloudServer)
		return err
	})
	if err := group.Wait(); err != nil {
		return fleet.Account{}, err
	}
	account := fleet.Account{
		Networks: map[string]fleet.AccountNetwork{},
		SSHKeys:  map[string]fleet.AccountSSHKey{},
		Servers:  map[string]fleet.AccountServer{},
	}
	for _, k := range keys {
		if c.owns(k.Labels) || f.SSHKeys[k.Name].Existing {
			account.SSHKeys[k.Name] = c.sshKey(k)
		}
	}
	names := map[int64]string{}
	for _, n := range networks {
		names[n.ID] = n.Name
		account.Networks[n.Name] = network(n)
	}
	for _, s := range servers {
		account.Servers[s.Name] = c.server(s, names, f.Servers[s.Name].Image)
	}
	return account, nil
}

// resource is what the kinds have in common.
type resource struct {
	name   string
	labels map[string]string
}

func hcloudNetwork(n *hcloud.Network) resource { return resource{n.Name, n.Labels} }
func hcloudServer(s *hcloud.Server) resource   { return resource{s.Name, s.Labels} }
func hcloudKey(k *hcloud.SSHKey) resource      { return resource{k.Name, k.Labels} }

// listFor lists the fleet's own resources of a kind. Only if a declared one is
// missing does it list those of others too, to see whether the name is free.
func listFor[T, Declared, Opts any](ctx context.Context, c *Client, kind string, declared map[string]Declared,
	list func(context.Context, Opts) ([]T, *hcloud.Response, error), describe func(T) resource,
) ([]T, error) {
	page := func(ctx context.Context, o hcloud.ListOpts) ([]T, *hcloud.Response, error) {
		return list(ctx, options[Opts](o))
	}
	own, err := listed(ctx, c, "listing the "+kind, page, c.selector())
	if err != nil {
		return nil, err
	}
	exists := map[string]bool{}
	for _, item := range own {
		exists[describe(item).name] = true
	}
	for name := range declared {
		if !exists[name] {
			all, err := listed(ctx, c, "listing the "+kind, page, "")
			if err != nil {
				return nil, err
			}
			return own, namesFree(c, kind, declared, all, describe)
		}
	}
	return own, nil
}

// options puts the common options into those of one kind of list.
func options[Opts any](o hcloud.ListOpts) Opts {
	var opts Opts
	switch opts := any(&opts).(type) {
	case *hcloud.ServerListOpts:
		opts.ListOpts = o
	case *hcloud.NetworkListOpts:
		opts.ListOpts = o
	case *hcloud.SSHKeyListOpts:
		opts.ListOpts = o
	}
	return opts
}

func (c *Client) taken(kind, name string, labels map[string]string) *problem.Problem {
	p := &problem.Problem{
		Summary: fmt.Sprintf("the name %q is taken: the project has one among its %s that is not this fleet's", name, kind),
		Detail:  fmt.Sprintf("It has no label %s=%s, so Flotilla leaves it alone.", labelFleet, c.fleet),
		Hints:   []string{"Give yours another name in flotilla.yaml, or rename the other one."},
	}
	if owner := labels[labelFleet]; owner != "" {
		p.Detail = fmt.Sprintf("It belongs to the fleet %q (label %s), so Flotilla leaves it alone.", owner, labelFleet)
		p.Hints = []string{"Names are unique in a project: give one of the two another name in its flotilla.yaml, or use a project of its own."}
	}
	return p
}

func (c *Client) listSSHKeys(ctx context.Context, f fleet.Fleet) ([]*hcloud.SSHKey, error) {
	existing := false
	for _, k := range f.SSHKeys {
		existing = existing || k.Existing
	}
	if !existing {
		return listFor(ctx, c, "SSH keys", f.SSHKeys, c.api.SSHKey.List, hcloudKey)
	}
	all, err := listed(ctx, c, "listing the SSH keys", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.SSHKey, *hcloud.Response, error) {
		return c.api.SSHKey.List(ctx, hcloud.SSHKeyListOpts{ListOpts: o})
	}, "")
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, k := range all {
		found[k.Name] = true
	}
	own := map[string]fleet.SSHKey{}
	var missing []string
	for name, k := range f.SSHKeys {
		switch {
		case !k.Existing:
			own[name] = k
		case !found[name]:
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return nil, &problem.Problem{
			Summary: fmt.Sprintf("the project has no SSH key named %s", quoted(missing)),
			Detail:  "flotilla.yaml refers to it with existing: true.",
			Hints:   []string{"Check the name in the Cloud Console (Security, SSH keys), or give its public_key: then Flotilla makes it."},
		}
	}
	return all, namesFree(c, "SSH keys", own, all, hcloudKey)
}

// namesFree is the error about declared names that something else in the
// project has.
func namesFree[T, Declared any](c *Client, kind string, declared map[string]Declared, all []T, describe func(T) resource) error {
	var taken []*problem.Problem
	for _, item := range all {
		r := describe(item)
		if _, wanted := declared[r.name]; wanted && !c.owns(r.labels) {
			taken = append(taken, c.taken(kind, r.name, r.labels))
		}
	}
	if len(taken) == 0 {
		return nil
	}
	slices.SortFunc(taken, func(a, b *problem.Problem) int { return cmp.Compare(a.Summary, b.Summary) })
	for _, other := range taken[1:] {
		taken[0].Detail += "\nAlso: " + other.Summary + "."
	}
	return taken[0]
}

func quoted(names []string) string {
	q := make([]string, len(names))
	for i, n := range names {
		q[i] = fmt.Sprintf("%q", n)
	}
	return strings.Join(q, ", ")
}

func (c *Client) sshKey(k *hcloud.SSHKey) fleet.AccountSSHKey {
	return fleet.AccountSSHKey{ID: k.ID, PublicKey: k.PublicKey, Owned: c.owns(k.Labels), Labels: userLabels(k.Labels)}
}

func network(n *hcloud.Network) fleet.AccountNetwork {
	account := fleet.AccountNetwork{ID: n.ID, IPRange: n.IPRange.String(), Labels: userLabels(n.Labels)}
	for _, s := range n.Subnets {
		account.Subnets = append(account.Subnets, fleet.Subnet{
			Type: string(s.Type), NetworkZone: string(s.NetworkZone), IPRange: s.IPRange.String(),
		})
	}
	return account
}

// server translates; networks gives names to IDs, and declared is the image
// that flotilla.yaml has now, for labels that only hold its hash.
func (c *Client) server(s *hcloud.Server, networks map[int64]string, declared string) fleet.AccountServer {
	account := fleet.AccountServer{
		ID: s.ID, Status: string(s.Status), Created: s.Created,
		Networks:         map[string]string{},
		DeleteProtection: s.Protection.Delete,
		Labels:           userLabels(s.Labels),
		KeysDigest:       s.Labels[labelKeys],
		Published:        published(s.Labels),
	}
	if s.ServerType != nil {
		account.ServerType = s.ServerType.Name
	}
	if s.Location != nil {
		account.Location = s.Location.Name
	}
	if label := s.Labels[labelImage]; label != "" && label == encodeLabel(declared) {
		account.Image = declared
	} else if label != "" {
		account.Image = decodeLabel(label)
	} else if s.Image != nil {
		account.Image = s.Image.Name
	}
	if ip := s.PublicNet.IPv4; !ip.IsUnspecified() {
		account.IPv4 = ip.IP.String()
	}
	if ip := s.PublicNet.IPv6; !ip.IsUnspecified() {
		account.IPv6 = firstAddress(ip.IP).String()
	}
	for _, n := range s.PrivateNet {
		name, ok := networks[n.Network.ID]
		if !ok {
			name = fmt.Sprintf("#%d", n.Network.ID) // not the fleet's: shown, never changed
		}
		account.Networks[name] = n.IP.String()
	}
	return account
}

// firstAddress is the server's own address in its IPv6 network.
func firstAddress(base net.IP) net.IP {
	ip := slices.Clone(base.To16())
	ip[len(ip)-1] |= 1
	return ip
}
