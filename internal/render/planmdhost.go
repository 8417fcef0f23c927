package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// many is how long a list may be before it is folded away.
const many = 8

// group renders hosts that change in the same way.
func (m *planMarkdown) group(g group, current *plans.Current) {
	h := g.Host
	m.printf("%s **%s** %s%s\n", code(symbol(h.Action)), m.names(g.Names), hostVerb(h, len(g.Names)), m.runs(g, current))
	if m.hosts == hostTotals {
		m.printf(": %s\n\n", totals(h))
		return
	}
	m.printf("\n")
	if len(g.Names) > m.limit(6)+2 {
		m.details(fmt.Sprintf("all %d hosts", len(g.Names)), codes(g.Names, 0))
	}
	m.bullets(h)
	m.folded(g)
}

// openGroups is how many of n groups of hosts are shown openly, the risky ones
// first; of the others only a line is.
func openGroups(n int) int {
	const most, first = 12, 6
	if n <= most {
		return n
	}
	return first
}

func (m *planMarkdown) foldedGroup(g group, current *plans.Current) {
	m.printf("<details><summary>%s %s %s: %s</summary>\n\n", symbol(g.Host.Action), htmlCode(names(g.Names)), hostVerb(g.Host, len(g.Names)), totals(g.Host))
	if now := m.runs(g, current); now != "" {
		m.printf("%s\n\n", strings.Trim(now, " ()"))
	}
	if len(g.Names) > 8 {
		m.printf("%s\n\n", codes(g.Names, 0))
	}
	m.bullets(g.Host)
	m.folded(g)
	m.printf("</details>\n\n")
}

func hostVerb(h plans.Host, n int) string {
	var s string
	switch h.Action {
	case plans.Create:
		s = "gets its first system"
	case plans.Replace:
		s = "starts again on a new server"
	case plans.Destroy:
		s = "leaves the fleet"
	default:
		s = "switches to a new system"
	}
	if n > 1 {
		s = strings.NewReplacer("gets its", "get their", "starts", "start", "leaves", "leave", "switches", "switch").Replace(s)
	}
	if h.AfterApply {
		s += ", and changes once more when new addresses are known"
	}
	return s
}

// runs says what a single host runs now, as the last deploy published it.
func (m *planMarkdown) runs(g group, current *plans.Current) string {
	if current == nil || len(g.Names) != 1 {
		return ""
	}
	now, ok := current.Hosts[g.Names[0]]
	switch {
	case !ok || now.Commit == "":
		return ""
	case now.Held:
		return " (runs " + code(shortCommit(now.Commit)) + ", **held**)"
	default:
		return " (runs " + code(shortCommit(now.Commit)) + ")"
	}
}

func (m *planMarkdown) bullet(label, text string) {
	if text != "" {
		m.printf("- **%s** %s\n", label, text)
	}
}

func (m *planMarkdown) bullets(h plans.Host) {
	for _, n := range h.Notes {
		m.bullet("note:", prose(n))
	}
	data, rest := byData(h.Items)
	m.itemList(data)
	for _, u := range h.Users {
		m.user(u)
	}
	m.bullet("opens", codes(ports(h.Ports, true), 0))
	m.bullet("closes", codes(ports(h.Ports, false), 0))
	if h.Reboot != "" {
		m.bullet("needs a reboot:", prose(h.Reboot))
	}
	m.bullet("closure:", closureText(h.Closure))
	for _, g := range unitGroups(h.Units) {
		if len(g.Units) <= many {
			m.bullet(g.Verb, m.units(g, h.Action))
		} else {
			m.bullet(g.Verb, plural(len(g.Units), "unit")+" (listed below)")
		}
	}
	if h.Action == plans.Create { // all of it is new
		for _, g := range itemGroups(rest) {
			m.bullet(prose(string(g.Kind)), codes(itemNames(g.Items), 0))
		}
	} else {
		m.itemList(rest)
	}
	if n := len(h.Packages); n > many {
		m.bullet("packages", packageCounts(h.Packages)+" (listed below)")
	} else {
		m.bullet("packages", packages(h.Packages))
	}
	for _, a := range h.Settings {
		m.bullet("setting", attribute(plans.Update, a))
	}
	if empty := h.Units == nil && h.Packages == nil && h.Ports == nil && h.Users == nil && h.Files == nil &&
		h.Settings == nil && h.Reboot == "" && len(h.Notes) == 0; empty && h.Action != plans.Destroy {
		m.printf("- the system differs, but in nothing that a review would name\n")
	}
	m.printf("\n")
}

// units lists units with the reason why each is touched; on a new host that
// would be the same for all.
func (m *planMarkdown) units(g unitGroup, action plans.Action) string {
	parts := make([]string, 0, len(g.Units))
	for _, u := range g.Units {
		s := code(u.Name)
		if u.Why != "" && m.reasons && action != plans.Create {
			s += " (" + prose(u.Why) + ")"
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, ", ")
}

func packages(all []plans.Package) string {
	parts := make([]string, 0, len(all))
	for _, p := range all {
		switch {
		case p.Old == "":
			parts = append(parts, strings.TrimSpace(code(p.Name)+" "+inline(p.New))+" added")
		case p.New == "":
			parts = append(parts, code(p.Name)+" "+inline(p.Old)+" removed")
		default:
			parts = append(parts, code(p.Name)+" "+inline(p.Old)+" → "+inline(p.New))
		}
	}
	return strings.Join(parts, ", ")
}

func packageCounts(all []plans.Package) string {
	var added, removed, changed int
	for _, p := range all {
		switch {
		case p.Old == "":
			added++
		case p.New == "":
			removed++
		default:
			changed++
		}
	}
	var out []string
	for _, c := range []struct {
		n    int
		word string
	}{{added, "added"}, {removed, "removed"}, {changed, "changed"}} {
		if c.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", c.n, c.word))
		}
	}
	return strings.Join(out, ", ")
}

func (m *planMarkdown) user(u plans.User) {
	var parts []string
	switch u.Action {
	case plans.Create:
		parts = append(parts, "added")
	case plans.Destroy:
		parts = append(parts, "removed")
	default: // what changes says it
	}
	for _, c := range u.Changes {
		parts = append(parts, prose(c))
	}
	for _, k := range u.KeysAdded {
		parts = append(parts, "key added "+code(k))
	}
	for _, k := range u.KeysRemoved {
		parts = append(parts, "key removed "+code(k))
	}
	m.bullet("user", code(u.Name)+": "+strings.Join(parts, ", "))
}

// folded holds what is long: units, packages and files.
func (m *planMarkdown) folded(g group) {
	for _, u := range unitGroups(g.Host.Units) {
		if len(u.Units) > many {
			m.details(u.Verb+": "+plural(len(u.Units), "unit"), m.units(u, g.Host.Action))
		}
	}
	if n := len(g.Host.Packages); n > many {
		m.details(plural(n, "package"), packages(g.Host.Packages))
	}
	m.files(g)
}

func (m *planMarkdown) details(summary, body string) {
	m.printf("<details><summary>%s</summary>\n\n%s\n\n</details>\n\n", summary, body)
}

// fileName is a file's path, or its name and the units that use it. line
// makes the untrusted part harmless.
func fileName(f plans.File, line func(string) string) string {
	if f.Unit != "" {
		return line(f.Path + " of " + f.Unit)
	}
	return "/etc/" + line(f.Path)
}

func asIs(s string) string { return s }

// files lists changed /etc entries and units' files, with their diffs while these fit.
func (m *planMarkdown) files(g group) {
	if len(g.Files) == 0 {
		return
	}
	var summary string
	switch n := len(g.Host.Files); n {
	case 1:
		summary = "1 file: " + htmlCode(fileName(g.Files[0].File, asIs))
	default:
		summary = plural(n, "file")
		if !slices.ContainsFunc(g.Host.Files, func(f plans.File) bool { return f.Unit != "" }) {
			summary += " in " + htmlCode("/etc")
		}
	}
	var b strings.Builder
	for i, f := range g.Files {
		if i > 0 {
			b.WriteString("\n")
		}
		title := "`" + symbol(f.Action) + "` " + code(fileName(f.File, asIs))
		if f.Hosts != nil {
			title += " on " + m.names(f.Hosts)
		}
		if len(g.Files) == 1 && f.Diff != "" && m.diffLines >= 0 {
			title = "" // the summary says it
		}
		b.WriteString(title)
		switch {
		case f.Diff == "" && f.Action != plans.Destroy:
			b.WriteString(": text not known before the build\n")
		case f.Diff == "" || m.diffLines < 0:
			b.WriteString("\n")
		default:
			b.WriteString("\n\n" + fence("diff", "", fenceLines(diffBody(f.Diff), m.diffLines, m.diffWidth)))
		}
	}
	m.details(summary, strings.Trim(b.String(), "\n"))
}
