package cloud

import (
	"crypto/rand"
	"net/http"
)

// backupWindow is when the provider would take backups; nobody can choose it.
const backupWindow = "22-02"

// setBackups is enable_backup and disable_backup. The lab takes no backups of
// its own accord; create_image makes them.
func setBackups(command string, on bool) func(*request, *Server) (reply, error) {
	return func(q *request, s *Server) (reply, error) {
		return actionReply(http.StatusCreated, q.begin(job{
			command: command, about: []Subject{s.subject()}, locks: []Subject{s.subject()},
			done: func(o *objects, err error) {
				if err != nil {
					return
				}
				if s.Backups = on; !on {
					o.dropBackups(s)
				}
			},
		})), nil
	}
}

// enableRescue is noted and shown until the next boot, which in the lab is into
// the server's own system all the same.
func enableRescue(q *request, s *Server) (reply, error) {
	var body struct {
		Type    *string `json:"type"`
		SSHKeys []ref   `json:"ssh_keys"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Type != nil && *body.Type != "linux64" {
		return reply{}, invalid("type", "must be linux64, not %q", *body.Type)
	}
	for _, wanted := range body.SSHKeys {
		if _, ok := lookUp(q.obj.SSHKeys, wanted); !ok {
			return reply{}, invalid("ssh_keys", "SSH key not found")
		}
	}
	rep := actionReply(http.StatusCreated, q.begin(rescueJob(s, "enable_rescue", true)))
	rep.body.(map[string]any)["root_password"] = rand.Text()[:20]
	return rep, nil
}

func disableRescue(q *request, s *Server) (reply, error) {
	return actionReply(http.StatusCreated, q.begin(rescueJob(s, "disable_rescue", false))), nil
}

func rescueJob(s *Server, command string, on bool) job {
	return job{
		command: command, about: []Subject{s.subject()}, locks: []Subject{s.subject()},
		done: func(_ *objects, err error) {
			if err == nil {
				s.Rescue = on
			}
		},
	}
}
