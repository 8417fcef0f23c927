package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/provision"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// reviewTimeout bounds one question about reviews.
const reviewTimeout = 10 * time.Minute

// reviewing is what a deploy knows of the reviews of what it would do.
type reviewing struct {
	passed    map[string]storepath.Path // by host: the systems that were held against reviews
	resources []plans.Resource          // likewise; nil: not yet
	oldest    string                    // deployed revision that all others contain, "" if none is known
	commits   map[string]string         // by host: the revision that it was deployed from, "" if none is known
	answers   map[string]plans.Reviewed // by deployed revision
	policy    fleet.DirectPush          // the strictest of head and deployed revisions
	evaluated *evaluations
}

// review refuses what this deploy would do and no merged pull request has
// shown, before anything is changed, and once more for the systems that real
// addresses make other ones.
//
// A host's change is the one from its own deployed revision to the head, that of
// the infrastructure the one from what exists; each is held against what was
// shown since then (plans.Unreviewed). What was rebuilt or replaced by name
// (Options) has its leave. Facts are the same on both sides: what only they
// change is no change that people review. A host that was never confirmed is
// held against the oldest deployed revision of the others, whose deploy would
// have brought it, too. Where nothing is known to be deployed, everything is
// new: what is created, and what is of no risk class, passes and is told.
//
// Changes that came with commits which no pull request brought follow
// review.direct_push, the strictest of the head's and the deployed revisions'.
func (d *deployment) review(ctx context.Context) error {
	if d.opts.Reviews == nil {
		return nil
	}
	if d.reviewed == nil {
		d.reviewed = &reviewing{
			passed: map[string]storepath.Path{}, answers: map[string]plans.Reviewed{},
			policy:    cmp.Or(d.tree.Fleet.Review.DirectPush, fleet.DirectStopOnRisk),
			evaluated: d.flow.evaluations(d.tree.Fleet.Evaluation),
		}
		d.reviewed.commits = d.deployedCommits(ctx)
		d.reviewed.oldest = d.oldest(ctx)
	}
	would, unknown := d.would(ctx)
	var stopped []plans.Digest
	for _, commit := range slices.Sorted(maps.Keys(would)) {
		stop, err := d.holdAgainst(ctx, commit, would[commit])
		if err != nil {
			unknown = append(unknown, err)
		}
		stopped = append(stopped, stop...)
	}
	return d.judge(stopped, unknown)
}

// judge stops the deploy at what nobody has seen, unless there is leave.
func (d *deployment) judge(stopped []plans.Digest, unknown []error) error {
	if len(stopped)+len(unknown) == 0 {
		return nil
	}
	if d.opts.Confirm {
		for _, u := range stopped {
			d.note(progress.Review, "was in no reviewed plan, and is done with leave: "+u.String())
		}
		for _, err := range unknown {
			d.note(progress.Review, "goes on with leave: "+oneLine(err))
		}
		return nil
	}
	confirm := "If it is meant, start the workflow by hand with confirm: true (or comment: /flotilla deploy --confirm)."
	look := "Look at what has come since what is deployed: flotilla plan --base " + cmp.Or(d.reviewed.oldest, "REVISION")
	var failed []error
	if len(stopped) > 0 {
		failed = append(failed, &problem.Problem{
			Summary: fmt.Sprintf("%s would be made that no merged pull request has shown", count(len(stopped), "change")),
			Detail:  d.whyUnreviewed(stopped),
			Hints:   []string{look, confirm},
			Code:    problem.Refused,
		})
	}
	for _, err := range unknown {
		failed = append(failed, &problem.Problem{Summary: "it cannot be told whether all of this was reviewed", Cause: err, Hints: []string{confirm}, Code: problem.Refused})
	}
	return joinProblems(failed)
}

// whyUnreviewed lists the changes, and where they may have come from.
func (d *deployment) whyUnreviewed(stopped []plans.Digest) string {
	var lines []string
	for _, u := range stopped {
		lines = append(lines, u.String())
	}
	if r := d.result.Reviewed; r != nil {
		for _, c := range r.Direct {
			lines = append(lines, fmt.Sprintf("pushed without a pull request: %.12s %s, by %s", c.Commit, c.Subject, c.Author))
		}
		for _, p := range r.Unplanned {
			lines = append(lines, fmt.Sprintf("merged without a plan that counts: #%d: %s", p.Number, p.Why))
		}
	}
	return strings.Join(lines, "\n")
}

// firstDeployment tells whether this counts as a first deployment, of which no plan could
// show everything: of a fleet that is new, or of one that was lost and comes
// back from what was reviewed before.
func firstDeployment(seen plans.Reviewed) bool {
	return seen.Since == "" || len(seen.Direct)+len(seen.Unplanned) == 0
}

// holdAgainst asks for the reviews since a deployed revision ("": none is
// known) and gives what stops the deploy.
func (d *deployment) holdAgainst(ctx context.Context, commit string, would []plans.Digest) ([]plans.Digest, error) {
	if len(would) == 0 {
		return nil, nil
	}
	seen, err := d.answer(ctx, commit)
	if err != nil {
		return nil, err
	}
	left := plans.Unreviewed(would, seen.Seen)
	d.result.Unreviewed = append(d.result.Unreviewed, left...)
	var stopped []plans.Digest
	first := commit == "" && firstDeployment(seen)
	for _, u := range left {
		switch {
		case first && (u.Action == plans.Create || len(u.Risks) == 0):
			d.note(progress.Review, "the first deployment, which no plan has shown: "+u.String())
		case len(seen.Direct) > 0 && mayPass(d.reviewed.policy, u):
			d.note(progress.Review, "came without a pull request: "+u.String())
		default:
			stopped = append(stopped, u)
		}
	}
	return stopped, nil
}

// mayPass tells whether the policy for direct pushes lets a change pass.
func mayPass(policy fleet.DirectPush, u plans.Digest) bool {
	switch policy {
	case fleet.DirectAllow:
		return true
	case fleet.DirectStopOnRisk:
		return len(u.Risks) == 0
	case fleet.DirectRefuse:
	}
	return false
}

// answer asks once for each deployed revision.
func (d *deployment) answer(ctx context.Context, commit string) (plans.Reviewed, error) {
	if known, ok := d.reviewed.answers[commit]; ok {
		return known, nil
	}
	var deployed []string
	if commit != "" {
		deployed = []string{commit}
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	got, err := d.opts.Reviews(ctx, deployed, d.tree.Revision.Commit)
	if err != nil {
		return plans.Reviewed{}, err
	}
	d.reviewed.answers[commit] = got
	if d.result.Reviewed == nil {
		d.result.Reviewed = &plans.Reviewed{}
	}
	known := d.result.Reviewed
	for _, c := range got.Direct {
		if !slices.Contains(known.Direct, c) {
			known.Direct = append(known.Direct, c)
		}
	}
	for _, u := range got.Unplanned {
		if !slices.Contains(known.Unplanned, u) {
			known.Unplanned = append(known.Unplanned, u)
		}
	}
	return got, nil
}

// would gives what this deploy would do and was not held against reviews yet,
// by the deployed revision that it would lead away from.
func (d *deployment) would(ctx context.Context) (map[string][]plans.Digest, []error) {
	all := map[string][]plans.Digest{}
	if d.reviewed.resources == nil && d.provisions() {
		desired, actual := d.infrastructure()
		unnamed := d.leave()
		unnamed.Rebuild, unnamed.Replace = nil, nil
		since := d.reviewed.oldest
		all[since] = plans.Digests(plans.Part{Resources: provision.Diff(desired, actual, unnamed)})
		d.reviewed.resources = slices.Concat([]plans.Resource{}, provision.Diff(desired, actual, d.leave()))
		d.stricter(ctx, since)
	}
	hosts, unknown := d.changedHosts(ctx)
	for commit, changes := range hosts {
		all[commit] = append(all[commit], plans.Digests(plans.Part{Hosts: changes})...)
	}
	return all, unknown
}

// stricter takes a deployed revision's policy into account: whoever loosens it
// cannot use that in the same deploy.
func (d *deployment) stricter(ctx context.Context, commit string) {
	if commit == "" {
		return
	}
	if old, err := d.work.deployedTree(ctx, commit); err == nil {
		d.reviewed.policy = d.reviewed.policy.Stricter(old.Fleet.Review.DirectPush)
	}
}

// superseded tells whether a newer deploy takes this one's place.
func (d *deployment) superseded(ctx context.Context) (bool, error) {
	if d.opts.Superseded == nil || d.opts.Confirm {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	newer, err := d.opts.Superseded(ctx)
	var p *problem.Problem
	switch {
	case errors.As(err, &p) && problem.CodeOf(err) == problem.Refused:
		return false, err
	case err != nil:
		d.note(progress.Review, "cannot tell whether a newer commit is to be deployed: "+oneLine(err))
		return false, nil
	case newer == "" || newer == d.tree.Revision.Commit:
		return false, nil
	}
	d.result.Superseded = newer
	d.note(progress.Review, fmt.Sprintf("superseded: commit %.12s is newer, and its deploy brings this one's changes, too", newer))
	return true, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
