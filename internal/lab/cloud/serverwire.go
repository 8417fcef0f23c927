package cloud

import (
	"time"
)

// The form of a server that the API answers with.
type (
	serverWire struct {
		ID              int64             `json:"id"`
		Name            string            `json:"name"`
		Status          string            `json:"status"`
		Created         time.Time         `json:"created"`
		PublicNet       publicNet         `json:"public_net"`
		PrivateNet      []Attachment      `json:"private_net"`
		ServerType      *serverType       `json:"server_type"`
		Location        *location         `json:"location"`
		Image           *image            `json:"image"`
		ISO             any               `json:"iso"`
		RescueEnabled   bool              `json:"rescue_enabled"`
		Locked          bool              `json:"locked"`
		BackupWindow    *string           `json:"backup_window"`
		OutgoingTraffic *int64            `json:"outgoing_traffic"`
		IngoingTraffic  *int64            `json:"ingoing_traffic"`
		IncludedTraffic int64             `json:"included_traffic"`
		Protection      map[string]bool   `json:"protection"`
		Labels          map[string]string `json:"labels"`
		Volumes         []int64           `json:"volumes"`
		LoadBalancers   []int64           `json:"load_balancers"`
		PrimaryDiskSize int               `json:"primary_disk_size"`
		PlacementGroup  any               `json:"placement_group"`
	}
	publicNet struct {
		IPv4        *publicIPv4      `json:"ipv4"`
		IPv6        *publicIPv6      `json:"ipv6"`
		FloatingIPs []int64          `json:"floating_ips"`
		Firewalls   []serverFirewall `json:"firewalls"`
	}
	publicIPv4 struct {
		ID      int64  `json:"id"`
		IP      string `json:"ip"`
		Blocked bool   `json:"blocked"`
		DNSPtr  string `json:"dns_ptr"`
	}
	publicIPv6 struct {
		ID      int64        `json:"id"`
		IP      string       `json:"ip"`
		Blocked bool         `json:"blocked"`
		DNSPtr  []dnsPointer `json:"dns_ptr"`
	}
)

func (s *Server) wire(o *objects) any {
	typ, _ := lookUp(serverTypes(), ref{name: s.ServerType})
	loc, _ := lookUp(locations(), ref{name: s.Location})
	var img *image // null when it was deleted
	if found, ok := lookUp(o.images(), ref{id: s.ImageID}); ok {
		shown := *found
		img = &shown
	}
	w := serverWire{
		ID: s.ID, Name: s.Name, Status: s.Status, Created: s.Created,
		PublicNet:  publicNet{FloatingIPs: []int64{}, Firewalls: s.firewalls(o)},
		PrivateNet: append([]Attachment{}, s.Private...),
		ServerType: typ, Location: loc, Image: img,
		Locked:          o.running("server", s.ID) != nil,
		IncludedTraffic: 20 << 40,
		Protection:      map[string]bool{"delete": s.Protected, "rebuild": s.Protected},
		Labels:          s.Labels, Volumes: s.volumes(o), LoadBalancers: o.targeting(s),
	}
	w.PrimaryDiskSize, w.RescueEnabled = s.Disk, s.Rescue
	if s.Backups {
		window := backupWindow
		w.BackupWindow = &window
	}
	if p := o.primaryIP(s.IPv4ID); p != nil {
		w.PublicNet.IPv4 = &publicIPv4{ID: p.ID, IP: p.text(), DNSPtr: p.pointer(p.Address.Addr())}
	}
	if p := o.primaryIP(s.IPv6ID); p != nil {
		w.PublicNet.IPv6 = &publicIPv6{ID: p.ID, IP: p.text(), DNSPtr: p.pointers()}
	}
	for _, g := range o.PlacementGroups {
		if g.ID == s.PlacementGroup {
			w.PlacementGroup = g.wire(o)
		}
	}
	return w
}
