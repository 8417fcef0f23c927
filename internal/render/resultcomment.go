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
	fine, bad := byWell(r.Hosts)
	m.badTable(r, bad)
	m.fineHosts(r, fine)
	m.leftovers(r)
	m.nextSteps(bad)
	m.footer(r)
}

// badTable names each host that is not well, and why.
func (m *resultMarkdown) badTable(r plans.Result, bad []plans.HostResult) {
	if len(bad) == 0 {
		return
	}
	m.printf("| Host | Outcome | Why |\n|---|---|---|\n")
	for i, h := range bad {
		if n := m.limit(many * 3); i == n && i < len(bad)-1 {
			m.b.WriteString(row(fmt.Sprintf("and %d more", len(bad)-i), "that are **not** well", ""))
			break
		}
		m.b.WriteString(row(code(h.Host), outcomeMarkdown(h.Outcome), why(h, r.DryRun, maxName)))
	}
	m.printf("\n")
}

// fineHosts names the hosts that are well, those of a rollback by the commit
// that they went back to.
func (m *resultMarkdown) fineHosts(r plans.Result, fine []plans.HostResult) {
	var commits []string
	hosts := map[string][]string{}
	for _, h := range fine {
		if _, known := hosts[h.Commit]; !known {
			commits = append(commits, h.Commit)
		}
		hosts[h.Commit] = append(hosts[h.Commit], h.Host)
	}
	for i, commit := range commits {
		if n := m.limit(12); i == n && i < len(commits)-1 {
			m.printf("and hosts of %d more commits\n\n", len(commits)-i)
			break
		}
		what := "As wanted"
		switch {
		case commit != "" && r.DryRun:
			what = "Would go back to " + code(shortCommit(commit))
		case commit != "":
			what = "Back to " + code(shortCommit(commit))
		}
		m.printf("%s: %s\n\n", what, m.names(hosts[commit]))
	}
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
