package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Expand creates, attaches and widens what desired has and actual has not, and
// makes the replacements that Options allow (they keep their names, so the old
// one has to go first). Replacements that are not allowed are refused before
// anything is made.
//
// It returns the account as it is afterwards, read back, and what became of
// each change. On an error the account is what was last read.
func Expand(ctx context.Context, p Provider, desired fleet.Fleet, actual fleet.Account, o Options, sink progress.Sink) (
	fleet.Account, []plans.ResourceResult, error,
) {
	r := newRun(p, desired, actual, o, sink)
	var refused []error
	var changes []plans.Resource
	for _, resource := range Diff(desired, actual, o) {
		if part, ok := expansion(resource); ok {
			changes = append(changes, part)
			if problem := o.refuses(part, desired, actual); problem != nil {
				refused = append(refused, problem)
			}
		}
	}
	refused = append(refused, o.addressesHeld(desired, actual)...)
	r.plan(changes)
	if len(refused) > 0 {
		return actual, r.results, errors.Join(refused...)
	}
	if len(changes) == 0 {
		return actual, nil, nil
	}
	r.each(ctx, ofKind(plans.KindSSHKey, plans.KindNetwork), byName, func(ctx context.Context, c plans.Resource) error {
		if c.Kind == plans.KindSSHKey {
			return r.sshKey(ctx, c)
		}
		return r.network(ctx, c)
	})
	r.each(ctx, ofKind(plans.KindSubnet), inNetwork, r.subnet)
	r.each(ctx, ofKind(plans.KindServer), byName, r.server)
	if r.failed() {
		return actual, r.results, r.err(nil)
	}
	after, err := p.Account(ctx, desired)
	if err != nil {
		return actual, r.results, fmt.Errorf("reading back what was made: %w", err)
	}
	return after, r.results, nil
}

// expansion gives the part of a change that Expand makes.
func expansion(c plans.Resource) (plans.Resource, bool) {
	if c.Action == plans.Destroy || !Changes(c) {
		return plans.Resource{}, false
	}
	if c.Kind == plans.KindServer && c.Action == plans.Update {
		c.Attributes = slices.DeleteFunc(slices.Clone(c.Attributes), detaches)
		return c, len(c.Attributes) > 0
	}
	return c, true
}

// detaches tells whether a server's attribute means that it leaves a network.
func detaches(a plans.Attribute) bool {
	return strings.HasPrefix(a.Name, "networks.") && a.Known && a.New == ""
}

func (r *run) sshKey(ctx context.Context, c plans.Resource) error {
	want := r.desired.SSHKeys[c.Name]
	if c.Action == plans.Update {
		return r.provider.UpdateSSHKeyLabels(ctx, r.actual.SSHKeys[c.Name].ID, want.Labels)
	}
	if c.Action == plans.Replace {
		old, exists := r.actual.SSHKeys[c.Name]
		if !exists { // it has a new name
			old = r.actual.SSHKeys[renamedKeys(r.desired, r.actual)[c.Name]]
		}
		if err := r.provider.DeleteSSHKey(ctx, old.ID); err != nil {
			return err
		}
	}
	made, err := r.provider.CreateSSHKey(ctx, c.Name, want)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys[c.Name] = made
	return nil
}

func (r *run) network(ctx context.Context, c plans.Resource) error {
	want := r.desired.Networks[c.Name]
	have := r.actual.Networks[c.Name]
	if c.Action == plans.Update {
		if !samePrefix(want.IPRange, have.IPRange) {
			if err := r.provider.WidenNetwork(ctx, have.ID, want.IPRange); err != nil {
				return err
			}
		}
		if len(labelChanges(have.Labels, want.Labels)) > 0 {
			return r.provider.UpdateNetworkLabels(ctx, have.ID, want.Labels)
		}
		return nil
	}
	if c.Action == plans.Replace {
		if err := r.provider.DeleteNetwork(ctx, have.ID); err != nil {
			return err
		}
	}
	made, err := r.provider.CreateNetwork(ctx, c.Name, want)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nets[c.Name] = fleet.AccountNetwork{ID: made, IPRange: want.IPRange, Subnets: want.Subnets, Labels: want.Labels}
	return nil
}

// subnet adds a subnet. Those of a network that this run made exist already.
func (r *run) subnet(ctx context.Context, c plans.Resource) error {
	name, ipRange := splitSubnet(c.Name)
	network := r.net(name)
	want := r.desired.Networks[name].Subnets
	i := slices.IndexFunc(want, func(s fleet.Subnet) bool { return s.IPRange == ipRange })
	if i < 0 {
		return &problem.Problem{Summary: fmt.Sprintf("the network %q declares no subnet %s", name, ipRange)}
	}
	left := slices.Clone(network.Subnets)
	for _, s := range network.Subnets {
		if s.Type == want[i].Type && s.NetworkZone == want[i].NetworkZone && samePrefix(s.IPRange, ipRange) {
			return nil
		}
		if c.Action == plans.Replace && overlaps(s.IPRange, ipRange) {
			if err := r.provider.DeleteSubnet(ctx, network.ID, s); err != nil {
				return err
			}
			left = slices.DeleteFunc(left, func(l fleet.Subnet) bool { return l.IPRange == s.IPRange })
		}
	}
	if err := r.provider.AddSubnet(ctx, network.ID, want[i]); err != nil {
		return err
	}
	network.Subnets = append(left, want[i])
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nets[name] = network
	return nil
}

func (r *run) net(name string) fleet.AccountNetwork {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.nets[name]
}

func (r *run) server(ctx context.Context, c plans.Resource) error {
	have := r.actual.Servers[c.Name]
	switch c.Action {
	case plans.Replace:
		if have.DeleteProtection {
			if err := r.provider.SetProtection(ctx, plans.KindServer, have.ID, false); err != nil {
				return err
			}
		}
		if err := r.provider.DeleteServer(ctx, have.ID); err != nil {
			return err
		}
		return r.createServer(ctx, c.Name)
	case plans.Create:
		return r.createServer(ctx, c.Name)
	case plans.Update, plans.Destroy: // a destroy never gets here
	}
	return r.updateServer(ctx, c, have)
}

// createServer orders a server with a throw-away host key. Networks in which
// it has a fixed address come after: an order cannot name addresses.
func (r *run) createServer(ctx context.Context, name string) error {
	want := r.desired.Servers[name]
	key, err := newHostKey()
	if err != nil {
		return err
	}
	order := fleet.ServerOrder{Name: name, Server: want, HostKey: key.fingerprint, KeysDigest: keysDigest(want.SSHKeys)}
	for _, k := range want.SSHKeys {
		order.SSHKeys = append(order.SSHKeys, r.keys[k])
	}
	for _, n := range sorted(want.Networks) {
		if want.Networks[n].IP == "" {
			order.Networks = append(order.Networks, r.net(n).ID)
		}
	}
	made, err := r.provider.CreateServer(ctx, order, key.cloudConfig())
	if err != nil {
		return err
	}
	for _, n := range sorted(want.Networks) {
		if ip := want.Networks[n].IP; ip != "" {
			if err := r.provider.AttachNetwork(ctx, made.ID, r.net(n).ID, fleet.Attachment{IP: ip}); err != nil {
				return err
			}
		}
	}
	if want.DeleteProtection {
		return r.provider.SetProtection(ctx, plans.KindServer, made.ID, true)
	}
	return nil
}

func (r *run) updateServer(ctx context.Context, c plans.Resource, have fleet.AccountServer) error {
	want := r.desired.Servers[c.Name]
	for _, a := range c.Attributes {
		name, ok := strings.CutPrefix(a.Name, "networks.")
		if !ok {
			continue
		}
		id := r.net(name).ID
		_, attached := have.Networks[name]
		if attached && id == r.actual.Networks[name].ID { // else it left with the network that was replaced
			if err := r.provider.DetachNetwork(ctx, have.ID, id); err != nil {
				return err
			}
		}
		if err := r.provider.AttachNetwork(ctx, have.ID, id, fleet.Attachment{IP: want.Networks[name].IP}); err != nil {
			return err
		}
	}
	if len(labelChanges(have.Labels, want.Labels)) > 0 {
		if err := r.provider.UpdateServerLabels(ctx, have.ID, want.Labels); err != nil {
			return err
		}
	}
	if want.DeleteProtection != have.DeleteProtection {
		return r.provider.SetProtection(ctx, plans.KindServer, have.ID, want.DeleteProtection)
	}
	return nil
}
