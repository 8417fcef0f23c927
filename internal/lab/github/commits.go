package github

import (
	"encoding/base64"
	"net/http"
	"path"
	"slices"
	"strings"
)

func (q *request) getCommit() *answer {
	c := q.repo.resolve(q.params["ref"])
	if c == nil {
		return q.noCommit(q.params["ref"])
	}
	return success(http.StatusOK, q.commitWire(c))
}

func (q *request) noCommit(ref string) *answer {
	return refusal(http.StatusUnprocessableEntity, "No commit found for SHA: "+ref)
}

// compare answers with the commits that head has and base has not.
func (q *request) compare() *answer {
	left, right, ok := strings.Cut(q.params["basehead"], "...")
	base, head := q.repo.resolve(left), q.repo.resolve(right)
	if !ok || base == nil || head == nil {
		return missing()
	}
	ahead, behind := q.repo.between(base.SHA, head.SHA), q.repo.between(head.SHA, base.SHA)
	fork := q.repo.mergeBase(base.SHA, head.SHA)
	if fork == nil {
		return missing()
	}
	state := "identical"
	switch {
	case len(ahead) > 0 && len(behind) > 0:
		state = "diverged"
	case len(ahead) > 0:
		state = "ahead"
	case len(behind) > 0:
		state = "behind"
	}
	if q.query.Get("per_page") == "" {
		q.query.Set("per_page", "100")
	}
	var wires []any
	for _, c := range ahead {
		wires = append(wires, q.commitWire(c))
	}
	url := q.url("/compare/" + q.params["basehead"])
	return page(q, wires, func(page []any) any {
		return object{
			"url": url, "html_url": q.html("/compare/" + q.params["basehead"]), "permalink_url": url, "diff_url": url + ".diff", "patch_url": url + ".patch",
			"base_commit": q.commitWire(base), "merge_base_commit": q.commitWire(fork), "status": state,
			"ahead_by": len(ahead), "behind_by": len(behind), "total_commits": len(ahead),
			"commits": page, "files": q.filesWire(ahead),
		}
	})
}

func (q *request) getRef() *answer {
	sha, ok := q.repo.branches[strings.TrimPrefix(q.params["ref"], "heads/")]
	if !ok || !strings.HasPrefix(q.params["ref"], "heads/") {
		return missing()
	}
	return success(http.StatusOK, object{
		"ref": "refs/" + q.params["ref"], "node_id": "REF_1", "url": q.url("/git/refs/" + q.params["ref"]),
		"object": object{"type": "commit", "sha": sha, "url": q.url("/git/commits/" + sha)},
	})
}

func (q *request) getContents() *answer {
	name := q.params["path"]
	data, ok := q.repo.files[name]
	if ref := q.query.Get("ref"); !ok || ref != "" && q.repo.resolve(ref) == nil {
		return missing()
	}
	url := q.url("/contents/" + name)
	return success(http.StatusOK, object{
		"type": "file", "encoding": "base64", "content": base64.StdEncoding.EncodeToString(data), "size": len(data),
		"name": path.Base(name), "path": name, "sha": strings.Repeat("0", 40), "url": url,
		"git_url": nil, "html_url": nil, "download_url": nil, "_links": object{"self": url, "git": nil, "html": nil},
	})
}

// filesWire lists each file that the commits modify, once.
func (q *request) filesWire(commits []*Commit) []any {
	var names []string
	for _, c := range commits {
		names = append(names, c.Files...)
	}
	slices.Sort(names)
	files := []any{}
	for _, name := range slices.Compact(names) {
		files = append(files, object{
			"sha": strings.Repeat("1", 40), "filename": name, "status": "modified", "additions": 1, "deletions": 1, "changes": 2,
			"blob_url": q.html("/blob/" + name), "raw_url": q.html("/raw/" + name), "contents_url": q.url("/contents/" + name),
		})
	}
	return files
}

func (q *request) commitWire(c *Commit) object {
	parents := []any{}
	for _, p := range c.Parents {
		parents = append(parents, object{"sha": p, "url": q.url("/commits/" + p), "html_url": q.html("/commit/" + p)})
	}
	who := object{"name": c.Author, "email": c.Author + "@users.noreply.github.com", "date": at(c.At)}
	url := q.url("/commits/" + c.SHA)
	return object{
		"sha": c.SHA, "node_id": "C_" + c.SHA[:8], "url": url, "html_url": q.html("/commit/" + c.SHA), "comments_url": url + "/comments",
		"author": q.userWire(c.Author), "committer": q.userWire(c.Author), "parents": parents,
		"commit": object{
			"author": who, "committer": who, "message": c.Message, "comment_count": 0, "url": q.url("/git/commits/" + c.SHA),
			"tree": object{"sha": c.SHA, "url": q.url("/git/trees/" + c.SHA)},
		},
	}
}
