package cloud

import (
	"context"
	"fmt"
	"net/http"
)

const statusMigrating = "migrating"

// changeType gives a server that is off another type and starts it. The lab's
// machines are all of one size, so only the API's words change.
func changeType(q *request, s *Server) (reply, error) {
	var body struct {
		ServerType  ref   `json:"server_type"`
		UpgradeDisk *bool `json:"upgrade_disk"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.UpgradeDisk == nil {
		return reply{}, invalid("upgrade_disk", "is required")
	}
	typ, ok := lookUp(serverTypes(), body.ServerType)
	if !ok {
		return reply{}, invalid("server_type", "server type not found")
	}
	if err := s.stopped(); err != nil {
		return reply{}, err
	}
	if err := s.fits(typ); err != nil {
		return reply{}, err
	}
	if err := typ.offered(s.Location, q.now()); err != nil {
		return reply{}, err
	}
	s.Status = statusMigrating
	id, machines := s.ID, q.api.opt.Machines
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_server_type", about: []Subject{s.subject()}, locks: []Subject{s.subject()},
		work: func(ctx context.Context) error { return machines.Start(ctx, id) },
		done: func(_ *objects, err error) {
			if s.Status = statusRunning; err != nil {
				s.Status = statusOff
				return
			}
			if s.ServerType, s.Rescue = typ.Name, false; *body.UpgradeDisk {
				s.Disk = typ.Disk
			}
		},
	})), nil
}

// fits refuses a type that the server's disk or machine code does not go with.
func (s *Server) fits(typ *serverType) error {
	wrong := func(format string, args ...any) error {
		return fail(http.StatusUnprocessableEntity, "invalid_server_type", fmt.Sprintf(format, args...))
	}
	now, ok := lookUp(serverTypes(), ref{name: s.ServerType})
	switch {
	case ok && now.Architecture != typ.Architecture:
		return wrong("server type %s is for %s, the server is %s", typ.Name, typ.Architecture, now.Architecture)
	case ok && now.StorageType != typ.StorageType:
		return wrong("server type %s has %s storage, the server %s", typ.Name, typ.StorageType, now.StorageType)
	case typ.Disk < s.Disk:
		return wrong("server type %s has a disk of %d GB, the server's has %d GB", typ.Name, typ.Disk, s.Disk)
	}
	return nil
}
