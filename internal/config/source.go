package config

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// maxProblems is how many mistakes one run shows; more help nobody.
const maxProblems = 50

// position counts lines and columns (in characters) from 1. The zero value is
// the file as a whole.
type position struct{ line, column int }

// source is the text of one file and the problems found in it.
type source struct {
	name     string
	lines    []string
	problems []*problem.Problem
}

// newSource cuts the text into lines, for messages, and gives it back as the
// parser wants it: without byte order mark, and each of YAML's line ends as \n
// (the library counts lines wrongly otherwise).
func newSource(name string, data []byte) (*source, string) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	return &source{name: name, lines: strings.Split(text, "\n")}, text
}

// report adds a problem. The summary is one line without a final dot.
func (s *source) report(at position, summary string, hints ...string) {
	_ = s.add(at, summary, hints...)
}

// add is report for who has more to say of the problem, or less.
func (s *source) add(at position, summary string, hints ...string) *problem.Problem {
	for i := range hints {
		hints[i] = printable(hints[i])
	}
	p := &problem.Problem{
		Summary: printable(summary),
		At:      problem.Position{File: s.name, Line: at.line, Column: at.column},
		Source:  s.excerpt(at),
		Hints:   hints,
	}
	s.problems = append(s.problems, p)
	return p
}

// err joins the problems in the order of the file, each once: an alias makes
// one mistake count several times.
func (s *source) err() error {
	slices.SortStableFunc(s.problems, func(a, b *problem.Problem) int {
		if a.At.Line != b.At.Line {
			return a.At.Line - b.At.Line
		}
		return a.At.Column - b.At.Column
	})
	s.problems = slices.CompactFunc(s.problems, func(a, b *problem.Problem) bool {
		return a.At == b.At && slices.Equal(a.Hints, b.Hints)
	})
	var errs []error
	for i, p := range s.problems {
		if i == maxProblems {
			errs = append(errs, &problem.Problem{
				Summary: fmt.Sprintf("%d more problems", len(s.problems)-maxProblems),
				At:      problem.Position{File: s.name},
				Hints:   []string{"They are not shown; mend those above first."},
			})
			break
		}
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// looksSecret matches what must not be repeated in a log because it may be a
// token that somebody wrote into the file. SSH public keys begin with AAAA.
var looksSecret = regexp.MustCompile(`[A-Za-z0-9+/_=-]{40,}`)

func mask(text string) string {
	return looksSecret.ReplaceAllStringFunc(text, func(word string) string {
		if strings.HasPrefix(word, "AAAA") {
			return word
		}
		return strings.Repeat("*", len(word))
	})
}

const maxExcerpt = 150

// excerpt is the line with its number, and a caret below the column.
func (s *source) excerpt(at position) string {
	if at.line < 1 || at.line > len(s.lines) {
		return ""
	}
	line := mask(s.lines[at.line-1])
	runes := []rune(line)
	column := min(max(at.column, 1), len(runes)+1)
	if from := column - maxExcerpt/2; len(runes) > maxExcerpt && from > 0 {
		runes = append([]rune("…"), runes[from:]...)
		column -= from - 1
	}
	if len(runes) > maxExcerpt {
		runes = append(runes[:maxExcerpt:maxExcerpt], '…')
	}
	number := fmt.Sprintf("%d | ", at.line)
	pad := []rune(strings.Repeat(" ", len(number)))
	for _, r := range runes[:column-1] {
		if r != '\t' {
			r = ' '
		}
		pad = append(pad, r)
	}
	return number + printable(string(runes)) + "\n" + string(pad) + "^"
}

// printable replaces control characters: what a stranger wrote must not steer
// a terminal or begin a line of its own.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, text)
}

// quote shows a value of the file in a message.
func quote(s string) string {
	s = mask(s)
	if r := []rune(s); len(r) > 60 {
		s = string(r[:60]) + "…"
	}
	return fmt.Sprintf("%q", s)
}
