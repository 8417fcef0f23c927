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

// outputsIn gives the outputs that references to modules name, by module; nil
// for a module that is needed whole. Asking for one output must not ask for
// the others: they may depend on what asks.
func (s *scope) outputsIn(refs []hcl.Traversal) map[string][]string {
	found := map[string][]string{}
	whole := map[string]bool{}
	for _, ref := range refs {
		name := step(ref, 1)
		if ref.RootName() != "module" || name == "" {
			continue
		}
		rest := ref[2:]
		if c := s.folder.calls[name]; len(rest) > 0 && c != nil && (c.body.Attributes["count"] != nil || c.body.Attributes["for_each"] != nil) {
			rest = rest[1:] // the key
		}
		if output := step(rest, 0); output != "" {
			found[name] = append(found[name], output)
		} else {
			whole[name] = true
		}
	}
	for name := range whole {
		found[name] = nil
	}
	return found
}

// module gives the value of a module with these outputs, all if nil.
func (s *scope) module(name string, outputs []string, at hcl.Range) (cty.Value, bool) {
	c, ok := s.folder.calls[name]
	if !ok {
		s.undeclared(at, "module."+name, "Declare it: module \""+name+"\" { source = \"./…\" }", keysOf(s.folder.calls), "module.")
		return cty.NilVal, false
	}
	children, known := s.children(c)
	if !known {
		return unknown(s.address("module."+name)+" is not read", ""), true
	}
	var values []keyed
	for _, ch := range children {
		v, ok := ch.scope.outputs(outputs, at)
		if !ok {
			return cty.NilVal, false
		}
		values = append(values, keyed{ch.key, v})
	}
	return gather(values, c.body), true
}

// keyed is a value of one instance.
type keyed struct {
	key   cty.Value
	value cty.Value
}

// gather makes of instances what expressions see: one value, a tuple by
// count, an object by for_each.
func gather(values []keyed, body *hclsyntax.Body) cty.Value {
	switch {
	case body.Attributes["for_each"] != nil:
		attrs := map[string]cty.Value{}
		for _, v := range values {
			if v.key != cty.NilVal && v.key.Type() == cty.String {
				attrs[v.key.AsString()] = v.value
			}
		}
		return cty.ObjectVal(attrs)
	case body.Attributes["count"] != nil:
		list := make([]cty.Value, 0, len(values))
		for _, v := range values {
			list = append(list, v.value)
		}
		return cty.TupleVal(list)
	case len(values) == 1:
		return values[0].value
	}
	return cty.DynamicVal
}

func (s *scope) outputs(wanted []string, at hcl.Range) (cty.Value, bool) {
	if wanted == nil {
		wanted = keysOf(s.folder.outputs)
	}
	attrs := map[string]cty.Value{}
	for _, name := range wanted {
		b, ok := s.folder.outputs[name]
		if !ok {
			s.undeclared(at, "output."+name, "Declare it: output \""+name+"\" { value = … }", keysOf(s.folder.outputs), "output.")
			return cty.NilVal, false
		}
		v, ok := s.once("output."+name, s.address("output."+name), at, func() cty.Value {
			attr := b.Body.Attributes["value"]
			if attr == nil {
				return cty.NullVal(cty.DynamicPseudoType)
			}
			v := s.eval(attr.Expr, nil)
			if constant(b.Body.Attributes["sensitive"], false) {
				v = v.Mark(sensitiveMark{})
			}
			return v
		})
		if !ok {
			return cty.NilVal, false
		}
		attrs[name] = v
	}
	return cty.ObjectVal(attrs), true
}

// children gives the instances of a module; false when the module cannot be
// read, which is noted then.
func (s *scope) children(c *call) ([]*child, bool) {
	key := "module." + c.name
	if got, ok := s.modules[c.name]; ok {
		return got, got != nil
	}
	if s.busy[key] {
		s.in.fail(c.at, s.address(key)+" refers to itself, directly or through others", "Terraform calls that a cycle: one of the references has to go.")
		return nil, false
	}
	s.busy[key] = true
	defer delete(s.busy, key)
	s.modules[c.name] = nil
	f := s.source(c)
	if f == nil {
		return nil, false
	}
	keys, known := s.expand(c.body, c.at, key)
	if !known {
		return nil, false
	}
	out := []*child{}
	for _, k := range keys {
		if s.in.modules++; s.in.modules > maxModules {
			s.in.fail(c.at, fmt.Sprintf("more than %d modules", maxModules), "Import a part of the configuration.")
			return nil, false
		}
		sc := newScope(s.in, f, s, c, k.extra, s.address(key+keyText(k.key)))
		sc.alien = s.alienFor(c)
		out = append(out, &child{key: k.key, scope: sc})
	}
	s.modules[c.name] = out
	s.unknownInputs(c, f)
	return out, true
}

// unknownInputs notes arguments that the module has no variable for.
func (s *scope) unknownInputs(c *call, f *folder) {
	for _, name := range keysOf(c.body.Attributes) {
		if slices.Contains([]string{"source", "version", "count", "for_each", "depends_on", "providers"}, name) || f.variables[name] != nil {
			continue
		}
		s.in.fail(c.body.Attributes[name].NameRange, fmt.Sprintf("module %s has no variable %s", c.name, name),
			"Its variables: "+strings.Join(keysOf(f.variables), ", ")+".")
	}
}

// source reads the folder of a module; nil when it is not a local one.
func (s *scope) source(c *call) *folder {
	address := s.address("module." + c.name)
	attr := c.body.Attributes["source"]
	if attr == nil {
		s.in.fail(c.at, "module "+c.name+" has no source", `Write for example source = "./modules/`+c.name+`"`)
		return nil
	}
	v, diags := attr.Expr.Value(nil)
	if s.in.failed(diags) {
		return nil
	}
	if v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		s.in.fail(attr.Expr.Range(), "source must be text", `Write for example source = "./modules/`+c.name+`"`)
		return nil
	}
	path := v.AsString()
	if !strings.HasPrefix(path, "./") && !strings.HasPrefix(path, "../") && path != "." && path != ".." {
		s.in.gap(c.at, address, fmt.Sprintf("its source %q is not a folder of this configuration, so nothing of it is carried over", path),
			"Copy the module into a folder, write source = \"./…\", and import again.")
		return nil
	}
	dir := filepath.Join(s.folder.dir, path)
	depth := 0
	for sc := s; sc != nil; sc = sc.parent {
		if sc.folder.dir == dir {
			s.in.fail(attr.Expr.Range(), fmt.Sprintf("module %s calls the folder that it stands in", c.name), "A module cannot contain itself.")
			return nil
		}
		if depth++; depth > maxNesting {
			s.in.fail(attr.Expr.Range(), fmt.Sprintf("modules are nested deeper than %d levels", maxNesting), "Import a part of the configuration.")
			return nil
		}
	}
	return s.in.folder(dir, attr.Expr.Range())
}

// alienFor gives the provider configuration that hcloud stands for in a
// module: "" where it is the fleet's.
func (s *scope) alienFor(c *call) string {
	attr := c.body.Attributes["providers"]
	if attr == nil {
		return s.alien
	}
	pairs, diags := hcl.ExprMap(attr.Expr)
	if diags.HasErrors() {
		return s.alien
	}
	for _, pair := range pairs {
		if hcl.ExprAsKeyword(pair.Key) == "hcloud" {
			return s.alienName(pair.Value)
		}
	}
	return s.alien
}

// alienName reads a reference to a provider configuration: hcloud or
// hcloud.alias.
func (s *scope) alienName(e hcl.Expression) string {
	t, diags := hcl.AbsTraversalForExpr(e)
	if diags.HasErrors() || t.RootName() != "hcloud" || len(t) < 2 {
		return s.alien
	}
	if alias := step(t, 1); alias != s.in.home {
		return alias
	}
	return ""
}

// expansion is one instance's key with the names that its block sees.
type expansion struct {
	key   cty.Value
	extra names
}

// expand evaluates count or for_each; false when it cannot be known, which is
// noted then. group is the address without key.
func (s *scope) expand(body *hclsyntax.Body, at hcl.Range, group string) ([]expansion, bool) {
	count, each := body.Attributes["count"], body.Attributes["for_each"]
	switch {
	case count != nil && each != nil:
		s.in.fail(each.NameRange, group+" has both count and for_each", "Keep one.")
		return nil, false
	case count != nil:
		return s.counted(count, group)
	case each != nil:
		return s.forEach(each, group)
	}
	if !s.in.count(1, at, group) {
		return nil, false
	}
	return []expansion{{key: cty.NilVal}}, true
}

func (s *scope) counted(attr *hclsyntax.Attribute, group string) ([]expansion, bool) {
	at := attr.Expr.Range()
	v, _ := s.eval(attr.Expr, nil).Unmark()
	n, ok := wholeNumber(v)
	if v.IsKnown() && (!ok || n < 0) {
		s.in.fail(at, "count must be a whole number from 0", "Write for example count = 3.")
		return nil, false
	}
	if !ok {
		return s.fromState(attr, group)
	}
	if !s.in.count(n, at, fmt.Sprintf("count = %d", n)) {
		return nil, false
	}
	out := make([]expansion, 0, n)
	for i := range n {
		out = append(out, counting(cty.NumberIntVal(int64(i))))
	}
	return out, true
}

func counting(i cty.Value) expansion {
	return expansion{key: i, extra: names{"count": cty.ObjectVal(map[string]cty.Value{"index": i})}}
}

// eaching gives an instance its each. Terraform's value of a set is the key.
func eaching(key, value cty.Value) expansion {
	return expansion{key: key, extra: names{"each": cty.ObjectVal(map[string]cty.Value{"key": key, "value": value})}}
}

func (s *scope) forEach(attr *hclsyntax.Attribute, group string) ([]expansion, bool) {
	at := attr.Expr.Range()
	v, _ := s.eval(attr.Expr, nil).Unmark()
	t := v.Type()
	switch {
	case !v.IsKnown():
		return s.fromState(attr, group)
	case v.IsNull() || !t.IsMapType() && !t.IsObjectType() && !t.IsSetType():
		s.in.fail(at, "for_each must be a map or a set of texts", "For a list write toset([…]).")
		return nil, false
	}
	if !s.in.count(v.LengthInt(), at, fmt.Sprintf("for_each over %d", v.LengthInt())) {
		return nil, false
	}
	var out []expansion
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		k, _ = k.Unmark()
		switch {
		case !k.IsKnown():
			return s.fromState(attr, group)
		case k.IsNull() || k.Type() != cty.String:
			s.in.fail(at, "for_each must be a map or a set of texts", "Convert its elements with tostring().")
			return nil, false
		}
		out = append(out, eaching(k, e))
	}
	return out, true
}

func wholeNumber(v cty.Value) (int, bool) {
	if !v.IsKnown() || v.IsNull() {
		return 0, false
	}
	if v.Type() == cty.String {
		parsed, err := cty.ParseNumberVal(v.AsString())
		if err != nil {
			return 0, false
		}
		v = parsed
	}
	if v.Type() != cty.Number || !plain(v) {
		return 0, false
	}
	n, accuracy := v.AsBigFloat().Int64()
	if accuracy != 0 || n > 1<<31 || n < -(1<<31) {
		return 0, false
	}
	return int(n), true
}

// fromState takes the instances that the state knows where count or for_each
// cannot be known without it.
func (s *scope) fromState(attr *hclsyntax.Attribute, group string) ([]expansion, bool) {
	v := s.eval(attr.Expr, nil)
	m := why(v)
	var out []expansion
	for _, i := range s.in.state.group(s.address(group)) {
		switch {
		case attr.Name == "count" && i.key != cty.NilVal && i.key.Type() == cty.Number:
			out = append(out, counting(i.key))
		case attr.Name == "for_each" && i.key != cty.NilVal && i.key.Type() == cty.String:
			out = append(out, eaching(i.key, unknown("each.value is known after "+attr.Name+" alone: "+m.why, m.instead)))
		}
	}
	if len(out) == 0 || !s.in.count(len(out), attr.Expr.Range(), attr.Name) {
		s.in.gap(attr.Expr.Range(), s.address(group), fmt.Sprintf("its %s is not known, so none of it is carried over: %s", attr.Name, m.why), m.instead)
		return nil, false
	}
	return out, true
}
