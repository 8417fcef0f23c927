package render

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// detail is how much a rung of the size ladder shows.
type detail struct {
	diffLines int  // of one file's diff; -1: no diffs, 0: all
	diffWidth int  // characters of a line
	picture   bool // of the fleet
	reasons   bool // why a unit is touched
	hosts     hostDetail
	items     int // of any list; 0: all
	gapLines  int
	leftOut   string // what is missing compared to everything
}

type hostDetail int

const (
	hostFull   hostDetail = iota
	hostTotals            // one line per group
	hostNone
)

// ladder goes from everything to totals. Totals, warnings, failures and gaps
// are on every rung.
func ladder() []detail {
	return []detail{
		{diffWidth: 2000, reasons: true, picture: true, gapLines: 60},
		{diffLines: 40, diffWidth: 300, reasons: true, picture: true, gapLines: 40, leftOut: "the rest of long file diffs"},
		{diffLines: 12, diffWidth: 200, reasons: true, picture: true, gapLines: 40, leftOut: "most of the file diffs"},
		{diffLines: -1, diffWidth: 300, reasons: true, picture: true, gapLines: 30, leftOut: "file diffs"},
		{diffLines: -1, diffWidth: 300, gapLines: 20, leftOut: "file diffs, the reasons of units, the picture"},
		{diffLines: -1, diffWidth: 300, items: 40, gapLines: 10, hosts: hostTotals, leftOut: "all details of hosts, the picture"},
		{diffLines: -1, diffWidth: 200, items: 20, gapLines: 3, hosts: hostNone, leftOut: "the lists of resources and hosts"},
		{diffLines: -1, diffWidth: 120, items: 5, gapLines: 1, hosts: hostNone, leftOut: "the lists of resources and hosts"},
		{diffLines: -1, diffWidth: 80, items: 1, gapLines: 1, hosts: hostNone, leftOut: "the lists of resources and hosts"},
	}
}

// PlanMarkdown renders a plan for a pull request comment or a job summary:
// what is missing first, then what is risky, then everything else. Of a plan
// too large for the budget it shows less detail and says what it left out.
func PlanMarkdown(p plans.Plan, budget Budget) string {
	var text string
	for _, d := range ladder() {
		m := planMarkdown{detail: d, budget: budget}
		m.plan(p)
		if text = m.b.String(); len(text) <= budget.bytes() {
			return text
		}
	}
	m := planMarkdown{detail: barely(), budget: budget}
	m.bare(p)
	return m.b.String()
}

type planMarkdown struct {
	detail
	budget Budget
	b      strings.Builder
}

func (m *planMarkdown) printf(format string, args ...any) { fmt.Fprintf(&m.b, format, args...) }

func (m *planMarkdown) plan(p plans.Plan) {
	empty := p.This.Empty() && p.Pending.Empty()
	if empty && p.Complete && len(p.Missing) == 0 {
		m.printf("### Flotilla plan for %s\n\n", code(p.Fleet))
		m.printf("**No changes:** infrastructure and systems stay as they are.\n\n")
		m.warnings(p.Warnings)
		m.footer(p)
		return
	}
	m.printf("### Flotilla plan for %s\n\n", code(p.Fleet))
	m.waysIn(p)
	m.missing(p)
	m.totals(p)
	m.risks(p)
	if m.hosts != hostNone {
		m.stages(p)
	}
	m.part(p.This, p.Current, "####")
	if !p.Pending.Empty() && m.hosts != hostNone {
		m.printf("---\n\n### Also pending\n\nMerged before this change and not deployed yet.\n\n")
		m.part(p.Pending, p.Current, "####")
	}
	m.warnings(p.Warnings)
	m.drawn(p)
	m.footer(p)
}

// totals is what stands on every rung.
func (m *planMarkdown) totals(p plans.Plan) {
	switch head := headline(p.This); {
	case head != "" && !complete(p):
		m.printf("**Plan, at least:** %s.\n\n", head)
	case head != "":
		m.printf("**Plan:** %s.\n\n", head)
	case !complete(p):
		m.printf("**Plan:** no change found in the parts that could be planned.\n\n")
	default:
		m.printf("**Plan:** this change alters neither infrastructure nor systems.\n\n")
	}
	if t := price(p.This.Cost); t != "" && m.hosts == hostNone && p.This.Cost.Before != p.This.Cost.After {
		m.printf("**Price:** %s\n\n", t)
	}
	if head := headline(p.Pending); head != "" {
		m.printf("**Also pending:** %s, merged before and not deployed; the next deploy applies both.\n\n", head)
	}
	if e := effects(p.This, p.Pending); e != "" {
		m.printf("**Totals:** %s.\n\n", e)
	}
}

// drawn is the picture of the fleet.
func (m *planMarkdown) drawn(p plans.Plan) {
	if !m.picture {
		return
	}
	switch diagram, note := picture(p); {
	case diagram != "":
		if note != "" {
			note = "\n\n" + note
		}
		m.details("The fleet in a picture", strings.TrimSpace(fence("mermaid", "", strings.Split(strings.TrimSpace(diagram), "\n")))+note)
	case note != "":
		m.printf("%s\n\n", note)
	}
}

func complete(p plans.Plan) bool { return p.Complete && len(p.Missing) == 0 }

// waysIn stands first: who applies such a plan may not get back in.
func (m *planMarkdown) waysIn(p plans.Plan) {
	all := waysIn(p.This, p.Pending)
	if len(all) == 0 {
		return
	}
	kind := "WARNING"
	if all[0].Locks {
		kind = "CAUTION"
	}
	m.printf("> [!%s]\n", kind)
	for i, w := range all {
		if m.items > 0 && i == m.items+8 {
			m.printf("> - and %d more\n", len(all)-i)
			break
		}
		m.printf("> - %s: **%s:** %s\n", m.names(w.Hosts), w.verb(), inline(w.Text))
	}
	m.printf("\n")
}

// missing says at the top what the plan does not show.
func (m *planMarkdown) missing(p plans.Plan) {
	if complete(p) {
		return
	}
	m.printf("> [!CAUTION]\n> **This plan is incomplete.** What is listed here could not be planned and may change as well.\n")
	if len(p.Missing) == 0 {
		m.printf("> The planner did not say what is missing.\n")
	}
	m.gaps(p.Missing, "> ")
	m.printf("\n")
}

func (m *planMarkdown) warnings(gaps []plans.Gap) {
	if len(gaps) == 0 {
		return
	}
	m.printf("#### %s\n\n", plural(len(gaps), "warning"))
	m.gaps(gaps, "")
	m.printf("\n")
}

func (m *planMarkdown) gaps(gaps []plans.Gap, prefix string) {
	groups := mergeGaps(gaps)
	for i, g := range groups {
		if m.items > 0 && i == m.items && len(groups) > m.items+1 {
			m.printf("%s\n%sand %d more.\n", strings.TrimSpace(prefix), prefix, len(groups)-i)
			return
		}
		if i > 0 || prefix != "" {
			m.printf("%s\n", strings.TrimSpace(prefix))
		}
		lines := fenceLines(g.Text, m.gapLines, m.diffWidth)
		m.printf("%s%s", prefix, codes(g.Subjects, m.limit(12)))
		switch len(lines) {
		case 0:
			m.printf("\n")
		case 1:
			m.printf(": %s\n", inline(cut(lines[0], m.diffWidth)))
		default:
			m.printf(":\n%s\n%s", strings.TrimSpace(prefix), fence("text", prefix, lines))
		}
	}
}

// limit is the rung's limit of lists, at most n.
func (m *planMarkdown) limit(n int) int {
	if m.items > 0 {
		return min(m.items, n)
	}
	return n
}

// risks is the box of what a reviewer must not overlook.
func (m *planMarkdown) risks(p plans.Plan) {
	this, pending := riskLines(p.This), riskLines(p.Pending)
	if len(this)+len(pending) == 0 {
		return
	}
	kind := "WARNING"
	for _, l := range append(append([]riskLine(nil), this...), pending...) {
		if riskRank(l.Risk) <= riskRank(plans.RiskData) {
			kind = "CAUTION"
		}
	}
	m.printf("> [!%s]\n", kind)
	m.riskList(this, "")
	m.riskList(pending, " *(also pending)*")
	m.printf("\n")
}

func (m *planMarkdown) riskList(lines []riskLine, suffix string) {
	for i, l := range lines {
		if m.items > 0 && i == m.items+8 {
			m.printf("> - and %d more\n", len(lines)-i)
			return
		}
		m.printf("> - **%s**", prose(l.Label))
		what := make([]string, 0, len(l.What))
		for _, item := range l.What {
			what = append(what, item.markdown())
		}
		if len(what) > 0 {
			m.printf(" %s", list(what, m.limit(8)))
		}
		if len(l.Hosts) > 0 {
			m.printf(" on %s", m.names(l.Hosts))
		}
		m.printf("%s\n", suffix)
	}
}

// names lists hosts; many of them by first, last and number.
func (m *planMarkdown) names(hosts []string) string {
	if len(hosts) <= m.limit(6)+2 {
		return codes(hosts, 0)
	}
	return fmt.Sprintf("%s hosts (%s … %s)", fmt.Sprint(len(hosts)), code(hosts[0]), code(hosts[len(hosts)-1]))
}

func (m *planMarkdown) part(p plans.Part, current *plans.Current, level string) {
	if m.hosts == hostNone {
		return
	}
	if len(p.Resources) > 0 {
		m.printf("%s Infrastructure\n\n", level)
		m.resources(groupResources(p.Resources))
		if t := partPrice(p.Resources, p.Cost); t != "" {
			m.printf("Price: %s\n\n", t)
		}
	}
	if len(p.Hosts) > 0 {
		m.printf("%s Hosts\n\n", level)
		groups := groupHosts(p.Hosts)
		for i, g := range groups {
			if i < openGroups(len(groups)) || m.hosts == hostTotals {
				m.group(g, current)
			} else {
				m.foldedGroup(g, current)
			}
		}
	}
}

func (m *planMarkdown) footer(p plans.Plan) {
	m.printf("<sub>")
	m.printf("%s → %s", code(shortCommit(p.Base.Commit)), code(shortCommit(cmp.Or(m.budget.Commit, p.Head.Commit))))
	if s := code(cut(p.Head.Subject, 80)); s != "" {
		m.printf(" %s", s)
	}
	if p.Current == nil {
		m.printf(" · what runs now was not looked up")
	}
	if link := m.link("all of it, and the plan as a file"); link != "" && m.leftOut == "" {
		m.printf(" · %s", link)
	}
	m.printf("</sub>\n")
	if m.leftOut != "" {
		m.printf("\n> [!NOTE]\n> Left out, to fit the size limit: %s. The whole plan: %s.\n", m.leftOut, m.where())
	}
}

// where names the place of the whole plan.
func (m *planMarkdown) where() string {
	if link := m.link("here"); link != "" {
		return link
	}
	if m.budget.Full == "" {
		return "`flotilla plan --format json`"
	}
	return prose(m.budget.Full)
}

// link leads to the place of the whole; "" without a plain https URL.
func (m *planMarkdown) link(text string) string {
	const (
		most  = 500
		plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._/:#"
	)
	url := cmp.Or(m.budget.Link, m.budget.Full)
	if rest, ok := strings.CutPrefix(url, "https://"); !ok || len(url) > most || strings.Trim(rest, plain) != "" {
		return ""
	}
	return "[" + text + "](" + url + ")"
}
