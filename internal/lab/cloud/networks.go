package cloud

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
)

// Network is a private network.
type Network struct {
	Meta
	IPRange               netip.Prefix    `json:"ip_range"`
	Subnets               []Subnet        `json:"subnets"`
	Routes                []Route         `json:"routes"`
	Protection            map[string]bool `json:"protection"`
	ExposeRoutesToVSwitch bool            `json:"expose_routes_to_vswitch"`
}

// Subnet is a part of a network.
type Subnet struct {
	Type        string       `json:"type"`
	IPRange     netip.Prefix `json:"ip_range"`
	NetworkZone string       `json:"network_zone"`
	Gateway     netip.Addr   `json:"gateway"`
	VSwitchID   *int64       `json:"vswitch_id"`
}

// Route is a route of a network.
type Route struct {
	Destination netip.Prefix `json:"destination"`
	Gateway     netip.Addr   `json:"gateway"`
}

func (n *Network) subject() Subject { return Subject{ID: n.ID, Type: "network"} }

func (n *Network) wire(o *objects) any {
	servers := []int64{}
	for _, s := range o.Servers {
		if s.attachment(n.ID) != nil {
			servers = append(servers, s.ID)
		}
	}
	balancers := []int64{}
	for _, l := range o.LoadBalancers {
		if l.in(n.ID) {
			balancers = append(balancers, l.ID)
		}
	}
	shown := *n
	if shown.Subnets == nil {
		shown.Subnets = []Subnet{}
	}
	if shown.Routes == nil {
		shown.Routes = []Route{}
	}
	return struct {
		Network
		Servers       []int64 `json:"servers"`
		LoadBalancers []int64 `json:"load_balancers"`
	}{shown, servers, balancers}
}

func networkKind() kind[*Network] {
	k := kind[*Network]{
		one: "network", many: "networks",
		all:  func(o *objects) []*Network { return o.Networks },
		show: func(o *objects, v *Network) any { return v.wire(o) },
		busy: func(q *request, v *Network) error {
			if q.obj.running("network", v.ID) != nil {
				return fail(http.StatusConflict, "conflict", "the network is being changed")
			}
			return nil
		},
		update: func(q *request, v *Network) error {
			var body struct {
				Expose *bool `json:"expose_routes_to_vswitch"`
			}
			if err := q.decode(&body); err != nil {
				return err
			}
			if body.Expose != nil {
				v.ExposeRoutesToVSwitch = *body.Expose
			}
			return nil
		},
		remove: removeNetwork,
		actions: map[string]func(*request, *Network) (reply, error){
			"add_subnet": addSubnet, "delete_subnet": deleteSubnet, "add_route": addRoute, "delete_route": deleteRoute,
			"change_ip_range": widenNetwork, "change_protection": protectNetwork,
		},
	}
	k.create = func(q *request) (reply, error) {
		var body struct {
			Name    string            `json:"name"`
			IPRange string            `json:"ip_range"`
			Labels  map[string]string `json:"labels"`
			Subnets []subnetRequest   `json:"subnets"`
			Routes  []routeRequest    `json:"routes"`
			Expose  bool              `json:"expose_routes_to_vswitch"`
		}
		if err := q.decode(&body); err != nil {
			return reply{}, err
		}
		ipRange, err := privateRange(body.IPRange)
		if err != nil {
			return reply{}, err
		}
		v := &Network{IPRange: ipRange, Protection: map[string]bool{"delete": false}, ExposeRoutesToVSwitch: body.Expose}
		for _, wanted := range body.Subnets {
			subnet, err := v.subnet(wanted)
			if err != nil {
				return reply{}, err
			}
			v.Subnets = append(v.Subnets, subnet)
		}
		for _, wanted := range body.Routes {
			route, err := v.route(wanted)
			if err != nil {
				return reply{}, err
			}
			v.Routes = append(v.Routes, route)
		}
		if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
			return reply{}, err
		}
		q.obj.Networks = append(q.obj.Networks, v)
		return k.answer(q, http.StatusCreated, v), nil
	}
	return k
}

func removeNetwork(q *request, v *Network) (reply, error) {
	if v.Protection["delete"] {
		return reply{}, fail(http.StatusForbidden, "protected", "the network is protected from deletion")
	}
	for _, s := range q.obj.Servers {
		if s.attachment(v.ID) == nil {
			continue
		}
		if q.obj.running("server", s.ID) != nil {
			return reply{}, fail(http.StatusConflict, "conflict", "an attached server is being changed")
		}
	}
	q.obj.Networks = without(q.obj.Networks, v)
	for _, l := range q.obj.LoadBalancers {
		if l.in(v.ID) {
			l.leaveNetwork()
		}
	}
	for _, s := range q.obj.Servers {
		if s.attachment(v.ID) != nil {
			s.detach(v.ID)
			q.begin(q.privateJob(s, "detach_from_network", v.subject()))
		}
	}
	return reply{status: http.StatusNoContent}, nil
}

func protectNetwork(q *request, v *Network) (reply, error) {
	var body struct {
		Delete *bool `json:"delete"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_protection", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil && body.Delete != nil {
				v.Protection = map[string]bool{"delete": *body.Delete}
			}
		},
	})), nil
}

type subnetRequest struct {
	Type        string `json:"type"`
	IPRange     string `json:"ip_range"`
	NetworkZone string `json:"network_zone"`
	VSwitchID   *int64 `json:"vswitch_id"`
}

func addSubnet(q *request, v *Network) (reply, error) {
	var body subnetRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	subnet, err := v.subnet(body)
	if err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "add_subnet", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Subnets = append(slices.Clone(v.Subnets), subnet)
			}
		},
	})), nil
}

func deleteSubnet(q *request, v *Network) (reply, error) {
	var body struct {
		IPRange string `json:"ip_range"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	i := slices.IndexFunc(v.Subnets, func(s Subnet) bool { return s.IPRange.String() == body.IPRange })
	if i < 0 {
		return reply{}, fail(http.StatusNotFound, "not_found", "subnet "+body.IPRange+" not found")
	}
	gone := v.Subnets[i].IPRange
	for _, s := range q.obj.Servers {
		if at := s.attachment(v.ID); at != nil && gone.Contains(at.IP) {
			return reply{}, refused("cannot remove subnet because servers are attached to it")
		}
	}
	for _, l := range q.obj.LoadBalancers {
		if l.in(v.ID) && gone.Contains(l.Private.IP) {
			return reply{}, refused("cannot remove subnet because load balancers are attached to it")
		}
	}
	if slices.ContainsFunc(v.Routes, func(r Route) bool { return gone.Contains(r.Gateway) }) {
		return reply{}, refused("cannot remove subnet because it holds the gateway of a route")
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "delete_subnet", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Subnets = slices.DeleteFunc(slices.Clone(v.Subnets), func(s Subnet) bool { return s.IPRange == gone })
			}
		},
	})), nil
}

// privateRange reads the range of a network: RFC 1918, at least a /24.
func privateRange(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || !p.Addr().Is4():
		return netip.Prefix{}, invalid("ip_range", "must be an IPv4 range in CIDR notation, not %q", text)
	case p != p.Masked():
		return netip.Prefix{}, invalid("ip_range", "%s has host bits set, the range is %s", p, p.Masked())
	case p.Bits() > 24:
		return netip.Prefix{}, invalid("ip_range", "%s is too small, /24 is the least", p)
	}
	if isPrivate(p) {
		return p, nil
	}
	return netip.Prefix{}, invalid("ip_range", "%s is not within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", p)
}

// subnet checks a wanted subnet against those that the network has.
func (n *Network) subnet(r subnetRequest) (Subnet, error) {
	if r.Type != "cloud" && r.Type != "server" && r.Type != "vswitch" {
		return Subnet{}, invalid("type", "must be cloud or vswitch, not %q", r.Type)
	}
	if !slices.ContainsFunc(locations(), func(l *location) bool { return l.NetworkZone == r.NetworkZone }) {
		return Subnet{}, invalid("network_zone", "there is no network zone %q", r.NetworkZone)
	}
	overlaps := func(p netip.Prefix) bool {
		return slices.ContainsFunc(n.Subnets, func(s Subnet) bool { return s.IPRange.Overlaps(p) })
	}
	var p netip.Prefix
	if r.IPRange == "" {
		for p = netip.PrefixFrom(n.IPRange.Addr(), 24); overlaps(p); {
			next := p.Addr().As4()
			if next[2]++; next[2] == 0 {
				next[1]++
			}
			p = netip.PrefixFrom(netip.AddrFrom4(next), 24)
		}
	} else {
		var err error
		if p, err = netip.ParsePrefix(r.IPRange); err != nil || p != p.Masked() || p.Bits() > 30 {
			return Subnet{}, invalid("ip_range", "%q must be an IPv4 range of at least /30 without host bits", r.IPRange)
		}
	}
	switch {
	case !n.IPRange.Contains(p.Addr()) || p.Bits() < n.IPRange.Bits():
		return Subnet{}, invalid("ip_range", "%s is not within the network's range %s", p, n.IPRange)
	case overlaps(p):
		return Subnet{}, invalid("ip_range", "%s overlaps with an existing subnet", p)
	case slices.ContainsFunc(n.Routes, func(have Route) bool { return have.Destination.Bits() > 0 && have.Destination.Overlaps(p) }):
		return Subnet{}, invalid("ip_range", "%s overlaps with a route", p)
	}
	return Subnet{Type: r.Type, IPRange: p, NetworkZone: r.NetworkZone, Gateway: n.IPRange.Addr().Next(), VSwitchID: r.VSwitchID}, nil
}

// address chooses a server's address: the one that is asked for, or a free one
// of the subnet ipRange, or of the last subnet.
func (n *Network) address(o *objects, zone, ip, ipRange string) (netip.Addr, error) {
	var none netip.Addr
	if len(n.Subnets) == 0 {
		return none, fail(http.StatusUnprocessableEntity, "no_subnet_available", "network "+n.Name+" has no subnet")
	}
	sorted := slices.SortedFunc(slices.Values(n.Subnets), func(a, b Subnet) int { return a.IPRange.Addr().Compare(b.IPRange.Addr()) })
	subnet := sorted[len(sorted)-1]
	var wanted netip.Addr
	if ip != "" {
		var err error
		if wanted, err = netip.ParseAddr(ip); err != nil {
			return none, invalid("ip", "%q is not an IP address", ip)
		}
		i := slices.IndexFunc(sorted, func(s Subnet) bool { return s.IPRange.Contains(wanted) })
		if i < 0 {
			return none, invalid("ip", "%s is in no subnet of the network", ip)
		}
		subnet = sorted[i]
	}
	if ipRange != "" {
		i := slices.IndexFunc(sorted, func(s Subnet) bool { return s.IPRange.String() == ipRange })
		if i < 0 {
			return none, invalid("ip_range", "%s is no subnet of the network", ipRange)
		}
		if subnet = sorted[i]; wanted.IsValid() && !subnet.IPRange.Contains(wanted) {
			return none, invalid("ip", "%s is not in %s", ip, ipRange)
		}
	}
	if subnet.NetworkZone != zone {
		return none, invalid("network", "the subnet is in zone %s, the server in %s", subnet.NetworkZone, zone)
	}
	used := n.used(o)
	if wanted.IsValid() {
		if used(wanted) || broadcast(subnet.IPRange) == wanted || subnet.IPRange.Addr() == wanted {
			return none, fail(http.StatusUnprocessableEntity, "ip_not_available", "the IP "+ip+" is not available")
		}
		return wanted, nil
	}
	for candidate := subnet.IPRange.Addr().Next(); subnet.IPRange.Contains(candidate) && candidate != broadcast(subnet.IPRange); candidate = candidate.Next() {
		if !used(candidate) {
			return candidate, nil
		}
	}
	return none, fail(http.StatusUnprocessableEntity, "ip_not_available", "no free IP in "+subnet.IPRange.String())
}

// used tells which addresses of the network are reserved or taken.
func (n *Network) used(o *objects) func(netip.Addr) bool {
	taken := map[netip.Addr]bool{n.IPRange.Addr().Next(): true, netip.MustParseAddr("172.31.1.1"): true}
	for _, s := range o.Servers {
		if at := s.attachment(n.ID); at != nil {
			taken[at.IP] = true
			for _, alias := range at.AliasIPs {
				taken[alias] = true
			}
		}
	}
	for _, l := range o.LoadBalancers {
		if l.in(n.ID) {
			taken[l.Private.IP] = true
		}
	}
	return func(a netip.Addr) bool { return taken[a] }
}

func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// privateJob hands a server's present addresses to its machine.
func (q *request) privateJob(s *Server, command string, also ...Subject) job {
	id, addresses, machines := s.ID, s.private(q.obj), q.api.opt.Machines
	return job{
		command: command, about: append([]Subject{s.subject()}, also...), locks: []Subject{s.subject()},
		work: func(ctx context.Context) error { return machines.SetPrivate(ctx, id, addresses) },
	}
}
