package terraform

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope is one instance of a module: the names that its expressions see. Each
// value is made when it is asked for first, and kept.
type scope struct {
	in     *importer
	folder *folder
	path   string // "module.a[0]", "" for the folder itself

	parent *scope // nil for the folder itself
	call   *call
	extra  names // each and count of the call

	alien string // the provider configuration that hcloud stands for here, "" for the fleet's

	memo    map[string]cty.Value
	busy    map[string]bool
	made    map[string][]*instance // by resource address
	modules map[string][]*child    // by call
}

// child is one instance of a module that a scope calls.
type child struct {
	key   cty.Value
	scope *scope
}

// names are values that only a block or an instance has: each, count, self,
// iterators of dynamic blocks.
type names map[string]cty.Value

// with gives names and one more.
func (n names) with(name string, v cty.Value) names {
	out := names{name: v}
	for k, old := range n {
		if k != name {
			out[k] = old
		}
	}
	return out
}

func newScope(in *importer, f *folder, parent *scope, c *call, extra names, path string) *scope {
	return &scope{
		in: in, folder: f, parent: parent, call: c, extra: extra, path: path,
		memo: map[string]cty.Value{}, busy: map[string]bool{}, made: map[string][]*instance{}, modules: map[string][]*child{},
	}
}

// address gives a whole address from one within the module.
func (s *scope) address(local string) string {
	if s.path == "" {
		return local
	}
	return s.path + "." + local
}

// eval gives an expression's value. What cannot be had is an unknown value
// whose mark tells why; what Terraform would refuse too is noted as a mistake.
func (s *scope) eval(e hclsyntax.Expression, extra names) cty.Value {
	if s.in.stopped || len(s.in.problems) >= maxProblems {
		return unknown("the import was given up before it", "")
	}
	refs, ok := s.in.refs[e]
	if !ok {
		refs = e.Variables()
	}
	variables, ok := s.variables(refs, extra)
	if !ok {
		return unknown("it refers to what is not declared", "")
	}
	v, diags := e.Value(&hcl.EvalContext{Variables: variables, Functions: s.in.funcs})
	if s.in.stopped || !fits(v) {
		s.in.fail(e.Range(), "this takes too much work or memory to evaluate", "Import a part of the configuration, or write the value itself.")
		return unknown("it takes too much work or memory", "")
	}
	if diags.HasErrors() {
		return s.cannot(diags)
	}
	return v
}

// cannot makes of an evaluation's errors an unknown value.
func (s *scope) cannot(diags hcl.Diagnostics) cty.Value {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		text := sentence(d)
		if d.Detail != "" {
			text += ": " + d.Detail
		}
		return unknown("it cannot be evaluated ("+strings.TrimSuffix(text, ".")+")", "Correct it, or write the value itself.")
	}
	return unknown("it cannot be evaluated", "Write the value itself.")
}

// tree is a nested set of names, leaves are values.
type tree map[string]any

func (t tree) put(v cty.Value, path ...string) {
	for _, p := range path[:len(path)-1] {
		next, ok := t[p].(tree)
		if !ok {
			next = tree{}
			t[p] = next
		}
		t = next
	}
	t[path[len(path)-1]] = v
}

func (t tree) value() cty.Value {
	attrs := map[string]cty.Value{}
	for name, v := range t {
		switch v := v.(type) {
		case tree:
			attrs[name] = v.value()
		case cty.Value:
			attrs[name] = v
		}
	}
	return cty.ObjectVal(attrs)
}

// variables makes exactly the values that an expression refers to; false when
// something is not declared.
func (s *scope) variables(refs []hcl.Traversal, extra names) (map[string]cty.Value, bool) {
	if s.in.depth++; s.in.depth > maxDepth {
		s.in.depth--
		if len(refs) > 0 {
			s.in.fail(refs[0].SourceRange(), "values refer to each other too deep", fmt.Sprintf("An import follows %d references.", maxDepth))
		}
		return nil, false
	}
	defer func() { s.in.depth-- }()
	t, good := tree{}, true
	out := map[string]cty.Value{}
	outputs := s.outputsIn(refs)
	for _, ref := range refs {
		root := ref.RootName()
		if v, ok := extra[root]; ok {
			out[root] = v
			continue
		}
		good = s.put(t, ref, outputs) && good
	}
	for name, v := range t {
		if inner, ok := v.(tree); ok {
			out[name] = inner.value()
		}
	}
	return out, good
}

func (s *scope) put(t tree, ref hcl.Traversal, outputs map[string][]string) bool {
	root := ref.RootName()
	at := ref.SourceRange()
	name := step(ref, 1)
	switch root {
	case "path":
		dir := s.folder.dir
		if rel, err := filepath.Rel(s.in.dir, dir); err == nil {
			dir = rel
		}
		t.put(cty.StringVal(dir), "path", "module")
		t.put(cty.StringVal("."), "path", "root")
		t.put(cty.StringVal(s.in.access.base), "path", "cwd")
		return true
	case "terraform":
		t.put(cty.StringVal("default"), "terraform", "workspace")
		return true
	case "each", "count", "self":
		s.in.fail(at, root+" has no meaning here", map[string]string{
			"each": "It needs for_each in the same block.", "count": "It needs count in the same block.", "self": "It stands in provisioners only.",
		}[root])
		return false
	}
	if name == "" {
		s.in.fail(at, fmt.Sprintf("%s needs a name behind it", root), "Write for example "+root+".name.")
		return false
	}
	switch root {
	case "var":
		return s.putValue(t, at, s.variable, "var", name)
	case "local":
		return s.putValue(t, at, s.local, "local", name)
	case "module":
		v, ok := s.module(name, outputs[name], at)
		if ok {
			t.put(v, "module", name)
		}
		return ok
	case "data":
		second := step(ref, 2)
		if second == "" {
			s.in.fail(at, "data needs a type and a name behind it", "Write for example data.hcloud_image.nixos.id.")
			return false
		}
		v, ok := s.resource("data."+name+"."+second, at)
		if ok {
			t.put(v, "data", name, second)
		}
		return ok
	}
	v, ok := s.resource(root+"."+name, at)
	if ok {
		t.put(v, root, name)
	}
	return ok
}

func (s *scope) putValue(t tree, at hcl.Range, get func(string, hcl.Range) (cty.Value, bool), kind, name string) bool {
	v, ok := get(name, at)
	if ok {
		t.put(v, kind, name)
	}
	return ok
}

// step is the name at a place of a traversal, "" if none stands there.
func step(ref hcl.Traversal, i int) string {
	if i >= len(ref) {
		return ""
	}
	switch t := ref[i].(type) {
	case hcl.TraverseAttr:
		return t.Name
	case hcl.TraverseIndex:
		if t.Key.Type() == cty.String && t.Key.IsKnown() && !t.Key.IsNull() {
			return t.Key.AsString()
		}
	}
	return ""
}

// once makes a value, or gives the one that was made; a value that needs
// itself is a mistake.
func (s *scope) once(key, what string, at hcl.Range, make func() cty.Value) (cty.Value, bool) {
	if v, ok := s.memo[key]; ok {
		return v, true
	}
	if s.busy[key] {
		s.in.fail(at, fmt.Sprintf("%s refers to itself, directly or through others", what), "Terraform calls that a cycle: one of the references has to go.")
		return cty.DynamicVal, false
	}
	s.busy[key] = true
	v := make()
	delete(s.busy, key)
	s.memo[key] = v
	return v, true
}

func (s *scope) local(name string, at hcl.Range) (cty.Value, bool) {
	e, ok := s.folder.locals[name]
	if !ok {
		s.undeclared(at, "local."+name, "Declare it: locals { "+name+" = … }", keysOf(s.folder.locals), "local.")
		return cty.NilVal, false
	}
	return s.once("local."+name, "local."+name, at, func() cty.Value { return s.eval(e, nil) })
}

func (s *scope) undeclared(at hcl.Range, what, hint string, known []string, prefix string) {
	name := strings.TrimPrefix(what, prefix)
	for _, k := range known {
		if strings.EqualFold(strings.ReplaceAll(k, "-", "_"), strings.ReplaceAll(name, "-", "_")) || nearlySame(k, name) {
			hint = fmt.Sprintf("Did you mean %s%s?", prefix, k)
		}
	}
	if s.parent != nil {
		what += " is not declared in module " + s.call.name
	} else {
		what += " is not declared"
	}
	s.in.fail(at, what, hint)
}

func keysOf[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// nearlySame tells whether two names differ in one place only: a letter more,
// less, other or swapped.
func nearlySame(a, b string) bool {
	if len(a) < 3 || len(b) < 3 {
		return false
	}
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	a, b = a[i:], b[i:]
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return len(a) <= 1 && len(b) <= 1 || len(a) == 2 && len(b) == 2 && a[0] == b[1] && a[1] == b[0]
}

func (s *scope) variable(name string, at hcl.Range) (cty.Value, bool) {
	v, ok := s.folder.variables[name]
	if !ok {
		s.undeclared(at, "var."+name, "Declare it: variable \""+name+"\" {}", keysOf(s.folder.variables), "var.")
		return cty.NilVal, false
	}
	return s.once("var."+name, s.address("var."+name), at, func() cty.Value {
		value := s.given(v)
		if v.sensitive {
			value = value.Mark(sensitiveMark{})
		}
		return value
	})
}

// given is the value of a variable: from the call, from a file of variables,
// or its default.
func (s *scope) given(v *variable) cty.Value {
	if s.parent != nil {
		if attr := s.call.body.Attributes[v.name]; attr != nil {
			return v.convert(s.in, s.parent.eval(attr.Expr, s.extra), attr.Expr.Range())
		}
	} else if e, ok := s.in.vars[v.name]; ok {
		value, diags := e.Value(s.in.constants())
		if s.in.failed(diags) {
			return cty.DynamicVal
		}
		return v.convert(s.in, value, e.Range())
	}
	if v.fallback == nil {
		instead := "Give it a default, or a value in terraform.tfvars or a file of --var-file."
		if len(s.in.unread) > 0 {
			instead = "Give it a value with --var-file " + s.in.unread[0] + ", or a default."
		}
		return unknown(s.address("var."+v.name)+" has no value ("+position(v.at).String()+")", instead)
	}
	value, diags := v.fallback.Value(s.in.constants())
	if diags.HasErrors() {
		return s.cannot(diags)
	}
	return v.convert(s.in, value, v.fallback.Range())
}
