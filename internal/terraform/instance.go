package terraform

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// instance is one resource or data source as Terraform would have it.
type instance struct {
	scope    *scope
	resource *resource
	key      cty.Value
	extra    names
	address  string
	known    *stateInstance // nil: the state does not have it
	record
}

// record is the attributes and blocks of an instance, or of a block in it.
// Every attribute of the schema is there.
type record struct {
	owner  *instance
	at     hcl.Range
	path   string // "network", "health_check.http"; "" for the instance itself
	attrs  map[string]cty.Value
	places map[string]hcl.Range
	blocks map[string][]*record
}

// place is where an attribute stands, or its block.
func (r *record) place(attr string) hcl.Range {
	if at, ok := r.places[attr]; ok {
		return at
	}
	return r.at
}

// resource gives what expressions see of a resource or data source.
func (s *scope) resource(address string, at hcl.Range) (cty.Value, bool) {
	r, ok := s.folder.resources[address]
	if !ok {
		hint := "Declare it, or correct the name."
		s.undeclared(at, address, hint, keysOf(s.folder.resources), "")
		return cty.NilVal, false
	}
	return s.once(address, s.address(address), at, func() cty.Value {
		instances, known := s.instances(r)
		if !known {
			return unknown("the instances of "+s.address(address)+" are not known", "")
		}
		values := make([]keyed, 0, len(instances))
		for _, i := range instances {
			values = append(values, keyed{i.key, i.value()})
		}
		return gather(values, r.body)
	})
}

// instances makes the instances of a resource, without their values.
func (s *scope) instances(r *resource) ([]*instance, bool) {
	if got, ok := s.made[r.address()]; ok {
		return got, got != nil
	}
	s.made[r.address()] = nil
	keys, known := s.expand(r.body, r.at, r.address())
	if !known {
		return nil, false
	}
	out := []*instance{}
	for _, k := range keys {
		i := &instance{scope: s, resource: r, key: k.key, extra: k.extra, address: s.address(r.address() + keyText(k.key))}
		i.known = s.in.state.find(i.address)
		out = append(out, i)
	}
	s.made[r.address()] = out
	return out, true
}

// value is what expressions see of the instance.
func (i *instance) value() cty.Value {
	sc := i.scope.in.schemaOf(i.resource)
	if sc == nil {
		return i.foreign()
	}
	i.fill(sc)
	return i.record.object(sc)
}

// foreign is the value of what is no part of the provider: all that the state
// knows, or nothing.
func (i *instance) foreign() cty.Value {
	if i.known != nil && i.known.attrs != nil {
		return cty.ObjectVal(i.known.attrs)
	}
	if i.resource.data {
		return unknown(i.address+" is not read", "Import with --state terraform.tfstate, or write the value itself.")
	}
	return unknown(i.address+" is known only once it is made", "Import with --state terraform.tfstate, or write the value itself.")
}

func (r *record) object(sc *schema) cty.Value {
	attrs := map[string]cty.Value{}
	for name := range sc.attrs {
		attrs[name] = r.attrs[name]
	}
	for name, inner := range sc.blocks {
		var list []cty.Value
		for _, b := range r.blocks[name] {
			list = append(list, b.object(inner))
		}
		attrs[name] = cty.TupleVal(list)
	}
	return cty.ObjectVal(attrs)
}

// fill evaluates the instance's block, once.
func (i *instance) fill(sc *schema) {
	if i.attrs != nil {
		return
	}
	body := i.resource.body
	i.record = *i.scope.record(i, sc, body, i.resource.at, "", i.extra)
	ignored := ignoredChanges(body)
	for name, a := range sc.attrs {
		v := i.attrs[name]
		has := false
		var stored cty.Value
		if i.known != nil {
			stored, has = i.known.attrs[name]
		}
		_, written := i.places[name]
		takes := a.computed || i.resource.data && !written || !v.IsKnown() || !written && v.IsNull() && (name == "id" || name == "location" || name == "name") ||
			name == "name" || name == "location" || written && (slices.Contains(ignored, name) || slices.Contains(ignored, "all"))
		if has && takes && !stored.IsNull() && name != "user_data" { // of that the state keeps a digest alone
			if c, err := convert.Convert(stored, a.kind); err == nil {
				i.differs(name, v, c, written)
				v = c
			}
		}
		if !v.IsKnown() && !written {
			v = i.standIn(name, v)
		}
		i.attrs[name] = v
	}
}

// differs notes where the state has another name or location than the text.
func (i *instance) differs(name string, v, stored cty.Value, written bool) {
	v, _ = v.Unmark()
	stored, _ = stored.Unmark()
	if !written || (name != "name" && name != "location") || !v.IsKnown() || v.IsNull() || v.Type() != cty.String || stored.Type() != cty.String {
		return
	}
	if v.AsString() != stored.AsString() {
		i.scope.in.gap(i.place(name), i.address, fmt.Sprintf("its %s is %s in the configuration and %s in the state, which is taken", name, short(v.AsString()), short(stored.AsString())),
			"Run terraform apply before the import, or change flotilla.yaml afterwards.")
	}
}

// short is text for a message.
func short(s string) string {
	if r := []rune(s); len(r) > 60 {
		s = string(r[:59]) + "…"
	}
	return fmt.Sprintf("%q", s)
}

// standIn gives IDs and addresses that only the provider knows a value that
// can be followed.
func (i *instance) standIn(name string, v cty.Value) cty.Value {
	switch name {
	case "id":
		return cty.StringVal(i.scope.in.values.id(i))
	case "ipv4_address", "ipv6_address", "ipv6_network", "ip_address", "ip_network", "ipv4", "ipv6", "network_ip":
		if i.resource.data && name != "ip_network" && i.resource.kind == "hcloud_primary_ip" {
			return v
		}
		return cty.StringVal(i.scope.in.values.addr(i, name))
	}
	return v
}

// kindOfIP is the type of a primary IP, "" if it is not known.
func (i *instance) kindOfIP() string {
	v, ok := i.attrs["type"]
	if !ok {
		return ""
	}
	v, _ = v.Unmark()
	if v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
		return v.AsString()
	}
	return ""
}

// ignoredChanges are the attributes of lifecycle.ignore_changes.
func ignoredChanges(body *hclsyntax.Body) []string {
	var out []string
	for _, b := range body.Blocks {
		attr := b.Body.Attributes["ignore_changes"]
		if b.Type != "lifecycle" || attr == nil {
			continue
		}
		if hcl.ExprAsKeyword(attr.Expr) == "all" {
			return []string{"all"}
		}
		list, diags := hcl.ExprList(attr.Expr)
		if diags.HasErrors() {
			continue
		}
		for _, e := range list {
			if t, diags := hcl.RelTraversalForExpr(e); !diags.HasErrors() && len(t) > 0 {
				out = append(out, step(t, 0))
			}
		}
	}
	return out
}

// prevented tells whether lifecycle.prevent_destroy is set, and where.
func prevented(body *hclsyntax.Body) (hcl.Range, bool) {
	for _, b := range body.Blocks {
		if attr := b.Body.Attributes["prevent_destroy"]; b.Type == "lifecycle" && constant(attr, false) {
			return attr.SrcRange, true
		}
	}
	return hcl.Range{}, false
}

// meta are the attributes and blocks that Terraform itself reads.
func meta(name string) bool {
	return slices.Contains([]string{"count", "for_each", "depends_on", "provider", "lifecycle", "timeouts", "connection", "provisioner"}, name)
}

// record evaluates one block by its schema.
func (s *scope) record(owner *instance, sc *schema, body *hclsyntax.Body, at hcl.Range, path string, extra names) *record {
	r := &record{owner: owner, at: at, path: path, attrs: map[string]cty.Value{}, places: map[string]hcl.Range{}, blocks: map[string][]*record{}}
	for _, name := range keysOf(body.Attributes) {
		attr := body.Attributes[name]
		a, ok := sc.attrs[name]
		switch {
		case path == "" && meta(name):
		case !ok:
			s.in.gap(attr.NameRange, owner.address, join(path, name)+" has no place in a fleet", "Leave it out, or set it on the server by its NixOS configuration.")
		default:
			r.places[name] = attr.SrcRange
			r.attrs[name] = s.typed(s.eval(attr.Expr, extra), a.kind)
		}
	}
	for _, name := range keysOf(sc.attrs) {
		if _, ok := r.attrs[name]; !ok {
			r.attrs[name] = sc.attrs[name].fallback
			if sc.attrs[name].computed || name == "id" {
				r.attrs[name] = cty.UnknownVal(sc.attrs[name].kind).Mark(unknownMark{
					why: owner.address + "." + join(path, name) + " is known only once it is made", instead: "Import with --state terraform.tfstate, or write the value itself.",
				})
			}
		}
	}
	for _, b := range s.blocksOf(body, extra) {
		inner, ok := sc.blocks[b.kind]
		switch {
		case path == "" && meta(b.kind):
		case !ok:
			s.in.gap(b.at, owner.address, "block "+join(path, b.kind)+" has no place in a fleet", "Leave it out.")
		default:
			r.blocks[b.kind] = append(r.blocks[b.kind], s.record(owner, inner, b.body, b.at, join(path, b.kind), b.extra))
		}
	}
	return r
}

func join(path, name string) string { return strings.TrimPrefix(path+"."+name, ".") }

// typed brings a value into the type of its attribute.
func (s *scope) typed(v cty.Value, kind cty.Type) cty.Value {
	c, err := convert.Convert(v, kind)
	if err != nil {
		_, marks := v.UnmarkDeep()
		return cty.UnknownVal(kind).WithMarks(marks).Mark(unknownMark{why: "its value has the wrong type: " + err.Error(), instead: "Correct it."})
	}
	return c
}

// expanded is one block, dynamic ones taken apart.
type expanded struct {
	kind  string
	body  *hclsyntax.Body
	at    hcl.Range
	extra names
}

func (s *scope) blocksOf(body *hclsyntax.Body, extra names) []expanded {
	var out []expanded
	for _, b := range body.Blocks {
		if b.Type != "dynamic" {
			out = append(out, expanded{b.Type, b.Body, b.DefRange(), extra})
			continue
		}
		out = append(out, s.dynamic(b, extra)...)
	}
	return out
}

func (s *scope) dynamic(b *hclsyntax.Block, extra names) []expanded {
	each := b.Body.Attributes["for_each"]
	var content *hclsyntax.Block
	for _, inner := range b.Body.Blocks {
		if inner.Type == "content" {
			content = inner
		}
	}
	if !s.in.labels(b, 1) {
		return nil
	}
	if each == nil || content == nil {
		s.in.fail(b.DefRange(), "a dynamic block needs for_each and content", `Write: dynamic "`+b.Labels[0]+`" { for_each = …  content { … } }`)
		return nil
	}
	iterator := b.Labels[0]
	if attr := b.Body.Attributes["iterator"]; attr != nil {
		if name := hcl.ExprAsKeyword(attr.Expr); name != "" {
			iterator = name
		}
	}
	v, _ := s.eval(each.Expr, extra).Unmark()
	if !v.IsKnown() {
		m := why(s.eval(each.Expr, extra))
		s.in.gap(each.Expr.Range(), "", fmt.Sprintf("the %s blocks are not known: %s", b.Labels[0], m.why), m.instead)
		return nil
	}
	if v.IsNull() || !v.CanIterateElements() {
		s.in.fail(each.Expr.Range(), "for_each of a dynamic block must be a list, a set or a map", "Write for example for_each = [80, 443].")
		return nil
	}
	if !s.in.count(v.LengthInt(), each.Expr.Range(), fmt.Sprintf("%d blocks", v.LengthInt())) {
		return nil
	}
	var out []expanded
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if v.Type().IsSetType() {
			k = e
		}
		inner := extra.with(iterator, cty.ObjectVal(map[string]cty.Value{"key": k, "value": e}))
		out = append(out, expanded{b.Labels[0], content.Body, content.DefRange(), inner})
	}
	return out
}
