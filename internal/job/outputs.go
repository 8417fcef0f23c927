package job

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/actions"
	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// The files that are left in the workspace for later steps.
const (
	planFile   = "flotilla-plan.json"
	planPage   = "flotilla-plan.html"
	resultFile = "flotilla-result.json"
)

// logWidth is that of texts in the log.
const logWidth = 120

// tellPlan leaves a plan in the log, the summary, files and outputs.
func (j *job) tellPlan(p plans.Plan) error {
	j.sink.Flush()
	changed := []string{}
	for _, h := range p.This.Hosts {
		changed = append(changed, h.Name)
	}
	return errors.Join(
		j.runner.Relay(func(w io.Writer) error { return render.PlanText(w, p, render.Options{Width: logWidth}) }),
		j.write(planFile, func(w io.Writer) error { return render.PlanJSON(w, p) }),
		j.write(planPage, func(w io.Writer) error { return render.PlanHTML(w, p) }),
		j.runner.Summary(render.PlanMarkdown(p, render.Budget{Bytes: actions.SummaryBytes, Commit: j.Pull.HeadSHA})),
		j.runner.Output("plan", planFile),
		j.runner.Output("plan-html", planPage),
		j.runner.Output("headline", render.Headline(p)),
		j.runner.Output("changed-hosts", list(changed)),
	)
}

// tellResult leaves a result in the log, the summary, a file and outputs. What
// cannot be written does not make a deploy one that failed.
func (j *job) tellResult(r plans.Result) {
	j.sink.Flush()
	var text strings.Builder
	broken := render.ResultJSON(&text, r)
	inline := text.String()
	if len(inline) > actions.OutputBytes {
		inline = "" // action.yml: the file has it in every case
	}
	if err := errors.Join(
		broken,
		j.runner.Relay(func(w io.Writer) error { return render.ResultText(w, r, render.Options{Width: logWidth}) }),
		j.write(resultFile, func(w io.Writer) error { _, err := io.WriteString(w, text.String()); return err }),
		j.runner.Summary(render.ResultMarkdown(r, render.Budget{Bytes: actions.SummaryBytes})),
		j.runner.Output("result", inline),
		j.runner.Output("result-file", resultFile),
		j.runner.Output("headline", render.ResultHeadline(r)),
		j.runner.Output("changed-hosts", hosts(r.Hosts, fleet.Deployed)),
		j.runner.Output("rolled-back-hosts", hosts(r.Hosts, fleet.RolledBack)),
	); err != nil {
		j.runner.Warn(problem.All(err))
	}
}

// write writes a file into the workspace, for whom the workspace belongs to:
// later steps run as another user, who must be able to delete it.
func (j *job) write(name string, write func(io.Writer) error) error {
	path := filepath.Join(j.workspace, name)
	// Never through a link that the checkout brought.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return &problem.Problem{Summary: "cannot replace " + name, Cause: err}
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // plans hold no secret
	if err != nil {
		return &problem.Problem{Summary: "cannot write " + name, Cause: err}
	}
	err = write(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return &problem.Problem{Summary: "cannot write " + name, Cause: err}
	}
	j.giveBack(path)
	return nil
}

func hosts(all []plans.HostResult, outcome fleet.Outcome) string {
	names := []string{}
	for _, h := range all {
		if h.Outcome == outcome {
			names = append(names, h.Host)
		}
	}
	return list(names)
}

// list gives names as a JSON list.
func list(names []string) string {
	text, err := json.Marshal(names)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(text)
}
