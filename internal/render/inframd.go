package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// DiffersMarkdown is DiffersText as Markdown.
func DiffersMarkdown(resources []plans.Resource, cost *plans.Cost) string {
	m := planMarkdown{detail: ladder()[0]}
	if differs(resources) {
		m.printf("### What differs from what is declared\n\nThe next deploy changes it.\n\n")
	} else {
		m.printf("### Nothing differs from what is declared\n\n")
	}
	m.part(plans.Part{Resources: resources, Cost: cost}, nil, "####")
	return m.b.String()
}

func (m *planMarkdown) resources(all []resourceGroup) {
	m.printf("|  | Resource | What changes |\n|:-:|---|---|\n")
	for i, r := range all {
		if m.items > 0 && i == m.items && len(all) > m.items+1 {
			m.b.WriteString(row("", fmt.Sprintf("and %d more", len(all)-i), ""))
			break
		}
		var what []string
		if f := fate(r.Resource); f != "" {
			what = append(what, f)
		}
		if len(r.Lost) > 0 {
			lost := make([]string, 0, len(r.Lost))
			for _, l := range r.Lost {
				lost = append(lost, prose(l))
			}
			what = append(what, "**lost:** "+list(lost, m.limit(12)))
		}
		what = append(what, attributes(r, m.limit(30))...)
		for _, l := range textLines(r.Note) {
			what = append(what, prose(l))
		}
		mark := code(symbol(r.Action))
		if !changes(r.Resource) {
			mark = ""
		}
		m.b.WriteString(row(mark, prose(kindWords(r.Kind, len(r.Names)))+" "+m.resourceNames(r.Names), strings.Join(what, "<br>")))
	}
	m.printf("\n")
}

// resourceNames lists names; many of them by first, last and number.
func (m *planMarkdown) resourceNames(names []string) string {
	if len(names) <= m.limit(12)+2 {
		return codes(names, 0)
	}
	return fmt.Sprintf("%s … %s (%d)", code(names[0]), code(names[len(names)-1]), len(names))
}

// attributes lists a resource's attributes, a few to a line: the values alone
// for what is new, old → new else.
func attributes(r resourceGroup, limit int) []string {
	if r.Action == plans.Destroy {
		return nil
	}
	const perLine = 3
	var out, plain, unknown []string
	for i, a := range r.Attributes {
		if i == limit {
			out = append(out, fmt.Sprintf("and %d more", len(r.Attributes)-i))
			break
		}
		each := r.Each[a.Name]
		switch {
		case each != nil:
			out = append(out, inline(a.Name)+" "+named(r.Names, each, limit, code))
		case r.Action != plans.Create || a.Old != "":
			out = append(out, attribute(r.Action, a))
		case a.Known:
			plain = append(plain, inline(a.Name)+" "+newValue(a))
		default:
			unknown = append(unknown, inline(a.Name))
		}
	}
	var lines []string
	for chunk := range slices.Chunk(plain, perLine) {
		lines = append(lines, strings.Join(chunk, ", "))
	}
	if len(unknown) > 0 {
		lines = append(lines, strings.Join(unknown, ", ")+" *(known after apply)*")
	}
	return append(lines, out...)
}

func attribute(action plans.Action, a plans.Attribute) string {
	s := inline(a.Name) + " "
	switch {
	case a.Old == "" && !a.Known:
		s += newValue(a)
	case a.Old == "":
		s += newValue(a) + " *(new)*"
	case a.New == "" && a.Known:
		s += code(a.Old) + " *(removed)*"
	default:
		s += code(a.Old) + " → " + newValue(a)
	}
	if a.Forces && action == plans.Rebuild {
		s += " **forces the rebuild**"
	} else if a.Forces {
		s += " **forces replacement**"
	}
	if a.Powers {
		s += " *(server is powered off for this)*"
	}
	return s
}

func newValue(a plans.Attribute) string {
	switch {
	case !a.Known:
		return "*(known after apply)*"
	case a.New == "":
		return "*(none)*"
	default:
		return code(a.New)
	}
}
