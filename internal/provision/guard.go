package provision

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Check tells, before anything is touched, what Expand and Contract would
// refuse: one Problem (code Refused) each, joined; nil if nothing.
func Check(desired fleet.Fleet, actual fleet.Account, o Options) error {
	var refused []error
	for _, r := range Diff(desired, actual, o) {
		if p := o.refuses(r, desired, actual); p != nil {
			refused = append(refused, p)
		}
	}
	return errors.Join(append(refused, o.addressesHeld(desired, actual)...)...)
}

// addressesHeld refuses servers that want a private address that another
// server has: it would be noticed only after the server was bought.
func (o Options) addressesHeld(desired fleet.Fleet, actual fleet.Account) []error {
	replaced := map[string]bool{}
	for name, n := range desired.Networks {
		have, exists := actual.Networks[name]
		replaced[name] = exists && !samePrefix(n.IPRange, have.IPRange) && !widens(have.IPRange, n.IPRange)
	}
	var refused []error
	for _, name := range sorted(desired.Servers) {
		held := addressHeld(name, desired, actual, replaced)
		if held == "" {
			continue
		}
		refused = append(refused, &problem.Problem{
			Summary: fmt.Sprintf("server %q cannot have its private address yet: %s", name, held),
			Detail:  "New servers and attachments come first; what is detached or destroyed comes last, when the hosts are well.",
			Hints: []string{fmt.Sprintf(
				"Give %q another address, or take two deploys: first one that frees the address (%s, with --allow-destroy if the other server goes), then this one.", name, o.command())},
			Code: problem.Refused,
		})
	}
	return refused
}

// refuses gives the reason why a change must not be made, nil if it may.
func (o Options) refuses(r plans.Resource, desired fleet.Fleet, actual fleet.Account) *problem.Problem {
	if r.Action != plans.Destroy && r.Action != plans.Replace {
		return nil
	}
	what := fmt.Sprintf("%s %q would be %s", kindName(r.Kind), r.Name, participle(r.Action))
	if o.Shown != nil && !o.shown(r) {
		return &problem.Problem{
			Summary: what + ", which no plan has shown",
			Hints:   []string{"Look at the plan again (flotilla plan), then deploy it."},
			Code:    problem.Refused,
		}
	}
	if r.Kind == plans.KindServer && protected(r, desired, actual) {
		return &problem.Problem{
			Summary: what + ", but delete_protection is on",
			Detail:  "Its disk would be lost.",
			Hints: []string{
				fmt.Sprintf("If that is meant: set delete_protection: false for it in flotilla.yaml and deploy; then make this change and run: %s --allow-destroy %s", o.command(), r.Name),
			},
			Code: problem.Refused,
		}
	}
	guarded := r.Kind == plans.KindServer || r.Kind == plans.KindNetwork
	if !guarded || slices.Contains(o.AllowDestroy, r.Name) {
		return nil
	}
	p := &problem.Problem{
		Summary: what + ", which nobody has allowed",
		Detail:  "Its disk and all data on it would be lost.",
		Hints:   []string{fmt.Sprintf("If that is meant, run: %s --allow-destroy %s", o.command(), r.Name)},
		Code:    problem.Refused,
	}
	if r.Kind == plans.KindNetwork {
		p.Detail = "Every server in it would lose its private address."
	}
	for _, a := range r.Attributes {
		if a.Forces {
			p.Detail += fmt.Sprintf("\n%s %s → %s cannot be had in place.", a.Name, a.Old, a.New)
		}
	}
	return p
}

func (o Options) shown(r plans.Resource) bool {
	return slices.ContainsFunc(o.Shown, func(s plans.Resource) bool {
		return s.Kind == r.Kind && s.Name == r.Name && (s.Action == r.Action || s.Action == plans.Destroy)
	})
}

// protected: what flotilla.yaml says counts while the server is in it, else
// what the provider has.
func protected(r plans.Resource, desired fleet.Fleet, actual fleet.Account) bool {
	if s, ok := desired.Servers[r.Name]; ok {
		return s.DeleteProtection
	}
	return actual.Servers[r.Name].DeleteProtection
}

func participle(a plans.Action) string {
	return map[plans.Action]string{
		plans.Create: "created", plans.Update: "changed", plans.Replace: "replaced", plans.Destroy: "destroyed",
	}[a]
}

func kindName(k plans.ResourceKind) string {
	return strings.ReplaceAll(strings.Replace(string(k), "ssh_key", "SSH key", 1), "_", " ")
}

// inUse names the servers that are still in a network, or in one subnet of it
// if ipRange is not "". out holds servers that are gone, and <server>/<network>
// that were detached.
func inUse(actual fleet.Account, network, ipRange string, out map[string]bool) []string {
	var users []string
	for _, name := range sorted(actual.Servers) {
		address, attached := actual.Servers[name].Networks[network]
		if !attached || out[name] || out[name+"/"+network] {
			continue
		}
		if ipRange != "" {
			p, errP := netip.ParsePrefix(ipRange)
			a, errA := netip.ParseAddr(address)
			if errP != nil || errA != nil || !p.Contains(a) {
				continue
			}
		}
		users = append(users, name)
	}
	return users
}

func stillInUse(r plans.Resource, users []string) *problem.Problem {
	return &problem.Problem{
		Summary: fmt.Sprintf("%s %q is left in place: %s still in it", kindName(r.Kind), r.Name, strings.Join(users, ", ")),
		Hints:   []string{"Destroy or detach what is in it first; the reason why that has not happened stands above."},
		Code:    problem.Refused,
	}
}
