package provision

import (
	"context"
	"fmt"
	"strconv"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func (d *comparison) volume(name string, want fleet.Volume) {
	if want.Existing {
		return
	}
	have, there := d.actual.Volumes[name]
	if d.leftOut(want.Server) && (!there || d.volumeReplaced(name)) {
		return // made when its server's turn has come
	}
	switch {
	case !there:
		d.add(d.createVolume(name, want))
	case d.volumeReplaced(name):
		d.add(d.replaceVolume(name, want, have))
	default:
		d.add(d.updateVolume(name, want, have))
	}
}

func (d *comparison) volumeReplaced(name string) bool {
	have, there := d.actual.Volumes[name]
	want, declared := d.desired.Volumes[name]
	return there && declared && !want.Existing && want.Location != "" && have.Location != "" && want.Location != have.Location
}

func (d *comparison) createVolume(name string, want fleet.Volume) *change {
	c := &change{Resource: plans.Resource{Kind: plans.KindVolume, Name: name, Action: plans.Create}}
	attributes := []plans.Attribute{known("size", "", gb(want.Size))}
	for _, a := range []plans.Attribute{known("location", "", want.Location), known("server", "", want.Server), known("format", "", want.Format)} {
		if a.New != "" {
			attributes = append(attributes, a)
		}
	}
	d.besideServer(c, want.Location, want.Server)
	c.setAll(append(attributes, newLabels(want.Labels)...), d.makeVolume(name, want))
	d.protection(c, false, want.DeleteProtection)
	return c
}

// makeVolume makes a volume on its server, where there is one: without, nobody
// would say in which location.
func (d *comparison) makeVolume(name string, want fleet.Volume) step {
	s := step{
		after: []string{nameFree(plans.KindVolume, name)}, gives: []string{made(plans.KindVolume, name)},
		do: func(ctx context.Context, r *run) error {
			var server int64
			if want.Server != "" {
				server = r.id(plans.KindServer, want.Server)
			}
			id, err := r.provider.CreateVolume(ctx, name, want, server)
			return r.made(plans.KindVolume, name, id, err)
		},
	}
	if want.Server != "" {
		s.after = append(s.after, made(plans.KindServer, want.Server))
		s.holds = []ref{{plans.KindServer, want.Server}}
	}
	return s
}

func (d *comparison) replaceVolume(name string, want fleet.Volume, have fleet.AccountVolume) *change {
	c := d.begin(plans.KindVolume, name)
	c.Action = plans.Replace
	c.risk(plans.RiskReplace, plans.RiskData)
	d.volumeLost(c, have)
	d.besideServer(c, want.Location, want.Server)
	var steps []step
	if have.Server != "" {
		steps = append(steps, detachVolume(name, have.Server, expand))
	}
	steps = append(steps, remove(plans.KindVolume, name, expand, have.DeleteProtection), d.makeVolume(name, want))
	c.set(forced("location", have.Location, want.Location), steps...)
	var also []plans.Attribute
	if want.Size != have.Size {
		also = append(also, known("size", gb(have.Size), gb(want.Size)))
	}
	if want.Server != have.Server {
		also = append(also, known("server", have.Server, want.Server))
	}
	if also = append(also, labelChanges(have.Labels, want.Labels)...); len(also) > 0 {
		c.setAll(also)
	}
	if want.DeleteProtection {
		c.step(protect(plans.KindVolume, name, true))
	}
	return c
}

func (d *comparison) updateVolume(name string, want fleet.Volume, have fleet.AccountVolume) *change {
	c := d.begin(plans.KindVolume, name)
	switch {
	case want.Size > have.Size:
		grow := step{do: func(ctx context.Context, r *run) error {
			return r.provider.ResizeVolume(ctx, r.id(plans.KindVolume, name), want.Size)
		}}
		if have.Server != "" {
			grow.holds = []ref{{plans.KindServer, have.Server}}
		}
		c.set(known("size", gb(have.Size), gb(want.Size)), grow)
	case want.Size < have.Size:
		c.set(known("size", gb(have.Size), gb(want.Size)))
		c.refuse(fmt.Sprintf("a volume can only grow: it has %s, flotilla.yaml says %s", gb(have.Size), gb(want.Size)),
			fmt.Sprintf("Set its size to %d, or make a smaller volume under another name and copy the data.", have.Size))
	}
	d.volumeServer(c, name, want, have)
	if want.Format != "" && have.Format != "" && want.Format != have.Format {
		c.note("format counts at creation only: it was made as %s, and stays so (flotilla.yaml has %s)", have.Format, want.Format)
	}
	d.labels(c, have.Labels, want.Labels)
	d.protection(c, have.DeleteProtection, want.DeleteProtection)
	return c
}

// volumeServer compares where a volume is attached.
func (d *comparison) volumeServer(c *change, name string, want fleet.Volume, have fleet.AccountVolume) {
	if foreign(have.Server) {
		if want.Server != "" {
			c.set(known("server", have.Server, want.Server))
			c.refuse("it is attached to the server "+have.Server+", which is not the fleet's", "Detach it there first.")
		}
		return // Warnings tells of it
	}
	remade := want.Server != "" && want.Server == have.Server && d.serverReplaced(have.Server)
	if want.Server == have.Server && !remade || d.leftOut(want.Server) || d.leftOut(have.Server) {
		return
	}
	if want.Server == "" {
		c.risk(plans.RiskAccess)
		c.set(known("server", have.Server, ""), detachVolume(name, have.Server, contract))
		return
	}
	d.besideServer(c, have.Location, want.Server)
	var steps []step
	if have.Server != "" && !remade {
		c.risk(plans.RiskData)
		c.note("it leaves %s before the hosts are switched: what uses it there has to have stopped", have.Server)
		steps = append(steps, detachVolume(name, have.Server, expand))
	}
	steps = append(steps, step{
		after: []string{made(plans.KindServer, want.Server)}, holds: []ref{{plans.KindServer, want.Server}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.AttachVolume(ctx, r.id(plans.KindVolume, name), r.id(plans.KindServer, want.Server), want.Automount)
		},
	})
	if remade {
		c.note("it leaves the old server with that one's end and is attached to the new one")
	}
	c.set(known("server", have.Server, want.Server), steps...)
}

func detachVolume(name, server string, ph phase) step {
	return step{
		phase: ph, after: []string{gone(plans.KindServer, server)}, holds: []ref{{plans.KindServer, server}},
		do: func(ctx context.Context, r *run) error {
			return r.provider.DetachVolume(ctx, r.id(plans.KindVolume, name))
		},
	}
}

// besideServer refuses a volume that is in another location than its server.
func (d *comparison) besideServer(c *change, location, server string) {
	at := d.actual.Servers[server].Location
	if location == "" || at == "" || location == at || d.serverReplaced(server) {
		return // a server that is made goes where its volumes are (see places)
	}
	c.refuse(fmt.Sprintf("the volume is in %s and the server %s in %s", location, server, at),
		"A volume cannot be moved: give the server another volume, or make the server anew beside it (flotilla deploy --replace "+server+").")
}

func (d *comparison) destroyVolume(name string, have fleet.AccountVolume) {
	if !have.Owned {
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindVolume, Name: name, Action: plans.Destroy}}
	c.risk(plans.RiskDestroy, plans.RiskData)
	d.volumeLost(c, have)
	var steps []step
	attributes := []plans.Attribute{known("size", gb(have.Size), "")}
	if have.Server != "" {
		attributes = append(attributes, known("server", have.Server, ""))
		steps = append(steps, detachVolume(name, have.Server, contract))
	}
	c.setAll(attributes, append(steps, remove(plans.KindVolume, name, contract, false))...)
	d.add(c)
}

func (d *comparison) volumeLost(c *change, have fleet.AccountVolume) {
	c.lose(fmt.Sprintf("all data of the volume, %s", gb(have.Size)))
	if foreign(have.Server) {
		c.refuse("it is attached to the server "+have.Server+", which is not the fleet's", "Detach it there first.")
	}
}

func gb(size int) string { return strconv.Itoa(size) + " GB" }
