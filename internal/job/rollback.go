package job

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/flotilla-nix/flotilla/internal/deploy"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/render"
)

// rollback takes hosts back, or releases those that were.
func (j *job) rollback(ctx context.Context) (problem.Code, error) {
	if j.On == "" {
		return problem.OK, usage("input on is empty", `Name the hosts, or write "*" for all.`)
	}
	var tell func(plans.Result)
	if !j.DryRun && j.Command == "rollback" {
		tell = j.announce(j.Command)
	}
	var result plans.Result
	var err error
	if j.Command == "release" {
		result, err = j.flow.Release(ctx, j.on, j.LockTimeout)
	} else {
		result, err = j.flow.Rollback(ctx, deploy.RollbackOptions{
			On: j.on, To: j.To, Reason: j.Reason, DryRun: j.DryRun, LockTimeout: j.LockTimeout, Draining: j.Draining,
		})
	}
	if tell != nil {
		tell(result)
	}
	j.answer(result)
	j.tellResult(result)
	return result.ExitCode, err
}

// unlock breaks the fleet's lock: whoever asked for it has seen that its run is
// dead.
func (j *job) unlock(ctx context.Context) (problem.Code, error) {
	found, err := j.flow.Unlock(ctx, func(deploy.Unlocked) error { return nil })
	if err != nil {
		return problem.OK, err
	}
	text := render.UnlockedMarkdown(found.Fleet, found.Holder, found.Broken)
	j.reply(text)
	return problem.OK, errors.Join(
		j.runner.Relay(func(w io.Writer) error { _, err := fmt.Fprintln(w, text); return err }),
		j.runner.Summary(text),
	)
}
