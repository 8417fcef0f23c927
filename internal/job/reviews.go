package job

import (
	"context"
	"fmt"
	"slices"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// reviews collects what the pull requests that a deploy takes up have shown.
type reviews struct {
	job   *job
	pulls []forge.Pull  // that were merged since the deployed revisions, of all questions
	shown map[int]shown // by number
	since string        // the last deployment at GitHub, where servers name no revision
}

// shown is what the plan of a pull request showed, or why that is nothing.
type shown struct {
	seen []plans.Digest
	why  string
}

// read gives what Deploy asks, nil where there is nobody to ask.
func (r *reviews) read() func(context.Context, []string, string) (plans.Reviewed, error) {
	if r.job.forge == nil {
		return nil
	}
	return r.reviewed
}

// reviewed finds the pull requests merged since the deployed revisions, however
// they were merged, and reads the plan in the hidden header of our comment on
// each. A plan of an older push than was merged showed something else and does
// not count.
func (r *reviews) reviewed(ctx context.Context, deployed []string, head string) (plans.Reviewed, error) {
	merged, err := r.merged(ctx, deployed, head)
	if err != nil {
		return plans.Reviewed{}, err
	}
	for _, p := range merged.Pulls { // asked once for each deployed revision
		if !slices.ContainsFunc(r.pulls, func(q forge.Pull) bool { return q.Number == p.Number }) {
			r.pulls = append(r.pulls, p)
		}
	}
	found := plans.Reviewed{}
	if len(deployed) == 0 {
		found.Since = r.since
	}
	for _, c := range merged.Direct {
		found.Direct = append(found.Direct, plans.DirectPush{Commit: c.SHA, Subject: c.Subject, Author: c.Author, URL: c.URL})
	}
	for _, pull := range merged.Pulls {
		known, ok := r.shown[pull.Number]
		if !ok {
			if known.seen, known.why, err = r.plan(ctx, pull); err != nil {
				return plans.Reviewed{}, err
			}
			r.shown[pull.Number] = known
		}
		if known.why != "" {
			found.Unplanned = append(found.Unplanned, plans.Unplanned{Number: pull.Number, URL: pull.URL, Why: known.why})
		}
		found.Seen = append(found.Seen, known.seen...)
	}
	return found, nil
}

// merged gives what came since any of the deployed revisions. Where nothing is
// deployed yet it is what brought the head.
func (r *reviews) merged(ctx context.Context, deployed []string, head string) (forge.Merged, error) {
	var all forge.Merged
	if len(deployed) == 0 {
		// Servers alone name no revision; the last deployment does.
		last, err := r.job.lastDeployed(ctx)
		if err != nil {
			return all, err
		}
		if last != "" {
			r.since, deployed = last, []string{last}
		}
	}
	if len(deployed) == 0 {
		pulls, err := r.job.forge.PullsOf(ctx, head)
		if err != nil {
			return all, err
		}
		all.Pulls = slices.DeleteFunc(pulls, func(p forge.Pull) bool { return p.Merged.IsZero() || p.BaseRef != r.job.Branch })
		if len(all.Pulls) == 0 {
			all.Direct = []forge.Commit{{SHA: head}}
		}
		return all, nil
	}
	for _, base := range deployed {
		m, err := r.job.forge.MergedSince(ctx, base, head, r.job.Branch)
		if err != nil {
			return all, err
		}
		for _, p := range m.Pulls {
			if !slices.ContainsFunc(all.Pulls, func(q forge.Pull) bool { return q.Number == p.Number }) {
				all.Pulls = append(all.Pulls, p)
			}
		}
		for _, c := range m.Direct {
			if !slices.ContainsFunc(all.Direct, func(d forge.Commit) bool { return d.SHA == c.SHA }) {
				all.Direct = append(all.Direct, c)
			}
		}
	}
	return all, nil
}

// plan reads what the comment on a pull request showed, or why that is nothing.
func (r *reviews) plan(ctx context.Context, pull forge.Pull) ([]plans.Digest, string, error) {
	notes, err := r.job.forge.Notes(ctx, pull.Number)
	if err != nil {
		return nil, "", err
	}
	why := "it has no plan of this fleet and environment"
	for _, n := range notes {
		h := n.Header
		if h.Kind != notePlan || h.Fleet != r.job.fleet || h.Environment != r.job.Environment {
			continue
		}
		if h.Commit != pull.HeadSHA {
			why = fmt.Sprintf("its plan is of commit %.12s, merged was %.12s", h.Commit, pull.HeadSHA)
			continue
		}
		if len(h.Data) == 0 { // what noPlan writes
			why = "no plan of what was merged could be made"
			continue
		}
		if h.Version != headerVersion {
			why = fmt.Sprintf("its plan's header has the version %d, and this program reads %d", h.Version, headerVersion)
			continue
		}
		seen, err := plans.UnpackDigests(h.Data)
		if err != nil {
			why = err.Error()
			continue
		}
		return seen, "", nil
	}
	return nil, why, nil
}
