package cloud

import (
	"slices"
)

// serverParts is what a new server takes hold of.
type serverParts struct {
	firewalls []*Firewall
	volumes   []*Volume
}

// parts finds what a create request names, and refuses what the server cannot
// have.
func (r *serverRequest) parts(q *request, s *Server) (serverParts, error) {
	var p serverParts
	if !r.PlacementGroup.isZero() {
		group, ok := lookUp(q.obj.PlacementGroups, r.PlacementGroup)
		if !ok {
			return p, invalid("placement_group", "placement group not found")
		}
		if err := group.takes(q.obj); err != nil {
			return p, err
		}
		s.PlacementGroup = group.ID
	}
	for _, wanted := range r.Firewalls {
		f, ok := lookUp(q.obj.Firewalls, wanted.Firewall)
		if !ok {
			return p, invalid("firewalls", "firewall not found")
		}
		if slices.Contains(p.firewalls, f) {
			return p, invalid("firewalls", "firewall %s is named twice", f.Name)
		}
		p.firewalls = append(p.firewalls, f)
	}
	if len(p.firewalls) > 0 {
		if v4, v6 := r.publicVersions(); !v4 && !v6 {
			return p, privateOnly(s)
		}
		if err := s.takesFirewalls(q.obj, p.firewalls...); err != nil {
			return p, err
		}
	}
	for _, wanted := range r.Volumes {
		v, ok := lookUp(q.obj.Volumes, wanted)
		if !ok {
			return p, invalid("volumes", "volume not found")
		}
		if slices.Contains(p.volumes, v) {
			return p, invalid("volumes", "volume %s is named twice", v.Name)
		}
		if err := q.unlocked(v.subject()); err != nil {
			return p, err
		}
		if err := v.attachable(s.Location); err != nil {
			return p, err
		}
		p.volumes = append(p.volumes, v)
	}
	return p, nil
}

// publicVersions tells whether the server is to have a public IPv4 and IPv6.
func (r *serverRequest) publicVersions() (v4, v6 bool) {
	p := r.PublicNet
	return p == nil || p.EnableIPv4 == nil || *p.EnableIPv4, p == nil || p.EnableIPv6 == nil || *p.EnableIPv6
}

// join makes the firewalls hold for a server from its first moment on.
func (p serverParts) join(s *Server) {
	for _, f := range p.firewalls {
		f.Servers = append(slices.Clone(f.Servers), s.ID)
	}
}

// release lets go of what a server had that is gone: volumes stay, its backups
// go with it.
func (o *objects) release(s *Server) {
	for _, f := range o.Firewalls {
		f.Servers = without(f.Servers, s.ID)
	}
	for _, v := range o.Volumes {
		if v.Server == s.ID {
			v.Server = 0
		}
	}
	o.dropBackups(s)
}
