package plans

import (
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// Result is what a deploy or rollback did. What hosts run was read back from
// them; Outcome Unknown says where that was not possible.
type Result struct {
	Version   string           `json:"version"`
	Command   string           `json:"command"` // deploy, rollback, release, destroy, adopt
	Fleet     string           `json:"fleet"`
	Revision  Revision         `json:"revision"`
	By        string           `json:"by,omitempty"`      // who asked for it
	Reason    string           `json:"reason,omitempty"`  // why, in their words: of a rollback
	DryRun    bool             `json:"dry_run,omitempty"` // nothing was done
	Resources []ResourceResult `json:"resources"`
	Hosts     []HostResult     `json:"hosts"`
	Failure   string           `json:"failure,omitempty"` // why it ended before hosts were reached
	ExitCode  problem.Code     `json:"exit_code"`

	// Unreviewed is what the deploy would do, or did with leave, and no merged
	// pull request has shown; Reviewed what was known of these. Both are of a
	// deploy that was told of reviews.
	Unreviewed []Digest  `json:"unreviewed,omitempty"`
	Reviewed   *Reviewed `json:"reviewed,omitempty"`
	// Superseded is the newer commit that another deploy brings or has brought:
	// this one has left the fleet to it.
	Superseded string `json:"superseded,omitempty"`

	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"` // nanoseconds
}

// ResourceResult is what became of one infrastructure change.
type ResourceResult struct {
	Resource
	Done  bool   `json:"done"`
	Error string `json:"error,omitempty"`
}

// HostResult is what became of one host.
type HostResult struct {
	Host       string         `json:"host"`
	Outcome    fleet.Outcome  `json:"outcome"`
	Wanted     storepath.Path `json:"wanted"`
	Was        storepath.Path `json:"was"`
	Runs       storepath.Path `json:"runs"`  // read back at the end; zero: could not be read
	Boots      storepath.Path `json:"boots"` // boot default, read back at the end
	Generation int            `json:"generation"`
	Commit     string         `json:"commit,omitempty"`    // a rollback's: the revision whose system it went back to
	NotBegun   bool           `json:"not_begun,omitempty"` // failed, because nothing was done to it at all
	Held       bool           `json:"held,omitempty"`      // deploys leave it alone until it is released
	Reason     string         `json:"reason,omitempty"`    // why it is not deployed
	Log        []string       `json:"log,omitempty"`       // last lines of the activation or the failing check
	Settled    string         `json:"settled,omitempty"`   // what an earlier run had left, and how it was ended
	Warnings   []string       `json:"warnings,omitempty"`
	Checks     []CheckResult  `json:"checks,omitempty"`
	Pushed     Pushed         `json:"pushed"`
	Keys       []string       `json:"keys,omitempty"` // names of the deployment keys that were put there
	Steps      []StepTime     `json:"steps"`
	Duration   time.Duration  `json:"duration"`
}

// CheckResult is the last answer of one health check.
type CheckResult struct {
	Name    string `json:"name"` // for example "http http://www.example.com/"
	Healthy bool   `json:"healthy"`
	Detail  string `json:"detail,omitempty"`
}

// Pushed counts what went over the wire.
type Pushed struct {
	Paths int   `json:"paths"`
	NAR   int64 `json:"nar_bytes"`
	Wire  int64 `json:"wire_bytes"`
}

// StepTime is how long one step of a host took.
type StepTime struct {
	Step     string        `json:"step"`
	Started  time.Time     `json:"started"`
	Duration time.Duration `json:"duration"`
}

// CodeOf gives the exit code that outcomes ask for (DESIGN.md chapter 4).
func CodeOf(outcomes []fleet.Outcome) problem.Code {
	code := problem.OK
	for _, o := range outcomes {
		switch o {
		case fleet.Unchanged, fleet.Deployed, fleet.Staged, fleet.Skipped:
		case fleet.RolledBack, fleet.Failed:
			code = problem.Worse(code, problem.NotDeployed)
		case fleet.HeldBack:
			code = problem.Worse(code, problem.Refused)
		case fleet.Degraded, fleet.NotBootable, fleet.Unknown:
			code = problem.Worse(code, problem.Unknown)
		}
	}
	return code
}
