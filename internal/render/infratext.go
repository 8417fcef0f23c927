package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// ChangesText writes changes of infrastructure for a terminal: what is lost
// first, at the end the price. cost may be nil.
func ChangesText(w io.Writer, resources []plans.Resource, cost *plans.Cost, o Options) error {
	t := &planText{terminal{o: o}}
	t.infrastructure(resources, cost)
	return t.flush(w)
}

// DiffersText writes what differs between the fleet and what exists: what the
// next deploy would do.
func DiffersText(w io.Writer, resources []plans.Resource, cost *plans.Cost, o Options) error {
	t := &planText{terminal{o: o}}
	t.blank()
	if differs(resources) {
		t.line(t.paint(bold, "What differs from what is declared"), " (the next deploy changes it)")
	} else {
		t.line(t.paint(bold, "Nothing differs from what is declared."))
	}
	t.blank()
	t.infrastructure(resources, cost)
	return t.flush(w)
}

func differs(resources []plans.Resource) bool { return slices.ContainsFunc(resources, changes) }

// WarningsText writes warnings for a terminal; nothing without any.
func WarningsText(w io.Writer, warnings []plans.Gap, o Options) error {
	t := &planText{terminal{o: o}}
	t.warnings(warnings)
	return t.flush(w)
}

func actionInk(a plans.Action) ink {
	switch a {
	case plans.Create:
		return green
	case plans.Update:
		return yellow
	case plans.Rebuild, plans.Replace, plans.Destroy:
		return red
	default:
		return ""
	}
}

func (t *planText) head(a plans.Action, s string) {
	t.line(t.paint(actionInk(a), fmt.Sprintf("%3s", symbol(a))), " ", s)
}

func (t *planText) infrastructure(resources []plans.Resource, cost *plans.Cost) {
	if len(resources) == 0 {
		return
	}
	t.line(t.paint(bold, "Infrastructure"))
	for _, g := range groupResources(resources) {
		t.resource(g)
	}
	if p := partPrice(resources, cost); p != "" {
		t.blank()
		t.field(4, 0, "", "Price: "+p)
	}
	t.blank()
}

const maxLabel = 32 // columns of an attribute's name

func (t *planText) resource(g resourceGroup) {
	if !changes(g.Resource) {
		t.unchanged(g)
		return
	}
	title := kindWords(g.Kind, len(g.Names)) + " " + t.paint(bold, names(g.Names))
	if f := fate(g.Resource); f != "" {
		title += " " + f
	}
	t.head(g.Action, title)
	width := 0
	for _, a := range g.Attributes {
		width = max(width, min(len([]rune(oneLine(a.Name))), maxLabel))
	}
	if len(g.Lost) > 0 {
		width = max(width, len("lost"))
	}
	for _, l := range g.Lost {
		t.field(6, width+1, t.paint(red, "lost")+strings.Repeat(" ", width-len("lost")+1), oneLine(l))
	}
	for _, a := range g.Attributes {
		if g.Action == plans.Destroy {
			break
		}
		label := cut(oneLine(a.Name), maxLabel)
		if each := g.Each[a.Name]; each != nil {
			t.field(6, width+1, label, named(g.Names, each, 12, func(s string) string { return cut(oneLine(s), maxName) }))
			continue
		}
		t.field(6, width+1, label, attributeText(g.Action, a))
	}
	t.notes(g.Note)
}

// unchanged tells why an edit does nothing.
func (t *planText) unchanged(g resourceGroup) {
	t.line("  # ", kindWords(g.Kind, len(g.Names)), " ", t.paint(bold, names(g.Names)), " ", fate(g.Resource))
	t.notes(g.Note)
}

func (t *planText) notes(note string) {
	for _, l := range textLines(note) {
		t.field(6, 1, "#", oneLine(l))
	}
}

func attributeText(action plans.Action, a plans.Attribute) string {
	value := cut(oneLine(a.New), maxName)
	if !a.Known {
		value = "(known after apply)"
	}
	old := cut(oneLine(a.Old), maxName)
	var s string
	switch {
	case old == "" && value == "":
		s = "(none)"
	case old == "" && (action == plans.Create || !a.Known):
		s = value
	case old == "":
		s = value + " (new)"
	case value == "":
		s = old + " (removed)"
	default:
		s = old + " → " + value
	}
	if a.Forces && action == plans.Rebuild {
		s += "  # forces the rebuild"
	} else if a.Forces {
		s += "  # forces replacement"
	}
	if a.Powers {
		s += " (server is powered off for this)"
	}
	return s
}
