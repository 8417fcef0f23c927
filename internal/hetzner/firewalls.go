package hetzner

import (
	"context"
	"fmt"
	"net"
	"slices"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func describeFirewall(f *hcloud.Firewall) meta {
	return meta{id: f.ID, name: f.Name, labels: f.Labels}
}

func (c *Client) firewalls() kind {
	api := &c.api.Firewall
	ref := func(id int64) *hcloud.Firewall { return &hcloud.Firewall{ID: id} }
	return kind{
		noun: "firewall", get: by(api.GetByID, describeFirewall), named: by(api.GetByName, describeFirewall),
		running: runningOf(api.Action.ListFor, ref),
		update: func(ctx context.Context, id int64, name string, labels map[string]string) (*hcloud.Response, error) {
			_, resp, err := api.Update(ctx, ref(id), hcloud.FirewallUpdateOpts{Name: name, Labels: labels})
			return resp, err
		},
		remove: func(ctx context.Context, id int64) ([]*hcloud.Action, *hcloud.Response, error) {
			return none(api.Delete(ctx, ref(id)))
		},
	}
}

// CreateFirewall makes a firewall with its rules and label selectors.
func (c *Client) CreateFirewall(ctx context.Context, name string, f fleet.Firewall) (int64, error) {
	rules, err := hcloudRules(f.Rules)
	if err != nil {
		return 0, err
	}
	opts := hcloud.FirewallCreateOpts{Name: name, Labels: c.owned(f.Labels), Rules: rules}
	for _, selector := range f.ApplyTo {
		opts.Labels[selectorLabel(selector)] = ""
		opts.ApplyTo = append(opts.ApplyTo, firewallResource(fleet.FirewallTarget{LabelSelector: selector}))
	}
	id, _, err := c.create(ctx, c.firewalls(), name, func(ctx context.Context) (int64, []*hcloud.Action, *hcloud.Response, error) {
		made, resp, err := c.api.Firewall.Create(ctx, opts)
		if err != nil {
			return 0, nil, resp, err
		}
		return made.Firewall.ID, made.Actions, resp, nil
	})
	return id, err
}

// SetRules replaces a firewall's rules.
func (c *Client) SetRules(ctx context.Context, firewall int64, rules []fleet.FirewallRule) error {
	all, err := hcloudRules(rules)
	if err != nil {
		return err
	}
	return c.setRules(ctx, fmt.Sprintf("setting the rules of firewall %d", firewall), firewall, all)
}

func (c *Client) setRules(ctx context.Context, what string, firewall int64, rules []hcloud.FirewallRule) error {
	return c.act(ctx, request{what: what, on: c.firewalls(), id: firewall}, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return c.api.Firewall.SetRules(ctx, &hcloud.Firewall{ID: firewall}, hcloud.FirewallSetRulesOpts{Rules: rules})
	})
}

// renameFirewall makes sure that the rules survive the new name, of which users
// report that they did not.
func (c *Client) renameFirewall(ctx context.Context, what string, id int64, name string) error {
	before, err := c.firewall(ctx, what, id)
	if err != nil || before == nil {
		return err
	}
	var after *hcloud.Firewall
	err = c.call(ctx, request{what: what}, func(ctx context.Context) (*hcloud.Response, error) {
		updated, resp, err := c.api.Firewall.Update(ctx, before, hcloud.FirewallUpdateOpts{Name: name})
		after = updated
		return resp, err
	})
	if err != nil {
		return c.renamed(ctx, c.firewalls(), what, name, err)
	}
	if len(after.Rules) < len(before.Rules) {
		return c.setRules(ctx, what, id, before.Rules)
	}
	return nil
}

func (c *Client) firewall(ctx context.Context, what string, id int64) (*hcloud.Firewall, error) {
	return lookUp(ctx, c, what, func(ctx context.Context) (*hcloud.Firewall, *hcloud.Response, error) {
		return c.api.Firewall.GetByID(ctx, id)
	})
}

// ApplyFirewall applies a firewall to a server or to all that a label selector
// finds.
func (c *Client) ApplyFirewall(ctx context.Context, firewall int64, to fleet.FirewallTarget) error {
	what := fmt.Sprintf("applying firewall %d to %s", firewall, targetText(to))
	if to.LabelSelector != "" {
		if _, err := c.mark(ctx, c.firewalls(), what, firewall, selectorLabel(to.LabelSelector)); err != nil {
			return err
		}
	}
	return c.changeFirewall(ctx, what, firewall,
		func(f *hcloud.Firewall) bool { return f != nil && applies(f, to) },
		func(ctx context.Context, f *hcloud.Firewall) ([]*hcloud.Action, *hcloud.Response, error) {
			return c.api.Firewall.ApplyResources(ctx, f, []hcloud.FirewallResource{firewallResource(to)})
		})
}

// RemoveFirewall takes a firewall off a server, or off a label selector.
func (c *Client) RemoveFirewall(ctx context.Context, firewall int64, from fleet.FirewallTarget) error {
	what := fmt.Sprintf("taking firewall %d off %s", firewall, targetText(from))
	err := c.changeFirewall(ctx, what, firewall,
		func(f *hcloud.Firewall) bool { return f == nil || !applies(f, from) },
		func(ctx context.Context, f *hcloud.Firewall) ([]*hcloud.Action, *hcloud.Response, error) {
			return c.api.Firewall.RemoveResources(ctx, f, []hcloud.FirewallResource{firewallResource(from)})
		})
	if err != nil || from.LabelSelector == "" {
		return err
	}
	return c.unmark(ctx, c.firewalls(), what, firewall, selectorLabel(from.LabelSelector))
}

func (c *Client) changeFirewall(ctx context.Context, what string, id int64, done func(*hcloud.Firewall) bool,
	send func(context.Context, *hcloud.Firewall) ([]*hcloud.Action, *hcloud.Response, error),
) error {
	r := request{what: what, on: c.firewalls(), id: id, settled: func(ctx context.Context) (bool, error) {
		f, err := c.firewall(ctx, what, id)
		return err == nil && done(f), err
	}}
	return c.act(ctx, r, func(ctx context.Context) ([]*hcloud.Action, *hcloud.Response, error) {
		return send(ctx, &hcloud.Firewall{ID: id})
	})
}

func targetText(t fleet.FirewallTarget) string {
	if t.LabelSelector != "" {
		return fmt.Sprintf("the servers with %q", t.LabelSelector)
	}
	return fmt.Sprintf("server %d", t.Server)
}

func firewallResource(t fleet.FirewallTarget) hcloud.FirewallResource {
	if t.LabelSelector != "" {
		return hcloud.FirewallResource{
			Type: hcloud.FirewallResourceTypeLabelSelector, LabelSelector: &hcloud.FirewallResourceLabelSelector{Selector: t.LabelSelector},
		}
	}
	return hcloud.FirewallResource{Type: hcloud.FirewallResourceTypeServer, Server: &hcloud.FirewallResourceServer{ID: t.Server}}
}

// applies tells whether a firewall names the target itself.
func applies(f *hcloud.Firewall, to fleet.FirewallTarget) bool {
	return slices.ContainsFunc(f.AppliedTo, func(r hcloud.FirewallResource) bool {
		if to.LabelSelector != "" {
			return r.LabelSelector != nil && r.LabelSelector.Selector == to.LabelSelector
		}
		return r.Type == hcloud.FirewallResourceTypeServer && r.Server != nil && r.Server.ID == to.Server
	})
}

func hcloudRules(rules []fleet.FirewallRule) ([]hcloud.FirewallRule, error) {
	all := []hcloud.FirewallRule{}
	for _, r := range rules {
		rule := hcloud.FirewallRule{Direction: hcloud.FirewallRuleDirection(r.Direction), Protocol: hcloud.FirewallRuleProtocol(r.Protocol)}
		if r.Port != "" {
			rule.Port = &r.Port
		}
		if r.Description != "" {
			rule.Description = &r.Description
		}
		var err error
		if rule.SourceIPs, err = ranges(r.SourceIPs); err != nil {
			return nil, err
		}
		if rule.DestinationIPs, err = ranges(r.DestinationIPs); err != nil {
			return nil, err
		}
		all = append(all, rule)
	}
	return all, nil
}

func ranges(texts []string) ([]net.IPNet, error) {
	var all []net.IPNet
	for _, text := range texts {
		ipRange, err := cidr(text)
		if err != nil {
			return nil, err
		}
		all = append(all, *ipRange)
	}
	return all, nil
}

func fleetRules(rules []hcloud.FirewallRule) []fleet.FirewallRule {
	texts := func(ranges []net.IPNet) []string {
		var all []string
		for _, r := range ranges {
			all = append(all, r.String())
		}
		return all
	}
	all := []fleet.FirewallRule{}
	for _, r := range rules {
		rule := fleet.FirewallRule{
			Direction: string(r.Direction), Protocol: string(r.Protocol), SourceIPs: texts(r.SourceIPs), DestinationIPs: texts(r.DestinationIPs),
		}
		if r.Port != nil {
			rule.Port = *r.Port
		}
		if r.Description != nil {
			rule.Description = *r.Description
		}
		all = append(all, rule)
	}
	return all
}
