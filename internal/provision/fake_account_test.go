package provision_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

func (w *fake) CreateLoadBalancer(ctx context.Context, o fleet.LoadBalancerOrder) (int64, error) {
	return w.create(ctx, plans.KindLoadBalancer, o.Name, o.LoadBalancer.Labels, func(t *thing) error {
		t.Type, t.Location, t.Algorithm, t.Public = o.LoadBalancer.Type, o.LoadBalancer.Location, o.LoadBalancer.Algorithm, o.LoadBalancer.PublicInterface
		if t.Location == "" {
			t.Location = "nbg1"
		}
		t.Nets = map[int64]fleet.Attachment{}
		return nil
	})
}

func (w *fake) lb(ctx context.Context, what string, id int64, f func(*thing) error) error {
	return w.change(ctx, what, plans.KindLoadBalancer, id, f)
}

func (w *fake) ChangeLoadBalancerType(ctx context.Context, id int64, lbType string) error {
	return w.lb(ctx, "lb type", id, func(t *thing) error {
		t.Type = lbType
		return nil
	})
}

func (w *fake) SetAlgorithm(ctx context.Context, id int64, algorithm string) error {
	return w.lb(ctx, "algorithm", id, func(t *thing) error {
		t.Algorithm = algorithm
		return nil
	})
}

func (w *fake) SetPublicInterface(ctx context.Context, id int64, on bool) error {
	return w.lb(ctx, "public interface", id, func(t *thing) error {
		t.Public = on
		return nil
	})
}

func (w *fake) AttachLoadBalancer(ctx context.Context, id, network int64, ip string) error {
	return w.lb(ctx, "attach lb", id, func(t *thing) error {
		if _, in := t.Nets[network]; !in && len(t.Nets) > 0 {
			return refusedf("load_balancer_already_attached")
		}
		return w.join(t, network, fleet.Attachment{IP: ip})
	})
}

func (w *fake) DetachLoadBalancer(ctx context.Context, id, network int64) error {
	return w.lb(ctx, "detach lb", id, func(t *thing) error {
		if slices.ContainsFunc(t.Targets, func(x fakeTarget) bool { return x.UsePrivateIP }) {
			w.violate("%s leaves the network of its private targets", t.Name)
		}
		delete(t.Nets, network)
		return nil
	})
}

func (w *fake) AddService(ctx context.Context, id int64, s fleet.LoadBalancerService) error {
	return w.lb(ctx, "add service", id, func(t *thing) error {
		for _, o := range t.Services {
			if o.ListenPort == s.ListenPort {
				return refusedf("source_port_already_used")
			}
		}
		t.Services = append(t.Services, s)
		return nil
	})
}

func (w *fake) UpdateService(ctx context.Context, id int64, s fleet.LoadBalancerService) error {
	return w.lb(ctx, "update service", id, func(t *thing) error {
		for i, o := range t.Services {
			if o.ListenPort == s.ListenPort {
				t.Services[i] = s
				return nil
			}
		}
		return refusedf("no service on %d", s.ListenPort)
	})
}

func (w *fake) DeleteService(ctx context.Context, id int64, listenPort int) error {
	return w.lb(ctx, "delete service", id, func(t *thing) error {
		if slices.Contains(t.Foreign, fmt.Sprint(listenPort)) {
			w.violate("deletes the service %d, which is not the fleet's", listenPort)
		}
		t.Services = slices.DeleteFunc(t.Services, func(o fleet.LoadBalancerService) bool { return o.ListenPort == listenPort })
		return nil
	})
}

func (w *fake) AddTarget(ctx context.Context, id int64, target fleet.LoadBalancerTarget, server int64) error {
	return w.lb(ctx, "add target "+target.Server+target.LabelSelector+target.IP, id, func(t *thing) error {
		same := func(x fakeTarget) bool {
			return x.ID == server && x.LabelSelector == target.LabelSelector && x.IP == target.IP
		}
		if i := slices.IndexFunc(t.Targets, same); i >= 0 {
			if t.Targets[i].UsePrivateIP == target.UsePrivateIP {
				return nil
			}
			return refusedf("target_already_defined")
		}
		if target.UsePrivateIP {
			shared := len(t.Nets) > 0 && server == 0
			for n := range t.Nets {
				if server != 0 {
					_, shared = w.all[server].Nets[n]
				}
			}
			if !shared {
				return refusedf("server_not_attached_to_network")
			}
		}
		if server != 0 {
			if _, err := w.get(plans.KindServer, server); err != nil {
				return err
			}
		}
		t.Targets = append(t.Targets, fakeTarget{fleet.LoadBalancerTarget{LabelSelector: target.LabelSelector, IP: target.IP, UsePrivateIP: target.UsePrivateIP}, server})
		return nil
	})
}

func (w *fake) RemoveTarget(ctx context.Context, id int64, target fleet.LoadBalancerTarget, server int64) error {
	return w.lb(ctx, "remove target", id, func(t *thing) error {
		t.Targets = slices.DeleteFunc(t.Targets, func(x fakeTarget) bool {
			return x.ID == server && x.LabelSelector == target.LabelSelector && x.IP == target.IP
		})
		return nil
	})
}

// Account shows the project as the fleet sees it.
func (w *fake) Account(ctx context.Context, f fleet.Fleet) (fleet.Account, error) {
	a := fleet.Account{
		Networks: map[string]fleet.AccountNetwork{}, SSHKeys: map[string]fleet.AccountSSHKey{}, Servers: map[string]fleet.AccountServer{},
		Firewalls: map[string]fleet.AccountFirewall{}, PlacementGroups: map[string]fleet.AccountPlacementGroup{}, Volumes: map[string]fleet.AccountVolume{},
		PrimaryIPs: map[string]fleet.AccountPrimaryIP{}, LoadBalancers: map[string]fleet.AccountLoadBalancer{},
	}
	err := w.call(ctx, "account", nil, func() error {
		for _, id := range slices.Sorted(maps.Keys(w.all)) {
			w.show(&a, f, w.all[id])
		}
		return nil
	})
	return a, err
}

// nameOf is a thing's name as the fleet calls it.
func (w *fake) nameOf(id int64) string {
	t := w.all[id]
	switch {
	case id == 0 || t == nil:
		return ""
	case t.Fleet != "acme":
		return fmt.Sprintf("#%d", id)
	}
	return t.Name
}

func (w *fake) show(a *fleet.Account, f fleet.Fleet, t *thing) {
	own := t.Fleet == "acme"
	labels := maps.Clone(t.Labels)
	existing := false
	switch t.Kind {
	case plans.KindSSHKey:
		existing = f.SSHKeys[t.Name].Existing
		if own || existing {
			a.SSHKeys[t.Name] = fleet.AccountSSHKey{ID: t.ID, PublicKey: t.Key, Owned: own, Labels: labels}
		}
	case plans.KindNetwork:
		if existing = f.Networks[t.Name].Existing; own || existing {
			a.Networks[t.Name] = w.showNetwork(t, own)
		}
	case plans.KindFirewall:
		if existing = f.Firewalls[t.Name].Existing; own || existing {
			x := fleet.AccountFirewall{ID: t.ID, Owned: own, Rules: slices.Clone(t.Rules), Labels: labels, ForeignApplyTo: slices.Clone(t.Foreign)}
			for _, s := range t.Apply {
				if !slices.Contains(t.Foreign, s) {
					x.ApplyTo = append(x.ApplyTo, s)
				}
			}
			for _, s := range w.all {
				if s.Kind == plans.KindServer && s.Fleet != "acme" && slices.Contains(s.Firewalls, t.ID) {
					x.ForeignServers = append(x.ForeignServers, s.Name)
				}
			}
			a.Firewalls[t.Name] = x
		}
	case plans.KindPlacementGroup:
		if existing = f.PlacementGroups[t.Name].Existing; own || existing {
			a.PlacementGroups[t.Name] = fleet.AccountPlacementGroup{ID: t.ID, Owned: own, Type: t.Type, Labels: labels}
		}
	case plans.KindVolume:
		if existing = f.Volumes[t.Name].Existing; own || existing {
			a.Volumes[t.Name] = fleet.AccountVolume{
				ID: t.ID, Owned: own, Size: t.Size, Location: t.Location, Server: w.nameOf(t.On), Format: t.Format, DeleteProtection: t.Protected, Labels: labels,
			}
		}
	case plans.KindPrimaryIP:
		if existing = f.PrimaryIPs[t.Name].Existing; own || existing {
			a.PrimaryIPs[t.Name] = fleet.AccountPrimaryIP{
				ID: t.ID, Owned: own, Type: t.Family, IP: ipOf(t), Location: t.Location, Server: w.nameOf(t.On), AutoDelete: t.AutoDelete,
				DeleteProtection: t.Protected, DNSPtr: maps.Clone(t.DNS), Labels: labels,
			}
		}
		existing = existing || t.FromServer
	case plans.KindServer:
		if own {
			a.Servers[t.Name] = w.showServer(t, f)
		}
	case plans.KindLoadBalancer:
		if own {
			a.LoadBalancers[t.Name] = w.showLoadBalancer(t)
		}
	case plans.KindSubnet, plans.KindRoute:
	}
	if !own && !existing {
		a.Unmanaged = append(a.Unmanaged, fleet.Unmanaged{Fleet: t.Fleet, Section: string(t.Kind) + "s", Name: t.Name, ID: t.ID})
	}
}

func ipOf(t *thing) string {
	if t.Family == "ipv6" {
		return fmt.Sprintf("2a01:4f8:%x::1", t.ID%65536)
	}
	return fmt.Sprintf("88.%d.%d.%d", t.ID/65536%256, t.ID/256%256, t.ID%256)
}

func (w *fake) showNetwork(t *thing, own bool) fleet.AccountNetwork {
	x := fleet.AccountNetwork{ID: t.ID, Owned: own, IPRange: t.Range, ExposeRoutesToVSwitch: t.Expose, DeleteProtection: t.Protected, Labels: maps.Clone(t.Labels)}
	for _, s := range t.Subnets {
		if slices.Contains(t.Foreign, s.IPRange) {
			x.ForeignSubnets = append(x.ForeignSubnets, s)
		} else {
			x.Subnets = append(x.Subnets, s)
		}
	}
	for _, r := range t.Routes {
		if slices.Contains(t.Foreign, r.Destination) {
			x.ForeignRoutes = append(x.ForeignRoutes, r)
		} else {
			x.Routes = append(x.Routes, r)
		}
	}
	for _, o := range w.all {
		if _, in := o.Nets[t.ID]; in && o.Fleet != "acme" {
			x.ForeignMembers = append(x.ForeignMembers, o.Name)
		}
	}
	return x
}

func (w *fake) netName(id int64, f fleet.Fleet) string {
	if t := w.all[id]; t != nil && f.Networks[t.Name].Existing {
		return t.Name
	}
	return w.nameOf(id)
}

func (w *fake) showServer(t *thing, f fleet.Fleet) fleet.AccountServer {
	x := fleet.AccountServer{
		ID: t.ID, ServerType: t.Type, Image: t.ImageName, Location: t.Location, Status: t.Status, Disk: t.disk(), SwitchedOff: t.SwitchedOff,
		Networks: map[string]string{}, AliasIPs: map[string][]string{}, Backups: t.Backups, DNSPtr: maps.Clone(t.DNS), DeleteProtection: t.Protected,
		Labels: maps.Clone(t.Labels), KeysDigest: t.DigestKeys, UserDataDigest: t.DigestData, ShutdownBeforeDeletion: t.Shut, SnapshotBeforeDestroy: t.Snap,
		PlacementGroup: w.nameOf(t.Group),
	}
	for n, at := range t.Nets {
		x.Networks[w.netName(n, f)] = at.IP
		if len(at.AliasIPs) > 0 {
			x.AliasIPs[w.netName(n, f)] = slices.Clone(at.AliasIPs)
		}
	}
	for _, id := range t.Firewalls {
		if n := w.all[id].Name; w.all[id].Fleet == "acme" || f.Firewalls[n].Existing {
			x.Firewalls = append(x.Firewalls, n)
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		p := w.address(t, family)
		if p == nil {
			continue
		}
		name := ""
		switch {
		case p.FromServer:
		case p.Fleet == "acme" || f.PrimaryIPs[p.Name].Existing:
			name = p.Name
		default:
			name = fmt.Sprintf("#%d", p.ID)
		}
		if family == "ipv4" {
			x.IPv4, x.PublicNet.IPv4ID, x.PublicNet.IPv4Name = ipOf(p), p.ID, name
		} else {
			x.IPv6, x.PublicNet.IPv6ID, x.PublicNet.IPv6Name = ipOf(p), p.ID, name
		}
	}
	for _, v := range w.all {
		if v.Kind == plans.KindVolume && v.On == t.ID {
			x.Volumes = append(x.Volumes, v.Name)
		}
	}
	slices.Sort(x.Volumes)
	return x
}

func (w *fake) showLoadBalancer(t *thing) fleet.AccountLoadBalancer {
	x := fleet.AccountLoadBalancer{
		ID: t.ID, Type: t.Type, Location: t.Location, NetworkZone: zone(t.Location), Algorithm: t.Algorithm, IPv4: "88.1.1.1", IPv6: "2a01::1",
		Networks: map[string]string{}, PublicInterface: t.Public, DeleteProtection: t.Protected, DNSPtr: maps.Clone(t.DNS), Labels: maps.Clone(t.Labels),
	}
	for n, at := range t.Nets {
		x.Networks[w.nameOf(n)] = at.IP
	}
	for _, s := range t.Services {
		if slices.Contains(t.Foreign, fmt.Sprint(s.ListenPort)) {
			x.ForeignServices = append(x.ForeignServices, s)
		} else {
			x.Services = append(x.Services, s)
		}
	}
	for _, target := range t.Targets {
		show := target.LoadBalancerTarget
		show.Server = w.nameOf(target.ID)
		x.Targets = append(x.Targets, show)
	}
	return x
}

func zone(location string) string {
	if location == "ash" {
		return "us-east"
	}
	return "eu-central"
}

// others is all that is not the fleet's, byte for byte.
func (w *fake) others(t *testing.T) string {
	t.Helper()
	var all []*thing
	for _, id := range slices.Sorted(maps.Keys(w.all)) {
		if x := w.all[id]; x.Fleet != "acme" && !x.FromServer {
			all = append(all, x)
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
