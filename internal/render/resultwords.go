package render

import (
	"fmt"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// well tells whether a host's outcome needs no explanation.
func well(o fleet.Outcome) bool {
	return o == fleet.Deployed || o == fleet.Unchanged || o == fleet.Staged
}

// outcomeCounts is "1 deployed, 1 rolled-back", worst first.
func outcomeCounts(hosts []plans.HostResult) string {
	counts := map[fleet.Outcome]int{}
	for _, h := range hosts {
		counts[h.Outcome]++
	}
	var out []string
	for _, o := range outcomes() {
		if n := counts[o]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, o))
			delete(counts, o)
		}
	}
	rest := 0
	for _, n := range counts {
		rest += n
	}
	if rest > 0 {
		out = append(out, fmt.Sprintf("%d other", rest))
	}
	return strings.Join(out, ", ")
}

// outcomeTitle is what became of the hosts, or of the resources if the command
// was about no host.
func outcomeTitle(r plans.Result) string {
	if counts := outcomeCounts(r.Hosts); counts != "" {
		return countsOf(r.Command, r.DryRun, counts)
	}
	done := 0
	for _, x := range r.Resources {
		if x.Done {
			done++
		}
	}
	about := r.Command == "destroy" || r.Command == "adopt"
	switch n := len(r.Resources); {
	case n == 0 && about && r.ExitCode == problem.OK:
		return "there was nothing to do"
	case n == 0 || done == 0 && !about:
		return "no host touched"
	case done == n:
		return plural(n, "change") + " made, no host touched"
	default:
		return fmt.Sprintf("%d of %s made, no host touched", done, plural(n, "change"))
	}
}

// countsOf says of a rollback that hosts were taken back, as asked: "deployed"
// would be read as the opposite.
func countsOf(command string, dry bool, counts string) string {
	switch {
	case dry:
		return strings.Replace(counts, " unchanged", " to take back", 1)
	case command == "rollback":
		return strings.Replace(counts, " deployed", " taken back", 1)
	default:
		return counts
	}
}

// outcomes lists the outcomes, worst first.
func outcomes() []fleet.Outcome {
	return []fleet.Outcome{fleet.Unknown, fleet.NotBootable, fleet.Degraded, fleet.RolledBack, fleet.Failed,
		fleet.HeldBack, fleet.Skipped, fleet.Staged, fleet.Deployed, fleet.Unchanged}
}

// codeMeaning is an exit code in words.
func codeMeaning(c problem.Code) string {
	switch c {
	case problem.OK:
		return "everything went as asked"
	case problem.Failed:
		return "it failed, and nothing changed on any host"
	case problem.Changes:
		return "there are changes"
	case problem.NotDeployed:
		return "at least one host was not deployed; every host that was touched runs a verified good system"
	case problem.Unknown:
		return "at least one host is unknown, degraded or not bootable: look at it now"
	case problem.Refused:
		return "refused: a lock, a review, a protection or a hold is in the way"
	case problem.Usage:
		return "wrong flags or arguments"
	case problem.Cancelled:
		return "cancelled; every host that was touched runs a verified good system"
	default:
		return "a code that this version does not know"
	}
}

// next says what to do about a host that is not well.
func next(o fleet.Outcome, host string) []nextStep { return nextOn(o, shellWord(host)) }

// nextOn is next for a selector that is safe to copy.
func nextOn(o fleet.Outcome, host string) []nextStep {
	switch o {
	case fleet.RolledBack:
		return []nextStep{{Text: "Fix the change and deploy again. The same system is refused; to try it once more all the same:",
			Command: "flotilla deploy --on " + host + " --retry-bad"}}
	case fleet.Failed:
		return []nextStep{{Text: "Nothing was activated on this host. Remove the cause and deploy again:", Command: "flotilla deploy --on " + host}}
	case fleet.HeldBack:
		return []nextStep{{Text: "If somebody rolled it back, let deploys reach it again:", Command: "flotilla release --on " + host},
			{Text: "If its system was put back before, change the system, or try it once more:", Command: "flotilla deploy --on " + host + " --retry-bad"}}
	case fleet.Skipped:
		return []nextStep{{Text: "Once it answers:", Command: "flotilla deploy --on " + host}}
	case fleet.Degraded:
		return []nextStep{{Text: "The old system runs, but something did not come back. See what:", Command: "flotilla status --on " + host}}
	case fleet.NotBootable:
		return []nextStep{{Text: "Do not reboot it before its boot default is repaired. See what it has:", Command: "flotilla status --on " + host}}
	case fleet.Unknown:
		return []nextStep{{Text: "What it runs could not be read back. Unless the deployment was confirmed, the guard on the host returns it to the old system. Look once it answers; the next deploy settles what is left:",
			Command: "flotilla status --on " + host}}
	case fleet.Staged:
		return []nextStep{{Text: "The new system starts at the next reboot; it has not been proved to boot."}}
	case fleet.Deployed, fleet.Unchanged:
	}
	return nil
}

type nextStep struct{ Text, Command string }

// shellWord is a host's name for a command line that people copy; a name that
// a shell would read otherwise is left for them to fill in.
func shellWord(host string) string {
	if host != "" && host[0] != '-' && strings.Trim(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == "" {
		return host
	}
	return noShellWord
}

// noShellWord stands for a name that people fill in themselves.
const noShellWord = "HOST"

// runsText says what a host runs and boots, as read back from it.
func runsText(h plans.HostResult) string {
	if h.Runs.IsZero() {
		return "not known: it could not be read back"
	}
	s := shortSystem(h.Runs)
	switch h.Runs {
	case h.Wanted:
		s += ", the wanted system"
	case h.Was:
		s += ", the system from before"
	default:
		s += ", neither the wanted system nor the one from before"
	}
	switch {
	case h.Boots.IsZero():
		return s + "; what a reboot would start could not be read back"
	case h.Boots == h.Runs:
		return s + "; a reboot starts the same"
	case h.Boots == h.Wanted:
		return s + "; a reboot starts " + shortSystem(h.Boots) + ", the wanted system"
	default:
		return s + "; a reboot starts " + shortSystem(h.Boots)
	}
}

// resourceOutcome is what became of an infrastructure change, in a word or two.
func resourceOutcome(r plans.ResourceResult) string {
	switch {
	case r.Error != "":
		return "failed"
	case r.Done:
		return "done"
	case r.Action == plans.Destroy:
		return "left in place"
	default:
		return "not done"
	}
}

// infraNote tells that infrastructure stays when hosts go back.
func infraNote(r plans.Result) string {
	back, done := false, false
	for _, h := range r.Hosts {
		back = back || h.Outcome == fleet.RolledBack || h.Outcome == fleet.Degraded
	}
	for _, x := range r.Resources {
		done = done || x.Done
	}
	if back && done {
		return "Infrastructure is not undone by a host's rollback: what is marked done stays."
	}
	return ""
}

// moved is what a host's push moved, "" if nothing.
func moved(p plans.Pushed) string {
	if p.Paths == 0 {
		return ""
	}
	return plural(p.Paths, "path") + ", " + size(p.Wire)
}

// settled lists what an earlier run had left.
func settled(hosts []plans.HostResult) []plans.Gap {
	var out []plans.Gap
	for _, h := range hosts {
		if h.Settled != "" {
			out = append(out, plans.Gap{Subject: h.Host, Text: h.Settled})
		}
	}
	return out
}

func resultWarnings(hosts []plans.HostResult) []plans.Gap {
	var out []plans.Gap
	for _, h := range hosts {
		for _, w := range h.Warnings {
			out = append(out, plans.Gap{Subject: h.Host, Text: w})
		}
	}
	return out
}
