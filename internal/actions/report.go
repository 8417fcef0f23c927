package actions

import (
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// SummaryBytes is the size limit of a step's summary, with a margin (GitHub's
// own limit is 1 MiB).
const SummaryBytes = 1000 * 1024

// Mask tells the runner to hide a secret in all logs. Call it before first use.
func (r *Runner) Mask(s secret.String) {
	// The runner masks line by line, so a key in PEM form needs each line named.
	for line := range strings.Lines(s.Reveal()) {
		if line = strings.TrimSpace(line); len(line) > 4 && !strings.HasPrefix(line, "-----") {
			r.gh.AddMask(line)
		}
	}
}

// Summary appends Markdown to the job's summary.
func (r *Runner) Summary(markdown string) { r.gh.AddStepSummary(markdown) }

// Output sets an output of the step.
func (r *Runner) Output(name, value string) { r.gh.SetOutput(name, value) }

// Annotate shows each problem of err at its file and line.
func (r *Runner) Annotate(err error) {
	for _, p := range problem.All(err) {
		gh := r.gh
		if p.At.File != "" {
			fields := map[string]string{"file": p.At.File}
			if p.At.Line > 0 {
				fields["line"] = strconv.Itoa(p.At.Line)
			}
			if p.At.Column > 0 {
				fields["col"] = strconv.Itoa(p.At.Column)
			}
			gh = gh.WithFieldsMap(fields)
		}
		text := p.Summary
		if p.Cause != nil {
			text += ": " + p.Cause.Error()
		}
		if len(p.Hints) > 0 {
			text += " (" + strings.Join(p.Hints, " ") + ")"
		}
		gh.Errorf("%s", text)
	}
}
