package render

import (
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// What GitHub draws before it shows an error box is more; these leave room and
// are about what people can still read.
const (
	mermaidBytes = 45_000
	mermaidNodes = 100
	mermaidEdges = 200
	mermaidTasks = 60
)

// label is text for Mermaid: what it reads as more than text (quotes, entities,
// Markdown, HTML, separators) becomes an underscore.
func label(s string) string {
	const most = 60
	var b strings.Builder
	for _, r := range cut(oneLine(s), most) {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune(" .,/@()-→…×", r):
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	text := strings.TrimSpace(b.String())
	first, _, _ := strings.Cut(text, " ")
	if rest := strings.TrimLeft(first, "0123456789"); rest == "-" || rest == "." || rest == ")" || first == "" {
		text = "_" + text // else it could begin a list, which Mermaid refuses
	}
	return text
}

// mark is what happens to something in the picture.
type mark string

const (
	markNone    mark = ""
	markNew     mark = "new"
	markChange  mark = "changes"
	markPending mark = "pending"
	markHeld    mark = "held"
	markReplace mark = "made anew"
	markDestroy mark = "destroyed"
)

// class is the mark's class in the diagram.
func (m mark) class() string {
	switch m {
	case markNew:
		return "created"
	case markChange:
		return "changed"
	case markPending, markHeld:
		return "pending"
	case markReplace, markDestroy:
		return "lost"
	default:
		return ""
	}
}

// classes are the colours, readable on light and dark pages.
func classes() string {
	return `  classDef created fill:#1a7f37,stroke:#116329,color:#ffffff
  classDef changed fill:#9a6700,stroke:#7d4e00,color:#ffffff
  classDef pending fill:#57606a,stroke:#32383f,color:#ffffff
  classDef lost fill:#cf222e,stroke:#a40e26,color:#ffffff
`
}

func markOf(a plans.Action) mark {
	switch a {
	case plans.Create:
		return markNew
	case plans.Replace, plans.Rebuild:
		return markReplace
	case plans.Destroy:
		return markDestroy
	default:
		return markChange
	}
}

// worse gives the mark that must not be overlooked.
func (m mark) worse(other mark) mark {
	order := []mark{markNone, markPending, markChange, markHeld, markNew, markReplace, markDestroy}
	if slices.Index(order, other) > slices.Index(order, m) {
		return other
	}
	return m
}

// marked is what happens to whom.
type marked map[plans.ResourceKind]map[string]mark

// marks reads a plan's parts, and which hosts are held. Hosts count as servers of their name, subnets and
// routes as their network.
func marks(p plans.Plan) marked {
	all := marked{plans.KindServer: {}, plans.KindNetwork: {}, plans.KindLoadBalancer: {}}
	all.part(p.This, markOf)
	all.part(p.Pending, func(a plans.Action) mark {
		if m := markOf(a); m == markDestroy || m == markReplace {
			return m
		}
		return markPending
	})
	if p.Current != nil {
		for name, now := range p.Current.Hosts {
			if now.Held {
				all[plans.KindServer][name] = all[plans.KindServer][name].worse(markHeld)
			}
		}
	}
	return all
}

func (all marked) part(part plans.Part, as func(plans.Action) mark) {
	put := func(kind plans.ResourceKind, name string, m mark) {
		if have, drawn := all[kind]; drawn {
			have[name] = have[name].worse(m)
		}
	}
	for _, r := range part.Resources {
		switch {
		case !changes(r):
		case parent(r) != "":
			put(plans.KindNetwork, parent(r), as(plans.Update))
		default:
			put(r.Kind, r.Name, as(r.Action))
		}
	}
	for _, h := range part.Hosts {
		put(plans.KindServer, h.Name, as(h.Action))
	}
}
