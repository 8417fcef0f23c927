package openapi

// Operations are the calls that the description holds, as "METHOD /path": all
// that the stand-in serves. After a change run the command reduce again.
func Operations() []string {
	const repo = "/repos/{owner}/{repo}"
	return []string{
		"GET " + repo,
		"GET " + repo + "/issues",
		"POST " + repo + "/issues",
		"GET " + repo + "/issues/{issue_number}",
		"PATCH " + repo + "/issues/{issue_number}",
		"GET " + repo + "/issues/{issue_number}/comments",
		"POST " + repo + "/issues/{issue_number}/comments",
		"GET " + repo + "/issues/comments/{comment_id}",
		"PATCH " + repo + "/issues/comments/{comment_id}",
		"DELETE " + repo + "/issues/comments/{comment_id}",
		"POST " + repo + "/issues/comments/{comment_id}/reactions",
		"GET " + repo + "/pulls",
		"GET " + repo + "/pulls/{pull_number}",
		"GET " + repo + "/pulls/{pull_number}/commits",
		"GET " + repo + "/pulls/{pull_number}/files",
		"GET " + repo + "/commits/{ref}",
		"GET " + repo + "/commits/{commit_sha}/pulls",
		"GET " + repo + "/commits/{ref}/statuses",
		"GET " + repo + "/commits/{ref}/check-runs",
		"POST " + repo + "/statuses/{sha}",
		"POST " + repo + "/check-runs",
		"PATCH " + repo + "/check-runs/{check_run_id}",
		"GET " + repo + "/compare/{basehead}",
		"GET " + repo + "/git/ref/{ref}",
		"GET " + repo + "/contents/{path}",
		"GET " + repo + "/deployments",
		"POST " + repo + "/deployments",
		"GET " + repo + "/deployments/{deployment_id}",
		"GET " + repo + "/deployments/{deployment_id}/statuses",
		"POST " + repo + "/deployments/{deployment_id}/statuses",
		"GET " + repo + "/environments",
		"GET " + repo + "/environments/{environment_name}",
		"GET " + repo + "/actions/runs/{run_id}",
		"GET " + repo + "/actions/runs/{run_id}/attempts/{attempt_number}",
		"GET " + repo + "/actions/runs/{run_id}/jobs",
		"POST " + repo + "/actions/runs/{run_id}/rerun",
		"GET " + repo + "/actions/workflows/{workflow_id}/runs",
		"GET " + repo + "/collaborators/{username}/permission",
	}
}
