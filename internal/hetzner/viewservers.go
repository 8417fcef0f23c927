package hetzner

import (
	"maps"
	"slices"
	"strconv"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func (v *view) server(s *hcloud.Server) fleet.AccountServer {
	m := describeServer(s)
	a := fleet.AccountServer{
		ID: s.ID, Status: string(s.Status), Disk: s.PrimaryDiskSize, Created: s.Created, Image: v.image(s),
		Networks: map[string]string{}, AliasIPs: map[string][]string{}, Firewalls: slices.Sorted(slices.Values(v.applied[s.ID])),
		Backups: s.BackupWindow != "", DeleteProtection: s.Protection.Delete, Labels: userLabels(s.Labels),
		KeysDigest: s.Labels[labelKeys], UserDataDigest: s.Labels[labelUserData], Published: published(s.Labels), SwitchedOff: v.c.switchedOff(s),
		ShutdownBeforeDeletion: s.Labels[labelShutdown] != "", SnapshotBeforeDestroy: s.Labels[labelSnapshot] != "",
	}
	if s.ServerType != nil {
		a.ServerType = s.ServerType.Name
	}
	if s.Location != nil {
		a.Location = s.Location.Name
	}
	if s.PlacementGroup != nil {
		a.PlacementGroup = v.name(plans.KindPlacementGroup, s.PlacementGroup.ID)
	}
	for _, volume := range s.Volumes {
		if name, known := v.volumes[volume.ID]; known {
			a.Volumes = append(a.Volumes, name)
		}
	}
	slices.Sort(a.Volumes)
	names := maps.Clone(s.PublicNet.IPv6.DNSPtr)
	if names == nil {
		names = map[string]string{}
	}
	if m.ipv4 != nil {
		a.IPv4, a.PublicNet.IPv4ID, a.PublicNet.IPv4Name = m.ipv4.String(), s.PublicNet.IPv4.ID, v.addressName(s.PublicNet.IPv4.ID)
		names[a.IPv4] = s.PublicNet.IPv4.DNSPtr
	}
	if m.ipv6 != nil {
		a.IPv6, a.PublicNet.IPv6ID, a.PublicNet.IPv6Name = m.ipv6.String(), s.PublicNet.IPv6.ID, v.addressName(s.PublicNet.IPv6.ID)
	}
	a.DNSPtr = pointers(s.Labels, m.ipv4, m.ipv6, names)
	for _, n := range s.PrivateNet {
		name := v.name(plans.KindNetwork, n.Network.ID)
		a.Networks[name] = n.IP.String()
		for _, alias := range n.Aliases {
			a.AliasIPs[name] = append(a.AliasIPs[name], alias.String())
		}
		slices.Sort(a.AliasIPs[name])
	}
	return a
}

// image is the image as declared: a label may hold only its hash, and then what
// flotilla.yaml declares now is compared with that.
func (v *view) image(s *hcloud.Server) string {
	declared := v.f.Servers[s.Name].Image
	label := s.Labels[labelImage]
	switch {
	case label != "" && label == encodeLabel(declared):
		return declared
	case label != "":
		return decodeLabel(label)
	case s.Image != nil:
		return s.Image.Name
	}
	return ""
}

// switchedOff tells whether a server is off because Flotilla switched it off,
// or made it stopped not long ago.
func (c *Client) switchedOff(s *hcloud.Server) bool {
	value, labelled := s.Labels[labelOff]
	if !labelled || s.Status != hcloud.ServerStatusOff && s.Status != hcloud.ServerStatusStopping && s.Status != hcloud.ServerStatusInitializing {
		return false
	}
	until, err := strconv.ParseInt(value, 10, 64)
	return err != nil || c.clock.now().Unix() <= until
}

func (v *view) balancer(l *hcloud.LoadBalancer) fleet.AccountLoadBalancer {
	a := fleet.AccountLoadBalancer{
		ID: l.ID, Algorithm: string(l.Algorithm.Type), Networks: map[string]string{}, PublicInterface: l.PublicNet.Enabled,
		DeleteProtection: l.Protection.Delete, Labels: userLabels(l.Labels),
	}
	if l.LoadBalancerType != nil {
		a.Type = l.LoadBalancerType.Name
	}
	if l.Location != nil {
		a.Location, a.NetworkZone = l.Location.Name, string(l.Location.NetworkZone)
	}
	names := map[string]string{}
	if ip := l.PublicNet.IPv4; ip.IP != nil {
		a.IPv4 = ip.IP.String()
		names[a.IPv4] = ip.DNSPtr
	}
	if ip := l.PublicNet.IPv6; ip.IP != nil {
		a.IPv6 = ip.IP.String()
		names[a.IPv6] = ip.DNSPtr
	}
	a.DNSPtr = pointers(l.Labels, l.PublicNet.IPv4.IP, l.PublicNet.IPv6.IP, names)
	for _, n := range l.PrivateNet {
		a.Networks[v.name(plans.KindNetwork, n.Network.ID)] = n.IP.String()
	}
	for _, s := range l.Services {
		service := v.service(s)
		if has(l.Labels, serviceLabel(s.ListenPort)) {
			a.Services = append(a.Services, service)
		} else {
			a.ForeignServices = append(a.ForeignServices, service)
		}
	}
	for _, t := range l.Targets {
		target, owned := v.target(l, t)
		if owned {
			a.Targets = append(a.Targets, target)
		} else {
			a.ForeignTargets = append(a.ForeignTargets, target)
		}
	}
	return a
}

// target tells whether a target is the fleet's: a server that is the fleet's, or
// one that the load balancer has the label of.
func (v *view) target(l *hcloud.LoadBalancer, t hcloud.LoadBalancerTarget) (fleet.LoadBalancerTarget, bool) {
	target := fleet.LoadBalancerTarget{UsePrivateIP: t.UsePrivateIP}
	switch {
	case t.Server != nil && t.Server.Server != nil:
		target.Server = v.name(plans.KindServer, t.Server.Server.ID)
		return target, v.owned[plans.KindServer][t.Server.Server.ID]
	case t.LabelSelector != nil:
		target.LabelSelector = t.LabelSelector.Selector
	case t.IP != nil:
		target.IP = t.IP.IP
	}
	return target, has(l.Labels, targetLabel(target))
}

func (v *view) service(s hcloud.LoadBalancerService) fleet.LoadBalancerService {
	service := fleet.LoadBalancerService{
		Protocol: string(s.Protocol), ListenPort: s.ListenPort, DestinationPort: s.DestinationPort, ProxyProtocol: s.Proxyprotocol,
		HealthCheck: fleet.HealthCheck{
			Protocol: string(s.HealthCheck.Protocol), Port: s.HealthCheck.Port, Interval: whole(s.HealthCheck.Interval),
			Timeout: whole(s.HealthCheck.Timeout), Retries: s.HealthCheck.Retries,
		},
	}
	if s.Protocol != hcloud.LoadBalancerServiceProtocolTCP {
		service.HTTP = fleet.ServiceHTTP{
			RedirectHTTP: s.HTTP.RedirectHTTP, StickySessions: s.HTTP.StickySessions,
			CookieName: s.HTTP.CookieName, CookieLifetime: whole(s.HTTP.CookieLifetime),
		}
		for _, certificate := range s.HTTP.Certificates {
			name, known := v.certificates[certificate.ID]
			if !known {
				name = "#" + strconv.FormatInt(certificate.ID, 10)
			}
			service.HTTP.Certificates = append(service.HTTP.Certificates, name)
		}
	}
	if h := s.HealthCheck.HTTP; h != nil {
		service.HealthCheck.Domain, service.HealthCheck.Path, service.HealthCheck.Response = h.Domain, h.Path, h.Response
		service.HealthCheck.StatusCodes, service.HealthCheck.TLS = h.StatusCodes, h.TLS
	}
	return service
}
