package terraform

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// folder is the parsed text of one module, shared by all its instances.
type folder struct {
	dir       string
	variables map[string]*variable
	locals    map[string]hclsyntax.Expression
	outputs   map[string]*hclsyntax.Block
	resources map[string]*resource // "hcloud_server.web", "data.hcloud_image.nixos"
	calls     map[string]*call
	order     []*resource // as they stand in the files
	callOrder []*call
	providers []*hclsyntax.Block
}

// resource is a resource or data block.
type resource struct {
	folder *folder
	kind   string // hcloud_server
	name   string
	data   bool
	body   *hclsyntax.Body
	at     hcl.Range
}

// address is the resource's within its module.
func (r *resource) address() string {
	if r.data {
		return "data." + r.kind + "." + r.name
	}
	return r.kind + "." + r.name
}

// call is a module block.
type call struct {
	name string
	body *hclsyntax.Body
	at   hcl.Range
}

// folder reads the .tf files of a folder, once; nil after a problem. from is
// where it is asked for.
func (in *importer) folder(dir string, from hcl.Range) *folder {
	if f, ok := in.folders[dir]; ok {
		return f
	}
	in.folders[dir] = nil // stays so after a problem
	names, err := in.access.list(dir)
	if err != nil {
		in.fail(from, fmt.Sprintf("cannot read the folder %s: %v", dir, reason(err)), "Name the folder that holds the .tf files.")
		return nil
	}
	f := &folder{
		dir: dir, variables: map[string]*variable{}, locals: map[string]hclsyntax.Expression{}, outputs: map[string]*hclsyntax.Block{},
		resources: map[string]*resource{}, calls: map[string]*call{},
	}
	good, found := true, false
	for _, name := range names {
		file := filepath.Join(dir, name)
		switch {
		case strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~"):
		case strings.HasSuffix(name, ".tf.json"), strings.HasSuffix(name, ".tofu"):
			in.gap(hcl.Range{Filename: file}, "", "this file is not read", "Write what it declares as HCL in a .tf file, and import again.")
		case name == "override.tf" || strings.HasSuffix(name, "_override.tf"):
			in.gap(hcl.Range{Filename: file}, "", "override files are not read", "Write what it changes into the blocks that it overrides, and import again.")
		case strings.HasSuffix(name, ".tf"):
			found = true
			good = in.file(f, file) && good
		}
	}
	if !found {
		in.fail(from, fmt.Sprintf("there is no .tf file in %s", dir), "Name the folder that holds them: flotilla import terraform DIR.")
		return nil
	}
	if !good {
		return nil
	}
	in.folders[dir] = f
	return f
}

func (in *importer) file(f *folder, file string) bool {
	if len(in.sources) >= maxFiles {
		in.fail(hcl.Range{Filename: file}, fmt.Sprintf("more than %d files", maxFiles), "Import a part of the configuration.")
		return false
	}
	text, err := in.access.read(file)
	if err != nil {
		in.fail(hcl.Range{Filename: file}, fmt.Sprintf("cannot read the file: %v", reason(err)))
		return false
	}
	body := in.parse(file, text)
	if body == nil {
		return false
	}
	for name, attr := range body.Attributes {
		in.fail(attr.NameRange, fmt.Sprintf("%s stands outside of a block", name), "Terraform has only blocks at this level, for example locals { … }.")
		return false
	}
	before := len(in.problems)
	for _, b := range body.Blocks {
		in.block(f, b)
	}
	return len(in.problems) == before
}

// parse gives the body of a text; nil after a problem. Every reference in it
// is remembered, and every expression that can grow is metered.
func (in *importer) parse(file string, text []byte) *hclsyntax.Body {
	in.sources[file] = text
	if !in.utf8(file, text) || !in.shallow(file, text) {
		return nil
	}
	parsed, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
	if in.failed(first(diags)) { // the others follow from it, as a rule
		return nil
	}
	body, ok := parsed.Body.(*hclsyntax.Body)
	if !ok {
		return nil
	}
	if !in.prepare(body) {
		return nil
	}
	return body
}

// first is the first error of several, in the order of the text.
func first(diags hcl.Diagnostics) hcl.Diagnostics {
	var found *hcl.Diagnostic
	for _, d := range diags {
		if d.Severity == hcl.DiagError && (found == nil || d.Subject != nil && found.Subject != nil && d.Subject.Start.Byte < found.Subject.Start.Byte) {
			found = d
		}
	}
	if found == nil {
		return nil
	}
	return hcl.Diagnostics{found}
}

func (in *importer) block(f *folder, b *hclsyntax.Block) {
	switch b.Type {
	case "resource", "data":
		if !in.labels(b, 2) {
			return
		}
		r := &resource{folder: f, kind: b.Labels[0], name: b.Labels[1], data: b.Type == "data", body: b.Body, at: b.DefRange()}
		if old, taken := f.resources[r.address()]; taken {
			in.duplicate(b, r.address(), old.at)
			return
		}
		f.resources[r.address()] = r
		f.order = append(f.order, r)
	case "module":
		if !in.labels(b, 1) {
			return
		}
		if old, taken := f.calls[b.Labels[0]]; taken {
			in.duplicate(b, "module."+b.Labels[0], old.at)
			return
		}
		c := &call{name: b.Labels[0], body: b.Body, at: b.DefRange()}
		f.calls[c.name] = c
		f.callOrder = append(f.callOrder, c)
	case "variable":
		if !in.labels(b, 1) {
			return
		}
		if old, taken := f.variables[b.Labels[0]]; taken {
			in.duplicate(b, "var."+b.Labels[0], old.at)
			return
		}
		f.variables[b.Labels[0]] = in.variable(b)
	case "locals":
		for name, attr := range b.Body.Attributes {
			if old, taken := f.locals[name]; taken {
				in.fail(attr.NameRange, fmt.Sprintf("local.%s is declared twice", name), "It stands also in "+position(old.Range()).String()+".")
				continue
			}
			f.locals[name] = attr.Expr
		}
	case "output":
		if in.labels(b, 1) {
			f.outputs[b.Labels[0]] = b
		}
	case "provider":
		if in.labels(b, 1) {
			f.providers = append(f.providers, b)
		}
	case "terraform", "moved", "removed", "import", "check", "ephemeral":
		// They say how Terraform works, not what it makes.
	default:
		in.fail(b.TypeRange, fmt.Sprintf("%s is not a block of Terraform", b.Type), nearestBlock(b.Type))
	}
}

func nearestBlock(name string) string {
	known := []string{"resource", "data", "module", "variable", "locals", "output", "provider", "terraform"}
	for _, k := range known {
		if strings.EqualFold(k, name) || strings.HasPrefix(name, k) || strings.HasPrefix(k, name) {
			return fmt.Sprintf("Did you mean %s?", k)
		}
	}
	return "Blocks are " + strings.Join(known, ", ") + "."
}

func (in *importer) labels(b *hclsyntax.Block, n int) bool {
	if len(b.Labels) == n {
		return true
	}
	example := map[int]string{1: `"name"`, 2: `"hcloud_server" "web"`}[n]
	in.fail(b.DefRange(), fmt.Sprintf("%s takes %d names, but here stand %d", b.Type, n, len(b.Labels)), fmt.Sprintf("Write for example: %s %s {", b.Type, example))
	return false
}

func (in *importer) duplicate(b *hclsyntax.Block, address string, old hcl.Range) {
	in.fail(b.DefRange(), address+" is declared twice", "It stands also in "+position(old).String()+".")
}

// utf8 refuses text that no file of ours could hold.
func (in *importer) utf8(file string, text []byte) bool {
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			in.fail(hcl.Range{Filename: file, Start: hcl.Pos{Line: i + 1, Column: 1}}, "this line is not UTF-8 text", "Save the file in UTF-8.")
			return false
		}
	}
	return true
}

// shallow refuses text that would make parser or evaluation recurse too deep.
func (in *importer) shallow(file string, text []byte) bool {
	tokens, _ := hclsyntax.LexConfig(text, file, hcl.InitialPos) // what is wrong is told by the parser
	return in.shallowTokens(tokens)
}

func (in *importer) shallowTemplate(file string, text []byte) bool {
	tokens, _ := hclsyntax.LexTemplate(text, file, hcl.InitialPos)
	return in.shallowTokens(tokens)
}

func (in *importer) shallowTokens(tokens hclsyntax.Tokens) bool {
	const maxBrackets, maxOperators = 80, 2000
	counts := []int{0} // operators at each open level, since the last comma or line
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc:
			if counts = append(counts, 0); len(counts) > maxBrackets {
				in.fail(t.Range, "brackets are nested too deep", fmt.Sprintf("An import takes %d levels.", maxBrackets))
				return false
			}
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCQuote, hclsyntax.TokenCHeredoc:
			if len(counts) > 1 {
				counts = counts[:len(counts)-1]
			}
		case hclsyntax.TokenComma:
			counts[len(counts)-1] = 0
		case hclsyntax.TokenEqual:
			counts[len(counts)-1] = 0 // an attribute begins
		default:
			if !isOperator(t.Type) {
				continue
			}
			if counts[len(counts)-1]++; counts[len(counts)-1] > maxOperators {
				in.fail(t.Range, "this expression is too long", fmt.Sprintf("An import takes %d operators in one expression.", maxOperators))
				return false
			}
		}
	}
	return true
}

func isOperator(t hclsyntax.TokenType) bool {
	return slices.Contains([]hclsyntax.TokenType{
		hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPlus, hclsyntax.TokenMinus, hclsyntax.TokenPercent,
		hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
		hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr,
		hclsyntax.TokenBang, hclsyntax.TokenQuestion,
	}, t)
}
