package render

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// changes tells whether anything happens to the resource: an update without
// attributes is a note that an edit does nothing.
func changes(r plans.Resource) bool {
	return r.Action != plans.Update || len(r.Attributes) > 0
}

// partPrice is the price of a part that changes something.
func partPrice(resources []plans.Resource, c *plans.Cost) string {
	if !slices.ContainsFunc(resources, changes) {
		return ""
	}
	return price(c)
}

// losesData tells whether something goes with the change.
func losesData(a plans.Action) bool {
	return a == plans.Destroy || a == plans.Replace || a == plans.Rebuild
}

// fate says what the mark of an action alone does not.
func fate(r plans.Resource) string {
	switch {
	case r.Action == plans.Rebuild:
		return "is rebuilt: a new disk, the same addresses"
	case r.Action == plans.Replace:
		return "is replaced: destroyed, then made anew"
	case r.Action == plans.Destroy:
		return "is destroyed"
	case !changes(r):
		return "stays as it is"
	default:
		return ""
	}
}

// resourceGroup is resources to which the same happens. Those that lose
// something stand alone.
type resourceGroup struct {
	plans.Resource
	Names []string
	// Each gives an attribute's new value by resource where they differ, in the
	// order of Names; nil where they are the same.
	Each map[string][]string
}

// groupResources puts the risky ones first and parts behind their parents, and
// shows equal changes once.
func groupResources(resources []plans.Resource) []resourceGroup {
	var groups []resourceGroup
	ordered := besideParents(byRisk(resources))
	slices.SortStableFunc(ordered, func(a, b plans.Resource) int { return cmp.Compare(still(a), still(b)) })
	for _, r := range ordered {
		i := slices.IndexFunc(groups, func(g resourceGroup) bool { return joins(g.Resource, r) })
		if i < 0 {
			groups = append(groups, resourceGroup{Resource: r, Names: []string{r.Name}, Each: map[string][]string{}})
			continue
		}
		groups[i].add(r)
	}
	return groups
}

// still puts what stays as it is last.
func still(r plans.Resource) int {
	if changes(r) {
		return 0
	}
	return 1
}

// joins tells whether b may be shown with a.
func joins(a, b plans.Resource) bool {
	if losesData(a.Action) || a.Kind != b.Kind || a.Action != b.Action || a.Note != b.Note || len(a.Lost)+len(b.Lost) > 0 ||
		!slices.Equal(a.Risks, b.Risks) || parent(a) != "" {
		return false
	}
	if a.Action != plans.Create {
		return reflect.DeepEqual(a.Attributes, b.Attributes)
	}
	// New ones differ in addresses and locations, and are still the same.
	return slices.EqualFunc(a.Attributes, b.Attributes, func(x, y plans.Attribute) bool {
		return x.Name == y.Name && x.Known == y.Known
	})
}

func (g *resourceGroup) add(r plans.Resource) {
	for i, a := range r.Attributes {
		each, differ := g.Each[a.Name]
		if !differ && a.New == g.Attributes[i].New {
			continue
		}
		if !differ {
			each = slices.Repeat([]string{g.Attributes[i].New}, len(g.Names))
		}
		g.Each[a.Name] = append(each, a.New)
	}
	g.Names = append(g.Names, r.Name)
}

// parent names the network of a subnet or route.
func parent(r plans.Resource) string {
	if r.Kind != plans.KindSubnet && r.Kind != plans.KindRoute {
		return ""
	}
	network, _, _ := strings.Cut(r.Name, "/")
	return network
}

// besideParents moves subnets and routes behind their networks, where these
// change as well.
func besideParents(resources []plans.Resource) []plans.Resource {
	parts := map[string][]plans.Resource{}
	for _, r := range resources {
		if r.Kind == plans.KindNetwork {
			parts[r.Name] = []plans.Resource{}
		}
	}
	for _, r := range resources {
		if _, there := parts[parent(r)]; there && parent(r) != "" {
			parts[parent(r)] = append(parts[parent(r)], r)
		}
	}
	var out []plans.Resource
	for _, r := range resources {
		if _, moved := parts[parent(r)]; moved && parent(r) != "" {
			continue
		}
		out = append(out, r)
		if r.Kind == plans.KindNetwork {
			out = append(out, parts[r.Name]...)
		}
	}
	return out
}

// kindWords is a kind, in the plural for several.
func kindWords(k plans.ResourceKind, n int) string {
	if n == 1 {
		return kindWord(k)
	}
	return kindWord(k) + "s"
}

// named lists values by resource: "web-1 10.0.1.3, web-2 10.0.1.4".
func named(names, values []string, limit int, show func(string) string) string {
	var out []string
	for i, v := range values {
		if limit > 0 && i == limit {
			out = append(out, fmt.Sprintf("and %d more", len(values)-i))
			break
		}
		out = append(out, show(names[i])+" "+show(v))
	}
	return strings.Join(out, ", ")
}
