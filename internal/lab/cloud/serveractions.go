package cloud

import (
	"context"
	"net/http"
)

// serverActions are the calls below /servers/{id}/actions.
func serverActions() map[string]func(*request, *Server) (reply, error) {
	return map[string]func(*request, *Server) (reply, error){
		"poweron":             bootServer("start_server", false),
		"reset":               bootServer("reset_server", true),
		"poweroff":            cutServer,
		"shutdown":            shutdownServer,
		"reboot":              rebootServer,
		"rebuild":             rebuildServer,
		"attach_to_network":   attachServer,
		"detach_from_network": detachServer,
		"change_alias_ips":    changeAliases,
		"change_type":         changeType,
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
	next := *s
	next.Image, next.ImageID = q.obj.base(img), img.ID
	if body.UserData != nil {
		if len(*body.UserData) > maxUserData {
			return reply{}, invalid("user_data", "must have at most %d bytes", maxUserData)
		}
		next.UserData = *body.UserData
	}
	s.Status = statusRebuilding
	m, machines := next.machine(q.obj), q.api.opt.Machines
	rep := actionReply(http.StatusCreated, q.begin(job{
		command: "rebuild_server", about: []Subject{s.subject(), img.subject()}, locks: []Subject{s.subject()}, cuts: true,
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
				s.Status = statusOff // with whatever is left of the disk
				return
			}
			s.Image, s.ImageID, s.UserData, s.Rescue = next.Image, next.ImageID, next.UserData, false
		},
	}))
	rep.body.(map[string]any)["root_password"] = rootPassword(s)
	return rep, nil
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
