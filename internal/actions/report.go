package actions

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

const (
	// SummaryBytes is the size limit of a step's summary, with a margin
	// (GitHub's own limit is 1 MiB; above it nothing is shown).
	SummaryBytes = 1_000_000
	// OutputBytes bounds one output: the limit is 1 MB for all of a job.
	OutputBytes = 400_000

	maxAnnotations  = 10   // of each kind per step; the runner drops the rest
	maxMessageBytes = 4000 // the runner cuts at 4,096 characters
)

// Mask tells the runner to hide a secret in all logs. Call it before first use.
func (r *Runner) Mask(s secret.String) {
	// The runner masks line by line, so a key in PEM form needs each line named.
	for line := range strings.Lines(s.Reveal()) {
		line = strings.TrimSpace(line)
		if len(line) <= 4 || strings.HasPrefix(line, "-----") {
			continue
		}
		if _, again := r.masked.LoadOrStore(sha256.Sum256([]byte(line)), true); !again {
			r.gh.AddMask(line)
		}
	}
}

// Summary appends Markdown to the job's summary. It is lost where the runner
// gives no file for it.
func (r *Runner) Summary(markdown string) error {
	return r.add("GITHUB_STEP_SUMMARY", strings.TrimRight(markdown, "\n")+"\n\n")
}

// Output sets an output of the step. Its end is marked by a line that no value
// can guess: values hold untrusted text.
func (r *Runner) Output(name, value string) error {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("set the output %s: %w", name, err)
	}
	end := "end-" + hex.EncodeToString(random)
	return r.add("GITHUB_OUTPUT", fmt.Sprintf("%s<<%s\n%s\n%s\n", name, end, value, end))
}

// add appends to the file that a variable names.
func (r *Runner) add(variable, text string) error {
	path := r.getenv(variable)
	if path == "" {
		return nil
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644) //nolint:gosec // the runner's own file
	if err == nil {
		_, err = file.WriteString(text)
		err = cmp.Or(err, file.Close())
	}
	if err != nil {
		return &problem.Problem{Summary: "cannot write the file that " + variable + " names", Cause: err}
	}
	return nil
}

// Annotate shows each problem of err at its file and line, as errors. The
// runner shows ten: the tenth stands for the rest, which the log has.
func (r *Runner) Annotate(err error) { r.annotate("error", problem.All(err)) }

// Warn is Annotate for what is worth knowing.
func (r *Runner) Warn(problems []*problem.Problem) { r.annotate("warning", problems) }

// Notice is Annotate for what is no trouble.
func (r *Runner) Notice(text string) {
	r.annotate("notice", []*problem.Problem{{Summary: text}})
}

func (r *Runner) annotate(kind string, problems []*problem.Problem) {
	// Those that point at a line first: they are seen beside the change.
	problems = slices.Clone(problems)
	slices.SortStableFunc(problems, func(a, b *problem.Problem) int {
		return cmp.Compare(placed(b), placed(a))
	})
	for i, p := range problems {
		if more := len(problems) - i; i == maxAnnotations-1 && more > 1 {
			r.say(kind, nil, fmt.Sprintf("and %d more: see the log", more))
			return
		}
		fields := map[string]string{}
		if p.At.File != "" {
			fields["file"] = p.At.File
		}
		if p.At.Line > 0 {
			fields["line"] = strconv.Itoa(p.At.Line)
		}
		if p.At.Column > 0 {
			fields["col"] = strconv.Itoa(p.At.Column)
		}
		r.say(kind, fields, message(p))
	}
}

func placed(p *problem.Problem) int {
	if p.At.File != "" {
		return 1
	}
	return 0
}

func message(p *problem.Problem) string {
	text := p.Summary
	if p.Cause != nil {
		text += ": " + p.Cause.Error()
	}
	if p.Detail != "" {
		text += "\n" + p.Detail
	}
	if len(p.Hints) > 0 {
		text += "\n" + strings.Join(p.Hints, " ")
	}
	if len(text) > maxMessageBytes {
		text = strings.ToValidUTF8(text[:maxMessageBytes], "") + " …"
	}
	return text
}

func (r *Runner) say(kind string, fields map[string]string, text string) {
	gh := r.gh
	if len(fields) > 0 {
		gh = gh.WithFieldsMap(fields)
	}
	switch kind {
	case "error":
		gh.Errorf("%s", text)
	case "warning":
		gh.Warningf("%s", text)
	default:
		gh.Noticef("%s", text)
	}
}

// Relay runs write with an output in which no line can be a workflow command,
// whatever it says. The token that ends that is new each time.
func (r *Runner) Relay(write func(io.Writer) error) error {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return fmt.Errorf("print to the log: %w", err)
	}
	token := hex.EncodeToString(random)
	if _, err := fmt.Fprintf(r.out, "::stop-commands::%s\n", token); err != nil {
		return err
	}
	err := write(r.out)
	_, endErr := fmt.Fprintf(r.out, "\n::%s::\n", token)
	return errors.Join(err, endErr)
}
