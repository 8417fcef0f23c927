package render

import "github.com/flotilla-nix/flotilla/internal/problem"

// ErrorMarkdown is an error for people, in a fence.
func ErrorMarkdown(err error) string {
	return "❌ This did not work.\n\n" + fence("text", "", fenceLines(problem.Text(err), 60, 300))
}
