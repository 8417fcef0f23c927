package provision

import (
	"cmp"
	"fmt"
	"math"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// Cost gives the price per month of all that the fleet declares and owns,
// where it stands or would be made, and names what has no price in the catalog.
func Cost(desired fleet.Fleet, actual fleet.Account, c fleet.Catalog) (fleet.Money, []string) {
	b := &bill{catalog: c}
	b.desired = desired
	b.actual, _, _ = moved(desired, actual)
	each(desired.Servers, b.server)
	each(desired.PrimaryIPs, func(name string, ip fleet.PrimaryIP) {
		if !ip.Existing {
			d := &comparison{desired: desired, actual: b.actual}
			b.primaryIP("primary IP "+name, ip.Type, d.primaryIPLocation(name))
		}
	})
	each(desired.Volumes, func(name string, v fleet.Volume) {
		if v.Existing {
			return
		}
		if c.VolumeGB == 0 {
			b.missing = append(b.missing, "volume "+name)
		}
		b.sum += fleet.Money(v.Size) * c.VolumeGB
	})
	each(desired.LoadBalancers, b.loadBalancer)
	return b.sum, b.missing
}

type bill struct {
	desired fleet.Fleet
	actual  fleet.Account
	catalog fleet.Catalog
	sum     fleet.Money
	missing []string
}

func (b *bill) server(name string, s fleet.Server) {
	have := b.actual.Servers[name]
	serverType, location := s.ServerType, have.Location
	if sameType(s, have) {
		serverType = have.ServerType
	}
	if location == "" && len(s.Locations) > 0 {
		location = s.Locations[0]
	}
	monthly, ok := priceAt(b.catalog.ServerTypes[serverType], location)
	if !ok {
		b.missing = append(b.missing, fmt.Sprintf("server %s (%s in %s)", name, serverType, cmp.Or(location, "no location")))
	}
	b.sum += monthly
	if s.Backups {
		b.sum += fleet.Money(math.Round(float64(monthly) * b.catalog.BackupPercent / 100)) //nolint:mnd // per cent
	}
	if s.PublicNet.EnableIPv4 && s.PublicNet.IPv4 == "" {
		b.primaryIP("IPv4 of server "+name, "ipv4", location)
	}
	if s.PublicNet.EnableIPv6 && s.PublicNet.IPv6 == "" {
		b.primaryIP("IPv6 of server "+name, "ipv6", location)
	}
}

// primaryIP adds an address. Those of IPv6 cost nothing where they have no price.
func (b *bill) primaryIP(what, family, location string) {
	monthly, ok := b.catalog.PrimaryIPs[family][location]
	if !ok && location == "" {
		monthly, ok = anyPrice(b.catalog.PrimaryIPs[family])
	}
	if !ok && family != "ipv6" {
		b.missing = append(b.missing, what)
	}
	b.sum += monthly
}

func (b *bill) loadBalancer(name string, l fleet.LoadBalancer) {
	location := cmp.Or(l.Location, b.actual.LoadBalancers[name].Location)
	monthly, ok := priceAt(b.catalog.LoadBalancerTypes[l.Type], location)
	if !ok {
		b.missing = append(b.missing, fmt.Sprintf("load balancer %s (%s)", name, l.Type))
	}
	b.sum += monthly
}

// priceAt is a type's price in a location; where the provider is going to
// choose one, that of the first.
func priceAt(t fleet.CatalogType, location string) (fleet.Money, bool) {
	if location == "" {
		for _, name := range sorted(t.At) {
			return t.At[name].Monthly, true
		}
	}
	at, ok := t.At[location]
	return at.Monthly, ok
}

func anyPrice(prices map[string]fleet.Money) (fleet.Money, bool) {
	for _, location := range sorted(prices) {
		return prices[location], true
	}
	return 0, false
}
