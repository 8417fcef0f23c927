package provision

import (
	"context"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

const keysStay = "servers keep the keys they were created with"

func (d *comparison) sshKey(name string, want fleet.SSHKey) {
	if want.Existing {
		return // not the fleet's to change
	}
	have, there := d.actual.SSHKeys[name]
	create := step{
		after: []string{nameFree(plans.KindSSHKey, name), keyFree(want.PublicKey)}, gives: []string{made(plans.KindSSHKey, name)},
		do: func(ctx context.Context, r *run) error {
			id, err := r.provider.CreateSSHKey(ctx, name, want)
			return r.made(plans.KindSSHKey, name, id, err)
		},
	}
	if !there {
		c := &change{Resource: plans.Resource{Kind: plans.KindSSHKey, Name: name, Action: plans.Create}}
		c.setAll(append([]plans.Attribute{known("public_key", "", shortKey(want.PublicKey))}, newLabels(want.Labels)...), create)
		d.add(c)
		return
	}
	c := d.begin(plans.KindSSHKey, name)
	if samePublicKey(want.PublicKey, have.PublicKey) {
		d.labels(c, have.Labels, want.Labels)
		d.add(c)
		return
	}
	c.Action = plans.Replace
	c.risk(plans.RiskReplace)
	c.note(keysStay)
	del := remove(plans.KindSSHKey, name, expand, false)
	del.gives = append(del.gives, keyFree(have.PublicKey))
	c.set(forced("public_key", shortKey(have.PublicKey), shortKey(want.PublicKey)), del, create)
	d.add(c)
}

func (d *comparison) destroySSHKey(name string, have fleet.AccountSSHKey) {
	if !have.Owned {
		return
	}
	c := &change{Resource: plans.Resource{Kind: plans.KindSSHKey, Name: name, Action: plans.Destroy}}
	c.note(keysStay)
	del := remove(plans.KindSSHKey, name, contract, false)
	for other, want := range d.desired.SSHKeys {
		if !want.Existing && samePublicKey(want.PublicKey, have.PublicKey) && !samePublicKey(d.actual.SSHKeys[other].PublicKey, want.PublicKey) {
			del.phase = expand // a provider holds each public key once
		}
	}
	del.gives = append(del.gives, keyFree(have.PublicKey))
	c.set(known("public_key", shortKey(have.PublicKey), ""), del)
	d.add(c)
}
