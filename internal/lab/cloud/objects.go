package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

const (
	firstID = 100000
	// keptActions bounds the state file; only finished actions are forgotten.
	keptActions = 2000
)

// objects is all that the API holds, in the form of its state file.
type objects struct {
	LastID          int64             `json:"last_id"`
	SSHKeys         []*SSHKey         `json:"ssh_keys"`
	PlacementGroups []*PlacementGroup `json:"placement_groups"`
	Networks        []*Network        `json:"networks"`
	Servers         []*Server         `json:"servers"`
	PrimaryIPs      []*PrimaryIP      `json:"primary_ips"`
	LoadBalancers   []*LoadBalancer   `json:"load_balancers"`
	Certificates    []*Certificate    `json:"certificates"`
	Firewalls       []*Firewall       `json:"firewalls"`
	Volumes         []*Volume         `json:"volumes"`
	Images          []*StoredImage    `json:"images"`
	Actions         []*Action         `json:"actions"`
}

func loadObjects(file string) (*objects, error) {
	o := &objects{LastID: firstID}
	if file == "" {
		return o, nil
	}
	data, err := os.ReadFile(file) //nolint:gosec // the lab's own file
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lab state: %w", err)
	}
	if err := json.Unmarshal(data, o); err != nil {
		return nil, fmt.Errorf("lab state: %s is damaged: %w", file, err)
	}
	return o, nil
}

func (o *objects) save(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.MarshalIndent(o, "", " ")
	if err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("lab state: %w", err)
	}
	return nil
}

func (o *objects) newID() int64 {
	o.LastID++
	return o.LastID
}

func (o *objects) views() []ServerView {
	var all []ServerView
	for _, s := range o.Servers {
		v := ServerView{ID: s.ID, Name: s.Name, Status: s.Status, IPv4: s.IPv4, Image: s.Image}
		for _, p := range s.Private {
			v.Private = append(v.Private, p.IP.String())
		}
		all = append(all, v)
	}
	return all
}

func (o *objects) server(id int64) *Server {
	for _, s := range o.Servers {
		if s.ID == id {
			return s
		}
	}
	return nil
}

func (o *objects) network(id int64) *Network {
	for _, n := range o.Networks {
		if n.ID == id {
			return n
		}
	}
	return nil
}

// settle brings loaded objects in line with what is true after a restart:
// actions that ran were cut off, machines may have gone on or stopped.
func (a *API) settle() error {
	for _, act := range a.obj.Actions {
		if act.Status == actionRunning {
			act.finish(a.opt.Now(), &ActionError{Code: "action_failed", Message: "the lab was stopped while the action ran"})
		}
	}
	// What was being made never came to be.
	a.obj.Volumes = slices.DeleteFunc(a.obj.Volumes, func(v *Volume) bool { return v.Status == volumeCreating })
	a.obj.Images = slices.DeleteFunc(a.obj.Images, func(i *StoredImage) bool { return i.Image.Status == imageCreating })
	ctx, cancel := context.WithTimeout(a.ctx, time.Minute)
	defer cancel()
	for _, s := range slices.Clone(a.obj.Servers) {
		if typ, ok := lookUp(serverTypes(), ref{name: s.ServerType}); ok && s.Disk == 0 {
			s.Disk = typ.Disk // kept by a lab that did not know of disks yet
		}
		a.obj.adoptAddresses(s)
		power, err := a.opt.Machines.Power(ctx, s.ID)
		if err != nil {
			return fmt.Errorf("server %s: %w", s.Name, err)
		}
		switch {
		case power == PowerOn:
			s.Status = statusRunning
		case power == PowerOff, power == PowerGone, s.Status != statusRunning:
			s.Status = statusOff
		}
		if power == PowerGone {
			a.opt.Log("server %s (%d) has no machine any more; rebuild or delete it", s.Name, s.ID)
		}
	}
	a.save()
	return nil
}

// Observe tells the API that a machine was seen to start or stop by itself or
// by somebody else's hand. While an action runs, the action decides.
func (a *API) Observe(id int64, running bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := a.obj.server(id)
	if s == nil || a.obj.running("server", id) != nil {
		return
	}
	status := statusOff
	if running {
		status = statusRunning
	}
	if s.Status != status {
		s.Status = status
		a.save()
	}
}
