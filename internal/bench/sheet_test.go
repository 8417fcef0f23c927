//go:build bench

package bench

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"text/tabwriter"
)

// sheet collects what is printed at the end.
type sheet struct {
	mu       sync.Mutex
	sections []*section
}

// section is a table of measurements and a list of targets.
type section struct {
	title   string
	columns string // separated by tabs
	rows    []string
	targets []string

	met, missed, notRun int
}

func (s *sheet) section(title, columns string) *section {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := &section{title: title, columns: columns}
	s.sections = append(s.sections, one)
	return one
}

// row adds measurements, in the order of the columns.
func (s *section) row(format string, args ...any) {
	s.rows = append(s.rows, fmt.Sprintf(format, args...))
}

// most is a target: got must not be above limit. Both have the unit's format,
// such as "%.2f s".
func (s *section) most(t *testing.T, what string, got, limit float64, unit string) {
	t.Helper()
	verdict := "MET"
	if got > limit {
		verdict = "MISSED"
		s.missed++
		t.Errorf("%s: "+unit+", at most "+unit, what, got, limit)
	} else {
		s.met++
	}
	s.targets = append(s.targets, fmt.Sprintf("%s\t"+unit+"\tat most "+unit+"\t%s", what, got, limit, verdict))
}

// skipped says that a target was not held against anything, and why.
func (s *section) skipped(what, why string) {
	s.notRun++
	s.targets = append(s.targets, what+"\t-\t"+why+"\tNOT RUN")
}

func (s *sheet) print(w io.Writer) {
	var met, missed, notRun int
	for _, one := range s.sections {
		fmt.Fprintf(w, "\n━━ %s\n", one.title)
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		if len(one.rows) > 0 {
			fmt.Fprintln(table, one.columns)
		}
		for _, row := range one.rows {
			fmt.Fprintln(table, row)
		}
		_ = table.Flush()
		if len(one.targets) > 0 {
			fmt.Fprintln(w)
			fmt.Fprintln(table, "target\tmeasured\tlimit\t")
		}
		for _, target := range one.targets {
			fmt.Fprintln(table, target)
		}
		_ = table.Flush()
		met, missed, notRun = met+one.met, missed+one.missed, notRun+one.notRun
	}
	fmt.Fprintf(w, "\nbench: %d targets met, %d missed, %d not run\n", met, missed, notRun)
}
