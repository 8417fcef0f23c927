package actions

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/sethvargo/go-githubactions"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// payload is the part of the event that is read.
type payload struct {
	Action     string `json:"action"`
	Number     int    `json:"number"`
	Repository struct {
		DefaultBranch string `json:"default_branch"`
		FullName      string `json:"full_name"`
	} `json:"repository"`
	PullRequest *struct {
		State string `json:"state"`
		Head  struct {
			SHA  string      `json:"sha"`
			Repo *repository `json:"repo"`
		} `json:"head"`
		Base struct {
			Repo *repository `json:"repo"`
		} `json:"base"`
	} `json:"pull_request"`
	MergeGroup struct {
		BaseSHA string `json:"base_sha"`
		HeadSHA string `json:"head_sha"`
	} `json:"merge_group"`
	Issue struct {
		Number      int             `json:"number"`
		PullRequest json.RawMessage `json:"pull_request"`
	} `json:"issue"`
	Comment struct {
		ID   int64  `json:"id"`
		Body string `json:"body"`
		User struct {
			Login string `json:"login"`
			Type  string `json:"type"`
		} `json:"user"`
	} `json:"comment"`
	Deleted bool `json:"deleted"`
}

type repository struct {
	FullName string `json:"full_name"`
}

func (j *Job) fromEvent(ctx *githubactions.GitHubContext) error {
	raw, err := json.Marshal(ctx.Event)
	if err != nil {
		return &problem.Problem{Summary: "cannot read the event payload", Cause: err, Code: problem.Usage}
	}
	var p payload
	if err := json.Unmarshal(raw, &p); err != nil {
		return &problem.Problem{Summary: "the event payload has an unexpected form", Cause: err, Code: problem.Usage}
	}
	if j.Branch == "" {
		j.Branch = p.Repository.DefaultBranch
	}
	switch j.Event {
	case "pull_request_target":
		return &problem.Problem{
			Summary: "pull_request_target is refused: it would give the code of a pull request the rights of the default branch",
			Hints:   []string{"Use `on: pull_request`; a plan needs no secrets."},
			Code:    problem.Refused,
		}
	case "pull_request":
		// The checkout is the test merge commit: its first parent is the base
		// that it would be merged into, fresher than the payload's base.sha.
		j.setDefault("plan")
		j.Pull = pullOf(p)
	case "merge_group":
		j.setDefault("plan")
		j.Base, j.Head = p.MergeGroup.BaseSHA, p.MergeGroup.HeadSHA
	case "push":
		if p.Deleted {
			return usage("the pushed branch was deleted: there is nothing to deploy", "Leave deleted branches out of the workflow's trigger.")
		}
		j.setDefault("deploy")
	case "schedule":
		j.setDefault("drift")
	case "issue_comment":
		return j.fromComment(p)
	default:
		if j.Command == "" {
			return usage(fmt.Sprintf("event %s does not say what to do", j.Event), "Name the input command: "+strings.Join(commands(), ", ")+".")
		}
	}
	return j.CheckBranch()
}

// pullOf reads a pull request. One without a head repository is a fork that
// was deleted.
func pullOf(p payload) Pull {
	pull := Pull{Number: p.Number}
	if p.PullRequest == nil {
		return pull
	}
	pull.HeadSHA, pull.Closed = p.PullRequest.Head.SHA, p.PullRequest.State == "closed"
	head, base := p.PullRequest.Head.Repo, p.PullRequest.Base.Repo
	into := p.Repository.FullName
	if base != nil && base.FullName != "" {
		into = base.FullName
	}
	pull.Fork = head == nil || head.FullName != into
	return pull
}

// fromComment reads what somebody said; who it is and what they want is
// judged by whoever knows the repository.
func (j *Job) fromComment(p payload) error {
	if !j.ChatOps {
		return &problem.Problem{
			Summary: "comments are not obeyed",
			Hints:   []string{"Set the input chatops: true to let people with write access use /flotilla."},
			Code:    problem.Refused,
		}
	}
	if j.Command != "" {
		return usage("the input command is set in an issue_comment job", "Leave it out: the comment says what to do.")
	}
	j.Command = "plan" // until the comment is read
	if onPull := len(p.Issue.PullRequest) > 0 && string(p.Issue.PullRequest) != "null"; onPull {
		j.Pull.Number = p.Issue.Number
	}
	j.Said = Said{ID: p.Comment.ID, Body: p.Comment.Body, Author: p.Comment.User.Login, New: p.Action == "created" && p.Comment.User.Type != "Bot"}
	return nil
}

// CheckBranch refuses to change a fleet from a branch whose merges nobody guards.
// Job has asked it already, except where a comment says what to do.
func (j *Job) CheckBranch() error {
	ref := j.GitHub.Ref
	if j.Command == "plan" || j.Command == "drift" {
		return nil
	}
	if j.Branch != "" && ref == "refs/heads/"+j.Branch {
		return nil
	}
	return usage(fmt.Sprintf("command %s on %s: the fleet is deployed from the branch %q alone", j.Command, ref, j.Branch),
		"Start the workflow on that branch, limit its trigger to it, or name another in the input branch.")
}

func (j *Job) setDefault(command string) {
	if j.Command == "" {
		j.Command = command
	}
}
