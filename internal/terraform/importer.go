package terraform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// Bounds against files that are made to hurt.
const (
	maxFileSize  = 512 << 10 // of one file, bytes
	maxFiles     = 500       // in all folders together
	maxInstances = 1000      // of one resource or module
	maxTotal     = 5000      // of all of them together
	maxModules   = 500       // module instances
	maxNesting   = 10        // modules in modules
	maxDepth     = 400       // values that wait for each other
)

// importer is one import: what was read, what was found wrong, what is left
// of the budgets.
type importer struct {
	ctx     context.Context
	dir     string
	access  access
	folders map[string]*folder // by path
	sources map[string][]byte  // text of the files, for messages
	refs    map[hclsyntax.Expression][]hcl.Traversal
	schemas map[string]*schema
	funcs   map[string]function.Function
	vars    map[string]hclsyntax.Expression // of tfvars files
	unread  []string                        // tfvars files that nobody asked for
	state   *state
	home    string // alias of the provider configuration that is the fleet's, "" for the one without
	values  *stand // values made up for what only the provider knows
	meter   *meter

	modules, instances, depth int
	stopped                   bool // something is endless: no more is evaluated

	problems []*problem.Problem
	gaps     []Gap
	told     map[string]bool
}

func newImporter(ctx context.Context, dir string, o Options) (*importer, error) {
	in := &importer{
		ctx: ctx, dir: filepath.Clean(dir),
		folders: map[string]*folder{}, sources: map[string][]byte{}, refs: map[hclsyntax.Expression][]hcl.Traversal{},
		schemas: map[string]*schema{}, vars: map[string]hclsyntax.Expression{}, told: map[string]bool{},
		values: newStand(),
	}
	in.meter = &meter{in: in, left: budget}
	in.access = newAccess(in.dir)
	in.funcs = in.functions()
	if o.State != "" {
		s, err := readState(o.State)
		if err != nil {
			return nil, err
		}
		in.state = s
	}
	if err := in.readVarFiles(o.VarFiles); err != nil {
		return nil, err
	}
	return in, nil
}

// open reads the folder itself; modules are read when they are called.
func (in *importer) open() *scope {
	f := in.folder(in.dir, hcl.Range{Filename: in.dir})
	if f == nil {
		return nil
	}
	in.home = onlyAlias(f.providers)
	return newScope(in, f, nil, nil, nil, "")
}

// onlyAlias is the alias of the one configuration of hcloud, "" where there
// are several or it has none.
func onlyAlias(providers []*hclsyntax.Block) string {
	alias, n := "", 0
	for _, p := range providers {
		if p.Labels[0] != "hcloud" {
			continue
		}
		n++
		if attr := p.Body.Attributes["alias"]; attr != nil {
			if v, diags := attr.Expr.Value(nil); !diags.HasErrors() {
				alias, _ = textOf(v)
			}
		}
	}
	if n != 1 {
		return ""
	}
	return alias
}

// err joins what is wrong, in the order in which it was found.
func (in *importer) err() error {
	if err := in.ctx.Err(); err != nil {
		return &problem.Problem{Summary: "the import was cancelled", Cause: err, Code: problem.Cancelled}
	}
	errs := make([]error, 0, len(in.problems))
	for _, p := range in.problems {
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// maxProblems is how many mistakes one import tells of.
const maxProblems = 20

// fail notes a mistake in the files, once per place.
func (in *importer) fail(at hcl.Range, summary string, hints ...string) {
	p := &problem.Problem{Summary: printable(summary), At: position(at), Source: in.sourceLine(at)}
	for _, h := range hints {
		p.Hints = append(p.Hints, printable(h))
	}
	key := "problem " + p.At.String() + p.Summary
	if in.told[key] || len(in.problems) >= maxProblems {
		return
	}
	in.told[key] = true
	in.problems = append(in.problems, p)
}

// failed notes what the HCL library found wrong, and tells whether it was
// anything.
func (in *importer) failed(diags hcl.Diagnostics) bool {
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := hcl.Range{Filename: in.dir}
		if d.Subject != nil {
			at = *d.Subject
		}
		in.fail(at, sentence(d), d.Detail)
	}
	return diags.HasErrors()
}

// sentence is a diagnostic's summary as the beginning of a line.
func sentence(d *hcl.Diagnostic) string {
	s := strings.TrimSuffix(d.Summary, ".")
	if s == "" {
		return "the file is not valid"
	}
	return strings.ToLower(s[:1]) + s[1:]
}

// gap notes what is not carried over, once per place and text.
func (in *importer) gap(at hcl.Range, address, what, instead string) {
	g := Gap{At: position(at), Address: printable(address), What: printable(what), Instead: printable(instead)}
	key := "gap " + g.At.String() + g.What
	if g.At.Line == 0 {
		key += g.Address
	}
	if in.told[key] {
		return
	}
	in.told[key] = true
	in.gaps = append(in.gaps, g)
}

func (in *importer) sortedGaps() []Gap {
	slices.SortStableFunc(in.gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.At.File, b.At.File), cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.Address, b.Address))
	})
	return in.gaps
}

func position(r hcl.Range) problem.Position {
	return problem.Position{File: filepath.ToSlash(r.Filename), Line: r.Start.Line, Column: r.Start.Column}
}

// sourceLine is the line that a range begins in, shortened.
func (in *importer) sourceLine(at hcl.Range) string {
	if !strings.HasSuffix(at.Filename, ".tf") {
		return "" // variables may be secrets
	}
	lines := strings.SplitN(string(in.sources[at.Filename]), "\n", at.Start.Line+1)
	if at.Start.Line < 1 || at.Start.Line > len(lines) {
		return ""
	}
	line := []rune(strings.TrimRight(printable(lines[at.Start.Line-1]), " \r"))
	if len(line) > 120 {
		line = append(line[:119], '…')
	}
	return string(line)
}

// printable makes text of unknown origin safe for one line of a terminal or a
// YAML comment.
func printable(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r) || r == '\uFEFF':
			return -1
		}
		return r
	}, s)
}

// count takes n instances from the budgets; false when they are used up.
func (in *importer) count(n int, at hcl.Range, what string) bool {
	if n <= maxInstances {
		in.instances += n
	}
	if n > maxInstances || in.instances > maxTotal {
		in.fail(at, fmt.Sprintf("%s is more than an import takes (%d of one resource, %d in all)", what, maxInstances, maxTotal),
			"Import a part of the configuration, or write the repeated part of flotilla.yaml by hand.")
		return false
	}
	return true
}
