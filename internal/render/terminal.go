package render

import (
	"io"
	"strings"
	"unicode/utf8"
)

// ink is a colour of terminal text.
type ink string

const (
	bold   ink = "1"
	dim    ink = "2"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
	cyan   ink = "36"
)

// terminal collects text for a terminal and writes it at once.
type terminal struct {
	o Options
	b strings.Builder
}

func (t *terminal) paint(c ink, s string) string {
	if !t.o.Color || s == "" {
		return s
	}
	return "\x1b[" + string(c) + "m" + s + "\x1b[0m"
}

// line writes one line; its text is safe already (oneLine).
func (t *terminal) line(parts ...string) {
	t.b.WriteString(strings.TrimRight(strings.Join(parts, ""), " ") + "\n")
}

func (t *terminal) blank() { t.b.WriteByte('\n') }

// flush writes what was collected, with what a job's log would read as a
// command made harmless.
func (t *terminal) flush(w io.Writer) error {
	_, err := io.WriteString(w, harmless(t.b.String()))
	return err
}

// wrap breaks text at blanks to the width; lines after the first are indented.
// Words that are too long stand alone.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		for utf8.RuneCountInString(word) > width {
			if line != "" {
				lines, line = append(lines, line), ""
			}
			r := []rune(word)
			lines = append(lines, string(r[:width]))
			word = string(r[width:])
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// field writes "label  text", wrapped below itself.
func (t *terminal) field(indent, labelWidth int, label, text string) {
	pad := strings.Repeat(" ", indent)
	room := max(t.o.width()-indent-labelWidth-1, 20)
	for i, l := range wrap(text, room) {
		if i > 0 {
			label = ""
		}
		t.line(pad, padRight(label, labelWidth), " ", l)
	}
}

// quote writes lines of untrusted text, each behind a bar.
func (t *terminal) quote(indent int, lines []string, limit int) {
	pad := strings.Repeat(" ", indent) + "| "
	left := 0
	if limit > 0 && len(lines) > limit+1 {
		left = len(lines) - limit
		lines = lines[:limit]
	}
	for _, l := range lines {
		c := ink("")
		switch {
		case strings.HasPrefix(l, "+"):
			c = green
		case strings.HasPrefix(l, "-"):
			c = red
		}
		width := max(t.o.width()-indent-4, 20)
		if strings.HasPrefix(strings.TrimSpace(l), "|") {
			width = maxLine // a source line and the mark under it stay in line
		}
		for i, piece := range fold(cut(l, maxLine), width) {
			if i > 0 {
				piece = "  " + piece
			}
			if c != "" {
				piece = t.paint(c, piece)
			}
			t.line(pad, piece)
		}
	}
	if left > 0 {
		t.line(pad, t.paint(dim, "… "+plural(left, "more line")))
	}
}

// maxLine cuts single lines of logs and files.
const maxLine = 1000

// fold breaks a line at the width, at a blank if one is near, and keeps every
// character.
func fold(s string, width int) []string {
	const near = 20
	r := []rune(s)
	var out []string
	for len(r) > width {
		n := width
		for i := width; i > max(width-near, 0); i-- {
			if r[i] == ' ' {
				n = i + 1
				break
			}
		}
		out, r = append(out, string(r[:n])), r[n:]
	}
	return append(out, string(r))
}

func padRight(s string, n int) string {
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// table writes aligned columns. Cells are safe already; the last column takes
// the rest of the width and is cut there, all others are cut at 40.
func (t *terminal) table(indent int, rows [][]string, color func(row, col int) ink) {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], min(utf8.RuneCountInString(c), 40))
		}
	}
	for n, r := range rows {
		used := indent
		out := []string{strings.Repeat(" ", indent)}
		for i, c := range r {
			last := i == len(r)-1
			room := widths[i]
			if last {
				room = max(t.o.width()-used, 12)
			}
			c = cut(c, room)
			pad := ""
			if !last {
				pad = strings.Repeat(" ", max(0, room-utf8.RuneCountInString(c))+2)
			}
			if color != nil {
				if k := color(n, i); k != "" {
					c = t.paint(k, c)
				}
			}
			out = append(out, c, pad)
			used += room + 2
		}
		t.line(out...)
	}
}

// names lists names for a terminal, many of them by first, last and number.
func names(hosts []string) string {
	clean := make([]string, 0, len(hosts))
	for _, h := range hosts {
		clean = append(clean, cut(oneLine(h), 64))
	}
	if n := len(clean); n > 8 {
		return plural(n, "host") + " (" + clean[0] + " … " + clean[n-1] + ")"
	}
	return strings.Join(clean, ", ")
}

// words makes each string safe for a line and joins them.
func words(all []string) string {
	clean := make([]string, 0, len(all))
	for _, s := range all {
		clean = append(clean, cut(oneLine(s), maxName))
	}
	return strings.Join(clean, ", ")
}
