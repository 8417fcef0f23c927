package render

import (
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// ResultComment renders a result in short, for the pull request whose merge was
// deployed: what became of it, each host that is not well with why and what to
// do next, and where the rest is told.
func ResultComment(r plans.Result, budget Budget) string {
	return resultLadder(r, budget, (*resultMarkdown).comment)
}

func (m *resultMarkdown) comment(r plans.Result) {
	m.printf("### Flotilla %s of %s: %s\n\n", prose(command(r)), code(r.Fleet), outcomeTitle(r))
	m.verdict(r)
	m.superseded(r)
	m.unreviewed(r)
	m.asked(r)
	var fine []string
	var bad []plans.HostResult
	for _, h := range r.Hosts {
		if well(h.Outcome) {
			fine = append(fine, h.Host)
		} else {
			bad = append(bad, h)
		}
	}
	m.hostTable(r, bad[:min(len(bad), m.limit(many*3))])
	if n := len(bad) - m.limit(many*3); n > 0 {
		m.printf("and %d more that are **not** well\n\n", n)
	}
	if len(fine) > 0 {
		m.printf("As wanted: %s\n\n", m.names(fine))
	}
	m.leftovers(r)
	m.nextSteps(bad)
	m.footer(r)
}

// leftovers is the infrastructure that is not as wanted.
func (m *resultMarkdown) leftovers(r plans.Result) {
	n := 0
	for _, x := range r.Resources {
		if x.Done {
			continue
		}
		if n++; n > m.limit(many*2) {
			continue
		}
		text := prose(kindWord(x.Kind)) + " " + code(x.Name)
		if x.Error != "" {
			text += ": " + inline(x.Error)
		}
		m.bullet(resourceOutcome(x), text)
	}
	if more := n - m.limit(many*2); more > 0 {
		m.printf("- and %d more\n", more)
	}
	if n > 0 {
		m.printf("\n")
	}
}

// nextSteps says once what to do, for all hosts of one outcome.
func (m *resultMarkdown) nextSteps(bad []plans.HostResult) {
	for _, o := range outcomes() {
		var hosts []string
		for _, h := range bad {
			if h.Outcome == o {
				hosts = append(hosts, h.Host)
			}
		}
		if len(hosts) == 0 {
			continue
		}
		for _, s := range nextOn(o, selector(hosts)) {
			text := s.Text
			if s.Command != "" {
				text += " " + code(s.Command)
			}
			m.bullet(fmt.Sprintf("next, %s:", strings.ReplaceAll(string(o), "-", " ")), text)
		}
	}
	if len(bad) > 0 {
		m.printf("\n")
	}
}
