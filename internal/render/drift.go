package render

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// DriftJSON writes drift in its versioned JSON form, indented and stable.
func DriftJSON(w io.Writer, d plans.Drift) error { return writeJSON(w, d) }

// DriftTitle is drift in a few words, for the title of an issue.
func DriftTitle(d plans.Drift) string {
	return "Drift in " + cut(oneLine(d.Fleet), 64) + ": " + driftCounts(d)
}

// driftCounts names what was found: "1 resource and 2 hosts".
func driftCounts(d plans.Drift) string {
	var parts []string
	if n := len(d.Resources); n > 0 {
		parts = append(parts, plural(n, "resource"))
	}
	if n := len(d.Hosts); n > 0 {
		parts = append(parts, plural(n, "host"))
	}
	if n := len(d.Missing); n > 0 && len(parts) == 0 {
		return fmt.Sprintf("%d not looked at", n)
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, " and ")
}

// driftHeadline says in one sentence what was found.
func driftHeadline(d plans.Drift) string {
	switch {
	case d.Found() && d.Complete:
		return driftCounts(d) + " not as deployed."
	case d.Found():
		return fmt.Sprintf("%s not as deployed; %d could not be looked at.", driftCounts(d), len(d.Missing))
	case !d.Complete:
		return fmt.Sprintf("No drift in what could be looked at; %d could not be.", len(d.Missing))
	default:
		return "No drift: " + driftLooked(d.Looked) + " as deployed."
	}
}

func driftLooked(l plans.Looked) string {
	switch {
	case l.Account && l.Hosts > 0:
		return "infrastructure and " + plural(l.Hosts, "host") + " are"
	case l.Account:
		return "infrastructure is"
	case l.Hosts == 1:
		return "1 host is"
	default:
		return plural(l.Hosts, "host") + " are"
	}
}

// driftLine is one difference: what it is about, what exists and what is declared.
type driftLine struct{ name, is, declared, note string }

// driftLines says how a resource differs.
func driftLines(r plans.Resource) []driftLine {
	var lines []driftLine
	switch r.Action {
	case plans.Create:
		lines = append(lines, driftLine{note: "is gone"})
	case plans.Destroy:
		lines = append(lines, driftLine{note: "is there, and nothing declares it"})
	case plans.Update, plans.Rebuild, plans.Replace:
		for _, a := range r.Attributes {
			declared := a.New
			if !a.Known {
				declared = "what is known after apply"
			}
			lines = append(lines, driftLine{name: a.Name, is: a.Old, declared: declared})
		}
	}
	for _, l := range textLines(r.Note) {
		lines = append(lines, driftLine{note: l})
	}
	return lines
}

// words puts a difference into words; show shows a value.
func (l driftLine) words(show func(string) string) string {
	switch {
	case l.name == "":
		return l.note
	case l.is == "" && l.declared == "":
		return show(l.name)
	case l.is == "":
		return show(l.name) + " is not there, declared is " + show(l.declared)
	case l.declared == "":
		return show(l.name) + " is " + show(l.is) + ", and nothing declares it"
	default:
		return show(l.name) + " is " + show(l.is) + ", declared is " + show(l.declared)
	}
}

// driftAdvice says how drift ends.
func driftAdvice(d plans.Drift) []string {
	var advice []string
	if len(d.Resources) > 0 {
		text := "The next deploy makes infrastructure as declared again. To keep what was changed, write it into flotilla.yaml."
		if slices.ContainsFunc(d.Resources, func(r plans.Resource) bool { return losesData(r.Action) }) {
			text += " What holds data or an address goes only where the deploy is allowed to destroy it."
		}
		advice = append(advice, text)
	}
	if len(d.Hosts) > 0 {
		advice = append(advice, "A deploy brings a host back to the declared system and settles what was not ended."+
			" One that runs another system than it would boot is deployed to only after a reboot, or with --accept-running.")
	}
	return advice
}

// DriftText writes drift for a terminal.
func DriftText(w io.Writer, d plans.Drift, o Options) error {
	t := &terminal{o: o}
	mark := green
	if !d.Clear() {
		mark = yellow
	}
	t.line(t.paint(bold, "Fleet "+cut(oneLine(d.Fleet), 64)), ": ", t.paint(mark, driftHeadline(d)))
	if d.Deployed.Commit != "" {
		t.line(t.paint(dim, "deployed is "+shortCommit(d.Deployed.Commit)))
	}
	if len(d.Resources) > 0 {
		t.blank()
		t.line(t.paint(bold, "Changed at the provider"))
	}
	for _, r := range d.Resources {
		t.line("  ", kindWord(r.Kind), " ", t.paint(bold, cut(oneLine(r.Name), maxName)))
		for _, l := range driftLines(r) {
			t.field(3, 0, "", l.words(func(s string) string { return cut(oneLine(s), maxName) }))
		}
	}
	if len(d.Hosts) > 0 {
		t.blank()
		t.line(t.paint(bold, "Changed on hosts"))
	}
	for _, h := range d.Hosts {
		t.line("  ", t.paint(bold, cut(oneLine(h.Host), 64)))
		for _, f := range h.Findings {
			t.field(3, 0, "", oneLine(f))
		}
	}
	driftGaps(t, "Could not be looked at", d.Missing)
	driftGaps(t, "Worth knowing", d.Notes)
	for i, a := range driftAdvice(d) {
		if i == 0 {
			t.blank()
		}
		for _, l := range wrap(a, t.o.width()) {
			t.line(l)
		}
	}
	return t.flush(w)
}

func driftGaps(t *terminal, title string, gaps []plans.Gap) {
	if len(gaps) == 0 {
		return
	}
	t.blank()
	t.line(t.paint(bold, title))
	for _, g := range gaps {
		t.field(1, 0, "", oneLine(g.Subject)+": "+oneLine(g.Text))
	}
}

// DriftMarkdown renders drift for an issue or a job summary. The same drift
// gives the same text: it holds no time, no age and no revision. Of what is too
// much for the budget it shows the first and the totals.
func DriftMarkdown(d plans.Drift, budget Budget) string {
	var text string
	for _, items := range []int{0, 100, 30, 10, 3} {
		m := planMarkdown{detail: detail{items: items}, budget: budget}
		m.drift(d)
		if text = m.b.String(); len(text) <= budget.bytes() {
			break
		}
	}
	return text
}

func (m *planMarkdown) drift(d plans.Drift) {
	m.printf("### Drift in %s\n\n**%s**\n\n", code(d.Fleet), driftHeadline(d))
	if len(d.Resources) > 0 {
		m.printf("#### Changed at the provider\n\n| Resource | What differs |\n|---|---|\n")
		m.driftRows(len(d.Resources), func(i int) (string, []string) {
			r := d.Resources[i]
			var what []string
			for _, l := range driftLines(r) {
				if l.name == "" {
					what = append(what, prose(l.note))
					continue
				}
				what = append(what, l.words(code))
			}
			return prose(kindWord(r.Kind)) + " " + code(r.Name), what
		})
	}
	if len(d.Hosts) > 0 {
		m.printf("#### Changed on hosts\n\n| Host | What differs |\n|---|---|\n")
		m.driftRows(len(d.Hosts), func(i int) (string, []string) {
			var what []string
			for _, f := range d.Hosts[i].Findings {
				what = append(what, prose(f))
			}
			return code(d.Hosts[i].Host), what
		})
	}
	m.driftList("Could not be looked at", d.Missing)
	m.driftList("Worth knowing", d.Notes)
	for _, a := range driftAdvice(d) {
		m.printf("%s\n\n", prose(a))
	}
}

// driftRows writes the rows of a table, as many as the rung shows.
func (m *planMarkdown) driftRows(n int, row2 func(int) (string, []string)) {
	for i := range n {
		if m.items > 0 && i == m.items {
			m.b.WriteString(row(fmt.Sprintf("and %d more", n-i), ""))
			break
		}
		name, what := row2(i)
		if limit := m.limit(50); len(what) > limit {
			what = append(what[:limit:limit], fmt.Sprintf("and %d more", len(what)-limit))
		}
		m.b.WriteString(row(name, strings.Join(what, "<br>")))
	}
	m.printf("\n")
}

func (m *planMarkdown) driftList(title string, gaps []plans.Gap) {
	if len(gaps) == 0 {
		return
	}
	m.printf("#### %s\n\n", title)
	for i, g := range gaps {
		if m.items > 0 && i == m.items {
			m.printf("- and %d more\n", len(gaps)-i)
			break
		}
		m.printf("- %s: %s\n", code(g.Subject), inline(g.Text))
	}
	m.printf("\n")
}
