package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// HeadlineChars is the longest description that GitHub takes for a commit
// status or a deployment.
const HeadlineChars = 140

// NothingChanges tells whether a plan has nothing to say about this change: it
// is complete, and neither infrastructure nor systems nor notes are in it. What
// is also pending does not count: it is not this change's.
func NothingChanges(p plans.Plan) bool { return complete(p) && p.This.Empty() && !policyChanges(p) }

// policyChanges tells whether a change edits policy, logins or the provider.
func policyChanges(p plans.Plan) bool {
	return slices.ContainsFunc(p.Warnings, func(g plans.Gap) bool { return g.Policy })
}

// Headline is a plan in one line of plain text, at most HeadlineChars long, for
// a commit status: what changes, and what is risky about it.
func Headline(p plans.Plan) string {
	head := headline(p.This)
	switch {
	case head == "" && !complete(p):
		head = "incomplete: no change found in the parts that could be planned"
	case !complete(p):
		head = "incomplete, at least " + head
	case head == "" && policyChanges(p):
		head = "no changes of servers and hosts, but of policy or logins"
	case head == "":
		head = "no changes"
	}
	tails := []string{}
	if risks := riskWords(p.This); risks != "" {
		tails = append(tails, risks)
	}
	if !p.Pending.Empty() {
		tails = append(tails, "more is pending")
	}
	return short(head, tails...)
}

// riskWords names the risk classes of a part once, worst first: "destroys, opens".
func riskWords(p plans.Part) string {
	var words []string
	for i, l := range riskLines(p) {
		if i == 0 || riskLines(p)[i-1].Risk != l.Risk {
			words = append(words, strings.TrimSuffix(strings.ToLower(l.Label[:1])+l.Label[1:], ":"))
		}
	}
	return strings.Join(words, ", ")
}

// ResultHeadline is a result in one line of plain text, at most HeadlineChars
// long, for a deployment's status.
func ResultHeadline(r plans.Result) string {
	head := outcomeTitle(r)
	switch {
	case r.Superseded != "":
		return short("superseded by " + shortCommit(r.Superseded))
	case stoppedAtReview(r):
		return short("refused: " + plural(len(r.Unreviewed), "change") + " that no reviewed plan has shown")
	}
	if r.ExitCode == problem.OK {
		return short(head)
	}
	return short(head, cmp.Or(firstLine(r.Failure), codeMeaning(r.ExitCode)))
}

func firstLine(s string) string {
	for _, l := range textLines(s) {
		if l = strings.TrimSpace(l); l != "" {
			return oneLine(strings.TrimPrefix(l, "error: "))
		}
	}
	return ""
}

// short joins what fits, most important first.
func short(head string, tails ...string) string {
	s := head
	for _, t := range tails {
		s += " · " + t
	}
	return cut(harmless(oneLine(s)), HeadlineChars)
}
