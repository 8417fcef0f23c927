package cloud

import (
	"context"
	"net/http"
)

// farewell is a guest that was asked to stop and has not yet.
type farewell struct {
	cut  context.CancelFunc
	over chan struct{}
}

// bootServer is poweron and reset. Either ends a rescue system's turn.
func bootServer(command string, hard bool) func(*request, *Server) (reply, error) {
	return func(q *request, s *Server) (reply, error) {
		if !s.public() && len(s.Private) == 0 {
			return reply{}, refused("a server without a public address and without a network cannot start")
		}
		id, before, run := s.ID, s.Status, q.api.opt.Machines.Start
		if hard {
			run = q.api.opt.Machines.Reset
		}
		if before != statusRunning {
			s.Status = statusStarting
		}
		return actionReply(http.StatusCreated, q.begin(job{
			command: command, about: []Subject{s.subject()}, locks: []Subject{s.subject()}, cuts: hard,
			work: func(ctx context.Context) error { return run(ctx, id) },
			done: func(_ *objects, err error) {
				if s.Status = statusRunning; err != nil {
					s.Status = before
					return
				}
				if hard || before != statusRunning {
					s.Rescue = false
				}
			},
		})), nil
	}
}

// cutServer is poweroff.
func cutServer(q *request, s *Server) (reply, error) {
	id, before, machines := s.ID, s.Status, q.api.opt.Machines
	if before != statusOff {
		s.Status = statusStopping
	}
	return actionReply(http.StatusCreated, q.begin(job{
		command: "stop_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()}, cuts: true,
		work: func(ctx context.Context) error { return machines.PowerOff(ctx, id) },
		done: func(_ *objects, err error) {
			if s.Status = statusOff; err != nil {
				s.Status = before
			}
		},
	})), nil
}

// shutdownServer succeeds when the guest was asked; its status says when it has
// stopped.
func shutdownServer(q *request, s *Server) (reply, error) {
	a := q.api
	return actionReply(http.StatusCreated, q.begin(job{
		command: "shutdown_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()},
		done: func(_ *objects, err error) {
			if err == nil && s.Status == statusRunning && a.farewells[s.ID] == nil {
				a.sayFarewell(s)
			}
		},
	})), nil
}

// sayFarewell asks the guest to stop and notes when it has. The lock is held.
func (a *API) sayFarewell(s *Server) {
	ctx, cancel := context.WithTimeout(a.ctx, actionLimit)
	f := &farewell{cancel, make(chan struct{})}
	a.farewells[s.ID] = f
	id := s.ID
	a.work.Add(1)
	go func() {
		defer a.work.Done()
		defer cancel()
		defer close(f.over)
		err := a.opt.Machines.Shutdown(ctx, id)
		stopped := pause(ctx, a.opt.ActionLatency) && err == nil
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.farewells, id)
		if err != nil && ctx.Err() == nil {
			a.opt.Log("shutdown of server %d failed: %v", id, err)
		}
		if stopped {
			s.Status = statusOff
			a.save()
		}
	}()
}

// awaitFarewells lets no two calls of Machines be about one server at a time.
func (a *API) awaitFarewells(ctx context.Context, j job) error {
	for _, held := range j.locks {
		a.mu.Lock()
		f := a.farewells[held.ID]
		a.mu.Unlock()
		if held.Type != "server" || f == nil {
			continue
		}
		if j.cuts {
			f.cut()
		}
		select {
		case <-f.over:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// rebootServer leaves a server that is off alone: nobody takes the signal.
func rebootServer(q *request, s *Server) (reply, error) {
	j := job{command: "reboot_server", about: []Subject{s.subject()}, locks: []Subject{s.subject()}}
	if s.Status == statusRunning {
		id, machines := s.ID, q.api.opt.Machines
		j.work = func(ctx context.Context) error { return machines.Reboot(ctx, id) }
		j.done = func(_ *objects, err error) {
			if err == nil {
				s.Status, s.Rescue = statusRunning, false
			}
		}
	}
	return actionReply(http.StatusCreated, q.begin(j)), nil
}
