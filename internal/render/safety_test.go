package render

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// What GitHub would make of text outside code.
var (
	live      = regexp.MustCompile(`@\w|#\d|\bGH-\d|\bgh-\d|https?:|www\.|\b[0-9a-f]{7,40}\b|:\w+:|\$|\[\^`)
	ownHTML   = regexp.MustCompile(`^<details( open)?><summary>[^<>]*(<code>[^<>]*</code>[^<>]*)?</summary>\n$|^</details>\n$`)
	ownInline = map[string]bool{"<sub>": true, "</sub>": true, "<br>": true}
)

// checkMarkdown reads Markdown as GitHub does and complains about anything in
// it that is not of our own making.
func checkMarkdown(t *testing.T, md string) {
	t.Helper()
	src := []byte(md)
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote)).Parser().Parse(text.NewReader(src))
	open := 0
	bad := func(what, s string) { t.Errorf("%s: %q\n%s", what, s, md) }
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.CodeSpan:
			return ast.WalkSkipChildren, nil
		case *ast.FencedCodeBlock:
			if strings.ContainsFunc(string(n.Lines().Value(src)), hidden) {
				bad("hidden character in a fence", string(n.Lines().Value(src)))
			}
		case *ast.Link, *ast.AutoLink, *ast.Image, *extast.Strikethrough, *extast.TaskCheckBox, *extast.FootnoteLink, *ast.CodeBlock:
			bad("live "+n.Kind().String(), string(n.Text(src))) //nolint:staticcheck // good enough for a message
		case *ast.RawHTML:
			if tag := string(n.Segments.Value(src)); !ownInline[tag] {
				bad("HTML", tag)
			}
		case *ast.HTMLBlock:
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				s := string(line.Value(src))
				if !ownHTML.MatchString(s) {
					bad("HTML block", s)
				}
				open += strings.Count(s, "<details") - strings.Count(s, "</details>")
			}
		case *ast.Text:
			if s := string(n.Value(src)); live.MatchString(s) || strings.ContainsFunc(s, hidden) {
				bad("live text", s)
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if open != 0 {
		bad("details are not balanced", "")
	}
	foot := doc.LastChild()
	if _, note := foot.(*ast.Blockquote); note {
		foot = foot.PreviousSibling()
	}
	if _, ok := foot.(*ast.Paragraph); !ok {
		bad("the footer is swallowed by", foot.Kind().String())
	}
}

func hidden(r rune) bool {
	return r != '\n' && r != '\t' && r != ' ' && !unicode.IsPrint(r)
}

// checkTerminal complains about what a terminal or a job's log would obey.
func checkTerminal(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Errorf("not UTF-8: %q", s)
	}
	for _, r := range s {
		if r != '\n' && r != ' ' && !unicode.IsPrint(r) {
			t.Errorf("character %U in %q", r, s)
			return
		}
	}
	checkCommands(t, s)
}

func checkCommands(t *testing.T, s string) {
	t.Helper()
	if strings.Contains(s, "##[") {
		t.Errorf("a ##[ command in %q", s)
	}
	for line := range strings.SplitSeq(s, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "::") {
			t.Errorf("a command: %q", line)
		}
	}
}

// poison puts s into every string that comes from outside. With enums, also
// into the words of closed sets.
func poison(v reflect.Value, s string, enums bool) {
	switch v.Kind() {
	case reflect.String:
		if enums || v.Type() == reflect.TypeFor[string]() {
			v.SetString(s)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			poison(v.Elem(), s, enums)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				poison(v.Field(i), s, enums)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i), s, enums)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			value := reflect.New(v.Type().Elem()).Elem()
			value.Set(v.MapIndex(k))
			poison(value, s, enums)
			key := reflect.New(v.Type().Key()).Elem()
			poison(key, s, enums)
			v.SetMapIndex(k, reflect.Value{})
			v.SetMapIndex(key, value)
		}
	default:
	}
}

// renderPlan renders a plan in all forms and checks each.
func renderPlan(t *testing.T, p plans.Plan) {
	t.Helper()
	for _, size := range []int{SummaryBytes, 6_000, 1} {
		checkMarkdown(t, PlanMarkdown(p, Budget{Bytes: size}))
	}
	var b bytes.Buffer
	if err := PlanText(&b, p, Options{}); err != nil {
		t.Fatal(err)
	}
	checkTerminal(t, b.String())
	checkPage(t, planPage(t, p))
	b.Reset()
	if err := PlanJSON(&b, p); err != nil {
		t.Fatal(err)
	}
	checkCommands(t, b.String())
}

func renderResult(t *testing.T, r plans.Result) {
	t.Helper()
	for _, size := range []int{SummaryBytes, 6_000, 1} {
		checkMarkdown(t, ResultMarkdown(r, Budget{Bytes: size}))
		checkMarkdown(t, ResultComment(r, Budget{Bytes: size}))
	}
	var b bytes.Buffer
	if err := ResultText(&b, r, Options{}); err != nil {
		t.Fatal(err)
	}
	checkTerminal(t, b.String())
}

func TestGoldenIsSafe(t *testing.T) {
	for _, file := range cases(t, "plan.json") {
		var p plans.Plan
		load(t, file, &p)
		renderPlan(t, p)
	}
	for _, file := range cases(t, "result.json") {
		var r plans.Result
		load(t, file, &r)
		renderResult(t, r)
	}
}

// seeds are strings that mean something to Markdown, HTML, terminals or job logs.
func seeds(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "hostile.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	if err := json.Unmarshal(b, &all); err != nil || len(all) == 0 {
		t.Fatalf("no seeds in testdata/hostile.json (%v)", err)
	}
	return all
}

func FuzzHostile(f *testing.F) {
	plansOf := []string{"one-line", "failed-evaluation", "pending-held", "replaced-server", "all-kinds", "fleet"}
	resultsOf := []string{"health-rolled-back", "settled", "infra-failure", "unreviewed", "rollback-held"}
	for i, s := range seeds(f) {
		for n := range 3 { // each string in half of the plans and results
			f.Add(s, "plain words", false, uint8(i+n))
			f.Add("plain words "+s+" and more", s, true, uint8(i+n))
		}
	}
	f.Fuzz(func(t *testing.T, a, b string, enums bool, which uint8) {
		if len(a)+len(b) > 2000 {
			return // large inputs prove nothing more and are slow
		}
		var p plans.Plan
		load(t, "testdata/"+plansOf[int(which)%len(plansOf)]+"/plan.json", &p)
		poison(reflect.ValueOf(&p.This).Elem(), a, enums)
		poison(reflect.ValueOf(&p).Elem(), b, false)
		for i := range p.This.Hosts {
			poison(reflect.ValueOf(&p.This.Hosts[i]).Elem(), a, enums)
		}
		renderPlan(t, p)
		var r plans.Result
		load(t, "testdata/"+resultsOf[int(which)%len(resultsOf)]+"/result.json", &r)
		poison(reflect.ValueOf(&r).Elem(), a, enums)
		r.Failure = b
		renderResult(t, r)
		renderRest(t, a, b)
	})
}

// renderRest checks status, history, facts, checks, errors and progress.
func renderRest(t *testing.T, a, b string) {
	t.Helper()
	now := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	run := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		checkTerminal(t, out.String())
		out.Reset()
	}
	status := plans.HostStatus{Host: a, Address: b, Reachable: true, Problem: a, Commit: b, Hold: &fleet.Hold{By: a, Reason: b},
		Drift: []string{a, b}, FailedUnits: []string{a, b}, LockedBy: b}
	run(StatusText(&out, []plans.HostStatus{status}, now, Options{}))
	record := fleet.Record{Kind: fleet.RecordKind(a), Outcome: fleet.Outcome(b), Commit: a, By: b, Reason: a}
	run(HistoryText(&out, []plans.HostHistory{{Host: a, Records: []fleet.Record{record}}, {Host: b, Problem: a}}, now, Options{}))
	run(FactsText(&out, fleet.Facts{a: {IPv4: b, Known: true, Private: map[string]string{a: b}, Location: b}}, Options{}))
	failure := &problem.Problem{Summary: a, At: problem.Position{File: b}, Source: a, Detail: b, Hints: []string{a, b}}
	run(CheckText(&out, CheckReport{Fleet: a, Checked: []string{b}, Warnings: []plans.Gap{{Subject: a, Text: b}}}, Options{}))
	run(CheckText(&out, CheckReport{Err: failure}, Options{}))
	run(ErrorText(&out, failure, Options{}))
	plain := NewPlain(&out)
	for _, k := range []progress.Kind{progress.Begin, progress.Count, progress.Log, progress.Note, progress.End, progress.Fail} {
		plain.Event(progress.Event{Kind: k, Step: progress.Step(b), Host: a, Text: b, Unit: a})
	}
	run(plain.Close())
	NewJSON(&out).Event(progress.Event{Kind: progress.Log, Host: a, Text: b})
	line := strings.TrimSuffix(out.String(), "\n")
	if strings.Contains(line, "\n") || !json.Valid([]byte(line)) {
		t.Errorf("not one JSON object on one line: %q", line)
	}
	checkCommands(t, line)
}
