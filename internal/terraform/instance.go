package terraform

import (
	"fmt"
	"slices"

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
	vague  map[string]vague // blocks of which is not known how many there are
}

// vague is a dynamic block that cannot be expanded.
type vague struct {
	at  hcl.Range
	why unknownMark
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
	return i.object(sc)
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
		_, written := i.places[name]
		if stored, has := i.stored(name, a.kind); has && i.defers(name, a, v, ignored) {
			i.differs(name, v, stored, written)
			v = stored
		}
		if !v.IsKnown() && !written {
			v = i.standIn(name, v)
		}
		i.attrs[name] = v
	}
	for kind, inner := range sc.blocks {
		i.fillBlocks(kind, inner)
	}
}

// stored is what the state has of an attribute, in the attribute's type.
func (i *instance) stored(name string, kind cty.Type) (cty.Value, bool) {
	if i.known == nil || name == "user_data" { // of which the state keeps a digest alone
		return cty.NilVal, false
	}
	v, ok := i.known.attrs[name]
	if !ok || v.IsNull() {
		return cty.NilVal, false
	}
	c, err := convert.Convert(v, kind)
	return c, err == nil
}

// defers tells whether the state has the say on an attribute: where only the
// provider knows it, where the text does not give it, and on what Terraform
// does not change any more.
func (i *instance) defers(name string, a attribute, v cty.Value, ignored []string) bool {
	_, written := i.places[name]
	bare, _ := v.UnmarkDeep()
	switch {
	case a.computed || name == "name" || name == "location" || !bare.IsWhollyKnown():
		return true
	case written:
		return slices.Contains(ignored, name) || slices.Contains(ignored, "all")
	}
	return i.resource.data || slices.Contains([]string{"id", "image", "listen_port", "destination_port", "proxyprotocol"}, name)
}

// fillBlocks takes the state's blocks where the text does not give them.
func (i *instance) fillBlocks(kind string, sc *schema) {
	dynamic, unclear := i.vague[kind]
	for _, r := range i.blocks[kind] {
		unclear = unclear || !r.clear(i.scope.in.values)
	}
	chosen := len(i.blocks[kind]) == 0 && i.resource.kind == "hcloud_load_balancer_service" // which the API fills in
	if unclear || chosen {
		if stored, ok := i.storedBlocks(kind, sc); ok {
			i.blocks[kind] = stored
			delete(i.vague, kind)
			return
		}
	}
	if dynamic.why.why != "" {
		i.scope.in.gap(dynamic.at, i.address, "its "+kind+" blocks are not known: "+dynamic.why.why, dynamic.why.instead)
	}
}

// clear tells whether all that a block writes is known.
func (r *record) clear(s *stand) bool {
	for name := range r.places {
		v, _ := r.attrs[name].UnmarkDeep()
		if !v.IsWhollyKnown() {
			return false
		}
		made := false
		_ = cty.Walk(v, func(_ cty.Path, e cty.Value) (bool, error) {
			if e.Type() == cty.String && !e.IsNull() {
				_, leaks := s.leak(e.AsString())
				made = made || leaks && s.ids[e.AsString()] == nil
			}
			return true, nil
		})
		if made {
			return false
		}
	}
	return true
}

func (i *instance) storedBlocks(kind string, sc *schema) ([]*record, bool) {
	if i.known == nil {
		return nil, false
	}
	list, ok := i.known.attrs[kind]
	if !ok || list.IsMarked() || list.IsNull() || !list.CanIterateElements() {
		return nil, false
	}
	return i.recordsOf(list, sc, kind), true
}

// recordsOf makes blocks of a list in the state.
func (i *instance) recordsOf(list cty.Value, sc *schema, path string) []*record {
	var out []*record
	for it := list.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || !e.Type().IsObjectType() {
			continue
		}
		r := &record{owner: i, at: i.at, path: path, attrs: map[string]cty.Value{}, blocks: map[string][]*record{}}
		for name, a := range sc.attrs {
			r.attrs[name] = a.fallback
			if e.Type().HasAttribute(name) && !e.GetAttr(name).IsNull() {
				if c, err := convert.Convert(e.GetAttr(name), a.kind); err == nil {
					r.attrs[name] = c
				}
			}
		}
		for kind, inner := range sc.blocks {
			if e.Type().HasAttribute(kind) && !e.GetAttr(kind).IsNull() && e.GetAttr(kind).CanIterateElements() {
				r.blocks[kind] = i.recordsOf(e.GetAttr(kind), inner, join(path, kind))
			}
		}
		out = append(out, r)
	}
	return out
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
