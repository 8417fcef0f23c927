package forge

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/go-github/v66/github"
)

const (
	perPage   = 100
	maxLooked = 1000 // deployments of an environment that LastDeployment looks at
)

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
		list, next, err := c.listDeployments(ctx, github.DeploymentsListOptions{
			Environment: environment, Task: task, ListOptions: github.ListOptions{Page: page, PerPage: perPage},
		})
		if err != nil {
			return Deployment{}, false, err
		}
		for _, d := range list {
			if d.Run == "" {
				continue
			}
			if task == "" {
				return d, true, nil
			}
			if d.Task != task {
				continue
			}
			states, err := c.deploymentStates(ctx, d.ID, perPage)
			if err != nil {
				return Deployment{}, false, err
			}
			if slices.Contains(states, Succeeded) { // at any time
				d.State = Succeeded
				return d, true, nil
			}
		}
		page, looked = next, looked+perPage
	}
	return Deployment{}, false, nil
}
