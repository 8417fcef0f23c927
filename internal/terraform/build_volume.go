package terraform

import (
	"fmt"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

func (b *builder) volume(i *instance) {
	size, ok := b.number(&i.record, "size")
	if !ok || size == 0 {
		b.leave(i, "size", "its size is not known", "Write it, or import with --state terraform.tfstate.")
		return
	}
	v := fleet.Volume{Size: size, Automount: b.flag(&i.record, "automount"), DeleteProtection: b.protected(i), Labels: b.labels(&i.record)}
	v.Format, _ = b.text(&i.record, "format")
	written, _ := i.attrs["server_id"].Unmark()
	if !written.IsKnown() || !written.IsNull() {
		s := b.ref(&i.record, "server_id", sectionServers)
		if s == nil {
			// Without its server the fleet would detach it.
			b.leave(i, "server_id", "the server that it is attached to is not in the fleet", "")
			return
		}
		if _, ok := b.declaredServer(s, &i.record, "server_id"); !ok {
			b.leave(i, "server_id", "the server that it is attached to is not in the fleet", "")
			return
		}
		v.Server = s.name
	}
	if v.Location = b.location(i); v.Location == "" && v.Server == "" && !b.attachedLater(i) {
		b.leave(i, "location", "its location is not known", "Import with --state terraform.tfstate, or write location = \"…\" as the console shows it.")
		return
	}
	if v.Server != "" {
		v.Location = "" // its server's
	}
	b.fleet.Volumes[b.items[i].name] = v
}

// attachedLater tells whether an attachment of its own gives a volume a server.
func (b *builder) attachedLater(i *instance) bool {
	for _, a := range b.all {
		if a.resource.kind == "hcloud_volume_attachment" && same(a.attrs["volume_id"], i.attrs["id"]) {
			return true
		}
	}
	return false
}

func (b *builder) volumeAttachment(i *instance) {
	v := b.ref(&i.record, "volume_id", sectionVolumes)
	if v == nil {
		b.incomplete(i)
		return
	}
	if v.existing {
		b.gap(&i.record, "volume_id", "the volume "+short(v.name)+" is not the fleet's, so the fleet cannot attach it", "Keep it where the volume is declared.")
		return
	}
	volume := b.fleet.Volumes[v.name]
	s := b.ref(&i.record, "server_id", sectionServers)
	ok := false
	if s != nil {
		_, ok = b.declaredServer(s, &i.record, "server_id")
	}
	if !ok {
		b.gap(&v.of.record, "", "the server that it is attached to is not in the fleet, so it is left out", "")
		v.left = true
		delete(b.fleet.Volumes, v.name)
		return
	}
	if volume.Server != "" && volume.Server != s.name {
		b.gap(&i.record, "server_id", fmt.Sprintf("the volume %s is attached to %s already", short(v.name), short(volume.Server)), "A volume has one server: remove one of the two.")
		return
	}
	volume.Server, volume.Automount, volume.Location = s.name, volume.Automount || b.flag(&i.record, "automount"), ""
	b.fleet.Volumes[v.name] = volume
}
