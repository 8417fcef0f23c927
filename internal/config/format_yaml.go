package config

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// item is a YAML value to be written.
type item struct {
	kind  kind
	text  string // scalars
	pairs []pair // of a mapping
	items []*item
	roomy bool // one key per line
}

type pair struct {
	key   string
	value *item
}

// maxLine is how long a line with several values may get.
const maxLine = 120

// block writes a mapping or list, one element per line. The cursor is where
// its first line begins.
func (n *item) block(out *strings.Builder, indent int) {
	margin := strings.Repeat(" ", indent)
	for i, p := range n.pairs {
		if i > 0 {
			out.WriteString(margin)
		}
		key := scalar(p.key)
		out.WriteString(key + ":")
		p.value.after(out, indent, indent+utf8.RuneCountInString(key)+2)
	}
	for i, element := range n.items {
		if i > 0 {
			out.WriteString(margin)
		}
		out.WriteString("-")
		if element.kind == kindMapping && (!element.short(indent+2) || len(element.pairs) == 1 && element.pairs[0].value.depth() > 0) {
			out.WriteString(" ")
			element.block(out, indent+2)
			continue
		}
		element.after(out, indent, indent+2)
	}
}

// after writes a value after its key or dash, and ends the line. column is
// where it begins on that line.
func (n *item) after(out *strings.Builder, indent, column int) {
	switch {
	case n.kind == kindText && multiline(n.text):
		n.literal(out, indent+2)
	case n.kind != kindMapping && n.kind != kindSequence || n.short(column):
		out.WriteString(" " + n.flow() + "\n")
	default:
		out.WriteString("\n" + strings.Repeat(" ", indent+2))
		n.block(out, indent+2)
	}
}

// short tells whether a person would write the value on one line.
func (n *item) short(column int) bool {
	if len(n.pairs)+len(n.items) == 0 {
		return true
	}
	if n.roomy && (len(n.pairs) > 1 || n.depth() > 1) || n.depth() > 2 || n.many() {
		return false
	}
	return column+utf8.RuneCountInString(n.flow()) <= maxLine
}

// many tells whether the value holds what deserves lines of its own.
func (n *item) many() bool {
	if n.kind == kindText {
		return multiline(n.text)
	}
	if len(n.items) > 1 && n.items[0].kind == kindMapping {
		return true
	}
	// In a list, "- http: {…}" reads better than "- {http: {…}}".
	if n.kind == kindSequence && slices.ContainsFunc(n.items, func(i *item) bool { return i.depth() > 1 }) {
		return true
	}
	return slices.ContainsFunc(n.items, (*item).many) || slices.ContainsFunc(n.pairs, func(p pair) bool { return p.value.many() })
}

// depth is how many brackets nest.
func (n *item) depth() int {
	if n.kind != kindMapping && n.kind != kindSequence {
		return 0
	}
	deepest := 0
	for _, p := range n.pairs {
		deepest = max(deepest, p.value.depth())
	}
	for _, i := range n.items {
		deepest = max(deepest, i.depth())
	}
	return deepest + 1
}

// flow is the value on one line.
func (n *item) flow() string {
	var parts []string
	switch n.kind {
	case kindMapping:
		for _, p := range n.pairs {
			parts = append(parts, scalar(p.key)+": "+p.value.flow())
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case kindSequence:
		for _, i := range n.items {
			parts = append(parts, i.flow())
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case kindText:
		return scalar(n.text)
	case kindNumber, kindBool, kindNull:
	}
	return n.text
}

// multiline tells whether text can be written as lines below a |, unchanged.
func multiline(text string) bool {
	body := strings.TrimSuffix(text, "\n")
	if !strings.Contains(body, "\n") || strings.HasPrefix(body, "\n") || strings.HasSuffix(body, "\n") {
		return false
	}
	for i, line := range strings.Split(body, "\n") {
		if strings.TrimRight(line, " \t") != line || i == 0 && strings.TrimLeft(line, " \t") != line {
			return false
		}
	}
	return !strings.ContainsFunc(body, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) })
}

func (n *item) literal(out *strings.Builder, indent int) {
	body, ended := strings.CutSuffix(n.text, "\n")
	out.WriteString(" |")
	if !ended {
		out.WriteString("-")
	}
	for line := range strings.SplitSeq(body, "\n") {
		out.WriteString("\n")
		if line != "" {
			out.WriteString(strings.Repeat(" ", indent) + line)
		}
	}
	out.WriteString("\n")
}

var (
	plainText = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./@+=-]*( [A-Za-z0-9_./@+=-]+)*$`)
	// YAML reads some words as something else than text, and more in its older versions.
	plainWord = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null|nan|inf|\.nan|\.inf)$`)
	numeric   = regexp.MustCompile(`^[-+.0-9][0-9a-fA-FxXoO_.eE+-]*$`)
	portRange = regexp.MustCompile(`^[0-9]+-[0-9]+$`)
)

// scalar is text as YAML writes it, in quotes where it needs them.
func scalar(s string) string {
	if plainText.MatchString(s) && !plainWord.MatchString(s) && (!numeric.MatchString(s) || isAddress(s) || portRange.MatchString(s) && len(s) > 4) {
		return s
	}
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out.WriteRune('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\t':
			out.WriteString(`\t`)
		case unicode.IsPrint(r) && r != '\ufeff':
			out.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&out, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&out, `\u%04x`, r)
		default:
			fmt.Fprintf(&out, `\U%08x`, r)
		}
	}
	out.WriteByte('"')
	return out.String()
}

func isAddress(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is4()
}
