package render

import (
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text from outside takes one of these doors:
//
//	oneLine, textLines  terminals and logs: no control character, nothing hidden
//	code                Markdown: an inline code span
//	prose               Markdown: bare when it is plain words, else a code span
//	fence               Markdown: a code block
//	htmlCode            Markdown: inside <summary>, where Markdown is not read
//
// Inside code GitHub makes neither mentions nor links nor HTML of anything.

// maxName cuts names, values and other single lines of people's making.
const maxName = 200

// oneLine makes text safe for one line of a terminal: escape sequences and
// control characters go, line ends become spaces, invisible characters are
// shown by their number.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Join(textLines(s), " ")), " ")
}

// textLines is the same for text that spans lines; trailing blanks and empty
// lines at the end are dropped. Tabs become spaces.
func textLines(s string) []string {
	return splitClean(strings.ReplaceAll(s, "\t", "    "))
}

func splitClean(s string) []string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(s, "\r", "\n"), "\n") {
		lines = append(lines, strings.TrimRight(cleanLine(line), " \t"))
	}
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

func cleanLine(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if n := escapeSequence(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '\t', unicode.IsPrint(r) && !blank(r):
			b.WriteRune(r)
		case unicode.Is(unicode.Zs, r):
			b.WriteByte(' ')
		case unicode.Is(unicode.Cc, r):
		default: // invisible: a reviewer must be able to see it
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		}
	}
	return b.String()
}

// blank tells whether a character that counts as one to be seen shows nothing:
// fillers, joiners, selectors of variants (but for those that emoji end with).
func blank(r rune) bool {
	if r < 0x80 || r == '\ufe0e' || r == '\ufe0f' {
		return false
	}
	return r == '\u2800' || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// escapeSequence gives the length of the terminal escape sequence that s
// begins with, 0 if none. A sequence that does not end on its line counts as
// its first character alone, so that it cannot swallow what follows.
func escapeSequence(s string) int {
	body, ok := strings.CutPrefix(s, "\x1b")
	c1, single := strings.CutPrefix(s, "\u009b")
	switch {
	case single:
		return len(s) - len(c1) + csiLength(c1)
	case !ok:
		return 0
	case body == "":
		return 1
	}
	switch body[0] {
	case '[':
		if n := csiLength(body[1:]); n > 0 {
			return 2 + n
		}
		return 1
	case ']', 'P', 'X', '^', '_':
		for i := 1; i < len(body); i++ {
			switch {
			case body[i] == '\a':
				return 1 + i + 1
			case body[i] == 0x1b && i+1 < len(body) && body[i+1] == '\\':
				return 1 + i + 2
			}
		}
		return 1
	case '(', ')', '*', '+', '#', '%':
		return min(3, len(s))
	default:
		if body[0] >= '0' && body[0] <= '~' {
			return 2
		}
		return 1
	}
}

func csiLength(s string) int {
	for i := range len(s) {
		switch {
		case s[i] >= 0x40 && s[i] <= 0x7e:
			return i + 1
		case s[i] < 0x20 || s[i] > 0x3f:
			return 0
		}
	}
	return 0
}

// cut shortens to n characters and shows that it did.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:max(n-1, 0)]) + "…"
}

// code is an inline code span; "" stays "".
func code(s string) string {
	s = cut(oneLine(s), maxName)
	if s == "" {
		return ""
	}
	ticks := strings.Repeat("`", longestRun(s, '`')+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return ticks + s + ticks
}

// codes is a list of code spans: "`a`, `b` and 3 more".
func codes(names []string, limit int) string {
	parts := make([]string, 0, len(names))
	for _, n := range names {
		if c := code(n); c != "" {
			parts = append(parts, c)
		}
	}
	return list(parts, limit)
}

// list joins parts with commas and says how many it left out.
func list(parts []string, limit int) string {
	if limit > 0 && len(parts) > limit+1 {
		return strings.Join(parts[:limit], ", ") + fmt.Sprintf(" and %d more", len(parts)-limit)
	}
	return strings.Join(parts, ", ")
}

// prose writes plain words as they are and everything else in code spans.
func prose(s string) string {
	s = oneLine(s)
	first, rest, _ := strings.Cut(s, " ")
	if first == "" || strings.Trim(first, "0123456789.)+-=_") != "" {
		return inline(s)
	}
	// A list or a line under a heading could begin so.
	return strings.TrimSpace(code(first) + " " + inline(rest))
}

// inline is prose for the middle of a line, where a number begins no list.
func inline(s string) string {
	words := strings.Fields(cut(oneLine(s), 2*maxName))
	var out []string
	for i := 0; i < len(words); i++ {
		if plainWord(words[i]) {
			out = append(out, words[i])
			continue
		}
		from := i
		for i+1 < len(words) && !plainWord(words[i+1]) {
			i++
		}
		span := strings.Join(words[from:i+1], " ")
		start := strings.TrimLeft(span, "(")
		bare := strings.TrimRight(start, ",;:.)")
		if bare == "" { // nothing but brackets and dots
			start, bare = span, span
		}
		out = append(out, span[:len(span)-len(start)]+code(bare)+start[len(bare):])
	}
	return strings.Join(out, " ")
}

func alphanumeric(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// plainWord tells whether Markdown sees nothing but text in a word in the
// middle of a line.
func plainWord(word string) bool {
	lower := strings.ToLower(word)
	switch {
	case strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789,;.:()'%/=+-_→…–") != "":
		return false // something that may mean something to Markdown
	case !innerUnderscores(word):
		return false // emphasis
	case strings.Contains(strings.TrimSuffix(word, ":"), ":"), strings.Contains(word, "//"), strings.Contains(lower, "www."), strings.HasSuffix(lower, "http:"), strings.HasSuffix(lower, "https:"):
		return false // a link or an emoji
	case strings.Contains(lower, "gh-"):
		return false // an issue
	}
	const commit = 7 // characters from which GitHub takes a hash for one
	return !slices.ContainsFunc(strings.FieldsFunc(lower, func(r rune) bool { return !alphanumeric(r) }),
		func(token string) bool { return len(token) >= commit && isHex(token) })
}

// innerUnderscores tells whether each underscore stands between letters or
// digits, where Markdown leaves it alone.
func innerUnderscores(word string) bool {
	for i := range len(word) {
		if word[i] == '_' && (i == 0 || i == len(word)-1 || !alphanumeric(rune(word[i-1])) || !alphanumeric(rune(word[i+1]))) {
			return false
		}
	}
	return true
}

// fence is a code block of text, each line with the prefix ("> " in quotes).
func fence(language, prefix string, lines []string) string {
	run := 2
	for _, l := range lines {
		run = max(run, longestRun(l, '`'))
	}
	ticks := strings.Repeat("`", run+1)
	var b strings.Builder
	b.WriteString(prefix + ticks + language + "\n")
	for _, l := range lines {
		b.WriteString(strings.TrimRight(prefix+l, " ") + "\n")
	}
	b.WriteString(prefix + ticks + "\n")
	return b.String()
}

// fenceLines cleans untrusted text for a fence and cuts it: at most limit
// lines (0: any number) of at most width characters.
func fenceLines(s string, limit, width int) []string {
	lines := splitClean(s)
	left := 0
	if limit > 0 && len(lines) > limit+1 {
		left = len(lines) - limit
		lines = lines[:limit]
	}
	out := make([]string, 0, len(lines)+1)
	for _, l := range lines {
		out = append(out, cut(l, width))
	}
	if left > 0 {
		out = append(out, "… "+plural(left, "more line"))
	}
	return out
}

// diffBody is a diff without its two lines of file names, which are said
// beside it.
func diffBody(diff string) string {
	rest, ok := strings.CutPrefix(diff, "--- ")
	if !ok {
		return diff
	}
	_, rest, _ = strings.Cut(rest, "\n")
	if second, ok := strings.CutPrefix(rest, "+++ "); ok {
		_, body, _ := strings.Cut(second, "\n")
		return body
	}
	return diff
}

func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		run++
		if s[i] != c {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}

// htmlCode is <code> for the inside of a <summary>.
func htmlCode(s string) string {
	return "<code>" + html.EscapeString(cut(oneLine(s), maxName)) + "</code>"
}

// row is one line of a Markdown table. A pipe after a backslash cannot be
// escaped in a way that all readers agree on; it becomes a lookalike.
func row(cells ...string) string {
	var b strings.Builder
	for _, c := range cells {
		c = strings.ReplaceAll(c, `\|`, `\❘`)
		b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
	}
	b.WriteString("|\n")
	return b.String()
}

// harmless takes the meaning from what a job's log would read as a command: a
// line that begins with "::" and "##[" anywhere. The text keeps its look.
func harmless(text string) string {
	text = strings.ReplaceAll(text, "##[", "## [")
	if !strings.Contains(text, "::") {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		trimmed := strings.TrimLeft(l, " ")
		if rest, ok := strings.CutPrefix(trimmed, "::"); ok {
			lines[i] = l[:len(l)-len(trimmed)] + ": :" + rest
		}
	}
	return strings.Join(lines, "\n")
}
