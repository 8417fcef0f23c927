package github

import (
	"cmp"
	"fmt"
	"net/http"
	"time"
)

// Run is a workflow run. A later attempt of the same run is another Run with
// the same ID.
type Run struct {
	ID         int64
	Attempt    int    // counts from 1
	Status     string // queued, in_progress, completed, …
	Conclusion string // success, failure, cancelled, …; "" while it runs
	SHA        string
	Event      string // push, workflow_dispatch, …; "": push
	Workflow   string // the file's name; "": deploy.yml
	Jobs       []Job
}

// Job is a job of a run.
type Job struct {
	Name, Status, Conclusion string
}

// PutRun records a run, or changes the one of that ID and attempt.
func (a *API) PutRun(run Run) {
	a.mu.Lock()
	defer a.mu.Unlock()
	run.Attempt = max(run.Attempt, 1)
	run.Event, run.Workflow = cmp.Or(run.Event, "push"), cmp.Or(run.Workflow, "deploy.yml")
	for _, old := range a.repo.runs {
		if old.ID == run.ID && old.Attempt == run.Attempt {
			*old = run
			return
		}
	}
	a.repo.runs = append(a.repo.runs, &run)
}

// run finds a run; attempt 0: its last one.
func (r *repository) run(id int64, attempt int) *Run {
	var found *Run
	for _, run := range r.runs {
		if run.ID == id && (attempt == run.Attempt || attempt == 0 && (found == nil || run.Attempt > found.Attempt)) {
			found = run
		}
	}
	return found
}

func (q *request) getRun() *answer {
	run := q.repo.run(q.number("run_id"), 0)
	if run == nil {
		return missing()
	}
	return success(http.StatusOK, q.runWire(run))
}

func (q *request) getRunAttempt() *answer {
	run := q.repo.run(q.number("run_id"), int(q.number("attempt_number")))
	if run == nil || q.number("attempt_number") < 1 {
		return missing()
	}
	return success(http.StatusOK, q.runWire(run))
}

func (q *request) listJobs() *answer {
	run := q.repo.run(q.number("run_id"), 0)
	if run == nil {
		return missing()
	}
	list := []any{}
	for i, job := range run.Jobs {
		url := q.url(fmt.Sprintf("/actions/jobs/%d", i+1))
		o := object{
			"id": i + 1, "run_id": run.ID, "run_url": q.url(fmt.Sprintf("/actions/runs/%d", run.ID)), "node_id": "CR_1", "head_sha": run.SHA, "head_branch": q.api.opt.Branch,
			"url": url, "html_url": nil, "status": job.Status, "conclusion": orNull(job.Conclusion), "name": job.Name, "created_at": began(), "started_at": began(),
			"completed_at": nil, "check_run_url": url, "labels": []any{}, "runner_id": nil, "runner_name": nil, "runner_group_id": nil, "runner_group_name": nil,
			"workflow_name": nil, "run_attempt": run.Attempt,
		}
		if job.Conclusion != "" {
			o["completed_at"] = began()
		}
		list = append(list, o)
	}
	return page(q, list, func(page []any) any { return object{"total_count": len(list), "jobs": page} })
}

func (q *request) runWire(run *Run) object {
	url := q.url(fmt.Sprintf("/actions/runs/%d", run.ID))
	o := object{
		"id": run.ID, "node_id": "WFR_1", "name": run.Workflow, "display_title": run.Workflow, "path": ".github/workflows/" + run.Workflow, "run_number": 1, "run_attempt": run.Attempt,
		"event": run.Event, "status": run.Status, "conclusion": orNull(run.Conclusion), "head_branch": q.api.opt.Branch, "head_sha": run.SHA, "head_commit": nil,
		"workflow_id": 1, "pull_requests": []any{}, "created_at": began(), "updated_at": at(q.api.opt.Now().Truncate(time.Second)),
		"repository": q.repositoryWire(false), "head_repository": q.repositoryWire(false),
		"url": url, "html_url": q.html(fmt.Sprintf("/actions/runs/%d", run.ID)), "workflow_url": url,
	}
	for _, part := range []string{"jobs", "logs", "check_suite", "artifacts", "cancel", "rerun"} {
		o[part+"_url"] = url + "/" + part
	}
	return o
}

// getPermission answers with the coarse permission and the role. Of a public
// repository everyone is a reader.
func (q *request) getPermission() *answer {
	login := q.params["username"]
	role := q.repo.permissions[login]
	if role == "" {
		role = "read"
		if q.api.opt.Private {
			role = "none"
		}
	}
	coarse := map[string]string{"maintain": "write", "triage": "read"}[role]
	if coarse == "" {
		coarse = role
	}
	user := q.userWire(login)
	user["role_name"] = role
	return success(http.StatusOK, object{"permission": coarse, "role_name": role, "user": user})
}
