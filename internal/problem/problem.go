// Package problem holds a failure for people: what went wrong, where, why, and
// what to do next. It travels as an ordinary error; the shell turns it into
// text and an exit code, once, at the top.
package problem

import (
	"errors"
	"fmt"
	"strings"
)

// Code is the exit code a failure asks for (DESIGN.md chapter 4).
type Code int

// The exit codes. Worst wins: Unknown > NotDeployed > Cancelled > Refused > Failed.
const (
	OK          Code = 0
	Failed      Code = 1   // error, nothing changed on any host
	Changes     Code = 2   // changes or drift, only when asked for
	NotDeployed Code = 3   // a host was not deployed, all touched hosts verified on a good system
	Unknown     Code = 4   // a host is unknown, degraded or not bootable
	Refused     Code = 5   // lock, review, protection, hold
	Usage       Code = 64  // wrong flags or arguments
	Cancelled   Code = 130 // interrupted, touched hosts verified
)

// Worse gives the worse of two codes.
func Worse(a, b Code) Code {
	rank := map[Code]int{OK: 0, Changes: 1, Usage: 2, Failed: 3, Refused: 4, Cancelled: 5, NotDeployed: 6, Unknown: 7}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Position is a place in a file of the fleet repo. Line and Column count from
// 1; 0 is "not known".
type Position struct {
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
}

// String is file:line:column, as far as known.
func (p Position) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	default:
		return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
	}
}

// Problem is a failure for people. Summary is one line without a final dot.
type Problem struct {
	Summary string   // what failed
	At      Position // where in the user's files; zero: nowhere
	Source  string   // the offending source line(s) or the tail of a log, may span lines
	Detail  string   // why, may span lines
	Cause   error    // the error underneath, nil if none
	Hints   []string // what to do next, one sentence each
	Code    Code     // exit code; 0 counts as Failed
}

// Error implements error: place, summary and cause on one line.
func (p *Problem) Error() string {
	var b strings.Builder
	if p.At.File != "" {
		b.WriteString(p.At.String() + ": ")
	}
	b.WriteString(p.Summary)
	if p.Cause != nil {
		b.WriteString(": " + p.Cause.Error())
	}
	return b.String()
}

// Unwrap gives the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// CodeOf gives the exit code of an error: the worst Code among the Problems in
// its tree, Failed if it has none, OK for nil.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	code := OK
	walk(err, func(p *Problem) { code = Worse(code, p.code()) })
	if code == OK {
		return Failed
	}
	return code
}

func (p *Problem) code() Code {
	if p.Code == OK {
		return Failed
	}
	return p.Code
}

// All gives the Problems of an error's tree, outermost first; an error without
// one becomes a Problem whose Summary is its text. Joined errors give one each.
func All(err error) []*Problem {
	if err == nil {
		return nil
	}
	var p *Problem
	if ok := asSelf(err, &p); ok {
		return []*Problem{p}
	}
	var joined interface{ Unwrap() []error }
	if j, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only the outermost join is split
		joined = j
		var all []*Problem
		for _, e := range joined.Unwrap() {
			all = append(all, All(e)...)
		}
		return all
	}
	if errors.As(err, &p) {
		// Something was wrapped around a Problem: keep both the wrapping text and what the Problem tells.
		outer := *p
		outer.Summary = strings.TrimSuffix(err.Error(), p.causeSuffix())
		outer.At = Position{}
		if p.At.File != "" {
			outer.Summary = strings.Replace(outer.Summary, p.At.String()+": ", "", 1)
			outer.At = p.At
		}
		return []*Problem{&outer}
	}
	return []*Problem{{Summary: err.Error()}}
}

func (p *Problem) causeSuffix() string {
	if p.Cause == nil {
		return ""
	}
	return ": " + p.Cause.Error()
}

func asSelf(err error, target **Problem) bool {
	p, ok := err.(*Problem) //nolint:errorlint // asks for the outermost error alone
	if ok {
		*target = p
	}
	return ok
}

func walk(err error, visit func(*Problem)) {
	var p *Problem
	if asSelf(err, &p) {
		visit(p)
	}
	switch u := err.(type) { //nolint:errorlint // walks the tree itself
	case interface{ Unwrap() error }:
		if inner := u.Unwrap(); inner != nil {
			walk(inner, visit)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range u.Unwrap() {
			walk(inner, visit)
		}
	}
}

// Text renders an error for a terminal or a log: "error:" lines with place,
// source, cause and detail, then "hint:" lines. It ends with a newline.
func Text(err error) string {
	var b strings.Builder
	for i, p := range All(err) {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("error: ")
		if p.At.File != "" {
			b.WriteString(p.At.String() + ": ")
		}
		b.WriteString(p.Summary + "\n")
		indent(&b, p.Source, "  | ")
		if p.Cause != nil {
			indent(&b, p.Cause.Error(), "  because: ")
		}
		indent(&b, p.Detail, "  ")
		for _, h := range p.Hints {
			b.WriteString("hint: " + h + "\n")
		}
	}
	return b.String()
}

func indent(b *strings.Builder, text, prefix string) {
	if text == "" {
		return
	}
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		if i > 0 && strings.TrimSpace(prefix) == "because:" {
			prefix = "           "
		}
		b.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
	}
}
