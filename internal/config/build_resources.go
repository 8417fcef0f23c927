package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// resources turns the sections of schema_resources.go into the words of fleet.
func (f *fleetFile) resources(out *fleet.Fleet) {
	out.Networks = each(f.Networks, func(_ string, n networkEntry) fleet.Network { return n.network() })
	out.SSHKeys = each(f.SSHKeys, func(_ string, k sshKeyEntry) fleet.SSHKey {
		return fleet.SSHKey{PublicKey: trimKey(k.PublicKey), Existing: k.Existing, Labels: k.Labels}
	})
	out.Firewalls = each(f.Firewalls, func(_ string, w firewallEntry) fleet.Firewall { return w.firewall() })
	out.PlacementGroups = each(f.PlacementGroups, func(_ string, g groupEntry) fleet.PlacementGroup {
		if g.Existing {
			return fleet.PlacementGroup{Existing: true}
		}
		return fleet.PlacementGroup{Type: string(g.Type), Labels: g.Labels}
	})
	out.PrimaryIPs = each(f.PrimaryIPs, func(_ string, p primaryIPEntry) fleet.PrimaryIP { return p.primaryIP() })
	out.Volumes = each(f.Volumes, func(_ string, v volumeEntry) fleet.Volume { return v.volume() })
	out.Servers = each(f.Servers, f.server)
	out.LoadBalancers = each(f.LoadBalancers, func(_ string, l loadBalancerEntry) fleet.LoadBalancer { return l.loadBalancer() })
	known := f.index()
	for _, m := range f.Moved {
		section, from, to := known.move(m)
		out.Moved = append(out.Moved, fleet.Move{Section: section, From: from, To: to})
	}
}

func each[In, Out any](in map[string]In, convert func(string, In) Out) map[string]Out {
	out := map[string]Out{}
	for name, v := range in {
		out[name] = convert(name, v)
	}
	return out
}

// retype gives the same texts as another type.
func retype[Out, In ~string](in []In) []Out {
	var out []Out
	for _, v := range in {
		out = append(out, Out(v))
	}
	return out
}

func (n networkEntry) network() fleet.Network {
	out := fleet.Network{
		IPRange: n.IPRange, ExposeRoutesToVSwitch: n.ExposeRoutesToVSwitch,
		DeleteProtection: n.DeleteProtection, Existing: n.Existing, Labels: n.Labels,
	}
	for _, s := range n.Subnets {
		out.Subnets = append(out.Subnets, fleet.Subnet{Type: string(s.Type), NetworkZone: string(s.NetworkZone), IPRange: s.IPRange, VSwitchID: s.VSwitchID})
	}
	for _, r := range n.Routes {
		out.Routes = append(out.Routes, fleet.Route(r))
	}
	return out
}

func (w firewallEntry) firewall() fleet.Firewall {
	out := fleet.Firewall{Existing: w.Existing, Labels: w.Labels}
	for _, r := range w.Rules {
		out.Rules = append(out.Rules, fleet.FirewallRule{
			Direction: string(r.Direction), Protocol: string(r.Protocol), Port: string(r.Port),
			SourceIPs: r.SourceIPs, DestinationIPs: r.DestinationIPs, Description: r.Description,
		})
	}
	for _, a := range w.ApplyTo {
		out.ApplyTo = append(out.ApplyTo, a.LabelSelector)
	}
	return out
}

func (p primaryIPEntry) primaryIP() fleet.PrimaryIP {
	return fleet.PrimaryIP{
		Type: string(p.Type), Location: p.Location, AutoDelete: p.AutoDelete, DeleteProtection: p.DeleteProtection,
		DNSPtr: p.DNSPtr.names(string(p.Type)), Existing: p.Existing, Labels: p.Labels,
	}
}

func (v volumeEntry) volume() fleet.Volume {
	return fleet.Volume{
		Size: v.Size, Location: v.Location, Server: v.Server, Format: string(v.Format), Automount: v.Automount,
		DeleteProtection: v.DeleteProtection, Existing: v.Existing, Labels: v.Labels,
	}
}

func (f *fleetFile) server(name string, s serverEntry) fleet.Server {
	out := fleet.Server{
		Image: s.Image, Locations: s.Location, UserData: s.UserData.Text, PublicNet: fleet.PublicNet(s.PublicNet),
		Networks: each(s.Networks, func(_ string, a attachmentEntry) fleet.Attachment { return fleet.Attachment(a) }),
		SSHKeys:  s.SSHKeys, Firewalls: s.Firewalls, PlacementGroup: s.PlacementGroup, Backups: s.Backups,
		Labels: s.Labels, DNSPtr: s.DNSPtr.names(s.PublicNet.families()...),
		DeleteProtection: f.protected(name, s), KeepDisk: s.KeepDisk,
		ShutdownBeforeDeletion: s.ShutdownBeforeDeletion, SnapshotBeforeDestroy: s.SnapshotBeforeDestroy,
	}
	if len(s.ServerType) > 0 {
		out.ServerType = s.ServerType[0]
		out.FallbackTypes = append(out.FallbackTypes, s.ServerType[1:]...)
	}
	return out
}

// protected is the server's delete_protection, written or not.
func (f *fleetFile) protected(name string, s serverEntry) bool {
	if s.DeleteProtection != nil {
		return *s.DeleteProtection
	}
	return f.protectedByDefault(name)
}

// families are the kinds of public addresses that a server has.
func (p publicNetEntry) families() []string {
	var out []string
	if p.EnableIPv4 {
		out = append(out, addressIPv4)
	}
	if p.EnableIPv6 {
		out = append(out, addressIPv6)
	}
	return out
}

// names spells out which address has which name.
func (d dnsNames) names(families ...string) map[string]string {
	if d.All == "" {
		return d.By
	}
	out := map[string]string{}
	for _, family := range families {
		out[family] = d.All
	}
	return out
}

func (l loadBalancerEntry) loadBalancer() fleet.LoadBalancer {
	out := fleet.LoadBalancer{
		Type: l.Type, Location: l.Location, NetworkZone: string(l.NetworkZone), Algorithm: string(l.Algorithm),
		Networks:        each(l.Networks, func(_ string, a balancerInNetwork) fleet.Attachment { return fleet.Attachment{IP: a.IP} }),
		PublicInterface: l.EnablePublicInterface, DeleteProtection: l.DeleteProtection,
		DNSPtr: l.DNSPtr.names(addressIPv4, addressIPv6), Labels: l.Labels,
	}
	for _, s := range l.Services {
		out.Services = append(out.Services, s.service())
	}
	slices.SortFunc(out.Services, func(a, b fleet.LoadBalancerService) int { return cmp.Compare(a.ListenPort, b.ListenPort) })
	for _, t := range l.Targets {
		out.Targets = append(out.Targets, fleet.LoadBalancerTarget(t))
	}
	return out
}

func (s serviceEntry) service() fleet.LoadBalancerService {
	h := s.HealthCheck
	return fleet.LoadBalancerService{
		Protocol: string(s.Protocol), ListenPort: s.ListenPort, DestinationPort: s.DestinationPort, ProxyProtocol: s.ProxyProtocol,
		HTTP: fleet.ServiceHTTP{
			Certificates: s.HTTP.Certificates, RedirectHTTP: s.HTTP.RedirectHTTP, StickySessions: s.HTTP.StickySessions,
			CookieName: s.HTTP.CookieName, CookieLifetime: int(s.HTTP.CookieLifetime),
		},
		HealthCheck: fleet.HealthCheck{
			Protocol: string(h.Protocol), Port: h.Port, Interval: int(h.Interval), Timeout: int(h.Timeout), Retries: h.Retries,
			Domain: h.HTTP.Domain, Path: h.HTTP.Path, Response: h.HTTP.Response, StatusCodes: retype[string](h.HTTP.StatusCodes), TLS: h.HTTP.TLS,
		},
	}
}

// sectionNames are the sections whose entries can be renamed and referred to,
// as they are written.
func sectionNames() []string {
	return []string{"networks", "ssh_keys", "firewalls", "placement_groups", "primary_ips", "volumes", "servers", "load_balancers"}
}

// index holds what is declared: section → names.
type index map[string]map[string]bool

func (f *fleetFile) index() index {
	return index{
		"networks": set(f.Networks), "ssh_keys": set(f.SSHKeys), "firewalls": set(f.Firewalls),
		"placement_groups": set(f.PlacementGroups), "primary_ips": set(f.PrimaryIPs), "volumes": set(f.Volumes),
		"servers": set(f.Servers), "load_balancers": set(f.LoadBalancers),
	}
}

func set[V any](entries map[string]V) map[string]bool {
	out := map[string]bool{}
	for name := range entries {
		out[name] = true
	}
	return out
}

// move takes an entry of moved: apart. section is "" where it is not clear.
func (x index) move(m moveEntry) (section, from, to string) {
	fromSection, from := qualified(m.From)
	toSection, to := qualified(m.To)
	section = cmp.Or(toSection, fromSection)
	if section == "" {
		if holding := x.holding(to); len(holding) == 1 {
			section = holding[0]
		}
	}
	return section, from, to
}

// qualified cuts the section off a name that has one before it.
func qualified(text string) (section, name string) {
	for _, s := range sectionNames() {
		if name, ok := strings.CutPrefix(text, s+"."); ok {
			return s, name
		}
	}
	return "", text
}

// holding gives the sections that have an entry of this name.
func (x index) holding(name string) []string {
	var out []string
	for _, s := range sectionNames() {
		if x[s][name] {
			out = append(out, s)
		}
	}
	return out
}
