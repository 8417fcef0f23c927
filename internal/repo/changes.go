package repo

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Changed gives the files that differ between two commits, added and removed
// ones included: sorted paths relative to Root.
func (r *Repo) Changed(ctx context.Context, a, b string) ([]string, error) {
	if err := r.have(ctx, a, b); err != nil {
		return nil, err
	}
	out, err := r.git.run(ctx, nil, nil, "diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv", a, b)
	if err != nil {
		return nil, fmt.Errorf("compare commits %s and %s: %w", short(a), short(b), err)
	}
	return names(string(out)), nil
}

// Dirty gives the files that are not as in HEAD, new ones included, ignored
// ones not: sorted paths relative to Root. Submodules are not looked into.
func (r *Repo) Dirty(ctx context.Context) ([]string, error) {
	out, err := r.git.run(ctx, nil, nil, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=all")
	if err != nil {
		return nil, fmt.Errorf("compare the work tree with HEAD: %w", err)
	}
	var files []string
	for _, entry := range names(string(out)) {
		if len(entry) > 3 { // two letters and a space before the path
			files = append(files, entry[3:])
		}
	}
	slices.Sort(files)
	return files, nil
}

// names splits NUL-terminated output.
func names(out string) []string {
	if out == "" {
		return nil
	}
	list := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	slices.Sort(list)
	return list
}
