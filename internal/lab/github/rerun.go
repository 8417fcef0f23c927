package github

import (
	"cmp"
	"net/http"
	"slices"
)

// Runs lists the attempts of all runs, in the order in which they came.
func (a *API) Runs() []Run {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := make([]Run, len(a.repo.runs))
	for i, run := range a.repo.runs {
		list[i] = *run
	}
	return list
}

// listWorkflowRuns answers with the last attempts of a workflow's runs, newest
// run first. A workflow that nobody knows is missing.
func (q *request) listWorkflowRuns() *answer {
	file := q.params["workflow_id"]
	_, known := q.repo.files[".github/workflows/"+file]
	var runs []*Run
	for _, run := range q.repo.runs {
		if run.Workflow != file {
			continue
		}
		known = true
		is := func(key, value string) bool { return q.query.Get(key) == "" || q.query.Get(key) == value }
		if run == q.repo.run(run.ID, 0) && is("event", run.Event) && is("head_sha", run.SHA) {
			runs = append(runs, run)
		}
	}
	if !known {
		return missing()
	}
	slices.SortFunc(runs, func(a, b *Run) int { return cmp.Compare(b.ID, a.ID) })
	list := []any{}
	for _, run := range runs {
		list = append(list, q.runWire(run))
	}
	return page(q, list, func(page []any) any { return object{"total_count": len(list), "workflow_runs": page} })
}

// rerun begins another attempt of a run that is over.
func (q *request) rerun() *answer {
	last := q.repo.run(q.number("run_id"), 0)
	if last == nil {
		return missing()
	}
	if last.Status != "completed" {
		return refusal(http.StatusForbidden, "This workflow run is already running")
	}
	anew := *last
	anew.Attempt, anew.Status, anew.Conclusion = last.Attempt+1, "queued", ""
	q.repo.runs = append(q.repo.runs, &anew)
	return success(http.StatusCreated, object{})
}
