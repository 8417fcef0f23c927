package render

import (
	"io"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// textDiffLines is how much of one file's diff the terminal shows.
const textDiffLines = 40

// PlanText writes a plan for a terminal. What is missing stands at the top and
// is said again at the end, where the totals are.
func PlanText(w io.Writer, p plans.Plan, o Options) error {
	t := &planText{terminal{o: o}}
	t.plan(p)
	return t.flush(w)
}

type planText struct{ terminal }

func (t *planText) plan(p plans.Plan) {
	t.line(t.paint(bold, "Plan for "+cut(oneLine(p.Fleet), 40)), "  ", shortCommit(p.Base.Commit), " → ", shortCommit(p.Head.Commit))
	if s := oneLine(p.Head.Subject); s != "" {
		t.line("  ", t.paint(dim, cut(s, t.o.width()-2)))
	}
	t.blank()
	t.waysIn(p)
	if !complete(p) {
		t.line(t.paint(red, "This plan is incomplete."), " Not planned, and may change as well:")
		if len(p.Missing) == 0 {
			t.line("  the planner did not say what is missing")
		}
		t.gaps(p.Missing)
		t.blank()
	}
	t.part(p.This, p.Current)
	if !p.Pending.Empty() {
		t.line(t.paint(bold, "Also pending"), " (merged before this change, not deployed yet)")
		t.blank()
		t.part(p.Pending, p.Current)
	}
	t.warnings(p.Warnings)
	t.risks(p)
	t.summary(p)
}

// waysIn stands first: who applies such a plan may not get back in.
func (t *planText) waysIn(p plans.Plan) {
	all := waysIn(p.This, p.Pending)
	for _, w := range all {
		ink := yellow
		if w.Locks {
			ink = red
		}
		for n, line := range wrap(names(w.Hosts)+": "+w.verb()+": "+oneLine(w.Text), t.o.width()-4) {
			mark := "  ! "
			if n > 0 {
				mark = "    "
			}
			t.line(t.paint(ink, mark+line))
		}
	}
	if len(all) > 0 {
		t.blank()
	}
}

func (t *planText) warnings(gaps []plans.Gap) {
	if len(gaps) > 0 {
		t.line(t.paint(yellow, plural(len(gaps), "warning")))
		t.gaps(gaps)
		t.blank()
	}
}

func (t *planText) summary(p plans.Plan) {
	this, pending := headline(p.This), headline(p.Pending)
	switch {
	case this == "" && pending == "" && complete(p):
		t.line(t.paint(bold, "No changes."), " Infrastructure and systems stay as they are.")
	case this == "" && !complete(p):
		t.line(t.paint(bold, "Plan, incomplete:"), " no change found in the parts that could be planned.")
	case !complete(p):
		t.line(t.paint(bold, "Plan, incomplete, at least:"), " ", this, ".")
	case this == "":
		t.line(t.paint(bold, "Plan:"), " this change alters nothing.")
	default:
		t.line(t.paint(bold, "Plan:"), " ", this, ".")
	}
	if e := effects(p.This, p.Pending); e != "" {
		for n, l := range wrap(e+".", t.o.width()-8) {
			label := t.paint(bold, "Totals:") + " "
			if n > 0 {
				label = "        "
			}
			t.line(label, l)
		}
	}
	if pending != "" {
		t.line(t.paint(bold, "Also pending:"), " ", pending, ".")
	}
	if p.Current == nil && (this != "" || pending != "") {
		t.line(t.paint(dim, "What runs now was not looked up."))
	}
}

func (t *planText) gaps(gaps []plans.Gap) {
	for _, g := range mergeGaps(gaps) {
		lines := textLines(g.Text)
		subject := names(g.Subjects)
		if len(lines) == 1 && len(subject) < 24 {
			t.field(2, max(10, len([]rune(subject))+1), subject, lines[0])
			continue
		}
		t.line("  ", subject)
		t.quote(4, lines, textDiffLines)
	}
}

func (t *planText) risks(p plans.Plan) {
	for i, part := range []plans.Part{p.This, p.Pending} {
		for _, l := range riskLines(part) {
			s := l.Label
			what := make([]string, 0, len(l.What))
			for _, item := range l.What {
				what = append(what, item.text())
			}
			if len(what) > 0 {
				s += " " + strings.Join(what, ", ")
			}
			if len(l.Hosts) > 0 {
				s += " on " + names(l.Hosts)
			}
			if i == 1 {
				s += " (also pending)"
			}
			for n, line := range wrap(s, t.o.width()-4) {
				mark := "  ! "
				if n > 0 {
					mark = "    "
				}
				t.line(t.paint(yellow, mark+line))
			}
		}
	}
	if len(riskLines(p.This))+len(riskLines(p.Pending)) > 0 {
		t.blank()
	}
}

func (t *planText) part(p plans.Part, current *plans.Current) {
	t.infrastructure(p.Resources, p.Cost)
	if len(p.Hosts) > 0 {
		t.line(t.paint(bold, "Hosts"))
		for _, g := range groupHosts(p.Hosts) {
			t.group(g, current)
		}
		t.blank()
	}
}

func (t *planText) group(g group, current *plans.Current) {
	h := g.Host
	runs := ""
	if current != nil && len(g.Names) == 1 {
		if now, ok := current.Hosts[h.Name]; ok && now.Commit != "" {
			runs = t.paint(dim, "  (runs "+shortCommit(now.Commit)+")")
		}
	}
	title := wrap(names(g.Names)+": "+hostVerb(h, len(g.Names)), t.o.width()-4)
	t.head(h.Action, title[0]+runs)
	for _, l := range title[1:] {
		t.line("    ", l)
	}
	const label = 12
	f := func(name, text string) {
		if text == "" {
			return
		}
		if len(name) > label {
			t.line("      ", name)
			name = ""
		}
		t.field(6, label, name, text)
	}
	for _, n := range h.Notes {
		f("note", oneLine(n))
	}
	data, rest := byData(h.Items)
	for _, i := range data {
		f(string(i.Kind), itemLine(i, oneLine, oneLine))
	}
	for _, u := range h.Users {
		f("user", userText(u))
	}
	f("opens", words(ports(h.Ports, true)))
	f("closes", words(ports(h.Ports, false)))
	f("reboot", oneLine(h.Reboot))
	f("closure", closureText(h.Closure))
	for _, u := range unitGroups(h.Units) {
		first, rest, _ := strings.Cut(u.Verb, " ")
		if len(u.Verb) <= label {
			first, rest = u.Verb, ""
		}
		if rest != "" {
			rest += ": "
		}
		f(strings.TrimSuffix(first, ","), rest+unitsText(u, h.Action))
	}
	for _, g := range itemGroups(rest) {
		if h.Action == plans.Create { // all of it is new
			f(oneLine(string(g.Kind)), words(itemNames(g.Items)))
			continue
		}
		for _, i := range g.Items {
			f(oneLine(string(i.Kind)), itemLine(i, oneLine, oneLine))
		}
	}
	f("packages", packagesText(h.Packages))
	for _, a := range h.Settings {
		f("setting", oneLine(a.Name)+" "+attributeText(plans.Update, a))
	}
	for _, file := range g.Files {
		s := symbol(file.Action) + " " + fileName(file.File, oneLine)
		if file.Hosts != nil {
			s += " on " + names(file.Hosts)
		}
		f("file", s)
		if h.Action != plans.Create && file.Diff != "" {
			t.quote(8, textLines(diffBody(file.Diff)), textDiffLines)
		}
	}
}

func userText(u plans.User) string {
	var parts []string
	switch u.Action {
	case plans.Create:
		parts = append(parts, "added")
	case plans.Destroy:
		parts = append(parts, "removed")
	default: // what changes says it
	}
	parts = append(parts, u.Changes...)
	for _, k := range u.KeysAdded {
		parts = append(parts, "key added "+k)
	}
	for _, k := range u.KeysRemoved {
		parts = append(parts, "key removed "+k)
	}
	return cut(oneLine(u.Name), 40) + ": " + words(parts)
}

func unitsText(g unitGroup, action plans.Action) string {
	parts := make([]string, 0, len(g.Units))
	for _, u := range g.Units {
		s := oneLine(u.Name)
		if u.Why != "" && action != plans.Create {
			s += " (" + oneLine(u.Why) + ")"
		}
		parts = append(parts, cut(s, maxName))
	}
	return strings.Join(parts, ", ")
}

func packagesText(all []plans.Package) string {
	parts := make([]string, 0, len(all))
	for _, p := range all {
		switch {
		case p.Old == "":
			parts = append(parts, strings.TrimSpace("+"+oneLine(p.Name)+" "+oneLine(p.New)))
		case p.New == "":
			parts = append(parts, "-"+oneLine(p.Name)+" "+oneLine(p.Old))
		default:
			parts = append(parts, oneLine(p.Name)+" "+oneLine(p.Old)+" → "+oneLine(p.New))
		}
	}
	return words(parts)
}
