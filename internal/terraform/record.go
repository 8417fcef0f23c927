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

// meta are the attributes and blocks that Terraform itself reads.
func meta(name string) bool {
	return slices.Contains([]string{"count", "for_each", "depends_on", "provider", "lifecycle", "timeouts", "connection", "provisioner"}, name)
}

// record evaluates one block by its schema.
func (s *scope) record(owner *instance, sc *schema, body *hclsyntax.Body, at hcl.Range, path string, extra names) *record {
	r := &record{owner: owner, at: at, path: path, attrs: map[string]cty.Value{}, places: map[string]hcl.Range{}, blocks: map[string][]*record{}, vague: map[string]vague{}}
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
	for _, b := range s.blocksOf(r, body, extra) {
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

func (s *scope) blocksOf(r *record, body *hclsyntax.Body, extra names) []expanded {
	var out []expanded
	for _, b := range body.Blocks {
		if b.Type != "dynamic" {
			out = append(out, expanded{b.Type, b.Body, b.DefRange(), extra})
			continue
		}
		out = append(out, s.dynamic(r, b, extra)...)
	}
	return out
}

func (s *scope) dynamic(r *record, b *hclsyntax.Block, extra names) []expanded {
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
		if r.path != "" {
			s.in.gap(each.Expr.Range(), r.owner.address, "its "+join(r.path, b.Labels[0])+" blocks are not known: "+m.why, m.instead)
			return nil
		}
		r.vague[b.Labels[0]] = vague{each.Expr.Range(), m}
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
