package cloud

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

const (
	typeIPv4 = "ipv4"
	typeIPv6 = "ipv6"

	assigneeServer       = "server"
	assigneeLoadBalancer = "load_balancer"
	assigneeNone         = "unassigned"

	bitsIPv4 = 32
	bitsIPv6 = 64
)

// PrimaryIP is a public address. Every public address of a server or a load
// balancer is one: those that were made along with their owner go with it.
type PrimaryIP struct {
	Meta
	Type       string            `json:"type"`
	Address    netip.Prefix      `json:"address"` // a /32 or a /64
	Location   string            `json:"location"`
	Assignee   Subject           `json:"assignee"` // zero: nobody
	AutoDelete bool              `json:"auto_delete"`
	Protected  bool              `json:"protected"`
	DNSPtr     map[string]string `json:"dns_ptr"` // by address; what is not set has the standard name
}

func (p *PrimaryIP) subject() Subject { return Subject{ID: p.ID, Type: "primary_ip"} }

// text is the address as the API writes it.
func (p *PrimaryIP) text() string {
	if p.Type == typeIPv4 {
		return p.Address.Addr().String()
	}
	return p.Address.String()
}

func (p *PrimaryIP) wire(*objects) any {
	loc, _ := lookUp(locations(), ref{name: p.Location})
	w := map[string]any{
		"id": p.ID, "name": p.Name, "labels": p.Labels, "created": p.Created, "type": p.Type, "ip": p.text(), "blocked": false,
		"auto_delete": p.AutoDelete, "protection": map[string]bool{"delete": p.Protected}, "location": loc, "dns_ptr": p.pointers(),
		"assignee_id": nil, "assignee_type": assigneeNone,
	}
	if p.Assignee.ID != 0 {
		w["assignee_id"], w["assignee_type"] = p.Assignee.ID, p.Assignee.Type
	}
	return w
}

func (o *objects) primaryIP(id int64) *PrimaryIP {
	for _, p := range o.PrimaryIPs {
		if p.ID == id {
			return p
		}
	}
	return nil
}

func primaryIPKind() kind[*PrimaryIP] {
	k := kind[*PrimaryIP]{
		one: "primary_ip", many: "primary_ips",
		all:  func(o *objects) []*PrimaryIP { return o.PrimaryIPs },
		show: func(o *objects, v *PrimaryIP) any { return v.wire(o) },
		match: map[string]func(*PrimaryIP, string) bool{"ip": func(v *PrimaryIP, want string) bool {
			return v.text() == want || v.Address.Addr().String() == want
		}},
		busy: func(q *request, v *PrimaryIP) error {
			if act := q.obj.running("primary_ip", v.ID); act != nil {
				return fail(http.StatusLocked, "locked", "primary IP is locked by action "+act.Command+" ("+strconv.FormatInt(act.ID, 10)+")")
			}
			return nil
		},
		update: updatePrimaryIP,
		remove: func(q *request, v *PrimaryIP) (reply, error) {
			switch {
			case v.Protected:
				return reply{}, fail(http.StatusForbidden, "protected", "the primary IP is protected from deletion")
			case v.Assignee.ID != 0:
				return reply{}, fail(http.StatusUnprocessableEntity, "must_be_unassigned", "the primary IP must be unassigned first")
			}
			q.obj.PrimaryIPs = without(q.obj.PrimaryIPs, v)
			return reply{status: http.StatusNoContent}, nil
		},
		actions: map[string]func(*request, *PrimaryIP) (reply, error){
			"assign": assignPrimaryIP, "unassign": unassignPrimaryIP, "change_protection": protectPrimaryIP,
			"change_dns_ptr": func(q *request, v *PrimaryIP) (reply, error) { return changePointer(q, v.subject(), v) },
		},
	}
	k.create = func(q *request) (reply, error) { return createPrimaryIP(q, k) }
	return k
}

func createPrimaryIP(q *request, k kind[*PrimaryIP]) (reply, error) {
	var body struct {
		Name         string            `json:"name"`
		Type         string            `json:"type"`
		Location     ref               `json:"location"`
		AssigneeType string            `json:"assignee_type"`
		AssigneeID   *int64            `json:"assignee_id"`
		AutoDelete   bool              `json:"auto_delete"`
		Labels       map[string]string `json:"labels"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.AssigneeType != "" && body.AssigneeType != assigneeServer && body.AssigneeType != assigneeNone {
		return reply{}, invalid("assignee_type", "must be %s or %s, not %q", assigneeServer, assigneeNone, body.AssigneeType)
	}
	v := &PrimaryIP{Type: body.Type, AutoDelete: body.AutoDelete}
	var s *Server
	if body.AssigneeID != nil {
		if s = q.obj.server(*body.AssigneeID); s == nil {
			return reply{}, invalid("assignee_id", "server not found")
		}
		v.Location = s.Location
	}
	if !body.Location.isZero() {
		loc, ok := lookUp(locations(), body.Location)
		if !ok {
			return reply{}, invalid("location", "location not found")
		}
		v.Location = loc.Name
	}
	if v.Location == "" {
		return reply{}, invalid("location", "is required without assignee_id")
	}
	if s != nil {
		if err := v.mayGoTo(q, s); err != nil {
			return reply{}, err
		}
	}
	address, err := newAddress(q, v.Type)
	if err != nil {
		return reply{}, err
	}
	v.Address = address
	if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
		return reply{}, err
	}
	q.obj.PrimaryIPs = append(q.obj.PrimaryIPs, v)
	answer := map[string]any{"primary_ip": v.wire(q.obj), "action": nil}
	if s != nil {
		answer["action"] = q.begin(q.assignJob(v, s))[0]
	}
	return reply{http.StatusCreated, answer}, nil
}

func updatePrimaryIP(q *request, v *PrimaryIP) error {
	var body struct {
		AutoDelete *bool `json:"auto_delete"`
	}
	if err := q.decode(&body); err != nil {
		return err
	}
	if body.AutoDelete == nil {
		return nil
	}
	if *body.AutoDelete && v.Protected {
		return invalid("auto_delete", "cannot be set on a primary IP that is protected from deletion")
	}
	v.AutoDelete = *body.AutoDelete
	return nil
}

// newAddress gives an address that nobody has: the next IPv4 of the machines'
// network, or an IPv6 network by the next ID.
func newAddress(q *request, version string) (netip.Prefix, error) {
	switch version {
	case typeIPv4:
		a, err := freeAddress(q.obj, q.api.opt.Machines.Prefix())
		return netip.PrefixFrom(a, bitsIPv4), err
	case typeIPv6:
		n := q.obj.newID()
		return netip.MustParsePrefix(fmt.Sprintf("2001:db8:%x:%x::/%d", n>>16&0xffff, n&0xffff, bitsIPv6)), nil
	}
	return netip.Prefix{}, invalid("type", "must be %s or %s, not %q", typeIPv4, typeIPv6, version)
}

// autoIP makes the address that comes and goes with its owner.
func autoIP(q *request, version, location string, owner Subject) (*PrimaryIP, error) {
	address, err := newAddress(q, version)
	if err != nil {
		return nil, err
	}
	return q.obj.addAutoIP(q.obj.newID(), version, address, location, owner, q.now()), nil
}

func (o *objects) addAutoIP(id int64, version string, address netip.Prefix, location string, owner Subject, created time.Time) *PrimaryIP {
	v := &PrimaryIP{
		Meta: Meta{ID: id, Name: "primary_ip-" + strconv.FormatInt(id, 10), Labels: map[string]string{}, Created: created},
		Type: version, Address: address, Location: location, Assignee: owner, AutoDelete: true,
	}
	o.PrimaryIPs = append(o.PrimaryIPs, v)
	return v
}

// adoptAddresses makes primary IPs of the public addresses of a server that was
// kept by a lab that did not know of primary IPs yet.
func (o *objects) adoptAddresses(s *Server) {
	if s.IPv4ID != 0 && o.primaryIP(s.IPv4ID) == nil {
		o.addAutoIP(s.IPv4ID, typeIPv4, netip.PrefixFrom(s.IPv4, bitsIPv4), s.Location, s.subject(), s.Created)
	}
	if s.IPv6ID != 0 && o.primaryIP(s.IPv6ID) == nil {
		o.addAutoIP(s.IPv6ID, typeIPv6, s.IPv6, s.Location, s.subject(), s.Created)
	}
}

// chosenIP finds the existing primary IP that a new server or load balancer is
// to have.
func chosenIP(q *request, id int64, version, location string) (*PrimaryIP, error) {
	p := q.obj.primaryIP(id)
	switch {
	case p == nil:
		return nil, invalid("public_net."+version, "primary IP not found")
	case p.Type != version:
		return nil, fail(http.StatusUnprocessableEntity, "primary_ip_version_mismatch", "the primary IP is not an "+version)
	case p.Assignee.ID != 0:
		return nil, fail(http.StatusUnprocessableEntity, "primary_ip_assigned", "the primary IP is already assigned")
	case p.Location != location:
		return nil, fail(http.StatusUnprocessableEntity, "primary_ip_datacenter_mismatch", "the primary IP is in "+p.Location+", not in "+location)
	case q.obj.running("primary_ip", p.ID) != nil:
		return nil, fail(http.StatusLocked, "locked", "the primary IP is being changed")
	}
	return p, nil
}

// leave frees the addresses of an owner that is gone.
func (o *objects) leave(owner Subject) {
	for _, p := range append([]*PrimaryIP{}, o.PrimaryIPs...) {
		if p.Assignee != owner {
			continue
		}
		p.Assignee = Subject{}
		if p.AutoDelete {
			o.PrimaryIPs = without(o.PrimaryIPs, p)
		}
	}
}

// mayGoTo tells whether the address can be assigned to a server now.
func (p *PrimaryIP) mayGoTo(q *request, s *Server) error {
	if err := serverKind().free(q, s); err != nil {
		return err
	}
	switch {
	case p.Assignee.ID != 0:
		return fail(http.StatusUnprocessableEntity, "primary_ip_already_assigned", "the primary IP is already assigned to a different resource")
	case p.Type == typeIPv4 && s.IPv4ID != 0:
		return fail(http.StatusUnprocessableEntity, "server_has_ipv4", "the server already has an IPv4")
	case p.Type == typeIPv6 && s.IPv6ID != 0:
		return fail(http.StatusUnprocessableEntity, "server_has_ipv6", "the server already has an IPv6")
	case p.Location != s.Location:
		return fail(http.StatusUnprocessableEntity, "primary_ip_datacenter_mismatch", "the primary IP is in "+p.Location+", the server in "+s.Location)
	case s.Status != statusOff:
		return fail(http.StatusUnprocessableEntity, "server_not_stopped", "the server must be off")
	}
	return nil
}

func assignPrimaryIP(q *request, v *PrimaryIP) (reply, error) {
	var body struct {
		AssigneeID   int64  `json:"assignee_id"`
		AssigneeType string `json:"assignee_type"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.AssigneeType != assigneeServer {
		return reply{}, invalid("assignee_type", "must be %s, not %q", assigneeServer, body.AssigneeType)
	}
	s := q.obj.server(body.AssigneeID)
	if s == nil {
		return reply{}, invalid("assignee_id", "server not found")
	}
	if err := v.mayGoTo(q, s); err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(q.assignJob(v, s))), nil
}

func (q *request) assignJob(v *PrimaryIP, s *Server) job {
	j := job{
		command: "assign_primary_ip", about: []Subject{v.subject(), s.subject()}, locks: []Subject{v.subject(), s.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Assignee = s.subject()
				s.takeIP(v)
			}
		},
	}
	if v.Type == typeIPv4 {
		id, address, machines := s.ID, v.Address.Addr(), q.api.opt.Machines
		j.work = func(ctx context.Context) error { return machines.SetPublic(ctx, id, address) }
	}
	return j
}

// takeIP gives a server one of its addresses.
func (s *Server) takeIP(p *PrimaryIP) {
	if p.Type == typeIPv4 {
		s.IPv4ID, s.IPv4 = p.ID, p.Address.Addr()
		return
	}
	s.IPv6ID, s.IPv6 = p.ID, p.Address
}

// unassignPrimaryIP takes an address from its server. The machine of one that
// loses its IPv4 gets another, which the API does not tell.
func unassignPrimaryIP(q *request, v *PrimaryIP) (reply, error) {
	s := q.obj.server(v.Assignee.ID)
	switch {
	case v.Assignee.ID == 0:
		return reply{}, invalid("assignee_id", "the primary IP is not assigned")
	case s == nil:
		return reply{}, refused("the primary IP of a load balancer stays with it")
	}
	if err := serverKind().free(q, s); err != nil {
		return reply{}, err
	}
	if s.Status != statusOff {
		return reply{}, fail(http.StatusUnprocessableEntity, "server_not_stopped", "the server must be off")
	}
	if v.Type == typeIPv4 && q.obj.publicTarget(s.ID) {
		return reply{}, fail(http.StatusUnprocessableEntity, "server_is_load_balancer_target", "the server's IPv4 is a target of a load balancer")
	}
	j := job{command: "unassign_primary_ip", about: []Subject{v.subject(), s.subject()}, locks: []Subject{v.subject(), s.subject()}}
	if v.Type == typeIPv6 {
		j.done = func(_ *objects, err error) {
			if err == nil {
				v.Assignee, s.IPv6ID, s.IPv6 = Subject{}, 0, netip.Prefix{}
			}
		}
		return actionReply(http.StatusCreated, q.begin(j)), nil
	}
	hidden, err := freeAddress(q.obj, q.api.opt.Machines.Prefix())
	if err != nil {
		return reply{}, err
	}
	s.IPv4 = hidden // taken at once; the wire form goes by IPv4ID and the primary IP
	id, machines := s.ID, q.api.opt.Machines
	j.work = func(ctx context.Context) error { return machines.SetPublic(ctx, id, hidden) }
	j.done = func(_ *objects, err error) {
		if err != nil {
			s.IPv4 = v.Address.Addr()
			return
		}
		v.Assignee, s.IPv4ID = Subject{}, 0
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}

func protectPrimaryIP(q *request, v *PrimaryIP) (reply, error) {
	var body struct {
		Delete bool `json:"delete"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Delete && v.AutoDelete {
		return reply{}, invalid("delete", "a primary IP with auto_delete cannot be protected")
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_protection", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Protected = body.Delete
			}
		},
	})), nil
}
