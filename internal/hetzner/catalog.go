package hetzner

import (
	"context"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
	"golang.org/x/sync/errgroup"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// millionths are in one unit of a currency.
const millionths = 1_000_000

// Catalog reads what is sold, at which prices; once per client.
func (c *Client) Catalog(ctx context.Context) (fleet.Catalog, error) {
	var types []*hcloud.ServerType
	var balancers []*hcloud.LoadBalancerType
	var pricing *prices
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { types, err = c.serverTypes(ctx); return err })
	group.Go(func() (err error) { balancers, err = c.balancerTypes(ctx); return err })
	group.Go(func() (err error) { pricing, err = c.pricing(ctx); return err })
	if err := group.Wait(); err != nil {
		return fleet.Catalog{}, err
	}
	return catalog(types, balancers, pricing)
}

func (c *Client) serverTypes(ctx context.Context) ([]*hcloud.ServerType, error) {
	return c.sold.types.get(ctx, func(ctx context.Context) ([]*hcloud.ServerType, error) {
		return listed(ctx, c, "listing the server types", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.ServerType, *hcloud.Response, error) {
			return c.api.ServerType.List(ctx, hcloud.ServerTypeListOpts{ListOpts: o})
		})
	})
}

func (c *Client) balancerTypes(ctx context.Context) ([]*hcloud.LoadBalancerType, error) {
	return c.sold.balancers.get(ctx, func(ctx context.Context) ([]*hcloud.LoadBalancerType, error) {
		return listed(ctx, c, "listing the load balancer types", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.LoadBalancerType, *hcloud.Response, error) {
			return c.api.LoadBalancerType.List(ctx, hcloud.LoadBalancerTypeListOpts{ListOpts: o})
		})
	})
}

func (c *Client) locations(ctx context.Context) ([]*hcloud.Location, error) {
	return c.sold.locations.get(ctx, func(ctx context.Context) ([]*hcloud.Location, error) {
		return listed(ctx, c, "listing the locations", func(ctx context.Context, o hcloud.ListOpts) ([]*hcloud.Location, *hcloud.Response, error) {
			return c.api.Location.List(ctx, hcloud.LocationListOpts{ListOpts: o})
		})
	})
}

// prices is what the API's price list tells beside the prices of types. It is
// read without the library, which panics on a list that lacks a kind of price.
type prices struct {
	Currency string `json:"currency"`
	Volume   struct {
		PerGBMonth price `json:"price_per_gb_month"`
	} `json:"volume"`
	ServerBackup struct {
		Percentage string `json:"percentage"`
	} `json:"server_backup"`
	PrimaryIPs []struct {
		Type   string `json:"type"`
		Prices []struct {
			Location string `json:"location"`
			Monthly  price  `json:"price_monthly"`
		} `json:"prices"`
	} `json:"primary_ips"`
}

type price struct {
	Net string `json:"net"`
}

func (c *Client) pricing(ctx context.Context) (*prices, error) {
	return c.sold.prices.get(ctx, func(ctx context.Context) (*prices, error) {
		return lookUp(ctx, c, "reading the prices", func(ctx context.Context) (*prices, *hcloud.Response, error) {
			req, err := c.api.NewRequest(ctx, http.MethodGet, "/pricing", http.NoBody)
			if err != nil {
				return nil, nil, err
			}
			var body struct {
				Pricing prices `json:"pricing"`
			}
			resp, err := c.api.Do(req, &body)
			return &body.Pricing, resp, err
		})
	})
}

func catalog(types []*hcloud.ServerType, balancers []*hcloud.LoadBalancerType, p *prices) (fleet.Catalog, error) {
	m := &moneyReader{}
	all := fleet.Catalog{
		Currency: p.Currency, ServerTypes: map[string]fleet.CatalogType{}, LoadBalancerTypes: map[string]fleet.CatalogType{},
		VolumeGB: m.read(p.Volume.PerGBMonth.Net), PrimaryIPs: map[string]map[string]fleet.Money{},
	}
	for _, t := range types {
		sold := fleet.CatalogType{Architecture: string(t.Architecture), Disk: t.Disk, At: map[string]fleet.CatalogAt{}}
		for _, p := range t.Pricings {
			sold.At[p.Location.Name] = offered(m.read(p.Monthly.Net), t.DeprecatableResource)
		}
		for _, l := range t.Locations { // what it tells beside the price; it may be sold out or on its way out there alone
			if at, ok := sold.At[l.Location.Name]; ok {
				here := offered(at.Monthly, l.DeprecatableResource)
				here.Available = l.Available
				sold.At[l.Location.Name] = here
			}
		}
		all.ServerTypes[t.Name] = sold
	}
	for _, t := range balancers {
		sold := fleet.CatalogType{At: map[string]fleet.CatalogAt{}}
		for _, p := range t.Pricings {
			sold.At[p.Location.Name] = offered(m.read(p.Monthly.Net), t.DeprecatableResource)
		}
		all.LoadBalancerTypes[t.Name] = sold
	}
	for _, family := range p.PrimaryIPs {
		at := map[string]fleet.Money{}
		for _, p := range family.Prices {
			at[p.Location] = m.read(p.Monthly.Net)
		}
		all.PrimaryIPs[family.Type] = at
	}
	percent, err := strconv.ParseFloat(p.ServerBackup.Percentage, 64)
	if m.bad == "" && err != nil {
		m.bad = p.ServerBackup.Percentage
	}
	all.BackupPercent = percent
	if m.bad != "" {
		return fleet.Catalog{}, &problem.Problem{Summary: fmt.Sprintf("Hetzner Cloud has a price that is no number: %q", m.bad)}
	}
	return all, nil
}

func offered(monthly fleet.Money, d hcloud.DeprecatableResource) fleet.CatalogAt {
	at := fleet.CatalogAt{Monthly: monthly, Available: true, Deprecated: d.IsDeprecated()}
	if d.IsDeprecated() {
		at.UnavailableAfter = d.UnavailableAfter()
		at.Available = at.UnavailableAfter.IsZero() || time.Now().Before(at.UnavailableAfter)
	}
	return at
}

// moneyReader reads amounts and remembers the first that is none.
type moneyReader struct{ bad string }

// read takes decimals such as "3.2900000000" without going through binary
// fractions; what is less than a millionth is rounded to the nearest.
func (m *moneyReader) read(text string) fleet.Money {
	amount, err := parseMoney(text)
	if err != nil && m.bad == "" {
		m.bad = text
	}
	return amount
}

func parseMoney(text string) (fleet.Money, error) {
	if strings.ContainsAny(text, "eEpPxX/_") || len(text) > maxLabel { // numbers for Go, but not as prices are written
		return 0, strconv.ErrSyntax
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return 0, strconv.ErrSyntax
	}
	rounded, err := strconv.ParseInt(r.Mul(r, big.NewRat(millionths, 1)).FloatString(0), 10, 64)
	return fleet.Money(rounded), err
}

// serverType finds a server type by name.
func (c *Client) serverType(ctx context.Context, name string) (*hcloud.ServerType, error) {
	all, err := c.serverTypes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range all {
		if t.Name == name {
			return t, nil
		}
		names = append(names, t.Name)
	}
	return nil, unknown("server type", name, names)
}

// checkLocations refuses locations that do not exist.
func (c *Client) checkLocations(ctx context.Context, names []string) error {
	all, err := c.serverTypes(ctx) // which every order needs anyway; they name all locations
	if err != nil {
		return err
	}
	var known []string
	for _, t := range all {
		for _, p := range t.Pricings {
			known = append(known, p.Location.Name)
		}
	}
	for _, name := range names {
		if len(known) > 0 && !slices.Contains(known, name) {
			return unknown("location", name, known)
		}
	}
	return nil
}

// explainLocation says of a refused order whether its location exists.
func (c *Client) explainLocation(ctx context.Context, name string, refusal error) error {
	if name == "" || !hasCode(refusal, hcloud.ErrorCodeInvalidInput, hcloud.ErrorCodeNotFound) {
		return refusal
	}
	all, err := c.locations(ctx)
	if err != nil {
		return refusal //nolint:nilerr // the refusal says more than that it could not be explained
	}
	var known []string
	for _, l := range all {
		known = append(known, l.Name)
	}
	if slices.Contains(known, name) {
		return refusal
	}
	return unknown("location", name, known)
}

// explainBalancerType says of a refused order whether its type exists.
func (c *Client) explainBalancerType(ctx context.Context, name string, refusal error) error {
	if !hasCode(refusal, hcloud.ErrorCodeInvalidInput, hcloud.ErrorCodeNotFound, hcloud.ErrorCodeInvalidLoadBalancerType) {
		return refusal
	}
	all, err := c.balancerTypes(ctx)
	if err != nil {
		return refusal //nolint:nilerr // the refusal says more than that it could not be explained
	}
	var known []string
	for _, t := range all {
		known = append(known, t.Name)
	}
	if slices.Contains(known, name) {
		return refusal
	}
	return unknown("load balancer type", name, known)
}

func unknown(noun, name string, known []string) error {
	known = slices.Clone(known)
	slices.Sort(known)
	return &problem.Problem{
		Summary: fmt.Sprintf("Hetzner Cloud has no %s %q", noun, name),
		Hints:   []string{"It has: " + strings.Join(slices.Compact(known), ", ") + "."},
	}
}
