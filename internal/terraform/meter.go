package terraform

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Bounds of evaluation. Without them a file of a few lines could ask for more
// memory than there is: values of values double with each line.
const (
	budget      = 400_000 // steps of one import; sixteen bytes of text are one
	maxValue    = 1 << 20 // of one value: elements and bytes
	maxExponent = 4096    // binary, of a number
)

// meter counts the work of evaluation.
type meter struct {
	in   *importer
	left int
}

// take counts n steps; false when there are none left or nobody waits for the
// result any more.
func (m *meter) take(n int) bool {
	if m.left -= n; m.left < 0 || m.in.ctx.Err() != nil {
		m.in.stopped = true
	}
	return !m.in.stopped
}

// charge counts a value that was made. Only what the value itself holds
// counts, since parts are shared.
func (m *meter) charge(v cty.Value) bool {
	v, _ = v.Unmark()
	n := 1
	if v.IsKnown() && !v.IsNull() {
		switch t := v.Type(); {
		case t == cty.String:
			n += len(v.AsString()) / 16
		case t == cty.Number:
			if !plain(v) {
				m.in.stopped = true
				return false
			}
		case t.IsCollectionType() || t.IsTupleType():
			n += v.LengthInt()
		}
	}
	return m.take(n)
}

// plain tells whether a number has digits that can be written down.
func plain(v cty.Value) bool {
	f := v.AsBigFloat()
	e := f.MantExp(nil)
	return !f.IsInf() && e < maxExponent && e > -maxExponent
}

// fits tells whether a whole value is small enough to be kept.
func fits(v cty.Value) bool {
	left := maxValue
	return weigh(v, &left)
}

func weigh(v cty.Value, left *int) bool {
	v, _ = v.Unmark()
	*left -= 8
	if *left < 0 {
		return false
	}
	if !v.IsKnown() || v.IsNull() {
		return true
	}
	switch t := v.Type(); {
	case t == cty.String:
		*left -= len(v.AsString())
		return *left >= 0
	case t == cty.Number:
		return plain(v)
	case t.IsCollectionType() || t.IsTupleType() || t.IsObjectType():
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			if k.Type() == cty.String && !weigh(k, left) || !weigh(e, left) {
				return false
			}
		}
	}
	return true
}

// metered is an expression whose evaluations count.
type metered struct {
	hclsyntax.Expression
	meter *meter
}

// Value evaluates, as long as there is budget.
func (e metered) Value(ctx *hcl.EvalContext) (cty.Value, hcl.Diagnostics) {
	if !e.meter.take(1) {
		return cty.DynamicVal, endless(e.Range())
	}
	v, diags := e.Expression.Value(ctx)
	if !e.meter.charge(v) {
		return cty.DynamicVal, endless(e.Range())
	}
	return v, diags
}

var _ hclsyntax.Expression = metered{}

func endless(at hcl.Range) hcl.Diagnostics {
	return hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "this takes too much work", Subject: &at}}
}

// prepare remembers the references of each attribute of a body and meters
// what is evaluated more than once or grows.
func (in *importer) prepare(body *hclsyntax.Body) bool {
	var nodes []hclsyntax.Node
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		nodes = append(nodes, n)
		return nil
	})
	good := true
	for _, n := range nodes {
		switch n := n.(type) {
		case *hclsyntax.Attribute:
			in.refs[n.Expr] = n.Expr.Variables()
		case *hclsyntax.LiteralValueExpr:
			if n.Val.Type() == cty.Number && n.Val.IsKnown() && !n.Val.IsNull() && !plain(n.Val) {
				in.fail(n.SrcRange, "this number is too large", fmt.Sprintf("An import takes numbers of at most %d bits.", maxExponent))
				good = false
			}
		}
	}
	in.meterAll(nodes)
	return good
}

// meterAll wraps, after the references were read: who looks for references
// does not see through the wrapping.
func (in *importer) meterAll(nodes []hclsyntax.Node) {
	wrap := func(e hclsyntax.Expression) hclsyntax.Expression {
		switch e.(type) {
		case nil, *hclsyntax.LiteralValueExpr, metered:
			return e
		}
		return metered{e, in.meter}
	}
	for _, n := range nodes {
		switch n := n.(type) {
		case *hclsyntax.ForExpr:
			n.CollExpr, n.KeyExpr, n.ValExpr, n.CondExpr = wrap(n.CollExpr), wrap(n.KeyExpr), wrap(n.ValExpr), wrap(n.CondExpr)
		case *hclsyntax.SplatExpr:
			n.Each = wrap(n.Each)
		case *hclsyntax.TemplateExpr:
			for i, p := range n.Parts {
				n.Parts[i] = wrap(p)
			}
		case *hclsyntax.FunctionCallExpr:
			in.stub(n.Name)
		}
	}
}
