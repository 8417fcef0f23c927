package cloud

import (
	"net/http"
)

const (
	maxGroups       = 50
	maxGroupServers = 10
)

// PlacementGroup spreads servers over machines; the lab has only one, but holds
// clients to the rules.
type PlacementGroup struct {
	Meta
	Type string `json:"type"`
}

func (v *PlacementGroup) subject() Subject { return Subject{ID: v.ID, Type: "placement_group"} }

func (v *PlacementGroup) wire(o *objects) any {
	return struct {
		PlacementGroup
		Servers []int64 `json:"servers"`
	}{*v, v.servers(o)}
}

func (v *PlacementGroup) servers(o *objects) []int64 {
	ids := []int64{}
	for _, s := range o.Servers {
		if s.PlacementGroup == v.ID {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// takes refuses one server more than the group can have.
func (v *PlacementGroup) takes(o *objects) error {
	if len(v.servers(o)) >= maxGroupServers {
		return refused("placement group %s is full: it can have %d servers", v.Name, maxGroupServers)
	}
	return nil
}

func placementGroupKind() kind[*PlacementGroup] {
	k := kind[*PlacementGroup]{
		one: "placement_group", many: "placement_groups",
		all:    func(o *objects) []*PlacementGroup { return o.PlacementGroups },
		show:   func(o *objects, v *PlacementGroup) any { return v.wire(o) },
		match:  map[string]func(*PlacementGroup, string) bool{"type": func(v *PlacementGroup, want string) bool { return v.Type == want }},
		update: func(*request, *PlacementGroup) error { return nil },
		remove: func(q *request, v *PlacementGroup) (reply, error) {
			// Whether the provider lets a group with members go is not known for
			// sure, so nobody may rely on it.
			if len(v.servers(q.obj)) > 0 {
				return reply{}, fail(http.StatusUnprocessableEntity, "resource_in_use", "placement group "+v.Name+" still has servers")
			}
			q.obj.PlacementGroups = without(q.obj.PlacementGroups, v)
			return reply{status: http.StatusNoContent}, nil
		},
	}
	k.create = func(q *request) (reply, error) {
		var body struct {
			Name   string            `json:"name"`
			Type   string            `json:"type"`
			Labels map[string]string `json:"labels"`
		}
		if err := q.decode(&body); err != nil {
			return reply{}, err
		}
		if body.Type != "spread" {
			return reply{}, invalid("type", "must be spread")
		}
		if len(q.obj.PlacementGroups) >= maxGroups {
			return reply{}, exceeded("there can be %d placement groups", maxGroups)
		}
		meta, err := k.fresh(q, body.Name, body.Labels)
		if err != nil {
			return reply{}, err
		}
		v := &PlacementGroup{Meta: meta, Type: body.Type}
		q.obj.PlacementGroups = append(q.obj.PlacementGroups, v)
		return reply{http.StatusCreated, map[string]any{"placement_group": v.wire(q.obj), "action": nil}}, nil
	}
	return k
}

// joinGroup is add_to_placement_group.
func joinGroup(q *request, s *Server) (reply, error) {
	var body struct {
		Group ref `json:"placement_group"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	group, ok := lookUp(q.obj.PlacementGroups, body.Group)
	if !ok {
		return reply{}, invalid("placement_group", "placement group not found")
	}
	if s.PlacementGroup != 0 {
		return reply{}, refused("server %s is in a placement group already", s.Name)
	}
	if err := s.stopped(); err != nil {
		return reply{}, err
	}
	if err := group.takes(q.obj); err != nil {
		return reply{}, err
	}
	s.PlacementGroup = group.ID // taken at once, so that the group does not overflow
	return actionReply(http.StatusCreated, q.begin(job{
		command: "add_to_placement_group", about: []Subject{s.subject(), group.subject()}, locks: []Subject{s.subject()},
		done: func(_ *objects, err error) {
			if err != nil {
				s.PlacementGroup = 0
			}
		},
	})), nil
}

// leaveGroup is remove_from_placement_group.
func leaveGroup(q *request, s *Server) (reply, error) {
	if s.PlacementGroup == 0 {
		return reply{}, refused("server %s is in no placement group", s.Name)
	}
	if err := s.stopped(); err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "remove_from_placement_group", about: []Subject{s.subject(), {ID: s.PlacementGroup, Type: "placement_group"}},
		locks: []Subject{s.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				s.PlacementGroup = 0
			}
		},
	})), nil
}

// stopped refuses what needs a server that is off.
func (s *Server) stopped() error {
	if s.Status != statusOff {
		return fail(http.StatusUnprocessableEntity, "server_not_stopped", "server "+s.Name+" must be off, and is "+s.Status)
	}
	return nil
}
