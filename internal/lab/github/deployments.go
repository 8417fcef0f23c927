package github

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

type deployment struct {
	id                       int64
	sha, ref, task, env, why string
	payload                  json.RawMessage
	production, transient    bool
	who                      string
	created                  time.Time
	statuses                 []DeploymentStatus
}

// Deployment is what a test sees of one.
type Deployment struct {
	ID                                  int64
	SHA, Task, Environment, Description string
	Payload                             string
	Statuses                            []DeploymentStatus // oldest first
}

// DeploymentStatus is one of a deployment's statuses.
type DeploymentStatus struct {
	State, Description, LogURL, EnvironmentURL string
	id                                         int64
	created                                    time.Time
}

// Deployments lists them, oldest first.
func (a *API) Deployments() []Deployment {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []Deployment
	for _, d := range a.repo.deployments {
		list = append(list, Deployment{d.id, d.sha, d.task, d.env, d.why, string(d.payload), slices.Clone(d.statuses)})
	}
	return list
}

type deploymentRequest struct {
	Ref              string          `json:"ref"`
	Task             string          `json:"task"`
	AutoMerge        *bool           `json:"auto_merge"`
	RequiredContexts *[]string       `json:"required_contexts"`
	Payload          json.RawMessage `json:"payload"`
	Environment      string          `json:"environment"`
	Description      string          `json:"description"`
	Transient        bool            `json:"transient_environment"`
	Production       *bool           `json:"production_environment"`
}

func (q *request) createDeployment() *answer {
	body := deploymentRequest{Task: "deploy", Environment: "production", Payload: json.RawMessage(`""`)}
	if wrong := q.decode(&body); wrong != nil {
		return wrong
	}
	c := q.repo.resolve(body.Ref)
	if c == nil {
		return refusal(http.StatusUnprocessableEntity, "No ref found for: "+body.Ref)
	}
	if len([]rune(body.Description)) > 140 {
		return unprocessable("Deployment", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	head := q.repo.branches[q.api.opt.Branch]
	if (body.AutoMerge == nil || *body.AutoMerge) && head != "" && !q.repo.reach(c.SHA)[head] {
		return success(http.StatusAccepted, object{"message": "Auto-merged " + q.api.opt.Branch + " into " + body.Ref + " on deployment."})
	}
	if body.RequiredContexts == nil && !q.green(c.SHA) {
		return refusal(http.StatusConflict, "Conflict: Commit status checks failed for "+body.Ref+".")
	}
	d := &deployment{
		id: q.repo.id(), sha: c.SHA, ref: body.Ref, task: body.Task, env: body.Environment, why: body.Description, payload: body.Payload,
		production: body.Environment == "production", transient: body.Transient, who: q.token.Login, created: q.api.opt.Now(),
	}
	if body.Production != nil {
		d.production = *body.Production
	}
	q.repo.deployments = append(q.repo.deployments, d)
	if !slices.Contains(q.repo.environments, d.env) {
		q.repo.environments = append(q.repo.environments, d.env)
	}
	return success(http.StatusCreated, q.deploymentWire(d))
}

// green tells whether no context of a commit is other than a success.
func (q *request) green(sha string) bool {
	last := map[string]string{}
	for _, s := range q.repo.statuses {
		if s.sha == sha {
			last[s.context] = s.state
		}
	}
	for _, state := range last {
		if state != "success" {
			return false
		}
	}
	return true
}

func (q *request) listDeployments() *answer {
	list := []any{}
	for _, d := range slices.Backward(q.repo.deployments) {
		is := func(key, value string) bool {
			want := q.query.Get(key)
			return want == "" || want == "none" || want == value
		}
		if is("sha", d.sha) && is("ref", d.ref) && is("task", d.task) && is("environment", d.env) {
			list = append(list, q.deploymentWire(d))
		}
	}
	return page(q, list, nil)
}

func (q *request) deployment() *deployment {
	for _, d := range q.repo.deployments {
		if d.id == q.number("deployment_id") {
			return d
		}
	}
	return nil
}

func (q *request) getDeployment() *answer {
	if d := q.deployment(); d != nil {
		return success(http.StatusOK, q.deploymentWire(d))
	}
	return missing()
}

func (q *request) listDeploymentStatuses() *answer {
	d := q.deployment()
	if d == nil {
		return missing()
	}
	list := []any{}
	for _, s := range slices.Backward(d.statuses) {
		list = append(list, q.deploymentStatusWire(d, s))
	}
	return page(q, list, nil)
}

func (q *request) createDeploymentStatus() *answer {
	d := q.deployment()
	if d == nil {
		return missing()
	}
	var body struct {
		State          string `json:"state"`
		LogURL         string `json:"log_url"`
		Description    string `json:"description"`
		EnvironmentURL string `json:"environment_url"`
		AutoInactive   *bool  `json:"auto_inactive"`
	}
	if wrong := q.decode(&body); wrong != nil {
		return wrong
	}
	if !slices.Contains([]string{"error", "failure", "inactive", "in_progress", "queued", "pending", "success"}, body.State) {
		return unprocessable("DeploymentStatus", "state", "invalid", "")
	}
	if len([]rune(body.Description)) > 140 {
		return unprocessable("DeploymentStatus", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	now := q.api.opt.Now()
	s := DeploymentStatus{body.State, body.Description, body.LogURL, body.EnvironmentURL, q.repo.id(), now}
	d.statuses = append(d.statuses, s)
	if body.State == "success" && (body.AutoInactive == nil || *body.AutoInactive) {
		q.retire(d, now)
	}
	return success(http.StatusCreated, q.deploymentStatusWire(d, s))
}

// retire makes the earlier successes of an environment inactive, other than
// those of transient and of production environments.
func (q *request) retire(newest *deployment, now time.Time) {
	for _, d := range q.repo.deployments {
		if d == newest || d.env != newest.env || d.transient || d.production || len(d.statuses) == 0 || d.statuses[len(d.statuses)-1].State != "success" {
			continue
		}
		d.statuses = append(d.statuses, DeploymentStatus{State: "inactive", id: q.repo.id(), created: now})
	}
}

func (q *request) deploymentWire(d *deployment) object {
	url := q.url(fmt.Sprintf("/deployments/%d", d.id))
	return object{
		"id": d.id, "node_id": "DE_1", "url": url, "sha": d.sha, "ref": d.ref, "task": d.task, "payload": d.payload, "environment": d.env,
		"original_environment": d.env, "description": orNull(d.why), "creator": q.userWire(d.who), "created_at": at(d.created), "updated_at": at(d.created),
		"statuses_url": url + "/statuses", "repository_url": q.url(""), "transient_environment": d.transient, "production_environment": d.production,
	}
}

func (q *request) deploymentStatusWire(d *deployment, s DeploymentStatus) object {
	url := q.url(fmt.Sprintf("/deployments/%d", d.id))
	return object{
		"id": s.id, "node_id": "DES_1", "url": fmt.Sprintf("%s/statuses/%d", url, s.id), "state": s.State, "description": s.Description,
		"environment": d.env, "target_url": s.LogURL, "log_url": s.LogURL, "environment_url": s.EnvironmentURL, "creator": q.userWire(d.who),
		"created_at": at(s.created), "updated_at": at(s.created), "deployment_url": url, "repository_url": q.url(""),
	}
}

func (q *request) environmentWire(name string) object {
	url := q.url("/environments/" + name)
	return object{"id": 1, "node_id": "EN_1", "name": name, "url": url, "html_url": q.html("/deployments/" + name), "created_at": began(), "updated_at": began()}
}

func (q *request) listEnvironments() *answer {
	list := []any{}
	for _, name := range q.repo.environments {
		list = append(list, q.environmentWire(name))
	}
	return page(q, list, func(page []any) any { return object{"total_count": len(list), "environments": page} })
}

func (q *request) getEnvironment() *answer {
	if name := q.params["environment_name"]; slices.Contains(q.repo.environments, name) {
		return success(http.StatusOK, q.environmentWire(name))
	}
	return missing()
}
