package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/hetzner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// readCatalog reads prices and what is sold. Without them a plan is still
// whole, so a failure is a warning.
func (s *sight) readCatalog(ctx context.Context, client *hetzner.Client) {
	catalog, err := client.Catalog(ctx)
	if err != nil {
		s.warnings = append(s.warnings, plans.Gap{Subject: "prices", Text: "Not known: " + oneLine(err)})
		return
	}
	s.catalog = &catalog
}

// prices gives the catalog, the zero value when it is not known.
func (s *sight) prices() fleet.Catalog {
	if s.catalog == nil {
		return fleet.Catalog{}
	}
	return *s.catalog
}

// cost gives the monthly price of two states, nil when prices are not known.
func (s *sight) cost(before, after fleet.Fleet) *plans.Cost {
	if s.catalog == nil {
		return nil
	}
	c := plans.Cost{Currency: s.catalog.Currency}
	c.Before, _ = provision.Cost(before, s.account, *s.catalog)
	c.After, _ = provision.Cost(after, s.account, *s.catalog)
	return &c
}

// worthKnowing gives warnings about what a fleet declares and what exists.
func (s *sight) worthKnowing(f fleet.Fleet) []plans.Gap {
	if !s.looked {
		return nil
	}
	catalog := s.prices()
	var gaps []plans.Gap
	if s.catalog != nil {
		if _, unpriced := provision.Cost(f, s.account, catalog); len(unpriced) > 0 {
			gaps = append(gaps, plans.Gap{Subject: "prices", Text: "The provider tells no price for: " + strings.Join(unpriced, ", ") + ". The monthly price leaves them out."})
		}
	}
	account := s.account
	account.Unmanaged = nil // told in one line
	gaps = append(gaps, provision.Warnings(f, account, catalog)...)
	if line := unmanaged(f, s.account); line != "" {
		gaps = append(gaps, plans.Gap{Subject: "account", Text: line})
	}
	return gaps
}

// unmanaged tells in one line of what is in the project and declared by no
// fleet. What has a declared name is a clash and told as one.
func unmanaged(f fleet.Fleet, account fleet.Account) string {
	names := map[string][]string{}
	for _, u := range account.Unmanaged {
		if u.Fleet == "" && !declares(f, u.Section, u.Name) {
			names[u.Section] = append(names[u.Section], u.Name)
		}
	}
	var parts []string
	for _, section := range slices.Sorted(maps.Keys(names)) {
		all := names[section]
		slices.Sort(all)
		what := nouns(section)
		if len(all) == 1 {
			what = strings.TrimSuffix(what, "s")
		}
		shown := all[:min(len(all), 3)]
		some := strings.Join(shown, ", ")
		if len(shown) < len(all) {
			some += ", …"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%s)", len(all), what, some))
	}
	if len(parts) == 0 {
		return ""
	}
	return "The project also has what no fleet declares, and nothing touches: " + strings.Join(parts, ", ") + "."
}

// catalog gives what the provider sells, which decides what is possible in
// place. Without it everything counts as possible, and the provider refuses.
func (f *Flow) catalog(ctx context.Context, client *hetzner.Client) fleet.Catalog {
	s := sight{}
	s.readCatalog(ctx, client)
	for _, w := range s.warnings {
		f.progress().Note(progress.Provision, w.Subject+": "+w.Text)
	}
	return s.prices()
}

// price tells what a deploy does to the monthly bill, and what is worth knowing.
func (f *Flow) price(ctx context.Context, client *hetzner.Client, desired fleet.Fleet, actual fleet.Account) (*plans.Cost, []plans.Gap) {
	s := sight{account: actual, looked: true}
	s.readCatalog(ctx, client)
	return s.cost(standing(actual), desired), append(s.warnings, s.worthKnowing(desired)...)
}

// standing gives what exists in the words of what is declared, as far as it
// has a price.
func standing(actual fleet.Account) fleet.Fleet {
	f := fleet.Fleet{
		Servers: map[string]fleet.Server{}, Volumes: map[string]fleet.Volume{},
		PrimaryIPs: map[string]fleet.PrimaryIP{}, LoadBalancers: map[string]fleet.LoadBalancer{},
	}
	for name, s := range actual.Servers {
		f.Servers[name] = fleet.Server{
			ServerType: s.ServerType, Locations: []string{s.Location}, Backups: s.Backups,
			PublicNet: fleet.PublicNet{
				EnableIPv4: s.IPv4 != "", EnableIPv6: s.IPv6 != "",
				IPv4: s.PublicNet.IPv4Name, IPv6: s.PublicNet.IPv6Name,
			},
		}
	}
	for name, v := range actual.Volumes {
		f.Volumes[name] = fleet.Volume{Size: v.Size, Location: v.Location, Existing: !v.Owned}
	}
	for name, p := range actual.PrimaryIPs {
		f.PrimaryIPs[name] = fleet.PrimaryIP{Type: p.Type, Location: p.Location, Existing: !p.Owned}
	}
	for name, b := range actual.LoadBalancers {
		f.LoadBalancers[name] = fleet.LoadBalancer{Type: b.Type, Location: b.Location}
	}
	return f
}
