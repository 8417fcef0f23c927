package cloud

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Reverse DNS belongs to primary IPs; servers and load balancers show that of
// theirs. An IPv4 always has a name, an IPv6 network only where one was set.

type dnsPointer struct {
	IP     string `json:"ip"`
	DNSPtr string `json:"dns_ptr"`
}

// pointers lists what the address resolves to.
func (p *PrimaryIP) pointers() []dnsPointer {
	if p.Type == typeIPv4 {
		ip := p.Address.Addr().String()
		return []dnsPointer{{ip, p.pointer(p.Address.Addr())}}
	}
	all := []dnsPointer{}
	for ip, name := range p.DNSPtr {
		all = append(all, dnsPointer{ip, name})
	}
	slices.SortFunc(all, func(a, b dnsPointer) int {
		return netip.MustParseAddr(a.IP).Compare(netip.MustParseAddr(b.IP)) // they were parsed when they were set
	})
	return all
}

// pointer is the name of one address; "": it has none.
func (p *PrimaryIP) pointer(a netip.Addr) string {
	if name := p.DNSPtr[a.String()]; name != "" || p.Type == typeIPv6 {
		return name
	}
	return "static." + strings.ReplaceAll(a.String(), ".", "-") + ".clients.example"
}

// changePointer is change_dns_ptr of whatever has the given primary IPs; null
// gives an address its standard name back. No lock is in its way, nor
// does it take one: reverse DNS is no part of a server.
//
// A server or a primary IP has every address of an IPv6 network.
func changePointer(q *request, about Subject, ips ...*PrimaryIP) (reply, error) {
	var body struct {
		IP     string  `json:"ip"`
		DNSPtr *string `json:"dns_ptr"`
	}
	if err := q.decode(&body); err != nil {
		return reply{}, err
	}
	a, err := netip.ParseAddr(body.IP)
	if err != nil {
		return reply{}, invalid("ip", "%q is not an IP address", body.IP)
	}
	i := slices.IndexFunc(ips, func(p *PrimaryIP) bool { return p != nil && p.Address.Contains(a) })
	if i < 0 {
		return reply{}, notFound("the " + about.Type + " has no IP " + body.IP)
	}
	if body.DNSPtr != nil {
		if err := checkHostname(*body.DNSPtr); err != nil {
			return reply{}, invalid("dns_ptr", "%q is not a valid hostname", *body.DNSPtr)
		}
	}
	p := ips[i]
	return actionReply(http.StatusCreated, q.begin(job{
		command: "change_dns_ptr", about: []Subject{about},
		done: func(_ *objects, err error) {
			if err != nil {
				return
			}
			names := map[string]string{} // a new one: the old may be in an answer that is being written
			for ip, name := range p.DNSPtr {
				names[ip] = name
			}
			if delete(names, a.String()); body.DNSPtr != nil {
				names[a.String()] = *body.DNSPtr
			}
			p.DNSPtr = names
		},
	})), nil
}
