package provision

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// pool is where placeholders come from: the documentation ranges first (762
// addresses), then a part of the benchmark range.
type pool struct{ used map[netip.Addr]bool }

const (
	documented = 3 * 254
	overflow   = 254 * 254
)

func documentation(i uint32) netip.Addr {
	nets := [3][3]byte{{192, 0, 2}, {198, 51, 100}, {203, 0, 113}}
	n := nets[i/254]
	return netip.AddrFrom4([4]byte{n[0], n[1], n[2], byte(i%254) + 1})
}

func benchmark(i uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 19, byte(i/254) + 1, byte(i%254) + 1}) //nolint:gosec // i < overflow, so i/254 < 254
}

// IsPlaceholder tells whether an address is one that Facts makes up.
func IsPlaceholder(address string) bool {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return false
	}
	for _, p := range []string{"192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.19.0.0/16", "2001:db8::/32"} {
		if netip.MustParsePrefix(p).Contains(a) {
			return true
		}
	}
	return false
}

// Facts gives what is known of the declared servers. Addresses of servers that
// do not exist yet, or are going to be replaced, are placeholders: valid,
// unique, and the same in every plan as far as names allow, because each starts
// from a hash of its server's name. Declared values are always the real ones.
// Known is false for a server with at least one placeholder.
func Facts(desired fleet.Fleet, actual fleet.Account, o Options) fleet.Facts {
	p := pool{used: map[netip.Addr]bool{}}
	for _, s := range actual.Servers { // a lab may use these ranges in earnest
		for _, address := range []string{s.IPv4, s.IPv6} {
			if a, err := netip.ParseAddr(address); err == nil {
				p.used[a] = true
			}
		}
		for _, address := range s.Networks {
			if a, err := netip.ParseAddr(address); err == nil {
				p.used[a] = true
			}
		}
	}
	leaves := map[string]bool{} // replaced networks
	replaced := map[string]bool{}
	for _, r := range Diff(desired, actual, o) {
		if r.Action == plans.Replace {
			leaves[r.Name] = leaves[r.Name] || r.Kind == plans.KindNetwork
			replaced[r.Name] = replaced[r.Name] || r.Kind == plans.KindServer
		}
	}
	facts := fleet.Facts{}
	for _, name := range sorted(desired.Servers) {
		want := desired.Servers[name]
		have, exists := actual.Servers[name]
		if replaced[name] {
			have, exists = fleet.AccountServer{}, false
		}
		f := fleet.ServerFacts{ServerType: want.ServerType, Private: map[string]string{}, Known: exists, Location: have.Location}
		if len(want.Locations) > 0 {
			f.Location = cmp.Or(have.Location, want.Locations[0])
		}
		if exists && have.IPv4+have.IPv6 != "" {
			f.IPv4, f.IPv6 = have.IPv4, have.IPv6
		} else {
			f.Known = false
			f.IPv4, f.IPv6 = p.ipv4(name), p.ipv6(name)
		}
		for _, network := range sorted(want.Networks) {
			switch address := have.Networks[network]; {
			case want.Networks[network].IP != "":
				f.Private[network] = want.Networks[network].IP
			case address != "" && !leaves[network]:
				f.Private[network] = address
			default:
				f.Private[network] = p.ipv4(name + "/" + network)
				f.Known = false
			}
		}
		facts[name] = f
	}
	return facts
}

func (p pool) ipv4(key string) string {
	start := hash(key)
	for i := range uint32(documented) {
		if a := documentation((start%documented + i) % documented); p.take(a) {
			return a.String()
		}
	}
	for i := range uint32(overflow) {
		if a := benchmark((start%overflow + i) % overflow); p.take(a) {
			return a.String()
		}
	}
	return "" // more servers than any provider lets one have
}

func (p pool) ipv6(key string) string {
	for n := hash(key); ; n++ {
		b := [16]byte{0x20, 0x01, 0x0d, 0xb8, 15: 1}
		binary.BigEndian.PutUint32(b[4:], n)
		if a := netip.AddrFrom16(b); p.take(a) {
			return a.String()
		}
	}
}

func (p pool) take(a netip.Addr) bool {
	if p.used[a] {
		return false
	}
	p.used[a] = true
	return true
}

func hash(key string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // never fails
	return h.Sum32()
}
