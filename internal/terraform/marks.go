package terraform

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// sensitiveMark is on values that must not be written into a file.
type sensitiveMark struct{}

// unknownMark is on unknown values and tells why they are.
type unknownMark struct {
	why     string
	instead string
}

// unknown is a value that cannot be had, with the reason.
func unknown(why, instead string) cty.Value { return cty.DynamicVal.Mark(unknownMark{why, instead}) }

// why tells what makes a value unknown.
func why(v cty.Value) unknownMark {
	_, marks := v.UnmarkDeep()
	var found []unknownMark
	for m := range marks {
		if u, ok := m.(unknownMark); ok {
			found = append(found, u)
		}
	}
	if len(found) == 0 {
		return unknownMark{why: "its value is not known before it is made"}
	}
	slices.SortFunc(found, func(a, b unknownMark) int { return strings.Compare(a.why, b.why) })
	return found[0]
}

func sensitive(v cty.Value) bool {
	_, marks := v.UnmarkDeep()
	_, is := marks[sensitiveMark{}]
	return is
}

// stand hands out values in place of those that only the provider knows: IDs
// and addresses. They go through expressions like real ones (cidrhost, for,
// tonumber), and where they arrive tells what is referred to. They never reach
// the fleet.
type stand struct {
	next  int
	ids   map[string]*instance
	addrs map[string]address
}

// address is a made-up address and whose it stands for.
type address struct {
	of   *instance
	attr string
}

const (
	idPrefix   = "77370" // with eleven digits behind it: longer than any ID of the provider
	idDigits   = 16
	addrPrefix = "fd77:370:"
)

func newStand() *stand { return &stand{ids: map[string]*instance{}, addrs: map[string]address{}} }

func (s *stand) id(i *instance) string {
	s.next++
	id := fmt.Sprintf("%s%0*d", idPrefix, idDigits-len(idPrefix), s.next)
	s.ids[id] = i
	return id
}

// addr gives the value of an address attribute of a resource.
func (s *stand) addr(i *instance, attr string) string {
	s.next++
	text := fmt.Sprintf("%s%x:%x::1", addrPrefix, s.next>>16, s.next&0xffff)
	switch attr {
	case "ipv4_address", "ip_address", "ipv4", "network_ip", "ip":
		if attr != "ip_address" || i.kindOfIP() != "ipv6" {
			text = netip.AddrFrom4([4]byte{240, byte(s.next >> 16), byte(s.next >> 8), byte(s.next)}).String() //nolint:gosec // cut on purpose
		}
	case "ipv6_network", "ip_network":
		text = strings.TrimSuffix(text, "1") + "/64"
	}
	s.addrs[text] = address{i, attr}
	return text
}

// leak tells whether text holds a value that stands for another, and whose.
func (s *stand) leak(text string) (address string, is bool) {
	for rest := text; ; {
		at := strings.Index(rest, idPrefix)
		if at < 0 {
			break
		}
		rest = rest[at:]
		if len(rest) >= idDigits && s.ids[rest[:idDigits]] != nil {
			return s.ids[rest[:idDigits]].address, true
		}
		rest = rest[1:]
	}
	if strings.Contains(text, addrPrefix) || strings.Contains(text, "240.") {
		for addr, a := range s.addrs {
			if strings.Contains(text, strings.TrimSuffix(strings.TrimSuffix(addr, "/64"), ":1")) {
				return a.of.address, true
			}
		}
	}
	if strings.Contains(text, addrPrefix) {
		return "another resource", true
	}
	return "", false
}

// addressOf finds whose address a text is: one that was handed out, or one of
// a network that was.
func (s *stand) addressOf(text string) (address, bool) {
	a, ok := s.addrs[text]
	return a, ok
}

// errorRange is a range for what has no place.
func nowhere(file string) hcl.Range { return hcl.Range{Filename: file} }
