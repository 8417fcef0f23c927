package cloud

import (
	"net/http"
	"net/netip"
	"slices"
)

type routeRequest struct {
	Destination string `json:"destination"`
	Gateway     string `json:"gateway"`
}

// route checks a wanted route against what the network has. The lab's machines
// do not get to know of it.
func (n *Network) route(r routeRequest) (Route, error) {
	to, err := netip.ParsePrefix(r.Destination)
	if err != nil || !to.Addr().Is4() || to != to.Masked() {
		return Route{}, invalid("destination", "must be an IPv4 range without host bits, not %q", r.Destination)
	}
	gateway, err := netip.ParseAddr(r.Gateway)
	if err != nil || !n.IPRange.Contains(gateway) {
		return Route{}, invalid("gateway", "%q is not an address of the network", r.Gateway)
	}
	if gateway == n.IPRange.Addr().Next() {
		return Route{}, invalid("gateway", "%s is the network's own gateway", gateway)
	}
	if slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.Type == "vswitch" && s.IPRange.Contains(gateway) }) {
		return Route{}, invalid("gateway", "%s is in a vSwitch", gateway)
	}
	route := Route{Destination: to, Gateway: gateway}
	if to.Bits() == 0 { // the default route overlaps with everything, and may
		if slices.ContainsFunc(n.Routes, func(have Route) bool { return have.Destination == to }) {
			return Route{}, invalid("destination", "there is a route to %s", to)
		}
		return route, nil
	}
	if !isPrivate(to) {
		return Route{}, invalid("destination", "%s is neither private nor 0.0.0.0/0", to)
	}
	for _, s := range n.Subnets {
		if s.IPRange.Overlaps(to) {
			return Route{}, invalid("destination", "%s overlaps with subnet %s", to, s.IPRange)
		}
	}
	for _, have := range n.Routes {
		if have.Destination.Bits() > 0 && have.Destination.Overlaps(to) {
			return Route{}, invalid("destination", "%s overlaps with the route to %s", to, have.Destination)
		}
	}
	return route, nil
}

// isPrivate tells whether a range lies within one of RFC 1918.
func isPrivate(p netip.Prefix) bool {
	for _, private := range []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} {
		if whole := netip.MustParsePrefix(private); whole.Contains(p.Addr()) && p.Bits() >= whole.Bits() {
			return true
		}
	}
	return false
}

func addRoute(q *request, v *Network) (reply, error) {
	var body routeRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	route, err := v.route(body)
	if err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "add_route", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Routes = append(slices.Clone(v.Routes), route)
			}
		},
	})), nil
}

func deleteRoute(q *request, v *Network) (reply, error) {
	var body routeRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	i := slices.IndexFunc(v.Routes, func(r Route) bool {
		return r.Destination.String() == body.Destination && r.Gateway.String() == body.Gateway
	})
	if i < 0 {
		return reply{}, notFound("route to " + body.Destination + " over " + body.Gateway + " not found")
	}
	gone := v.Routes[i]
	return actionReply(http.StatusCreated, q.begin(job{
		command: "delete_route", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Routes = without(v.Routes, gone)
			}
		},
	})), nil
}
