package provision

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// Adopter takes a resource over: it writes the label of ownership, and those
// of the parts that have no labels of their own ("subnet.10.0.1.0/24",
// "route.…", "service.443", "target.ip=…", "target.label_selector=…",
// "selector.…", "rdns.ipv4"), and touches nothing else.
type Adopter interface {
	Adopt(ctx context.Context, kind plans.ResourceKind, id int64, parts []string) error
	SetDeletionLabels(ctx context.Context, server int64, shutdown, snapshot bool) error // as in Provider
}

// Adopt makes resources that no fleet owns (Account.Unmanaged) this fleet's, by
// the names under which flotilla.yaml declares them, or by section and name
// ("volumes/db"). It touches nothing but labels. If one of the names cannot be
// taken over, none is.
func Adopt(ctx context.Context, p Adopter, desired fleet.Fleet, actual fleet.Account, names []string, sink progress.Sink) (
	[]plans.ResourceResult, error,
) {
	var found []adoptee
	var failed []error
	for _, name := range names {
		all, err := adoptees(desired, actual, name)
		found, failed = append(found, all...), append(failed, err)
	}
	if err := errors.Join(failed...); err != nil {
		return nil, err
	}
	var results []plans.ResourceResult
	var err error // the first one, after which nothing begins
	for _, a := range found {
		result := plans.ResourceResult{Resource: plans.Resource{
			Kind: a.kind, Name: a.name, Action: plans.Update, Risks: []plans.Risk{},
			Attributes: []plans.Attribute{known("fleet", "", desired.Name)}, Note: "taken over as it is",
		}}
		if ctx.Err() != nil && err == nil {
			err = &problem.Problem{Summary: "interrupted", Cause: ctx.Err(), Code: problem.Cancelled}
		}
		if err == nil {
			err = progress.For(sink, a.String()).Do(progress.Provision, func() error { return a.adopt(ctx, p, desired) })
			result.Done = err == nil
			if err != nil {
				result.Error = err.Error()
			}
		}
		results = append(results, result)
	}
	return results, err
}

type adoptee struct {
	ref
	id    int64
	parts []string
}

// adopt also writes what is only known to flotilla.yaml and labels: it would
// show as a change otherwise.
func (a adoptee) adopt(ctx context.Context, p Adopter, desired fleet.Fleet) error {
	if err := p.Adopt(ctx, a.kind, a.id, a.parts); err != nil {
		return err
	}
	s := desired.Servers[a.name]
	if a.kind != plans.KindServer || !s.ShutdownBeforeDeletion && !s.SnapshotBeforeDestroy {
		return nil
	}
	return p.SetDeletionLabels(ctx, a.id, s.ShutdownBeforeDeletion, s.SnapshotBeforeDestroy)
}

// adoptees finds what a name means.
func adoptees(desired fleet.Fleet, actual fleet.Account, name string) ([]adoptee, error) {
	wanted, bare := "", name
	if s, rest, ok := strings.Cut(name, "/"); ok {
		wanted, bare = s, rest
	}
	var found []adoptee
	declared, owner := false, ""
	ours := ids(actual)
	for _, k := range kinds() {
		r := ref{k, bare}
		if wanted != "" && wanted != section(k) || !declares(desired, r) {
			continue
		}
		declared = true
		if _, mine := ours[r]; mine {
			owner = desired.Name
		}
		for _, u := range actual.Unmanaged {
			switch {
			case u.Section != section(k) || u.Name != bare:
			case u.Fleet != "":
				owner = u.Fleet
			default:
				found = append(found, adoptee{r, u.ID, parts(desired, r)})
			}
		}
	}
	switch {
	case len(found) > 0:
		return found, nil
	case !declared:
		return nil, adoptProblem(name, "flotilla.yaml does not declare it", "Declare it as it is (flotilla import terraform helps), then adopt it.")
	case owner == desired.Name:
		return nil, nil // it is the fleet's already
	case owner != "":
		return nil, adoptProblem(name, fmt.Sprintf("it belongs to the fleet %q", owner), "Take it out of that fleet first.")
	}
	return nil, adoptProblem(name, "the project has nothing of that name", "Check the name in the Cloud Console: names must be the same there and in flotilla.yaml.")
}

func adoptProblem(name, why, hint string) error {
	return &problem.Problem{Summary: fmt.Sprintf("%q cannot be adopted: %s", name, why), Hints: []string{hint}, Code: problem.Refused}
}

// declares tells whether flotilla.yaml declares a resource as the fleet's own.
func declares(f fleet.Fleet, r ref) bool {
	switch r.kind {
	case plans.KindSSHKey:
		x, ok := f.SSHKeys[r.name]
		return ok && !x.Existing
	case plans.KindNetwork:
		x, ok := f.Networks[r.name]
		return ok && !x.Existing
	case plans.KindServer:
		_, ok := f.Servers[r.name]
		return ok
	case plans.KindFirewall:
		x, ok := f.Firewalls[r.name]
		return ok && !x.Existing
	case plans.KindPlacementGroup:
		x, ok := f.PlacementGroups[r.name]
		return ok && !x.Existing
	case plans.KindVolume:
		x, ok := f.Volumes[r.name]
		return ok && !x.Existing
	case plans.KindPrimaryIP:
		x, ok := f.PrimaryIPs[r.name]
		return ok && !x.Existing
	case plans.KindLoadBalancer:
		_, ok := f.LoadBalancers[r.name]
		return ok
	case plans.KindSubnet, plans.KindRoute:
	}
	return false
}

// parts names the declared parts of a resource that have no labels of their own.
func parts(f fleet.Fleet, r ref) []string {
	var all []string
	names := func(ptr map[string]string) {
		for _, address := range sorted(ptr) {
			all = append(all, "rdns."+address)
		}
	}
	switch r.kind {
	case plans.KindNetwork:
		for _, s := range f.Networks[r.name].Subnets {
			all = append(all, "subnet."+s.IPRange)
		}
		for _, route := range f.Networks[r.name].Routes {
			all = append(all, "route."+route.Destination)
		}
	case plans.KindFirewall:
		for _, s := range f.Firewalls[r.name].ApplyTo {
			all = append(all, "selector."+s)
		}
	case plans.KindServer:
		names(f.Servers[r.name].DNSPtr)
	case plans.KindPrimaryIP:
		names(f.PrimaryIPs[r.name].DNSPtr)
	case plans.KindLoadBalancer:
		for _, s := range f.LoadBalancers[r.name].Services {
			all = append(all, "service."+strconv.Itoa(s.ListenPort))
		}
		for _, t := range f.LoadBalancers[r.name].Targets {
			switch {
			case t.LabelSelector != "":
				all = append(all, "target.label_selector="+t.LabelSelector)
			case t.IP != "":
				all = append(all, "target.ip="+t.IP)
			}
		}
		names(f.LoadBalancers[r.name].DNSPtr)
	case plans.KindSSHKey, plans.KindPlacementGroup, plans.KindVolume, plans.KindSubnet, plans.KindRoute:
	}
	return all
}
