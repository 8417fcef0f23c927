package github

import (
	"net/http"
	"net/url"
	"strings"
)

// route is an operation that the stand-in serves.
type route struct {
	method, pattern string
	needs           []string // permissions of which one will do; nil: every token has it
	serve           func(*request) *answer
}

func one(permission string) []string { return []string{permission} }

// table names every operation, as in GitHub's published description.
func (a *API) table() []route {
	const repo = "/repos/{owner}/{repo}"
	conversations := []string{"issues:read", "pull_requests:read"}
	talk := []string{"issues:write", "pull_requests:write"}
	pulls, contents := one("pull_requests:read"), one("contents:read")
	return []route{
		{"POST", "/graphql", nil, (*request).graphql},
		{"GET", repo, nil, (*request).getRepository},
		{"GET", repo + "/issues", conversations, (*request).listIssues},
		{"POST", repo + "/issues", one("issues:write"), (*request).createIssue},
		{"GET", repo + "/issues/{issue_number}", conversations, (*request).getIssue},
		{"PATCH", repo + "/issues/{issue_number}", talk, (*request).updateIssue},
		{"GET", repo + "/issues/{issue_number}/comments", conversations, (*request).listComments},
		{"POST", repo + "/issues/{issue_number}/comments", talk, (*request).createComment},
		{"GET", repo + "/issues/comments/{comment_id}", conversations, (*request).getComment},
		{"PATCH", repo + "/issues/comments/{comment_id}", talk, (*request).updateComment},
		{"DELETE", repo + "/issues/comments/{comment_id}", talk, (*request).deleteComment},
		{"POST", repo + "/issues/comments/{comment_id}/reactions", talk, (*request).react},
		{"GET", repo + "/pulls", pulls, (*request).listPulls},
		{"GET", repo + "/pulls/{pull_number}", pulls, (*request).getPull},
		{"GET", repo + "/pulls/{pull_number}/commits", pulls, (*request).listPullCommits},
		{"GET", repo + "/pulls/{pull_number}/files", pulls, (*request).listPullFiles},
		{"GET", repo + "/commits/{commit_sha}/pulls", pulls, (*request).listCommitPulls},
		{"GET", repo + "/commits/{ref}/statuses", one("statuses:read"), (*request).listStatuses},
		{"GET", repo + "/commits/{ref}/check-runs", one("checks:read"), (*request).listCheckRuns},
		{"GET", repo + "/commits/{ref}", contents, (*request).getCommit},
		{"POST", repo + "/statuses/{sha}", one("statuses:write"), (*request).createStatus},
		{"POST", repo + "/check-runs", one("checks:write"), (*request).createCheckRun},
		{"PATCH", repo + "/check-runs/{check_run_id}", one("checks:write"), (*request).updateCheckRun},
		{"GET", repo + "/compare/{basehead}", contents, (*request).compare},
		{"GET", repo + "/git/ref/{ref}", contents, (*request).getRef},
		{"GET", repo + "/contents/{path}", contents, (*request).getContents},
		{"GET", repo + "/deployments", one("deployments:read"), (*request).listDeployments},
		{"POST", repo + "/deployments", one("deployments:write"), (*request).createDeployment},
		{"GET", repo + "/deployments/{deployment_id}", one("deployments:read"), (*request).getDeployment},
		{"GET", repo + "/deployments/{deployment_id}/statuses", one("deployments:read"), (*request).listDeploymentStatuses},
		{"POST", repo + "/deployments/{deployment_id}/statuses", one("deployments:write"), (*request).createDeploymentStatus},
		{"GET", repo + "/environments", one("actions:read"), (*request).listEnvironments},
		{"GET", repo + "/environments/{environment_name}", one("actions:read"), (*request).getEnvironment},
		{"GET", repo + "/actions/runs/{run_id}", one("actions:read"), (*request).getRun},
		{"GET", repo + "/actions/runs/{run_id}/attempts/{attempt_number}", one("actions:read"), (*request).getRunAttempt},
		{"GET", repo + "/actions/runs/{run_id}/jobs", one("actions:read"), (*request).listJobs},
		{"POST", repo + "/actions/runs/{run_id}/rerun", one("actions:write"), (*request).rerun},
		{"GET", repo + "/actions/workflows/{workflow_id}/runs", one("actions:read"), (*request).listWorkflowRuns},
		{"GET", repo + "/collaborators/{username}/permission", nil, (*request).getPermission},
	}
}

// match finds the route of a request. The operation is "METHOD /pattern", or
// the path itself where there is none.
func (a *API) match(method, path string) (operation string, found *route, params map[string]string) {
	for i := range a.routes {
		r := &a.routes[i]
		if r.method != method {
			continue
		}
		if params, ok := matchPath(r.pattern, path); ok && a.isRepository(params) {
			params["_path"] = path
			return method + " " + r.pattern, r, params
		}
	}
	return method + " " + path, nil, nil
}

// isRepository tells whether a path is of the repository that is served.
func (a *API) isRepository(params map[string]string) bool {
	owner, isOf := params["owner"]
	return !isOf || strings.EqualFold(owner+"/"+params["repo"], a.opt.Repository)
}

// matchPath compares segment by segment; a last {ref} or {path} takes the rest,
// as branch and file names hold slashes.
func matchPath(pattern, path string) (map[string]string, bool) {
	params := map[string]string{}
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if last := want[len(want)-1]; (last == "{path}" || strings.HasSuffix(pattern, "/git/ref/{ref}")) && len(got) > len(want) {
		got = append(got[:len(want)-1:len(want)-1], strings.Join(got[len(want)-1:], "/"))
	}
	if len(want) != len(got) {
		return nil, false
	}
	for i, segment := range want {
		name, isParam := strings.CutPrefix(segment, "{")
		if !isParam {
			if segment != got[i] {
				return nil, false
			}
			continue
		}
		value, err := url.PathUnescape(got[i])
		if err != nil || value == "" {
			return nil, false
		}
		params[strings.TrimSuffix(name, "}")] = value
	}
	return params, true
}

func (q *request) getRepository() *answer { return success(http.StatusOK, q.repositoryWire(true)) }
