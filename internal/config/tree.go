package config

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"
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
			t.source.report(start(n), fmt.Sprintf("the alias %s has no anchor above it", quote("*"+name)),
				fmt.Sprintf("Write &name before the section that it stands for, or put it in quotes if it is a glob: %s.", quote("*"+name)))
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
