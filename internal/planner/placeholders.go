package planner

import (
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// afterApply tells whether a system depends on addresses that apply will
// decide: it read the facts of such a server, or shows one of its addresses.
func afterApply(s plans.System, facts fleet.Facts) bool {
	var unknown []string
	for name, f := range facts {
		if f.Known {
			continue
		}
		if slices.Contains(s.ReadServers, name) {
			return true
		}
		for _, address := range f.Private {
			unknown = append(unknown, address)
		}
		unknown = append(unknown, f.IPv4, f.IPv6)
	}
	return slices.ContainsFunc(unknown, func(address string) bool {
		return address != "" && mentions(s, address)
	})
}

func mentions(s plans.System, address string) bool {
	for _, u := range s.Units {
		if holds(u.Text, address) {
			return true
		}
		for _, text := range u.Files {
			if holds(text, address) {
				return true
			}
		}
	}
	for _, e := range s.Etc {
		if e.Text != nil && holds(*e.Text, address) {
			return true
		}
	}
	for _, v := range s.SSHD.Settings {
		if holds(v, address) {
			return true
		}
	}
	return slices.ContainsFunc(s.Boot.Params, func(p string) bool { return holds(p, address) }) || holds(s.Deployment.TargetHost, address)
}

// holds finds an address that is not a part of a longer one.
func holds(text, address string) bool {
	for start := 0; ; {
		i := strings.Index(text[start:], address)
		if i < 0 {
			return false
		}
		from, to := start+i, start+i+len(address)
		if (from == 0 || !addressByte(text[from-1])) && (to == len(text) || !addressByte(text[to]) || endsSentence(text[to:])) {
			return true
		}
		start = from + 1
	}
}

func addressByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' || c == '.' || c == ':'
}

// endsSentence tells a dot or colon that ends a word, or a port behind an
// IPv4 address, from one that goes on with the address.
func endsSentence(rest string) bool {
	if rest[0] == ':' {
		return true
	}
	return rest[0] == '.' && (len(rest) == 1 || !addressByte(rest[1]))
}
