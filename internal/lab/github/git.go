package github

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/process"
)

// LoadGit reads all commits and branches of a git repository, under their own
// hashes. Do it again after a push. Which files a commit modifies is not read.
func (a *API) LoadGit(ctx context.Context, dir string) error {
	git := func(args ...string) (string, error) {
		result, err := process.Run(ctx, process.Command{Program: "git", Args: append([]string{"-C", dir}, args...)})
		if err != nil {
			return "", fmt.Errorf("lab GitHub: reading %s: %w", dir, err)
		}
		return string(result.Stdout), nil
	}
	const unit, record = "\x1f", "\x1e"
	log, err := git("log", "--branches", "--topo-order", "--reverse", "--format=%H%x1f%P%x1f%an%x1f%aI%x1f%B%x1e")
	if err != nil {
		return err
	}
	for entry := range strings.SplitSeq(strings.TrimSpace(log), record) {
		parts := strings.Split(strings.TrimSpace(entry), unit)
		if len(parts) != 5 {
			continue // what follows the last record
		}
		when, err := time.Parse(time.RFC3339, parts[3])
		if err != nil {
			return fmt.Errorf("lab GitHub: commit %s: %w", parts[0], err)
		}
		a.PutCommit("", Commit{SHA: parts[0], Parents: strings.Fields(parts[1]), Author: parts[2], At: when, Message: strings.TrimSpace(parts[4])})
	}
	refs, err := git("for-each-ref", "--format=%(objectname) %(refname:short)", "refs/heads")
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for line := range strings.Lines(refs) {
		if sha, branch, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			a.repo.branches[branch] = sha
		}
	}
	return nil
}
