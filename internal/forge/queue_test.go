package forge_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/forge"
	"github.com/flotilla-nix/flotilla/internal/lab/github"
)

func states(f *fixture) []string {
	var list []string
	for _, d := range f.api.Deployments() {
		for _, s := range d.Statuses {
			list = append(list, s.State)
		}
	}
	return list
}

func announce(f *fixture, q *forge.Queue) {
	update := f.client.Announce(q, deployment(f, "1/1"))
	update(forge.Update{State: forge.Queued}, "")
	update(forge.Update{State: forge.InProgress}, "")
	update(forge.Update{State: forge.Succeeded}, "All 3 hosts were deployed.")
}

// TestAnnounceRetiresOlderOnes: a production environment's successes are ended
// by us, those that are older and no others.
func TestAnnounceRetiresOlderOnes(t *testing.T) {
	f := start(t, nil)
	var last []string
	for _, d := range []forge.Deployment{
		{SHA: f.begin, Task: "deploy", Environment: "prod", Production: true, Run: "1/1"},
		{SHA: f.begin, Task: "deploy", Environment: "other", Production: true, Run: "1/1"},
		{SHA: f.begin, Task: "rollback", Environment: "prod", Production: true, Run: "2/1"},
	} {
		q := forge.NewQueue(t.Context(), forge.QueueOptions{Wait: f.wait})
		f.client.Announce(q, d)(forge.Update{State: forge.Succeeded}, "")
		if untold := q.Close(t.Context()); len(untold) != 0 {
			t.Errorf("untold: %v", untold)
		}
	}
	newest := f.api.Deployments()[2].ID
	done(t, f.client.RetireDeployments(t.Context(), "prod", newest-1)) // a run that ends late ends no newer one
	for _, d := range f.api.Deployments() {
		last = append(last, d.Statuses[len(d.Statuses)-1].State)
	}
	if !slices.Equal(last, []string{"inactive", "success", "success"}) {
		t.Errorf("states: %v", last)
	}
}

// TestQueueOutlastsAnOutage: GitHub fails for longer than one call is patient.
func TestQueueOutlastsAnOutage(t *testing.T) {
	f := start(t, nil)
	f.inject(github.Fault{Status: 503, Times: 20})
	ctx, cancel := context.WithCancel(t.Context())
	q := forge.NewQueue(ctx, forge.QueueOptions{Wait: f.wait})
	announce(f, q)
	cancel() // the run was cancelled: it is told all the same
	if untold := q.Close(t.Context()); len(untold) != 0 {
		t.Errorf("untold: %v", untold)
	}
	if got := states(f); !slices.Equal(got, []string{"queued", "in_progress", "success"}) {
		t.Errorf("states: %v", got)
	}
}

func TestQueueGivesUp(t *testing.T) {
	f := start(t, nil)
	f.inject(github.Fault{Status: 500, Times: github.Always})
	slow := func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
	q := forge.NewQueue(t.Context(), forge.QueueOptions{Grace: 100 * time.Millisecond, Wait: slow})
	announce(f, q)
	q.Add(forge.Report{Lane: "comment", What: "write a comment", Text: "### Result", Send: func(context.Context) error { return nil }})
	began := time.Now()
	untold := q.Close(t.Context())
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close took %s", took)
	}
	if len(untold) != 5 { // the deployment, its three updates and the end of older ones, not the comment
		t.Fatalf("untold: %v", untold)
	}
	last := untold[3].String()
	if !strings.Contains(last, "to prod to success") || !strings.Contains(last, "All 3 hosts were deployed.\n") || strings.Contains(last, token) {
		t.Errorf("for the log: %s", last)
	}
	q.Add(forge.Report{Lane: "late", What: "come late", Send: func(context.Context) error { return nil }})
	if untold := q.Close(t.Context()); len(untold) != 6 {
		t.Errorf("one that came late: %v", untold)
	}
}

func TestQueueDoesNotRepeatRefusals(t *testing.T) {
	f := start(t, func(o *github.Options, _ *forge.Options) { delete(o.Tokens[0].Permissions, "deployments") })
	q := forge.NewQueue(t.Context(), forge.QueueOptions{Wait: f.wait})
	announce(f, q)
	untold := q.Close(t.Context())
	if len(untold) != 4 || f.waits() != 0 {
		t.Errorf("%d untold after %s", len(untold), f.waits())
	}
	if !strings.Contains(untold[0].String(), "deployments: write") {
		t.Errorf("for the log: %s", untold[0])
	}
}

func TestQueueDropsWhatIsOutOfDate(t *testing.T) {
	q := forge.NewQueue(t.Context(), forge.QueueOptions{})
	var mu sync.Mutex
	var sent []string
	hold, begun := make(chan struct{}), make(chan struct{})
	report := func(lane, key, what string) forge.Report {
		return forge.Report{Lane: lane, Key: key, What: what, Send: func(context.Context) error {
			if what == "first" {
				close(begun)
				<-hold
			}
			mu.Lock()
			defer mu.Unlock()
			sent = append(sent, what)
			return nil
		}}
	}
	q.Add(report("a", "k", "first"))
	<-begun
	for _, r := range []forge.Report{report("a", "k", "dropped"), report("a", "", "kept"), report("a", "k", "last"), report("b", "k", "other lane")} {
		q.Add(r)
	}
	close(hold)
	if untold := q.Close(t.Context()); len(untold) != 0 {
		t.Errorf("untold: %v", untold)
	}
	sent = slices.DeleteFunc(sent, func(s string) bool { return s == "other lane" })
	if !slices.Equal(sent, []string{"first", "kept", "last"}) {
		t.Errorf("sent %v", sent)
	}
	q = forge.NewQueue(t.Context(), forge.QueueOptions{})
	q.Add(forge.Report{Lane: "a", What: "fail", Send: func(context.Context) error { return errors.New("for good") }})
	if untold := q.Close(t.Context()); len(untold) != 1 || !strings.Contains(untold[0].String(), "for good") {
		t.Errorf("untold: %v", untold)
	}
}
