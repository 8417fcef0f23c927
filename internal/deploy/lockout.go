package deploy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/generation"
	"github.com/flotilla-nix/flotilla/internal/planner"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
)

// checkLockout refuses systems that this deploy could not log in to any more,
// before anything is built or bought for them. The confirmation would find it
// out too, at the price of a switch there and back.
func (d *deployment) checkLockout(ctx context.Context) error {
	for _, name := range d.opts.AllowLockout {
		if _, known := d.tags[name]; !known {
			return &problem.Problem{
				Summary: fmt.Sprintf("--allow-lockout %s: there is no such host in the hive", name),
				Hints:   []string{"The hive has: " + strings.Join(slices.Sorted(maps.Keys(d.tags)), ", ") + "."},
				Code:    problem.Usage,
			}
		}
	}
	var refused []error
	for _, host := range slices.Sorted(maps.Keys(d.systems)) {
		if slices.Contains(d.opts.AllowLockout, host) || d.systems[host].Partial != "" {
			continue
		}
		login := d.login(host)
		reasons := planner.Lockout(nil, d.systems[host], login)
		if len(reasons) == 0 {
			continue
		}
		// What is so already is not this deploy's doing: the way in is another one then.
		if old := d.deployedSystem(ctx, host); old != nil {
			reasons = planner.Lockout(old, d.systems[host], login)
		}
		if len(reasons) > 0 {
			refused = append(refused, lockedOut(host, login, reasons))
		}
	}
	return joinProblems(refused)
}

func lockedOut(host string, login planner.Login, reasons []string) error {
	return &problem.Problem{
		Summary: fmt.Sprintf("%s would lock this deploy out: %s", host, strings.Join(reasons, "; ")),
		Detail:  fmt.Sprintf("It logs in as %s on port %d.", cmp.Or(login.User, "root"), cmp.Or(login.Port, 22)),
		Hints: []string{
			"When SSH moves, set deployment.targetPort (or ssh.port) in the same change: the old port is used until the switch, the new one proves it.",
			fmt.Sprintf("If it is well in a way that cannot be seen here: --allow-lockout %s. A host that cannot be logged in to after the switch is put back.", host),
		},
		Code: problem.Refused,
	}
}

// login is how this deploy logs in to a host.
func (d *deployment) login(host string) planner.Login {
	login := planner.Login{User: d.tree.Fleet.SSH.User, Port: d.tree.Fleet.SSH.Port}
	deployment := d.hosts[host]
	login.User, login.Port = cmp.Or(deployment.TargetUser, login.User), cmp.Or(deployment.TargetPort, login.Port)
	if d.targets != nil {
		for _, s := range d.targets.signers {
			login.Keys = append(login.Keys, string(ssh.MarshalAuthorizedKey(s.PublicKey())))
		}
	}
	return login
}

// deployedSystem evaluates what a host runs now; nil where that is not known.
func (d *deployment) deployedSystem(ctx context.Context, host string) *plans.System {
	commit := d.account.Servers[host].Published.Commit
	if commit == "" {
		commit = d.recordedCommit(ctx, host)
	}
	if commit == "" || d.work == nil {
		return nil
	}
	old, err := d.work.deployedTree(ctx, commit)
	if err != nil {
		d.note(progress.Evaluate, fmt.Sprintf("deployed revision %.12s: %s", commit, oneLine(err)))
		return nil
	}
	e := d.evaluator.Evaluate(ctx, old.source(d.facts(), true), []string{host}, d.flow.Sink)[host]
	if e.Err != nil || e.System.Partial != "" {
		return nil
	}
	return &e.System
}

// recordedCommit asks the host itself; "" where it does not tell.
func (d *deployment) recordedCommit(ctx context.Context, host string) string {
	if d.targets == nil {
		return ""
	}
	target, err := d.targets.of(host, d.hosts[host])
	if err != nil {
		return ""
	}
	records, err := generation.New(host, dialer(target, d.hosts[host]), d.flow.Sink).Confirmed(ctx)
	if err != nil || len(records) == 0 {
		return ""
	}
	return records[0].Commit
}
