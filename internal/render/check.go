package render

import (
	"io"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// CheckReport is what `flotilla check` found without touching anything.
type CheckReport struct {
	Fleet    string
	Checked  []string // what was looked at, for example "2 servers", "hive.nix: 2 hosts"
	Warnings []plans.Gap
	Err      error // nil: all is well; Problems in its tree are shown one by one
}

// CheckText writes a check's findings.
func CheckText(w io.Writer, c CheckReport, o Options) error {
	t := &terminal{o: o}
	for _, g := range c.Warnings {
		t.line(t.paint(yellow, "warning:"), " ", cut(oneLine(g.Subject), 64), ": ", oneLine(g.Text))
	}
	if c.Err != nil {
		t.errorText(c.Err)
		return t.flush(w)
	}
	for i, l := range wrap(cut(oneLine(c.Fleet), 64)+": ok  ("+words(c.Checked)+")", t.o.width()-2) {
		if i > 0 {
			l = "  " + l
		}
		t.line(t.paint(green, l))
	}
	return t.flush(w)
}

// CheckJSON writes a check's findings in a versioned JSON form.
func CheckJSON(w io.Writer, c CheckReport) error {
	type found struct {
		Summary string            `json:"summary"`
		At      *problem.Position `json:"at,omitempty"`
		Source  string            `json:"source,omitempty"`
		Detail  string            `json:"detail,omitempty"`
		Cause   string            `json:"cause,omitempty"`
		Hints   []string          `json:"hints"`
	}
	problems := []found{}
	for _, p := range problem.All(c.Err) {
		f := found{Summary: p.Summary, Source: p.Source, Detail: p.Detail, Hints: append([]string{}, p.Hints...)}
		if p.At.File != "" {
			at := p.At
			f.At = &at
		}
		if p.Cause != nil {
			f.Cause = p.Cause.Error()
		}
		problems = append(problems, f)
	}
	return writeJSON(w, struct {
		Version  string      `json:"version"`
		Fleet    string      `json:"fleet"`
		OK       bool        `json:"ok"`
		Checked  []string    `json:"checked"`
		Problems []found     `json:"problems"`
		Warnings []plans.Gap `json:"warnings"`
	}{plans.Version, c.Fleet, c.Err == nil, append([]string{}, c.Checked...), problems, append([]plans.Gap{}, c.Warnings...)})
}

// ErrorText writes an error for people, as problem.Text does, with everything
// that a terminal or a job's log would obey taken out.
func ErrorText(w io.Writer, err error, o Options) error {
	t := &terminal{o: o}
	t.errorText(err)
	return t.flush(w)
}

func (t *terminal) errorText(err error) {
	for _, l := range textLines(problem.Text(err)) {
		for _, mark := range []struct {
			word string
			ink  ink
		}{{"error:", red}, {"hint:", cyan}} {
			if rest, ok := strings.CutPrefix(l, mark.word); ok {
				l = t.paint(mark.ink, mark.word) + rest
				break
			}
		}
		t.line(l)
	}
}
