package render

import (
	"cmp"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

// riskLine is one risk, said once for all that it concerns.
type riskLine struct {
	Risk  plans.Risk
	Label string   // "Opens"
	What  []string // "443/tcp"; may be empty
	Hosts []string // names; subjects that are no hosts come with their kind in What
}

// riskLines lists a part's risks, worst first, equal ones together.
func riskLines(p plans.Part) []riskLine {
	var lines []riskLine
	for _, r := range p.Resources {
		for _, risk := range r.Risks {
			lines = addRisk(lines, riskLine{Risk: risk, Label: riskLabel(risk), What: []string{resourceRisk(r, risk)}}, "")
		}
	}
	for _, h := range p.Hosts {
		for _, risk := range h.Risks {
			lines = addRisk(lines, riskLine{Risk: risk, Label: riskLabel(risk), What: hostRisk(h, risk)}, h.Name)
		}
	}
	slices.SortStableFunc(lines, func(a, b riskLine) int { return cmp.Compare(riskRank(a.Risk), riskRank(b.Risk)) })
	return lines
}

// addRisk joins hosts that risk the same, and resources of one risk.
func addRisk(lines []riskLine, l riskLine, host string) []riskLine {
	for i, have := range lines {
		if have.Risk != l.Risk || (len(have.Hosts) > 0) != (host != "") {
			continue
		}
		if host == "" {
			lines[i].What = append(lines[i].What, l.What...)
			return lines
		}
		if slices.Equal(have.What, l.What) {
			lines[i].Hosts = append(lines[i].Hosts, host)
			return lines
		}
	}
	if host != "" {
		l.Hosts = []string{host}
	}
	return append(lines, l)
}

func riskLabel(r plans.Risk) string {
	switch r {
	case plans.RiskDestroy:
		return "Destroys"
	case plans.RiskReplace:
		return "Replaces"
	case plans.RiskData:
		return "Data may be lost"
	case plans.RiskAccess:
		return "Changes who gets in"
	case plans.RiskPort:
		return "Opens"
	case plans.RiskReboot:
		return "Needs a reboot"
	case plans.RiskPowerOff:
		return "Powers off"
	case plans.RiskStop:
		return "Stops"
	default:
		return "Risk: " + oneLine(string(r))
	}
}

func resourceRisk(r plans.Resource, risk plans.Risk) string {
	s := kindWord(r.Kind) + " " + r.Name
	if risk == plans.RiskReplace {
		var why []string
		for _, a := range r.Attributes {
			if a.Forces {
				why = append(why, a.Name)
			}
		}
		if len(why) > 0 {
			s += " (because of " + strings.Join(why, ", ") + ")"
		}
	}
	return s
}

// hostRisk names what on the host is the risk, as far as the plan tells.
func hostRisk(h plans.Host, risk plans.Risk) []string {
	switch risk {
	case plans.RiskPort:
		return ports(h.Ports, true)
	case plans.RiskReboot:
		return []string{h.Reboot}
	case plans.RiskAccess:
		return access(h)
	case plans.RiskStop:
		var names []string
		for _, u := range h.Units {
			if u.Effect == plans.EffectStop {
				names = append(names, u.Name)
			}
		}
		return names
	case plans.RiskDestroy, plans.RiskReplace, plans.RiskData, plans.RiskPowerOff:
	}
	return nil
}

// access says which users and keys change; settings of sshd show in the
// host's own list.
func access(h plans.Host) []string {
	var out []string
	for _, u := range h.Users {
		switch {
		case u.Action == plans.Create:
			out = append(out, "user "+u.Name+" added")
		case u.Action == plans.Destroy:
			out = append(out, "user "+u.Name+" removed")
		}
		if n := len(u.KeysAdded); n > 0 {
			out = append(out, plural(n, "key")+" added for "+u.Name)
		}
		if n := len(u.KeysRemoved); n > 0 {
			out = append(out, plural(n, "key")+" removed for "+u.Name)
		}
		for _, c := range u.Changes {
			out = append(out, u.Name+": "+c)
		}
	}
	return out
}
