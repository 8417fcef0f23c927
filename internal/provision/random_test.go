package provision_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
)

// random makes fleets that a provider can have: fixed addresses differ between
// servers, and what belongs together is in one place.
type random struct{ *rand.Rand }

func (r random) yes() bool { return r.IntN(2) == 0 }

func pick[T any](r random, from ...T) T { return from[r.IntN(len(from))] }

func some[T any](r random, from ...T) []T {
	var out []T
	for _, x := range from {
		if r.yes() {
			out = append(out, x)
		}
	}
	return out
}

func (r random) labels() map[string]string {
	labels := map[string]string{}
	for _, key := range []string{"env", "role", "other.tool/x"} {
		if r.yes() {
			labels[key] = fmt.Sprintf("v%d", r.IntN(2))
		}
	}
	return labels
}

func (r random) names(of ...string) map[string]string {
	names := map[string]string{}
	for _, address := range of {
		if r.yes() {
			names[address] = pick(r, "a.example.com", "b.example.com")
		}
	}
	return names
}

func (r random) fleet() fleet.Fleet {
	f := fleet.Fleet{
		Name: "acme", Networks: map[string]fleet.Network{}, SSHKeys: map[string]fleet.SSHKey{"theirs": {Existing: true}}, Servers: map[string]fleet.Server{},
		Firewalls: map[string]fleet.Firewall{}, PlacementGroups: map[string]fleet.PlacementGroup{}, Volumes: map[string]fleet.Volume{},
		PrimaryIPs: map[string]fleet.PrimaryIP{}, LoadBalancers: map[string]fleet.LoadBalancer{},
	}
	for i, key := range r.keys() {
		if r.yes() {
			f.SSHKeys[fmt.Sprintf("key-%d", i)] = fleet.SSHKey{PublicKey: key, Labels: r.labels()}
		}
	}
	r.networks(f)
	for i := range 2 {
		if r.yes() {
			f.Firewalls[fmt.Sprintf("firewall-%d", i)] = fleet.Firewall{Rules: r.rules(), ApplyTo: some(r, "env=v0", "env=v1"), Labels: r.labels()}
		}
		if r.yes() {
			f.PlacementGroups[fmt.Sprintf("group-%d", i)] = fleet.PlacementGroup{Type: "spread", Labels: r.labels()}
		}
	}
	for i := range 3 {
		if r.yes() {
			ip := fleet.PrimaryIP{Type: pick(r, "ipv4", "ipv4", "ipv6"), Location: "nbg1", DNSPtr: r.names("ipv4"), Labels: r.labels()}
			ip.AutoDelete = r.yes()
			ip.DeleteProtection = !ip.AutoDelete && r.yes()
			f.PrimaryIPs[fmt.Sprintf("ip-%d", i)] = ip
		}
	}
	free := map[string]bool{}
	for name := range f.PrimaryIPs {
		free[name] = true
	}
	for i := range 4 {
		if r.yes() {
			f.Servers[fmt.Sprintf("server-%d", i)] = r.server(f, i, free)
		}
	}
	r.routes(f)
	r.volumes(f)
	if r.yes() {
		f.LoadBalancers["lb"] = r.loadBalancer(f)
	}
	return f
}

func (r random) keys() []string {
	keys := []string{keyOne, keyTwo, keyThree}
	r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	return keys[:2]
}

func (r random) networks(f fleet.Fleet) {
	subnet := func(ipRange string) fleet.Subnet {
		return fleet.Subnet{Type: "cloud", NetworkZone: "eu-central", IPRange: ipRange}
	}
	if r.yes() { // a network for fixed addresses
		n := fleet.Network{
			IPRange: fmt.Sprintf("10.2.0.0/%d", 15+r.IntN(2)), Labels: r.labels(), ExposeRoutesToVSwitch: r.yes(), DeleteProtection: r.yes(),
			Subnets: []fleet.Subnet{subnet("10.2.1.0/24")},
		}
		n.Subnets = append(n.Subnets, some(r, subnet("10.2.2.0/24"), pick(r, subnet("10.2.4.0/24"), subnet("10.2.4.0/23")))...)
		f.Networks["fixed"] = n
	}
	if r.yes() { // one for addresses that the provider chooses
		third := 4 + r.IntN(2)
		f.Networks["free"] = fleet.Network{IPRange: fmt.Sprintf("10.%d.0.0/16", third), Subnets: []fleet.Subnet{subnet(fmt.Sprintf("10.%d.1.0/24", third))}}
	}
}

func (r random) rules() []fleet.FirewallRule {
	return some(r,
		fleet.FirewallRule{Direction: "in", Protocol: "tcp", Port: "22", SourceIPs: []string{"0.0.0.0/0", "::/0"}},
		fleet.FirewallRule{Direction: "in", Protocol: "tcp", Port: "443", SourceIPs: []string{pick(r, "0.0.0.0/0", "10.1.2.3/8")}, Description: pick(r, "", "web")},
		fleet.FirewallRule{Direction: "in", Protocol: "icmp", SourceIPs: []string{"::/0", "0.0.0.0/0"}},
		fleet.FirewallRule{Direction: "out", Protocol: "udp", Port: pick(r, "53", "any"), DestinationIPs: []string{"0.0.0.0/0"}},
	)
}

func (r random) server(f fleet.Fleet, i int, free map[string]bool) fleet.Server {
	s := fleet.Server{
		ServerType: pick(r, "cx22", "cx22", "cx32", "cax11"), FallbackTypes: some(r, "cx32"), Image: pick(r, "debian-13", "os=nixos"),
		Locations: []string{"nbg1", "fsn1"}, UserData: pick(r, "", "#!/bin/sh\ntrue\n"),
		Networks: map[string]fleet.Attachment{}, Labels: r.labels(), Backups: r.yes(), DeleteProtection: r.IntN(4) == 0, KeepDisk: r.yes(),
		ShutdownBeforeDeletion: r.yes(), SnapshotBeforeDestroy: r.yes(), PublicNet: fleet.PublicNet{EnableIPv4: r.IntN(4) > 0, EnableIPv6: r.yes()},
	}
	for _, name := range []string{"key-0", "key-1", "theirs"} {
		if _, ok := f.SSHKeys[name]; ok && r.yes() {
			s.SSHKeys = append(s.SSHKeys, name)
		}
	}
	for _, name := range []string{"firewall-0", "firewall-1"} {
		if _, ok := f.Firewalls[name]; ok && r.yes() {
			s.Firewalls = append(s.Firewalls, name)
		}
	}
	for _, name := range []string{"group-0", "group-1"} {
		if _, ok := f.PlacementGroups[name]; ok && r.yes() {
			s.PlacementGroup = name
		}
	}
	for _, name := range []string{"ip-0", "ip-1", "ip-2"} {
		ip := f.PrimaryIPs[name]
		switch {
		case !free[name] || r.yes():
		case ip.Type == "ipv4" && s.PublicNet.EnableIPv4 && s.PublicNet.IPv4 == "":
			s.PublicNet.IPv4, free[name] = name, false
		case ip.Type == "ipv6" && s.PublicNet.EnableIPv6 && s.PublicNet.IPv6 == "":
			s.PublicNet.IPv6, free[name] = name, false
		}
	}
	if _, ok := f.Networks["fixed"]; ok && r.yes() {
		s.Networks["fixed"] = fleet.Attachment{
			IP: fmt.Sprintf("10.2.1.%d", 10+i+100*r.IntN(2)), AliasIPs: some(r, fmt.Sprintf("10.2.1.%d", 50+i), fmt.Sprintf("10.2.1.%d", 60+i)),
		}
	}
	if _, ok := f.Networks["free"]; ok && r.yes() {
		s.Networks["free"] = fleet.Attachment{}
	}
	if len(s.Networks) == 0 && !s.PublicNet.EnableIPv6 {
		s.PublicNet.EnableIPv4 = true
	}
	if s.PublicNet.EnableIPv4 {
		s.DNSPtr = r.names("ipv4")
	}
	return s
}

// routes adds one whose gateway is a server.
func (r random) routes(f fleet.Fleet) {
	for _, name := range []string{"server-0", "server-1"} {
		n, ok := f.Networks["fixed"]
		if at, in := f.Servers[name].Networks["fixed"]; ok && in && r.yes() {
			n.Routes = []fleet.Route{{Destination: pick(r, "10.100.0.0/16", "10.100.1.0/24", "10.101.0.0/16"), Gateway: at.IP}}
			f.Networks["fixed"] = n
		}
	}
}

func (r random) volumes(f fleet.Fleet) {
	for i := range 3 {
		if r.yes() {
			continue
		}
		v := fleet.Volume{Size: 10 + 10*r.IntN(2), Location: pick(r, "nbg1", "nbg1", "fsn1"), Format: pick(r, "", "ext4", "xfs"), Labels: r.labels(), DeleteProtection: r.yes()}
		server := fmt.Sprintf("server-%d", r.IntN(4))
		if _, ok := f.Servers[server]; ok {
			v.Server, v.Location = server, pick(r, "", "nbg1")
		}
		f.Volumes[fmt.Sprintf("volume-%d", i)] = v
	}
}

func (r random) loadBalancer(f fleet.Fleet) fleet.LoadBalancer {
	lb := fleet.LoadBalancer{
		Type: pick(r, "lb11", "lb21"), Location: pick(r, "nbg1", "nbg1", "fsn1"), Algorithm: pick(r, "round_robin", "least_connections"),
		PublicInterface: r.yes(), DeleteProtection: r.IntN(4) == 0, DNSPtr: r.names("ipv4"), Labels: r.labels(), Networks: map[string]fleet.Attachment{},
	}
	for _, network := range []string{"fixed", "free"} {
		if _, ok := f.Networks[network]; ok && r.yes() && len(lb.Networks) == 0 {
			lb.Networks[network] = fleet.Attachment{}
			if network == "fixed" {
				lb.Networks[network] = fleet.Attachment{IP: pick(r, "10.2.1.5", "10.2.1.6")}
			}
		}
	}
	for _, name := range []string{"server-0", "server-1", "server-2"} {
		s, ok := f.Servers[name]
		if !ok || r.yes() {
			continue
		}
		private := false
		for network := range lb.Networks {
			_, in := s.Networks[network]
			private = in && r.yes()
		}
		if private || s.PublicNet.EnableIPv4 {
			lb.Targets = append(lb.Targets, fleet.LoadBalancerTarget{Server: name, UsePrivateIP: private})
		}
	}
	if r.yes() {
		lb.Targets = append(lb.Targets, fleet.LoadBalancerTarget{LabelSelector: "env=v0", UsePrivateIP: len(lb.Networks) > 0 && r.yes()})
	}
	for _, listen := range []int{80, 443} {
		if r.yes() {
			lb.Services = append(lb.Services, fleet.LoadBalancerService{
				Protocol: pick(r, "tcp", "http"), ListenPort: listen, DestinationPort: pick(r, 80, 8080), ProxyProtocol: r.yes(),
				HealthCheck: fleet.HealthCheck{Protocol: "http", Port: 80, Interval: 15, Timeout: 10, Retries: 3, Path: pick(r, "/", "/healthz")},
			})
		}
	}
	return lb
}

// move gives a server, a network or a volume of the second fleet another name.
func (r random) move(first, second *fleet.Fleet) {
	if _, both := first.Servers["server-1"]; both && r.yes() {
		if s, ok := second.Servers["server-1"]; ok {
			delete(second.Servers, "server-1")
			second.Servers["renamed"] = s
			for name, v := range second.Volumes {
				if v.Server == "server-1" {
					v.Server = "renamed"
					second.Volumes[name] = v
				}
			}
			for name, lb := range second.LoadBalancers {
				for i := range lb.Targets {
					if lb.Targets[i].Server == "server-1" {
						lb.Targets[i].Server = "renamed"
					}
				}
				second.LoadBalancers[name] = lb
			}
			second.Moved = append(second.Moved, fleet.Move{Section: "servers", From: "server-1", To: "renamed"})
		}
	}
	if _, both := first.Volumes["volume-0"]; both && r.yes() {
		if v, ok := second.Volumes["volume-0"]; ok {
			delete(second.Volumes, "volume-0")
			second.Volumes["data"] = v
			second.Moved = append(second.Moved, fleet.Move{Section: "volumes", From: "volume-0", To: "data"})
		}
	}
}

// unprotected is the fleet with every delete_protection off, as people deploy
// it before they destroy something.
func unprotected(f fleet.Fleet) fleet.Fleet {
	for name, s := range f.Servers {
		s.DeleteProtection = false
		f.Servers[name] = s
	}
	for name, v := range f.Volumes {
		v.DeleteProtection = false
		f.Volumes[name] = v
	}
	for name, n := range f.Networks {
		n.DeleteProtection = false
		f.Networks[name] = n
	}
	for name, ip := range f.PrimaryIPs {
		ip.DeleteProtection = false
		f.PrimaryIPs[name] = ip
	}
	for name, lb := range f.LoadBalancers {
		lb.DeleteProtection = false
		f.LoadBalancers[name] = lb
	}
	return f
}

// strangers puts into the project what is not the fleet's: nobody's and
// another fleet's.
func strangers(w *fake) {
	for i, owner := range []string{"", "other"} {
		for _, kind := range []plans.ResourceKind{
			plans.KindSSHKey, plans.KindNetwork, plans.KindServer, plans.KindFirewall, plans.KindPlacementGroup, plans.KindVolume, plans.KindPrimaryIP, plans.KindLoadBalancer,
		} {
			w.next++
			w.all[w.next] = &thing{
				ID: w.next, Kind: kind, Name: fmt.Sprintf("stranger-%d", i), Fleet: owner, Labels: map[string]string{"env": "v0"}, Key: fmt.Sprintf("key %d", i),
				Range: "10.2.0.0/16", Status: "running", Type: "cx22",
			}
		}
	}
	w.next++
	w.all[w.next] = &thing{ID: w.next, Kind: plans.KindSSHKey, Name: "theirs", Key: "ssh-ed25519 AAAATHEIRS"}
}

// Whatever was there and whatever is wanted: after an apply nothing is left to
// do, what is not the fleet's is as it was, and nothing was tried that must not
// be. Pairs that are refused (they have their own tests) do not count.
func TestApplyOfAnyFleetOnAnyOther(t *testing.T) {
	const pairs = 1000
	ctx := context.Background()
	applied, refused, changed := 0, 0, 0
	why := map[string]int{}
	for seed := uint64(0); applied < pairs; seed++ {
		r := random{rand.New(rand.NewPCG(seed, 7))}
		first, second := r.fleet(), r.fleet()
		r.move(&first, &second)
		w := newFake()
		strangers(w)
		others := w.others(t)
		o := provision.Options{AllowDestroy: everything(first, second), Catalog: catalog(), MaxUnavailable: r.IntN(3), Parallel: 1 + r.IntN(12)}
		step := func(f fleet.Fleet) bool {
			before := account(t, w, f)
			if err := provision.Check(f, before, o); err != nil {
				for _, p := range problem.All(err) {
					_, reason, _ := strings.Cut(p.Summary, ": ")
					why[firstWords(reason+p.Summary)]++
				}
				return false
			}
			results, err := apply(ctx, w, f, o)
			if err != nil {
				t.Fatalf("seed %d: %s\nplan %s\nlog %s", seed, problem.Text(err), strings.Join(short(provision.Diff(f, before, o)), "\n"), strings.Join(w.log, "\n"))
			}
			for _, result := range results {
				if !result.Done || result.Error != "" {
					t.Fatalf("seed %d: result %+v", seed, result)
				}
			}
			settled(t, w, f)
			w.sound(t)
			if w.mostOff > max(1, o.MaxUnavailable) {
				t.Errorf("%d servers were off at a time, %d may be", w.mostOff, o.MaxUnavailable)
			}
			if got := w.others(t); got != others {
				t.Errorf("what is not the fleet's has changed:\n%s\n%s", others, got)
			}
			changed += len(results)
			return true
		}
		if !step(first) {
			t.Fatalf("seed %d: the first fleet is refused: %v", seed, why)
		}
		o.Rebuild, o.Replace = some(r, "server-0", "server-2"), some(r, "server-2", "server-3")
		if !step(second) {
			first.Moved = nil
			if !step(unprotected(first)) || !step(unprotected(second)) {
				refused++
				continue
			}
		}
		applied++
		if left := provision.Diff(second, provision.Applied(second), provision.Options{}); slices.ContainsFunc(left, func(plans.Resource) bool { return len(second.Moved) == 0 }) {
			t.Errorf("applied, and still: %q", short(left))
		}
		if t.Failed() {
			t.Fatalf("seed %d\nlog %s", seed, strings.Join(w.log, "\n"))
		}
	}
	t.Logf("seeds 0 to %d: %d pairs applied, %d changes, %d pairs refused: %v", applied+refused-1, applied, changed, refused, why)
	if refused > applied {
		t.Errorf("%d pairs were refused, only %d applied", refused, applied)
	}
}

func firstWords(text string) string {
	words := strings.Fields(text)
	return strings.Join(words[:min(len(words), 5)], " ")
}
