package cloud

import (
	"net/http"
	"net/netip"
	"slices"
)

const defaultAlgorithm = "round_robin"

// LoadBalancer is a load balancer in name: it checks and keeps what it is told,
// and forwards nothing.
type LoadBalancer struct {
	Meta
	Type       string       `json:"type"`
	Location   string       `json:"location"`
	Algorithm  string       `json:"algorithm"`
	IPv4ID     int64        `json:"ipv4_id"`
	IPv6ID     int64        `json:"ipv6_id"`
	PublicOff  bool         `json:"public_off"`
	Private    *lbPrivate   `json:"private"` // nil: in no network
	Services   []*lbService `json:"services"`
	Targets    []*lbTarget  `json:"targets"`
	Protection bool         `json:"protection"`
}

// lbPrivate is a load balancer's place in its network.
type lbPrivate struct {
	Network int64      `json:"network"`
	IP      netip.Addr `json:"ip"`
}

func (l *LoadBalancer) subject() Subject { return Subject{ID: l.ID, Type: "load_balancer"} }

// zone is the network zone that the load balancer is in.
func (l *LoadBalancer) zone() string {
	loc, _ := lookUp(locations(), ref{name: l.Location})
	return loc.NetworkZone
}

func (l *LoadBalancer) kindOf() *loadBalancerType {
	t, _ := lookUp(loadBalancerTypes(), ref{name: l.Type})
	return t
}

// in tells whether the load balancer is in a network.
func (l *LoadBalancer) in(network int64) bool {
	return l.Private != nil && l.Private.Network == network
}

// change is a job that does something to the load balancer when it ends well.
func (l *LoadBalancer) change(command string, do func(), also ...Subject) job {
	return job{
		command: command, about: append([]Subject{l.subject()}, also...), locks: []Subject{l.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				do()
			}
		},
	}
}

func (l *LoadBalancer) begin(q *request, command string, do func(), also ...Subject) (reply, error) {
	return actionReply(http.StatusCreated, q.begin(l.change(command, do, also...))), nil
}

func loadBalancerKind() kind[*LoadBalancer] {
	k := kind[*LoadBalancer]{
		one: "load_balancer", many: "load_balancers",
		all:  func(o *objects) []*LoadBalancer { return o.LoadBalancers },
		show: func(o *objects, v *LoadBalancer) any { return v.wire(o) },
		busy: func(q *request, v *LoadBalancer) error {
			if q.obj.running("load_balancer", v.ID) == nil {
				return nil
			}
			if q.method == http.MethodDelete {
				return fail(http.StatusLocked, "locked", "the load balancer is locked by an action")
			}
			return fail(http.StatusConflict, "conflict", "the load balancer is being changed")
		},
		update: func(*request, *LoadBalancer) error { return nil },
		remove: removeLoadBalancer,
		actions: map[string]func(*request, *LoadBalancer) (reply, error){
			"add_service": addService, "update_service": updateService, "delete_service": deleteService,
			"add_target": addTarget, "remove_target": removeTarget,
			"attach_to_network": attachLoadBalancer, "detach_from_network": detachLoadBalancer,
			"enable_public_interface": enablePublic, "disable_public_interface": disablePublic,
			"change_type": changeLoadBalancerType, "change_algorithm": changeAlgorithm, "change_protection": protectLoadBalancer,
			"change_dns_ptr": changeLoadBalancerPointer,
		},
	}
	k.create = func(q *request) (reply, error) { return createLoadBalancer(q, k) }
	return k
}

// addresses are the primary IPs, IPv4 first; nil where there is none.
func (l *LoadBalancer) addresses(o *objects) []*PrimaryIP {
	return []*PrimaryIP{o.primaryIP(l.IPv4ID), o.primaryIP(l.IPv6ID)}
}

// listens is the address of a load balancer's primary IP that it uses: of an
// IPv6 network the first one.
func (p *PrimaryIP) listens() netip.Addr {
	if p.Type == typeIPv6 {
		return p.Address.Addr().Next()
	}
	return p.Address.Addr()
}

// changeLoadBalancerPointer is for the two addresses in use only.
func changeLoadBalancerPointer(q *request, v *LoadBalancer) (reply, error) {
	var body struct {
		IP string `json:"ip"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	a, err := netip.ParseAddr(body.IP)
	if err != nil {
		return reply{}, invalid("ip", "%q is not an IP address", body.IP)
	}
	if !slices.ContainsFunc(v.addresses(q.obj), func(p *PrimaryIP) bool { return p != nil && p.listens() == a }) {
		return reply{}, notFound("the load_balancer has no IP " + body.IP)
	}
	return changePointer(q, v.subject(), v.addresses(q.obj)...)
}

type loadBalancerRequest struct {
	Name        string              `json:"name"`
	Type        ref                 `json:"load_balancer_type"`
	Algorithm   *algorithmRequest   `json:"algorithm"`
	Location    ref                 `json:"location"`
	NetworkZone string              `json:"network_zone"`
	Labels      map[string]string   `json:"labels"`
	Targets     []lbTargetRequest   `json:"targets"`
	Services    []lbServiceRequest  `json:"services"`
	Public      *bool               `json:"public_interface"`
	Network     ref                 `json:"network"`
	PublicNet   *lbPublicNetRequest `json:"public_net"`
}

type lbPublicNetRequest struct {
	IPv4 *int64 `json:"ipv4"`
	IPv6 *int64 `json:"ipv6"`
}

type algorithmRequest struct {
	Type string `json:"type"`
}

func (r *algorithmRequest) check() error {
	if r.Type != defaultAlgorithm && r.Type != "least_connections" {
		return invalid("algorithm.type", "must be %s or least_connections, not %q", defaultAlgorithm, r.Type)
	}
	return nil
}

func createLoadBalancer(q *request, k kind[*LoadBalancer]) (reply, error) {
	var body loadBalancerRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	v, err := body.loadBalancer()
	if err != nil {
		return reply{}, err
	}
	if err := k.nameFree(q.obj, body.Name); err != nil {
		return reply{}, err
	}
	if !body.Network.isZero() {
		if v.Private, err = v.place(q, body.Network, "", ""); err != nil {
			return reply{}, err
		}
	}
	for _, wanted := range body.Services {
		s, err := v.newService(q, wanted)
		if err != nil {
			return reply{}, err
		}
		v.Services = append(v.Services, s)
	}
	for _, wanted := range body.Targets {
		t, err := v.newTarget(q, wanted)
		if err != nil {
			return reply{}, err
		}
		v.Targets = append(v.Targets, t)
	}
	if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
		return reply{}, err
	}
	if err := body.address(q, v); err != nil {
		return reply{}, err
	}
	q.obj.LoadBalancers = append(q.obj.LoadBalancers, v)
	actions := q.begin(v.change("create_load_balancer", func() {}))
	return reply{http.StatusCreated, map[string]any{"load_balancer": v.wire(q.obj), "action": actions[0]}}, nil
}

// loadBalancer checks what needs no other object.
func (r *loadBalancerRequest) loadBalancer() (*LoadBalancer, error) {
	v := &LoadBalancer{Algorithm: defaultAlgorithm, PublicOff: r.Public != nil && !*r.Public}
	t, ok := lookUp(loadBalancerTypes(), r.Type)
	if !ok {
		return nil, invalid("load_balancer_type", "load balancer type not found")
	}
	v.Type = t.Name
	if r.Algorithm != nil {
		if err := r.Algorithm.check(); err != nil {
			return nil, err
		}
		v.Algorithm = r.Algorithm.Type
	}
	if r.Location.isZero() == (r.NetworkZone == "") {
		return nil, invalid("location", "exactly one of location and network_zone is required")
	}
	for _, l := range locations() {
		if r.Location.names(l.meta()) || r.NetworkZone != "" && l.NetworkZone == r.NetworkZone {
			v.Location = l.Name
			return v, nil
		}
	}
	if r.NetworkZone != "" {
		return nil, invalid("network_zone", "there is no network zone %q", r.NetworkZone)
	}
	return nil, invalid("location", "location not found")
}

// address gives a new load balancer the primary IPs that are asked for, or new
// ones. Nothing changes when one is refused.
func (r *loadBalancerRequest) address(q *request, v *LoadBalancer) error {
	wanted := lbPublicNetRequest{}
	if r.PublicNet != nil {
		wanted = *r.PublicNet
	}
	slots := []struct {
		version string
		id      *int64
		into    *int64
	}{{typeIPv4, wanted.IPv4, &v.IPv4ID}, {typeIPv6, wanted.IPv6, &v.IPv6ID}}
	for _, s := range slots {
		if s.id == nil {
			continue
		}
		p, err := chosenIP(q, *s.id, s.version, v.Location)
		if err != nil {
			return err
		}
		*s.into = p.ID
	}
	for _, s := range slots {
		if s.id != nil {
			q.obj.primaryIP(*s.into).Assignee = v.subject()
			continue
		}
		p, err := autoIP(q, s.version, v.Location, v.subject())
		if err != nil {
			return err
		}
		*s.into = p.ID
	}
	return nil
}

func removeLoadBalancer(q *request, v *LoadBalancer) (reply, error) {
	if v.Protection {
		return reply{}, fail(http.StatusForbidden, "protected", "the load balancer is protected from deletion")
	}
	j := v.change("delete_load_balancer", nil)
	j.done = func(o *objects, err error) {
		if err == nil {
			o.LoadBalancers = without(o.LoadBalancers, v)
			o.leave(v.subject())
		}
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}

func protectLoadBalancer(q *request, v *LoadBalancer) (reply, error) {
	var body struct {
		Delete *bool `json:"delete"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	return v.begin(q, "change_protection", func() {
		if body.Delete != nil {
			v.Protection = *body.Delete
		}
	})
}

func changeAlgorithm(q *request, v *LoadBalancer) (reply, error) {
	var body algorithmRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if err := body.check(); err != nil {
		return reply{}, err
	}
	return v.begin(q, "change_algorithm", func() { v.Algorithm = body.Type })
}

// changeLoadBalancerType refuses a type that is too small for what there is.
func changeLoadBalancerType(q *request, v *LoadBalancer) (reply, error) {
	var body struct {
		Type ref `json:"load_balancer_type"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	t, ok := lookUp(loadBalancerTypes(), body.Type)
	if !ok {
		return reply{}, invalid("load_balancer_type", "load balancer type not found")
	}
	if len(v.Services) > t.MaxServices || v.weight(q.obj) > t.MaxTargets {
		return reply{}, fail(http.StatusUnprocessableEntity, "invalid_load_balancer_type", "the load balancer has more services or targets than "+t.Name+" takes")
	}
	return v.begin(q, "change_type", func() { v.Type = t.Name })
}

// publicTarget tells whether a load balancer reaches a server by its public
// address.
func (o *objects) publicTarget(server int64) bool {
	return slices.ContainsFunc(o.LoadBalancers, func(l *LoadBalancer) bool {
		return slices.ContainsFunc(l.Targets, func(t *lbTarget) bool { return t.Server == server && !t.UsePrivateIP })
	})
}
