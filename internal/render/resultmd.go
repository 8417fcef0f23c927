package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// ResultMarkdown renders a result for a job summary: the outcome of each host
// first, then all about each that is not well. Too large for the budget, it
// shows fewer log lines, then fewer hosts that are well; failures stay.
func ResultMarkdown(r plans.Result, budget Budget) string {
	var text string
	for _, d := range []detail{
		{gapLines: 100, diffWidth: 1000},
		{gapLines: 20, diffWidth: 300, items: 500, leftOut: "most lines of logs"},
		{gapLines: 5, diffWidth: 200, items: 100, leftOut: "most lines of logs, some hosts that are well"},
		{gapLines: 0, diffWidth: 120, items: 30, leftOut: "logs and some hosts"},
		{gapLines: 0, diffWidth: 80, items: 3, leftOut: "logs and most hosts"},
	} {
		m := resultMarkdown{planMarkdown{detail: d, budget: budget}}
		m.result(r)
		if text = m.b.String(); len(text) <= budget.bytes() {
			break
		}
	}
	return text
}

type resultMarkdown struct{ planMarkdown }

func (m *resultMarkdown) result(r plans.Result) {
	title := outcomeTitle(r)
	m.printf("### Flotilla %s of %s: %s\n\n", prose(r.Command), code(r.Fleet), title)
	m.verdict(r)
	m.hostTable(r.Hosts)
	m.infrastructure(r)
	m.notWell(r.Hosts)
	if left := settled(r.Hosts); len(left) > 0 {
		m.printf("#### Settled from an earlier run\n\n")
		m.gaps(left, "")
		m.printf("\n")
	}
	m.warnings(resultWarnings(r.Hosts))
	m.printf("<sub>%s", code(shortCommit(r.Revision.Commit)))
	if s := code(cut(oneLine(r.Revision.Subject), 80)); s != "" {
		m.printf(" %s", s)
	}
	if d := duration(r.Duration); d != "" {
		m.printf(" · took %s", d)
	}
	m.printf(" · exit code %d</sub>\n", int(r.ExitCode))
	if m.leftOut != "" {
		where := "the JSON form of this result"
		if m.budget.Full != "" {
			where = m.where()
		}
		m.printf("\n> [!NOTE]\n> Left out, to fit the size limit: %s. All of it: %s.\n", m.leftOut, where)
	}
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
	text = strings.ToUpper(text[:1]) + text[1:] + "."
	if kind == "" {
		m.printf("%s\n\n", text)
		return
	}
	m.printf("> [!%s]\n> %s\n", kind, text)
	if lines := fenceLines(r.Failure, failureLines, m.diffWidth); len(lines) == 1 {
		m.printf(">\n> %s\n", prose(lines[0]))
	} else if len(lines) > 1 {
		m.printf(">\n%s", fence("text", "> ", lines))
	}
	m.printf("\n")
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
	return mark + " " + word
}

// tableReason cuts a reason in the table of hosts; below it stands in full.
const tableReason = 50

func (m *resultMarkdown) hostTable(hosts []plans.HostResult) {
	if len(hosts) == 0 {
		return
	}
	m.printf("| Host | Outcome | Runs | Generation | Took | Why |\n|---|---|---|--:|--:|---|\n")
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
		if h.Runs.IsZero() {
			runs = "*unknown*"
		}
		m.b.WriteString(row(code(h.Host), outcomeMarkdown(h.Outcome), runs, generation, duration(h.Duration), inline(cut(oneLine(h.Reason), tableReason))))
	}
	for _, ok := range []bool{false, true} {
		if n := skipped[ok]; n > 0 {
			word := "that are well"
			if !ok {
				word = "that are **not** well"
			}
			m.b.WriteString(row(fmt.Sprintf("and %d more", n), word, "", "", "", ""))
		}
	}
	m.printf("\n")
}

func (m *resultMarkdown) notWell(hosts []plans.HostResult) {
	n := 0
	for _, h := range hosts {
		if well(h.Outcome) {
			continue
		}
		if n++; m.items > 0 && n > m.items {
			continue // counted in the table
		}
		m.printf("#### %s: %s\n\n", code(h.Host), inline(string(h.Outcome)))
		m.bullet("why:", inline(h.Reason))
		m.bullet("runs now:", inline(runsText(h)))
		for i, c := range h.Checks {
			if !c.Healthy && i < 50 {
				m.bullet("check failed:", strings.TrimSpace(code(c.Name)+" "+inline(c.Detail)))
			}
		}
		for _, s := range next(h.Outcome, h.Host) {
			text := s.Text
			if s.Command != "" {
				text += " " + code(s.Command)
			}
			m.bullet("next:", text)
		}
		m.printf("\n")
		m.log(h)
	}
}

func (m *resultMarkdown) log(h plans.HostResult) {
	if len(h.Log) == 0 || m.gapLines == 0 {
		return
	}
	lines := fenceLines(strings.Join(h.Log, "\n"), 0, m.diffWidth)
	lines = lines[max(0, len(lines)-m.gapLines):]
	m.printf("<details open><summary>last lines of the log</summary>\n\n%s\n</details>\n\n", fence("text", "", lines))
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
