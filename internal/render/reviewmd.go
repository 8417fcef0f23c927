package render

import (
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// superseded says that another deploy has taken this one's place.
func (m *resultMarkdown) superseded(r plans.Result) {
	if r.Superseded != "" {
		m.printf("> [!NOTE]\n> **Superseded** by %s: that newer commit's deploy brings this one's changes as well, so this one left the fleet to it.\n\n",
			code(shortCommit(r.Superseded)))
	}
}

// unreviewed names the changes that no reviewed plan showed, and what came to
// the branch in another way.
func (m *resultMarkdown) unreviewed(r plans.Result) {
	if len(r.Unreviewed) == 0 {
		return
	}
	refused := stoppedAtReview(r)
	kind, done := "WARNING", "The fleet's policy or whoever ran this gave leave."
	switch {
	case refused && untouched(r):
		kind, done = "CAUTION", "Nothing was changed."
	case refused:
		kind, done = "CAUTION", "The deploy stopped there."
	}
	if refused {
		done = "Refused. " + done
	}
	m.printf("> [!%s]\n> **%s that no merged pull request's plan has shown.** %s\n>\n", kind, plural(len(r.Unreviewed), "change"), done)
	for i, d := range r.Unreviewed {
		if n := m.limit(50); i == n && i < len(r.Unreviewed)-1 {
			m.printf("> - and %d more\n", len(r.Unreviewed)-i)
			break
		}
		m.printf("> - %s\n", m.digest(d))
	}
	if refused {
		m.printf(">\n> **Next:** look at them. To apply them all the same, start the deploy by hand with %s.\n", code("confirm: true"))
	}
	m.printf("\n")
	m.reviewed(r.Reviewed)
	if lines := fenceLines(r.Failure, failureLines, m.diffWidth); refused && len(lines) > 1 && m.gapLines > 0 {
		m.details("the error in full", strings.TrimSpace(fence("text", "", lines)))
	}
}

// stoppedAtReview tells whether a deploy ended at what nobody has reviewed.
func stoppedAtReview(r plans.Result) bool {
	return len(r.Unreviewed) > 0 && r.ExitCode == problem.Refused && r.Failure != ""
}

// untouched tells whether a result is of a run that changed nothing.
func untouched(r plans.Result) bool {
	for _, x := range r.Resources {
		if x.Done {
			return false
		}
	}
	return len(r.Hosts) == 0
}

// digest is one change in a line.
func (m *resultMarkdown) digest(d plans.Digest) string {
	text := "`" + symbol(d.Action) + "` "
	if kind, name, found := strings.Cut(d.Subject, "/"); found && strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz_") == "" {
		text += inline(kindWord(plans.ResourceKind(kind))) + " " + code(name)
	} else {
		text += code(d.Subject)
	}
	if len(d.What) > 0 {
		text += ": " + codes(d.What, m.limit(12))
	}
	if len(d.Risks) > 0 {
		risks := make([]string, 0, len(d.Risks))
		for _, r := range d.Risks {
			risks = append(risks, inline(string(r)))
		}
		text += " **(" + list(risks, m.limit(8)) + ")**"
	}
	return text
}

// reviewed says what was not reviewed because nobody could.
func (m *resultMarkdown) reviewed(r *plans.Reviewed) {
	if r == nil || len(r.Direct)+len(r.Unplanned) == 0 {
		return
	}
	for i, d := range r.Direct {
		if n := m.limit(20); i == n && i < len(r.Direct)-1 {
			m.printf("- and %d more\n", len(r.Direct)-i)
			break
		}
		text := code(shortCommit(d.Commit)) + " " + code(cut(d.Subject, 80))
		if by := code(d.Author); by != "" {
			text += " by " + by
		}
		m.bullet("pushed without a pull request:", text)
	}
	for i, u := range r.Unplanned {
		if n := m.limit(20); i == n && i < len(r.Unplanned)-1 {
			m.printf("- and %d more\n", len(r.Unplanned)-i)
			break
		}
		m.printf("- **merged without a plan that counts:** pull request `%d`, %s\n", u.Number, inline(u.Why))
	}
	m.printf("\n")
}
