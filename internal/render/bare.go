package render

import (
	"slices"
	"unicode/utf8"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// bareName is how many bytes of a name there are where almost nothing fits.
const bareName = 40

// shorter is one line of at most bareName bytes and the mark of a cut.
func shorter(s string) string {
	s = oneLine(s)
	if len(s) <= bareName {
		return s
	}
	n := bareName
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// barely is the last rung: it fits into some 4,000 bytes whatever the values.
func barely() detail {
	return detail{diffLines: -1, diffWidth: 80, items: 3, gapLines: 1, hosts: hostNone, leftOut: "everything but totals"}
}

// few names the first few, cut short, and counts the rest.
func few(names []string) string {
	const most = 3
	var parts []string
	for _, n := range names {
		parts = append(parts, code(shorter(n)))
	}
	return list(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), most)
}

// bare says no more than what must be said of any plan.
func (m *planMarkdown) bare(p plans.Plan) {
	m.printf("### Flotilla plan for %s\n\n", code(shorter(p.Fleet)))
	m.totals(p)
	ways := waysIn(p.This, p.Pending)
	lines := slices.Concat(riskLines(p.This), riskLines(p.Pending))
	if !complete(p) || len(ways)+len(lines) > 0 {
		m.printf("> [!CAUTION]\n")
	}
	if !complete(p) {
		m.printf("> - **This plan is incomplete.** Not planned: %s\n", few(subjects(p.Missing)))
	}
	for _, locks := range []bool{true, false} {
		var hosts []string
		verb := ""
		for _, w := range ways {
			if w.Locks == locks {
				hosts, verb = append(hosts, w.Hosts...), w.verb()
			}
		}
		if len(hosts) > 0 {
			m.printf("> - **%s:** %s\n", verb, few(hosts))
		}
	}
	for i, l := range lines {
		if slices.ContainsFunc(lines[:i], func(o riskLine) bool { return o.Risk == l.Risk }) {
			continue
		}
		var names []string
		for _, o := range lines[i:] {
			if o.Risk != l.Risk {
				continue
			}
			names = append(names, o.Hosts...)
			for _, item := range o.What {
				if len(o.Hosts) == 0 {
					names = append(names, item.Name)
				}
			}
		}
		if riskRank(l.Risk) == riskRank("") { // a class that this version does not know
			l.Label = "Other risks:"
			if slices.ContainsFunc(lines[:i], func(o riskLine) bool { return riskRank(o.Risk) == riskRank("") }) {
				continue
			}
		}
		m.printf("> - **%s** %s\n", l.Label, few(names))
	}
	m.printf("\n")
	if len(p.Warnings) > 0 {
		m.printf("**%s:** %s\n\n", plural(len(p.Warnings), "warning"), few(subjects(p.Warnings)))
	}
	p.Head.Subject = shorter(p.Head.Subject)
	m.footer(p)
}

func subjects(gaps []plans.Gap) []string {
	var out []string
	for _, g := range mergeGaps(gaps) {
		out = append(out, g.Subjects...)
	}
	return out
}

// bare says no more than what must be said of any result.
func (m *resultMarkdown) bare(r plans.Result) {
	m.printf("### Flotilla %s of %s: %s\n\n", prose(shorter(r.Command)), code(shorter(r.Fleet)), outcomeTitle(r))
	if r.ExitCode != problem.OK {
		m.printf("> [!CAUTION]\n> %s.\n", codeMeaning(r.ExitCode))
		if why := firstLine(r.Failure); why != "" {
			m.printf(">\n> %s\n", prose(cut(why, 2*bareName)))
		}
		m.printf("\n")
	}
	if r.Superseded != "" {
		m.printf("- **superseded** by %s\n", code(shorter(shortCommit(r.Superseded))))
	}
	if n := len(r.Unreviewed); n > 0 {
		names := make([]string, 0, n)
		for _, d := range r.Unreviewed {
			names = append(names, d.Subject)
		}
		m.printf("- **%s that no reviewed plan has shown:** %s\n", plural(n, "change"), few(names))
	}
	for _, o := range outcomes() {
		var hosts []string
		for _, h := range r.Hosts {
			if h.Outcome == o && !well(o) {
				hosts = append(hosts, h.Host)
			}
		}
		if len(hosts) > 0 {
			m.printf("- **%s** %s\n", o, few(hosts))
		}
	}
	var failed []string
	for _, x := range r.Resources {
		if x.Error != "" {
			failed = append(failed, x.Name)
		}
	}
	if len(failed) > 0 {
		m.printf("- **%s failed:** %s\n", plural(len(failed), "infrastructure change"), few(failed))
	}
	if w := resultWarnings(r.Hosts); len(w) > 0 {
		m.printf("- **%s:** %s\n", plural(len(w), "warning"), few(subjects(w)))
	}
	m.printf("\n")
	r.Revision.Subject = shorter(r.Revision.Subject)
	m.footer(r)
}
