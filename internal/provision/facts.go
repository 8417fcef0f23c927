package provision

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"net/netip"

	"github.com/flotilla-nix/flotilla/internal/fleet"
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
// do not exist yet, or are going to be replaced or get another public address,
// are placeholders: valid, unique, and the same in every plan as far as names
// allow, because each starts from a hash of its server's name. Declared values,
// and primary IPs that exist, are always the real ones. Known is false for a
// server with at least one placeholder. Options.Replace is for the time before
// Expand: afterwards the servers that it names are there.
func Facts(desired fleet.Fleet, actual fleet.Account, o Options) fleet.Facts {
	d := &comparison{desired: desired, options: o}
	d.actual, d.renamed, _ = moved(desired, actual)
	p := pool{used: map[netip.Addr]bool{}}
	p.reserve(d.actual)
	facts := fleet.Facts{}
	for _, name := range sorted(desired.Servers) {
		facts[name] = d.facts(p, name)
	}
	return facts
}

func (d *comparison) facts(p pool, name string) fleet.ServerFacts {
	want := d.desired.Servers[name]
	have := d.actual.Servers[name]
	if d.serverReplaced(name) {
		have = fleet.AccountServer{}
	}
	f := fleet.ServerFacts{ServerType: want.ServerType, Private: map[string]string{}, Known: true, Location: have.Location}
	if sameType(want, have) {
		f.ServerType = have.ServerType // it may be a fallback
	}
	if len(want.Locations) > 0 {
		f.Location = cmp.Or(have.Location, want.Locations[0])
	}
	for _, side := range families(want.PublicNet, have.PublicNet) {
		address := d.publicFact(side, have)
		if address == "" && side.on {
			f.Known = false
			address = p.public(side.family, name)
		}
		if side.family == "ipv4" {
			f.IPv4 = address
		} else {
			f.IPv6 = address
		}
	}
	for _, network := range sorted(want.Networks) {
		switch address := have.Networks[network]; {
		case want.Networks[network].IP != "":
			f.Private[network] = want.Networks[network].IP
		case address != "" && !d.networkReplaced(network):
			f.Private[network] = address
		default:
			f.Private[network] = p.ipv4(name + "/" + network)
			f.Known = false
		}
	}
	return f
}

// publicFact is the address that a server has or will have, "" if it is to have
// none or it is not known.
func (d *comparison) publicFact(side family, have fleet.AccountServer) string {
	switch {
	case !side.on:
		return ""
	case side.want != "":
		if d.primaryIPReplaced(side.want) {
			return ""
		}
		return d.actual.PrimaryIPs[side.want].IP
	case side.id == 0 || side.have != "":
		return ""
	case side.family == "ipv4":
		return have.IPv4
	default:
		return have.IPv6
	}
}

// reserve keeps addresses that exist from being made up: a lab may use these
// ranges in earnest.
func (p pool) reserve(actual fleet.Account) {
	take := func(text string) {
		if a, err := netip.ParseAddr(text); err == nil {
			p.used[a] = true
		}
	}
	for _, s := range actual.Servers {
		take(s.IPv4)
		take(s.IPv6)
		for _, address := range s.Networks {
			take(address)
		}
	}
	for _, ip := range actual.PrimaryIPs {
		take(ip.IP)
	}
}

func (p pool) public(family, name string) string {
	if family == "ipv6" {
		return p.ipv6(name)
	}
	return p.ipv4(name)
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
