package cloud

import (
	"net/http"
	"net/netip"
	"slices"
)

const (
	lbTargetServer   = "server"
	lbTargetSelector = "label_selector"
	lbTargetIP       = "ip"
)

// dedicated is where addresses of machines lie that are the project owner's but
// not of the cloud: the only ones that are allowed as targets by IP.
func dedicated() netip.Prefix { return netip.MustParsePrefix("203.0.113.0/24") }

// lbTarget gets traffic: one of Server, Selector and IP is set.
type lbTarget struct {
	Server       int64  `json:"server,omitempty"`
	Selector     string `json:"selector,omitempty"`
	IP           string `json:"ip,omitempty"`
	UsePrivateIP bool   `json:"use_private_ip"`
}

// same tells whether both mean the same target, however it is reached.
func (t *lbTarget) same(other *lbTarget) bool {
	return t.Server == other.Server && t.Selector == other.Selector && t.IP == other.IP
}

// servers are those that the target stands for.
func (t *lbTarget) servers(o *objects) []*Server {
	var found []*Server
	chosen, err := selectLabels(t.Selector)
	for _, s := range o.Servers {
		if s.ID == t.Server || t.Selector != "" && err == nil && chosen(s.Labels) {
			found = append(found, s)
		}
	}
	return found
}

// weight is how many targets count against the type's limit.
func (l *LoadBalancer) weight(o *objects) int {
	n := 0
	for _, t := range l.Targets {
		n += t.weight(o)
	}
	return n
}

func (t *lbTarget) weight(o *objects) int { return max(1, len(t.servers(o))) }

type lbTargetRequest struct {
	Type   string `json:"type"`
	Server *struct {
		ID int64 `json:"id"`
	} `json:"server"`
	LabelSelector *struct {
		Selector string `json:"selector"`
	} `json:"label_selector"`
	IP *struct {
		IP string `json:"ip"`
	} `json:"ip"`
	UsePrivateIP bool `json:"use_private_ip"`
}

// target reads which target is meant, without looking at whether it can be one.
func (r *lbTargetRequest) target() (*lbTarget, error) {
	t := &lbTarget{UsePrivateIP: r.UsePrivateIP}
	switch {
	case r.Type == lbTargetServer && r.Server != nil && r.Server.ID != 0:
		t.Server = r.Server.ID
	case r.Type == lbTargetSelector && r.LabelSelector != nil && r.LabelSelector.Selector != "":
		t.Selector = r.LabelSelector.Selector
		if _, err := selectLabels(t.Selector); err != nil {
			return nil, err
		}
	case r.Type == lbTargetIP && r.IP != nil:
		a, err := netip.ParseAddr(r.IP.IP)
		if err != nil {
			return nil, invalid("ip", "%q is not an IP address", r.IP.IP)
		}
		t.IP = a.String()
	default:
		return nil, invalid("type", "must be server, label_selector or ip, with the field of that name, not %q", r.Type)
	}
	return t, nil
}

// newTarget makes a target, or says why it cannot be one.
func (l *LoadBalancer) newTarget(q *request, r lbTargetRequest) (*lbTarget, error) {
	t, err := r.target()
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(l.Targets, t.same) {
		return nil, fail(http.StatusUnprocessableEntity, "target_already_defined", "the target is already defined")
	}
	switch {
	case t.UsePrivateIP && t.IP != "":
		return nil, invalid("use_private_ip", "is not for targets by IP")
	case t.UsePrivateIP && l.Private == nil:
		return nil, fail(http.StatusUnprocessableEntity, "load_balancer_not_attached_to_network", "the load balancer is not attached to a network")
	case !t.UsePrivateIP && t.IP == "" && l.PublicOff:
		return nil, fail(http.StatusUnprocessableEntity, "load_balancer_public_interface_disabled", "the load balancer's public interface is disabled")
	}
	switch {
	case t.Server != 0:
		err = l.reaches(q.obj, t)
	case t.IP != "":
		err = mayBeTarget(q, netip.MustParseAddr(t.IP)) // parsed by target
	}
	if err != nil {
		return nil, err
	}
	if l.weight(q.obj)+t.weight(q.obj) > l.kindOf().MaxTargets {
		return nil, fail(http.StatusForbidden, "resource_limit_exceeded", "the load balancer has as many targets as its type takes")
	}
	return t, nil
}

func (l *LoadBalancer) reaches(o *objects, t *lbTarget) error {
	s := o.server(t.Server)
	switch {
	case s == nil:
		return invalid("server", "server %d not found", t.Server)
	case t.UsePrivateIP && s.attachment(l.Private.Network) == nil:
		return fail(http.StatusUnprocessableEntity, "server_not_attached_to_network", "the server is not attached to the load balancer's network")
	case !t.UsePrivateIP && s.IPv4ID == 0:
		return fail(http.StatusUnprocessableEntity, "missing_ipv4", "the server has no public IPv4")
	}
	return nil
}

func mayBeTarget(q *request, a netip.Addr) error {
	for _, p := range q.obj.PrimaryIPs {
		if p.Address.Contains(a) {
			return fail(http.StatusUnprocessableEntity, "cloud_resource_ip_not_allowed", "the IP belongs to a resource of the cloud")
		}
	}
	if !dedicated().Contains(a) {
		return fail(http.StatusUnprocessableEntity, "ip_not_owned", "the IP is not the project owner's; in the lab "+dedicated().String()+" is")
	}
	return nil
}

func addTarget(q *request, v *LoadBalancer) (reply, error) {
	var body lbTargetRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	t, err := v.newTarget(q, body)
	if err != nil {
		return reply{}, err
	}
	return v.begin(q, "add_target", func() { v.Targets = append(slices.Clone(v.Targets), t) }, t.about()...)
}

func (t *lbTarget) about() []Subject {
	if t.Server == 0 {
		return nil
	}
	return []Subject{{ID: t.Server, Type: "server"}}
}

func removeTarget(q *request, v *LoadBalancer) (reply, error) {
	var body lbTargetRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	t, err := body.target()
	if err != nil {
		return reply{}, err
	}
	i := slices.IndexFunc(v.Targets, t.same)
	if i < 0 {
		return reply{}, notFound("the load balancer has no such target")
	}
	old := v.Targets[i]
	return v.begin(q, "remove_target", func() { v.Targets = without(v.Targets, old) }, old.about()...)
}

// untarget takes a server that is gone out of all load balancers.
func (o *objects) untarget(server int64) {
	for _, l := range o.LoadBalancers {
		l.Targets = slices.DeleteFunc(slices.Clone(l.Targets), func(t *lbTarget) bool { return t.Server == server })
	}
}

// targeting lists the load balancers that send traffic to a server.
func (o *objects) targeting(s *Server) []int64 {
	ids := []int64{}
	for _, l := range o.LoadBalancers {
		if slices.ContainsFunc(l.Targets, func(t *lbTarget) bool { return slices.Contains(t.servers(o), s) }) {
			ids = append(ids, l.ID)
		}
	}
	return ids
}
