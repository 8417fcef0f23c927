package plans

// Reviewed is what the pull requests between the deployed revisions and the
// head have shown, and what came there without one.
type Reviewed struct {
	// Since is the revision that they are counted from, where the deploy itself
	// knows of none; "": nothing is known to be deployed.
	Since     string       `json:"since,omitempty"`
	Seen      []Digest     `json:"seen"`      // of the plans that were shown for what was merged
	Direct    []DirectPush `json:"direct"`    // commits that no pull request brought
	Unplanned []Unplanned  `json:"unplanned"` // pull requests whose plan cannot be counted
}

// DirectPush is a commit of the branch that no pull request brought. Subject and
// Author are untrusted.
type DirectPush struct {
	Commit  string `json:"commit"` // full hash
	Subject string `json:"subject"`
	Author  string `json:"author"`
	URL     string `json:"url"`
}

// Unplanned is a merged pull request whose plan is missing, cannot be read, or
// is not that of what was merged.
type Unplanned struct {
	Number int    `json:"number"`
	URL    string `json:"url"`
	Why    string `json:"why"` // "it has no plan comment"
}
