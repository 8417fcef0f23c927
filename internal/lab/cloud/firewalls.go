package cloud

import (
	"fmt"
	"net/http"
	"slices"
	"unicode/utf8"
)

const (
	maxFirewalls          = 50
	maxFirewallName       = 128
	maxFirewallsPerServer = 5
)

// Firewall is a list of rules and what they hold for. The lab keeps it, but
// filters nothing: its machines have one interface for all.
type Firewall struct {
	Meta
	Rules     []FirewallRule `json:"rules"`
	Servers   []int64        `json:"servers"`   // those that were named, not those that a selector finds
	Selectors []string       `json:"selectors"` // label selectors over servers
}

func (f *Firewall) subject() Subject { return Subject{ID: f.ID, Type: "firewall"} }

// firewallTarget is what a firewall is applied to, in requests and answers.
type firewallTarget struct {
	Type               string            `json:"type"`
	Server             *targetServer     `json:"server,omitempty"`
	LabelSelector      *targetSelector   `json:"label_selector,omitempty"`
	AppliedToResources *[]firewallTarget `json:"applied_to_resources,omitempty"` // in answers, for a selector
}

type targetServer struct {
	ID int64 `json:"id"`
}

type targetSelector struct {
	Selector string `json:"selector"`
}

func (f *Firewall) wire(o *objects) any {
	on := func(id int64) firewallTarget {
		return firewallTarget{Type: "server", Server: &targetServer{id}}
	}
	applied := []firewallTarget{}
	for _, id := range f.Servers {
		applied = append(applied, on(id))
	}
	for _, selector := range f.Selectors {
		found := []firewallTarget{}
		for _, s := range o.selected(selector) {
			found = append(found, on(s.ID))
		}
		applied = append(applied, firewallTarget{Type: "label_selector", LabelSelector: &targetSelector{selector}, AppliedToResources: &found})
	}
	return struct {
		Meta
		Rules     []FirewallRule   `json:"rules"`
		AppliedTo []firewallTarget `json:"applied_to"`
	}{f.Meta, append([]FirewallRule{}, f.Rules...), applied}
}

// selected gives the servers that a firewall's selector finds: a server without
// a public interface has nothing to filter.
func (o *objects) selected(selector string) []*Server {
	chosen, err := selectLabels(selector)
	if err != nil {
		return nil // it was checked when it came in
	}
	var found []*Server
	for _, s := range o.Servers {
		if s.public() && chosen(s.Labels) {
			found = append(found, s)
		}
	}
	return found
}

// public tells whether a server has a public interface.
func (s *Server) public() bool { return s.IPv4ID != 0 || s.IPv6ID != 0 }

// reaches tells whether the rules hold for a server, named or found.
func (f *Firewall) reaches(s *Server) bool {
	return slices.Contains(f.Servers, s.ID) || s.public() && f.finds(s.Labels)
}

func (f *Firewall) finds(labels map[string]string) bool {
	return slices.ContainsFunc(f.Selectors, func(selector string) bool {
		chosen, err := selectLabels(selector)
		return err == nil && chosen(labels)
	})
}

// serverFirewall is a firewall as a server shows it.
type serverFirewall struct {
	ID     int64  `json:"id"`
	Status string `json:"status"` // applied or pending
}

// firewalls gives the firewalls that hold for a server.
func (s *Server) firewalls(o *objects) []serverFirewall {
	all := []serverFirewall{}
	for _, f := range o.Firewalls {
		if !f.reaches(s) {
			continue
		}
		status := "applied"
		if slices.ContainsFunc(o.Actions, func(a *Action) bool {
			return a.Status == actionRunning && a.about("firewall", f.ID) && a.about("server", s.ID)
		}) {
			status = "pending"
		}
		all = append(all, serverFirewall{f.ID, status})
	}
	return all
}

func firewallKind() kind[*Firewall] {
	k := kind[*Firewall]{
		one: "firewall", many: "firewalls",
		all:  func(o *objects) []*Firewall { return o.Firewalls },
		show: func(o *objects, v *Firewall) any { return v.wire(o) },
		busy: func(q *request, v *Firewall) error {
			if q.obj.running("firewall", v.ID) != nil {
				return fail(http.StatusConflict, "conflict", "the firewall is being changed")
			}
			return nil
		},
		update: func(q *request, _ *Firewall) error {
			var body struct {
				Name *string `json:"name"`
			}
			if err := q.decode(&body); err != nil || body.Name == nil {
				return err
			}
			return checkFirewallName(*body.Name)
		},
		remove: func(q *request, v *Firewall) (reply, error) {
			if len(v.Servers) > 0 || len(v.Selectors) > 0 {
				return reply{}, fail(http.StatusUnprocessableEntity, "resource_in_use", fmt.Sprintf("firewall with ID '%d' is still in use", v.ID))
			}
			q.obj.Firewalls = without(q.obj.Firewalls, v)
			return reply{status: http.StatusNoContent}, nil
		},
		actions: map[string]func(*request, *Firewall) (reply, error){
			"set_rules": setFirewallRules, "apply_to_resources": applyFirewall, "remove_from_resources": withdrawFirewall,
		},
	}
	k.create = func(q *request) (reply, error) { return createFirewall(q, k) }
	return k
}

func checkFirewallName(name string) error {
	if utf8.RuneCountInString(name) > maxFirewallName {
		return invalid("name", "must have at most %d characters", maxFirewallName)
	}
	return nil
}

func createFirewall(q *request, k kind[*Firewall]) (reply, error) {
	var body struct {
		Name    string            `json:"name"`
		Labels  map[string]string `json:"labels"`
		Rules   []FirewallRule    `json:"rules"`
		ApplyTo []firewallTarget  `json:"apply_to"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if len(q.obj.Firewalls) >= maxFirewalls {
		return reply{}, exceeded("there can be %d firewalls", maxFirewalls)
	}
	if err := checkFirewallName(body.Name); err != nil {
		return reply{}, err
	}
	rules, err := checkRules(body.Rules)
	if err != nil {
		return reply{}, err
	}
	v := &Firewall{Rules: rules}
	if err := v.checkTargets(q.obj, "apply_to", body.ApplyTo); err != nil {
		return reply{}, err
	}
	if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
		return reply{}, err
	}
	q.obj.Firewalls = append(q.obj.Firewalls, v)
	actions := []Action{}
	if len(rules) > 0 {
		actions = q.begin(job{command: "set_firewall_rules", about: []Subject{v.subject()}, locks: []Subject{v.subject()}})
	}
	actions = append(actions, v.apply(q, body.ApplyTo)...)
	return reply{http.StatusCreated, map[string]any{"firewall": v.wire(q.obj), "actions": actions}}, nil
}

// setFirewallRules replaces all rules, and tells every server of it.
func setFirewallRules(q *request, v *Firewall) (reply, error) {
	var body struct {
		Rules *[]FirewallRule `json:"rules"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Rules == nil {
		return reply{}, invalid("rules", "is required, and may be empty")
	}
	rules, err := checkRules(*body.Rules)
	if err != nil {
		return reply{}, err
	}
	actions := q.begin(job{
		command: "set_firewall_rules", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Rules = rules
			}
		},
	})
	for _, s := range q.obj.Servers {
		if v.reaches(s) {
			actions = append(actions, q.begin(job{
				command: "apply_firewall", about: []Subject{v.subject(), s.subject()}, locks: []Subject{v.subject()},
			})...)
		}
	}
	return reply{http.StatusCreated, map[string]any{"actions": actions}}, nil
}

// checkTargets refuses targets that cannot be given to the firewall.
func (f *Firewall) checkTargets(o *objects, field string, targets []firewallTarget) error {
	already := func(what string) error {
		return fail(http.StatusUnprocessableEntity, "firewall_already_applied", "firewall is already applied to "+what)
	}
	var servers []int64
	selectors := slices.Clone(f.Selectors)
	for _, t := range targets {
		s, err := t.resolve(o, field)
		if err != nil {
			return err
		}
		if s == nil {
			if slices.Contains(selectors, t.LabelSelector.Selector) {
				return already("label selector " + t.LabelSelector.Selector)
			}
			selectors = append(selectors, t.LabelSelector.Selector)
			continue
		}
		if slices.Contains(f.Servers, s.ID) {
			return already(fmt.Sprintf("server %d", s.ID))
		}
		if slices.Contains(servers, s.ID) {
			return fail(http.StatusUnprocessableEntity, "server_already_added", fmt.Sprintf("server %d is named twice", s.ID))
		}
		if !s.public() {
			return privateOnly(s)
		}
		if err := s.takesFirewalls(o, f); err != nil {
			return err
		}
		servers = append(servers, s.ID)
	}
	return nil
}

// takesFirewalls refuses more firewalls than a server can have.
func (s *Server) takesFirewalls(o *objects, more ...*Firewall) error {
	count := len(more)
	for _, f := range o.Firewalls {
		if !slices.Contains(more, f) && (slices.Contains(f.Servers, s.ID) || f.finds(s.Labels)) {
			count++
		}
	}
	if count > maxFirewallsPerServer {
		return exceeded("a server can have %d firewalls", maxFirewallsPerServer)
	}
	return nil
}

func privateOnly(s *Server) error {
	return fail(http.StatusUnprocessableEntity, "private_net_only_server", "server "+s.Name+" has no public interface")
}

// resolve gives the server that a target names; nil: it is a good selector.
func (t firewallTarget) resolve(o *objects, field string) (*Server, error) {
	switch {
	case t.Type == "server" && t.Server != nil && t.LabelSelector == nil:
		if s := o.server(t.Server.ID); s != nil {
			return s, nil
		}
		return nil, fail(http.StatusNotFound, "firewall_resource_not_found", fmt.Sprintf("server with ID '%d' not found", t.Server.ID))
	case t.Type == "label_selector" && t.LabelSelector != nil && t.Server == nil:
		if t.LabelSelector.Selector == "" {
			return nil, invalid(field, "the label selector is empty")
		}
		_, err := selectLabels(t.LabelSelector.Selector)
		return nil, err
	}
	return nil, invalid(field, "a resource has type server or label_selector, and the object of that name")
}

// apply gives the firewall to checked targets, by one action each.
func (f *Firewall) apply(q *request, targets []firewallTarget) []Action {
	actions := []Action{}
	for _, t := range targets {
		j := job{command: "apply_firewall", about: []Subject{f.subject()}, locks: []Subject{f.subject()}}
		if t.Server != nil {
			f.Servers = append(slices.Clone(f.Servers), t.Server.ID)
			j.about = append(j.about, Subject{ID: t.Server.ID, Type: "server"})
		} else {
			f.Selectors = append(slices.Clone(f.Selectors), t.LabelSelector.Selector)
		}
		j.done = func(_ *objects, err error) {
			if err != nil {
				f.withdraw(t)
			}
		}
		actions = append(actions, q.begin(j)...)
	}
	return actions
}

func (f *Firewall) withdraw(t firewallTarget) {
	if t.Server != nil {
		f.Servers = without(f.Servers, t.Server.ID)
	} else {
		f.Selectors = without(f.Selectors, t.LabelSelector.Selector)
	}
}

func applyFirewall(q *request, v *Firewall) (reply, error) {
	var body struct {
		ApplyTo []firewallTarget `json:"apply_to"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if err := v.checkTargets(q.obj, "apply_to", body.ApplyTo); err != nil {
		return reply{}, err
	}
	return reply{http.StatusCreated, map[string]any{"actions": v.apply(q, body.ApplyTo)}}, nil
}

// withdrawFirewall is remove_from_resources. Until the action ends the firewall
// is in use; what it was not applied to is no error. Here as in applyFirewall the
// Terraform provider sends empty lists too, which is no error either.
func withdrawFirewall(q *request, v *Firewall) (reply, error) {
	var body struct {
		RemoveFrom []firewallTarget `json:"remove_from"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	jobs := []job{}
	for _, t := range body.RemoveFrom {
		s, err := t.resolve(q.obj, "remove_from")
		if err != nil {
			return reply{}, err
		}
		j := job{command: "remove_firewall", about: []Subject{v.subject()}, locks: []Subject{v.subject()}}
		if s != nil {
			if !slices.Contains(v.Servers, s.ID) && v.reaches(s) {
				return reply{}, fail(http.StatusUnprocessableEntity, "firewall_managed_by_label_selector",
					fmt.Sprintf("firewall is applied to server %d by a label selector", s.ID))
			}
			j.about = append(j.about, s.subject())
		}
		j.done = func(_ *objects, err error) {
			if err == nil {
				v.withdraw(t)
			}
		}
		jobs = append(jobs, j)
	}
	actions := []Action{}
	for _, j := range jobs {
		actions = append(actions, q.begin(j)...)
	}
	return reply{http.StatusCreated, map[string]any{"actions": actions}}, nil
}
