package render

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// failureLines is how much of a failure is shown: a refusal names each resource
// with what would be lost, and none of them may be missing.
const failureLines = 400

// ResultText writes a result for a terminal: a line per host, all about each
// that is not well, and the exit code in words.
func ResultText(w io.Writer, r plans.Result, o Options) error {
	t := &resultText{terminal{o: o}}
	t.result(r)
	return t.flush(w)
}

type resultText struct{ terminal }

func (t *resultText) result(r plans.Result) {
	t.line(t.paint(bold, cut(oneLine(r.Command)+" of "+cmp.Or(oneLine(r.Fleet), "a fleet that cannot be read"), 60)), "  ", shortCommit(r.Revision.Commit))
	if s := oneLine(r.Revision.Subject); s != "" {
		t.line("  ", t.paint(dim, cut(s, t.o.width()-2)))
	}
	t.blank()
	if r.Failure != "" {
		t.quote(2, textLines(r.Failure), failureLines)
		t.blank()
	}
	t.asked(r)
	t.review(r)
	t.hosts(r.Hosts)
	t.infrastructure(r)
	for _, h := range r.Hosts {
		if !well(h.Outcome) {
			t.host(h)
		}
	}
	for _, g := range settled(r.Hosts) {
		t.line(t.paint(bold, cut(oneLine(g.Subject), 64)+": settled from an earlier run"))
		t.field(2, 0, "", oneLine(g.Text))
		t.blank()
	}
	if keys := keysPut(r.Hosts); len(keys) > 0 {
		t.line(t.paint(bold, "deployment keys put in place"))
		for _, g := range keys {
			t.field(2, 10, cut(oneLine(g.Subject), 64), oneLine(g.Text))
		}
		t.blank()
	}
	if gaps := resultWarnings(r.Hosts); len(gaps) > 0 {
		t.line(t.paint(yellow, plural(len(gaps), "warning")))
		for _, g := range gaps {
			t.field(2, 10, cut(oneLine(g.Subject), 64), oneLine(g.Text))
		}
		t.blank()
	}
	end := outcomeTitle(r)
	if d := duration(r.Duration); d != "" {
		end += ", in " + d
	}
	t.line(t.paint(bold, end+"."))
	for _, l := range wrap(fmt.Sprintf("Exit code %d: %s.", int(r.ExitCode), codeMeaning(r.ExitCode)), t.o.width()) {
		t.line(l)
	}
}

// asked says who wanted a rollback or release and why, and what it holds.
func (t *resultText) asked(r plans.Result) {
	if r.Command != "rollback" && r.Command != "release" {
		return
	}
	if r.By != "" {
		t.field(2, 8, "by", oneLine(r.By))
	}
	if r.Reason != "" {
		t.field(2, 8, "reason", oneLine(r.Reason))
	}
	if held := heldHosts(r.Hosts); len(held) > 0 {
		t.field(2, 8, "held", names(held)+", until somebody releases "+itThem(len(held))+":")
		t.line(strings.Repeat(" ", 13), "flotilla release --on "+selector(held))
	}
	t.blank()
}

// review tells of superseded deploys and of what no reviewed plan has shown.
func (t *resultText) review(r plans.Result) {
	if r.Superseded != "" {
		t.field(2, 0, "", "Superseded by "+shortCommit(r.Superseded)+": that newer commit's deploy brings this one's changes as well.")
		t.blank()
	}
	if len(r.Unreviewed) == 0 {
		return
	}
	t.line("  ", t.paint(yellow, plural(len(r.Unreviewed), "change")+" that no merged pull request's plan has shown"))
	for _, d := range r.Unreviewed {
		t.field(4, 1, symbol(d.Action), oneLine(d.String()))
	}
	t.blank()
}

func outcomeInk(o fleet.Outcome) ink {
	switch o {
	case fleet.Deployed, fleet.Unchanged:
		return green
	case fleet.Staged, fleet.HeldBack, fleet.Skipped, fleet.RolledBack:
		return yellow
	default:
		return red
	}
}

func (t *resultText) hosts(hosts []plans.HostResult) {
	if len(hosts) == 0 {
		return
	}
	rows := [][]string{{"HOST", "OUTCOME", "RUNS", "GEN", "PUSHED", "TOOK"}}
	for _, h := range hosts {
		runs, generation := shortSystem(h.Runs), strconv.Itoa(h.Generation)
		if h.Runs.IsZero() {
			runs = "unknown"
		}
		if h.Generation == 0 {
			generation = "-"
		}
		rows = append(rows, []string{oneLine(h.Host), oneLine(string(h.Outcome)), runs, generation, moved(h.Pushed), duration(h.Duration)})
	}
	t.table(2, rows, func(row, col int) ink {
		switch {
		case row == 0:
			return dim
		case col == 1:
			return outcomeInk(hosts[row-1].Outcome)
		default:
			return ""
		}
	})
	t.blank()
}

func (t *resultText) infrastructure(r plans.Result) {
	if len(r.Resources) == 0 {
		return
	}
	t.line(t.paint(bold, "Infrastructure"))
	rows := make([][]string, 0, len(r.Resources))
	for _, x := range r.Resources {
		rows = append(rows, []string{fmt.Sprintf("%3s", symbol(x.Action)), kindWord(x.Kind) + " " + oneLine(x.Name), resourceOutcome(x)})
	}
	t.table(0, rows, func(row, col int) ink {
		switch {
		case col == 0:
			return actionInk(r.Resources[row].Action)
		case col == 2 && r.Resources[row].Error != "":
			return red
		default:
			return ""
		}
	})
	for _, x := range r.Resources {
		if x.Error != "" {
			t.field(5, 0, "", kindWord(x.Kind)+" "+cut(oneLine(x.Name), 80)+": "+oneLine(x.Error))
		}
	}
	if note := infraNote(r); note != "" {
		t.field(2, 0, "", note)
	}
	t.blank()
}

func (t *resultText) host(h plans.HostResult) {
	t.line(t.paint(bold, cut(oneLine(h.Host), 64)), ": ", t.paint(outcomeInk(h.Outcome), oneLine(string(h.Outcome))))
	const label = 8
	if h.Reason != "" {
		t.field(2, label, "why", oneLine(h.Reason))
	}
	t.field(2, label, "runs", runsText(h))
	for _, c := range h.Checks {
		if !c.Healthy {
			t.field(2, label, "check", strings.TrimSpace(oneLine(c.Name)+": "+oneLine(c.Detail)))
		}
	}
	if len(h.Log) > 0 {
		t.line("  log")
		lines := textLines(strings.Join(h.Log, "\n"))
		t.quote(4, lines[max(0, len(lines)-textDiffLines):], 0)
	}
	for _, s := range next(h.Outcome, h.Host) {
		t.field(2, label, "next", s.Text)
		if s.Command != "" {
			t.line(strings.Repeat(" ", 2+label+3), s.Command)
		}
	}
	t.blank()
}
