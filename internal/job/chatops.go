package job

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// chatWord begins a comment that is meant for us.
const chatWord = "/flotilla"

// obey carries out what somebody wrote in a comment, when that person may push
// to the repository. It works on the branch that deploys come from: the code of
// a pull request is never run by a comment.
func (j *job) obey(ctx context.Context) (problem.Code, error) {
	line, _, _ := strings.Cut(strings.TrimSpace(j.Said.Body), "\n")
	words := strings.Fields(line)
	if !j.Said.New || j.Pull.Number == 0 || len(words) == 0 || words[0] != chatWord {
		j.runner.Notice("the comment is not for Flotilla")
		return problem.OK, nil
	}
	if j.forge == nil {
		return problem.OK, usage("ChatOps needs the input token", "Give it, or leave it out for the job's own.")
	}
	access, err := j.forge.AccessOf(ctx, j.Said.Author)
	if err != nil {
		return problem.OK, err
	}
	if !access.CanWrite() {
		j.runner.Notice(fmt.Sprintf("%s has no write access: the comment is not obeyed", j.Said.Author))
		j.react("-1")
		return problem.OK, nil
	}
	err = j.parse(words[1:])
	if err == nil {
		err = j.CheckBranch() // a comment's job is one of the default branch
	}
	if err != nil {
		j.react("confused")
		j.reply(render.ErrorMarkdown(err))
		return problem.OK, err
	}
	j.react("eyes")
	if j.Command == "plan" {
		return problem.OK, j.planAgain(ctx)
	}
	if err := j.onlyMerged(ctx); err != nil {
		j.reply(render.ErrorMarkdown(err))
		return problem.OK, err
	}
	code, err := j.command(ctx)
	switch {
	case err == nil && code == problem.OK:
		j.react("rocket")
	case err != nil && !j.answered:
		j.reply(render.ErrorMarkdown(err))
	}
	return code, err
}

// parse reads "deploy web-1 --confirm".
func (j *job) parse(words []string) error {
	flags := pflag.NewFlagSet(chatWord, pflag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&j.To, "to", "previous", "")
	flags.BoolVar(&j.Confirm, "confirm", false, "")
	flags.BoolVar(&j.RetryBad, "retry-bad", false, "")
	flags.BoolVar(&j.DryRun, "dry-run", false, "")
	known := "Write /flotilla plan, deploy [HOSTS] [--confirm] [--retry-bad], rollback HOSTS [--to previous|GENERATION|COMMIT] [--dry-run], release HOSTS or unlock."
	if err := flags.Parse(words); err != nil {
		return usage(fmt.Sprintf("%s: %v", chatWord, err), known)
	}
	rest := flags.Args()
	if len(rest) == 0 {
		return usage(chatWord+" alone says nothing", known)
	}
	takes, ok := map[string][]string{
		"plan": nil, "deploy": {"hosts", "confirm", "retry-bad"}, "rollback": {"hosts", "to", "dry-run"}, "release": {"hosts"}, "unlock": nil,
	}[rest[0]]
	if !ok {
		return usage(fmt.Sprintf("%s %q is not known", chatWord, rest[0]), known)
	}
	j.Command, j.On = rest[0], strings.Join(rest[1:], ",")
	if j.On != "" && !slices.Contains(takes, "hosts") {
		return usage(fmt.Sprintf("%s %s takes nothing more, but there is %q", chatWord, j.Command, j.On), known)
	}
	var wrong string // deploy --dry-run must not deploy
	flags.Visit(func(f *pflag.Flag) {
		if !slices.Contains(takes, f.Name) {
			wrong = f.Name
		}
	})
	if wrong != "" {
		return usage(fmt.Sprintf("%s %s does not take --%s", chatWord, j.Command, wrong), known)
	}
	j.Reason = fmt.Sprintf("asked for in #%d", j.Pull.Number)
	j.GitHub.Actor = j.Said.Author
	var err error
	if j.on, err = selector(j.On); err != nil {
		return usage(err.Error(), known)
	}
	return nil
}

// onlyMerged refuses to deploy from an open pull request: what would be
// deployed is the branch, which lacks its code.
func (j *job) onlyMerged(ctx context.Context) error {
	if j.Command != "deploy" {
		return nil
	}
	pull, err := j.forge.Pull(ctx, j.Pull.Number)
	if err != nil {
		return err
	}
	if !pull.Merged.IsZero() {
		return nil
	}
	return &problem.Problem{
		Summary: fmt.Sprintf("#%d is not merged: only what is merged is deployed", j.Pull.Number),
		Hints:   []string{"Merge it: that deploys it."},
		Code:    problem.Refused,
	}
}

// planAgain has the pull request's own plan job run again: it has the rights
// that a pull request may have, and this one has more.
func (j *job) planAgain(ctx context.Context) error {
	pull, err := j.forge.Pull(ctx, j.Pull.Number)
	if err != nil {
		return err
	}
	run, err := j.forge.Rerun(ctx, j.PlanWorkflow, "pull_request", pull.HeadSHA)
	if forge.IsMissing(err) {
		err = &problem.Problem{
			Summary: fmt.Sprintf("cannot run the workflow %q again", j.PlanWorkflow), Cause: err,
			Hints: []string{"Name the file of the workflow that plans in the input plan-workflow, and give this job `actions: write`."},
		}
	}
	if err != nil {
		j.reply(render.ErrorMarkdown(err))
		return err
	}
	j.runner.Notice("the plan is made again: " + run.URL)
	return nil
}

// react answers a comment with a sign.
func (j *job) react(sign string) {
	comment := j.Said.ID
	j.queue.Add(forge.Report{
		Lane: "reaction", What: "react to the comment", Text: sign,
		Send: func(ctx context.Context) error { return j.forge.React(ctx, comment, sign) },
	})
}

// answer tells the result under the comment that asked for it.
func (j *job) answer(r plans.Result) {
	if j.Said.ID != 0 {
		j.answered = true
		j.resultNote(j.Pull.Number, r)
	}
}

// reply answers a comment with a text.
func (j *job) reply(markdown string) {
	if j.Said.ID == 0 {
		return
	}
	number := j.Pull.Number
	note := forge.Note{Header: j.header("reply"), Body: func(int) string { return markdown }}
	j.queue.Add(forge.Report{
		Lane: fmt.Sprintf("note %d", number), Key: "reply", What: fmt.Sprintf("answer in #%d", number), Text: markdown,
		Send: func(ctx context.Context) error { return j.putNote(ctx, number, note) },
	})
}

// putNote writes a note. An answer stands below its question: an older note of
// the kind is hidden and a new one made, where otherwise the old one is changed.
func (j *job) putNote(ctx context.Context, number int, n forge.Note) error {
	if j.Said.ID != 0 && number == j.Pull.Number {
		_, err := j.forge.Retire(ctx, number, n.Header.Kind, func(h forge.Header) bool {
			return h.Fleet != n.Header.Fleet || h.Environment != n.Header.Environment
		})
		if err != nil {
			return err
		}
	}
	_, err := j.forge.PutNote(ctx, number, n)
	return err
}
