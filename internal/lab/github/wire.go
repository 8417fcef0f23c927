package github

import (
	"strings"
	"time"
)

// began is when everything that has no time of its own was made.
func began() any { return at(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) }

// url is an address of the API below the repository.
func (q *request) url(path string) string {
	return q.base + "/repos/" + q.repo.owner + "/" + q.repo.name + path
}

// html is an address for people.
func (q *request) html(path string) string {
	root, _, _ := strings.Cut(strings.TrimPrefix(q.base, "http://"), "/")
	return "http://" + root + "/" + q.repo.owner + "/" + q.repo.name + path
}

// userWire is a user; those whose names end with [bot] are bots.
func (q *request) userWire(login string) object {
	if login == "" {
		return nil
	}
	url := q.base + "/users/" + login
	kind := "User"
	if strings.HasSuffix(login, "[bot]") {
		kind = "Bot"
	}
	id := 1
	for _, c := range login {
		id = id*31%1_000_003 + int(c)
	}
	user := object{
		"login": login, "id": id, "node_id": "U_" + login, "type": kind, "site_admin": false, "gravatar_id": "",
		"url": url, "avatar_url": url + ".png", "html_url": q.html("/../../" + login),
	}
	for _, part := range []string{"followers", "following", "gists", "starred", "subscriptions", "organizations", "repos", "events", "received_events"} {
		user[part+"_url"] = url + "/" + part
	}
	return user
}

// repositoryWire is the repository; full adds what only its own operation tells.
func (q *request) repositoryWire(full bool) object {
	root := q.url("")
	o := object{
		"id": 1, "node_id": "R_1", "name": q.repo.name, "full_name": q.repo.owner + "/" + q.repo.name, "owner": q.userWire(q.repo.owner),
		"private": q.api.opt.Private, "html_url": q.html(""), "description": nil, "fork": false, "url": root,
		"homepage": nil, "language": "Nix", "license": nil, "mirror_url": nil, "default_branch": q.api.opt.Branch, "visibility": "public",
		"forks_count": 0, "stargazers_count": 0, "watchers_count": 0, "size": 1, "open_issues_count": 0, "forks": 0, "open_issues": 0, "watchers": 0,
		"has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false, "has_downloads": true, "has_discussions": false,
		"archived": false, "disabled": false, "pushed_at": began(), "created_at": began(), "updated_at": began(),
		"clone_url": q.html(".git"), "git_url": q.html(".git"), "ssh_url": "git@github.lab:" + q.repo.name, "svn_url": q.html(""),
	}
	for _, part := range []string{
		"archive", "assignees", "blobs", "branches", "collaborators", "comments", "commits", "compare", "contents", "contributors", "deployments",
		"downloads", "events", "forks", "git_commits", "git_refs", "git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels",
		"languages", "merges", "milestones", "notifications", "pulls", "releases", "stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees",
	} {
		o[part+"_url"] = root + "/" + part
	}
	if full {
		o["network_count"], o["subscribers_count"] = 0, 0
	}
	return o
}
