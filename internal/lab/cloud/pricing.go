package cloud

import (
	"net/http"
)

// loadBalancerType is a size of load balancers.
type loadBalancerType struct {
	ID                      int64       `json:"id"`
	Name                    string      `json:"name"`
	Description             string      `json:"description"`
	MaxConnections          int         `json:"max_connections"`
	MaxServices             int         `json:"max_services"`
	MaxTargets              int         `json:"max_targets"`
	MaxAssignedCertificates int         `json:"max_assigned_certificates"`
	Prices                  []typePrice `json:"prices"`
	Deprecated              *string     `json:"deprecated"`
	Deprecation             any         `json:"deprecation"`
}

func (t *loadBalancerType) meta() *Meta { return &Meta{ID: t.ID, Name: t.Name} }

func loadBalancerTypes() []*loadBalancerType {
	return []*loadBalancerType{
		{1, "lb11", "LB11", 10000, 5, 25, 10, prices(539), nil, nil},
		{2, "lb21", "LB21", 20000, 15, 75, 25, prices(1640), nil, nil},
		{3, "lb31", "LB31", 40000, 30, 150, 50, prices(3290), nil, nil},
	}
}

func loadBalancerTypeKind() kind[*loadBalancerType] {
	all := loadBalancerTypes()
	return kind[*loadBalancerType]{one: "load_balancer_type", many: "load_balancer_types", all: func(*objects) []*loadBalancerType { return all }}
}

// pricingKind answers /pricing with what the lab's own catalog costs.
type pricingKind struct{}

func (pricingKind) serve(q *request) (reply, error) {
	if q.method != http.MethodGet || len(q.rest) > 0 {
		return reply{}, notFound("no such endpoint")
	}
	var servers, balancers []any
	for _, t := range serverTypes() {
		servers = append(servers, map[string]any{"id": t.ID, "name": t.Name, "prices": t.Prices})
	}
	for _, t := range loadBalancerTypes() {
		balancers = append(balancers, map[string]any{"id": t.ID, "name": t.Name, "prices": t.Prices})
	}
	// The API prices both versions of both kinds of address, and clients rely on it.
	var primary, floating []any
	for _, v := range []struct {
		version string
		cents   int
	}{{typeIPv4, 50}, {typeIPv6, 0}} {
		var all, monthly []any
		for _, l := range locations() {
			all = append(all, map[string]any{"location": l.Name, "price_hourly": hourly(v.cents), "price_monthly": euro(v.cents)})
			monthly = append(monthly, map[string]any{"location": l.Name, "price_monthly": euro(6 * v.cents)})
		}
		primary = append(primary, map[string]any{"type": v.version, "prices": all})
		floating = append(floating, map[string]any{"type": v.version, "prices": monthly})
	}
	return reply{http.StatusOK, map[string]any{"pricing": map[string]any{
		"currency": "EUR", "vat_rate": "19.00",
		"image":        map[string]any{"price_per_gb_month": euro(1)},
		"floating_ip":  map[string]any{"price_monthly": euro(300)},
		"floating_ips": floating, "primary_ips": primary, "load_balancer_types": balancers,
		"traffic":       map[string]any{"price_per_tb": euro(100)},
		"server_backup": map[string]any{"percentage": "20.0000000000"},
		"server_types":  servers,
		"volume":        map[string]any{"price_per_gb_month": euro(4)},
	}}}, nil
}
