package render

import "github.com/flotilla-nix/flotilla/internal/problem"

// NoPlanMarkdown says in a comment that there is no plan of the commit that
// budget names, and why, so that an older plan is not taken for it.
func NoPlanMarkdown(fleet string, why error, budget Budget) string {
	var text string
	for _, lines := range []int{failureLines, 40, 5, 1} {
		m := planMarkdown{detail: detail{gapLines: lines, diffWidth: 300}, budget: budget}
		m.printf("### Flotilla plan for %s\n\n> [!CAUTION]\n> **There is no plan** of %s", code(cut(oneLine(fleet), bareName)), commitWords(budget.Commit))
		switch said := fenceLines(problem.Text(why), lines, m.diffWidth); len(said) {
		case 0:
			m.printf(".\n\n")
		case 1:
			m.printf(": %s\n\n", prose(said[0]))
		default:
			m.printf(".\n>\n%s\n", fence("text", "> ", said))
		}
		m.printf("<sub>Nothing is deployed from a pull request; push a commit that repairs it, or run the job again.")
		if link := m.link("the job"); link != "" {
			m.printf(" · %s", link)
		}
		m.printf("</sub>\n")
		if text = m.b.String(); len(text) <= budget.bytes() {
			break
		}
	}
	return text
}

func commitWords(commit string) string {
	if commit == "" {
		return "this commit"
	}
	return code(shortCommit(commit))
}
