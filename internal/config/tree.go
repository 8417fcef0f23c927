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
	maxTokens = 200_000
	maxDepth  = 60
	maxNodes  = 100_000
)

type kind string

// The kinds of nodes, as they are named to people.
const (
	kindMapping  kind = "a section (key: value)"
	kindSequence kind = "a list"
	kindText     kind = "text"
	kindNumber   kind = "a number"
	kindBool     kind = "true or false"
	kindNull     kind = "empty"
)

// node is a YAML value with its place. It hides the YAML library from the rest
// of the package; aliases and merge keys are resolved.
type node struct {
	kind   kind
	text   string // scalars, as written
	key    position
	value  position
	fields []field // of a mapping, in file order, each name once
	items  []*node
	bad    bool // decoding it failed and was reported
}

type field struct {
	name  string
	value *node
}

// get gives the value of a key, nil if there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name {
			return f.value
		}
	}
	return nil
}

// good gives the value of a key if it is there and could be decoded, else nil.
func (n *node) good(name string) *node {
	if v := n.get(name); v != nil && !v.bad {
		return v
	}
	return nil
}

// parse makes the node tree of the one document; nil after a problem.
func (s *source) parse(text string) (root *node) {
	if !s.acceptable(text) {
		return nil
	}
	tokens := lexer.Tokenize(text)
	if !s.bounded(tokens) {
		return nil
	}
	defer func() {
		// The library is not ours: a panic of it must not be ours either.
		if r := recover(); r != nil {
			root = nil
			p := s.report(position{}, "cannot be read as YAML", "Simplify the file until it can be read; the plain forms of YAML are enough for it.")
			p.Detail = fmt.Sprint(r)
		}
	}()
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
	p := s.report(at, "this is not valid YAML", quoteHint(s.lines, at))
	p.Cause = problemText(message)
}

var (
	unquotedKey = regexp.MustCompile("^([ -]*)([*@%!`][^ \"':]{0,60}):( |$)")
	noSpace     = regexp.MustCompile(`^[ -]*([a-z_]{1,40}):[^ /]`)
)

// problemText is a message of the YAML library as a cause.
type problemText string

func (t problemText) Error() string { return string(t) }

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

// builder turns the library's tree into nodes.
type builder struct {
	source  *source
	anchors map[string]*node
	nodes   int
	full    bool
}

func (t *builder) build(n ast.Node) *node {
	if !t.count(start(n)) {
		return &node{kind: kindNull}
	}
	out := &node{value: start(n), key: start(n)}
	switch v := n.(type) {
	case *ast.MappingNode:
		out.kind = kindMapping
		t.fields(out, v.Values)
	case *ast.MappingValueNode:
		out.kind = kindMapping
		t.fields(out, []*ast.MappingValueNode{v})
	case *ast.SequenceNode:
		out.kind = kindSequence
		for _, item := range v.Values {
			out.items = append(out.items, t.build(item))
		}
	case *ast.AnchorNode:
		out = t.build(v.Value)
		t.anchors[nameOf(v.Name)] = out
	case *ast.AliasNode:
		name := nameOf(v.Value)
		target, ok := t.anchors[name]
		if !ok {
			t.source.report(start(n), fmt.Sprintf("the alias *%s has no anchor &%s above it", name, name),
				fmt.Sprintf("Write &%s before the section that it stands for, or put it in quotes if it is a glob: \"*%s\".", name, name))
			return &node{kind: kindNull, bad: true}
		}
		out = t.copy(target)
	case *ast.StringNode:
		out.kind, out.text = kindText, v.Value
	case *ast.LiteralNode:
		out.kind, out.text = kindText, v.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = kindNumber, n.GetToken().Value
	case *ast.BoolNode:
		out.kind, out.text = kindBool, n.GetToken().Value
	case *ast.NullNode:
		out.kind = kindNull
	default:
		t.source.report(start(n), "this form of YAML has no meaning in flotilla.yaml", quoteHint(t.source.lines, start(n)))
		return &node{kind: kindNull, bad: true}
	}
	return out
}

// count bounds the tree, aliases included.
func (t *builder) count(at position) bool {
	t.nodes++
	if t.nodes <= maxNodes {
		return true
	}
	if !t.full {
		t.full = true
		t.source.report(at, fmt.Sprintf("aliases make this file larger than %d values", maxNodes), "Write out what the aliases stand for.")
	}
	return false
}

func (t *builder) copy(n *node) *node {
	if !t.count(n.value) {
		return &node{kind: kindNull}
	}
	c := *n
	c.fields, c.items = nil, nil
	for _, f := range n.fields {
		c.fields = append(c.fields, field{f.name, t.copy(f.value)})
	}
	for _, item := range n.items {
		c.items = append(c.items, t.copy(item))
	}
	return &c
}

func (t *builder) fields(out *node, values []*ast.MappingValueNode) {
	var merged []*node
	seen := map[string]position{}
	for _, v := range values {
		at := start(v.Key)
		if v.Key.Type() == ast.MergeKeyType {
			merged = append(merged, t.mergeSources(v.Value)...)
			continue
		}
		name, ok := keyText(v.Key)
		if !ok {
			t.source.report(at, "this key is not plain text", quoteHint(t.source.lines, at))
			continue
		}
		value := t.build(v.Value)
		value.key = at
		if value.kind == kindNull {
			value.value = at // the library places an empty value anywhere
		}
		if first, ok := seen[name]; ok {
			t.source.report(at, fmt.Sprintf("duplicate key %s: it is already in line %d", quote(name), first.line), "Keep one of them.")
			continue
		}
		seen[name] = at
		out.fields = append(out.fields, field{name, value})
	}
	for _, m := range merged {
		for _, f := range m.fields {
			if _, ok := seen[f.name]; !ok {
				seen[f.name] = f.value.key
				out.fields = append(out.fields, f)
			}
		}
	}
}

func (t *builder) mergeSources(value ast.Node) []*node {
	n := t.build(value)
	sources := []*node{n}
	if n.kind == kindSequence {
		sources = n.items
	}
	for _, m := range sources {
		if m.kind != kindMapping && !m.bad {
			t.source.report(start(value), "the merge key << wants a section, but this is "+string(m.kind), "Write <<: *name, where &name stands before a section further up.")
			return nil
		}
	}
	return sources
}

func keyText(key ast.MapKeyNode) (string, bool) {
	switch k := ast.Node(key).(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return key.GetToken().Value, true
	case *ast.MappingKeyNode:
		if inner, ok := k.Value.(ast.MapKeyNode); ok && k.Value.Type() == ast.StringType {
			return keyText(inner)
		}
	case *ast.AnchorNode:
		if inner, ok := k.Value.(*ast.StringNode); ok {
			return inner.Value, true
		}
	}
	return "", false
}

func nameOf(n ast.Node) string {
	if n == nil || n.GetToken() == nil {
		return ""
	}
	return n.GetToken().Value
}

// start is where a value begins. The library's own token of a block mapping is
// its first colon.
func start(n ast.Node) position {
	switch v := n.(type) {
	case *ast.MappingNode:
		if !v.IsFlowStyle && len(v.Values) > 0 {
			return start(v.Values[0].Key)
		}
	case *ast.MappingValueNode:
		return start(v.Key)
	}
	if n == nil {
		return position{}
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return position{}
	}
	return position{t.Position.Line, t.Position.Column}
}
