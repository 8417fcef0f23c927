package provision

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Check tells, before anything is touched, what Expand and Contract would
// refuse: one Problem (code Refused) each, joined; nil if nothing.
func Check(desired fleet.Fleet, actual fleet.Account, o Options) error {
	d := compare(desired, actual, o)
	refused := slices.Clone(d.refused)
	for _, c := range d.changes {
		refused = append(refused, c.refused...)
	}
	none := func(int) bool { return false }
	for _, ph := range []phase{expand, contract} {
		_, err := graph(d.changes, ph, none)
		refused = append(refused, err)
	}
	return errors.Join(refused...)
}

// refuse says why a change must not be made, whatever is allowed.
func (c *change) refuse(why, hint string) {
	c.refused = append(c.refused, &problem.Problem{
		Summary: fmt.Sprintf("%s %s cannot be %s: %s", kindName(c.Kind), quote(c.Name), participle(c.Action), why),
		Hints:   []string{hint},
		Code:    problem.Refused,
	})
}

// guard refuses what nobody has allowed, and names that are not free.
func (d *comparison) guard() {
	same := map[string]int{} // how many changes need leave, by name
	for _, c := range d.changes {
		if ends(c) && guarded(c.Kind) {
			same[c.Name]++
		}
	}
	for _, c := range d.changes {
		if p := d.nameClash(c); p != nil {
			c.refused = append(c.refused, p)
		}
		if ends(c) {
			if p := d.refuses(c, same[c.Name] > 1); p != nil {
				c.refused = append(c.refused, p)
			}
		}
	}
}

// ends tells whether something is lost with a change.
func ends(c *change) bool {
	return c.Action == plans.Destroy || c.Action == plans.Replace || c.Action == plans.Rebuild
}

// guarded kinds hold data or addresses.
func guarded(k plans.ResourceKind) bool {
	switch k {
	case plans.KindServer, plans.KindVolume, plans.KindNetwork, plans.KindPrimaryIP, plans.KindLoadBalancer:
		return true
	case plans.KindSSHKey, plans.KindSubnet, plans.KindRoute, plans.KindFirewall, plans.KindPlacementGroup:
	}
	return false
}

// refuses gives the reason why a change must not be made, nil if it may.
// ambiguous: another resource of its name would be lost, too.
func (d *comparison) refuses(c *change, ambiguous bool) *problem.Problem {
	o := d.options
	what := fmt.Sprintf("%s %s would be %s", kindName(c.Kind), quote(c.Name), participle(c.Action))
	if o.Shown != nil && !o.shown(c.Resource) {
		return &problem.Problem{
			Summary: what + ", which no plan has shown",
			Hints:   []string{"Look at the plan again (flotilla plan), then deploy it."},
			Code:    problem.Refused,
		}
	}
	if !guarded(c.Kind) {
		return nil
	}
	leave := c.Name
	if ambiguous {
		leave = section(c.Kind) + "/" + c.Name
	}
	if d.protected(c) {
		return &problem.Problem{
			Summary: what + ", but delete_protection is on",
			Detail:  lostText(c),
			Hints: []string{fmt.Sprintf(
				"If that is meant: set delete_protection: false for it in flotilla.yaml and deploy; then make this change and run: %s --allow-destroy %s", o.command(), leave)},
			Code: problem.Refused,
		}
	}
	if slices.Contains(o.AllowDestroy, leave) || slices.Contains(o.AllowDestroy, section(c.Kind)+"/"+c.Name) {
		return nil
	}
	p := &problem.Problem{
		Summary: what + ", which nobody has allowed",
		Detail:  lostText(c),
		Hints:   []string{fmt.Sprintf("If that is meant, run: %s --allow-destroy %s", o.command(), leave)},
		Code:    problem.Refused,
	}
	for _, a := range c.resource().Attributes {
		if a.Forces {
			p.Detail += fmt.Sprintf("\n%s %s → %s cannot be had in place.", a.Name, a.Old, a.New)
		}
	}
	return p
}

func lostText(c *change) string {
	if len(c.Lost) == 0 {
		return ""
	}
	return "Would be lost: " + strings.Join(c.Lost, "; ") + "."
}

func (o Options) shown(r plans.Resource) bool {
	return slices.ContainsFunc(o.Shown, func(s plans.Resource) bool {
		return s.Kind == r.Kind && s.Name == r.Name && severity(s.Action) >= severity(r.Action)
	})
}

// severity orders what ends something by how much it ends.
func severity(a plans.Action) int {
	return slices.Index([]plans.Action{plans.Create, plans.Update, plans.Rebuild, plans.Replace, plans.Destroy}, a)
}

// protected: what flotilla.yaml says counts while the resource is in it, else
// what the provider has.
func (d *comparison) protected(c *change) bool {
	have, want := false, false
	declared := false
	switch c.Kind {
	case plans.KindServer:
		var s fleet.Server
		s, declared = d.desired.Servers[c.Name]
		have, want = d.actual.Servers[c.Name].DeleteProtection, s.DeleteProtection
	case plans.KindVolume:
		var v fleet.Volume
		v, declared = d.desired.Volumes[c.Name]
		have, want = d.actual.Volumes[c.Name].DeleteProtection, v.DeleteProtection
	case plans.KindNetwork:
		var n fleet.Network
		n, declared = d.desired.Networks[c.Name]
		have, want = d.actual.Networks[c.Name].DeleteProtection, n.DeleteProtection
	case plans.KindPrimaryIP:
		var p fleet.PrimaryIP
		p, declared = d.desired.PrimaryIPs[c.Name]
		have, want = d.actual.PrimaryIPs[c.Name].DeleteProtection, p.DeleteProtection
	case plans.KindLoadBalancer:
		var l fleet.LoadBalancer
		l, declared = d.desired.LoadBalancers[c.Name]
		have, want = d.actual.LoadBalancers[c.Name].DeleteProtection, l.DeleteProtection
	case plans.KindSSHKey, plans.KindSubnet, plans.KindRoute, plans.KindFirewall, plans.KindPlacementGroup:
	}
	if declared {
		return want
	}
	return have
}

// nameClash refuses a name that something has which is not this fleet's:
// names are unique in a project.
func (d *comparison) nameClash(c *change) *problem.Problem {
	if c.Kind == plans.KindSubnet || c.Kind == plans.KindRoute || c.Action != plans.Create && d.renamed[c.ref()] == "" {
		return nil
	}
	for _, u := range d.actual.Unmanaged {
		if u.Section != section(c.Kind) || u.Name != c.Name {
			continue
		}
		p := &problem.Problem{
			Summary: fmt.Sprintf("the name %q is taken: the project has %s of that name, which is not this fleet's", c.Name, article(kindName(c.Kind))),
			Detail:  "It belongs to no fleet, so Flotilla leaves it alone.",
			Hints: []string{
				"Give yours another name in flotilla.yaml.",
				"Or take that one over as it is: flotilla adopt " + c.Name,
			},
			Code: problem.Refused,
		}
		if hasExisting(c.Kind) {
			p.Hints = append(p.Hints, "Or refer to it without owning it: existing: true")
		}
		if u.Fleet != "" {
			p.Detail = fmt.Sprintf("It belongs to the fleet %q, so Flotilla leaves it alone.", u.Fleet)
			p.Hints = slices.Delete(p.Hints, 1, 2)
		}
		return p
	}
	return nil
}

// hasExisting tells which kinds can be referred to without owning them.
func hasExisting(k plans.ResourceKind) bool {
	return k != plans.KindServer && k != plans.KindLoadBalancer
}

// fitness refuses servers that could not start or be logged in to.
func (d *comparison) fitness(c *change, name string, want fleet.Server) {
	if c.Action == plans.Update {
		return
	}
	if !want.PublicNet.EnableIPv4 && !want.PublicNet.EnableIPv6 && len(want.Networks) == 0 {
		c.refuse("it has neither a public address nor a network, so it could not start", "Give it one of the two (public_net, networks).")
	}
	if why := unfitUserData(want.UserData); why != "" {
		c.refuse(why, fmt.Sprintf("Change servers.%s.user_data.", name))
	}
}

func participle(a plans.Action) string {
	switch a {
	case plans.Create:
		return "created"
	case plans.Update:
		return "changed"
	case plans.Rebuild:
		return "rebuilt"
	case plans.Replace:
		return "replaced"
	case plans.Destroy:
		return "destroyed"
	}
	return string(a)
}

func article(noun string) string {
	if strings.HasPrefix(noun, "SSH") {
		return "an " + noun
	}
	return "a " + noun
}

func quote(name string) string { return fmt.Sprintf("%q", name) }
