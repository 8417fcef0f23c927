package github

import (
	"fmt"
	"net/http"
	"time"
)

const checkTextLimit = 65_535

type checkRun struct {
	id                     int64
	sha, state, conclusion string
	name, details, outside string
	title, summary, text   string
	annotations            []any
	started, completed     time.Time
}

type checkChange struct {
	Name       *string `json:"name"`
	HeadSHA    *string `json:"head_sha"`
	DetailsURL *string `json:"details_url"`
	ExternalID *string `json:"external_id"`
	Status     *string `json:"status"`
	Conclusion *string `json:"conclusion"`
	Output     *struct {
		Title       string `json:"title"`
		Summary     string `json:"summary"`
		Text        string `json:"text"`
		Annotations []any  `json:"annotations"`
	} `json:"output"`
}

func (c *checkChange) apply(run *checkRun, now time.Time) *answer {
	if c.Output != nil {
		if len([]rune(c.Output.Summary)) > checkTextLimit || len([]rune(c.Output.Text)) > checkTextLimit {
			return unprocessable("CheckRun", "output", "custom", "Only 65535 characters are allowed")
		}
		if len(c.Output.Annotations) > 50 {
			return unprocessable("CheckRun", "annotations", "custom", "No more than 50 annotations are allowed in one request")
		}
		run.title, run.summary, run.text = c.Output.Title, c.Output.Summary, c.Output.Text
		run.annotations = append(run.annotations, c.Output.Annotations...)
	}
	for _, f := range []struct{ from, to *string }{
		{c.Name, &run.name}, {c.DetailsURL, &run.details}, {c.ExternalID, &run.outside}, {c.Status, &run.state}, {c.Conclusion, &run.conclusion},
	} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if run.conclusion != "" {
		run.state, run.completed = "completed", now
	}
	return nil
}

func (q *request) createCheckRun() *answer {
	var c checkChange
	if wrong := q.decode(&c); wrong != nil {
		return wrong
	}
	if c.Name == nil || c.HeadSHA == nil {
		return unprocessable("CheckRun", "name", "missing_field", "")
	}
	if q.repo.commits[*c.HeadSHA] == nil {
		return q.noCommit(*c.HeadSHA)
	}
	now := q.api.opt.Now()
	run := &checkRun{id: q.repo.id(), sha: *c.HeadSHA, state: "queued", started: now}
	if wrong := c.apply(run, now); wrong != nil {
		return wrong
	}
	q.repo.checks = append(q.repo.checks, run)
	return success(http.StatusCreated, q.checkWire(run))
}

func (q *request) updateCheckRun() *answer {
	var c checkChange
	if wrong := q.decode(&c); wrong != nil {
		return wrong
	}
	for _, run := range q.repo.checks {
		if run.id == q.number("check_run_id") {
			if wrong := c.apply(run, q.api.opt.Now()); wrong != nil {
				return wrong
			}
			return success(http.StatusOK, q.checkWire(run))
		}
	}
	return missing()
}

func (q *request) listCheckRuns() *answer {
	c := q.repo.resolve(q.params["ref"])
	if c == nil {
		return missing()
	}
	list := []any{}
	for _, run := range q.repo.checks {
		if run.sha == c.SHA {
			list = append(list, q.checkWire(run))
		}
	}
	return page(q, list, func(page []any) any { return object{"total_count": len(list), "check_runs": page} })
}

func (q *request) checkWire(run *checkRun) object {
	url := q.url(fmt.Sprintf("/check-runs/%d", run.id))
	return object{
		"id": run.id, "node_id": "CR_1", "url": url, "html_url": q.html(fmt.Sprintf("/runs/%d", run.id)), "name": run.name, "head_sha": run.sha,
		"external_id": orNull(run.outside), "details_url": orNull(run.details), "status": run.state, "conclusion": orNull(run.conclusion),
		"started_at": at(run.started), "completed_at": at(run.completed), "check_suite": object{"id": 1}, "app": nil, "pull_requests": []any{},
		"output": object{
			"title": orNull(run.title), "summary": orNull(run.summary), "text": orNull(run.text),
			"annotations_count": len(run.annotations), "annotations_url": url + "/annotations",
		},
	}
}
