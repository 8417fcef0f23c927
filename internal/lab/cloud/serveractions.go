package cloud

import (
	"context"
	"net/http"
	"net/netip"
)

// serverActions are the calls below /servers/{id}/actions.
func serverActions() map[string]func(*request, *Server) (reply, error) {
	m := func(q *request) Machines { return q.api.opt.Machines }
	return map[string]func(*request, *Server) (reply, error){
		"poweron": power("start_server", statusStarting, statusRunning, func(q *request) func(context.Context, int64) error { return m(q).Start }),
		"poweroff": power("stop_server", statusStopping, statusOff, func(q *request) func(context.Context, int64) error {
			return m(q).PowerOff
		}),
		"shutdown": power("shutdown_server", statusRunning, statusOff, func(q *request) func(context.Context, int64) error {
			return m(q).Shutdown
		}),
		"reset":               power("reset_server", statusRunning, statusRunning, func(q *request) func(context.Context, int64) error { return m(q).Reset }),
		"reboot":              rebootServer,
		"rebuild":             rebuildServer,
		"attach_to_network":   attachServer,
		"detach_from_network": detachServer,
		"change_protection":   protectServer,

		"add_to_placement_group":      joinGroup,
		"remove_from_placement_group": leaveGroup,
		"enable_backup":               setBackups("enable_backup", true),
		"disable_backup":              setBackups("disable_backup", false),
		"enable_rescue":               enableRescue,
		"disable_rescue":              disableRescue,
		"create_image":                createImage,
		"change_dns_ptr": func(q *request, s *Server) (reply, error) {
			return changePointer(q, s.subject(), q.obj.primaryIP(s.IPv4ID), q.obj.primaryIP(s.IPv6ID))
		},
	}
}

// power makes a call that changes whether the machine runs.
func power(command, during, after string, work func(*request) func(context.Context, int64) error) func(*request, *Server) (reply, error) {
	return func(q *request, s *Server) (reply, error) {
		if after == statusRunning && s.IPv4ID == 0 && s.IPv6ID == 0 && len(s.Private) == 0 {
			return reply{}, refused("a server without a public address and without a network cannot start")
		}
		id, before, run := s.ID, s.Status, work(q)
		if before != after {
			s.Status = during
		}
		return actionReply(http.StatusCreated, q.begin(job{
			command: command, about: []Subject{s.subject()}, locks: []Subject{s.subject()},
			work: func(ctx context.Context) error { return run(ctx, id) },
			done: func(_ *objects, err error) {
				if s.Status = after; err != nil {
					s.Status = before
				}
			},
		})), nil
	}
}

// rebootServer leaves a server that is off alone: nobody takes the signal.
func rebootServer(q *request, s *Server) (reply, error) {
	j := job{command: "reboot_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()}}
	if s.Status == statusRunning {
		id, machines := s.ID, q.api.opt.Machines
		j.work = func(ctx context.Context) error { return machines.Reboot(ctx, id) }
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}

// rebuildServer wipes the disk and boots the image; id, addresses and network
// attachments stay, and the user data unless new ones come along.
func rebuildServer(q *request, s *Server) (reply, error) {
	var body struct {
		Image    ref     `json:"image"`
		UserData *string `json:"user_data"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if s.Protected {
		return reply{}, protected("the server is protected from being rebuilt")
	}
	typ, _ := lookUp(serverTypes(), ref{name: s.ServerType})
	img, err := q.obj.findImage(body.Image, typ.Architecture, s.Disk)
	if err != nil {
		return reply{}, err
	}
	if body.UserData != nil {
		if len(*body.UserData) > maxUserData {
			return reply{}, invalid("user_data", "must have at most %d bytes", maxUserData)
		}
		s.UserData = *body.UserData
	}
	s.Status, s.Image, s.ImageID = statusRebuilding, q.obj.base(img), img.ID
	m, machines := s.machine(q.obj), q.api.opt.Machines
	rep := actionReply(http.StatusCreated, q.begin(job{
		command: "rebuild_server", about: []Subject{s.subject(), {ID: img.ID, Type: "image"}}, locks: []Subject{s.subject()},
		work: func(ctx context.Context) error {
			if err := machines.Remove(ctx, m.ID); err != nil {
				return err
			}
			if err := machines.Create(ctx, m); err != nil {
				return err
			}
			return machines.Start(ctx, m.ID)
		},
		done: func(_ *objects, err error) {
			if s.Status = statusRunning; err != nil {
				s.Status = statusOff
			}
		},
	}))
	rep.body.(map[string]any)["root_password"] = rootPassword(s)
	return rep, nil
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
	if q.obj.running("network", n.ID) != nil {
		return reply{}, fail(http.StatusConflict, "conflict", "the network is being changed")
	}
	loc, _ := lookUp(locations(), ref{name: s.Location})
	ip, err := n.address(q.obj, loc.NetworkZone, body.IP, body.IPRange)
	if err != nil {
		return reply{}, err
	}
	var aliases []netip.Addr
	for _, text := range body.AliasIPs {
		alias, err := netip.ParseAddr(text)
		if err != nil || !n.IPRange.Contains(alias) {
			return reply{}, invalid("alias_ips", "%q is not an address of the network", text)
		}
		aliases = append(aliases, alias)
	}
	s.attach(n.ID, ip) // taken at once, so that nobody else gets the address
	if aliases != nil {
		s.attachment(n.ID).AliasIPs = aliases
	}
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

func protectServer(q *request, s *Server) (reply, error) {
	var body struct {
		Delete  *bool `json:"delete"`
		Rebuild *bool `json:"rebuild"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Delete == nil || body.Rebuild == nil || *body.Delete != *body.Rebuild {
		return reply{}, invalid("delete", "delete and rebuild must have the same value")
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_protection", about: []Subject{s.subject()}, locks: []Subject{s.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				s.Protected = *body.Delete
			}
		},
	})), nil
}
