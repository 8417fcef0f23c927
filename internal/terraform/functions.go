package terraform

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	ctyyaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// functions are Terraform's that depend on nothing but their arguments and
// the configuration's files.
func (in *importer) functions() map[string]function.Function {
	all := map[string]function.Function{
		"abs": stdlib.AbsoluteFunc, "ceil": stdlib.CeilFunc, "chomp": stdlib.ChompFunc, "chunklist": stdlib.ChunklistFunc,
		"coalescelist": stdlib.CoalesceListFunc, "compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc,
		"contains": stdlib.ContainsFunc, "csvdecode": stdlib.CSVDecodeFunc, "distinct": stdlib.DistinctFunc,
		"element": stdlib.ElementFunc, "flatten": stdlib.FlattenFunc, "floor": stdlib.FloorFunc, "format": stdlib.FormatFunc,
		"formatdate": stdlib.FormatDateFunc, "formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc, "join": stdlib.JoinFunc,
		"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc, "log": stdlib.LogFunc,
		"lookup": lookupFunc(), "lower": stdlib.LowerFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc,
		"parseint": stdlib.ParseIntFunc, "pow": stdlib.PowFunc, "range": stdlib.RangeFunc, "regex": stdlib.RegexFunc,
		"regexall": stdlib.RegexAllFunc, "replace": replaceFunc(), "reverse": stdlib.ReverseListFunc,
		"setintersection": stdlib.SetIntersectionFunc, "setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc,
		"setunion": stdlib.SetUnionFunc, "signum": stdlib.SignumFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
		"split": stdlib.SplitFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "timeadd": stdlib.TimeAddFunc,
		"title": stdlib.TitleFunc, "trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc,
		"trimsuffix": stdlib.TrimSuffixFunc, "upper": stdlib.UpperFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,

		"tobool": stdlib.MakeToFunc(cty.Bool), "tostring": stdlib.MakeToFunc(cty.String), "tonumber": stdlib.MakeToFunc(cty.Number),
		"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)),
		"tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),

		"try": tryfunc.TryFunc, "can": tryfunc.CanFunc,
		"yamldecode": ctyyaml.YAMLDecodeFunc, "yamlencode": ctyyaml.YAMLEncodeFunc,
	}
	for _, more := range []map[string]function.Function{listFunctions(), textFunctions(), addressFunctions(), in.fileFunctions()} {
		for name, f := range more {
			all[name] = f
		}
	}
	for name, f := range all {
		if name != "try" && name != "can" { // they take expressions, not values
			all[name] = in.bounded(name, f)
		}
	}
	for _, name := range []string{"timestamp", "plantimestamp", "uuid", "uuidv5", "bcrypt", "rsadecrypt"} {
		all[name] = unknownFunction(name+"() gives another value each time, or is not carried over", "Write the value itself, or import with --state.")
	}
	all["sensitive"], all["nonsensitive"] = sensitiveFunc(), nonsensitiveFunc()
	// The same by their long names.
	for name, f := range all {
		all["core::"+name] = f
	}
	return all
}

// stub makes calls of a function that nobody knows give an unknown value.
func (in *importer) stub(name string) {
	if _, ok := in.funcs[name]; !ok {
		in.funcs[name] = unknownFunction("the function "+name+"() is not known to the import", "Write the value itself, or import with --state.")
	}
}

func unknownFunction(why, instead string) function.Function {
	return function.New(&function.Spec{
		VarParam: &function.Parameter{Name: "args", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true},
		Type:     function.StaticReturnType(cty.DynamicPseudoType),
		Impl:     func([]cty.Value, cty.Type) (cty.Value, error) { return unknown(why, instead), nil },
	})
}

type tooLargeError struct{ function string }

func (e tooLargeError) Error() string {
	return fmt.Sprintf("%s() would make a value that is too large for an import", e.function)
}

// wide finds widths and precisions of format that would make long text of
// short arguments.
var wide = regexp.MustCompile(`%[^%A-Za-z]*[0-9*]{4}`)

// bounded refuses calls whose result would be much larger than their
// arguments, and counts the others.
func (in *importer) bounded(name string, f function.Function) function.Function {
	spec := &function.Spec{Params: f.Params(), VarParam: f.VarParam(), Description: name}
	spec.Type = func(args []cty.Value) (cty.Type, error) {
		if !in.affordable(name, args) {
			return cty.DynamicPseudoType, tooLargeError{name}
		}
		return f.ReturnTypeForValues(args)
	}
	spec.Impl = func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		v, err := f.Call(args)
		if err == nil && (!in.meter.charge(v) || !fits(v)) {
			return cty.DynamicVal, tooLargeError{name}
		}
		return v, err
	}
	return function.New(spec)
}

// affordable tells whether a call costs what its arguments say, and takes that
// from the budget.
func (in *importer) affordable(name string, args []cty.Value) bool {
	size, product := 0, 1
	for _, a := range args {
		a, _ = a.UnmarkDeep()
		left := maxValue
		if !weigh(a, &left) {
			return false
		}
		size += maxValue - left
		if a.IsKnown() && !a.IsNull() && a.CanIterateElements() {
			product = min(product*max(a.LengthInt(), 1), maxValue)
		}
	}
	switch name {
	case "setproduct":
		if product*len(args) > 100_000 || !in.meter.take(product*len(args)) {
			return false
		}
	case "format", "formatlist":
		if len(args) > 0 && known(args[0]) && args[0].Type() == cty.String && wide.MatchString(args[0].AsString()) {
			return false
		}
	case "replace":
		if !replaceable(args) {
			return false
		}
	case "indent":
		if len(args) == 2 && known(args[0]) && known(args[1]) && args[0].Type() == cty.Number && args[1].Type() == cty.String {
			if n, _ := args[0].AsBigFloat().Int64(); n > 1000 || int(n)*strings.Count(args[1].AsString(), "\n") > maxValue {
				return false
			}
		}
	case "chunklist":
		if len(args) == 2 && known(args[1]) && args[1].Type() == cty.Number && args[1].AsBigFloat().Sign() < 0 {
			return false
		}
	}
	return in.meter.take(1 + size/16)
}

func known(v cty.Value) bool { return !v.IsMarked() && v.IsKnown() && !v.IsNull() }

func replaceable(args []cty.Value) bool {
	for _, a := range args {
		if !known(a) || a.Type() != cty.String {
			return true
		}
	}
	if len(args) != 3 {
		return true
	}
	text, old, by := args[0].AsString(), args[1].AsString(), args[2].AsString()
	places := len(text) + 1
	if old != "" && !isPattern(old) {
		places = strings.Count(text, old)
	}
	return places*len(by) <= 4*maxValue
}

func isPattern(s string) bool { return len(s) > 1 && s[0] == '/' && s[len(s)-1] == '/' }

func sensitiveFunc() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true}},
		Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl:   func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0].Mark(sensitiveMark{}), nil },
	})
}

func nonsensitiveFunc() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true}},
		Type:   func(args []cty.Value) (cty.Type, error) { return args[0].Type(), nil },
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, marks := args[0].UnmarkDeep()
			delete(marks, sensitiveMark{})
			return v.WithMarks(marks), nil
		},
	})
}
