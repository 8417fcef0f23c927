package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-github/v66/github"
)

// maxLooked is how many deployments of an environment LastDeployment looks at.
const maxLooked = 1000

// LastDeployment gives the newest deployment of ours of an environment; with a
// task only those of it that went well, also when another has taken its place
// since. Others may record theirs in the same environment, as many as they
// like. ok is false if there is none; that there are too many to tell is an error.
func (c *Client) LastDeployment(ctx context.Context, environment, task string) (last Deployment, ok bool, err error) {
	op := operation{what: "list deployments", needs: canReadDeploys, repeats: true}
	for page, looked := 1, 0; page != 0; {
		if looked >= maxLooked {
			return Deployment{}, false, op.fail(&Error{Status: http.StatusOK, Message: fmt.Sprintf("the last %d deployments to the environment are not what is looked for, and there are more", looked)})
		}
		var list []*github.Deployment
		next := 0
		err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
			got, resp, err := rest.Repositories.ListDeployments(ctx, c.owner, c.name, &github.DeploymentsListOptions{
				Environment: environment, Task: task, ListOptions: github.ListOptions{Page: page, PerPage: 100},
			})
			if err == nil {
				list, next = got, resp.NextPage
			}
			return resp, err
		})
		if err != nil {
			return Deployment{}, false, err
		}
		for _, raw := range list {
			d := deploymentOf(raw)
			if d.Run == "" {
				continue
			}
			if task == "" {
				return d, true, nil
			}
			if d.Task != task {
				continue
			}
			well, err := c.wentWell(ctx, d.ID)
			if err != nil {
				return Deployment{}, false, err
			}
			if well {
				d.State = Succeeded
				return d, true, nil
			}
		}
		page, looked = next, looked+100
	}
	return Deployment{}, false, nil
}

// wentWell tells whether a deployment was a success at any time.
func (c *Client) wentWell(ctx context.Context, id int64) (bool, error) {
	well := false
	op := operation{what: "read the deployment's status", needs: canReadDeploys, repeats: true}
	err := c.call(ctx, op, func(ctx context.Context, rest *github.Client) (*github.Response, error) {
		got, resp, err := rest.Repositories.ListDeploymentStatuses(ctx, c.owner, c.name, id, &github.ListOptions{PerPage: 100})
		well = slices.ContainsFunc(got, func(s *github.DeploymentStatus) bool { return s.GetState() == string(Succeeded) })
		return resp, err
	})
	return well, err
}
