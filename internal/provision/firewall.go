package provision

import (
	"context"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// firewall compares a firewall's own side: rules and selectors. Which servers
// it is on is their attribute.
func (d *comparison) firewall(name string, want fleet.Firewall) {
	if want.Existing {
		return
	}
	have, there := d.actual.Firewalls[name]
	if !there {
		d.add(d.createFirewall(name, want))
		return
	}
	c := d.begin(plans.KindFirewall, name)
	firewallRules(c, have.Rules, want.Rules)
	selectors(c, have.ApplyTo, want.ApplyTo)
	d.labels(c, have.Labels, want.Labels)
	d.add(c)
}

func (d *comparison) createFirewall(name string, want fleet.Firewall) *change {
	c := &change{Resource: plans.Resource{Kind: plans.KindFirewall, Name: name, Action: plans.Create}}
	var attributes []plans.Attribute
	for _, rule := range want.Rules {
		attributes = append(attributes, known("rules", "", ruleText(rule)))
	}
	for _, s := range want.ApplyTo {
		attributes = append(attributes, known("apply_to", "", s))
	}
	if len(want.ApplyTo) > 0 {
		c.risk(plans.RiskAccess)
	}
	c.setAll(append(attributes, newLabels(want.Labels)...), step{
		after: []string{nameFree(plans.KindFirewall, name)}, gives: []string{made(plans.KindFirewall, name)},
		do: func(ctx context.Context, r *run) error {
			id, err := r.provider.CreateFirewall(ctx, name, want)
			return r.made(plans.KindFirewall, name, id, err)
		},
	})
	return c
}

// firewallRules lets through what old or new rules let through while hosts
// change, and only afterwards no more than the new ones.
func firewallRules(c *change, have, want []fleet.FirewallRule) {
	gained, lost := withoutRules(want, have), withoutRules(have, want)
	if len(gained)+len(lost) == 0 {
		return
	}
	var attributes []plans.Attribute
	for _, rule := range gained {
		attributes = append(attributes, known("rules", "", ruleText(rule)))
		c.risk(ruleRisk(rule, true))
	}
	for _, rule := range lost {
		attributes = append(attributes, known("rules", ruleText(rule), ""))
		c.risk(ruleRisk(rule, false))
	}
	set := func(ph phase, rules []fleet.FirewallRule) step {
		return step{phase: ph, do: func(ctx context.Context, r *run) error {
			return r.provider.SetRules(ctx, r.id(plans.KindFirewall, c.Name), rules)
		}}
	}
	var steps []step
	wide := widest(have, want)
	if !sameRules(wide, have) {
		steps = append(steps, set(expand, wide))
	}
	if !sameRules(wide, want) {
		steps = append(steps, set(contract, want))
	}
	c.setAll(attributes, steps...)
}

func ruleRisk(rule fleet.FirewallRule, gained bool) plans.Risk {
	if (rule.Direction == "in") == gained {
		return plans.RiskPort
	}
	return plans.RiskAccess
}

// selectors compares the label selectors of servers that the firewall is on.
func selectors(c *change, have, want []string) {
	for _, s := range want {
		if !slices.Contains(have, s) {
			c.risk(plans.RiskAccess)
			c.set(known("apply_to", "", s), step{do: func(ctx context.Context, r *run) error {
				return r.provider.ApplyFirewall(ctx, r.id(plans.KindFirewall, c.Name), fleet.FirewallTarget{LabelSelector: s})
			}})
		}
	}
	for _, s := range have {
		if !slices.Contains(want, s) {
			c.risk(plans.RiskPort)
			c.set(known("apply_to", s, ""), removeSelector(c.Name, s))
		}
	}
}

func removeSelector(firewall, selector string) step {
	return step{phase: contract, do: func(ctx context.Context, r *run) error {
		return r.provider.RemoveFirewall(ctx, r.id(plans.KindFirewall, firewall), fleet.FirewallTarget{LabelSelector: selector})
	}}
}

func (d *comparison) destroyFirewall(name string, have fleet.AccountFirewall) {
	if !have.Owned {
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindFirewall, Name: name, Action: plans.Destroy}}
	c.risk(plans.RiskDestroy, plans.RiskPort)
	if others := slices.Concat(have.ForeignServers, have.ForeignApplyTo); len(others) > 0 {
		c.refuse("it is applied to "+strings.Join(others, ", ")+", which is not the fleet's",
			"Take it off there first, or keep it.")
	}
	for _, s := range have.ApplyTo {
		c.set(known("apply_to", s, ""), removeSelector(name, s))
	}
	var attributes []plans.Attribute
	for _, rule := range have.Rules {
		attributes = append(attributes, known("rules", ruleText(rule), ""))
	}
	del := remove(plans.KindFirewall, name, contract, false)
	del.after = []string{unapplied(name)}
	c.setAll(attributes, del)
	d.add(c)
}
