package render

import (
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// itemLine is an item in words. name makes names stand out, say makes the
// rest harmless. That data is at risk, the risks say.
func itemLine(i plans.Item, name, say func(string) string) string {
	s := name(symbol(i.Action)) + " " + name(i.Name)
	var parts []string
	for _, c := range i.Changes {
		parts = append(parts, fieldText(i.Action, c, say))
	}
	if i.Note != "" {
		parts = append(parts, say(i.Note))
	}
	if len(i.UsedBy) > 0 {
		users := make([]string, 0, len(i.UsedBy))
		for _, u := range i.UsedBy {
			users = append(users, name(u))
		}
		still := ""
		if i.Action == plans.Destroy {
			still = "still "
		}
		parts = append(parts, still+"used by "+strings.Join(users, ", "))
	}
	if len(parts) == 0 {
		return s
	}
	return s + ": " + strings.Join(parts, "; ")
}

func fieldText(action plans.Action, a plans.Attribute, say func(string) string) string {
	if action == plans.Create {
		return say(a.Name) + " " + say(orNone(a.New))
	}
	return say(a.Name) + " " + say(orNone(a.Old)) + " → " + say(orNone(a.New))
}

// itemGroup is the items of one kind, in the order of the plan.
type itemGroup struct {
	Kind  plans.ItemKind
	Items []plans.Item
}

func itemGroups(items []plans.Item) []itemGroup {
	var out []itemGroup
next:
	for _, i := range items {
		for n := range out {
			if out[n].Kind == i.Kind {
				out[n].Items = append(out[n].Items, i)
				continue next
			}
		}
		out = append(out, itemGroup{i.Kind, []plans.Item{i}})
	}
	return out
}

func itemNames(items []plans.Item) []string {
	names := make([]string, 0, len(items))
	for _, i := range items {
		names = append(names, i.Name)
	}
	return names
}

// wayIn is what a plan says before all else: hosts that a deploy could not log
// in to any more, and hosts that are reached in another way.
type wayIn struct {
	Hosts []string
	Locks bool
	Text  string
}

func waysIn(parts ...plans.Part) []wayIn {
	var out []wayIn
	put := func(host string, locks bool, text string) {
		for n := range out {
			if out[n].Locks == locks && out[n].Text == text {
				out[n].Hosts = append(out[n].Hosts, host)
				return
			}
		}
		out = append(out, wayIn{[]string{host}, locks, text})
	}
	for _, locks := range []bool{true, false} {
		for _, p := range parts {
			for _, h := range p.Hosts {
				texts := h.SSHMoves
				if locks {
					texts = h.Lockout
				}
				for _, text := range texts {
					put(h.Name, locks, text)
				}
			}
		}
	}
	return out
}

// verb says what happens to the way in, for one host or several.
func (w wayIn) verb() string {
	switch {
	case w.Locks && len(w.Hosts) == 1:
		return "would lock the deploy out"
	case w.Locks:
		return "would each lock the deploy out"
	default:
		return "SSH moves"
	}
}

// byData tells items that put data at risk from the others.
func byData(items []plans.Item) (data, rest []plans.Item) {
	for _, i := range items {
		if i.Data != "" {
			data = append(data, i)
		} else {
			rest = append(rest, i)
		}
	}
	return data, rest
}

// itemList lists items by kind; of very many of one kind the first.
func (m *planMarkdown) itemList(items []plans.Item) {
	for _, g := range itemGroups(items) {
		if len(g.Items) == 1 {
			m.bullet(prose(string(g.Kind)), itemLine(g.Items[0], code, inline))
			continue
		}
		m.printf("- **%s**\n", fmt.Sprint(len(g.Items))+" "+prose(string(g.Kind)+"s"))
		for n, i := range g.Items {
			if n == 3*many {
				m.printf("  - and %d more\n", len(g.Items)-n)
				break
			}
			m.printf("  - %s\n", itemLine(i, code, inline))
		}
	}
}
