package config

import (
	"maps"
	"net/netip"
	"reflect"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

// fileOf is the reverse of (*fleetFile).fleet. The second result are the
// selectors of hosts, in order, each once.
func fileOf(f fleet.Fleet) (fleetFile, []string) {
	out := fleetFile{
		Fleet: f.Name, Hive: f.Hive.File, Flake: f.Hive.Flake,
		SSH: sshSection{User: f.SSH.User, Port: f.SSH.Port, Key: secretRef(f.SSH.Key), Address: f.SSH.Address},
		Rollout: rolloutSection{
			MaxParallel: f.Rollout.MaxParallel, MaxUnavailable: f.Rollout.MaxUnavailable, OnFailure: failurePolicy(f.Rollout.OnFailure),
			ActivationTimeout: duration(f.Rollout.ActivationTimeout), ConfirmTimeout: duration(f.Rollout.ConfirmTimeout),
			KeepGenerations: f.Rollout.KeepGenerations,
		},
		Review:     reviewSection{DirectPush: directPush(f.Review.DirectPush)},
		Evaluation: evaluationSection{Workers: f.Evaluation.Workers, Memory: size(f.Evaluation.Memory), Timeout: duration(f.Evaluation.Timeout)},
		Hosts:      map[string]hostSelection{},
	}
	out.fillDefaults()
	if h := f.Hetzner; h != nil {
		section := hetznerSection{Token: secretRef(h.Token), Endpoint: h.Endpoint, PollInterval: duration(h.PollInterval)}
		orDefaults(&section)
		out.Provider.Hetzner = &section
	}
	for _, w := range f.Rollout.Waves {
		out.Rollout.Waves = append(out.Rollout.Waves, w.String())
	}
	var order []string
	for _, h := range f.Hosts {
		entry := hostSelection{Address: h.Address, HostKey: h.HostKey}
		for _, c := range h.Health {
			entry.Health = append(entry.Health, checkOf(c))
		}
		order = append(order, h.Selector.String())
		out.Hosts[h.Selector.String()] = entry
	}
	out.fillResources(f)
	return out, order
}

// fillDefaults takes what nobody set for the default, where zero is no value.
func (out *fleetFile) fillDefaults() {
	if reflect.ValueOf(out.Rollout).IsZero() {
		out.Rollout.setDefaults()
	}
	keep := out.Rollout.KeepGenerations // 0 is a value
	orDefaults(&out.Rollout)
	out.Rollout.KeepGenerations = keep
	orDefaults(&out.Review)
	orDefaults(&out.SSH)
}

// orDefaults sets the fields that are zero to their defaults.
func orDefaults[T any, P interface {
	*T
	defaulter
}](section P) {
	var absent T
	P(&absent).setDefaults()
	from, to := reflect.ValueOf(absent), reflect.ValueOf(section).Elem()
	for i := range to.NumField() {
		if to.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}

func checkOf(c fleet.Check) checkEntry {
	within := duration(c.Within)
	switch {
	case c.HTTP != nil:
		return checkEntry{HTTP: &httpEntry{URL: c.HTTP.URL, Status: c.HTTP.Status, Body: c.HTTP.Body, Via: via(c.HTTP.Via), Within: within}}
	case c.TCP != nil:
		return checkEntry{TCP: &tcpEntry{Port: c.TCP.Port, Within: within}}
	case c.Command != nil:
		return checkEntry{Command: &commandEntry{Run: c.Command.Argv, Within: within}}
	case c.Units != nil:
		return checkEntry{Units: &unitsEntry{Active: c.Units.Active, Within: within}}
	}
	return checkEntry{}
}

// fillResources is the reverse of (*fleetFile).resources.
func (out *fleetFile) fillResources(f fleet.Fleet) {
	out.Networks = each(f.Networks, networkOf)
	out.SSHKeys = each(f.SSHKeys, func(_ string, k fleet.SSHKey) sshKeyEntry {
		return sshKeyEntry{PublicKey: k.PublicKey, Existing: k.Existing, Labels: k.Labels}
	})
	out.Firewalls = each(f.Firewalls, firewallOf)
	out.PlacementGroups = each(f.PlacementGroups, func(_ string, g fleet.PlacementGroup) groupEntry {
		entry := groupEntry{Type: groupType(g.Type), Labels: g.Labels, Existing: g.Existing}
		orDefaults(&entry)
		return entry
	})
	out.PrimaryIPs = each(f.PrimaryIPs, func(_ string, p fleet.PrimaryIP) primaryIPEntry {
		return primaryIPEntry{
			Type: addressFamily(p.Type), Location: p.Location, AutoDelete: p.AutoDelete, DeleteProtection: p.DeleteProtection,
			DNSPtr: dnsNamesOf(p.DNSPtr, p.Type), Existing: p.Existing, Labels: p.Labels,
		}
	})
	out.Volumes = each(f.Volumes, func(_ string, v fleet.Volume) volumeEntry {
		return volumeEntry{
			Size: v.Size, Location: v.Location, Server: v.Server, Format: fileSystem(v.Format), Automount: v.Automount,
			DeleteProtection: v.DeleteProtection, Existing: v.Existing, Labels: v.Labels,
		}
	})
	out.Servers = each(f.Servers, out.serverOf) // after volumes, which protect
	out.LoadBalancers = each(f.LoadBalancers, loadBalancerOf)
	known := out.index()
	for _, m := range f.Moved {
		out.Moved = append(out.Moved, known.entryOf(m))
	}
}

func networkOf(_ string, n fleet.Network) networkEntry {
	out := networkEntry{
		IPRange: n.IPRange, ExposeRoutesToVSwitch: n.ExposeRoutesToVSwitch,
		DeleteProtection: n.DeleteProtection, Existing: n.Existing, Labels: n.Labels,
	}
	for _, s := range n.Subnets {
		entry := subnetEntry{Type: subnetType(s.Type), NetworkZone: networkZone(s.NetworkZone), IPRange: s.IPRange, VSwitchID: s.VSwitchID}
		orDefaults(&entry)
		out.Subnets = append(out.Subnets, entry)
	}
	for _, r := range n.Routes {
		out.Routes = append(out.Routes, routeEntry(r))
	}
	return out
}

func firewallOf(_ string, w fleet.Firewall) firewallEntry {
	out := firewallEntry{Existing: w.Existing, Labels: w.Labels}
	for _, r := range w.Rules {
		out.Rules = append(out.Rules, ruleEntry{
			Direction: direction(r.Direction), Protocol: ruleProtocol(r.Protocol), Port: portText(r.Port),
			SourceIPs: masked(r.SourceIPs), DestinationIPs: masked(r.DestinationIPs), Description: r.Description,
		})
	}
	for _, selector := range w.ApplyTo {
		out.ApplyTo = append(out.ApplyTo, applyEntry{LabelSelector: selector})
	}
	return out
}

// masked writes ranges as the provider stores them.
func masked(ranges []string) []string {
	var out []string
	for _, r := range ranges {
		if p, err := netip.ParsePrefix(r); err == nil {
			r = p.Masked().String()
		}
		out = append(out, r)
	}
	return out
}

func (out *fleetFile) serverOf(name string, s fleet.Server) serverEntry {
	entry := serverEntry{
		ServerType: append(oneOrMore{s.ServerType}, s.FallbackTypes...), Image: s.Image, Location: s.Locations,
		UserData: userData{Text: s.UserData}, PublicNet: publicNetEntry(s.PublicNet),
		Networks: each(s.Networks, func(_ string, a fleet.Attachment) attachmentEntry { return attachmentEntry(a) }),
		SSHKeys:  s.SSHKeys, Firewalls: s.Firewalls, PlacementGroup: s.PlacementGroup, Backups: s.Backups, Labels: s.Labels,
		KeepDisk: s.KeepDisk, ShutdownBeforeDeletion: s.ShutdownBeforeDeletion, SnapshotBeforeDestroy: s.SnapshotBeforeDestroy,
	}
	entry.DNSPtr = dnsNamesOf(s.DNSPtr, entry.PublicNet.families()...)
	if s.DeleteProtection != out.protectedByDefault(name) {
		entry.DeleteProtection = &s.DeleteProtection
	}
	return entry
}

// dnsNamesOf is the reverse of names.
func dnsNamesOf(by map[string]string, families ...string) dnsNames {
	if len(by) != len(families) || len(by) == 0 {
		return dnsNames{By: by}
	}
	for _, family := range families {
		if name, ok := by[family]; !ok || name == "" || name != by[families[0]] {
			return dnsNames{By: by}
		}
	}
	return dnsNames{All: by[families[0]]}
}

func loadBalancerOf(_ string, l fleet.LoadBalancer) loadBalancerEntry {
	out := loadBalancerEntry{
		Type: l.Type, Location: l.Location, NetworkZone: networkZone(l.NetworkZone), Algorithm: algorithm(l.Algorithm),
		Networks:              each(l.Networks, func(_ string, a fleet.Attachment) balancerInNetwork { return balancerInNetwork{IP: a.IP} }),
		EnablePublicInterface: l.PublicInterface, DeleteProtection: l.DeleteProtection,
		DNSPtr: dnsNamesOf(l.DNSPtr, addressIPv4, addressIPv6), Labels: l.Labels,
	}
	orElse(&out.Algorithm, roundRobin)
	for _, s := range l.Services {
		out.Services = append(out.Services, serviceOf(s))
	}
	for _, t := range l.Targets {
		out.Targets = append(out.Targets, targetEntry(t))
	}
	return out
}

func serviceOf(s fleet.LoadBalancerService) serviceEntry {
	h := s.HealthCheck
	out := serviceEntry{
		Protocol: serviceProtocol(s.Protocol), ListenPort: s.ListenPort, DestinationPort: s.DestinationPort, ProxyProtocol: s.ProxyProtocol,
		HTTP: serviceHTTP{
			Certificates: s.HTTP.Certificates, RedirectHTTP: s.HTTP.RedirectHTTP, StickySessions: s.HTTP.StickySessions,
			CookieName: s.HTTP.CookieName, CookieLifetime: seconds(s.HTTP.CookieLifetime),
		},
		HealthCheck: balancerCheck{
			Protocol: checkProtocol(h.Protocol), Port: h.Port, Interval: seconds(h.Interval), Timeout: seconds(h.Timeout), Retries: h.Retries,
			HTTP: checkHTTP{Domain: h.Domain, Path: h.Path, Response: h.Response, StatusCodes: retype[statusCode](h.StatusCodes), TLS: h.TLS},
		},
	}
	orDefaults(&out.HealthCheck)
	out.strip()
	return out
}

// strip takes out what complete puts in.
func (s *serviceEntry) strip() {
	h := &s.HealthCheck
	if h.Protocol == protocolHTTP {
		unset(&h.HTTP.Path, checkPath)
		if slices.Equal(h.HTTP.StatusCodes, checkStatuses()) {
			h.HTTP.StatusCodes = nil
		}
	}
	unset(&h.Port, s.DestinationPort)
	unset(&h.Protocol, s.checkProtocol())
	if s.HTTP.StickySessions {
		unset(&s.HTTP.CookieName, stickyCookie)
		unset(&s.HTTP.CookieLifetime, stickyLifetime)
	}
	unset(&s.DestinationPort, s.destinationPort())
	unset(&s.ListenPort, s.listenPort())
}

// unset is the reverse of orElse.
func unset[T comparable](value *T, absent T) {
	var zero T
	if *value == absent {
		*value = zero
	}
}

// entryOf writes the section of a rename only where it is not clear without.
func (x index) entryOf(m fleet.Move) moveEntry {
	short := moveEntry{From: m.From, To: m.To}
	section, from, to := x.move(short)
	if section == m.Section && from == m.From && to == m.To {
		return short
	}
	return moveEntry{From: m.Section + "." + m.From, To: m.Section + "." + m.To}
}

func names[V any](entries map[string]V) []string { return slices.Sorted(maps.Keys(entries)) }
