package cloud

import (
	"net/http"
	"slices"
)

// place finds a load balancer's address in a network.
func (l *LoadBalancer) place(q *request, network ref, ip, ipRange string) (*lbPrivate, error) {
	n, ok := lookUp(q.obj.Networks, network)
	if !ok {
		return nil, invalid("network", "network not found")
	}
	if q.obj.running("network", n.ID) != nil {
		return nil, fail(http.StatusConflict, "conflict", "the network is being changed")
	}
	a, err := n.address(q.obj, l.zone(), ip, ipRange)
	if err != nil {
		return nil, err
	}
	return &lbPrivate{Network: n.ID, IP: a}, nil
}

func attachLoadBalancer(q *request, v *LoadBalancer) (reply, error) {
	var body struct {
		Network ref    `json:"network"`
		IP      string `json:"ip"`
		IPRange string `json:"ip_range"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if v.Private != nil {
		return reply{}, fail(http.StatusUnprocessableEntity, "load_balancer_already_attached", "the load balancer is already attached to a network")
	}
	at, err := v.place(q, body.Network, body.IP, body.IPRange)
	if err != nil {
		return reply{}, err
	}
	v.Private = at // taken at once, so that nobody else gets the address
	j := v.change("attach_to_network", nil, Subject{ID: at.Network, Type: "network"})
	j.done = func(_ *objects, err error) {
		if err != nil {
			v.Private = nil
		}
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}

func detachLoadBalancer(q *request, v *LoadBalancer) (reply, error) {
	var body struct {
		Network ref `json:"network"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	n, ok := lookUp(q.obj.Networks, body.Network)
	if !ok || !v.in(n.ID) {
		return reply{}, fail(http.StatusUnprocessableEntity, "load_balancer_not_attached_to_network", "the load balancer is not attached to that network")
	}
	if slices.ContainsFunc(v.Targets, func(t *lbTarget) bool { return t.UsePrivateIP }) {
		return reply{}, refused("the load balancer has targets that use their private IP")
	}
	return v.begin(q, "detach_from_network", func() { v.Private = nil }, n.subject())
}

// leaveNetwork takes a load balancer out of a network that is gone, along with
// the targets that it reached there.
func (l *LoadBalancer) leaveNetwork() {
	l.Private = nil
	l.Targets = slices.DeleteFunc(slices.Clone(l.Targets), func(t *lbTarget) bool { return t.UsePrivateIP })
}

func enablePublic(q *request, v *LoadBalancer) (reply, error) {
	return v.begin(q, "enable_public_interface", func() { v.PublicOff = false })
}

func disablePublic(q *request, v *LoadBalancer) (reply, error) {
	if v.Private == nil {
		return reply{}, fail(http.StatusUnprocessableEntity, "load_balancer_not_attached_to_network", "the load balancer is not attached to a network")
	}
	if slices.ContainsFunc(v.Targets, func(t *lbTarget) bool { return !t.UsePrivateIP && t.IP == "" }) {
		return reply{}, fail(http.StatusUnprocessableEntity, "targets_without_use_private_ip", "the load balancer has targets that use their public IP")
	}
	return v.begin(q, "disable_public_interface", func() { v.PublicOff = true })
}
