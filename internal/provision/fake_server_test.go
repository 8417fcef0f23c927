package provision_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// fakeDisks are the sizes of server types, in GB.
var fakeDisks = map[string]int{"cx22": 40, "cx32": 80, "cax11": 40, "cx11": 20}

func (w *fake) CheckOrder(ctx context.Context, s fleet.Server) error {
	return w.call(ctx, "check order", nil, func() error {
		if s.Image == "missing" {
			return refusedf("no image %s", s.Image)
		}
		return nil
	})
}

func (w *fake) CreateServer(ctx context.Context, o fleet.ServerOrder, userData secret.String) (fleet.AccountServer, error) {
	id, err := w.create(ctx, plans.KindServer, o.Name, o.Server.Labels, func(t *thing) error {
		if !strings.Contains(userData.Reveal(), "ed25519_private") || o.HostKey == "" {
			w.violate("server %s is made without a host key", o.Name)
		}
		w.next++
		t.ID = w.next + 1
		t.Server, t.Type, t.Status, t.Location = o, o.Server.ServerType, "running", "nbg1"
		if len(o.Server.Locations) > 0 {
			t.Location = o.Server.Locations[0]
		}
		t.Nets, t.Auto = map[int64]fleet.Attachment{}, map[string]int64{}
		t.Shut, t.Snap = o.Server.ShutdownBeforeDeletion, o.Server.SnapshotBeforeDestroy
		t.ImageName, t.DigestKeys, t.DigestData, t.PublicHostKey, t.Built = o.Server.Image, o.KeysDigest, o.UserDataDigest, o.HostKey, 1
		for _, k := range o.SSHKeys {
			if _, err := w.refer(plans.KindSSHKey, k); err != nil {
				return err
			}
		}
		for _, f := range o.Firewalls {
			if _, err := w.refer(plans.KindFirewall, f); err != nil {
				return err
			}
			t.Firewalls = append(t.Firewalls, f)
		}
		if o.PlacementGroup != 0 {
			if _, err := w.refer(plans.KindPlacementGroup, o.PlacementGroup); err != nil {
				return err
			}
			t.Group = o.PlacementGroup
		}
		for _, n := range o.Networks {
			if err := w.join(t, n, fleet.Attachment{}); err != nil {
				return err
			}
		}
		net := o.Server.PublicNet
		for _, f := range []struct {
			family string
			on     bool
			id     int64
		}{{"ipv4", net.EnableIPv4, o.IPv4}, {"ipv6", net.EnableIPv6, o.IPv6}} {
			switch {
			case !f.on:
			case f.id != 0:
				if err := w.assign(f.id, t); err != nil {
					return err
				}
			default:
				w.automatic(t, f.family)
			}
		}
		if o.Stopped {
			t.Status, t.SwitchedOff = "off", true
		} else if !net.EnableIPv4 && !net.EnableIPv6 && len(t.Nets) == 0 {
			return refusedf("%s cannot start without any address", o.Name)
		}
		return nil
	})
	return fleet.AccountServer{ID: id}, err
}

// automatic gives a server an address that comes and goes with it.
func (w *fake) automatic(t *thing, family string) {
	id := t.ID*10 + 1000004 // far from those that are counted up
	if family == "ipv6" {
		id = t.ID*10 + 1000006
	}
	for w.all[id] != nil {
		id += 1000000
	}
	w.all[id] = &thing{ID: id, Kind: plans.KindPrimaryIP, Name: fmt.Sprintf("primary_ip-%d", id), Family: family, On: t.ID, AutoDelete: true, FromServer: true, Location: t.Location}
	t.Auto[family] = id
}

func (w *fake) assign(ip int64, t *thing) error {
	p, err := w.refer(plans.KindPrimaryIP, ip)
	if err != nil {
		return err
	}
	if p.On != 0 && p.On != t.ID || p.Location != t.Location {
		return refusedf("primary IP %s is on %d in %s, server %s is in %s", p.Name, p.On, p.Location, t.Name, t.Location)
	}
	if w.address(t, p.Family) != nil && p.On != t.ID {
		return refusedf("%s has an %s", t.Name, p.Family)
	}
	p.On = t.ID
	return nil
}

// address finds a server's primary IP by family or address.
func (w *fake) address(t *thing, family string) *thing {
	if a, err := netip.ParseAddr(family); err == nil {
		family = "ipv4"
		if a.Is6() {
			family = "ipv6"
		}
	}
	for _, o := range w.all {
		if o.Kind == plans.KindPrimaryIP && o.On == t.ID && o.Family == family {
			return o
		}
	}
	return nil
}

func (w *fake) server(ctx context.Context, what string, id int64, f func(*thing) error) error {
	return w.change(ctx, what, plans.KindServer, id, f)
}

// whileOff changes a server that has to be off.
func (w *fake) whileOff(ctx context.Context, what string, id int64, f func(*thing) error) error {
	return w.server(ctx, what, id, func(t *thing) error {
		if t.Status != "off" {
			return refusedf("server_not_stopped")
		}
		return f(t)
	})
}

func (w *fake) PowerOn(ctx context.Context, id int64) error {
	return w.server(ctx, "power on", id, func(t *thing) error {
		if w.address(t, "ipv4") == nil && w.address(t, "ipv6") == nil && len(t.Nets) == 0 {
			return refusedf("%s cannot start without any address", t.Name)
		}
		w.started(t)
		return nil
	})
}

func (w *fake) started(t *thing) {
	t.Status, t.SwitchedOff = "running", false
	delete(w.off, t.ID)
}

func (w *fake) PowerOff(ctx context.Context, id int64) error {
	return w.server(ctx, "power off", id, func(t *thing) error {
		t.Status, t.SwitchedOff = "off", true
		w.off[id] = true
		if !w.ending { // servers that are destroyed may all be off
			w.mostOff = max(w.mostOff, len(w.off))
		}
		return nil
	})
}

func (w *fake) ChangeType(ctx context.Context, id int64, serverType string, keepDisk bool) error {
	return w.whileOff(ctx, "change type to "+serverType, id, func(t *thing) error {
		if fakeDisks[serverType] < t.disk() {
			return refusedf("invalid_server_type: the disk does not fit")
		}
		if !keepDisk {
			t.Size = fakeDisks[serverType]
		} else {
			t.Size = t.disk()
		}
		t.Type = serverType
		w.started(t)
		return nil
	})
}

func (t *thing) disk() int {
	if t.Size > 0 {
		return t.Size
	}
	return fakeDisks[t.Type]
}

func (w *fake) Rebuild(ctx context.Context, id int64, o fleet.ServerOrder, _ secret.String) error {
	return w.server(ctx, "rebuild", id, func(t *thing) error {
		if t.Protected {
			return refusedf("%s is protected", t.Name)
		}
		t.ImageName, t.DigestKeys, t.DigestData, t.PublicHostKey = o.Server.Image, o.KeysDigest, o.UserDataDigest, o.HostKey
		t.Built++
		w.started(t)
		return nil
	})
}

func (w *fake) SetBackups(ctx context.Context, id int64, on bool) error {
	return w.server(ctx, fmt.Sprint("backups ", on), id, func(t *thing) error {
		t.Backups = on
		return nil
	})
}

func (w *fake) Snapshot(ctx context.Context, id int64, _ string) error {
	return w.server(ctx, "snapshot", id, func(t *thing) error {
		t.Snapshots++
		return nil
	})
}

func (w *fake) JoinPlacementGroup(ctx context.Context, id, group int64) error {
	return w.whileOff(ctx, "join group", id, func(t *thing) error {
		if _, err := w.refer(plans.KindPlacementGroup, group); err != nil {
			return err
		}
		if t.Group != 0 && t.Group != group {
			return refusedf("%s is in a group", t.Name)
		}
		t.Group = group
		return nil
	})
}

func (w *fake) LeavePlacementGroup(ctx context.Context, id int64) error {
	return w.whileOff(ctx, "leave group", id, func(t *thing) error {
		t.Group = 0
		return nil
	})
}

func (w *fake) SetDeletionLabels(ctx context.Context, id int64, shutdown, snapshot bool) error {
	return w.server(ctx, "deletion labels", id, func(t *thing) error {
		t.Shut, t.Snap = shutdown, snapshot
		return nil
	})
}

func (w *fake) CreatePrimaryIP(ctx context.Context, name string, p fleet.PrimaryIP) (int64, error) {
	return w.create(ctx, plans.KindPrimaryIP, name, p.Labels, func(t *thing) error {
		if p.Location == "" {
			return refusedf("primary IP %s without a location", name)
		}
		t.Family, t.Location, t.AutoDelete = p.Type, p.Location, p.AutoDelete
		return nil
	})
}

func (w *fake) SetAutoDelete(ctx context.Context, id int64, on bool) error {
	return w.change(ctx, "auto delete", plans.KindPrimaryIP, id, func(t *thing) error {
		if on && t.Protected {
			return refusedf("protection wants auto_delete=false")
		}
		t.AutoDelete = on
		return nil
	})
}

func (w *fake) AssignPrimaryIP(ctx context.Context, ip, server int64) error {
	return w.whileOff(ctx, "assign", server, func(t *thing) error { return w.assign(ip, t) })
}

func (w *fake) UnassignPrimaryIP(ctx context.Context, ip int64) error {
	return w.call(ctx, "unassign", []string{hold(plans.KindPrimaryIP, ip)}, func() error {
		p, err := w.refer(plans.KindPrimaryIP, ip)
		if err != nil {
			return err
		}
		if p.On != 0 && w.all[p.On].Status != "off" {
			return refusedf("server_not_stopped")
		}
		if p.On != 0 {
			delete(w.all[p.On].DNS, p.Family) // the name is the address's
		}
		p.On = 0
		return nil
	})
}

func (w *fake) EnablePublicNet(ctx context.Context, server int64, family string) error {
	return w.whileOff(ctx, "enable "+family, server, func(t *thing) error {
		if old := w.address(t, family); old != nil {
			if old.FromServer {
				return nil
			}
			return refusedf("%s has an %s", t.Name, family)
		}
		w.automatic(t, family)
		return nil
	})
}

func (w *fake) CreateVolume(ctx context.Context, name string, v fleet.Volume, server int64) (int64, error) {
	return w.create(ctx, plans.KindVolume, name, v.Labels, func(t *thing) error {
		t.Size, t.Location, t.Format, t.On = v.Size, v.Location, v.Format, server
		if server != 0 {
			s, err := w.get(plans.KindServer, server)
			if err != nil {
				return err
			}
			if t.Location != "" && t.Location != s.Location {
				return refusedf("volume %s in %s, server in %s", name, t.Location, s.Location)
			}
			t.Location = s.Location
		}
		if t.Location == "" {
			return refusedf("volume %s has no location", name)
		}
		return nil
	})
}

func (w *fake) ResizeVolume(ctx context.Context, id int64, size int) error {
	return w.change(ctx, "resize", plans.KindVolume, id, func(t *thing) error {
		if size < t.Size {
			return refusedf("a volume can only grow")
		}
		t.Size = size
		return nil
	})
}

func (w *fake) AttachVolume(ctx context.Context, id, server int64, _ bool) error {
	return w.call(ctx, "attach volume", []string{hold(plans.KindVolume, id), hold(plans.KindServer, server)}, func() error {
		v, err := w.get(plans.KindVolume, id)
		if err != nil {
			return err
		}
		s, err := w.get(plans.KindServer, server)
		if err != nil {
			return err
		}
		if v.On != 0 && v.On != server || v.Location != s.Location {
			return refusedf("volume %s is on %d in %s; %s is in %s", v.Name, v.On, v.Location, s.Name, s.Location)
		}
		v.On = server
		return nil
	})
}

func (w *fake) DetachVolume(ctx context.Context, id int64) error {
	return w.change(ctx, "detach volume", plans.KindVolume, id, func(t *thing) error {
		t.On = 0
		return nil
	})
}

// serverNamed finds a server, nil if there is none.
func (w *fake) serverNamed(name string) *thing { return w.named(plans.KindServer, name) }
