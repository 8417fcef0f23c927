package provision

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func (d *comparison) placementGroup(name string, want fleet.PlacementGroup) {
	if want.Existing {
		return
	}
	have, there := d.actual.PlacementGroups[name]
	if there { // there is one type only, so nothing can force a replacement
		c := d.begin(plans.KindPlacementGroup, name)
		d.labels(c, have.Labels, want.Labels)
		d.add(c)
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindPlacementGroup, Name: name, Action: plans.Create}}
	c.setAll(append([]plans.Attribute{known("type", "", want.Type)}, newLabels(want.Labels)...), step{
		after: []string{nameFree(plans.KindPlacementGroup, name)}, gives: []string{made(plans.KindPlacementGroup, name)},
		do: func(ctx context.Context, r *run) error {
			id, err := r.provider.CreatePlacementGroup(ctx, name, want)
			return r.made(plans.KindPlacementGroup, name, id, err)
		},
	})
	d.add(c)
}

func (d *comparison) destroyPlacementGroup(name string, have fleet.AccountPlacementGroup) {
	if !have.Owned {
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindPlacementGroup, Name: name, Action: plans.Destroy}}
	del := remove(plans.KindPlacementGroup, name, contract, false)
	del.after = []string{ungrouped(name)}
	c.set(known("type", have.Type, ""), del)
	d.add(c)
}
