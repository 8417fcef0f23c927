package provision

import (
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
)

const digestLength = 16

// someID stands for an ID that a provider would decide.
const someID = -1

// Applied gives the account as if the fleet had been applied to an empty one:
// Diff(head, Applied(base)) is what a change does, without asking a provider.
// What a provider would decide (addresses, times) is zero, and IDs are no IDs.
func Applied(desired fleet.Fleet) fleet.Account {
	account := fleet.Account{
		Networks: map[string]fleet.AccountNetwork{}, SSHKeys: map[string]fleet.AccountSSHKey{}, Servers: map[string]fleet.AccountServer{},
		Firewalls: map[string]fleet.AccountFirewall{}, PlacementGroups: map[string]fleet.AccountPlacementGroup{}, Volumes: map[string]fleet.AccountVolume{},
		PrimaryIPs: map[string]fleet.AccountPrimaryIP{}, LoadBalancers: map[string]fleet.AccountLoadBalancer{},
	}
	for name, n := range desired.Networks {
		account.Networks[name] = fleet.AccountNetwork{
			ID: someID, Owned: !n.Existing, IPRange: n.IPRange, Subnets: slices.Clone(n.Subnets), Routes: slices.Clone(n.Routes),
			ExposeRoutesToVSwitch: n.ExposeRoutesToVSwitch, DeleteProtection: n.DeleteProtection, Labels: maps.Clone(n.Labels),
		}
	}
	for name, k := range desired.SSHKeys {
		account.SSHKeys[name] = fleet.AccountSSHKey{ID: someID, PublicKey: k.PublicKey, Owned: !k.Existing, Labels: maps.Clone(k.Labels)}
	}
	for name, f := range desired.Firewalls {
		account.Firewalls[name] = fleet.AccountFirewall{
			ID: someID, Owned: !f.Existing, Rules: slices.Clone(f.Rules), ApplyTo: slices.Clone(f.ApplyTo), Labels: maps.Clone(f.Labels),
		}
	}
	for name, g := range desired.PlacementGroups {
		account.PlacementGroups[name] = fleet.AccountPlacementGroup{ID: someID, Owned: !g.Existing, Type: g.Type, Labels: maps.Clone(g.Labels)}
	}
	for name, v := range desired.Volumes {
		account.Volumes[name] = fleet.AccountVolume{
			ID: someID, Owned: !v.Existing, Size: v.Size, Location: v.Location, Server: v.Server, Format: v.Format,
			DeleteProtection: v.DeleteProtection, Labels: maps.Clone(v.Labels),
		}
	}
	for name, p := range desired.PrimaryIPs {
		account.PrimaryIPs[name] = fleet.AccountPrimaryIP{
			ID: someID, Owned: !p.Existing, Type: p.Type, Location: p.Location, AutoDelete: p.AutoDelete,
			DeleteProtection: p.DeleteProtection, DNSPtr: maps.Clone(p.DNSPtr), Labels: maps.Clone(p.Labels),
		}
	}
	for name, s := range desired.Servers {
		account.Servers[name] = appliedServer(s)
		for _, ip := range []string{account.Servers[name].PublicNet.IPv4Name, account.Servers[name].PublicNet.IPv6Name} {
			if p, ok := account.PrimaryIPs[ip]; ok {
				p.Server = name
				account.PrimaryIPs[ip] = p
			}
		}
	}
	for name, l := range desired.LoadBalancers {
		account.LoadBalancers[name] = appliedLoadBalancer(l)
	}
	return account
}

func appliedServer(s fleet.Server) fleet.AccountServer {
	applied := fleet.AccountServer{
		ID: someID, ServerType: s.ServerType, Image: s.Image, Status: running, Networks: map[string]string{}, AliasIPs: map[string][]string{},
		Firewalls: slices.Clone(s.Firewalls), PlacementGroup: s.PlacementGroup, Backups: s.Backups, DNSPtr: maps.Clone(s.DNSPtr),
		DeleteProtection: s.DeleteProtection, Labels: maps.Clone(s.Labels),
		KeysDigest: keysDigest(s.SSHKeys), UserDataDigest: userDataDigest(s.UserData),
		ShutdownBeforeDeletion: s.ShutdownBeforeDeletion, SnapshotBeforeDestroy: s.SnapshotBeforeDestroy,
	}
	if s.PublicNet.EnableIPv4 {
		applied.PublicNet.IPv4ID, applied.PublicNet.IPv4Name = someID, s.PublicNet.IPv4
	}
	if s.PublicNet.EnableIPv6 {
		applied.PublicNet.IPv6ID, applied.PublicNet.IPv6Name = someID, s.PublicNet.IPv6
	}
	if len(s.Locations) > 0 {
		applied.Location = s.Locations[0]
	}
	for network, at := range s.Networks {
		applied.Networks[network] = at.IP
		if len(at.AliasIPs) > 0 {
			applied.AliasIPs[network] = slices.Clone(at.AliasIPs)
		}
	}
	return applied
}

func appliedLoadBalancer(l fleet.LoadBalancer) fleet.AccountLoadBalancer {
	applied := fleet.AccountLoadBalancer{
		ID: someID, Type: l.Type, Location: l.Location, NetworkZone: l.NetworkZone, Algorithm: l.Algorithm, Networks: map[string]string{},
		PublicInterface: l.PublicInterface, Services: slices.Clone(l.Services), Targets: slices.Clone(l.Targets),
		DeleteProtection: l.DeleteProtection, DNSPtr: maps.Clone(l.DNSPtr), Labels: maps.Clone(l.Labels),
	}
	for network, at := range l.Networks {
		applied.Networks[network] = at.IP
	}
	return applied
}

// keysDigest says whether the names in ssh_keys are still those that a server
// was made with.
func keysDigest(names []string) string {
	names = slices.Clone(names)
	slices.Sort(names)
	return digest(strings.Join(slices.Compact(names), "\n"))
}

// digest is short enough for a label.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:digestLength]
}
