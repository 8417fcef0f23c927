package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/render"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

func newCheckCommand(s *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check flotilla.yaml and evaluate every host, without touching anything",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flow, err := s.flow(progress.Discard)
			if err != nil {
				return err
			}
			report, err := flow.Check(cmd.Context())
			findings := render.CheckReport{Fleet: report.Fleet, Checked: report.Checked, Warnings: report.Warnings, Err: err}
			s.code = problem.CodeOf(err)
			if s.format == "json" {
				return render.CheckJSON(s.out, findings)
			}
			return render.CheckText(s.out, findings, s.textOptions())
		},
	}
}

// evaluated is the JSON form of one host of flotilla eval.
type evaluated struct {
	DrvPath    storepath.Path    `json:"drvPath"`
	OutPath    storepath.Path    `json:"outPath"`
	Deployment *plans.Deployment `json:"deployment"`
	Error      *string           `json:"error"`
}

func newEvalCommand(s *shell) *cobra.Command {
	var on string
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Evaluate hosts of the work tree: derivation, system, deployment settings",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flow, sel, err := s.open(on, progress.Discard)
			if err != nil {
				return err
			}
			evaluations, hiveErr := flow.Evaluate(cmd.Context(), sel, false)
			if hiveErr != nil && len(evaluations) == 0 {
				return hiveErr
			}
			return errors.Join(s.showEvaluations(evaluations), hiveErr)
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "hosts: name, glob or @tag, separated by commas")
	s.evaluationFlags(cmd.Flags())
	return cmd
}

func (s *shell) showEvaluations(evaluations map[string]plans.Evaluation) error {
	object := map[string]evaluated{}
	var failed []error
	for _, host := range slices.Sorted(maps.Keys(evaluations)) {
		e := evaluations[host]
		if e.Err != nil {
			text := problem.Text(e.Err)
			object[host] = evaluated{Error: &text}
			failed = append(failed, e.Err)
			continue
		}
		object[host] = evaluated{DrvPath: e.System.DrvPath, OutPath: e.System.OutPath, Deployment: &e.System.Deployment}
		if s.format != "json" {
			if _, err := fmt.Fprintf(s.out, "%s  %s\n", host, e.System.OutPath); err != nil {
				return err
			}
		}
	}
	if s.format == "json" {
		if err := writeJSON(s, object); err != nil {
			return err
		}
		if len(failed) > 0 {
			s.code = problem.Failed // the errors are in the object
		}
		return nil
	}
	return errors.Join(failed...)
}

func writeJSON(s *shell, value any) error {
	encoder := json.NewEncoder(s.out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func newBuildCommand(s *shell) *cobra.Command {
	var on string
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build hosts of the work tree",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sink, done := s.sink()
			flow, sel, err := s.open(on, sink)
			if err != nil {
				return err
			}
			built, err := flow.Build(cmd.Context(), sel)
			done()
			if s.format == "json" {
				return errors.Join(writeJSON(s, built), err)
			}
			for _, host := range slices.Sorted(maps.Keys(built)) {
				if _, err := fmt.Fprintf(s.out, "%s  %s\n", host, built[host]); err != nil {
					return err
				}
			}
			return err
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "hosts: name, glob or @tag, separated by commas")
	s.evaluationFlags(cmd.Flags())
	return cmd
}

func newFactsCommand(s *shell) *cobra.Command {
	return &cobra.Command{
		Use:   "facts",
		Short: "Print what the hive gets as the argument fleet",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			flow, err := s.flow(progress.Discard)
			if err != nil {
				return err
			}
			facts, err := flow.Facts(cmd.Context())
			if err != nil {
				return err
			}
			if s.format == "json" {
				return render.FactsJSON(s.out, facts)
			}
			return render.FactsText(s.out, facts, s.textOptions())
		},
	}
}
