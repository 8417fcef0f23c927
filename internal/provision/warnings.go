package provision

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// Warnings tells what is worth knowing and no change: types that are about to
// go or sold out, resources that nobody declares, drift that no change mends.
func Warnings(desired fleet.Fleet, actual fleet.Account, c fleet.Catalog) []plans.Gap {
	var w warnings
	actual, _, _ = moved(desired, actual)
	each(desired.Servers, func(name string, s fleet.Server) {
		have, there := actual.Servers[name]
		if there {
			w.serverType(name, have.ServerType, have.Location, c, true)
			w.drift(name, have)
		}
		if !there || !sameType(s, have) {
			w.orders(name, s, have.Location, c)
		}
	})
	each(desired.LoadBalancers, func(name string, l fleet.LoadBalancer) {
		have, there := actual.LoadBalancers[name]
		if at, ok := c.LoadBalancerTypes[l.Type].At[have.Location]; there && ok && at.Deprecated {
			w.add(ref{plans.KindLoadBalancer, name}.String(), "the type %s is deprecated%s", l.Type, until(at))
		}
	})
	each(desired.Volumes, func(name string, _ fleet.Volume) {
		if server := actual.Volumes[name].Server; foreign(server) {
			w.add(ref{plans.KindVolume, name}.String(), "it is attached to the server %s, which is not the fleet's", server)
		}
	})
	w.parts(actual)
	w.unmanaged(actual)
	return w
}

type warnings []plans.Gap

func (w *warnings) add(subject, format string, args ...any) {
	*w = append(*w, plans.Gap{Subject: subject, Text: fmt.Sprintf(format, args...)})
}

// serverType warns of a type that is no longer sold. There it runs on.
func (w *warnings) serverType(name, serverType, location string, c fleet.Catalog, runs bool) {
	at, ok := c.ServerTypes[serverType].At[location]
	if !ok || !at.Deprecated {
		return
	}
	text := "the server type %s is deprecated in %s%s"
	if runs {
		text += ": it runs on, but could not be made again there"
	}
	w.add(name, text, serverType, location, until(at))
}

func until(at fleet.CatalogAt) string {
	if at.UnavailableAfter.IsZero() {
		return ""
	}
	return " and not sold after " + at.UnavailableAfter.Format("2006-01-02")
}

// orders warns of a server that is going to be made, or to change its type,
// and for which there is no room now.
func (w *warnings) orders(name string, s fleet.Server, location string, c fleet.Catalog) {
	places := s.Locations
	if location != "" {
		places = []string{location}
	}
	types := []string{s.ServerType}
	if location == "" { // a server that is there gets no fallback
		types = append(types, s.FallbackTypes...)
	}
	for i, t := range types {
		known, ok := c.ServerTypes[t]
		if !ok {
			if len(c.ServerTypes) > 0 {
				w.add(name, "the provider sells no server type %s", t)
			}
			continue
		}
		all := places
		if len(all) == 0 {
			all = sorted(known.At)
		}
		free := false
		for _, place := range all {
			at, sold := known.At[place]
			switch {
			case !sold:
				w.add(name, "the server type %s is not sold in %s", t, place)
			case !at.Available:
				w.add(name, "the server type %s is sold out in %s now", t, place)
			default:
				free = true
			}
			w.serverType(name, t, place, c, false)
		}
		if free {
			return
		}
		if i == len(types)-1 {
			w.add(name, "there is no room for it now: no type and location that it may have is free")
		}
	}
}

// drift is what somebody did to a server and no deploy undoes.
func (w *warnings) drift(name string, have fleet.AccountServer) {
	if have.Status != "" && have.Status != running && !have.SwitchedOff && slices.Contains([]string{"off", "stopping"}, have.Status) {
		w.add(name, "the server is off: somebody switched it off, and a deploy leaves it so")
	}
	for _, n := range sorted(have.Networks) {
		if foreign(n) {
			w.add(name, "it is in the network %s, which flotilla.yaml does not name", n)
		}
	}
	for _, ip := range []string{have.PublicNet.IPv4Name, have.PublicNet.IPv6Name} {
		if foreign(ip) {
			w.add(name, "it has the primary IP %s, which flotilla.yaml does not name", ip)
		}
	}
}

// parts tells of parts of the fleet's resources that others have made.
func (w *warnings) parts(a fleet.Account) {
	for _, name := range sorted(a.Networks) {
		n := a.Networks[name]
		var parts []string
		for _, s := range n.ForeignSubnets {
			parts = append(parts, "subnet "+s.IPRange)
		}
		for _, r := range n.ForeignRoutes {
			parts = append(parts, "route to "+r.Destination)
		}
		if n.Owned {
			w.others(ref{plans.KindNetwork, name}, parts)
		}
	}
	for _, name := range sorted(a.Firewalls) {
		if f := a.Firewalls[name]; f.Owned {
			w.others(ref{plans.KindFirewall, name}, f.ForeignApplyTo)
		}
	}
	for _, name := range sorted(a.LoadBalancers) {
		l := a.LoadBalancers[name]
		var parts []string
		for _, s := range l.ForeignServices {
			parts = append(parts, "service on port "+port(s.ListenPort))
		}
		for _, t := range l.ForeignTargets {
			parts = append(parts, "target "+targetText(t))
		}
		w.others(ref{plans.KindLoadBalancer, name}, parts)
	}
}

func (w *warnings) others(of ref, parts []string) {
	if len(parts) > 0 {
		w.add(of.String(), "it has what flotilla.yaml does not name, and keeps it: %s", strings.Join(parts, ", "))
	}
}

// unmanaged tells of what nobody declares; other fleets' resources are theirs.
func (w *warnings) unmanaged(a fleet.Account) {
	bySection := map[string][]string{}
	for _, u := range a.Unmanaged {
		if u.Fleet == "" {
			bySection[u.Section] = append(bySection[u.Section], u.Name)
		}
	}
	for _, s := range sorted(bySection) {
		slices.Sort(bySection[s])
		w.add("account", "the project has %s that no fleet declares: %s", strings.ReplaceAll(s, "_", " "), strings.Join(bySection[s], ", "))
	}
}
