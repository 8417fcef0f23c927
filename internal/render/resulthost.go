package render

import (
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// notWell says all about each host that is not well.
func (m *resultMarkdown) notWell(hosts []plans.HostResult) {
	bad := 0
	for _, h := range hosts {
		if !well(h.Outcome) {
			bad++
		}
	}
	const fewOpen = 2 // logs of more hosts are folded
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
		m.checks(h.Checks)
		for _, s := range next(h.Outcome, h.Host) {
			text := s.Text
			if s.Command != "" {
				text += " " + code(s.Command)
			}
			m.bullet("next:", text)
		}
		m.printf("\n")
		m.log(h, bad <= fewOpen)
	}
}

// checks lists those that failed.
func (m *resultMarkdown) checks(all []plans.CheckResult) {
	failed := 0
	for _, c := range all {
		if c.Healthy {
			continue
		}
		if failed++; failed <= m.limit(20) {
			m.bullet("check failed:", strings.TrimSpace(code(c.Name)+" "+inline(c.Detail)))
		}
	}
	if more := failed - m.limit(20); more > 0 {
		m.printf("- and %s that failed\n", plural(more, "more check"))
	}
}

func (m *resultMarkdown) log(h plans.HostResult, open bool) {
	if len(h.Log) == 0 || m.gapLines == 0 {
		return
	}
	lines := fenceLines(strings.Join(h.Log, "\n"), 0, m.diffWidth)
	lines = lines[max(0, len(lines)-m.gapLines):]
	if len(lines) == 0 {
		return
	}
	tag := "<details>"
	if open {
		tag = "<details open>"
	}
	m.printf("%s<summary>last lines of the log</summary>\n\n%s\n</details>\n\n", tag, fence("text", "", lines))
}
