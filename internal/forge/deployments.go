package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/google/go-github/v66/github"
)

// Progress is the state of a deployment.
type Progress string

// The states of a deployment, in the order in which they come.
const (
	Queued     Progress = "queued"
	InProgress Progress = "in_progress"
	Succeeded  Progress = "success"
	HostFailed Progress = "failure"  // a host was not deployed
	ToolFailed Progress = "error"    // it did not come to the hosts
	Inactive   Progress = "inactive" // another one has taken its place
)

// Deployment is one deploy or rollback of an environment.
type Deployment struct {
	ID          int64
	SHA         string // full hash
	Task        string // deploy, rollback
	Environment string
	Description string // cut at 140 characters
	Production  bool
	// Run is which run and attempt this is, "1234/1": of one run there is one
	// deployment per environment and task.
	Run     string
	Data    json.RawMessage // what the caller wants to find again: digests, hosts
	Created time.Time
	State   Progress // of its last status; "": it has none, or was not asked for
}

// payload is what a deployment carries at GitHub.
type payload struct {
	Version int             `json:"flotilla"`
	Run     string          `json:"run"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// Update is a status of a deployment.
type Update struct {
	State          Progress
	Description    string // cut at 140 characters
	LogURL         string // the run
	EnvironmentURL string
}

const (
	canDeploy      = "deployments: write"
	canReadDeploys = "deployments: read"
)

// StartDeployment records a deployment and gives its ID. It asks GitHub to wait
// for no checks and to merge nothing. One of the same run that is there already
// is not made again.
func (c *Client) StartDeployment(ctx context.Context, d Deployment) (int64, error) {
	return once(ctx, c,
		func() (int64, error) { return c.createDeployment(ctx, d) },
		func() (int64, bool, error) {
			there, _, err := c.listDeployments(ctx, github.DeploymentsListOptions{SHA: d.SHA, Environment: d.Environment, Task: d.Task})
			if err != nil {
				return 0, false, err
			}
			for _, other := range there {
				if other.Run == d.Run && d.Run != "" {
					return other.ID, true, nil
				}
			}
			return 0, false, nil
		})
}

func (c *Client) createDeployment(ctx context.Context, d Deployment) (int64, error) {
	no, none, description := false, []string{}, short(d.Description)
	var id int64
	err := c.call(ctx, operation{what: "record the deployment", needs: canDeploy}, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		made, resp, err := rest.Repositories.CreateDeployment(ctx, c.owner, c.name, &github.DeploymentRequest{
			Ref: &d.SHA, Task: optional(d.Task), Environment: &d.Environment, Description: &description,
			AutoMerge: &no, RequiredContexts: &none, ProductionEnvironment: &d.Production, TransientEnvironment: &no,
			Payload: payload{Version: 1, Run: d.Run, Data: d.Data},
		})
		id = made.GetID()
		return resp, err
	})
	return id, err
}

// UpdateDeployment adds a status to a deployment.
func (c *Client) UpdateDeployment(ctx context.Context, id int64, u Update) error {
	op := operation{what: "set the deployment's status", needs: canDeploy, repeats: true}
	return c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		state, description, yes := string(u.State), short(u.Description), true
		_, resp, err := rest.Repositories.CreateDeploymentStatus(ctx, c.owner, c.name, id, &github.DeploymentStatusRequest{
			State: &state, Description: &description, LogURL: optional(u.LogURL), EnvironmentURL: optional(u.EnvironmentURL), AutoInactive: &yes,
		})
		return resp, err
	})
}

// Deployments lists the last ones of an environment with their states, newest
// first, at most limit (100). Each state costs a request.
func (c *Client) Deployments(ctx context.Context, environment string, limit int) ([]Deployment, error) {
	list, _, err := c.listDeployments(ctx, github.DeploymentsListOptions{Environment: environment, ListOptions: github.ListOptions{PerPage: limit}})
	if err != nil {
		return nil, err
	}
	for i := range list {
		states, err := c.deploymentStates(ctx, list[i].ID, 1)
		if err != nil {
			return nil, err
		}
		if len(states) > 0 {
			list[i].State = states[0]
		}
	}
	return list, nil
}

// RetireDeployments makes the environment's deployments inactive that are older
// than keep and count as successes; GitHub does so itself only where it is not a
// production environment. It looks at the last 20.
func (c *Client) RetireDeployments(ctx context.Context, environment string, keep int64) error {
	list, err := c.Deployments(ctx, environment, 20)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.ID >= keep || d.State != Succeeded {
			continue
		}
		if err := c.UpdateDeployment(ctx, d.ID, Update{State: Inactive}); err != nil {
			return err
		}
	}
	return nil
}

// listDeployments gives a page of deployments, newest first, and the number of
// the next one; 0: there is none.
func (c *Client) listDeployments(ctx context.Context, opt github.DeploymentsListOptions) (list []Deployment, next int, err error) {
	op := operation{what: "list deployments", needs: canReadDeploys, repeats: true}
	err = c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		got, resp, err := rest.Repositories.ListDeployments(ctx, c.owner, c.name, &opt)
		list, next = nil, 0
		for _, d := range got {
			list = append(list, deploymentOf(d))
		}
		if err == nil {
			next = resp.NextPage
		}
		return resp, err
	})
	return list, next, err
}

func deploymentOf(d *github.Deployment) Deployment {
	out := Deployment{
		ID: d.GetID(), SHA: d.GetSHA(), Task: d.GetTask(), Environment: d.GetEnvironment(), Description: d.GetDescription(), Created: d.GetCreatedAt().Time,
	}
	var text []byte
	if d != nil { // as an element of a list it may be null
		text = bytes.TrimSpace(d.Payload)
	}
	var quoted string
	if json.Unmarshal(text, &quoted) == nil { // some servers keep it as a string
		text = []byte(quoted)
	}
	var p payload
	if json.Unmarshal(text, &p) == nil && p.Version == 1 { // others' deployments have other payloads
		out.Run, out.Data = p.Run, p.Data
	}
	return out
}

// deploymentStates gives the last states of a deployment, newest first, at most
// limit (100).
func (c *Client) deploymentStates(ctx context.Context, id int64, limit int) (states []Progress, err error) {
	op := operation{what: "read the deployment's status", needs: canReadDeploys, repeats: true}
	err = c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		got, resp, err := rest.Repositories.ListDeploymentStatuses(ctx, c.owner, c.name, id, &github.ListOptions{PerPage: limit})
		states = nil
		for _, s := range got {
			states = append(states, Progress(s.GetState()))
		}
		return resp, err
	})
	return states, err
}
