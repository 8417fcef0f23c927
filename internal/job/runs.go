package job

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/forge"
)

// runOver tells whether the job that a lock names is over. Where GitHub cannot
// be asked the lock is waited for as long as it lasts.
func (j *job) runOver(ctx context.Context, run string) (bool, error) {
	if j.forge == nil {
		return false, nil
	}
	id, attempt, err := parseRun(run)
	if err != nil {
		return false, err
	}
	got, err := j.forge.RunAttempt(ctx, id, attempt)
	if forge.IsMissing(err) {
		return false, nil // of another repository, perhaps
	}
	return err == nil && got.Over(), err
}

// parseRun reads what actions.GitHub.Run writes.
func parseRun(run string) (id int64, attempt int, err error) {
	first, second, _ := strings.Cut(run, "/")
	if id, err = strconv.ParseInt(first, 10, 64); err == nil {
		attempt, err = strconv.Atoi(second)
	}
	if err != nil || id <= 0 || attempt <= 0 {
		return 0, 0, fmt.Errorf("%q names no run and attempt", run)
	}
	return id, attempt, nil
}
