package terraform

import (
	"errors"
	"fmt"
	"strings"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

func anything(name string) function.Parameter {
	return function.Parameter{Name: name, Type: cty.DynamicPseudoType}
}

// pure makes a function of known values with a result of one type.
func pure(result cty.Type, params []function.Parameter, impl func(args []cty.Value) (cty.Value, error)) function.Function {
	return function.New(&function.Spec{
		Params: params,
		Type:   function.StaticReturnType(result),
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return impl(args) },
	})
}

var errNotCollection = errors.New("a list, set, map or text is needed")

func listFunctions() map[string]function.Function {
	list := func(of cty.Type) []function.Parameter {
		return []function.Parameter{{Name: "list", Type: cty.List(of)}}
	}
	return map[string]function.Function{
		"length": pure(cty.Number, []function.Parameter{anything("value")}, func(args []cty.Value) (cty.Value, error) {
			v := args[0]
			switch t := v.Type(); {
			case t == cty.String:
				return stdlib.Strlen(v)
			case t.IsObjectType():
				return cty.NumberIntVal(int64(len(t.AttributeTypes()))), nil
			case v.CanIterateElements():
				return v.Length(), nil
			}
			return cty.NilVal, errNotCollection
		}),
		"alltrue": pure(cty.Bool, list(cty.Bool), func(args []cty.Value) (cty.Value, error) { return fold(args[0], true), nil }),
		"anytrue": pure(cty.Bool, list(cty.Bool), func(args []cty.Value) (cty.Value, error) { return fold(args[0], false), nil }),
		"sum":     pure(cty.Number, []function.Parameter{anything("list")}, sum),
		"index": pure(cty.Number, []function.Parameter{anything("list"), anything("value")}, func(args []cty.Value) (cty.Value, error) {
			if !args[0].CanIterateElements() {
				return cty.NilVal, errNotCollection
			}
			for it := args[0].ElementIterator(); it.Next(); {
				k, v := it.Element()
				if eq := v.Equals(args[1]); eq.IsKnown() && eq.True() {
					return k, nil
				}
			}
			return cty.NilVal, errors.New("no such element")
		}),
		"one":      oneFunc(),
		"coalesce": coalesceFunc(),
		"matchkeys": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "values", Type: cty.List(cty.DynamicPseudoType)}, {Name: "keys", Type: cty.List(cty.DynamicPseudoType)}, {Name: "wanted", Type: cty.List(cty.DynamicPseudoType)}},
			Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
			Impl:   matchKeys,
		}),
		"transpose": pure(cty.Map(cty.List(cty.String)), []function.Parameter{{Name: "map", Type: cty.Map(cty.List(cty.String))}}, transpose),
	}
}

func fold(list cty.Value, all bool) cty.Value {
	for it := list.ElementIterator(); it.Next(); {
		_, v := it.Element()
		if !v.IsKnown() {
			return cty.UnknownVal(cty.Bool)
		}
		if is := !v.IsNull() && v.True(); is != all {
			return cty.BoolVal(!all)
		}
	}
	return cty.BoolVal(all)
}

func sum(args []cty.Value) (cty.Value, error) {
	if !args[0].CanIterateElements() || args[0].LengthInt() == 0 {
		return cty.NilVal, errNotCollection
	}
	total := cty.Zero
	for it := args[0].ElementIterator(); it.Next(); {
		_, v := it.Element()
		n, err := convert.Convert(v, cty.Number)
		if err != nil || n.IsNull() {
			return cty.NilVal, errors.New("every element must be a number")
		}
		if total, err = stdlib.Add(total, n); err != nil {
			return cty.NilVal, err
		}
	}
	return total, nil
}

func oneFunc() function.Function {
	only := func(v cty.Value) (cty.Value, error) {
		if !v.CanIterateElements() {
			return cty.NilVal, errNotCollection
		}
		switch v.LengthInt() {
		case 0:
			return cty.NullVal(cty.DynamicPseudoType), nil
		case 1:
			it := v.ElementIterator()
			it.Next()
			_, e := it.Element()
			return e, nil
		}
		return cty.NilVal, errors.New("there is more than one element")
	}
	return function.New(&function.Spec{
		Params: []function.Parameter{anything("list")},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return only(args[0]) },
	})
}

// coalesceFunc gives the first argument that is neither null nor "".
func coalesceFunc() function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "values", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true},
		Type:     function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for _, v := range args {
				switch {
				case !v.IsKnown():
					return cty.DynamicVal, nil
				case v.IsNull() || v.Type() == cty.String && v.AsString() == "":
				default:
					return v, nil
				}
			}
			return cty.NilVal, errors.New("every argument is null or empty")
		},
	})
}

func lookupFunc() function.Function {
	return function.New(&function.Spec{
		Params:   []function.Parameter{anything("map"), {Name: "key", Type: cty.String}},
		VarParam: &function.Parameter{Name: "otherwise", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true},
		Type:     function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			key := args[1].AsString()
			switch t := args[0].Type(); {
			case t.IsObjectType() && t.HasAttribute(key):
				return args[0].GetAttr(key), nil
			case t.IsMapType() && args[0].HasIndex(args[1]).True():
				return args[0].Index(args[1]), nil
			case !t.IsObjectType() && !t.IsMapType():
				return cty.NilVal, errors.New("a map is needed")
			}
			if len(args) > 2 {
				return args[2], nil
			}
			return cty.NilVal, fmt.Errorf("there is no %q in it", key)
		},
	})
}

func replaceFunc() function.Function {
	text := func(name string) function.Parameter { return function.Parameter{Name: name, Type: cty.String} }
	return pure(cty.String, []function.Parameter{text("text"), text("old"), text("new")}, func(args []cty.Value) (cty.Value, error) {
		if old := args[1].AsString(); isPattern(old) {
			return stdlib.RegexReplace(args[0], cty.StringVal(old[1:len(old)-1]), args[2])
		}
		return cty.StringVal(strings.ReplaceAll(args[0].AsString(), args[1].AsString(), args[2].AsString())), nil
	})
}

func matchKeys(args []cty.Value, result cty.Type) (cty.Value, error) {
	values, keys := args[0].AsValueSlice(), args[1].AsValueSlice()
	if len(values) != len(keys) {
		return cty.NilVal, errors.New("values and keys must be of one length")
	}
	var out []cty.Value
	for i, k := range keys {
		for _, w := range args[2].AsValueSlice() {
			if eq := k.Equals(w); eq.IsKnown() && eq.True() {
				out = append(out, values[i])
				break
			}
		}
	}
	if len(out) == 0 {
		return cty.ListValEmpty(result.ElementType()), nil
	}
	return cty.ListVal(out), nil
}

func transpose(args []cty.Value) (cty.Value, error) {
	out := map[string][]cty.Value{}
	for it := args[0].ElementIterator(); it.Next(); {
		k, list := it.Element()
		if list.IsNull() || !list.IsWhollyKnown() {
			return cty.UnknownVal(cty.Map(cty.List(cty.String))), nil
		}
		for _, v := range list.AsValueSlice() {
			if v.IsNull() {
				return cty.NilVal, errors.New("null is not allowed")
			}
			out[v.AsString()] = append(out[v.AsString()], k)
		}
	}
	if len(out) == 0 {
		return cty.MapValEmpty(cty.List(cty.String)), nil
	}
	lists := map[string]cty.Value{}
	for k, v := range out {
		lists[k] = cty.ListVal(v)
	}
	return cty.MapVal(lists), nil
}
