package render

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// ResultMarkdown renders a result for a job summary: the outcome of each host
// first, then all about each that is not well, at the end the timeline. Too
// large for the budget, it shows fewer log lines, then fewer hosts that are
// well; failures stay.
func ResultMarkdown(r plans.Result, budget Budget) string {
	return resultLadder(r, budget, (*resultMarkdown).result)
}

func resultLadder(r plans.Result, budget Budget, show func(*resultMarkdown, plans.Result)) string {
	for _, d := range []detail{
		{gapLines: 100, diffWidth: 1000, picture: true},
		{gapLines: 20, diffWidth: 300, items: 500, picture: true, leftOut: "most lines of logs"},
		{gapLines: 5, diffWidth: 200, items: 100, leftOut: "most lines of logs, some hosts that are well, the timeline"},
		{gapLines: 0, diffWidth: 120, items: 30, leftOut: "logs, some hosts, the timeline"},
		{gapLines: 0, diffWidth: 80, items: 3, leftOut: "logs, most hosts, the timeline"},
	} {
		m := resultMarkdown{planMarkdown{detail: d, budget: budget}}
		show(&m, r)
		if text := m.b.String(); len(text) <= budget.bytes() {
			return text
		}
	}
	m := resultMarkdown{planMarkdown{detail: barely(), budget: budget}}
	m.bare(r)
	return m.b.String()
}

type resultMarkdown struct{ planMarkdown }

func (m *resultMarkdown) result(r plans.Result) {
	m.printf("### Flotilla %s of %s: %s\n\n", prose(command(r)), code(r.Fleet), outcomeTitle(r))
	m.verdict(r)
	m.superseded(r)
	m.unreviewed(r)
	m.asked(r)
	m.hosts(r)
	m.infrastructure(r)
	m.notWell(r.Hosts)
	if left := settled(r.Hosts); len(left) > 0 {
		m.printf("#### Settled from an earlier run\n\n")
		m.gaps(left, "")
		m.printf("\n")
	}
	if keys := keysPut(r.Hosts); len(keys) > 0 {
		m.printf("#### Deployment keys put in place\n\n")
		m.gaps(keys, "")
		m.printf("\n")
	}
	m.warnings(resultWarnings(r.Hosts))
	m.timeline(r)
	m.footer(r)
}

// command is what was done, a dry run by that name.
func command(r plans.Result) string {
	if r.DryRun {
		return oneLine(r.Command) + ", dry run,"
	}
	return r.Command
}

func (m *resultMarkdown) footer(r plans.Result) {
	m.printf("<sub>%s", code(shortCommit(r.Revision.Commit)))
	if s := code(cut(oneLine(r.Revision.Subject), 80)); s != "" {
		m.printf(" %s", s)
	}
	if d := duration(r.Duration); d != "" {
		m.printf(" · took %s", d)
	}
	m.printf(" · exit code %d", int(r.ExitCode))
	if link := m.link("all of it"); link != "" && m.leftOut == "" {
		m.printf(" · %s", link)
	}
	m.printf("</sub>\n")
	if m.leftOut == "" {
		return
	}
	where := "the JSON form of this result"
	if m.budget.Full != "" || m.budget.Link != "" {
		where = m.where()
	}
	m.printf("\n> [!NOTE]\n> Left out, to fit the size limit: %s. All of it: %s.\n", m.leftOut, where)
}

// verdict is the exit code in words, in a box when it is not 0.
func (m *resultMarkdown) verdict(r plans.Result) {
	kind := ""
	switch r.ExitCode {
	case problem.OK, problem.Changes:
	case problem.Unknown, problem.Failed:
		kind = "CAUTION"
	default:
		kind = "WARNING"
	}
	text := codeMeaning(r.ExitCode)
	if r.DryRun && r.ExitCode == problem.OK {
		text = "nothing was done"
	}
	text = strings.ToUpper(text[:1]) + text[1:] + "."
	if kind == "" {
		m.printf("%s\n\n", text)
		return
	}
	if stoppedAtReview(r) {
		return // unreviewed says it
	}
	m.printf("> [!%s]\n> %s\n", kind, text)
	if lines := fenceLines(r.Failure, failureLines, m.diffWidth); len(lines) == 1 {
		m.printf(">\n> %s\n", prose(lines[0]))
	} else if len(lines) > 1 {
		m.printf(">\n%s", fence("text", "> ", lines))
	}
	m.printf("\n")
}

// asked says who wanted a rollback or release and why, and what it holds.
func (m *resultMarkdown) asked(r plans.Result) {
	if r.Command != "rollback" && r.Command != "release" {
		return
	}
	var parts []string
	if by := code(r.By); by != "" {
		parts = append(parts, "Asked for by "+by+".")
	}
	if why := prose(r.Reason); why != "" {
		parts = append(parts, "**Reason:** "+why)
	}
	if len(parts) > 0 {
		m.printf("%s\n\n", strings.Join(parts, " "))
	}
	if held := heldHosts(r.Hosts); len(held) > 0 {
		m.printf("> [!IMPORTANT]\n> %s held: deploys leave %s alone, and plans say so, until somebody releases %s: %s\n\n",
			m.names(held)+isAre(len(held)), itThem(len(held)), itThem(len(held)), code("flotilla release --on "+selector(held)))
	}
}

func isAre(n int) string {
	if n == 1 {
		return " is"
	}
	return " are"
}

func itThem(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func heldHosts(hosts []plans.HostResult) []string {
	var held []string
	for _, h := range hosts {
		if h.Held {
			held = append(held, h.Host)
		}
	}
	return held
}

// selector names hosts on a command line that people copy; where they are many
// or a shell would read them otherwise, it is left for them to fill in.
func selector(hosts []string) string {
	const most = 8
	words := make([]string, 0, len(hosts))
	for _, h := range hosts {
		words = append(words, shellWord(h))
	}
	if len(hosts) > most || slices.Contains(words, noShellWord) {
		return noShellWord + "S"
	}
	return strings.Join(words, ",")
}

func outcomeMarkdown(o fleet.Outcome) string {
	mark := "❔"
	switch o {
	case fleet.Deployed, fleet.Unchanged:
		mark = "✅"
	case fleet.Staged:
		mark = "⏳"
	case fleet.RolledBack:
		mark = "↩️"
	case fleet.Failed:
		mark = "❌"
	case fleet.HeldBack, fleet.Skipped:
		mark = "⏸️"
	case fleet.Degraded, fleet.NotBootable, fleet.Unknown:
		mark = "🚨"
	}
	word := inline(string(o))
	if !well(o) {
		word = "**" + word + "**"
	}
	return mark + "&nbsp;" + word
}

// tableReason cuts a reason in the table of hosts; below it stands in full.
const tableReason = 72

// openHosts is up to how many hosts that are well are shown openly.
const openHosts = 20

// hosts shows hosts in their order; where many are well, those apart.
func (m *resultMarkdown) hosts(r plans.Result) {
	fine, bad := byWell(r.Hosts)
	if len(fine) <= openHosts {
		m.hostTable(r, r.Hosts)
		return
	}
	m.hostTable(r, bad)
	m.printf("<details><summary>%s that are as wanted</summary>\n\n", plural(len(fine), "host"))
	m.hostTable(r, fine)
	m.printf("</details>\n\n")
}

func byWell(hosts []plans.HostResult) (fine, bad []plans.HostResult) {
	for _, h := range hosts {
		if well(h.Outcome) {
			fine = append(fine, h)
		} else {
			bad = append(bad, h)
		}
	}
	return fine, bad
}

func (m *resultMarkdown) hostTable(r plans.Result, hosts []plans.HostResult) {
	if len(hosts) == 0 {
		return
	}
	m.printf("| Host | Outcome | Runs | Gen | Took | Pushed | Why |\n|---|---|---|--:|--:|--:|---|\n")
	skipped := map[bool]int{}
	shown := map[bool]int{}
	for _, h := range hosts {
		ok := well(h.Outcome)
		if shown[ok]++; m.items > 0 && shown[ok] > m.items {
			skipped[ok]++
			continue
		}
		generation := ""
		if h.Generation > 0 {
			generation = strconv.Itoa(h.Generation)
		}
		runs := code(shortSystem(h.Runs))
		if h.Runs.IsZero() && !r.DryRun {
			runs = "*unknown*"
		}
		m.b.WriteString(row(code(h.Host), outcomeMarkdown(h.Outcome), runs, generation, duration(h.Duration), pushed(h.Pushed), why(h, r.DryRun, tableReason)))
	}
	for _, ok := range []bool{false, true} {
		if n := skipped[ok]; n > 0 {
			word := "that are well"
			if !ok {
				word = "that are **not** well"
			}
			m.b.WriteString(row(fmt.Sprintf("and %d more", n), word, "", "", "", "", ""))
		}
	}
	m.printf("\n")
}

// pushed is what went over the wire, "" if nothing.
func pushed(p plans.Pushed) string {
	if p.Paths == 0 {
		return ""
	}
	return strings.ReplaceAll(size(p.Wire), " ", "&nbsp;")
}

// why is the last cell of a host's line: why it is not well, or what it went
// back to.
func why(h plans.HostResult, dry bool, width int) string {
	var parts []string
	if h.Commit != "" && well(h.Outcome) && !dry {
		parts = append(parts, "back to "+code(shortCommit(h.Commit)))
	}
	if h.Held {
		parts = append(parts, "held")
	}
	if reason := inline(cut(oneLine(h.Reason), width)); reason != "" {
		parts = append(parts, reason)
	}
	return strings.Join(parts, ", ")
}

func (m *resultMarkdown) infrastructure(r plans.Result) {
	if len(r.Resources) == 0 {
		return
	}
	m.printf("#### Infrastructure\n\n|  | Resource | Result |\n|:-:|---|---|\n")
	left := 0
	for i, x := range r.Resources {
		if m.items > 0 && i >= m.items && x.Error == "" {
			left++
			continue
		}
		word := resourceOutcome(x)
		if !x.Done {
			word = "**" + word + "**"
		}
		if x.Error != "" {
			word += ": " + inline(x.Error)
		}
		m.b.WriteString(row(code(symbol(x.Action)), prose(kindWord(x.Kind))+" "+code(x.Name), word))
	}
	if left > 0 {
		m.b.WriteString(row("", fmt.Sprintf("and %d more", left), ""))
	}
	m.printf("\n")
	if note := infraNote(r); note != "" {
		m.printf("%s\n\n", note)
	}
}
