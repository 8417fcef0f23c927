package deploy

import (
	"fmt"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/nix"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// checkApplyAll refuses to deploy all hosts of a hive that does not want it.
func checkApplyAll(settings nix.Settings, on fleet.Selector) error {
	if settings.AllowApplyAll || !on.All() {
		return nil
	}
	return &problem.Problem{
		Summary: "this hive is not deployed as a whole: its meta.allowApplyAll is false",
		Hints:   []string{`Name the hosts with --on (in a job with the input on): a name, a glob or @tag, or "*" for all of them.`},
		Code:    problem.Refused,
	}
}

// withoutLocal leaves out the hosts that are deployed from themselves alone, as
// Colmena does, and says so in the results. Who names one of them wants what
// cannot be.
func withoutLocal(on fleet.Selector, names []string, hosts map[string]plans.Deployment) (rest []string, skipped []plans.HostResult, err error) {
	var failed []error
	for _, name := range names {
		switch {
		case !hosts[name].LocalOnly:
			rest = append(rest, name)
		case on.Names(name):
			failed = append(failed, localOnly(name))
		default:
			skipped = append(skipped, plans.HostResult{Host: name, Outcome: fleet.Skipped, Reason: "deployed from itself alone: its deployment.targetHost is null"})
		}
	}
	return rest, skipped, joinProblems(failed)
}

func localOnly(host string) error {
	return &problem.Problem{
		Summary: fmt.Sprintf("host %s is deployed from itself alone: its deployment.targetHost is null", host),
		Hints:   []string{"Give deployment.targetHost an address in the hive, or leave the host out."},
		Code:    problem.Usage,
	}
}
