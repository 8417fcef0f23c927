package terraform

import (
	"encoding/base64"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

func (in *importer) fileFunctions() map[string]function.Function {
	name := []function.Parameter{{Name: "path", Type: cty.String}}
	file := func(use func(data []byte) (string, error)) function.Function {
		return pure(cty.DynamicPseudoType, name, func(args []cty.Value) (cty.Value, error) {
			path := args[0].AsString()
			if !in.meter.take(1000) { // a file is not free
				return cty.DynamicVal, tooLargeError{"file"}
			}
			data, err := in.access.content(path)
			if err != nil {
				return unknown(fmt.Sprintf("the file %s cannot be read: %s", path, reason(err)), "Put it where Terraform finds it, or write what it holds."), nil
			}
			text, err := use(data)
			return cty.StringVal(text), err
		})
	}
	text := func(data []byte) (string, error) {
		if !utf8.Valid(data) {
			return "", errNotText
		}
		return string(data), nil
	}
	all := map[string]function.Function{
		"file":       file(text),
		"filebase64": file(func(data []byte) (string, error) { return base64.StdEncoding.EncodeToString(data), nil }),
		"fileexists": pure(cty.Bool, name, func(args []cty.Value) (cty.Value, error) {
			_, err := in.access.content(args[0].AsString())
			return cty.BoolVal(err == nil), nil
		}),
		"basename": pure(cty.String, name, func(args []cty.Value) (cty.Value, error) {
			return cty.StringVal(filepath.Base(args[0].AsString())), nil
		}),
		"dirname":    pure(cty.String, name, func(args []cty.Value) (cty.Value, error) { return cty.StringVal(filepath.Dir(args[0].AsString())), nil }),
		"pathexpand": pure(cty.String, name, func(args []cty.Value) (cty.Value, error) { return args[0], nil }), // reading expands
		"abspath": pure(cty.String, name, func(args []cty.Value) (cty.Value, error) {
			if path := args[0].AsString(); !filepath.IsAbs(path) {
				return cty.StringVal(filepath.Join(in.access.base, path)), nil
			}
			return args[0], nil
		}),
		"templatefile": in.templateFile(),
	}
	digests := textFunctions()
	for _, d := range []string{"md5", "sha1", "sha256", "sha512", "base64sha256", "base64sha512"} {
		all["file"+d] = file(func(data []byte) (string, error) {
			v, err := digests[d].Call([]cty.Value{cty.StringVal(string(data))})
			if err != nil {
				return "", err
			}
			return v.AsString(), nil
		})
	}
	return all
}

// templateFile fills in a template from a file.
func (in *importer) templateFile() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: "path", Type: cty.String}, anything("variables")},
		Type:   function.StaticReturnType(cty.DynamicPseudoType),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			path := args[0].AsString()
			data, err := in.access.content(path)
			if err != nil {
				return unknown(fmt.Sprintf("the file %s cannot be read: %s", path, reason(err)), "Put it where Terraform finds it, or write what it holds."), nil
			}
			if !utf8.Valid(data) {
				return cty.NilVal, errNotText
			}
			return in.template(path, data, args[1])
		},
	})
}

func (in *importer) template(path string, text []byte, variables cty.Value) (cty.Value, error) {
	if !in.meter.take(len(text)/16) || !in.shallowTemplate(path, text) {
		return cty.DynamicVal, tooLargeError{"templatefile"}
	}
	expr, diags := hclsyntax.ParseTemplate(text, path, hcl.InitialPos)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	var nodes []hclsyntax.Node
	_ = hclsyntax.VisitAll(expr, func(n hclsyntax.Node) hcl.Diagnostics {
		nodes = append(nodes, n)
		return nil
	})
	in.meterAll(nodes)
	if variables.IsNull() || !variables.Type().IsObjectType() && !variables.Type().IsMapType() {
		return cty.NilVal, errNotCollection
	}
	ctx := &hcl.EvalContext{Variables: variables.AsValueMap(), Functions: map[string]function.Function{}}
	for name, f := range in.funcs {
		if name != "templatefile" && name != "core::templatefile" { // a template cannot fill in itself
			ctx.Functions[name] = f
		}
	}
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		return cty.NilVal, diags
	}
	return v, nil
}
