package terraform

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// variable is a variable block.
type variable struct {
	name      string
	kind      cty.Type
	optional  *typeexpr.Defaults // of optional attributes, nil if none
	fallback  hclsyntax.Expression
	sensitive bool
	nullable  bool
	at        hcl.Range
}

func (in *importer) variable(b *hclsyntax.Block) *variable {
	v := &variable{name: b.Labels[0], kind: cty.DynamicPseudoType, nullable: true, at: b.DefRange()}
	if attr := b.Body.Attributes["type"]; attr != nil {
		kind, optional, diags := typeexpr.TypeConstraintWithDefaults(attr.Expr)
		if !in.failed(diags) {
			v.kind, v.optional = kind, optional
		}
	}
	if attr := b.Body.Attributes["default"]; attr != nil {
		v.fallback = attr.Expr
	}
	v.sensitive = constant(b.Body.Attributes["sensitive"], false)
	v.nullable = constant(b.Body.Attributes["nullable"], true)
	return v
}

// constant is a literal true or false.
func constant(attr *hclsyntax.Attribute, otherwise bool) bool {
	if attr == nil {
		return otherwise
	}
	v, diags := attr.Expr.Value(nil)
	if diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.Bool {
		return otherwise
	}
	return v.True()
}

// convert brings a value into the variable's type.
func (v *variable) convert(in *importer, value cty.Value, at hcl.Range) cty.Value {
	if value.IsNull() && !v.nullable && v.fallback != nil {
		value, _ = v.fallback.Value(in.constants())
	}
	bare, marks := value.UnmarkDeep()
	if !bare.IsWhollyKnown() {
		return value // as far as it is known, it is used as it is
	}
	if v.optional != nil && !bare.IsNull() {
		bare = v.optional.Apply(bare)
	}
	converted, err := convert.Convert(bare, v.kind)
	if err != nil {
		in.fail(at, fmt.Sprintf("the value of var.%s does not have the variable's type: %v", v.name, err),
			"The type is declared in "+position(v.at).String()+".")
		return cty.DynamicVal
	}
	return converted.WithMarks(marks)
}

// constants evaluates what refers to nothing.
func (in *importer) constants() *hcl.EvalContext { return &hcl.EvalContext{Functions: in.funcs} }

// readVarFiles reads the files that Terraform reads by itself, then the named
// ones. A later file wins.
func (in *importer) readVarFiles(named []string) error {
	names, err := in.access.list(in.dir)
	if err != nil {
		return &problem.Problem{
			Summary: "cannot read the folder", At: problem.Position{File: in.dir}, Cause: errors.New(reason(err)),
			Hints: []string{"Name the folder that holds the .tf files."},
		}
	}
	var own, auto []string
	for _, name := range names {
		file := filepath.Join(in.dir, name)
		switch {
		case name == "terraform.tfvars" || name == "terraform.tfvars.json":
			own = append(own, file)
		case strings.HasSuffix(name, ".auto.tfvars") || strings.HasSuffix(name, ".auto.tfvars.json"):
			auto = append(auto, file)
		case strings.HasSuffix(name, ".tfvars") || strings.HasSuffix(name, ".tfvars.json"):
			if !slices.ContainsFunc(named, func(n string) bool { return filepath.Clean(n) == file }) {
				in.unread = append(in.unread, file)
			}
		}
	}
	for _, file := range slices.Concat(own, auto, named) {
		text, err := in.access.read(file)
		if err != nil {
			p := &problem.Problem{Summary: "cannot read the variables", At: problem.Position{File: file}, Cause: errors.New(reason(err))}
			if errors.Is(err, fs.ErrNotExist) {
				p.Hints = []string{"Name an existing file with --var-file."}
			}
			return p
		}
		if strings.HasSuffix(file, ".json") {
			in.jsonVariables(file, text)
			continue
		}
		body := in.parse(filepath.Clean(file), text)
		if body == nil {
			return in.err()
		}
		for _, b := range body.Blocks {
			in.fail(b.DefRange(), "a file of variables has no blocks", "Write name = value lines.")
		}
		for name, attr := range body.Attributes {
			in.vars[name] = attr.Expr
		}
	}
	return in.err()
}

func (in *importer) jsonVariables(file string, text []byte) {
	at := hcl.Range{Filename: file, Start: hcl.InitialPos, End: hcl.InitialPos}
	wrong := func() {
		in.fail(at, "this is not a JSON object of variables", `Write {"name": "value"}.`)
	}
	if !shallowJSON(text) {
		wrong()
		return
	}
	kind, err := ctyjson.ImpliedType(text)
	if err != nil || !kind.IsObjectType() {
		wrong()
		return
	}
	v, err := ctyjson.Unmarshal(text, kind)
	if err != nil || v.IsNull() || !fits(v) {
		wrong()
		return
	}
	for name, value := range v.AsValueMap() {
		in.vars[name] = &hclsyntax.LiteralValueExpr{Val: value, SrcRange: at}
	}
}

// shallowJSON refuses what would make a decoder recurse too deep.
func shallowJSON(text []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > 100 {
				return false
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return true
}
