package provision

import (
	"context"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Contract detaches, narrows and destroys what actual has and desired has not.
// Call it only when the hosts are well. What must not be destroyed is left in
// place and refused (a Problem with code Refused each, with the command line
// that allows it); the rest is done. A network with a server in it that is left
// in place is left too.
func Contract(ctx context.Context, p Provider, desired fleet.Fleet, actual fleet.Account, o Options, sink progress.Sink) (
	[]plans.ResourceResult, error,
) {
	r := newRun(p, desired, actual, o, sink)
	var changes []plans.Resource
	for _, resource := range Diff(desired, actual, o) {
		if part, ok := contraction(resource); ok {
			changes = append(changes, part)
		}
	}
	r.plan(changes)
	var refused []error
	for i, result := range r.results {
		if reason := o.refuses(result.Resource, desired, actual); reason != nil {
			refused = append(refused, reason)
			r.results[i].Error = reason.Error()
		}
	}
	action := func(kind plans.ResourceKind, a plans.Action) func(plans.Resource) bool {
		return func(c plans.Resource) bool { return c.Kind == kind && c.Action == a }
	}
	r.each(ctx, action(plans.KindServer, plans.Update), byName, r.detach)
	r.each(ctx, action(plans.KindServer, plans.Destroy), byName, func(ctx context.Context, c plans.Resource) error {
		return p.DeleteServer(ctx, actual.Servers[c.Name].ID)
	})
	refused = append(refused, r.leaveUsed()...)
	r.each(ctx, ofKind(plans.KindSubnet), inNetwork, func(ctx context.Context, c plans.Resource) error {
		network, ipRange := splitSubnet(c.Name)
		return p.DeleteSubnet(ctx, actual.Networks[network].ID, fleet.Subnet{IPRange: ipRange})
	})
	r.each(ctx, ofKind(plans.KindNetwork, plans.KindSSHKey), byName, func(ctx context.Context, c plans.Resource) error {
		if c.Kind == plans.KindSSHKey {
			return p.DeleteSSHKey(ctx, actual.SSHKeys[c.Name].ID)
		}
		return p.DeleteNetwork(ctx, actual.Networks[c.Name].ID)
	})
	return r.results, r.err(refused)
}

// contraction gives the part of a change that Contract makes.
func contraction(c plans.Resource) (plans.Resource, bool) {
	if c.Action == plans.Destroy {
		return c, true
	}
	if c.Kind != plans.KindServer || c.Action != plans.Update {
		return plans.Resource{}, false
	}
	c.Attributes = slices.DeleteFunc(slices.Clone(c.Attributes), func(a plans.Attribute) bool { return !detaches(a) })
	return c, len(c.Attributes) > 0
}

func (r *run) detach(ctx context.Context, c plans.Resource) error {
	for _, a := range c.Attributes {
		name := strings.TrimPrefix(a.Name, "networks.")
		if err := r.provider.DetachNetwork(ctx, r.actual.Servers[c.Name].ID, r.actual.Networks[name].ID); err != nil {
			return err
		}
	}
	return nil
}

// leaveUsed refuses networks and subnets that still have servers in them: the
// provider would take the servers out of a network without a word.
func (r *run) leaveUsed() []error {
	out := map[string]bool{}
	for _, result := range r.results {
		if result.Kind != plans.KindServer || !result.Done {
			continue
		}
		if result.Action == plans.Destroy {
			out[result.Name] = true
			continue
		}
		for _, a := range result.Attributes {
			out[result.Name+"/"+strings.TrimPrefix(a.Name, "networks.")] = true
		}
	}
	var refused []error
	for i, result := range r.results {
		var users []string
		switch result.Kind {
		case plans.KindNetwork:
			users = inUse(r.actual, result.Name, "", out)
		case plans.KindSubnet:
			network, ipRange := splitSubnet(result.Name)
			users = inUse(r.actual, network, ipRange, out)
		case plans.KindServer, plans.KindSSHKey:
		}
		if len(users) > 0 && result.Error == "" {
			reason := stillInUse(result.Resource, users)
			r.results[i].Error = reason.Error()
			refused = append(refused, reason)
		}
	}
	return refused
}
