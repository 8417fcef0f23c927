package cloud

import (
	"net/http"
	"net/netip"
	"slices"
)

const (
	maxNetworkServers = 100
	maxAliases        = 5
)

// admits refuses a server that the network cannot take now.
func (n *Network) admits(o *objects, s *Server) error {
	if o.running("network", n.ID) != nil {
		return fail(http.StatusConflict, "conflict", "network "+n.Name+" is being changed")
	}
	for _, at := range s.Private {
		if other := o.network(at.Network); other != nil && other.IPRange.Overlaps(n.IPRange) {
			return fail(http.StatusUnprocessableEntity, "networks_overlap", "network "+n.Name+" overlaps with network "+other.Name+" of the server")
		}
	}
	count := 0
	for _, other := range o.Servers {
		if other.attachment(n.ID) != nil {
			count++
		}
	}
	if count >= maxNetworkServers {
		return exceeded("a network can have %d servers", maxNetworkServers)
	}
	return nil
}

// aliases reads alias addresses: free ones of the network, and not the server's
// own; those that it has as aliases already are free to it.
func (n *Network) aliases(o *objects, texts []string, own netip.Addr, had ...netip.Addr) ([]netip.Addr, error) {
	all, used := []netip.Addr{}, n.used(o)
	if len(texts) > maxAliases {
		return nil, invalid("alias_ips", "there can be %d alias addresses", maxAliases)
	}
	for _, text := range texts {
		alias, err := netip.ParseAddr(text)
		switch {
		case err != nil || !n.IPRange.Contains(alias):
			return nil, invalid("alias_ips", "%q is not an address of the network", text)
		case alias == own || slices.Contains(all, alias):
			return nil, invalid("alias_ips", "%s is named twice", text)
		case used(alias) && !slices.Contains(had, alias):
			return nil, fail(http.StatusUnprocessableEntity, "ip_not_available", "the IP "+text+" is not available")
		}
		all = append(all, alias)
	}
	return all, nil
}

// changeAliases replaces the alias addresses, which are only written down: a
// guest has to take them by itself.
func changeAliases(q *request, s *Server) (reply, error) {
	var body struct {
		Network  ref       `json:"network"`
		AliasIPs *[]string `json:"alias_ips"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.AliasIPs == nil {
		return reply{}, invalid("alias_ips", "is required, and may be empty")
	}
	n, ok := lookUp(q.obj.Networks, body.Network)
	if !ok || s.attachment(n.ID) == nil {
		return reply{}, notFound("the server is not attached to that network")
	}
	if q.obj.running("network", n.ID) != nil {
		return reply{}, fail(http.StatusConflict, "conflict", "network "+n.Name+" is being changed")
	}
	at := *s.attachment(n.ID)
	aliases, err := n.aliases(q.obj, *body.AliasIPs, at.IP, at.AliasIPs...)
	if err != nil {
		return reply{}, err
	}
	set := func(to []netip.Addr) {
		s.Private = slices.Clone(s.Private) // what was answered with the old ones stays as it is
		if now := s.attachment(n.ID); now != nil {
			now.AliasIPs = to
		}
	}
	set(aliases) // taken at once, so that nobody else gets them
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_alias_ips", about: []Subject{s.subject(), n.subject()}, locks: []Subject{s.subject()},
		done: func(_ *objects, err error) {
			if err != nil {
				set(at.AliasIPs)
			}
		},
	})), nil
}

func attachServer(q *request, s *Server) (reply, error) {
	var body struct {
		Network  ref      `json:"network"`
		IP       string   `json:"ip"`
		IPRange  string   `json:"ip_range"`
		AliasIPs []string `json:"alias_ips"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	n, ok := lookUp(q.obj.Networks, body.Network)
	if !ok {
		return reply{}, notFound("network not found")
	}
	if s.attachment(n.ID) != nil {
		return reply{}, fail(http.StatusUnprocessableEntity, "server_already_attached", "server is already attached to network "+n.Name)
	}
	if err := n.admits(q.obj, s); err != nil {
		return reply{}, err
	}
	loc, _ := lookUp(locations(), ref{name: s.Location})
	ip, err := n.address(q.obj, loc.NetworkZone, body.IP, body.IPRange)
	if err != nil {
		return reply{}, err
	}
	aliases, err := n.aliases(q.obj, body.AliasIPs, ip)
	if err != nil {
		return reply{}, err
	}
	s.attach(n.ID, ip) // taken at once, so that nobody else gets the address
	s.attachment(n.ID).AliasIPs = aliases
	j := q.privateJob(s, "attach_to_network", n.subject())
	j.done = func(_ *objects, err error) {
		if err != nil {
			s.detach(n.ID)
		}
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}

func detachServer(q *request, s *Server) (reply, error) {
	var body struct {
		Network ref `json:"network"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	n, ok := lookUp(q.obj.Networks, body.Network)
	if !ok || s.attachment(n.ID) == nil {
		return reply{}, notFound("the server is not attached to that network")
	}
	if q.obj.running("network", n.ID) != nil {
		return reply{}, fail(http.StatusConflict, "conflict", "network "+n.Name+" is being changed")
	}
	left := *s
	left.detach(n.ID)
	j := q.privateJob(&left, "detach_from_network", n.subject())
	j.done = func(_ *objects, err error) {
		if err == nil {
			s.detach(n.ID)
		}
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}
