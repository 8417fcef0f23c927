package cloud

import (
	"net/http"
	"net/netip"
)

// publicNetRequest says which public addresses a new server has.
type publicNetRequest struct {
	EnableIPv4 *bool  `json:"enable_ipv4"`
	EnableIPv6 *bool  `json:"enable_ipv6"`
	IPv4       *int64 `json:"ipv4"`
	IPv6       *int64 `json:"ipv6"`
}

// location is where a new server goes: where it is told to, where its primary
// IPs are, or to the first location that has room for its type.
func (r *serverRequest) location(q *request, t *serverType) (string, error) {
	wanted := r.Location
	if p := r.PublicNet; p != nil && wanted.isZero() {
		for _, id := range []*int64{p.IPv4, p.IPv6} {
			if id == nil {
				continue
			}
			if ip := q.obj.primaryIP(*id); ip != nil {
				wanted = ref{name: ip.Location}
			}
		}
	}
	if !wanted.isZero() {
		loc, ok := lookUp(locations(), wanted)
		if !ok {
			return "", invalid("location", "location not found")
		}
		return loc.Name, t.offered(loc.Name, q.now())
	}
	var err error
	for _, name := range []string{"nbg1", "fsn1", "hel1"} {
		if err = t.offered(name, q.now()); err == nil {
			return name, nil
		}
	}
	return "", err
}

// publish gives a new server its public addresses. A machine has an IPv4 in any
// case, which the API does not tell when it is not public. Nothing changes when
// a primary IP is refused.
func (r *serverRequest) publish(q *request, s *Server, public4, public6 bool) error {
	var chosen4, chosen6 *PrimaryIP
	var err error
	if p := r.PublicNet; p != nil && p.IPv4 != nil {
		if chosen4, err = chosenIP(q, *p.IPv4, typeIPv4, s.Location); err != nil {
			return err
		}
	}
	if p := r.PublicNet; p != nil && p.IPv6 != nil {
		if chosen6, err = chosenIP(q, *p.IPv6, typeIPv6, s.Location); err != nil {
			return err
		}
	}
	if chosen4 != nil && !public4 || chosen6 != nil && !public6 {
		return invalid("public_net", "a primary IP is given for a version that is not enabled")
	}
	if !public4 {
		if s.IPv4, err = freeAddress(q.obj, q.api.opt.Machines.Prefix()); err != nil {
			return err
		}
	}
	if public4 && chosen4 == nil {
		if chosen4, err = autoIP(q, typeIPv4, s.Location, s.subject()); err != nil {
			return err
		}
	}
	if public6 && chosen6 == nil {
		if chosen6, err = autoIP(q, typeIPv6, s.Location, s.subject()); err != nil {
			return err
		}
	}
	for _, p := range []*PrimaryIP{chosen4, chosen6} {
		if p != nil {
			p.Assignee = s.subject()
			s.takeIP(p)
		}
	}
	return nil
}

// freeAddress gives the first public address that nobody has.
func freeAddress(o *objects, prefix netip.Prefix) (netip.Addr, error) {
	used := map[netip.Addr]bool{broadcast(prefix): true}
	for _, s := range o.Servers {
		used[s.IPv4] = true
	}
	for _, p := range o.PrimaryIPs {
		used[p.Address.Addr()] = true
	}
	a := prefix.Addr()
	for range firstAddress {
		a = a.Next()
	}
	for ; prefix.Contains(a); a = a.Next() {
		if !used[a] {
			return a, nil
		}
	}
	return netip.Addr{}, fail(http.StatusForbidden, "resource_limit_exceeded", "the lab has no free address in "+prefix.String())
}
