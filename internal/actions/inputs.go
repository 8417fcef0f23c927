package actions

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/flotilla-nix/flotilla/internal/secret"
)

// inputs reads what `with:` gives. action.yml describes each.
func (r *Runner) inputs(job *Job) error {
	in := r.gh.GetInput
	job.Command, job.On, job.To, job.Reason = in("command"), in("on"), in("to"), in("reason")
	job.FleetDir = in("fleet-dir")
	if job.FleetDir == "" {
		job.FleetDir = "."
	}
	job.Environment, job.EnvironmentURL, job.Branch = in("environment"), in("environment-url"), in("branch")
	job.PlanWorkflow = cmp.Or(in("plan-workflow"), "plan.yml")
	job.Token = secret.New(in("token"))
	for name, to := range map[string]*bool{
		"retry-bad": &job.RetryBad, "accept-running": &job.AcceptRunning, "dry-run": &job.DryRun, "confirm": &job.Confirm, "chatops": &job.ChatOps,
	} {
		if err := boolean(name, in(name), false, to); err != nil {
			return err
		}
	}
	if err := boolean("comment", in("comment"), true, &job.Comment); err != nil {
		return err
	}
	job.Only = in("only")
	if !slices.Contains([]string{"", "infra", "hosts"}, job.Only) {
		return usage(fmt.Sprintf("input only is %q", job.Only), "Write infra or hosts, or leave it out for both.")
	}
	job.AllowDestroy, job.AllowLockout = names(in("allow-destroy")), names(in("allow-lockout"))
	job.Rebuild, job.Replace = names(in("rebuild")), names(in("replace"))
	if wait := in("lock-timeout"); wait != "" {
		var err error
		if job.LockTimeout, err = time.ParseDuration(wait); err != nil || job.LockTimeout < 0 {
			return usage(fmt.Sprintf("input lock-timeout is %q", wait), "Write a time such as 90s or 15m.")
		}
	}
	return nil
}

func boolean(name, text string, otherwise bool, to *bool) error {
	switch text {
	case "":
		*to = otherwise
	case "true":
		*to = true
	case "false":
		*to = false
	default:
		return usage(fmt.Sprintf("input %s is %q", name, text), "Write true or false.")
	}
	return nil
}

// names splits a list at commas and blanks.
func names(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}
