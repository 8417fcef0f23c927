package planner

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// everyPort is what a firewall that is switched, or a trusted interface, is about.
const everyPort = "all"

// ports compares what firewalls let in. Of a firewall that is switched off,
// port lists mean nothing: everything is open.
func ports(old, new plans.Firewall) []plans.Port {
	switch {
	case !old.Enabled && !new.Enabled:
		return nil
	case old.Enabled != new.Enabled:
		return []plans.Port{
			{Protocol: "tcp", Port: everyPort, Opened: old.Enabled},
			{Protocol: "udp", Port: everyPort, Opened: old.Enabled},
		}
	}
	list := portChanges("", old.Ports, new.Ports)
	for _, name := range keysOfBoth(old.Interfaces, new.Interfaces) {
		list = append(list, portChanges(name, old.Interfaces[name], new.Interfaces[name])...)
	}
	return list
}

// portChanges lists opened ports before closed ones, each by number.
func portChanges(iface string, old, new plans.FirewallPorts) []plans.Port {
	var list []plans.Port
	for _, opened := range []bool{true, false} {
		for _, p := range []struct {
			protocol string
			old, new []string
		}{{"tcp", old.TCP, new.TCP}, {"udp", old.UDP, new.UDP}} {
			from, to := p.old, p.new
			if !opened {
				from, to = to, from
			}
			changed := added(from, to)
			slices.SortFunc(changed, func(a, b string) int { return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(a, b)) })
			for _, port := range changed {
				list = append(list, plans.Port{Interface: iface, Protocol: p.protocol, Port: port, Opened: opened})
			}
		}
	}
	return list
}

// first is the lowest number of a port or range; 0 for words.
func first(port string) int {
	from, _, _ := strings.Cut(port, "-")
	n, err := strconv.Atoi(from)
	if err != nil {
		return 0
	}
	return n
}

// letsIn tells whether a TCP port is reachable on at least one interface.
func letsIn(f plans.Firewall, port int) bool {
	if !f.Enabled || covers(f.Ports.TCP, port) {
		return true
	}
	for _, p := range f.Interfaces {
		if covers(p.TCP, port) {
			return true
		}
	}
	return false
}

func covers(list []string, port int) bool {
	return slices.ContainsFunc(list, func(s string) bool {
		if s == everyPort {
			return true
		}
		from, to, isRange := strings.Cut(s, "-")
		low, err := strconv.Atoi(from)
		if err != nil {
			return false
		}
		high := low
		if isRange {
			if high, err = strconv.Atoi(to); err != nil {
				return false
			}
		}
		return low <= port && port <= high
	})
}
