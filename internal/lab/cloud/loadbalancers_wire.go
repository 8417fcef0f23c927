package cloud

import "time"

// The form of a load balancer that the API answers with.
type (
	loadBalancerWire struct {
		ID              int64             `json:"id"`
		Name            string            `json:"name"`
		Labels          map[string]string `json:"labels"`
		Created         time.Time         `json:"created"`
		PublicNet       lbPublicWire      `json:"public_net"`
		PrivateNet      []lbPrivate       `json:"private_net"`
		Location        *location         `json:"location"`
		Type            *loadBalancerType `json:"load_balancer_type"`
		Protection      map[string]bool   `json:"protection"`
		Services        []lbService       `json:"services"`
		Targets         []lbTargetWire    `json:"targets"`
		Algorithm       map[string]string `json:"algorithm"`
		IncludedTraffic int64             `json:"included_traffic"`
		OutgoingTraffic *int64            `json:"outgoing_traffic"`
		IngoingTraffic  *int64            `json:"ingoing_traffic"`
	}
	lbPublicWire struct {
		Enabled bool       `json:"enabled"`
		IPv4    publicIPv4 `json:"ipv4"`
		IPv6    publicIPv4 `json:"ipv6"` // one address, unlike a server's
	}
	lbTargetWire struct {
		Type          string            `json:"type"`
		Server        map[string]int64  `json:"server,omitempty"`
		LabelSelector map[string]string `json:"label_selector,omitempty"`
		IP            map[string]string `json:"ip,omitempty"`
		HealthStatus  []healthWire      `json:"health_status,omitempty"`
		UsePrivateIP  *bool             `json:"use_private_ip,omitempty"`
		Targets       []lbTargetWire    `json:"targets,omitempty"`
	}
	healthWire struct {
		ListenPort int    `json:"listen_port"`
		Status     string `json:"status"`
	}
)

func (l *LoadBalancer) wire(o *objects) any {
	loc, _ := lookUp(locations(), ref{name: l.Location})
	w := loadBalancerWire{
		ID: l.ID, Name: l.Name, Labels: l.Labels, Created: l.Created, Location: loc, Type: l.kindOf(),
		PublicNet: lbPublicWire{Enabled: !l.PublicOff}, PrivateNet: []lbPrivate{}, Protection: map[string]bool{"delete": l.Protection},
		Services: []lbService{}, Targets: []lbTargetWire{}, Algorithm: map[string]string{"type": l.Algorithm}, IncludedTraffic: 20 << 40,
	}
	for i, p := range l.addresses(o) {
		if p == nil {
			continue
		}
		a := p.listens()
		shown := publicIPv4{ID: p.ID, IP: a.String(), DNSPtr: p.pointer(a)}
		if i == 0 {
			w.PublicNet.IPv4 = shown
		} else {
			w.PublicNet.IPv6 = shown
		}
	}
	if l.Private != nil {
		w.PrivateNet = append(w.PrivateNet, *l.Private)
	}
	for _, s := range l.Services {
		w.Services = append(w.Services, *s)
	}
	for _, t := range l.Targets {
		w.Targets = append(w.Targets, l.lbTargetWire(o, t))
	}
	return w
}

func (l *LoadBalancer) lbTargetWire(o *objects, t *lbTarget) lbTargetWire {
	private := t.UsePrivateIP
	switch {
	case t.Server != 0:
		return lbTargetWire{Type: lbTargetServer, Server: map[string]int64{"id": t.Server}, HealthStatus: l.health(o.server(t.Server), t), UsePrivateIP: &private}
	case t.IP != "":
		return lbTargetWire{Type: lbTargetIP, IP: map[string]string{"ip": t.IP}, HealthStatus: l.statuses("unknown")}
	}
	w := lbTargetWire{Type: lbTargetSelector, LabelSelector: map[string]string{"selector": t.Selector}, UsePrivateIP: &private}
	for _, s := range t.servers(o) {
		w.Targets = append(w.Targets, lbTargetWire{
			Type: lbTargetServer, Server: map[string]int64{"id": s.ID}, HealthStatus: l.health(s, t), UsePrivateIP: &private,
		})
	}
	return w
}

// health says that a target is well when its server runs and can be reached.
func (l *LoadBalancer) health(s *Server, t *lbTarget) []healthWire {
	reachable := s != nil && s.Status == statusRunning
	if reachable && t.UsePrivateIP {
		reachable = l.Private != nil && s.attachment(l.Private.Network) != nil
	} else if reachable {
		reachable = s.IPv4ID != 0
	}
	if reachable {
		return l.statuses("healthy")
	}
	return l.statuses("unhealthy")
}

func (l *LoadBalancer) statuses(status string) []healthWire {
	var all []healthWire
	for _, s := range l.Services {
		all = append(all, healthWire{ListenPort: s.ListenPort, Status: status})
	}
	return all
}
