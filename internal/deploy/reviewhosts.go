package deploy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// maxAsked is how many hosts are asked at a time what they were deployed from.
const maxAsked = 8

// deployedCommits gives by host the revision that it was deployed from, "" if
// none is known: from its server's labels, else from the host's own records.
// Hosts that are held are left out; no deploy reaches them.
func (d *deployment) deployedCommits(ctx context.Context) map[string]string {
	commits := map[string]string{}
	var mu sync.Mutex
	put := func(host, commit string) {
		mu.Lock()
		defer mu.Unlock()
		commits[host] = commit
	}
	var asking sync.WaitGroup
	limit := make(chan struct{}, maxAsked)
	for _, host := range slices.Sorted(maps.Keys(d.hosts)) {
		server, there := d.account.Servers[host]
		_, declared := d.tree.Fleet.Servers[host]
		switch {
		case server.Published.Held:
		case server.Published.Commit != "" || !there && declared: // one that is to be made has no records
			put(host, server.Published.Commit)
		default:
			asking.Go(func() {
				limit <- struct{}{}
				defer func() { <-limit }()
				put(host, d.recordedCommit(ctx, host))
			})
		}
	}
	asking.Wait()
	return commits
}

// heldAtReview tells whether a host was left out because it is held: whoever
// releases it meanwhile has not had its change reviewed.
func (d *deployment) heldAtReview(host string) bool {
	if d.reviewed == nil {
		return false
	}
	_, reviewed := d.reviewed.commits[host]
	return !reviewed
}

// oldest gives the oldest deployed revision, which all others contain: of this
// deploy's hosts, else of all servers, else of those that are held; "" if there
// is none.
func (d *deployment) oldest(ctx context.Context) string {
	distinct := map[string]bool{}
	for _, c := range d.reviewed.commits {
		distinct[c] = true
	}
	delete(distinct, "")
	for _, held := range []bool{false, true} {
		for _, s := range d.account.Servers {
			if len(distinct) == 0 && s.Published.Held == held && s.Published.Commit != "" {
				distinct[s.Published.Commit] = true
			}
		}
	}
	oldest := ""
	for _, c := range slices.Sorted(maps.Keys(distinct)) {
		// Where the history cannot tell, one is as good as the other: what was
		// shown too little stops the deploy.
		if before, err := d.work.repo.Contains(ctx, cmp.Or(oldest, c), c); oldest == "" || err == nil && before {
			oldest = c
		}
	}
	return oldest
}

// changedHosts compares the hosts' deployed systems with the new ones, by
// deployed revision; the errors are about hosts that cannot be compared.
func (d *deployment) changedHosts(ctx context.Context) (map[string][]plans.Host, []error) {
	byCommit, same := map[string][]string{}, map[string][]string{}
	for _, host := range slices.Sorted(maps.Keys(d.systems)) {
		system := d.systems[host].OutPath
		commit, reviewed := d.reviewed.commits[host]
		if passed, ok := d.reviewed.passed[host]; !reviewed || ok && passed == system {
			continue
		}
		d.reviewed.passed[host] = system
		if d.account.Servers[host].Published.SystemHash == system.Hash() {
			same[commit] = append(same[commit], host) // it was deployed already
			continue
		}
		byCommit[commit] = append(byCommit[commit], host)
	}
	if never := byCommit[""]; len(never) > 0 {
		delete(byCommit, "")
		byCommit[d.reviewed.oldest] = append(byCommit[d.reviewed.oldest], never...)
	}
	more, failed := d.besides(ctx, same)
	for commit, hosts := range more {
		byCommit[commit] = append(byCommit[commit], hosts...)
	}
	changes := map[string][]plans.Host{}
	for _, commit := range slices.Sorted(maps.Keys(byCommit)) {
		if commit == d.tree.Revision.Commit {
			continue // the same declarations: what differs are facts, or what somebody did by hand
		}
		found, err := d.changedSince(ctx, commit, byCommit[commit])
		if err != nil {
			failed = append(failed, err)
		}
		changes[commit] = found
	}
	return changes, failed
}

// changedSince compares hosts with how a deployed revision declares them; with
// "" all of them are new.
func (d *deployment) changedSince(ctx context.Context, commit string, hosts []string) ([]plans.Host, error) {
	d.stricter(ctx, commit)
	now := map[string]plans.Evaluation{}
	for _, host := range hosts {
		now[host] = plans.Evaluation{System: d.systems[host]}
	}
	facts := d.facts()
	var before map[string]plans.Evaluation
	old := tree{Fleet: fleet.Fleet{SSH: d.tree.Fleet.SSH}}
	if commit != "" {
		var err error
		if old, err = d.work.deployedTree(ctx, commit); err != nil {
			return nil, fmt.Errorf("deployed revision %.12s, of %s: %w", commit, listed(hosts, 5), err)
		}
		d.note(progress.Evaluate, fmt.Sprintf("deployed revision %.12s, to hold what changes against its reviews", commit))
		if before, err = d.reviewed.evaluated.existing(ctx, old, facts, hosts); err != nil {
			return nil, fmt.Errorf("deployed revision %.12s, of %s: %w", commit, listed(hosts, 5), relativeTo(err, old.Root))
		}
	}
	logins := d.flow.logins(ctx, old, d.tree, before, now)
	for host, login := range logins {
		login.Keys = nil // a pull request's plan has not the key at hand; that it gets in is checked elsewhere
		logins[host] = login
	}
	changes, gaps, _ := planner.Compare(before, now, planner.Known{Facts: facts, Logins: logins})
	var failed []error
	for _, g := range gaps {
		failed = append(failed, fmt.Errorf("%s cannot be compared with its deployed revision %.12s: %s", g.Subject, commit, g.Text))
	}
	return changes, joinProblems(failed)
}

// existing is hosts for those of the names that the tree has.
func (e *evaluations) existing(ctx context.Context, t tree, facts fleet.Facts, names []string) (map[string]plans.Evaluation, error) {
	known := e.of(t, facts)
	known.mu.Lock()
	if !known.listed {
		known.deployments, known.problem = e.evaluator.Hosts(ctx, t.source(facts, false))
		known.listed = true
	}
	known.mu.Unlock()
	if known.deployments == nil && known.problem != nil {
		return nil, known.problem
	}
	there := slices.DeleteFunc(slices.Clone(names), func(name string) bool { _, ok := known.deployments[name]; return !ok })
	return e.hosts(ctx, t, facts, there), nil
}
