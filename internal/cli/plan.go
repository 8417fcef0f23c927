package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/render"
)

type planOptions struct {
	base, head, on, only, out string
	rebuild, replace          []string
	detailedExitCode, build   bool
	untrusted                 bool
}

func newPlanCommand(s *shell) *cobra.Command {
	var o planOptions
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Show what a revision changes, and what is merged but not deployed",
		Long: `Compares two revisions of the fleet repo: infrastructure and every host's
system. Nothing is changed; without --build nothing is built, and no host is
connected to.

Exit codes: 0 planned (with --detailed-exitcode 2 when something changes) ·
1 no plan, or an incomplete one · 64 usage`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPlan(cmd, s, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.base, "base", "", "revision to compare with (default: the head's first parent)")
	f.StringVar(&o.head, "head", "", "revision to plan (default: HEAD)")
	f.StringVar(&o.on, "on", "", "hosts: name, glob or @tag, separated by commas")
	f.StringVar(&o.only, "only", "", "infra or hosts: half of the plan")
	f.StringArrayVar(&o.rebuild, "rebuild", nil, "show what deploy --rebuild NAME would do (repeatable)")
	f.StringArrayVar(&o.replace, "replace", nil, "show what deploy --replace NAME would do (repeatable)")
	f.StringVar(&o.out, "out", "", "write the plan to this file: as JSON, or as a page if it ends in .html")
	f.BoolVar(&o.untrusted, "untrusted", false, "as for a pull request: provider, logins and policy are what the base says")
	f.BoolVar(&o.build, "build", false, "build the changed hosts' systems; show their size, what is to push, and free space on hosts that answer")
	f.BoolVar(&o.detailedExitCode, "detailed-exitcode", false, "exit with 2 when something changes")
	s.evaluationFlags(f)
	return cmd
}

func runPlan(cmd *cobra.Command, s *shell, o planOptions) error {
	sink, done := s.sink()
	flow, on, err := s.open(o.on, sink)
	if err != nil {
		return err
	}
	only, err := onlyHalf(o.only)
	if err != nil {
		return err
	}
	plan, err := flow.Plan(cmd.Context(), deploy.PlanOptions{
		Base: o.base, Head: o.head, On: on, Only: only, Rebuild: o.rebuild, Replace: o.replace,
		Untrusted: o.untrusted, Build: o.build,
	})
	done()
	if err != nil {
		return err
	}
	if o.out != "" {
		write := render.PlanJSON
		if ext := filepath.Ext(o.out); ext == ".html" || ext == ".htm" {
			write = render.PlanHTML
		}
		if err := writeFile(o.out, func(w io.Writer) error { return write(w, plan) }); err != nil {
			return err
		}
	}
	if err := s.showPlan(plan); err != nil {
		return err
	}
	switch {
	case !plan.Complete:
		s.code = problem.Failed
	case o.detailedExitCode && (changes(plan.This) || changes(plan.Pending)):
		s.code = problem.Changes
	}
	return nil
}

// onlyHalf parses --only.
func onlyHalf(text string) (deploy.Only, error) {
	switch only := deploy.Only(text); only {
	case deploy.Everything, deploy.OnlyInfra, deploy.OnlyHosts:
		return only, nil
	default:
		return only, usage(fmt.Sprintf("--only %s is not known", text), "Use infra or hosts, or leave it out for both.")
	}
}

// changes tells whether a part changes anything; a note that an edit does
// nothing is no change.
func changes(p plans.Part) bool {
	return len(p.Hosts) > 0 || slices.ContainsFunc(p.Resources, provision.Changes)
}

// readPlan reads what flotilla plan --out wrote.
func readPlan(path string) (*plans.Plan, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // no plan was named, and none is needed
	}
	content, err := os.ReadFile(path) //nolint:gosec // the user names the file
	if err != nil {
		return nil, usage(fmt.Sprintf("--plan %s: %v", path, err), "Write one with: flotilla plan --out "+path)
	}
	var plan plans.Plan
	decoder := json.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&plan); err != nil {
		return nil, usage(fmt.Sprintf("--plan %s is not a plan: %v", path, err), "Write one with: flotilla plan --out "+path)
	}
	return &plan, nil
}

func (s *shell) showPlan(plan plans.Plan) error {
	switch s.format {
	case "json":
		return render.PlanJSON(s.out, plan)
	case "html":
		return render.PlanHTML(s.out, plan)
	case "markdown":
		_, err := io.WriteString(s.out, render.PlanMarkdown(plan, render.Budget{}))
		return err
	default:
		return render.PlanText(s.out, plan, s.textOptions())
	}
}

// writeFile writes a file in one go, or says why not.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.Create(path) //nolint:gosec // the user names the file
	if err != nil {
		return &problem.Problem{Summary: "cannot write the result", Cause: err}
	}
	err = write(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
