package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds against files that are made to hurt: YAML is parsed by recursion, and
// aliases of aliases grow exponentially.
const (
	maxTokens = 60_000
	maxDepth  = 60
	maxNodes  = 100_000
)

// parse makes the node tree of the one document; nil after a problem.
func (s *source) parse(text string) (root *node) {
	if !s.acceptable(text) {
		return nil
	}
	defer func() {
		// The library is not ours: a panic of it must not be ours either.
		if r := recover(); r != nil {
			root = nil
			p := s.add(position{}, "cannot be read as YAML", "Simplify the file until it can be read; the plain forms of YAML are enough for it.")
			p.Detail = printable(fmt.Sprint(r))
		}
	}()
	tokens := lexer.Tokenize(text)
	if !s.bounded(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		s.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		switch {
		case doc.Body == nil || doc.Body.Type() == ast.DirectiveType || doc.Body.Type() == ast.CommentType:
		case body == nil:
			body = doc.Body
		default:
			s.report(start(doc.Body), "a second YAML document begins above this line", "One file describes one fleet: remove the line --- and what follows, or move it into a file of its own and use --config.")
			return nil
		}
	}
	if body == nil || body.Type() == ast.NullType {
		s.report(position{}, "the file is empty", "Begin with the fleet's name, for example: fleet: acme")
		return nil
	}
	t := builder{source: s, anchors: map[string]*node{}}
	root = t.build(body)
	if len(s.problems) > 0 {
		return nil
	}
	return root
}

func (s *source) acceptable(text string) bool {
	if len(text) > maxSize {
		s.report(position{}, fmt.Sprintf("the file is larger than %d KiB", maxSize>>10), "flotilla.yaml holds settings, not data: a fleet of 500 servers needs about 100 KiB.")
		return false
	}
	for i, line := range s.lines {
		if !utf8.ValidString(line) {
			s.report(position{i + 1, 1}, "this line is not UTF-8 text", "Save the file in UTF-8.")
			return false
		}
		if at := strings.IndexByte(line, 0); at >= 0 {
			s.report(position{i + 1, at + 1}, "this line holds a NUL character", "Save the file as text in UTF-8.")
			return false
		}
	}
	return true
}

// bounded refuses what would make the parser recurse too deep.
func (s *source) bounded(tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		s.report(position{}, fmt.Sprintf("the file has more than %d words", maxTokens), "flotilla.yaml holds settings, not data.")
		return false
	}
	flow, line, onLine := 0, 0, 0
	for _, t := range tokens {
		if t.Position == nil {
			continue
		}
		at := position{t.Position.Line, t.Position.Column}
		if t.Position.Line != line {
			line, onLine = t.Position.Line, 0
		}
		switch t.Type {
		case token.TagType:
			s.report(at, "an unquoted ! begins a YAML tag, which has no meaning in flotilla.yaml", quoteHint(s.lines, at))
			return false
		case token.MappingStartType, token.SequenceStartType:
			flow++
		case token.MappingEndType, token.SequenceEndType:
			flow--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType:
			onLine++
		default:
		}
		// Blocks nest by indentation, so the column bounds their depth.
		if flow > maxDepth || onLine > maxDepth && flow == 0 || flow == 0 && onLine > 0 && at.column > 20*maxDepth {
			s.report(at, "the file nests too deep", fmt.Sprintf("Nothing in flotilla.yaml needs more than %d levels.", maxDepth))
			return false
		}
	}
	return true
}

// syntax reports what the parser said.
func (s *source) syntax(err error) {
	for i, line := range s.lines {
		blank := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if at := strings.IndexByte(blank, '\t'); at >= 0 && strings.TrimSpace(line) != "" {
			s.report(position{i + 1, at + 1}, "this line is indented with a tab", "YAML allows only spaces there: use two per level.")
			return
		}
	}
	var at position
	message := err.Error()
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		message = syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			at = position{t.Position.Line, t.Position.Column}
		}
	}
	for i, line := range s.lines[:min(max(at.line, 0), len(s.lines))] {
		// The parser trips over an unquoted selector only further down.
		if m := unquotedKey.FindStringSubmatch(line); m != nil {
			s.report(position{i + 1, utf8.RuneCountInString(m[1]) + 1}, fmt.Sprintf("%s has a meaning in YAML when it is not in quotes", m[2]), fmt.Sprintf("Put it in quotes: \"%s\".", m[2]))
			return
		}
	}
	p := s.add(at, "this is not valid YAML", quoteHint(s.lines, at))
	p.Cause = problemText(message)
}

var (
	unquotedKey = regexp.MustCompile("^([ -]*)([*@%!`][^ \"':]{0,60}):( |$)")
	noSpace     = regexp.MustCompile(`^[ -]*([a-z_]{1,40}):[^ /]`)
)

// problemText is a message of the YAML library as a cause.
type problemText string

func (t problemText) Error() string { return printable(string(t)) }

var _ error = problemText("")

// quoteHint looks for the usual reason: characters with a meaning in YAML
// where a selector begins.
func quoteHint(lines []string, at position) string {
	if at.line >= 1 && at.line <= len(lines) {
		line := lines[at.line-1]
		if m := noSpace.FindStringSubmatch(line); m != nil {
			return fmt.Sprintf("Write a space after the colon of %s:", m[1])
		}
		words := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" \t[{,", r) })
		for _, w := range words {
			if name := strings.TrimRight(w, ":]},"); name != "" && strings.ContainsRune("@*!%`", rune(w[0])) {
				return fmt.Sprintf("Put it in quotes: \"%s\".", name)
			}
		}
	}
	return "Look at this line and the one above: indentation (two spaces per level), a space after each colon, brackets and quotes that are closed."
}
