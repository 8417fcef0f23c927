package deploy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
)

// movedLogins tells, by host, how flotilla.yaml alone changes the way in of
// deploys: the system may stay what it is. Where the hive says it (deployment.*),
// the comparison of the systems tells.
func movedLogins(base, head fleet.Fleet, baseHosts, headHosts map[string]plans.Evaluation) map[string][]string {
	moves := map[string][]string{}
	for host, e := range headHosts {
		was, ok := baseHosts[host]
		if !ok || e.Err != nil || was.Err != nil {
			continue
		}
		old, new := was.System.Deployment, e.System.Deployment
		move := func(what, key, before, after string, inHive bool) {
			if before != after && !inHive {
				moves[host] = append(moves[host], fmt.Sprintf("%s %s → %s (%s)", what, before, after, key))
			}
		}
		move("port", "ssh.port", fmt.Sprint(base.SSH.Port), fmt.Sprint(head.SSH.Port), old.TargetPort != 0 || new.TargetPort != 0)
		if port := head.SSH.Port; port != base.SSH.Port && old.TargetPort == 0 && new.TargetPort == 0 && !answers(was.System, port) {
			moves[host] = append(moves[host], fmt.Sprintf("the deploy calls port %d, where what runs now does not answer: it logs in at the old port until the switch", port))
		}
		move("user", "ssh.user", base.SSH.User, head.SSH.User, old.TargetUser != "" || new.TargetUser != "")
		inHive := old.TargetHost != "" || new.TargetHost != ""
		before, after := addressOf(base, host, old.Tags), addressOf(head, host, new.Tags)
		move("address", "hosts", cmp.Or(before, "ssh.address"), cmp.Or(after, "ssh.address"), inHive)
		move("address", "ssh.address", base.SSH.Address, head.SSH.Address, inHive || before+after != "")
	}
	return moves
}

// addressOf is what hosts: says of a host's address; "" is nothing, or nonsense
// that a deploy refuses.
func addressOf(f fleet.Fleet, host string, tags []string) string {
	settings, err := f.HostSettings(host, tags)
	if err != nil {
		return ""
	}
	return settings.Address
}

// answers tells whether a system's SSH daemon listens on a port, as far as is known.
func answers(s plans.System, port int) bool {
	return len(s.SSHD.Ports) == 0 || slices.Contains(s.SSHD.Ports, port) ||
		slices.ContainsFunc(s.Services.SSHListen, func(a string) bool { return strings.HasSuffix(a, fmt.Sprintf(":%d", port)) })
}

// tellMoves warns of moves on hosts that do not change otherwise; the others'
// are in their changes.
func tellMoves(changes []plans.Host, moves map[string][]string) []plans.Gap {
	moves = maps.Clone(moves)
	for _, h := range changes {
		delete(moves, h.Name)
	}
	byText := map[string][]string{}
	for host, texts := range moves {
		text := strings.Join(texts, "; ")
		byText[text] = append(byText[text], host)
	}
	var gaps []plans.Gap
	for _, text := range slices.Sorted(maps.Keys(byText)) {
		names := byText[text]
		slices.Sort(names)
		subject, more := names[0], ""
		if len(names) > 1 {
			subject = "ssh"
			more = fmt.Sprintf(" (%s)", listed(names, 10))
		}
		gaps = append(gaps, plans.Gap{Subject: subject, Text: fmt.Sprintf("The way in moves, though the system stays as it is%s: %s.", more, text), Policy: true})
	}
	slices.SortStableFunc(gaps, func(a, b plans.Gap) int { return cmp.Compare(a.Subject, b.Subject) })
	return gaps
}

// listed names the first few.
func listed(names []string, most int) string {
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
