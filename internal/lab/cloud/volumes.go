package cloud

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
)

const (
	minVolume = 10 // GB
	maxVolume = 10240

	volumeCreating  = "creating"
	volumeAvailable = "available"
)

// Volume is a block device as far as the API tells of it; the lab's machines
// get none.
type Volume struct {
	Meta
	Size      int     `json:"size"`   // GB
	Server    int64   `json:"server"` // 0: attached to none
	Location  string  `json:"location"`
	Format    *string `json:"format"` // what it was formatted with at creation
	Status    string  `json:"status"`
	Protected bool    `json:"protected"`
}

func (v *Volume) subject() Subject { return Subject{ID: v.ID, Type: "volume"} }

func (v *Volume) wire() any {
	loc, _ := lookUp(locations(), ref{name: v.Location})
	var server *int64
	if v.Server != 0 {
		id := v.Server
		server = &id
	}
	return struct {
		Meta
		Size        int             `json:"size"`
		Server      *int64          `json:"server"`
		Location    *location       `json:"location"`
		LinuxDevice string          `json:"linux_device"`
		Format      *string         `json:"format"`
		Status      string          `json:"status"`
		Protection  map[string]bool `json:"protection"`
	}{
		v.Meta, v.Size, server, loc, fmt.Sprintf("/dev/disk/by-id/scsi-0HC_Volume_%d", v.ID), v.Format, v.Status,
		map[string]bool{"delete": v.Protected},
	}
}

// volumes gives the ids of what is attached to a server.
func (s *Server) volumes(o *objects) []int64 {
	ids := []int64{}
	for _, v := range o.Volumes {
		if v.Server == s.ID {
			ids = append(ids, v.ID)
		}
	}
	return ids
}

func volumeKind() kind[*Volume] {
	k := kind[*Volume]{
		one: "volume", many: "volumes",
		all:   func(o *objects) []*Volume { return o.Volumes },
		show:  func(_ *objects, v *Volume) any { return v.wire() },
		match: map[string]func(*Volume, string) bool{"status": func(v *Volume, want string) bool { return v.Status == want }},
		busy:  func(q *request, v *Volume) error { return q.unlocked(v.subject()) },
		update: func(q *request, _ *Volume) error {
			var body struct {
				Name *string `json:"name"`
			}
			if err := q.decode(&body); err != nil || body.Name == nil {
				return err
			}
			return checkVolumeName(*body.Name)
		},
		remove: func(q *request, v *Volume) (reply, error) {
			switch {
			case v.Protected:
				return reply{}, protected("the volume is protected from deletion")
			case v.Server != 0:
				return reply{}, refused("volume with ID '%d' is attached to a server", v.ID)
			}
			q.obj.Volumes = without(q.obj.Volumes, v)
			return reply{status: http.StatusNoContent}, nil
		},
		actions: map[string]func(*request, *Volume) (reply, error){
			"attach": attachVolume, "detach": detachVolume, "resize": resizeVolume, "change_protection": protectVolume,
		},
	}
	k.create = func(q *request) (reply, error) { return createVolume(q, k) }
	return k
}

// unlocked refuses a write to what another action holds.
func (q *request) unlocked(s Subject) error {
	if act := q.obj.running(s.Type, s.ID); act != nil {
		return fail(http.StatusLocked, "locked", s.Type+" is locked by action "+act.Command+" ("+strconv.FormatInt(act.ID, 10)+")")
	}
	return nil
}

func checkVolumeName(name string) error {
	if !regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?$`).MatchString(name) {
		return invalid("name", "%q must have 1 to 64 letters, digits, dots, dashes or underscores, a letter or a digit at both ends", name)
	}
	return nil
}

type volumeRequest struct {
	Name      string            `json:"name"`
	Size      int               `json:"size"`
	Server    *int64            `json:"server"`
	Location  ref               `json:"location"`
	Labels    map[string]string `json:"labels"`
	Automount bool              `json:"automount"`
	Format    *string           `json:"format"`
}

// createVolume answers with the actions create_volume and, with a server,
// attach_volume.
func createVolume(q *request, k kind[*Volume]) (reply, error) {
	var body volumeRequest
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	v, s, err := body.volume(q)
	if err != nil {
		return reply{}, err
	}
	if v.Meta, err = k.fresh(q, body.Name, body.Labels); err != nil {
		return reply{}, err
	}
	q.obj.Volumes = append(q.obj.Volumes, v)
	jobs := []job{{
		command: "create_volume", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(o *objects, err error) {
			if v.Status = volumeAvailable; err != nil {
				o.Volumes = without(o.Volumes, v)
			}
		},
	}}
	if s != nil {
		jobs = append(jobs, v.attachJob(s))
	}
	actions := q.begin(jobs...)
	return reply{http.StatusCreated, map[string]any{"volume": v.wire(), "action": actions[0], "next_actions": actions[1:]}}, nil
}

// volume checks everything but what every kind has; the server is nil when the
// volume is not to be attached.
func (r *volumeRequest) volume(q *request) (*Volume, *Server, error) {
	if err := checkVolumeName(r.Name); err != nil {
		return nil, nil, err
	}
	if r.Size < minVolume || r.Size > maxVolume {
		return nil, nil, invalid("size", "must be %d to %d, not %d", minVolume, maxVolume, r.Size)
	}
	if r.Format != nil && *r.Format != "ext4" && *r.Format != "xfs" {
		return nil, nil, invalid("format", "must be ext4 or xfs, not %q", *r.Format)
	}
	if r.Automount && (r.Server == nil || r.Format == nil) {
		return nil, nil, invalid("automount", "needs a server and a format")
	}
	v := &Volume{Size: r.Size, Format: r.Format, Status: volumeCreating}
	if (r.Server != nil) == !r.Location.isZero() {
		return nil, nil, invalid("location", "either a server or a location is needed")
	}
	if r.Server == nil {
		loc, ok := lookUp(locations(), r.Location)
		if !ok {
			return nil, nil, invalid("location", "location not found")
		}
		v.Location = loc.Name
		return v, nil, nil
	}
	s, err := q.mountable(*r.Server)
	if err != nil {
		return nil, nil, err
	}
	v.Location = s.Location
	return v, s, nil
}

// mountable gives a server that a volume can be attached to now.
func (q *request) mountable(id int64) (*Server, error) {
	s := q.obj.server(id)
	if s == nil {
		return nil, invalid("server", "server with ID '%d' not found", id)
	}
	return s, q.unlocked(s.subject())
}

func (v *Volume) attachJob(s *Server) job {
	return job{
		command: "attach_volume", about: []Subject{s.subject(), v.subject()}, locks: []Subject{s.subject(), v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Server = s.ID
			}
		},
	}
}

// attachable refuses what cannot be attached to a server in that place.
func (v *Volume) attachable(place string) error {
	switch {
	case v.Server != 0:
		return fail(http.StatusUnprocessableEntity, "volume_already_attached", "volume is already attached to a server, detach it first")
	case v.Location != place:
		return invalid("server", "the volume is in %s, the server in %s", v.Location, place)
	}
	return nil
}

func attachVolume(q *request, v *Volume) (reply, error) {
	var body struct {
		Server    int64 `json:"server"`
		Automount bool  `json:"automount"` // the lab's machines mount nothing
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	s, err := q.mountable(body.Server)
	if err != nil {
		return reply{}, err
	}
	if err := v.attachable(s.Location); err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(v.attachJob(s))), nil
}

func detachVolume(q *request, v *Volume) (reply, error) {
	s := q.obj.server(v.Server)
	if s == nil {
		return reply{}, refused("volume with ID '%d' is not attached to a server", v.ID)
	}
	if err := q.unlocked(s.subject()); err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "detach_volume", about: []Subject{s.subject(), v.subject()}, locks: []Subject{s.subject(), v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Server = 0
			}
		},
	})), nil
}

func resizeVolume(q *request, v *Volume) (reply, error) {
	var body struct {
		Size int `json:"size"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Size <= v.Size || body.Size > maxVolume {
		return reply{}, invalid("size", "must be more than the present %d and at most %d, not %d", v.Size, maxVolume, body.Size)
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "resize_volume", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				v.Size = body.Size
			}
		},
	})), nil
}

func protectVolume(q *request, v *Volume) (reply, error) {
	var body struct {
		Delete *bool `json:"delete"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_protection", about: []Subject{v.subject()}, locks: []Subject{v.subject()},
		done: func(_ *objects, err error) {
			if err == nil && body.Delete != nil {
				v.Protected = *body.Delete
			}
		},
	})), nil
}
