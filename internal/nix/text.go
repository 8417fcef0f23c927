package nix

import (
	"regexp"
	"strings"
	"unicode"
)

var escapeSequence = regexp.MustCompile("\x1b(\\[[0-9;?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)?|.)?")

// harmless takes from untrusted text what acts on a terminal or on a job's
// log: escape sequences, control and invisible characters, workflow commands
// at the start of a line. Lines and tabs stay.
func harmless(text string) string {
	text = escapeSequence.ReplaceAllString(strings.ToValidUTF8(text, "\uFFFD"), "")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == '\u2028' || r == '\u2029' || r == '\r':
			return '\n'
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = quiet(line)
	}
	return strings.Join(lines, "\n")
}

// quiet breaks a workflow command; the runner knows "::" and "##[" after blanks.
func quiet(line string) string {
	start := len(line) - len(strings.TrimLeftFunc(line, unicode.IsSpace))
	for _, word := range []string{"::", "##["} {
		if rest, ok := strings.CutPrefix(line[start:], word); ok {
			return line[:start] + word[:1] + " " + word[1:] + rest
		}
	}
	return line
}

// clip cuts text to a number of lines and bytes, and says so.
func clip(text string, lines, size int) string {
	const more = "…"
	if parts := strings.SplitN(text, "\n", lines+1); len(parts) > lines {
		text = strings.Join(parts[:lines], "\n") + "\n" + more
	}
	if len(text) > size {
		text = strings.ToValidUTF8(text[:size], "") + more
	}
	return text
}
